"""Workflows: run, follow the run, stop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._call import Call, EventsCall, given, nothing, path
from .._fold import WorkflowCourse, WorkflowFold
from ..types.events import WORKFLOW_EVENTS, WorkflowEvent
from ..types.files import InputFile
from ..types.workflow import WorkflowReply
from ._caller import AsyncCaller
from ._stream import AsyncStream

__all__ = ["AsyncWorkflows"]


class AsyncWorkflows:
    """Apps that run a workflow once: inputs in, outputs out."""

    def __init__(self, caller: AsyncCaller) -> None:
        self._caller = caller

    async def run(
        self,
        *,
        inputs: Mapping[str, Any] | None = None,
        user: str | None = None,
        files: Sequence[InputFile] | None = None,
        workflow_id: str | None = None,
        trace_id: str | None = None,
    ) -> WorkflowReply:
        """Run the workflow, and wait for its end. Parameters and errors are those of `stream`.

        A run that fails raises `WorkflowFailedError`. One that was stopped, in which some nodes failed
        ("partial-succeeded") or that waits for a person ("paused") is returned, with that `status`.

        >>> async def summary(dify: AsyncDify) -> JsonValue:
        ...     return (await dify.workflows.run(inputs={"text": "…"}, user="ada")).outputs["summary"]
        """
        return await self._caller.fold(self._call(inputs, user, files, workflow_id, trace_id), WorkflowFold())

    def stream(
        self,
        *,
        inputs: Mapping[str, Any] | None = None,
        user: str | None = None,
        files: Sequence[InputFile] | None = None,
        workflow_id: str | None = None,
        trace_id: str | None = None,
    ) -> AsyncStream[WorkflowEvent]:
        """Run the workflow, and follow it. A run that fails ends with `workflow_finished`, as any other.

        `inputs`: values for the workflow's inputs (`app.parameters()`); a file input takes an item such as
        `files` has, a list of files a list of them. `user`: your name for the end user; needed, unless the
        client has one. `workflow_id`: a version, if not the published one. `trace_id`: your id for this
        call, for Dify's tracing.

        Raises, on entering the stream: `BadRequestError` for a missing input, and the others of
        `APIStatusError`.
        """
        return self._caller.stream(self._call(inputs, user, files, workflow_id, trace_id))

    async def stop(self, task_id: str, *, user: str | None = None) -> None:
        """Stop a run. `task_id` is in its events; `user` must be who started it."""
        await self._caller.send(
            Call(
                method="POST",
                path=path("/workflows/tasks/{}/stop", task_id),
                json={"user": self._caller.named(user)},
                read=nothing,
            )
        )

    def _call(
        self,
        inputs: Mapping[str, Any] | None,
        user: str | None,
        files: Sequence[InputFile] | None,
        workflow_id: str | None,
        trace_id: str | None,
    ) -> EventsCall[WorkflowEvent]:
        return EventsCall(
            method="POST",
            path="/workflows/run" if workflow_id is None else path("/workflows/{}/run", workflow_id),
            json=given(
                inputs=inputs or {},  # Dify refuses a missing one
                response_mode="streaming",
                user=self._caller.named(user),
                files=files,
                trace_id=trace_id,
            ),
            events=WORKFLOW_EVENTS,
            course=WorkflowCourse,
        )
