"""The scripted model: what it says, and how fast. Pure.

Without directives the model gives a short answer that says it is simulated and repeats the question, or what
the tools said that it called.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha1

from opendify.simulator.calls import FORMATS, Call, asked_format, quoted, write_calls, write_json
from opendify.simulator.directives import Directives, without_history
from opendify.simulator.errors import FAILURES, Failure
from opendify.simulator.files import File

_PIECE = re.compile(r"\s*(?:[぀-鿿가-힯＀-￯]|[^\s぀-鿿가-힯＀-￯]+)|\s+$")

THOUGHTS = "First I ponder the question.\nThen I decide."
UNICODE = "你好，世界！🌍👨‍👩‍👧‍👦 naïve café — ½ ∑ \u2028 end"


@dataclass(frozen=True, slots=True)
class Said:
    """One message that the model sees."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that the model sees of one turn.

    Args:
        app: the app's nickname.
        user: whom Dify was told to answer.
        query: the question; of a workflow, the text of its inputs.
        system: the app's own instruction.
        history: the earlier turns of this conversation, as Dify remembers them.
        inputs: the values of the app's form.
        files: the files that the turn carries.
    """

    app: str
    user: str
    query: str
    conversation_id: str | None = None
    system: str = ""
    history: tuple[Said, ...] = ()
    inputs: Mapping[str, object] = field(default_factory=lambda: dict[str, object]())
    files: tuple[File, ...] = ()

    def messages(self) -> list[Said]:
        """The messages as a chat model gets them."""
        head = [Said("system", self.system)] if self.system else []
        return [*head, *self.history, Said("user", self.query)]


Pieces = tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Script:
    """What the model will say in one call.

    Args:
        pieces: the tokens: seconds before each, and its text. First and last are empty, as from most
            providers.
        failure: how it fails after the pieces, if it does.
        prompt_tokens: by the simulator's rule, see `count`.
    """

    pieces: Pieces
    failure: Failure | None
    prompt_tokens: int

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(text for _, text in self.pieces)

    @property
    def usage(self) -> Usage:
        """Tokens of this call."""
        return Usage(self.prompt_tokens, sum(1 for _, text in self.pieces if text))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, priced as in the recordings: 0.001 USD per 1,000 in, 0.002 out."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens
        )

    @property
    def total_tokens(self) -> int:
        """In and out."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def total_price(self) -> str:
        """As Dify prints it: seven decimals, `0E-7` for nothing."""
        return str(self._price(self.prompt_tokens, "0.001") + self._price(self.completion_tokens, "0.002"))

    def json(
        self, latency: float, first_token: float | None = None, generate: float | None = None
    ) -> dict[str, object]:
        """The `usage` object, prices as strings.

        >>> Usage(14, 12).json(1.5)["total_price"], Usage().json(0.0)["total_price"]
        ('0.0000380', '0E-7')
        """
        return {
            "prompt_tokens": self.prompt_tokens,
            "prompt_unit_price": "0.001",
            "prompt_price_unit": "0.001",
            "prompt_price": str(self._price(self.prompt_tokens, "0.001")),
            "completion_tokens": self.completion_tokens,
            "completion_unit_price": "0.002",
            "completion_price_unit": "0.001",
            "completion_price": str(self._price(self.completion_tokens, "0.002")),
            "total_tokens": self.total_tokens,
            "total_price": self.total_price,
            "currency": "USD",
            "latency": latency,
            "time_to_first_token": first_token,
            "time_to_generate": generate,
        }

    @staticmethod
    def _price(tokens: int, per_thousand: str) -> Decimal:
        return (tokens * Decimal(per_thousand) * Decimal("0.001")).quantize(Decimal("1E-7"))


def no_usage(
    latency: float, first_token: float | None = None, generate: float | None = None
) -> dict[str, object]:
    """The `usage` object of an answer that no model was asked for: prices are `0.0`."""
    prices = ("unit_price", "price_unit", "price")
    zero = {f"{side}_{name}": "0.0" for side in ("prompt", "completion") for name in prices} | {
        "total_price": "0.0"
    }
    return Usage().json(latency, first_token, generate) | zero


def count(text: str) -> int:
    """Tokens of a text by the simulator's rule: one per word, one per Chinese, Japanese or Korean character.

    >>> count("What is Dify?"), count("你好 world")
    (3, 3)
    """
    return len(_PIECE.findall(text))


def split(text: str) -> list[str]:
    """A text as the tokens in which the model streams it; joined they are the text.

    >>> split("Hello there, 你好")
    ['Hello', ' there,', ' 你', '好']
    """
    return _PIECE.findall(text)


def write(
    prompt: Prompt, *, pace: float, directives: Directives | None = None, default: str | None = None
) -> Script:
    """Decide what the model says to a prompt, and when.

    Args:
        prompt: what it sees.
        pace: seconds per token.
        directives: of the prompt, if already known.
        default: what it says if no directive tells it what to say; else see `greeting`.
    """
    asked = directives if directives is not None else Directives(prompt.query)
    heard = quoted(without_history(prompt.query))
    default = heard or (greeting(prompt.query) if default is None else default)
    pieces = _pieces(prompt, pace, asked, default) if asked else _spoken(default, pace)
    failure = None
    if "error0" in asked:
        pieces, failure = (), FAILURES[asked.text("error0", "bad_request")]
    elif "error" in asked:
        pieces, failure = pieces[:3], FAILURES[asked.text("error", "bad_request")]
    elif "midstall" in asked:
        (seconds,) = asked.numbers("midstall", 60.0)
        pieces = tuple((wait + (seconds if at == 3 else 0), text) for at, (wait, text) in enumerate(pieces))
    tokens = sum(count(message.content) for message in prompt.messages())
    return Script(pieces, failure, tokens)


def greeting(query: str) -> str:
    """The default answer.

    >>> greeting("What is Dify?")
    'This is a simulated answer; no model was asked. You said: “What is Dify?”'
    """
    if asked_format(query) or '{"' in query:  # models don't repeat the tools and schemas above a question
        query = query.rstrip().rpartition("\n\n")[2].partition("\n")[0]
    if not query.strip():
        return "This is a simulated answer; no model was asked. You said nothing."
    said = query if len(query) <= 300 else query[:300] + "…"
    return f"This is a simulated answer; no model was asked. You said: “{said}”"


def _pieces(prompt: Prompt, pace: float, asked: Directives, default: str) -> Pieces:
    (stall,) = asked.numbers("stall", 0.0)
    (pace,) = asked.numbers("pace", pace)
    if "slow" in asked:
        count_, seconds = asked.numbers("slow", 10, 1.0)
        middle = [(seconds if at else 0.0, f"tick{at} ") for at in range(int(count_))]
        return ((stall, ""), *middle, (0.0, ""))
    if "empty" in asked:
        return ((stall, ""), (0.0, ""))
    text = _answer(prompt, asked, default)
    if "think" in asked:
        text = f"<think>\n{asked.text('think', THOUGHTS)}\n</think>\n{text}"
    if "lump" in asked:
        size, seconds = asked.numbers("lump", 0, pace)
        step = int(size) or max(len(text), 1)
        return (
            (stall, ""),
            *((seconds, text[at : at + step]) for at in range(0, len(text), step)),
            (0.0, ""),
        )
    return _spoken(text, pace, stall)


def _spoken(text: str, pace: float, stall: float = 0.0) -> Pieces:
    return ((stall, ""), *((pace, piece) for piece in split(text)), (0.0, ""))


def directed(question: str, history: Sequence[Said] = ()) -> Directives:
    """The directives that count in this turn: those of the question.

    Of a question that has none, those that an earlier one has for this turn: a correction or the results of
    tools have none, and what is to be said to them stands behind the `[[then]]` of the question.

    >>> asked = Said("user", "[[call:look]] [[then]] [[reply:I see.]]")
    >>> directed("It is red.", [asked]).text("reply")
    'I see.'
    >>> bool(directed("And now?", [asked, Said("user", "It is red.")]))
    False
    """
    asked = Directives(question)
    if asked.turns:
        return asked
    questions = (said.content for said in reversed(history) if said.role == "user")
    for turn, earlier in enumerate(questions, start=1):
        later = Directives(earlier, turn)
        if later.turns:
            return later
    return asked


_TEXTS = ("reply", "text", "json", "history", "echo", "system", "files", "images", "unicode", "long", "big")


def _answer(prompt: Prompt, asked: Directives, default: str) -> str:
    calls = [_call(value) for value in asked.all("call")]
    if not calls:
        return _text(prompt, asked, "The answer is 42." if "think" in asked else default)
    ways = asked.text("as").split(":")
    format_ = next((way for way in ways if way in FORMATS), None) or _asked_format(prompt) or "tagged"
    return "\n\n".join(filter(None, [_text(prompt, asked, ""), write_calls(calls, format_, ways)]))


def _call(value: str) -> Call:
    name, brace, arguments = value.partition(":{")  # a name may have colons
    return Call(name, json.loads(brace[1:] + arguments or "{}"))


def _asked_format(prompt: Prompt) -> str | None:
    """The format of calls that the prompt asks for, in whatever place."""
    told = [said.content for said in prompt.messages() if said.role != "assistant"]
    return asked_format("\n".join([*told, *(str(value) for value in prompt.inputs.values())]))


def _text(prompt: Prompt, asked: Directives, default: str) -> str:
    match asked.last_of(_TEXTS):
        case "reply":
            return asked.text("reply").replace("{~}", "")
        case "text":
            return str(json.loads(asked.text("text")))
        case "json":
            return write_json(asked.text("json"), asked.text("as").split(":"))
        case "history":
            seen = [{"role": said.role, "content": said.content} for said in prompt.messages()]
            return json.dumps(seen, ensure_ascii=False)
        case "echo":
            return json.dumps(
                {
                    "app": prompt.app,
                    "user": prompt.user,
                    "conversation_id": prompt.conversation_id,
                    "query": prompt.query,
                    "inputs": prompt.inputs,
                    "files": [_seen(file) for file in prompt.files],
                },
                ensure_ascii=False,
                default=str,
            )
        case "system":
            return f"SYSTEM:{prompt.system}"
        case "files" | "images":
            return f"IMAGES:{json.dumps([_seen(file) for file in prompt.files], ensure_ascii=False)}"
        case "unicode":
            return UNICODE
        case "long":
            (words,) = asked.numbers("long", 300)
            return " ".join(f"word{at}" for at in range(int(words)))
        case "big":
            (size,) = asked.numbers("big", 5_000_000)
            return "x" * int(size)
        case _:
            return default


def _seen(file: File) -> dict[str, object]:
    return {
        "type": file.type,
        "format": file.extension,
        "mime": file.mime_type,
        "bytes": len(file.content),
        "sha1": sha1(file.content, usedforsecurity=False).hexdigest()[:10],
        "url": file.remote_url or "",
        "filename": file.name,
    }
