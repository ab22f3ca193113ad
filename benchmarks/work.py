"""What is asked of every peer: the table of works, and the words of the answers. Pure."""

from __future__ import annotations

import base64
import itertools
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

KEY = "app-benchmark"
"""The app's key at the upstream."""

MODEL = "Benchmark"
"""The app's name, and so the model's."""

VISION = "Benchmark Vision"
"""The app that takes pictures."""

APPS: Mapping[str, str] = {
    KEY: MODEL,
    "app-benchmark-vision": VISION,
    **{f"app-benchmark-{number}": f"{MODEL} {number}" for number in range(3, 51)},
}
"""All apps of the upstream: key -> name. Fifty, for a catalogue as large as a company's."""

CLIENT_KEY = "sk-benchmark-6d0c3f7a9b1e4852"
"""What clients of the gateway send."""

PACE = 50
"""Tokens a second of a paced stream."""

MARK = "00000000"
"""Where the number of a question goes, so that no two are the same."""

OURS = frozenset({"opendify"})
"""Of works that nobody else is asked for."""

JUDGED = OURS | {"minimal", "litellm"}
"""Those whose calls a second are set beside each other: a moment of a busy machine must not decide."""

FIRST, LAST = "Once", " end."
_BETWEEN = (" upon", " a", " time", " there", " lived", " in", " the", " hills", ",", " far", " away")


Kind = Literal["burst", "paced", "call", "json"]

_CALL = ("<tool_call>\n", "\n</tool_call>")
_ARGUMENTS: Mapping[str, object] = {
    "title": "The far hills",
    "scenes": [{"place": f"in the hills, {at}", "pages": 10 + at, "dark": at % 2 == 0} for at in range(3)],
}
_TOOL = {
    "type": "function",
    "function": {
        "name": "tell_story",
        "description": "Tell a story to the listeners.",
        "parameters": {
            "type": "object",
            "properties": {
                "title": {"type": "string"},
                "scenes": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "place": {"type": "string"},
                            "pages": {"type": "integer"},
                            "dark": {"type": "boolean"},
                        },
                        "required": ["place", "pages"],
                    },
                },
                "text": {"type": "string", "description": "All of it."},
            },
            "required": ["title", "text"],
        },
    },
}


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of load.

    Attributes:
        name: Its key in the results.
        title: What it is, for people.
        kind: How the upstream answers: ``burst``, all at once; ``paced``, `PACE` tokens a second; ``call``
            and ``json``, all at once, the text of a tool call or a JSON object.
        tokens: Of each answer.
        stream: Clients ask for a stream. The upstream always streams.
        connections: Each asks again as soon as it has its answer, or at its pace.
        unit: What a figure is counted per.
        warm: Seconds before the window; the connections begin to ask in the first four fifths of it.
        seconds: The window that is measured.
        more: Fields of the request beyond model, messages and stream.
        before: Messages before the question.
        picture: Bytes of the picture beside the question; 0 for none.
        every: Seconds from one question of a connection to its next; 0 for no pace.
        path: What is fetched with GET, in place of a question.
        only: Names of the peers that are asked; empty for all.
        often: Names of those that are asked in each part of a round, not only in its first.
        climbs: A step of a climb: a peer that does not hold it is not asked for the next.
    """

    name: str
    title: str
    kind: Kind
    tokens: int
    stream: bool
    connections: int
    unit: Literal["call", "chunk"]
    warm: float
    seconds: float
    more: Mapping[str, object] = field(default_factory=lambda: dict[str, object]())
    before: Sequence[Mapping[str, str]] = ()
    picture: int = 0
    every: float = 0.0
    path: str = ""
    only: frozenset[str] = frozenset()
    often: frozenset[str] = frozenset()
    climbs: bool = False

    @property
    def expected(self) -> str:
        """What a client has in the end: the text, or the name and the arguments of the call."""
        text = "".join(answer(self.kind, self.tokens))
        if "tools" not in self.more:
            return text
        call = json.loads(text.removeprefix(_CALL[0]).removesuffix(_CALL[1]))
        arguments = json.dumps(call["arguments"], separators=(",", ":"))
        return f"{call['name']}{arguments}"

    @property
    def prompt(self) -> str:
        """The question, which tells the upstream what to answer."""
        return f"Tell me a story. [[{self.kind}:{self.tokens}]]"

    def body(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The body of a request.

        Args:
            asked: That of the question alone, in the words of the peer.

        >>> asked = {"messages": [{"role": "user", "content": "What is this?"}]}
        >>> messages = IMAGE.body(asked)["messages"]
        >>> [part["type"] for part in messages[0]["content"]]
        ['text', 'image_url']
        >>> len(PROMPT.body(asked)["messages"])
        60
        """
        body = {**asked, **self.more}
        if self.before:
            body["messages"] = [*self.before, *body["messages"]]
        if self.picture:
            *earlier, question = body["messages"]
            address = {"url": f"data:image/png;base64,{_picture(self.picture)}"}
            parts = [
                {"type": "text", "text": question["content"]},
                {"type": "image_url", "image_url": address},
            ]
            body["messages"] = [*earlier, {**question, "content": parts}]
        return body


@cache
def _picture(size: int) -> str:
    """A PNG by its first bytes, in base64, that ends with `MARK`: no two requests have the same picture."""
    noise = b"\x89PNG\r\n\x1a\n" + random.Random(1).randbytes(size)
    return base64.b64encode(noise[: size // 3 * 3]).decode()[: -len(MARK)] + MARK


def _conversation(messages: int, size: int) -> list[dict[str, str]]:
    """What was said before a question.

    Args:
        messages: How many, in turn of user and assistant.
        size: Characters of all of them, about.
    """
    tale = " ".join(itertools.islice(itertools.cycle(("so", *map(str.strip, _BETWEEN))), size // 5))
    length = size // messages
    return [
        {
            "role": ("user", "assistant")[at % 2],
            "content": f"{at}: {(tale[at:] + tale)[: length - 4]}",
        }
        for at in range(messages)
    ]


def _plain(name: str, title: str, connections: int, **more: Any) -> Work:
    return Work(name, title, "burst", 12, False, connections, "call", 0.15, 0.5, **more)


def _paced(name: str, streams: int) -> Work:
    """Streams that begin one after the other, none begins or ends in the window."""
    warm, seconds = 0.6 + streams / 500, 1.2
    tokens = round((warm + seconds) * PACE) + 10
    title = f"{streams} streams, {PACE} tokens a second each"
    return Work(name, title, "paced", tokens, True, streams, "chunk", warm, seconds, climbs=True)


def _alone(name: str, title: str, kind: Kind, more: Mapping[str, object]) -> Work:
    """A stream of 100 tokens at once, which only OpenDify is asked for."""
    return Work(name, title, kind, 100, True, 8, "call", 0.15, 0.5, more, only=OURS, often=OURS)


STEPS = (50, 100, 200, 400, 600, 800)
"""Streams at once, of one step after the other."""

CLIMB = tuple(_paced("paced" if streams == 100 else f"paced-{streams}", streams) for streams in STEPS)
"""Streams at once. The memory of a process is seen to grow with them: they come before all other works."""

PACED = CLIMB[1]
PLAIN = _plain("plain-1", "plain call, 1 connection", 1)
BUSY = _plain("plain-32", "plain call, 32 connections", 32, often=JUDGED)
CROWD = _plain("plain-200", "plain call, 200 connections", 200, often=OURS | {"opendify-2"})
BURST = Work("burst", "stream of 100 tokens at once", "burst", 100, True, 8, "call", 0.15, 0.5)
PROMPT = _plain(
    "prompt",
    "plain call with 60 messages of 40 KB, 32 connections",
    32,
    before=_conversation(59, 40_000),
    only=OURS,
    often=OURS,
)
MODELS = _plain("models", "the list of models, 32 connections", 32, path="/v1/models", only=OURS)
IMAGE = _plain(
    "image",
    "plain call with a picture of 1 MB, 4 connections",
    4,
    more={"model": VISION},
    picture=1_000_000,
    only=OURS,
)

CENTRAL = (PACED, PLAIN, BUSY, BURST)
"""Those that the gateway is judged by against the minimal proxy."""

CALL_TEXT = _alone("call-text", "a tool call's text, of a request without tools", "call", {})
CALL = _alone("call", "a tool call", "call", {"tools": [_TOOL]})
JSON_TEXT = _alone("json-text", "a JSON text, of a request that asks for none", "json", {})
JSON = _alone("json", "a JSON object", "json", {"response_format": {"type": "json_object"}})
SHAPED = (CALL_TEXT, CALL, JSON_TEXT, JSON)
"""Texts that the gateway reads, each beside the same text that it only passes on."""

WORKS = (*CLIMB, PLAIN, BUSY, CROWD, BURST, PROMPT, MODELS, IMAGE, *SHAPED)
"""All of them, in the order of a round."""

QUICK = (*CENTRAL, PROMPT, CALL_TEXT, CALL)
"""Those that say the most in the least time."""


def answer(kind: Kind, tokens: int) -> list[str]:
    """The tokens of an answer, the same for everybody.

    >>> "".join(answer("burst", 5))
    'Once upon a time end.'
    >>> tokens = answer("json", 100)
    >>> len(tokens), list(json.loads("".join(tokens)))
    (100, ['title', 'scenes', 'text'])
    """
    if kind in ("burst", "paced"):
        return [FIRST, *itertools.islice(itertools.cycle(_BETWEEN), tokens - 2), LAST]
    shaped = json.dumps({**_ARGUMENTS, "text": "|"})
    if kind == "call":
        shaped = f'{_CALL[0]}{{"name": "tell_story", "arguments": {shaped}}}{_CALL[1]}'
    before, _, after = shaped.partition("|")
    head, tail = _TOKEN.findall(before), _TOKEN.findall(after)
    return [*head, *answer("burst", tokens - len(head) - len(tail)), *tail]


_TOKEN = re.compile(r" ?\w+|\W+?(?= ?\w|$)", re.DOTALL)
"""About what a model's tokens are: words, and the marks between them."""
