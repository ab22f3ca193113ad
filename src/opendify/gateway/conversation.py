"""A message list as a conversation: the system prompt, what was said, and the question. Pure.

What is sent on or compared is cleaned here, in one place: no invisible ids, no thinking, no stray spaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from opendify.gateway import zero_width
from opendify.gateway.errors import invalid
from opendify.gateway.thinking import answer_in
from opendify.gateway.wire import THINKING_PARTS, Message, Part

SYSTEM_ROLES = frozenset({"system", "developer"})
_CHINESE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_LETTER = re.compile(r"[A-Za-z\u00c0-\u02af\u0370-\u1fff]+")
_SAMPLE = 4_000
"""Characters of the history that decide its language; the newest ones count."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What one request says.

    Attributes:
        system: The system prompt: all system and developer messages at the start, joined by blank lines.
        history: The turns around the question, in order. Usually they end with an assistant's turn.
        question: The last user turn.
        question_index: Its place in the request's ``messages``.
    """

    system: str
    history: Sequence[Message]
    question: Message
    question_index: int

    @property
    def goes_on(self) -> bool:
        """True if the history ends with an answer, so that it may be the newest turn of a conversation."""
        return bool(self.history) and self.history[-1].role == "assistant"

    def has_files(self, *, history: bool) -> bool:
        """Whether the question, or with ``history`` any turn, carries something that is not text."""
        turns = [*self.history, self.question] if history else [self.question]
        return any(True for message in turns for _ in attachments(message))


def read(messages: Sequence[Message]) -> Conversation:
    """Find system prompt, history and question.

    Raises:
        OpenAIError: 400 if nothing in ``messages`` asks anything.

    >>> chat = read([Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello"),
    ...              Message("user", "And now?")])
    >>> chat.system, [message.text for message in chat.history], chat.question.text
    ('Be brief.', ['Hi', 'Hello'], 'And now?')
    """
    start = 0
    while start < len(messages) and messages[start].role in SYSTEM_ROLES:
        start += 1
    system = "\n\n".join(text for message in messages[:start] if (text := said(message)))
    for index in range(len(messages) - 1, start - 1, -1):
        if messages[index].role == "user":
            history = [*messages[start:index], *messages[index + 1 :]]
            question = messages[index]
            if not said(question) and not any(attachments(question)):
                raise invalid("The last message of role 'user' is empty.", f"messages[{index}].content")
            return Conversation(system, history, question, index)
    if start == len(messages) and system:
        return Conversation("", (), Message("user", system), start - 1)
    raise invalid("'messages' has no message of role 'user', so there is nothing to ask.", "messages")


def said(message: Message) -> str:
    """A message's text as it counts: trimmed, without invisible ids, an assistant's without its thinking."""
    text = zero_width.strip(message.text)
    if message.role == "assistant":
        text = answer_in(text)
    return text.strip()


def attachments(message: Message) -> Iterator[tuple[int, Part]]:
    """The parts of a message that are not text, with their places in its content."""
    if isinstance(message.content, list):
        for index, part in enumerate(message.content):
            thought = part.type in THINKING_PARTS and message.role == "assistant"
            if part.type not in ("text", "refusal") and not thought:
                yield index, part


def seeded(conversation: Conversation, system: str) -> str:
    """The query that carries the earlier turns into a new Dify conversation.

    >>> chat = read([Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "And now?")])
    >>> print(seeded(chat, "Be brief."))
    <history>
    system: Be brief.
    <BLANKLINE>
    user: Hi
    <BLANKLINE>
    assistant: Hello
    </history>
    <BLANKLINE>
    Current question: And now?
    """
    question = said(conversation.question)
    turns = [f"{message.role}: {text}" for message in conversation.history if (text := _told(message))]
    if not turns:
        return f"{system}\n\n{question}" if system else question
    if system:
        turns.insert(0, f"system: {system}")
    history = "\n\n".join(turns)
    label = "用户当前问题:" if _mostly_chinese(history) else "Current question:"
    return f"<history>\n{history}\n</history>\n\n{label} {question}"


def _told(message: Message) -> str:
    """A turn of the history as text; what can't be told in words is named, never dropped unseen."""
    marks = [
        f"[{part.file.filename or 'file' if part.file else part.type.removesuffix('_url')}]"
        for _, part in attachments(message)
    ]
    return "\n".join(filter(None, [said(message), *marks]))


def _mostly_chinese(text: str) -> bool:
    if text.isascii():
        return False
    sample = text[-_SAMPLE:]
    return len(_CHINESE.findall(sample)) > len(_LETTER.findall(sample))


class Digest:
    """The identity of a conversation so far: equal for message lists that say the same.

    >>> first = Digest("Be brief.").add(Message("user", "Hi"))
    >>> first.key() == Digest(" Be brief. ").add(Message("user", "Hi\\n")).key()
    True
    """

    __slots__ = ("_hash",)

    def __init__(self, system: str) -> None:
        self._hash = blake2b(digest_size=16)
        self._field(system.strip())

    def add(self, message: Message) -> Digest:
        """One more turn."""
        self._field(message.role)
        self._field(said(message))
        for _, part in attachments(message):
            for text in _fingerprint(part):
                self._field(text)
        return self

    def key(self) -> str:
        """The digest so far, as hexadecimal text."""
        return self._hash.hexdigest()

    def _field(self, text: str) -> None:
        data = text.encode("utf-8", "surrogatepass")
        self._hash.update(b"%d:" % len(data))
        self._hash.update(data)


def _fingerprint(part: Part) -> tuple[str, ...]:
    """What makes an attachment the same one when a client sends it again."""
    image, audio, file = part.image_url, part.input_audio, part.file
    return (
        part.type,
        image if isinstance(image, str) else image.url if image else "",
        audio.data if audio else "",
        (file.file_data or file.file_id or "") if file else "",
    )
