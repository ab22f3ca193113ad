# Made from _async/completion.py by scripts/unasync.py: edit that file, not this one.
"""Text generators: fill in the form, follow the text, stop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._call import EventsCall, attached, given, nothing, path
from .._fold import CompletionFold, MessageCourse
from ..types.chat import CompletionReply
from ..types.events import COMPLETION_EVENTS, CompletionEvent
from ..types.files import InputFile
from ._resource import Resource
from ._stream import Stream

__all__ = ["Completion"]


class Completion(Resource):
    """Apps that make a text out of a form, without a conversation."""

    def send(
        self,
        *,
        inputs: Mapping[str, Any],
        user: str | None = None,
        files: Sequence[InputFile] | None = None,
        trace_id: str | None = None,
    ) -> CompletionReply:
        """Fill in the form, and wait for the whole text. Parameters and errors are those of `stream`.

        >>> def write(dify: Dify) -> str:
        ...     return dify.completion.send(inputs={"query": "A haiku on tea"}, user="ada").answer
        """
        return self._caller.fold(self._call(inputs, user, files, trace_id))

    def stream(
        self,
        *,
        inputs: Mapping[str, Any],
        user: str | None = None,
        files: Sequence[InputFile] | None = None,
        trace_id: str | None = None,
    ) -> Stream[CompletionEvent, CompletionReply]:
        """Fill in the form, and follow the text as it is written.

        `inputs`: values for the app's form (`app.parameters()`); many apps call their one field "query".
        `user`: your name for the end user; needed, unless the client has one. `files`: see `files.upload`.
        `trace_id`: your id for this call, for Dify's tracing.

        Raises, on entering the stream: `BadRequestError` for a missing input, and the others of
        `APIStatusError`.
        """
        return self._caller.stream(self._call(inputs, user, files, trace_id))

    def stop(self, task_id: str, *, user: str | None = None) -> None:
        """Stop a text that is being written. `task_id` is in its events; `user` must be who asked."""
        where = path("/completion-messages/{}/stop", task_id)
        self._send("POST", where, nothing, json={"user": self._caller.named(user)})

    def _call(
        self,
        inputs: Mapping[str, Any],
        user: str | None,
        files: Sequence[InputFile] | None,
        trace_id: str | None,
    ) -> EventsCall[CompletionEvent, CompletionReply]:
        return EventsCall(
            "POST",
            "/completion-messages",
            json=given(
                inputs=inputs,
                response_mode="streaming",
                user=self._caller.named(user),
                files=attached(files),
                trace_id=trace_id,
            ),
            events=COMPLETION_EVENTS,
            course=MessageCourse,
            fold=CompletionFold,
        )
