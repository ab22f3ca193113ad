"""The events of a stream. What each says, and which of it is text of the answer.

An answer is the `text` of all events in order, one after the other; `text` is empty where an event adds
nothing. Two events need more than that: `message_replace` takes back all text before it, and the whole
answer that a New Agent (Dify 1.16) sends once more at its end arrives as `ClosingMessageEvent`, whose `text`
is empty. An event that this version does not know arrives as `OtherEvent`.

>>> from pydantic import TypeAdapter
>>> event = TypeAdapter(ChatEvent).validate_json('{"event": "message", "answer": "Hi", "new": 1}')
>>> event.text, event.model_extra
('Hi', {'new': 1})
"""

# ruff: noqa: RUF012  pydantic copies the defaults of fields

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Discriminator, Field, JsonValue, Tag, TypeAdapter, model_validator

from ._model import Many, Model, Text, is_object
from .chat import AgentThought, Lost, MessageFile, Metadata
from .human_input import HumanInputForm, PausedData
from .workflow import WorkflowStatus

__all__ = [
    "AgentLogEvent",
    "AgentMessageEvent",
    "AgentThoughtEvent",
    "ChatEvent",
    "ClosingMessageEvent",
    "CompletionEvent",
    "ErrorEvent",
    "Event",
    "HumanInputFormFilledEvent",
    "HumanInputFormTimeoutEvent",
    "HumanInputRequiredEvent",
    "IterationCompletedEvent",
    "IterationNextEvent",
    "IterationStartedEvent",
    "LoopCompletedEvent",
    "LoopNextEvent",
    "LoopStartedEvent",
    "MessageEndEvent",
    "MessageEvent",
    "MessageFileEvent",
    "MessageReplaceEvent",
    "NodeFinishedEvent",
    "NodeRetryEvent",
    "NodeStartedEvent",
    "OtherEvent",
    "PingEvent",
    "ReasoningChunkEvent",
    "StreamGapEvent",
    "TextChunkEvent",
    "TextReplaceEvent",
    "TtsMessageEndEvent",
    "TtsMessageEvent",
    "WorkflowEvent",
    "WorkflowFinishedEvent",
    "WorkflowPausedEvent",
    "WorkflowStartedEvent",
]


class Event(Model):
    """What events have in common. Which of these are there depends on the kind of app."""

    task_id: str | None = None
    """What `stop` takes. In every event but `error`."""
    message_id: str | None = None
    """Not in workflow apps."""
    conversation_id: str | None = None
    """Chat apps, agents and chatflows."""
    workflow_run_id: str | None = None
    """Workflows and chatflows, in the events that tell of the run."""
    created_at: int | None = None
    """Seconds since 1970. Not in workflow apps."""

    @property
    def text(self) -> str:
        """What this event adds to the answer. Empty for most."""
        return ""


# Answers of chat apps, agents and text generators


class MessageEvent(Event):
    """The next piece of the answer: chat apps, chatflows, text generators; annotation hits of agents."""

    event: Literal["message"]
    id: str | None = None
    answer: Text = ""
    from_variable_selector: list[str] | None = None
    """Chatflow: the node and variable that the text comes from."""

    @property
    def text(self) -> str:
        return self.answer


class ClosingMessageEvent(MessageEvent):
    """The whole answer once more, as a New Agent (Dify 1.16) sends it after its pieces."""

    @property
    def text(self) -> str:
        return ""


class AgentMessageEvent(Event):
    """The next piece of an agent's answer."""

    event: Literal["agent_message"]
    id: str | None = None
    answer: Text = ""

    @property
    def text(self) -> str:
        return self.answer


class AgentThoughtEvent(Event, AgentThought):
    """A step of an agent, so far as it is known. It comes again, with the same `id`, as it goes on."""

    event: Literal["agent_thought"]


class MessageFileEvent(Event):
    """A file; or, in Dify 1.11.2 to 1.12, the next piece of an answer to a message that carries a file.

    A file has a `url` and no `answer`; a piece of text has an `answer` and no `url`.
    """

    event: Literal["message_file"]
    id: str | None = None
    answer: str | None = None
    type: str | None = None
    belongs_to: str | None = None
    url: str | None = None
    from_variable_selector: list[str] | None = None

    @property
    def text(self) -> str:
        return self.answer or ""

    @property
    def file(self) -> MessageFile | None:
        """The file; `None` if this is a piece of text."""
        if self.url is None:
            return None
        return MessageFile.model_validate(self.model_dump(include={"id", "type", "belongs_to", "url"}))


class MessageReplaceEvent(Event):
    """Moderation: `answer` takes the place of all text before it."""

    event: Literal["message_replace"]
    answer: Text = ""
    reason: Text = ""
    """"output_moderation" in chatflows, empty elsewhere. "stream_resumed": no moderation; the stream was lost
    and taken up again, and this is the answer as Dify stored it."""


class MessageEndEvent(Event):
    """The answer is complete. Speech may still follow, and in a chatflow `workflow_finished`."""

    event: Literal["message_end"]
    id: str | None = None
    metadata: Metadata = Field(default_factory=Metadata)
    files: Many[MessageFile] = []


class TtsMessageEvent(Event):
    """A piece of the answer as speech. May come after `message_end`."""

    event: Literal["tts_message"]
    audio: Text = ""
    """MP3, in base64."""


class TtsMessageEndEvent(Event):
    """The speech is complete."""

    event: Literal["tts_message_end"]
    audio: Text = ""


class ErrorEvent(Event):
    """The run failed; nothing follows. A stream raises it as `APIStatusError` and never yields it."""

    event: Literal["error"]
    status: int = 500
    code: Text = ""
    message: Text = ""


class PingEvent(Event):
    """A sign of life. Dify sends it without data, so it does not arrive; a later version may."""

    event: Literal["ping"]


# Runs of workflows and chatflows


class WorkflowStartedData(Model):
    """The run that begins."""

    id: str | None = None
    workflow_id: str | None = None
    inputs: dict[str, JsonValue] | None = None
    """With those of the system, as "sys.query"."""
    created_at: int | None = None
    reason: Literal["initial", "resumption"] | str | None = None
    """Dify 1.14 and later."""
    sequence_number: int | None = None
    """Old versions of Dify."""


class WorkflowStartedEvent(Event):
    """The run begins, or goes on after a pause."""

    event: Literal["workflow_started"]
    data: WorkflowStartedData


class WorkflowFinishedData(Model):
    """The run that ended: its outputs, or its error."""

    id: str | None = None
    workflow_id: str | None = None
    status: WorkflowStatus
    outputs: dict[str, JsonValue] | None = None
    error: str | None = None
    elapsed_time: float | None = None
    total_tokens: int | None = None
    total_steps: int | None = None
    created_by: dict[str, JsonValue] | None = None
    created_at: int | None = None
    finished_at: int | None = None
    exceptions_count: int | None = None
    files: Many[MessageFile] = []


class WorkflowFinishedEvent(Event):
    """The run ended: `data.status` says how. A chatflow sends `message_end` too, before (1.16) or after."""

    event: Literal["workflow_finished"]
    data: WorkflowFinishedData


class WorkflowPausedEvent(Event):
    """The run waits for a person; the stream ends (Dify 1.14 and later)."""

    event: Literal["workflow_paused"]
    data: PausedData


class NodeStartedData(Model):
    """The node that begins. The same in `node_finished`."""

    id: str | None = None
    """Of this execution: `node_finished` has the same."""
    node_id: str | None = None
    node_type: str | None = None
    title: Text = ""
    index: int | None = None
    predecessor_node_id: str | None = None
    inputs: dict[str, JsonValue] | None = None
    inputs_truncated: bool | None = None
    """They were too large to be told whole, as may be what has such a field below."""
    created_at: int | None = None
    extras: dict[str, JsonValue] | None = None
    """The icon of a tool, for one."""
    iteration_id: str | None = None
    loop_id: str | None = None
    agent_strategy: dict[str, JsonValue] | None = None


class NodeStartedEvent(Event):
    """A node begins. Iterations and loops have events of their own."""

    event: Literal["node_started"]
    data: NodeStartedData


class NodeFinishedData(NodeStartedData):
    """The node that ended: what it took and gave, or its error."""

    status: Literal["running", "succeeded", "failed", "exception", "stopped"] | str = ""
    process_data: dict[str, JsonValue] | None = None
    process_data_truncated: bool | None = None
    outputs: dict[str, JsonValue] | None = None
    outputs_truncated: bool | None = None
    error: str | None = None
    elapsed_time: float | None = None
    execution_metadata: dict[str, JsonValue] | None = None
    """Where the node used a model: total_tokens, total_price, currency."""
    finished_at: int | None = None
    files: Many[MessageFile] = []


class NodeFinishedEvent(Event):
    """A node ended. One that runs when the run is stopped never does."""

    event: Literal["node_finished"]
    data: NodeFinishedData


class NodeRetryData(NodeFinishedData):
    """The node that is tried again, and why."""

    retry_index: int | None = None


class NodeRetryEvent(Event):
    """A node failed and is tried again."""

    event: Literal["node_retry"]
    data: NodeRetryData


class RoundsData(Model):
    """An iteration or a loop."""

    id: str | None = None
    node_id: str | None = None
    node_type: str | None = None
    title: Text = ""
    index: int | None = None
    """Of the round that begins, from 0."""
    inputs: dict[str, JsonValue] | None = None
    inputs_truncated: bool | None = None
    outputs: JsonValue = None
    outputs_truncated: bool | None = None
    pre_loop_output: JsonValue = None
    status: str | None = None
    error: str | None = None
    elapsed_time: float | None = None
    total_tokens: int | None = None
    steps: int | None = None
    metadata: dict[str, JsonValue] | None = None
    execution_metadata: dict[str, JsonValue] | None = None
    extras: dict[str, JsonValue] | None = None
    created_at: int | None = None
    finished_at: int | None = None


class IterationStartedEvent(Event):
    """An iteration begins."""

    event: Literal["iteration_started"]
    data: RoundsData


class IterationNextEvent(Event):
    """An iteration's next round begins."""

    event: Literal["iteration_next"]
    data: RoundsData


class IterationCompletedEvent(Event):
    """An iteration ended."""

    event: Literal["iteration_completed"]
    data: RoundsData


class LoopStartedEvent(Event):
    """A loop begins."""

    event: Literal["loop_started"]
    data: RoundsData


class LoopNextEvent(Event):
    """A loop's next round begins."""

    event: Literal["loop_next"]
    data: RoundsData


class LoopCompletedEvent(Event):
    """A loop ended."""

    event: Literal["loop_completed"]
    data: RoundsData


class TextData(Model):
    """A piece of text, and the output that it belongs to."""

    text: Text = ""
    from_variable_selector: list[str] | None = None


class TextChunkEvent(Event):
    """The next piece of a workflow's text. Dify streams all outputs in order, joined by line ends."""

    event: Literal["text_chunk"]
    data: TextData

    @property
    def text(self) -> str:
        return self.data.text


class TextReplaceEvent(Event):
    """`data.text` takes the place of all text before it. In Dify's list of events, but sent by none known."""

    event: Literal["text_replace"]
    data: TextData


class ReasoningData(Model):
    """A piece of thinking; `is_final` says that it was the last."""

    reasoning: Text = ""
    node_id: str | None = None
    message_id: str | None = None
    is_final: bool = False


class ReasoningChunkEvent(Event):
    """The next piece of what a model thinks, where the node keeps that apart (Dify 1.15 and later)."""

    event: Literal["reasoning_chunk"]
    data: ReasoningData


class AgentLogData(Model):
    """A step of an agent node, as its agent strategy tells it."""

    id: str | None = None
    node_execution_id: str | None = None
    node_id: str | None = None
    label: Text = ""
    parent_id: str | None = None
    status: str | None = None
    error: str | None = None
    data: JsonValue = None
    metadata: dict[str, JsonValue] | None = None


class AgentLogEvent(Event):
    """A step of an agent node. The same `data.id` comes again as the step goes on: the last one holds."""

    event: Literal["agent_log"]
    data: AgentLogData


class HumanInputRequiredEvent(Event):
    """The run needs a person; `workflow_paused` follows (Dify 1.14 and later)."""

    event: Literal["human_input_required"]
    data: HumanInputForm


class HumanInputDoneData(Model):
    """The form that somebody filled in, or nobody in time."""

    node_id: str | None = None
    node_title: Text = ""
    rendered_content: str | None = None
    action_id: str | None = None
    action_text: str | None = None
    submitted_data: dict[str, JsonValue] | None = None
    expiration_time: int | None = None


class HumanInputFormFilledEvent(Event):
    """Somebody submitted the form; the run goes on."""

    event: Literal["human_input_form_filled"]
    data: HumanInputDoneData


class HumanInputFormTimeoutEvent(Event):
    """Nobody submitted the form in time; the run goes on."""

    event: Literal["human_input_form_timeout"]
    data: HumanInputDoneData


class StreamGapEvent(Event):
    """Not of Dify's: the stream was lost and taken up again, and this could not be had again."""

    event: Literal["stream_gap"]
    lost: list[Lost]
    reason: str = ""
    """What went wrong, if something did when it was asked for."""


class OtherEvent(Event):
    """An event that this version does not know: its `name`, and all of it as Dify sent it."""

    event: Literal["other"]
    name: str
    payload: dict[str, JsonValue]

    @model_validator(mode="before")
    @classmethod
    def _wrap(cls, value: Any) -> Any:  # Any: what pydantic gives and takes here
        if not is_object(value) or value.get("event") == "other":
            return value
        envelope = {key: value[key] for key in Event.model_fields if key in value}
        return envelope | {"event": "other", "name": str(value.get("event", "")), "payload": value}


# The unions

_Text = Annotated[MessageEvent, Tag("message")] | Annotated[MessageReplaceEvent, Tag("message_replace")]
_File = Annotated[MessageFileEvent, Tag("message_file")]
_End = Annotated[MessageEndEvent, Tag("message_end")]
_Speech = (
    Annotated[TtsMessageEvent, Tag("tts_message")] | Annotated[TtsMessageEndEvent, Tag("tts_message_end")]
)
_Agent = (
    Annotated[AgentMessageEvent, Tag("agent_message")] | Annotated[AgentThoughtEvent, Tag("agent_thought")]
)
_Run = (
    Annotated[WorkflowStartedEvent, Tag("workflow_started")]
    | Annotated[WorkflowFinishedEvent, Tag("workflow_finished")]
    | Annotated[WorkflowPausedEvent, Tag("workflow_paused")]
    | Annotated[NodeStartedEvent, Tag("node_started")]
    | Annotated[NodeFinishedEvent, Tag("node_finished")]
    | Annotated[NodeRetryEvent, Tag("node_retry")]
    | Annotated[IterationStartedEvent, Tag("iteration_started")]
    | Annotated[IterationNextEvent, Tag("iteration_next")]
    | Annotated[IterationCompletedEvent, Tag("iteration_completed")]
    | Annotated[LoopStartedEvent, Tag("loop_started")]
    | Annotated[LoopNextEvent, Tag("loop_next")]
    | Annotated[LoopCompletedEvent, Tag("loop_completed")]
    | Annotated[TextChunkEvent, Tag("text_chunk")]
    | Annotated[TextReplaceEvent, Tag("text_replace")]
    | Annotated[ReasoningChunkEvent, Tag("reasoning_chunk")]
    | Annotated[AgentLogEvent, Tag("agent_log")]
    | Annotated[HumanInputRequiredEvent, Tag("human_input_required")]
    | Annotated[HumanInputFormFilledEvent, Tag("human_input_form_filled")]
    | Annotated[HumanInputFormTimeoutEvent, Tag("human_input_form_timeout")]
    | Annotated[StreamGapEvent, Tag("stream_gap")]
)
_Rest = Annotated[PingEvent, Tag("ping")] | Annotated[OtherEvent, Tag("other")]
_Error = Annotated[ErrorEvent, Tag("error")]


def by_name(union: Any) -> Discriminator:  # Any: a union of the above has no better type
    """Choose by Dify's `event`; what is not in this union is "other"."""
    names = frozenset(tag.tag for member in get_args(union) for tag in member.__metadata__)

    def tag(value: Any) -> str:  # Any: JSON, or an event where a model that holds one is built
        name: Any = value.get("event") if is_object(value) else getattr(value, "event", None)
        return name if isinstance(name, str) and name in names else "other"

    return Discriminator(tag)


_Chat = _Text | _Agent | _File | _End | _Speech | _Run | _Rest
_Completion = _Text | _File | _End | _Speech | _Rest
_Workflow = _Run | _Speech | _Rest

ChatEvent = Annotated[_Chat, by_name(_Chat)]
"""What a chat app, an agent or a chatflow sends."""

CompletionEvent = Annotated[_Completion, by_name(_Completion)]
"""What a text generator sends."""

WorkflowEvent = Annotated[_Workflow, by_name(_Workflow)]
"""What a workflow sends."""

# What stands in an event must not stand in an error: prompts are private.
EVENT_CONFIG = ConfigDict(defer_build=True, hide_input_in_errors=True)

CHAT_EVENTS: TypeAdapter[_Chat | ErrorEvent] = TypeAdapter(
    Annotated[_Chat | _Error, by_name(_Chat | _Error)], config=EVENT_CONFIG
)
COMPLETION_EVENTS: TypeAdapter[_Completion | ErrorEvent] = TypeAdapter(
    Annotated[_Completion | _Error, by_name(_Completion | _Error)], config=EVENT_CONFIG
)
WORKFLOW_EVENTS: TypeAdapter[_Workflow | ErrorEvent] = TypeAdapter(
    Annotated[_Workflow | _Error, by_name(_Workflow | _Error)], config=EVENT_CONFIG
)
