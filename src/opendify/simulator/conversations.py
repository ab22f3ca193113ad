"""What Dify remembers: conversations and their messages, per app and user."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from uuid import uuid4

from opendify.simulator.conversation_variables import ConversationVariable
from opendify.simulator.errors import not_exists
from opendify.simulator.files import File
from opendify.simulator.forms import Form
from opendify.simulator.model import Said, Usage

NO_PARENT = "00000000-0000-0000-0000-000000000000"


@dataclass(slots=True)
class Thought:
    """One step of an agent: what it thought, which tool it called, what it saw."""

    position: int
    id: str = field(default_factory=lambda: str(uuid4()))
    thought: str = ""
    observation: str = ""
    tool: str = ""
    tool_labels: dict[str, object] = field(default_factory=lambda: dict[str, object]())
    tool_input: str = ""
    files: list[str] = field(default_factory=lambda: list[str]())
    created_at: int = field(default_factory=lambda: int(time.time()))


@dataclass(slots=True)
class MessageFile:
    """A file that belongs to a message: of the user, or of the assistant."""

    file: File
    belongs_to: str
    id: str = field(default_factory=lambda: str(uuid4()))


@dataclass(slots=True)
class Feedback:
    """What a user thinks of an answer."""

    rating: str
    content: str | None
    id: str = field(default_factory=lambda: str(uuid4()))
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)


@dataclass(slots=True)
class Message:
    """One turn: a question and its answer.

    Args:
        conversation_id: completion apps have conversations too, which nobody sees.
    """

    user: str
    conversation_id: str
    query: str
    inputs: dict[str, object]
    id: str = field(default_factory=lambda: str(uuid4()))
    answer: str = ""
    status: str = "normal"
    error: str | None = None
    created_at: int = field(default_factory=lambda: int(time.time()))
    thoughts: list[Thought] = field(default_factory=lambda: list[Thought]())
    files: list[MessageFile] = field(default_factory=lambda: list[MessageFile]())
    retriever_resources: list[dict[str, object]] = field(default_factory=lambda: list[dict[str, object]]())
    feedback: Feedback | None = None
    forms: list[Form] = field(default_factory=lambda: list[Form]())
    usage: Mapping[str, object] = field(default_factory=lambda: Usage().json(0.0))


@dataclass(slots=True)
class Conversation:
    """A conversation of one user with one app."""

    inputs: dict[str, object]
    introduction: str = ""
    id: str = field(default_factory=lambda: str(uuid4()))
    name: str = "New conversation"
    created_at: int = field(default_factory=lambda: int(time.time()))
    updated_at: int = field(default_factory=lambda: int(time.time()))
    messages: list[Message] = field(default_factory=lambda: list[Message]())
    variables: list[ConversationVariable] = field(default_factory=lambda: list[ConversationVariable]())

    def history(self) -> tuple[Said, ...]:
        """The earlier turns as a model sees them. A message without an answer is left out, as in Dify."""
        said: list[Said] = []
        for message in self.messages:
            if message.answer:
                said.append(Said("user", message.query))
                for thought in message.thoughts:
                    if thought.tool:
                        said += (Said("assistant", ""), Said("tool", thought.observation))
                said.append(Said("assistant", message.answer))
        return tuple(said)


def title(query: str) -> str:
    """The name that the model gives a conversation, by its first question."""
    return f"Simulated title: {query[:40]}"


class Conversations:
    """The conversations of one app, each visible to its own user only."""

    def __init__(self) -> None:
        self._by_user: dict[str, dict[str, Conversation]] = {}

    def start(
        self,
        user: str,
        inputs: dict[str, object],
        introduction: str,
        variables: Iterable[ConversationVariable] = (),
    ) -> Conversation:
        """A new conversation."""
        conversation = Conversation(inputs, introduction, variables=[replace(one) for one in variables])
        self._by_user.setdefault(user, {})[conversation.id] = conversation
        return conversation

    def get(self, user: str, conversation_id: str, uri: str) -> Conversation:
        """A conversation of this user.

        Raises:
            Refusal: 404, the same whether it is deleted, another user's, another app's, or never was.
        """
        found = self._by_user.get(user, {}).get(conversation_id)
        if found is None:
            raise not_exists("Conversation", uri)
        return found

    def of(self, user: str) -> list[Conversation]:
        """All conversations of a user, in the order in which they began."""
        return list(self._by_user.get(user, {}).values())

    def delete(self, user: str, conversation_id: str) -> list[Message]:
        """Forget a conversation, and give its messages; none if it is not there, or another user's."""
        found = self._by_user.get(user, {}).pop(conversation_id, None)
        return [] if found is None else found.messages
