"""Messages as Dify keeps them: a query, its answer, and all that belongs to the two."""

# ruff: noqa: RUF012  pydantic copies the defaults of fields

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import AliasChoices, Field

from ._model import Many, Model, Text, Values
from .chat import AgentThought, MessageFile, RetrieverResource
from .feedback import Rating

__all__ = ["Message", "MessageFeedback", "MessageThought"]


class MessageFeedback(Model):
    """How the end user rated an answer."""

    rating: Rating | str | None = None


class MessageThought(AgentThought):
    """A step of an agent, as it is kept with the message."""

    # A stream calls the same list message_files.
    message_files: Many[str] = Field(default=[], validation_alias=AliasChoices("files", "message_files"))
    chain_id: str | None = None
    message_id: str | None = None
    created_at: int | None = None
    """Seconds since 1970."""


class Message(Model):
    """A query and its answer.

    The answer is empty if the client went away while it was written, or if it failed (Dify 1.12.1).
    """

    id: str
    conversation_id: str = ""
    parent_message_id: str | None = None
    """Only zeros where there is none."""
    inputs: Values = {}
    query: Text = ""
    answer: Text = ""
    status: Literal["normal", "error"] | str = "normal"
    error: str | None = None
    """Why it failed."""
    message_files: Many[MessageFile] = []
    """Files of the query (`belongs_to` is "user") and of the answer ("assistant")."""
    feedback: MessageFeedback | None = None
    """The end user's, if there is any."""
    retriever_resources: Many[RetrieverResource] = []
    agent_thoughts: Many[MessageThought] = []
    extra_contents: Many[Values] = []
    """What a chatflow asked a person for on the way, from 1.14."""
    created_at: int | None = None
    """Seconds since 1970."""
    message_tokens: int | None = None
    """Of the query; from 1.16, as are all below."""
    answer_tokens: int | None = None
    total_tokens: int | None = None
    provider_response_latency: float | None = None
    """Seconds."""
    total_price: Decimal | None = None
    currency: str | None = None
