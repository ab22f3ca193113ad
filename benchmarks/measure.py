"""One window of one work at one peer, and rounds of them all."""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.dialects import Dialect
from benchmarks.load import Load, WrongAnswer
from benchmarks.processes import Process, busy, cpu_of
from benchmarks.work import Work

DIRECT = "direct"
"""The name under which the upstream itself is asked: what latency is added to."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A running peer, or the upstream itself.

    Attributes:
        name: The peer's, or `DIRECT`.
        dialect: What it is asked in.
        process: It.
        rest: Bytes that it had in RAM before its first call.
    """

    name: str
    dialect: Dialect
    process: Process
    rest: int


@dataclass(frozen=True, slots=True)
class Window:
    """What one window showed.

    Attributes:
        round, peer, work: Of which round, peer and work.
        seconds: How long it was.
        calls: Answers that ended in it.
        chunks: Events that came in it.
        cpu: CPU seconds of the peer in it.
        upstream: CPU seconds of the upstream.
        load: CPU seconds of the clients.
        side: How busy the busier core of the two was, 0 to 1; they may share one.
        others: Share of the machine that went to processes outside the benchmark, 0 to 1.
        rest: Bytes of the peer in RAM before its first call.
        memory: Bytes of the peer in RAM at the window's end.
        call_ms: Milliseconds that calls took, those around the window too, median and 99th percentile.
        first_ms: Milliseconds to the first token, median and 99th percentile.
    """

    round: int
    peer: str
    work: str
    seconds: float
    calls: int
    chunks: int
    cpu: float
    upstream: float
    load: float
    side: float
    others: float
    rest: int
    memory: int
    call_ms: tuple[float, float]
    first_ms: tuple[float, float]


async def window(number: int, subject: Subject, work: Work, upstream: Process) -> Window:
    """Do a work to a peer and measure its window.

    Raises:
        WrongAnswer: If the peer failed, with its name.
    """

    def read() -> tuple[float, ...]:
        clock = asyncio.get_running_loop().time()
        return (
            clock,
            subject.process.cpu(),
            upstream.cpu(),
            cpu_of(os.getpid()),
            busy(),
            tally.calls,
            tally.chunks,
        )

    try:
        async with Load(subject.process.port, subject.dialect, work) as load:
            tally = load.tally
            await asyncio.sleep(work.warm)
            before = read()
            await asyncio.sleep(work.seconds)
            after = read()
            memory = subject.process.memory()
    except (WrongAnswer, ConnectionError) as error:
        raise WrongAnswer(f"{subject.name}, {work.title}: {error}") from error
    seconds, cpu, of_upstream, of_load, of_all, calls, chunks = (
        end - begin for begin, end in zip(before, after, strict=True)
    )
    ours = of_upstream + of_load + (cpu if subject.process is not upstream else 0)
    together = upstream.core in os.sched_getaffinity(0)
    side = of_upstream + of_load if together else max(of_upstream, of_load)
    return Window(
        round=number,
        peer=subject.name,
        work=work.name,
        seconds=seconds,
        calls=round(calls),
        chunks=round(chunks),
        cpu=cpu,
        upstream=of_upstream,
        load=of_load,
        side=side / seconds,
        others=max(0.0, of_all - ours) / (seconds * (os.cpu_count() or 1)),
        rest=subject.rest,
        memory=memory,
        call_ms=_percentiles(tally.seconds),
        first_ms=_percentiles(tally.firsts),
    )


async def rounds(
    count: int,
    subjects: Sequence[Subject],
    works: Iterable[Work],
    upstream: Process,
    tell: Callable[[str], None],
) -> list[Window]:
    """All works at all peers, over and over. Each round begins with another peer, so that what else
    the machine does falls on all of them.

    Args:
        tell: Is told what comes next.
    """
    windows: list[Window] = []
    for number in range(count):
        turn = number % len(subjects)
        for work in works:
            for subject in (*subjects[turn:], *subjects[:turn]):
                if work.only not in ("", subject.name):
                    continue
                tell(f"round {number + 1} of {count}: {work.title}: {subject.name}")
                windows.append(await window(number, subject, work, upstream))
    return windows


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """Median and 99th percentile, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return cuts[49] * 1000, cuts[98] * 1000
