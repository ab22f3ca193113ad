"""What is asked of every peer: the table of works, and the words of the answers. Pure."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

KEY = "app-benchmark"
"""The app's key at the upstream."""

MODEL = "Benchmark"
"""The app's name, and so the model's."""

CLIENT_KEY = "sk-benchmark"
"""What clients of the gateway send."""

PACE = 50
"""Tokens a second of a paced stream."""

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
        connections: Each asks again as soon as it has its answer.
        unit: What a figure is counted per.
        warm: Seconds before the window; the connections begin to ask in the first four fifths of it.
        seconds: The window that is measured.
        more: Fields of the request beyond model, messages and stream.
        only: The name of the one peer that is asked; empty for all.
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
    only: str = ""

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


WORKS = (
    Work("plain-1", "plain call, 1 connection", "burst", 12, False, 1, "call", 0.15, 0.5),
    Work("plain-32", "plain call, 32 connections", "burst", 12, False, 32, "call", 0.15, 0.5),
    Work("burst", "stream of 100 tokens at once", "burst", 100, True, 8, "call", 0.15, 0.5),
    # 130 tokens last 2.6 s: no stream begins or ends in the window.
    Work("paced", "100 streams, 50 tokens a second each", "paced", 130, True, 100, "chunk", 0.8, 1.5),
)


def _alone(name: str, title: str, kind: Kind, more: Mapping[str, object]) -> Work:
    """A stream of 100 tokens at once, which only OpenDify is asked for."""
    return Work(name, title, kind, 100, True, 8, "call", 0.15, 0.5, more, only="opendify")


CALL_TEXT = _alone("call-text", "a tool call's text, of a request without tools", "call", {})
CALL = _alone("call", "a tool call", "call", {"tools": [_TOOL]})
JSON_TEXT = _alone("json-text", "a JSON text, of a request that asks for none", "json", {})
JSON = _alone("json", "a JSON object", "json", {"response_format": {"type": "json_object"}})
SHAPED = (CALL_TEXT, CALL, JSON_TEXT, JSON)
"""Texts that the gateway reads, each beside the same text that it only passes on."""


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
