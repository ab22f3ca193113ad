# Made from _async/_stream.py by scripts/unasync.py: edit that file, not this one.
"""An answer that is followed while it is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from pydantic import ValidationError

from .._call import EventsCall, where
from .._errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    DifyError,
    MalformedStreamError,
    TruncatedStreamError,
    refusal,
    shown,
)
from .._sse import Decoder
from .._watch import log_closed
from ..types.events import ErrorEvent, Event
from ._transport import Response

__all__ = ["Stream"]

E = TypeVar("E", bound=Event)
R = TypeVar("R")


class Stream(Generic[E, R]):
    """The events of one answer. A context manager: entering sends the request, leaving closes the connection.

    Iterating yields typed events until Dify closes the stream. Leaving early does not stop the run at
    Dify, where it goes on and is billed: for that there is `stop`, with the `task_id` of any event.

    Raised on entering: `APIStatusError` where Dify refuses, `APIConnectionError` where there is no answer.
    Raised while iterating: the `APIStatusError` of an `error` event, `TruncatedStreamError`,
    `MalformedStreamError`, and `APITimeoutError` after `Timeout.silence` without a byte.

    >>> def follow(dify: Dify) -> None:
    ...     with dify.chat.stream(query="Hello", user="ada") as events:
    ...         for event in events:
    ...             print(event.text, end="")
    """

    def __init__(self, call: EventsCall[E, R], send: Callable[[], Response], max_event_bytes: int) -> None:
        self._call = call
        self._send = send
        self._decoder = Decoder(max_event_bytes=max_event_bytes)
        self._course = call.course()
        self._fold = call.fold()
        self._payloads: deque[bytes] = deque()
        self._response: Response | None = None
        self._ended = False  # the body has
        self._over = False  # nothing more will be yielded
        self._failure: DifyError | None = None  # what it ended with, if that was no good end

    def __enter__(self) -> Self:
        if self._response is not None:
            raise RuntimeError("This stream was entered before; ask again for a new one.")
        self._response = self._send()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. The run at Dify goes on; `stop` ends it."""
        self._ended = self._over = True
        if self._response is not None:
            log_closed(self._call.method, shown(self._call.path))
            self._response.close()

    @property
    def response(self) -> Response:
        """Status and headers of Dify's answer."""
        if self._response is None:
            raise RuntimeError("Nothing was sent yet: enter the stream first, with `with`.")
        return self._response

    def read(self) -> list[bytes] | None:
        """The JSON texts of the events that one network read brings, as they are; `None` at the end.

        For those who translate events rather than use them: nothing is parsed and nothing judged, so an
        `error` event comes as it is, and it is the reader's part to see whether the last event was one
        that ends an answer. The list may be empty. Cancel-safe: a cancelled call loses nothing.

        Raises `TruncatedStreamError` where the connection is lost, `APITimeoutError` after
        `Timeout.silence` without a byte, and `MalformedStreamError` for what is no UTF-8 or too large.
        """
        response = self.response
        if self._ended:
            return None
        self._decoder.check()  # nobody should wait in silence for what is known already
        try:
            chunk = response.chunk()
        except APITimeoutError:
            raise
        except APIConnectionError as error:
            raise TruncatedStreamError(f"The answer broke off. {error}") from error
        if chunk:
            return self._decoder.feed(chunk)
        self._ended = True
        return None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> E:
        try:
            return self._next()
        except DifyError as error:
            self._over = True
            self._failure = error
            raise

    def reply(self) -> R:
        """The whole answer: what was read of it, and all that is still to come.

        Raises what iterating would, and `WorkflowFailedError` for a run that failed.

        >>> def answer(dify: Dify) -> str:
        ...     with dify.chat.stream(query="Hello", user="ada") as events:
        ...         for event in events:
        ...             print(event.event)
        ...         return (events.reply()).answer
        """
        try:
            if self._failure is not None:
                raise self._failure
            for _ in self:
                pass
        except APIStatusError as error:
            if (failure := self._fold.failure()) is not None:
                raise failure from error
            raise
        if (failure := self._fold.failure()) is not None:
            raise failure
        if not self._course.complete:
            raise RuntimeError("The stream was closed before the answer was complete: so_far has what came.")
        return self._fold.so_far()

    @property
    def so_far(self) -> R:
        """The answer as far as it was read: text, files, citations, the steps of an agent, each once."""
        return self._fold.so_far()

    def text(self) -> Iterator[str]:
        """The pieces of the answer's text alone, as they come.

        What moderation puts in the place of text that was given already cannot be told in this way:
        `reply()` has it.

        >>> def read(dify: Dify) -> None:
        ...     with dify.chat.stream(query="Hello", user="ada") as events:
        ...         for text in events.text():
        ...             print(text, end="")
        """
        for event in self:
            if event.text:
                yield event.text

    def _next(self) -> E:
        while not self._payloads and not self._over:
            self._more()
        if self._over:
            raise StopIteration
        payload = self._payloads.popleft()
        try:
            event = self._call.events.validate_json(payload)
        except ValidationError as error:
            raise MalformedStreamError(
                f"An event of the stream is not one of Dify's {where(error)}."
            ) from None
        if isinstance(event, ErrorEvent):
            raise refusal(event.status, event.code, event.message, in_stream=True)
        event = self._course.take(event)
        self._fold.take(event)
        return event

    def _more(self) -> None:
        """Wait for more payloads, or for the end."""
        if self._course.over:
            self._over = True
            return
        try:
            payloads = self.read()
        except TruncatedStreamError:
            # What is lost after the last word is the end of the connection, not of the answer.
            if not self._course.complete:
                raise
            self._over = True
            return
        if payloads is not None:
            self._payloads.extend(payloads)
            return
        self._over = True
        if not self._course.complete:
            raise TruncatedStreamError(
                "The answer ended before Dify said that it is complete. A proxy between Dify and here may "
                "cut long answers, or Dify was restarted."
            )
