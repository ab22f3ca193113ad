"""One window of one work at one peer, and rounds of them all."""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from benchmarks.dialects import Dialect
from benchmarks.load import Load, Tally, WrongAnswer
from benchmarks.processes import CORES, Process, busy, cpu_of
from benchmarks.work import BURST, PACE, PLAIN, Work

LONGEST_GAP_MS = 200.0
"""Between two tokens of a paced stream, for a peer that holds it."""

IN_TIME = 0.97
"""Share of the tokens due in a window that come in it, at a peer that holds its streams."""

PARTS = 3
"""Of a round. In the first all works are done, in the others those that stand close beside another."""

ANSWERS = 4
"""That each connection gets in a window of calls, about. A slow peer answers all of them at nearly the same
moment: a window of one or two such moments says little of how far they are apart."""

FEWEST_CALLS = 8
LONGEST_WAIT = 15.0
"""Seconds in which so many calls end, before a window and again in it."""

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
        skips: Names of works that it is not asked for.
    """

    name: str
    dialect: Dialect
    process: Process
    rest: int
    skips: frozenset[str] = frozenset()


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
        idle: CPU seconds that the two cores had to spare together.
        rest: Bytes of the peer in RAM before its first call.
        memory: Bytes of the peer in RAM at the window's end.
        call_ms: Milliseconds that calls took, those around the window too, median and 99th percentile.
        first_ms: Milliseconds to the first token, median and 99th percentile.
        gap_ms: Milliseconds from one read of a paced stream to the next, from the window's begin to the end
            of the streams: median, 99th percentile and the longest.
        lost: Streams of a climb that failed.
        fault: What was wrong with the first of them.
        held: Whether no stream was lost, no gap too long, and the tokens came as fast as they were due.
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
    idle: float
    rest: int
    memory: int
    call_ms: tuple[float, float]
    first_ms: tuple[float, float]
    gap_ms: tuple[float, float, float]
    lost: int
    fault: str
    held: bool


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
            await _pass(work.warm, work, tally, 1)
            before, reads = read(), len(tally.gaps)
            await _pass(work.seconds, work, tally, ANSWERS)
            after = read()
            memory = subject.process.memory()
    except (WrongAnswer, ConnectionError) as error:
        raise WrongAnswer(f"{subject.name}, {work.title}: {error}") from error
    seconds, cpu, of_upstream, of_load, of_all, calls, chunks = (
        end - begin for begin, end in zip(before, after, strict=True)
    )
    ours = of_upstream + of_load + (cpu if subject.process is not upstream else 0)
    gaps = tally.gaps[reads:]
    longest = max(gaps, default=0.0) * 1000
    due = work.connections * PACE * seconds if work.kind == "paced" else 0
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
        others=max(0.0, of_all - ours) / (seconds * len(CORES)),
        idle=max(0.0, seconds * len(CORES) - of_all),
        rest=subject.rest,
        memory=memory,
        call_ms=_percentiles(tally.seconds),
        first_ms=_percentiles(tally.firsts),
        gap_ms=(*_percentiles(gaps), longest),
        lost=len(load.lost),
        fault=load.lost[0] if load.lost else "",
        held=not load.lost and longest <= LONGEST_GAP_MS and chunks >= IN_TIME * due,
    )


async def _pass(seconds: float, work: Work, tally: Tally, answers: int) -> None:
    """Let some seconds pass, and more until each connection of calls has had so many answers, about."""
    end = tally.calls + max(answers * work.connections, FEWEST_CALLS)
    await asyncio.sleep(seconds)
    deadline = asyncio.get_running_loop().time() + LONGEST_WAIT
    while work.unit == "call" and tally.calls < end:
        if asyncio.get_running_loop().time() > deadline:
            raise WrongAnswer(f"{end - tally.calls} of the calls had no answer within {LONGEST_WAIT:g} s")
        await asyncio.sleep(0.02)


async def settled(process: Process) -> None:
    """Wait, five seconds at most, until a process has done what clients that left had asked for."""
    for _ in range(50):
        before = process.cpu()
        await asyncio.sleep(0.1)
        if process.cpu() - before < 0.01:
            return


async def rounds(
    count: int,
    subjects: Sequence[Subject],
    works: Iterable[Work],
    upstream: Process,
    tell: Callable[[str], None],
) -> list[Window]:
    """All works at all peers, over and over. Each round begins with another peer, so that what else
    the machine does falls on all of them. Before the first, each does a little that is not counted: some load
    much of themselves only when they are first asked. A peer that does not hold a step of a climb is spared
    the next ones of the round. What is done in each part of a round counts as one window.

    Args:
        tell: Is told what comes next.
    """
    windows: list[Window] = []
    for subject in subjects:
        for work in (PLAIN, BURST):
            tell(f"warm up: {subject.name}")
            await window(0, subject, work, upstream)
    for number in range(count):
        turn = number % len(subjects)
        fallen: set[str] = set()
        seen: dict[tuple[str, str], list[Window]] = {}
        for part, work in itertools.product(range(PARTS), works):
            for subject in (*subjects[turn:], *subjects[:turn]):
                if (work.only and subject.name not in work.only) or work.name in subject.skips:
                    continue
                if (part and subject.name not in work.often) or (work.climbs and subject.name in fallen):
                    continue
                tell(f"round {number + 1} of {count}: {work.title}: {subject.name}")
                measured = await window(number, subject, work, upstream)
                seen.setdefault((subject.name, work.name), []).append(measured)
                if not measured.held:
                    fallen.add(subject.name)
                    await settled(subject.process)
        windows += map(together, seen.values())
    return windows


def together(windows: Sequence[Window]) -> Window:
    """Windows of one work at one peer as one: sums, and medians of what is a median already."""
    if len(windows) == 1:
        return windows[0]
    seconds = sum(window.seconds for window in windows)

    def middle(values: Sequence[tuple[float, ...]]) -> list[float]:
        return [statistics.median(column) for column in zip(*values, strict=True)]

    call_p50, call_p99 = middle([window.call_ms for window in windows])
    first_p50, first_p99 = middle([window.first_ms for window in windows])
    gap_p50, gap_p99, _ = middle([window.gap_ms for window in windows])
    return replace(
        windows[0],
        seconds=seconds,
        calls=sum(window.calls for window in windows),
        chunks=sum(window.chunks for window in windows),
        cpu=sum(window.cpu for window in windows),
        upstream=sum(window.upstream for window in windows),
        load=sum(window.load for window in windows),
        side=sum(window.side * window.seconds for window in windows) / seconds,
        others=sum(window.others * window.seconds for window in windows) / seconds,
        idle=sum(window.idle for window in windows),
        memory=max(window.memory for window in windows),
        call_ms=(call_p50, call_p99),
        first_ms=(first_p50, first_p99),
        gap_ms=(gap_p50, gap_p99, max(window.gap_ms[2] for window in windows)),
        lost=sum(window.lost for window in windows),
        fault=next((window.fault for window in windows if window.fault), ""),
        held=all(window.held for window in windows),
    )


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """Median and 99th percentile, in milliseconds; 0 where there is nothing."""
    if len(seconds) < 2:
        return 0.0, 0.0
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return cuts[49] * 1000, cuts[98] * 1000
