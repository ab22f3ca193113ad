"""What is asked of every peer: the table of works, and the words of the answers. Pure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of load.

    Attributes:
        name: Its key in the results.
        title: What it is, for people.
        kind: How the upstream answers: ``burst``, all at once; ``paced``, `PACE` tokens a second.
        tokens: Of each answer.
        stream: Clients ask for a stream. The upstream always streams.
        connections: Each asks again as soon as it has its answer.
        unit: What a figure is counted per.
        warm: Seconds before the window; the connections begin to ask in the first four fifths of it.
        seconds: The window that is measured.
    """

    name: str
    title: str
    kind: Literal["burst", "paced"]
    tokens: int
    stream: bool
    connections: int
    unit: Literal["call", "chunk"]
    warm: float
    seconds: float

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


def answer(tokens: int) -> list[str]:
    """The tokens of an answer, the same for everybody.

    >>> "".join(answer(5))
    'Once upon a time end.'
    """
    return [FIRST, *itertools.islice(itertools.cycle(_BETWEEN), tokens - 2), LAST]
