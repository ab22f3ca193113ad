"""The gateway newly started: time until it is ready, its memory at rest, and that of each open stream."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

from benchmarks.load import WrongAnswer
from benchmarks.measure import Subject, window
from benchmarks.peers import Peer, Place
from benchmarks.processes import Process
from benchmarks.work import CLIMB

STEPS = tuple(work for work in CLIMB if 100 <= work.connections <= 400)
"""Streams at once that memory is weighed with. A process keeps what it once had, so they only grow."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """What one start showed.

    Attributes:
        ready: Seconds from the command to the first answer of ``/health/ready``.
        rest: Bytes in RAM before the first call.
        open: Streams at once -> bytes in RAM.
    """

    ready: float
    rest: int
    open: Mapping[int, int]

    @property
    def a_stream(self) -> float:
        """Bytes of each open stream: the slope of the line through all of them.

        >>> Fresh(1.0, 50_000_000, {100: 60_000_000, 200: 63_000_000, 400: 69_000_000}).a_stream
        30000.0
        """
        return statistics.linear_regression(list(self.open), list(self.open.values())).slope


def start(peer: Peer, place: Place, upstream: Process, runner: asyncio.Runner) -> Fresh:
    """Start a peer, weigh it, and end it.

    Args:
        peer: Which.
        place: Where it runs.
        upstream: The Dify behind it.
        runner: Where the clients run.

    Raises:
        WrongAnswer: If it lost a stream: what was weighed was not what it seems.
    """
    began = perf_counter()
    with peer.start(place) as process:
        ready = perf_counter() - began
        rest = process.memory()
        subject = Subject(peer.name, peer.dialect, process, rest)
        weighed: dict[int, int] = {}
        for work in STEPS:
            seen = runner.run(window(0, subject, work, upstream))
            if seen.lost:
                raise WrongAnswer(f"{peer.name}, {work.title}, newly started: {seen.lost} lost: {seen.fault}")
            weighed[work.connections] = seen.memory
    return Fresh(ready, rest, weighed)
