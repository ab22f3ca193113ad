"""The scripted model: what it says, how fast, and the directives in a prompt that change it. Pure.

Without directives the model gives a short answer that says it is simulated and repeats the question.
`docs/simulator.md` lists the directives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha1

from opendify.simulator.errors import SCRIPTED
from opendify.simulator.files import File

_DIRECTIVE = re.compile(r"\[\[(\w+)(?::(.*?))?\]\](?!\])", re.DOTALL)
_HISTORY = re.compile(r"<history>.*</history>", re.DOTALL)
_PIECE = re.compile(r"\s*(?:[぀-鿿가-힯＀-￯]|[^\s぀-鿿가-힯＀-￯]+)|\s+$")

THOUGHTS = "First I ponder the question.\nThen I decide."
UNICODE = "你好，世界！🌍👨‍👩‍👧‍👦 naïve café — ½ ∑ \u2028 end"


_CUT = r"(?:headers|start|midway)?(?::(?:rst|fin))?"


def _one_of(kinds: Iterable[str]) -> str:
    return f"(?:{'|'.join(kinds)})?"


class Directives:
    """The `[[word]]` and `[[word:value]]` of a prompt. The last of a kind counts.

    What stands between `<history>` and `</history>` is a history that the client wrote into its question:
    it directs nothing.

    >>> asked = Directives("[[reply:one]] now [[slow:3:0.1]]")
    >>> asked.text("reply"), "slow" in asked, asked.numbers("slow", 10, 1.0), asked.text("lump", "all")
    ('one', True, [3.0, 0.1], 'all')
    """

    def __init__(self, prompt: str) -> None:
        found = _DIRECTIVE.findall(_HISTORY.sub("", prompt)) if "[[" in prompt else []
        self._values: dict[str, str] = {}
        for word, value in found:
            self._values.pop(word, None)  # the order is that of the last mention
            self._values[word] = value

    def __contains__(self, word: str) -> bool:
        return word in self._values

    def __bool__(self) -> bool:
        return bool(self._values)

    def text(self, word: str, default: str = "") -> str:
        """The value of a directive, or the default if it is absent or bare."""
        return self._values.get(word) or default

    def numbers(self, word: str, *defaults: float) -> list[float]:
        """The values of a directive that takes numbers, separated by colons."""
        given = [float(part) for part in self.text(word).split(":") if part]
        return [*given[: len(defaults)], *defaults[len(given) :]]

    def mistake(self) -> str | None:
        """What cannot be read of the directives, in one sentence. Words that nobody knows are let be.

        >>> Directives("[[slow:many]]").mistake()
        'The simulator cannot read [[slow:many]]; it takes [[slow:N:SECONDS]].'
        """
        for word, value in self._values.items():
            usage, pattern = _FORMS.get(word, ("", ""))
            if usage and not re.fullmatch(pattern, value):
                return f"The simulator cannot read [[{word}:{value}]]; it takes {usage}."
        return None

    def last_of(self, words: Sequence[str]) -> str | None:
        """Which of these words was said last."""
        return next((word for word in reversed(self._values) if word in words), None)


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


@dataclass(frozen=True, slots=True)
class Failure:
    """How the model fails.

    Args:
        code: Dify's code for it in chat, agent and completion apps.
        message: the sentence, as a stream has it.
        blocking: the sentence of a blocking answer where it differs.
        status: in the error event.
    """

    code: str
    message: str
    blocking: str | None = None
    status: int = 400


_PLUGIN = '{"error_type": "ZeroDivisionError", "message": "division by zero", "args": {}}'

FAILURES = {
    "bad_request": Failure(
        "completion_request_error",
        "[simulated] Bad Request Error, Error code: 400 - "
        "{'error': {'message': 'scripted failure', 'type': 'invalid_request_error'}}",
    ),
    "auth": Failure("completion_request_error", "Incorrect API key provided"),
    "rate_limit": Failure(
        "completion_request_error",
        "[simulated] Rate Limit Error, Error code: 429 - {'error': {'message': 'scripted rate limit'}}",
    ),
    "connection": Failure("completion_request_error", "[simulated] Connection Error, Connection error."),
    "server": Failure(
        "completion_request_error", "[simulated] Server Unavailable Error, Error code: 503 - overloaded"
    ),
    "credentials": Failure("invalid_param", "credentials validation failed"),
    "plugin": Failure("invalid_param", _PLUGIN, f"req_id: 20d8f2080d PluginInvokeError: {_PLUGIN}"),
    "inner": Failure("invalid_param", "killed by timeout-500"),
    "raw": Failure("invalid_param", "raw text, not JSON-500"),
    "quota": Failure(
        "provider_quota_exceeded",
        "Your quota for Dify Hosted OpenAI has been exhausted. Please go to Settings -> Model Provider to "
        "complete your own provider credentials.",
    ),
    "internal": Failure(
        "internal_server_error", "Internal Server Error, please contact support.", status=500
    ),
}
"""`[[error:KIND]]` and `[[error0:KIND]]`: codes and wording as recorded from Dify 1.12.1."""

_NUMBER = r"\d+(?:\.\d+)?"
_FORMS = {
    "slow": ("[[slow:N:SECONDS]]", rf"\d+(?::{_NUMBER})?"),
    "stall": ("[[stall:SECONDS]]", _NUMBER),
    "midstall": ("[[midstall:SECONDS]]", _NUMBER),
    "pace": ("[[pace:SECONDS]]", _NUMBER),
    "lump": ("[[lump]], [[lump:CHARACTERS]] or [[lump:CHARACTERS:SECONDS]]", rf"(?:\d+(?::{_NUMBER})?)?"),
    "long": ("[[long:WORDS]]", r"\d*"),
    "big": ("[[big]] or [[big:BYTES]]", r"\d*"),
    "split": ("[[split:BYTES]] or [[split:BYTES:SECONDS]]", rf"[1-9]\d*(?::{_NUMBER})?"),
    "cut": ("[[cut]] or [[cut:PLACE:HOW]], headers, start or midway, rst or fin", _CUT),
    "drop": (
        "[[drop]] or [[drop:EVENTS:EVENTS:HOW]], rst or fin",
        r"(?:[1-9]\d*(?::[1-9]\d*)*(?::(?:rst|fin))?)?",
    ),
    "truncate": ("[[truncate]] or [[truncate:start]]", r"(?:start|midway)?"),
    "malformed": (
        "[[malformed:KIND]] or [[malformed:KIND:start]], json, utf8 or html",
        r"(?:(?:json|utf8|html)(?::start)?)?",
    ),
    "error": (f"[[error:KIND]], one of {', '.join(FAILURES)}", _one_of(FAILURES)),
    "error0": (f"[[error0:KIND]], one of {', '.join(FAILURES)}", _one_of(FAILURES)),
    "http": (f"[[http:KIND]], one of {', '.join(SCRIPTED)}", _one_of(SCRIPTED)),
}
"""Directives whose value has a form: what they take, for people and as a pattern."""

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
    default = greeting(prompt.query) if default is None else default
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


_ANSWERS = ("reply", "history", "echo", "system", "files", "images", "unicode", "long", "big")


def _answer(prompt: Prompt, asked: Directives, default: str) -> str:
    match asked.last_of(_ANSWERS):
        case "reply":
            return asked.text("reply").replace("{~}", "")
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
        case _ if "think" in asked:
            return "The answer is 42."
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
