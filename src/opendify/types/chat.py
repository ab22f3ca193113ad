"""What a chat app, an agent or a text generator replies, and the parts that it is made of."""

# ruff: noqa: RUF012  pydantic copies the defaults of fields

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, JsonValue, model_validator

from ._model import Count, Many, Model, Price, Text
from .human_input import PausedData

__all__ = [
    "AgentThought",
    "AnnotationReply",
    "ChatReply",
    "CompletionReply",
    "Lost",
    "MessageFile",
    "Metadata",
    "RetrieverResource",
    "Usage",
]

Lost = Literal["text", "reasoning", "usage"]
"""What may be missing from the reply of a stream that was lost and taken up again."""

_FREE = Decimal(0)


class Usage(Model):
    """Tokens and their price, as Dify counts them.

    All zero where nothing was generated, and after a stop (Dify 1.12.1).
    """

    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    total_tokens: Count = 0
    prompt_unit_price: Price = _FREE
    prompt_price_unit: Price = _FREE
    prompt_price: Price = _FREE
    completion_unit_price: Price = _FREE
    completion_price_unit: Price = _FREE
    completion_price: Price = _FREE
    total_price: Price = _FREE
    currency: Text = ""
    latency: float | None = None
    """Seconds, as are the two below."""
    time_to_first_token: float | None = None
    time_to_generate: float | None = None


class RetrieverResource(Model):
    """A passage of a knowledge base that the answer was made from. Dify may leave any of it null."""

    position: int | None = None
    dataset_id: str | None = None
    dataset_name: str | None = None
    document_id: str | None = None
    document_name: str | None = None
    data_source_type: str | None = None
    segment_id: str | None = None
    retriever_from: str | None = None
    score: float | None = None
    hit_count: int | None = None
    word_count: int | None = None
    segment_position: int | None = None
    index_node_hash: str | None = None
    content: str | None = None
    page: int | None = None
    doc_metadata: dict[str, JsonValue] | None = None
    title: str | None = None
    files: list[JsonValue] | None = None
    summary: str | None = None
    id: str | None = None
    message_id: str | None = None
    created_at: int | None = None
    """Seconds since 1970."""


class AnnotationReply(Model):
    """The answer was written by a person, not by the model: which annotation it is, and whose."""

    id: str = ""
    account: dict[str, JsonValue] | None = None


class Metadata(Model):
    """What stands beside an answer."""

    usage: Usage | None = None
    retriever_resources: Many[RetrieverResource] = []
    annotation_reply: AnnotationReply | None = None

    @model_validator(mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:  # Any: what pydantic gives and takes here
        return {} if value is None else value


class MessageFile(Model):
    """A file that the app made, or took.

    `url` is signed and is valid for about five minutes; it may be relative to the Dify server. Which of
    the other fields are there depends on where the file stands: files of a workflow have `filename`,
    `mime_type`, `extension` and `size` (bytes), those of an agent `belongs_to`.
    """

    id: str | None = None
    type: str | None = None
    """image, document, audio, video or custom."""
    url: str | None = None
    belongs_to: str | None = None
    """user or assistant."""
    filename: str | None = None
    mime_type: str | None = None
    extension: str | None = None
    size: int | None = None
    transfer_method: str | None = None
    remote_url: str | None = None
    related_id: str | None = None
    upload_file_id: str | None = None
    """Of a file in a message that is listed, for `files.preview`."""


class AgentThought(Model):
    """One step of an agent: what it thought, the tool that it called and what came back."""

    id: str = ""
    position: int = 0
    thought: Text = ""
    tool: Text = ""
    """Names of the tools, joined by ";". Empty in a step without a tool."""
    tool_input: Text = ""
    """JSON: what each tool was given, by its name."""
    observation: Text = ""
    """JSON, mostly: what each tool gave back, by its name."""
    tool_labels: dict[str, JsonValue] | None = None
    message_files: Many[str] = []
    """Ids of the files that the tools made."""


class CompletionReply(Model):
    """The whole answer of a text generator."""

    answer: str
    message_id: str
    task_id: str = ""
    created_at: int = 0
    """Seconds since 1970."""
    metadata: Metadata = Field(default_factory=Metadata)
    files: list[MessageFile] = []
    """Files that the app made."""
    replaced: bool = False
    """Moderation replaced what the model had written; `answer` is the replacement."""

    @property
    def usage(self) -> Usage:
        """Tokens and price; all zero if Dify gave none."""
        return self.metadata.usage or Usage()

    @property
    def citations(self) -> list[RetrieverResource]:
        """The passages that the answer was made from, each once, in their order."""
        passages = self.metadata.retriever_resources
        return list({(one.dataset_id, one.document_id, one.segment_id): one for one in passages}.values())


class ChatReply(CompletionReply):
    """The whole answer of a chat app, an agent or a chatflow."""

    conversation_id: str
    """Pass it with the next query to go on in this conversation."""
    thoughts: list[AgentThought] = []
    """The steps of an agent, in order."""
    reasoning: str = ""
    """What a chatflow's model thought before it answered, where Dify keeps that apart (from 1.15)."""
    workflow_run_id: str | None = None
    """Chatflow only, as are all below."""
    workflow_status: str | None = None
    """succeeded, stopped, partial-succeeded or paused."""
    outputs: dict[str, JsonValue] | None = None
    paused: PausedData | None = None
    """What a chatflow waits for, with the forms and their tokens (Dify 1.14 and later)."""
    lost: list[Lost] = []
    """What may be missing, where the stream was lost and taken up again. Mostly nothing is."""
