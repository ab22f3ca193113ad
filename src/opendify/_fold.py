"""How a stream of Dify goes: which event ends it, which is an error, what the whole answer is. Pure.

The rules are those of Dify 1.12.1, as seen on the wire, and of the 1.16 documents where they differ:

- A chat, an agent and a text generator end with `message_end`; speech may follow.
- A chatflow ends with `message_end` and `workflow_finished`, in either order; a failed one with
  `workflow_finished` and `error`; one whose input moderation answers, with `message_end` alone.
- A workflow ends with `workflow_finished`, also when it failed.
- A run that waits for a person ends its stream with `workflow_paused`.
- Being stopped is a normal end.
- What closes before that is truncated.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar, cast

from ._errors import WorkflowFailedError
from .types.chat import AgentThought, ChatReply, CompletionReply, Lost, MessageFile, Metadata
from .types.events import (
    AgentMessageEvent,
    AgentThoughtEvent,
    ClosingMessageEvent,
    Event,
    MessageEndEvent,
    MessageEvent,
    MessageFileEvent,
    MessageReplaceEvent,
    NodeFinishedEvent,
    ReasoningChunkEvent,
    StreamGapEvent,
    TextChunkEvent,
    TextReplaceEvent,
    WorkflowFinishedData,
    WorkflowFinishedEvent,
    WorkflowPausedEvent,
    WorkflowStartedEvent,
)
from .types.human_input import PausedData
from .types.workflow import WorkflowReply

__all__ = [
    "RESUMED",
    "ChatFold",
    "CompletionFold",
    "Course",
    "Fold",
    "MessageCourse",
    "RunCourse",
    "WorkflowCourse",
    "WorkflowFold",
]

RESUMED = "stream_resumed"
"""The reason of a `message_replace` that is made here: moderation gives others."""

E = TypeVar("E", bound=Event)
R_co = TypeVar("R_co", covariant=True)


class Course(Protocol):
    """Follows a stream, and knows whether it may end here."""

    @property
    def complete(self) -> bool:
        """Dify has said all that it owes."""
        ...

    @property
    def over(self) -> bool:
        """Nothing can come any more, even if the stream stays open."""
        ...

    def take(self, event: E) -> E:
        """The event as a reader should see it."""
        ...


class MessageCourse:
    """The way of a chat, an agent, a chatflow or a text generator."""

    def __init__(self) -> None:
        self._agent_spoke = False
        self._message_ended = False
        self._run_owed = False
        self._paused = False

    @property
    def complete(self) -> bool:
        return self._paused or (self._message_ended and not self._run_owed)

    @property
    def over(self) -> bool:
        return False  # speech may follow

    def take(self, event: E) -> E:
        if type(event) is MessageEvent and not self._agent_spoke:
            return event  # most are
        match event:
            case MessageEvent():
                # A New Agent's answer comes whole once more after its pieces (Dify 1.16 documents).
                # cast: a subclass of MessageEvent stands where a MessageEvent stood.
                return cast("E", ClosingMessageEvent.model_construct(**dict(event)))
            case AgentMessageEvent(answer=str(text)) if text:
                self._agent_spoke = True
            case MessageEndEvent():
                self._message_ended = True
            case WorkflowStartedEvent():
                self._run_owed = True
                self._paused = False
            case WorkflowFinishedEvent():
                self._run_owed = False
            case WorkflowPausedEvent():
                self._paused = True
            case _:
                pass
        return event


class WorkflowCourse:
    """The way of a workflow."""

    def __init__(self) -> None:
        self._complete = False

    @property
    def complete(self) -> bool:
        return self._complete

    @property
    def over(self) -> bool:
        return False  # speech may follow

    def take(self, event: E) -> E:
        match event:
            case WorkflowFinishedEvent() | WorkflowPausedEvent():
                self._complete = True
            case WorkflowStartedEvent():
                self._complete = False  # it goes on after a pause
            case _:
                pass
        return event


class RunCourse:
    """The way of a run of either kind that somebody comes to later, by its id.

    It ends with `workflow_finished`: of a run that had ended there is nothing else. A stream that goes on at
    a pause is left open by Dify for minutes after the end.
    """

    def __init__(self, *, continue_on_pause: bool = False) -> None:
        self._continue_on_pause = continue_on_pause
        self._paused = False
        self._finished = False

    @property
    def complete(self) -> bool:
        return self._finished or (self._paused and not self._continue_on_pause)

    @property
    def over(self) -> bool:
        return self._finished and self._continue_on_pause

    def take(self, event: E) -> E:
        match event:
            case WorkflowFinishedEvent():
                self._finished = True
            case WorkflowPausedEvent():
                self._paused = True
            case _:
                pass
        return event


class Fold(Protocol[R_co]):
    """Makes the whole answer out of its events."""

    def take(self, event: Event) -> None:
        """The next event."""
        ...

    def failure(self) -> WorkflowFailedError | None:
        """The failure of the run, if it failed."""
        ...

    @property
    def text(self) -> str:
        """The text so far."""
        ...

    def so_far(self) -> R_co:
        """The answer as far as it is known."""
        ...


class _Text:
    """A text that comes in pieces, in no more room than it takes: a piece alone takes fifty bytes more."""

    def __init__(self, text: str = "") -> None:
        self._blocks = [text]
        self._pieces: list[str] = []

    def write(self, piece: str) -> None:
        self._pieces.append(piece)
        if len(self._pieces) == 1024:
            self._blocks.append("".join(self._pieces))
            self._pieces.clear()

    def __str__(self) -> str:
        return "".join([*self._blocks, *self._pieces])


class _Run:
    """What the events tell of a workflow's run."""

    def __init__(self) -> None:
        self.id: str | None = None
        self.finished: WorkflowFinishedData | None = None
        self.paused: PausedData | None = None
        self.failed_node = ""
        self.lost: list[Lost] = []
        self._reasoning: list[str] = []

    def take(self, event: Event) -> None:
        self.id = self.id or event.workflow_run_id
        match event:
            case NodeFinishedEvent(data=data) if data.status == "failed":
                self.failed_node = data.title
            case ReasoningChunkEvent(data=data):
                self._reasoning.append(data.reasoning)
            case WorkflowFinishedEvent(data=data):
                self.finished = data
            case WorkflowPausedEvent(data=data):
                self.paused = data
            case WorkflowStartedEvent():
                self.paused = None  # it goes on
            case StreamGapEvent(lost=lost):
                self.lost += lost
            case _:
                pass

    @property
    def failed(self) -> bool:
        return self.finished is not None and self.finished.status == "failed"

    @property
    def status(self) -> str | None:
        if self.finished is not None:
            return self.finished.status
        return None if self.paused is None else self.paused.status

    @property
    def reasoning(self) -> str:
        return "".join(self._reasoning)

    def failure(self, reply: ChatReply | WorkflowReply) -> WorkflowFailedError:
        error = (self.finished.error if self.finished else None) or ""
        return WorkflowFailedError(node_title=self.failed_node, error=error, reply=reply)


class _Message:
    """What the events tell of an answer."""

    def __init__(self) -> None:
        self.message_id = ""
        self.conversation_id = ""
        self.task_id = ""
        self.created_at = 0
        self.metadata = Metadata()
        self.replaced = False
        self._text = _Text()
        self._ended = False
        self._files: dict[str | None, MessageFile] = {}
        self._thoughts: dict[str, AgentThought] = {}

    def take(self, event: Event) -> None:
        if type(event) is MessageEvent and self.message_id and not self._ended:
            self._text.write(event.answer)  # most are
            return
        self.message_id = self.message_id or event.message_id or ""
        self.conversation_id = self.conversation_id or event.conversation_id or ""
        self.task_id = self.task_id or event.task_id or ""
        self.created_at = self.created_at or event.created_at or 0
        if self._ended:
            return
        match event:
            case MessageReplaceEvent(answer=answer, reason=reason):
                self._text = _Text(answer)
                self.replaced = self.replaced or reason != RESUMED
            case ClosingMessageEvent(answer=answer):
                self._text = _Text(answer)
            case AgentThoughtEvent():
                self._thoughts[event.id] = event
            case MessageEndEvent():
                self.metadata = event.metadata
                self._keep(event.files)
                self._ended = True
            case _:
                self._text.write(event.text)
                if isinstance(event, MessageFileEvent) and event.file is not None:
                    self._keep([event.file])

    def _keep(self, files: Iterable[MessageFile]) -> None:
        for file in files:
            if file.belongs_to != "user":
                self._files[file.id or file.related_id or file.url] = file

    @property
    def answer(self) -> str:
        return str(self._text)

    @property
    def files(self) -> list[MessageFile]:
        return list(self._files.values())

    @property
    def thoughts(self) -> list[AgentThought]:
        return sorted(self._thoughts.values(), key=lambda thought: thought.position)


class CompletionFold:
    """A text generator's answer."""

    def __init__(self) -> None:
        self._message = _Message()

    def take(self, event: Event) -> None:
        self._message.take(event)

    @property
    def text(self) -> str:
        return self._message.answer

    def failure(self) -> None:
        return None

    def so_far(self) -> CompletionReply:
        message = self._message
        return CompletionReply(
            answer=message.answer,
            message_id=message.message_id,
            task_id=message.task_id,
            created_at=message.created_at,
            metadata=message.metadata,
            files=message.files,
            replaced=message.replaced,
        )


class ChatFold:
    """The answer of a chat app, an agent or a chatflow."""

    def __init__(self) -> None:
        self._message = _Message()
        self._run = _Run()

    def take(self, event: Event) -> None:
        self._message.take(event)
        if type(event) is not MessageEvent:
            self._run.take(event)

    @property
    def text(self) -> str:
        return self._message.answer

    def failure(self) -> WorkflowFailedError | None:
        return self._run.failure(self.so_far()) if self._run.failed else None

    def so_far(self) -> ChatReply:
        message, run = self._message, self._run
        return ChatReply(
            answer=message.answer,
            message_id=message.message_id,
            conversation_id=message.conversation_id,
            task_id=message.task_id,
            created_at=message.created_at,
            metadata=message.metadata,
            files=message.files,
            replaced=message.replaced,
            thoughts=message.thoughts,
            reasoning=run.reasoning,
            workflow_run_id=run.id,
            workflow_status=run.status,
            outputs=run.finished.outputs if run.finished else None,
            paused=None if run.finished else run.paused,
            lost=run.lost,
        )


class WorkflowFold:
    """What a workflow made."""

    def __init__(self) -> None:
        self._run = _Run()
        self._task_id = ""
        self._text = _Text()

    def take(self, event: Event) -> None:
        if type(event) is TextChunkEvent and self._task_id:
            self._text.write(event.data.text)  # most are
            return
        self._run.take(event)
        self._task_id = self._task_id or event.task_id or ""
        if isinstance(event, TextReplaceEvent):
            self._text = _Text(event.data.text)
        else:
            self._text.write(event.text)

    @property
    def text(self) -> str:
        return str(self._text)

    def failure(self) -> WorkflowFailedError | None:
        return self._run.failure(self.so_far()) if self._run.failed else None

    def so_far(self) -> WorkflowReply:
        run = self._run
        finished, paused = run.finished, run.paused
        told = finished or paused
        return WorkflowReply(
            workflow_run_id=run.id or "",
            task_id=self._task_id,
            workflow_id=(finished.workflow_id if finished else None) or "",
            status=run.status or "running",
            outputs=(told.outputs if told else None) or {},
            text=self.text,
            reasoning=run.reasoning,
            error=finished.error if finished else None,
            elapsed_time=(told.elapsed_time if told else None) or 0,
            total_tokens=(told.total_tokens if told else None) or 0,
            total_steps=(told.total_steps if told else None) or 0,
            exceptions_count=(finished.exceptions_count if finished else None) or 0,
            created_at=(told.created_at if told else None) or 0,
            finished_at=finished.finished_at if finished else None,
            files=finished.files if finished else [],
            paused=None if finished else paused,
            lost=run.lost,
        )
