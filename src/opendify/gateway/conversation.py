"""A message list as a conversation: the system prompt, what was said, and what is new. Pure.

What is sent on or compared is cleaned here, in one place: no invisible ids, no thinking, no stray spaces.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from math import isfinite
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import msgspec
from msgspec.structs import replace

from opendify.gateway import zero_width
from opendify.gateway.calls import is_ours
from opendify.gateway.errors import invalid
from opendify.gateway.thinking import MARKS_BEGIN, answer_in
from opendify.gateway.wire import THINKING_PARTS, Message, Part, ToolCall

if TYPE_CHECKING:
    from _hashlib import HASH

SYSTEM_ROLES = frozenset({"system", "developer"})
RESULT_ROLES = frozenset({"tool", "function"})
"""Who says what came of a call."""

_EXACT = 2**53
"""Whole numbers up to here are the same in every client; JavaScript rounds larger ones."""

_CHINESE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_LETTER = re.compile(r"[A-Za-z\u00c0-\u02af\u0370-\u1fff]+")
_SAMPLE = 4_000
"""Characters of the history that decide its language; the newest ones count."""


T = TypeVar("T")


class _Once(Generic[T]):
    """What is made when it is asked for, and then kept.

    Not `functools.cached_property`: up to Python 3.11 that has one lock for all conversations, and one that
    is read in a thread would hold up everybody else's tokens.
    """

    def __init__(self, make: Callable[[Conversation], T]) -> None:
        self._make = make
        self._name = make.__name__

    def __get__(self, conversation: Conversation, _: type[Conversation]) -> T:
        made = vars(conversation)[self._name] = self._make(conversation)
        return made


class Conversation(msgspec.Struct, frozen=True, dict=True):
    """What one request says.

    Attributes:
        system: The system prompt: all system and developer messages at the start, joined by blank lines.
        history: The turns around what is new, in order. Usually they end with an assistant's turn.
        results: What came of the calls that the last assistant's turn asked for; usually nothing.
        question: The last user turn. None where results are all that is new.
        places: Where in the request's ``messages`` the new turns stand: those of `results`, then `question`.
        large: There is much to read in it: whoever reads all of it does so in a thread.
    """

    system: str
    history: Sequence[Message]
    question: Message | None
    results: Sequence[Message] = ()
    places: Sequence[int] = ()
    large: bool = False

    @property
    def new(self) -> Sequence[Message]:
        """What the app has not heard yet, in order: the results, then the question."""
        return self.results if self.question is None else (*self.results, self.question)

    @property
    def asks(self) -> str:
        """The question's text; empty if there is none."""
        return "" if self.question is None else said(self.question)

    @_Once
    def plain(self) -> bool:
        """Whether the history is nothing but text: no files, no calls and no results."""
        history = self.history
        return (
            {type(message.content) for message in history} <= {str}
            and RESULT_ROLES.isdisjoint([message.role for message in history])
            and not [message for message in history if message.tool_calls or message.function_call]
        )

    @_Once
    def texts(self) -> Sequence[str]:
        """What each turn of the history says."""
        if self.plain:
            texts = [cast("str", message.content).strip() for message in self.history]
            # what needs no cleaning beyond that is most of a long history: to see so costs a fifth of it
            if all(map(str.isascii, texts)) and MARKS_BEGIN.isdisjoint([text[:1] for text in texts]):
                return texts
        return [said(message) for message in self.history]

    @_Once
    def lines(self) -> Sequence[str]:
        """Each turn of the history as a line of a play: made once, for identity and seed alike."""
        return [f"{message.role}: {text}" for message, text in zip(self.history, self.texts, strict=True)]

    @_Once
    def digest(self) -> Digest:
        """The identity of the history. Pictures in it take their time."""
        digest = Digest(self.system)
        if not self.history:
            return digest
        return digest.add_lines(self.lines) if self.plain else digest.add(self.history)

    @property
    def goes_on(self) -> bool:
        """True if the history ends with an answer, so that it may be the newest turn of a conversation."""
        return bool(self.history) and self.history[-1].role == "assistant"

    def has_files(self, *, history: bool) -> bool:
        """Whether what is new, or with ``history`` any turn, carries something that is not text."""
        earlier = history and bool(self.history) and not self.plain and self._history_has_files
        return earlier or any(map(_has_files, self.new))

    @_Once
    def _history_has_files(self) -> bool:
        return any(map(_has_files, self.history))

    @property
    def called(self) -> Sequence[str]:
        """What names the calls of the history's last turn, in order; empty where that has none."""
        return called(self.history[-1]) if self.history else ()

    def exchange(self) -> Conversation:
        """The same without what was said before the user's turn that led to the calls which results are of.

        Without the calls, and what they were for, results mean nothing.
        """
        turns = self.history
        asks = next((at for at in range(len(turns) - 1, -1, -1) if calls(turns[at])), len(turns))
        start = next((at for at in range(asks - 1, -1, -1) if turns[at].role == "user"), 0)
        return replace(self, history=turns[start:])


def read(messages: Sequence[Message], *, large: bool = False) -> Conversation:
    """Find system prompt, history and what is new.

    New are the results after the last assistant's turn, with the user turn that follows them, if one does;
    where there are no such results, the last user turn.

    Args:
        messages: Those of the request.
        large: There is much to read in them.

    Raises:
        OpenAIError: 400 if nothing in ``messages`` asks anything, or a result belongs to no call.

    >>> chat = read([Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello"),
    ...              Message("user", "And now?")])
    >>> chat.system, [message.text for message in chat.history], chat.asks
    ('Be brief.', ['Hi', 'Hello'], 'And now?')

    >>> from opendify.gateway.wire import FunctionCall
    >>> call = ToolCall("call_1", FunctionCall("get_weather", '{"city": "Rome"}'))
    >>> chat = read([Message("user", "Is it warm?"), Message("assistant", tool_calls=[call]),
    ...              Message("tool", "22 degrees", tool_call_id="call_1")])
    >>> [message.text for message in chat.results], chat.question
    (['22 degrees'], None)
    """
    start = 0
    while start < len(messages) and messages[start].role in SYSTEM_ROLES:
        start += 1
    system = "\n\n".join(text for message in messages[:start] if (text := said(message)))
    roles = [message.role for message in messages]
    results = [] if RESULT_ROLES.isdisjoint(roles) else _new_results(messages)
    first = results[-1] + 1 if results else start
    asked = next((at for at in range(len(messages) - 1, first - 1, -1) if roles[at] == "user"), None)
    new = results if asked is None else [*results, asked]
    if not new:
        if start == len(messages) and system:
            return Conversation("", (), Message("user", system), (), [start - 1], large)
        raise invalid("'messages' has no message of role 'user', so there is nothing to ask.", "messages")
    question = None if asked is None else messages[asked]
    if question and not results and not said(question) and not any(attachments(question)):
        raise invalid("The last message of role 'user' is empty.", f"messages[{asked}].content")
    history = list(messages[start:])
    for at in reversed(new):
        del history[at - start]
    return Conversation(system, history, question, [messages[at] for at in results], new, large)


def _new_results(messages: Sequence[Message]) -> list[int]:
    """Where results stand behind the last assistant's turn.

    Raises:
        OpenAIError: 400 for a result that belongs to no call.
    """
    known: set[str] = set()
    new: list[int] = []
    for at, message in enumerate(messages):
        if message.role == "tool" and message.tool_call_id not in known:
            what = (
                f"answers the call '{message.tool_call_id[:64]}'" if message.tool_call_id else "names no call"
            )
            raise invalid(
                f"'messages[{at}]' of role 'tool' {what}; its 'tool_call_id' takes the id of a call "
                "in 'tool_calls' of an assistant's message before it.",
                f"messages[{at}].tool_call_id",
            )
        if message.tool_calls:
            known.update(call.id for call in message.tool_calls)
        if message.role == "assistant":
            new.clear()
        elif message.role in RESULT_ROLES:
            new.append(at)
    return new


def calls(message: Message) -> Sequence[ToolCall]:
    """What an assistant's message asks the client to call. A call of the older form has no id."""
    if message.tool_calls:
        return message.tool_calls
    return [ToolCall("", message.function_call)] if message.function_call else ()


def called(message: Message) -> Sequence[str]:
    """What results name the calls of a message by: their ids, in the older form the function's name."""
    return [call.id or call.function.name for call in calls(message)]


def said(message: Message) -> str:
    """A message's text as it counts: trimmed, without invisible ids, an assistant's without its thinking."""
    content = message.content
    text = content if isinstance(content, str) else message.text
    if not text.isascii():
        text = zero_width.strip(text)
    if message.role == "assistant":
        text = answer_in(text)
    return text.strip()


def _has_files(message: Message) -> bool:
    return not isinstance(message.content, str) and any(attachments(message))


def attachments(message: Message) -> Iterator[tuple[int, Part]]:
    """The parts of a message that are not text, with their places in its content."""
    if isinstance(message.content, list):
        for index, part in enumerate(message.content):
            thought = part.type in THINKING_PARTS and message.role == "assistant"
            if part.type not in ("text", "refusal") and not thought:
                yield index, part


def told(message: Message) -> str:
    """A turn as text; what can't be told in words is named, never dropped unseen.

    >>> told(Message("user", [Part("text", text="See"), Part("image_url", image_url="https://x/cat.png")]))
    'See\\n[image]'
    """
    marks = [
        f"[{part.file.filename or 'file' if part.file else part.type.removesuffix('_url')}]"
        for _, part in attachments(message)
    ]
    return "\n".join(filter(None, [said(message), *marks]))


def mostly_chinese(text: str) -> bool:
    """Whether a text is Chinese rather than anything else; its end counts.

    >>> mostly_chinese("Python 的 asyncio 是什么意思？请详细解释一下"), mostly_chinese("What is 你好?")
    (True, False)
    """
    if text.isascii():
        return False
    sample = text[-_SAMPLE:]
    return len(_CHINESE.findall(sample)) > len(_LETTER.findall(sample))


def in_chinese(conversation: Conversation) -> bool:
    """Whether people write Chinese here: the newest of what users said decides, else the system prompt.

    >>> in_chinese(read([Message("system", "Be brief."), Message("user", "罗马天气怎么样？")]))
    True
    """
    turns = [*conversation.history, *conversation.new]
    texts = [message.text[-_SAMPLE:] for message in turns if message.role == "user"]
    return mostly_chinese("\n".join(texts) or conversation.system)


class Digest:
    """The identity of a conversation so far: equal for message lists that say the same.

    What clients change when they send a message again does not count: white space around a text, null for an
    empty one, thinking, and how the arguments of a call are written.

    >>> first = Digest("Be brief.").add([Message("user", "Hi")])
    >>> first.key() == Digest(" Be brief. ").add([Message("user", "Hi\\n")]).key()
    True
    """

    __slots__ = ("_hash", "_text")

    # Where a turn or a field of one begins is sure: a turn begins with `\0`, each further field of one with
    # `\0\2`, and `\0\1` is a `\0` that somebody wrote.

    def __init__(self, system: str) -> None:
        self._text = _escaped(system.strip())  # what is not hashed yet: each step of a hash is 1 µs
        self._hash: HASH | None = None

    def add(self, messages: Sequence[Message]) -> Digest:
        """More turns."""
        self._text += "".join([f"\0{_turn(message)}" for message in messages])
        return self

    def add_lines(self, lines: Sequence[str]) -> Digest:
        """More turns of nothing but text, each as `role: text`."""
        if [line for line in lines if "\0" in line]:
            lines = [_escaped(line) for line in lines]
        self._text = "\0".join([self._text, *lines])
        return self

    def copy(self) -> Digest:
        """Another one of the same turns, which can be gone on with apart."""
        copy = object.__new__(Digest)
        copy._text = self._text
        copy._hash = self._hash and self._hash.copy()
        return copy

    def key(self) -> str:
        """The digest so far, as hexadecimal text."""
        data = self._text.encode("utf-8", "surrogatepass")
        if self._hash is None:
            self._hash = sha256(data)  # twice as fast as blake2b, which Python has in plain C
        else:
            self._hash.update(data)
        self._text = ""
        return self._hash.hexdigest()


def _turn(message: Message) -> str:
    """What of a turn counts."""
    role = message.role
    line = _escaped(f"{role}: {said(message)}")
    if isinstance(message.content, str) and not calls(message) and role not in RESULT_ROLES:
        return line
    fields: list[str] = []
    for call in calls(message):
        fields += (call.id, call.function.name)
        if not is_ours(call.id):  # clients add defaults to arguments, and an id of ours says enough
            fields.append(canonical(call.function.arguments))
    if role in RESULT_ROLES:
        fields.append(message.tool_call_id or message.name or "")
    for _, part in attachments(message):
        fields += _fingerprint(part)
    return "\0\2".join([line, *map(_escaped, fields)])


def _escaped(text: str) -> str:
    return text.replace("\0", "\0\1")


def _fingerprint(part: Part) -> tuple[str, ...]:
    """What makes an attachment the same one when a client sends it again."""
    image, audio, file = part.image_url, part.input_audio, part.file
    return (
        part.type,
        image if isinstance(image, str) else image.url if image else "",
        audio.data if audio else "",
        (file.file_data or file.file_id or "") if file else "",
    )


def canonical(arguments: str) -> str:
    """The arguments of a call as text that is the same however a client writes them again.

    Clients parse JSON and write it anew: with another order, other spaces and, in JavaScript, 3 for 3.0 and
    the nearest double for a large number.

    >>> canonical('{"b": 3.0, "a": "\\u00e9"}') == canonical('{ "a":"é","b":3 }')
    True
    """
    try:
        parsed: object = json.loads(arguments or "{}")
        return json.dumps(_same(parsed), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return arguments.strip()  # no JSON that anybody could write anew


def _same(value: object) -> object:
    if isinstance(value, dict):
        members = cast("Mapping[str, object]", value)  # isinstance can't tell of what
        return {name: _same(member) for name, member in members.items()}
    if isinstance(value, list):
        return [_same(entry) for entry in cast("Sequence[object]", value)]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        number = float(value)
    except OverflowError:
        return value
    if abs(number) > _EXACT or not isfinite(number) or not number.is_integer():
        return number
    return int(number)
