"""A run whose stream was lost, taken up again: what of the new stream its reader has had, and what not. Pure.

How Dify's `/workflow/{workflow_run_id}/events` behaves (1.14 and later, from its code):

- Of a run that has ended it tells `workflow_finished` alone: no text, no `message_end`, no `error`.
- Of one that has not, a snapshot comes first: `workflow_started`; in a chatflow `message_replace` with the
  answer as it is stored, which is empty until the run pauses or ends; `node_started` and `node_finished` of
  each node so far, iterations and loops among them, without inputs and outputs; and if it is paused the forms
  that are open and `workflow_paused`. Then comes what happens from now on.
- Dify sends events through Redis, and keeps none: what happened while nobody listened is gone. Set up with
  Redis streams it keeps them all: then the whole run follows the snapshot, from its first event.

So the events of a re-entered stream are of two kinds. Some the snapshot may tell again: these have a key, and
what was seen is dropped by it. All others come only live, or in a whole log: of a log so much text is dropped
as the reader has, and as many of the rest as he has had. Iterations and loops are counted by their node, for
a live stream names no execution.

After a gap text is held back until what is missing is known, so that the text that a reader gets is always
the beginning of the true one. A chatflow's answer is stored when it is complete, and at a pause. (Its outputs
tell it, too, but as it was before moderation.) A workflow's text is its outputs, joined by line ends: if what
came before the gap and after it fits, that is it. What cannot be had again is said by a `StreamGapEvent`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ._errors import TruncatedStreamError
from ._fold import RESUMED, Fold
from .types.chat import Lost, Metadata, Usage
from .types.events import (
    Event,
    HumanInputRequiredEvent,
    IterationCompletedEvent,
    IterationStartedEvent,
    LoopCompletedEvent,
    LoopStartedEvent,
    MessageEndEvent,
    MessageEvent,
    MessageReplaceEvent,
    NodeFinishedEvent,
    NodeStartedEvent,
    ReasoningChunkEvent,
    RoundsData,
    StreamGapEvent,
    TextChunkEvent,
    TextData,
    TextReplaceEvent,
    WorkflowFinishedData,
    WorkflowFinishedEvent,
    WorkflowPausedEvent,
    WorkflowStartedEvent,
)
from .types.human_input import PausedData, PauseReason
from .types.message import Message

__all__ = ["Resumption", "tells_events"]

Rounds = tuple[str | None, str]
"""The node of an iteration or loop, and whether it "started" or "finished"."""


def tells_events(version: str | None) -> bool:
    """Whether a Dify of this version has the events operation; yes, if it does not say its version.

    >>> tells_events("1.12.1"), tells_events("1.16.0-fix.1"), tells_events(None)
    (False, True, True)
    """
    numbers = re.match(r"(\d+)\.(\d+)", version or "")
    return numbers is None or (int(numbers[1]), int(numbers[2])) >= (1, 14)


@dataclass(slots=True)
class _Told:
    """How far the stream that is read has told the run."""

    snapshot: bool = False
    text_may_follow: bool = False
    log: bool = False
    to_drop: int = 0
    """Of the log, as many events that are no text."""
    chars_to_drop: int = 0
    chars: int = 0
    """The text that the log has told."""
    replaced: int = 0
    """How often the log has replaced it."""
    rounds: Counter[Rounds] = field(default_factory=Counter[Rounds])
    """What the snapshot or log has told of iterations and loops."""


class Resumption:
    """What a reader has had of a run, to go on from there.

    `had` takes each event that the reader gets. After `reenter`, `take` takes each event of the new stream
    and gives those that the reader should get; where `owes` says so, `settle` gives the rest. `stores_text`:
    the app is a chatflow. `goes_on`: the reader stays when the run pauses.
    """

    def __init__(self, fold: Fold[Any], *, stores_text: bool, goes_on: bool) -> None:  # Any: whatever reply
        self._fold = fold
        self._stores_text = stores_text
        self._goes_on = goes_on
        self.run_id: str | None = None
        self.task_id: str | None = None
        self.message_id: str | None = None
        self.conversation_id: str | None = None
        self.resumed = False
        """The stream is not the first."""
        self.at_pause = False
        """The snapshot told of the pause that we know: nothing was missed, and what comes now is heard."""
        self.owes = False
        """The answer as Dify stored it is needed to go on."""
        self.news = False
        """The event that was taken last was none that the reader had had."""
        self._keys: set[str] = set()  # of what the reader has had, and a snapshot may tell again
        self._passed = 0  # how much else he has had, text aside
        self._replaced = 0  # how often his text was
        self._named = False  # every name that events have is known
        self._rounds: Counter[Rounds] = Counter()  # what he has had of iterations and loops
        self._paused: PausedData | None = None  # the last that he heard
        self._answered: set[str | None] = set()  # ids of forms
        self._submitted = False  # a form of this pause was
        self._ended = False  # message_end came
        self._reasoned = False
        self._gap = False  # text before what comes is missing
        self._held: list[Event] = []  # text after the gap
        self._waiting: list[Event] = []  # for `settle`
        self._told = _Told()

    # What the reader gets

    def had(self, event: Event) -> None:
        """The reader gets this event."""
        self._paused = None
        if type(event) in _PIECES and self._named:
            return  # most are
        if (key := _key(event)) is not None:
            self._keys.add(key)
        elif (rounds := _rounds(event)) is not None:
            self._rounds[rounds] += 1
        elif isinstance(event, _REPLACED):
            self._replaced += getattr(event, "reason", "") != RESUMED
        elif type(event) not in _PIECES:
            self._passed += 1
        if self.run_id is None:
            self.run_id = event.workflow_run_id
        if self.task_id is None:
            self.task_id = event.task_id
        if self.message_id is None:
            self.message_id = event.message_id
            self.conversation_id = event.conversation_id
        self._named = self.task_id is not None and (self.message_id is not None or not self._stores_text)
        match event:
            case WorkflowPausedEvent(data=data):
                self._paused = data
                self._submitted = False
                self.run_id = self.run_id or data.workflow_run_id
            case MessageEndEvent():
                self._ended = True
            case ReasoningChunkEvent():
                self._reasoned = True
            case _:
                pass

    @property
    def paused(self) -> bool:
        """The run is, as far as we know."""
        return self._paused is not None

    @property
    def waits(self) -> bool:
        """The run is paused by a form, as far as we know."""
        return self._paused is not None and bool(self._paused.forms)

    @property
    def form(self) -> PauseReason | None:
        """The form to be answered next. One at a time: an answer makes the run go on, to the next pause."""
        if self._paused is None or self._submitted:
            return None
        return next((form for form in self._paused.forms if form.form_id not in self._answered), None)

    def submitted(self, form: PauseReason) -> None:
        """The form was answered."""
        self._answered.add(form.form_id)
        self._submitted = True

    def truncated(self, reason: str) -> TruncatedStreamError:
        """The error of a stream that was lost for good, with the names by which the run can be found."""
        return TruncatedStreamError(
            reason,
            workflow_run_id=self.run_id,
            task_id=self.task_id,
            conversation_id=self.conversation_id,
            message_id=self.message_id,
        )

    # What a stream that was entered again brings

    def reenter(self) -> None:
        """Another stream of the same run begins."""
        self.resumed = True
        self.at_pause = False
        self._told = _Told()
        if self._paused is None:
            self._open_gap()

    def take(self, event: Event) -> list[Event]:
        """What of this event the reader should get."""
        told, key = self._told, _key(event)
        text_may_follow, told.text_may_follow = told.text_may_follow, False
        if isinstance(event, WorkflowStartedEvent) and key is not None:
            if told.snapshot:
                self._begin_log()
            told.snapshot = told.text_may_follow = True
        if self._told.log and isinstance(event, (*_PIECES, *_REPLACED)):
            new = self._of_log(event)
            self.news = bool(new)
            return new
        # What may follow is the text as it was stored, which may be far behind.
        stale = text_may_follow and isinstance(event, MessageReplaceEvent)
        self.news = not (stale or self._repeats(event, key))
        if not self.news:
            # Dify closes at workflow_finished, which of a stopped chatflow comes before message_end.
            owed = isinstance(event, WorkflowFinishedEvent) and self._stores_text and not self._ended
            return self._wait(event) if owed else []
        if self._paused is not None and not self.at_pause:
            self._open_gap()  # it went on before we were here
        return self._new(_of_its_kind(event))

    def _repeats(self, event: Event, key: str | None) -> bool:
        """Whether the reader has had the event."""
        told = self._told
        if key is not None:
            known = key in self._keys
            self.at_pause = self.at_pause or (known and isinstance(event, WorkflowPausedEvent))
            return known
        if (rounds := _rounds(event)) is not None:
            node, step = rounds
            if told.log or isinstance(event, NodeStartedEvent | NodeFinishedEvent):
                told.rounds[rounds] += 1
                return told.rounds[rounds] <= self._rounds[rounds]
            # Live, it may be in the snapshot already: none begins before the last one of its node has ended.
            running = self._rounds[node, "started"] > self._rounds[node, "finished"]
            return running if step == "started" else not running
        if told.to_drop:
            told.to_drop -= 1
            return True
        return False

    def settle(self, stored: Message | None, why: str = "") -> list[Event]:
        """What waits for the answer as Dify stored it; `None` if it cannot be had, and why."""
        self.owes = False
        waiting, self._waiting = self._waiting, []
        made = self._close_gap(stored.answer if stored else None, why)
        for event in waiting:
            if isinstance(event, WorkflowFinishedEvent) and not self._ended and event.data.status != "failed":
                made += self._message_end(stored, why)
            if _key(event) not in self._keys:
                made.append(event)
        return made

    def _new(self, event: Event) -> list[Event]:
        stores = self._stores_text
        match event:
            case MessageReplaceEvent() | TextReplaceEvent():
                self._gap = False  # it stands for all before it
                self._held.clear()
            case MessageEndEvent() | WorkflowPausedEvent() if self._gap and stores:
                return self._wait(event)
            case WorkflowFinishedEvent() if stores:
                return self._wait(event) if self._gap or not self._ended else [event]
            case WorkflowFinishedEvent(data=data):
                return [*self._close_gap(_text(data)), event]
            case WorkflowPausedEvent() if not stores and not self._goes_on:
                return [*self._close_gap(None), event]
            case _ if self._gap and event.text:
                self._held.append(event)
                return []
            case _:
                pass
        return [event]

    def _wait(self, event: Event) -> list[Event]:
        self._waiting.append(event)
        self.owes = True
        return []

    def _open_gap(self) -> None:
        self._paused = None
        self._gap = True
        self._held.clear()

    def _begin_log(self) -> None:
        """The whole run follows: nothing is missing."""
        self._gap = False
        self._held.clear()
        self._told = _Told(log=True, to_drop=self._passed, chars_to_drop=len(self._fold.text))

    def _of_log(self, event: Event) -> list[Event]:
        """What of a log's text the reader has not had."""
        if isinstance(event, MessageReplaceEvent):
            return self._replaced_in_log(event, event.answer)
        if isinstance(event, TextReplaceEvent):
            return self._replaced_in_log(event, event.data.text)
        told = self._told
        told.chars += len(event.text)
        new = told.chars - told.chars_to_drop
        if new <= 0 or told.replaced < self._replaced:
            return []
        return [event] if new >= len(event.text) else [self._piece(event.text[-new:])]

    def _replaced_in_log(self, event: Event, text: str) -> list[Event]:
        told = self._told
        told.replaced += 1
        told.chars = len(text)
        if told.replaced <= self._replaced:
            return []
        told.chars_to_drop = 0
        return [event]

    def _close_gap(self, whole: str | None, why: str = "") -> list[Event]:
        """The text that is missing, if this is all of it; else what there is, and that some is lost."""
        if not self._gap:
            return []
        self._gap = False
        held, self._held = self._held, []
        had, after = self._fold.text, "".join(event.text for event in held)
        lost: list[Lost] = ["reasoning"] if self._reasoned else []
        made: list[Event] = []
        rest = whole.removeprefix(had) if whole is not None and whole.startswith(had) else None
        if whole is not None and rest is not None and (whole.endswith(after) or (rest and self._stores_text)):
            made = [self._piece(rest)] if rest else []
        elif whole is not None and self._stores_text and not had.startswith(whole):
            made = [MessageReplaceEvent(event="message_replace", answer=whole, reason=RESUMED, **self._names)]
        else:
            lost.append("text")
            made = held
        return [self._said_lost(lost, why), *made] if lost else made

    def _message_end(self, stored: Message | None, why: str) -> list[Event]:
        """The `message_end` that was missed, as far as it can be had."""
        metadata, files = Metadata(), []
        if stored is not None:
            usage = _usage(stored)
            metadata = Metadata(retriever_resources=stored.retriever_resources, usage=usage)
            files = [file for file in stored.message_files if file.belongs_to != "user"]
        end = MessageEndEvent(
            event="message_end", id=self.message_id, metadata=metadata, files=files, **self._names
        )
        return [end] if metadata.usage else [self._said_lost(["usage"], why), end]

    def _said_lost(self, lost: list[Lost], why: str) -> StreamGapEvent:
        return StreamGapEvent(event="stream_gap", lost=lost, reason=why, **self._names)

    def _piece(self, text: str) -> Event:
        if self._stores_text:
            return MessageEvent(event="message", id=self.message_id, answer=text, **self._names)
        return TextChunkEvent(event="text_chunk", data=TextData(text=text), **self._names)

    @property
    def _names(self) -> dict[str, Any]:  # Any: fields of an event
        return {
            "task_id": self.task_id,
            "message_id": self.message_id,
            "conversation_id": self.conversation_id,
            "workflow_run_id": self.run_id,
        }


_PIECES = (MessageEvent, TextChunkEvent)
_REPLACED = (MessageReplaceEvent, TextReplaceEvent)
_ROUNDS = ("iteration", "loop")


def _key(event: Event) -> str | None:
    """What makes an event known that a snapshot may tell again, or that comes once; `None` for all others."""
    match event:
        case NodeStartedEvent(data=data) if data.node_type not in _ROUNDS:
            return f"started {data.id}"
        case NodeFinishedEvent(data=data) if data.node_type not in _ROUNDS:
            return f"finished {data.id}"
        case WorkflowStartedEvent(data=data):
            return None if data.reason == "resumption" else "workflow_started"
        case HumanInputRequiredEvent(data=form):
            return f"form {form.form_id}"
        case WorkflowPausedEvent(data=paused):
            return f"paused {sorted(str(form.form_id) for form in paused.forms)}"
        case MessageEndEvent() | WorkflowFinishedEvent():
            return event.event
        case _:
            return None


def _rounds(event: Event) -> Rounds | None:
    """What the event tells, if it is of an iteration or loop."""
    match event:
        case IterationStartedEvent(data=data) | LoopStartedEvent(data=data):
            return data.node_id, "started"
        case IterationCompletedEvent(data=data) | LoopCompletedEvent(data=data):
            return data.node_id, "finished"
        case NodeStartedEvent(data=node) if node.node_type in _ROUNDS:
            return node.node_id, "started"
        case NodeFinishedEvent(data=node) if node.node_type in _ROUNDS:
            return node.node_id, "finished"
        case _:
            return None


def _of_its_kind(event: Event) -> Event:
    """Iterations and loops, which a snapshot tells of as of any node, as a live stream would."""
    match event:
        case NodeStartedEvent(data=data) if data.node_type in _ROUNDS:
            kind: Any = IterationStartedEvent if data.node_type == "iteration" else LoopStartedEvent
        case NodeFinishedEvent(data=data) if data.node_type in _ROUNDS:
            kind = IterationCompletedEvent if data.node_type == "iteration" else LoopCompletedEvent
        case _:
            return event
    name = kind.model_fields["event"].annotation.__args__[0]
    fields = data.model_dump(exclude={"index"}) | {"id": data.node_id}
    envelope = event.model_dump(include=set(Event.model_fields))
    twin: Event = kind(event=name, data=RoundsData.model_validate(fields), **envelope)
    return twin


def _text(run: WorkflowFinishedData) -> str | None:
    """A workflow's text as Dify streams it; `None` where the outputs do not tell it."""
    if run.status not in ("succeeded", "partial-succeeded"):
        return None
    parts: list[str] = []
    for value in (run.outputs or {}).values():
        match value:
            case str():
                parts.append(value)
            case {"dify_model_identity": _}:
                return None  # a file, as a link that is signed anew each time
            case dict():
                parts.append(json.dumps(value, ensure_ascii=False, indent=2))
            case int() if not isinstance(value, bool):
                parts.append(str(value))
            case _:
                return None
    return "\n".join(parts)


def _usage(stored: Message) -> Usage | None:
    """Tokens and price, which Dify keeps from 1.16 on."""
    if stored.total_tokens is None:
        return None
    return Usage(
        prompt_tokens=stored.message_tokens or 0,
        completion_tokens=stored.answer_tokens or 0,
        total_tokens=stored.total_tokens,
        total_price=stored.total_price or Decimal(0),
        currency=stored.currency or "",
        latency=stored.provider_response_latency,
    )
