# Made from _async/_stream.py by scripts/unasync.py: edit that file, not this one.
"""An answer that is followed while it is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from random import SystemRandom
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar, cast

from pydantic import ValidationError

from .._call import Call, EventsCall, where
from .._errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    DifyError,
    FormElsewhereError,
    MalformedStreamError,
    ResponseError,
    TruncatedStreamError,
    refusal,
)
from .._fold import Course, Fold
from .._resume import Resumption, tells_events
from .._retry import wait_before_retry
from .._sse import Decoder
from .._waiting import sleep
from .._watch import log_closed
from ..types.events import ErrorEvent, Event
from ..types.human_input import HumanInputAnswer, HumanInputForm, PauseReason
from ..types.message import Message
from ._transport import Response

if TYPE_CHECKING:
    from .._runs import WayBack
    from ._caller import Caller

__all__ = ["Stream"]

E = TypeVar("E", bound=Event)
R = TypeVar("R")

Ask = Callable[[HumanInputForm], HumanInputAnswer]
"""Has a person fill in a form."""

_DICE = SystemRandom()


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

    def __init__(
        self,
        call: EventsCall[E, R],
        caller: Caller,
        human_input: Ask | None = None,
    ) -> None:
        self._call = call
        self._caller = caller
        self._human_input = human_input
        self._decoder = Decoder(max_event_bytes=caller.max_event_bytes)
        self._way_back = way_back = call.way_back
        self._goes_on = human_input is not None or (way_back is not None and way_back.goes_on)
        self._answer: tuple[PauseReason, Call[None]] | None = None  # to be submitted
        self._losses = 0  # since there was news
        self._listening = False  # to a run that was taken up again: what happens now is heard
        self._response: Response | None = None
        self._ended = False  # the body has
        self._over = False  # nothing more will be yielded
        self._failure: DifyError | None = None  # what it ended with, if that was no good end

    # Who reads events as they are needs none of these.

    @cached_property
    def _payloads(self) -> deque[bytes]:
        return deque()

    @cached_property
    def _ready(self) -> deque[E]:
        """Events to be given out before the payloads."""
        return deque()

    @cached_property
    def _course(self) -> Course:
        return self._call.course()

    @cached_property
    def _fold(self) -> Fold[R]:
        return self._call.fold()

    @cached_property
    def _memory(self) -> Resumption:
        way_back = self._way_back
        stores_text = way_back is not None and way_back.stores_text
        memory = Resumption(self._fold, stores_text=stores_text, goes_on=self._goes_on)
        memory.run_id = way_back.workflow_run_id if way_back is not None else None
        return memory

    def __enter__(self) -> Self:
        if self._response is not None:
            raise RuntimeError("This stream was entered before; ask again for a new one.")
        self._response = self._caller.open_stream(self._call)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. The run at Dify goes on; `stop` ends it."""
        self._ended = self._over = True
        if self._response is not None:
            log_closed(self._call.method, self._call.path)
            self._response.close()

    @property
    def response(self) -> Response:
        """Status and headers of Dify's answer."""
        if self._response is None:
            raise RuntimeError("Nothing was sent yet: enter the stream first, with `with`.")
        return self._response

    @property
    def ended(self) -> bool:
        """All that Dify sends has come and been read: `read` gives `None` at once."""
        return self._ended or self.response.ended

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
        ...         return events.reply().answer
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
        if not self._complete:
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
        while not self._over:
            if self._memory.resumed:
                if (event := self._next_again()) is not None:
                    return event
            elif self._payloads:
                return self._given(self._event(self._payloads.popleft()))
            else:
                self._more()
        raise StopIteration

    def _event(self, payload: bytes) -> E:
        try:
            event = self._call.events.validate_json(payload)
        except ValidationError as error:
            raise MalformedStreamError(
                f"An event of the stream is not one of Dify's {where(error)}."
            ) from None
        if isinstance(event, ErrorEvent):
            raise refusal(event.status, event.code, event.message, in_stream=True)
        return event

    def _given(self, event: E) -> E:
        event = self._course.take(event)
        self._fold.take(event)
        self._memory.had(event)
        return event

    @property
    def _complete(self) -> bool:
        """Dify has said all that it owes; with somebody who answers, a form is not the end."""
        return self._course.complete and not (self._human_input is not None and self._memory.waits)

    def _more(self) -> None:
        """Wait for more payloads, or for the end."""
        ask, form, way_back = self._human_input, self._memory.form, self._way_back
        if ask is not None and form is not None and way_back is not None and self._answer is None:
            self._go_on(ask, form, way_back)
            return
        # A pause for anything but a form does not end a stream that goes on at pauses.
        if self._course.over or (ask is not None and self._memory.paused and self._complete):
            self._over = True
            return
        try:
            payloads = self.read()
            if payloads is None and not self._complete:
                raise TruncatedStreamError(
                    "The answer ended before Dify said that it is complete. A proxy between Dify and here "
                    "may cut long answers, or Dify was restarted."
                )
        except TruncatedStreamError as error:
            # What is lost after the last word is the end of the connection, not of the answer.
            if not self._complete:
                self._come_back(error)
                return
            payloads = None
        if payloads is None:
            self._over = True
        else:
            self._payloads.extend(payloads)

    # A stream that was lost, or that ended at a pause

    def _come_back(self, error: TruncatedStreamError) -> None:
        """Take the run up again, or raise."""
        if (failure := self._fold.failure()) is not None:
            raise failure from error  # Dify closes the stream of a chatflow that failed, whatever it owes
        wait = wait_before_retry(
            error,
            attempt=self._losses + 1,
            max_retries=self._caller.max_retries,
            reads_only=True,
            random=_DICE,
        )
        way_back = self._way_back
        if wait is None or way_back is None or not way_back.after_loss or not self._can_come_back:
            raise self._memory.truncated(str(error)) from error
        sleep(wait)
        self._losses += 1
        try:
            self._reenter(way_back)
        except (APIStatusError, APIConnectionError, ResponseError) as refused:
            raise self._memory.truncated(f"{error} It could not be taken up again: {refused}") from refused

    @property
    def _can_come_back(self) -> bool:
        """The run has a name by now, and this Dify the operation that takes it."""
        return self._run_id is not None and tells_events(self.response.headers.get("x-version"))

    @property
    def _run_id(self) -> str | None:
        return self._memory.run_id or self.response.headers.get("x-workflow-run-id")

    def _reenter(self, way_back: WayBack[E, R]) -> None:
        call = way_back.again(self._run_id or "", continue_on_pause=self._goes_on)
        self._ended = True  # until there is another
        self.response.close()
        self._response = self._caller.open_stream(call)
        self._ended = self._listening = False
        self._payloads.clear()
        self._decoder = Decoder(max_event_bytes=self._caller.max_event_bytes)
        self._memory.reenter()

    def _next_again(self) -> E | None:
        """The next event of a run that was taken up again, if there is one. Cancelled, it loses nothing."""
        memory = self._memory
        if memory.owes:
            self._queue(memory.settle(*self._stored()))
        elif self._answer is not None and self._listening:
            form, submit = self._answer
            self._caller.send(submit)
            self._answer = None
            memory.submitted(form)
        elif self._ready:
            return self._given(self._ready.popleft())
        elif self._payloads:
            new = memory.take(self._event(self._payloads.popleft()))
            self._losses = 0 if memory.news else self._losses
            self._listening = self._listening or memory.at_pause or bool(new)
            self._queue(new)
        else:
            self._more()
        return None

    def _queue(self, events: list[Event]) -> None:
        self._ready.extend(cast("list[E]", events))  # cast: what is made by the memory is of the app's kind

    def _stored(self) -> tuple[Message | None, str]:
        """The answer as Dify stored it; or `None`, and why it cannot be had."""
        way_back, conversation_id = self._way_back, self._memory.conversation_id
        if way_back is None or not way_back.stores_text or conversation_id is None:
            return None, ""
        try:
            messages = self._caller.send(way_back.stored(conversation_id)).data
        except DifyError as error:
            return None, str(error)  # the reader is told, and still gets all that is known
        return next((message for message in messages if message.id == self._memory.message_id), None), ""

    def _go_on(self, ask: Ask, form: PauseReason, way_back: WayBack[E, R]) -> None:
        """Have a form filled in. It is submitted when we listen to the run again: nothing is missed."""
        if form.form_token is None:
            raise FormElsewhereError(node_title=form.node_title, workflow_run_id=self._memory.run_id)
        self.response.close()  # people take hours: no connection is held meanwhile
        self._answer = form, way_back.submit(form.form_token, ask(form))
        self._reenter(way_back)
