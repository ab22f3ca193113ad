"""How smooth streams stay while others call and upload beside them: `make bench-mixed`.

A hundred streams of 50 tokens a second, alone, beside 200 plain calls a second, beside ten uploads of 1 MB a
second, and beside both. What counts is how much longer the gaps between tokens become.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import peers
from benchmarks.dialects import OPENAI
from benchmarks.load import Load, WrongAnswer
from benchmarks.processes import CORES, NotStarted, busy, cpu_of, interruptible
from benchmarks.work import BUSY, IMAGE, PACE, PACED, Work

DUE_MS = 1000 / PACE
"""Between two tokens, where nothing is in the way."""

BAR_MS = 10.0
"""How much the 99th percentile of gaps between tokens may grow."""

LEAST_BESIDE = 0.85
"""Share of the calls and uploads beside the streams that must be done, or the figures are of less work."""

WARM, SECONDS = 1.0, 4.0

STREAMS = replace(PACED, tokens=round((WARM + SECONDS) * PACE) + 10, warm=WARM, climbs=False)
CALLS = replace(BUSY, connections=20, every=20 / 200, warm=WARM)
UPLOADS = replace(IMAGE, connections=5, every=5 / 10, warm=WARM)

ALONE = "nothing"
BOTH = "both"
BESIDE: dict[str, Sequence[Work]] = {
    ALONE: (),
    "200 calls a second": (CALLS,),
    "10 uploads of 1 MB a second": (UPLOADS,),
    BOTH: (CALLS, UPLOADS),
}
"""What is done beside the streams."""

RESULTS = Path(__file__).with_name("mixed.json")


@dataclass(frozen=True, slots=True)
class Gaps:
    """What one window showed of the streams.

    Attributes:
        round: Which round it was of.
        beside: What was done beside them.
        beside_per_second: How often.
        beside_done: Share of it that was done in its time, 0 to 1: of calls or of uploads, whichever is less.
        p50, p99, most: Milliseconds between two tokens.
        cpu: CPU seconds of the gateway in a second.
        others: Share of the machine that went to processes outside the benchmark, 0 to 1.
    """

    round: int
    beside: str
    beside_per_second: float
    beside_done: float
    p50: float
    p99: float
    most: float
    cpu: float
    others: float


def growth(gaps: Iterable[Gaps], beside: str) -> float:
    """Milliseconds by which the 99th percentile is longer than alone, median of the rounds.

    >>> seen = [Gaps(1, "nothing", 0, 1, 20, 22, 25, 0.2, 0), Gaps(1, "both", 210, 1, 20, 25.5, 40, 0.4, 0)]
    >>> growth(seen, "both")
    3.5
    """
    p99 = {(window.round, window.beside): window.p99 for window in gaps}
    rounds = {number for number, _ in p99}
    return statistics.median(p99[number, beside] - p99[number, ALONE] for number in rounds)


def verdict(gaps: Sequence[Gaps]) -> tuple[bool, str]:
    """Whether the bar is held, and a sentence on it.

    >>> alone = Gaps(1, "nothing", 0, 1, 20, 22, 25, 0.2, 0)
    >>> both = Gaps(1, "both", 210, 1, 20, 25, 40, 0.4, 0)
    >>> verdict([alone, both])
    (True, '+3.0 ms; the bar is 10 ms: held')
    >>> verdict([alone, replace(both, p99=32)])
    (False, '+10.0 ms; the bar is 10 ms: MISSED')
    >>> verdict([alone, replace(both, beside_done=0.5)])
    (False, '+3.0 ms, but only 50% of the calls or uploads beside them were done: NOT JUDGED')
    >>> verdict([replace(alone, p99=300), both])
    (False, '-275.0 ms, but alone it is 300 ms already, where 20 are due: NOT JUDGED')
    """
    grown = growth(gaps, BOTH)
    alone = statistics.median(window.p99 for window in gaps if window.beside == ALONE)
    if alone > DUE_MS + BAR_MS:
        said = (
            f"{grown:+.1f} ms, but alone it is {alone:.0f} ms already, where {DUE_MS:g} are due: NOT JUDGED"
        )
        return False, said
    share = statistics.median(window.beside_done for window in gaps if window.beside == BOTH)
    if share < LEAST_BESIDE:
        said = (
            f"{grown:+.1f} ms, but only {share:.0%} of the calls or uploads beside them were done: NOT JUDGED"
        )
        return False, said
    held = grown < BAR_MS
    return held, f"{grown:+.1f} ms; the bar is {BAR_MS:g} ms: {'held' if held else 'MISSED'}"


async def _window(number: int, bench: peers.Alone, beside: str) -> Gaps:
    works, gateway = BESIDE[beside], bench.gateway

    def read() -> list[float]:
        cpu = gateway.cpu()
        ours = cpu + bench.upstream.cpu() + cpu_of(os.getpid())
        return [cpu, busy(), ours, *(load.tally.calls for load in others)]

    async with AsyncExitStack() as stack:
        streams = await stack.enter_async_context(Load(gateway.port, OPENAI, STREAMS))
        others = [await stack.enter_async_context(Load(gateway.port, OPENAI, work)) for work in works]
        await asyncio.sleep(WARM)
        reads, before = len(streams.tally.gaps), read()
        await asyncio.sleep(SECONDS)
        cpu, of_all, ours, *calls = (end - begin for begin, end in zip(before, read(), strict=True))
        gaps = streams.tally.gaps[reads:]
    cuts = statistics.quantiles(gaps, n=100, method="inclusive")
    return Gaps(
        round=number,
        beside=beside,
        beside_per_second=sum(calls) / SECONDS,
        beside_done=min(
            (
                made / (SECONDS * work.connections / work.every)
                for made, work in zip(calls, works, strict=True)
            ),
            default=1.0,
        ),
        p50=cuts[49] * 1000,
        p99=cuts[98] * 1000,
        most=max(gaps) * 1000,
        cpu=cpu / SECONDS,
        others=max(0.0, of_all - ours) / (SECONDS * len(CORES)),
    )


def main() -> int:
    """Run the command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mixed", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=3, choices=range(1, 101), metavar="N", help="1 to 100 (3)"
    )
    arguments = parser.parse_args()
    console = Console(highlight=False)
    console.width = max(console.width, 100)
    if CORES[0] == CORES[1]:
        console.print("This needs two cores: the gateway has one, clients and upstream the other.")
        return 1
    seen: list[Gaps] = []
    try:
        with peers.alone() as bench:
            for number in range(arguments.rounds):
                seen += [bench.runner.run(_window(number, bench, beside)) for beside in BESIDE]
    except (NotStarted, WrongAnswer) as error:
        console.print(f"No figures: {error}", markup=False, style="red")
        return 1
    console.print(_table(seen))
    RESULTS.write_text(json.dumps([asdict(window) for window in seen], indent=1) + "\n")
    console.print(f"All windows: {RESULTS.relative_to(peers.ROOT)}")
    others = statistics.median(window.others for window in seen)
    console.print(f"Other processes took {others:.0%} of the machine: what they delay is in the gaps, too.")
    held, said = verdict(seen)
    console.print(f"Beside both, the 99th percentile of gaps between tokens is longer than alone by {said}.")
    return 0 if held else 1


def _table(seen: Sequence[Gaps]) -> Table:
    title = f"{STREAMS.connections} streams, {PACE} tokens a second each: ms between tokens"
    table = Table("beside them", title=title, title_justify="left")
    for column in ("p50", "p99", "longest", "p99 grows by", "a second", "CPU"):
        table.add_column(column, justify="right")
    for beside in BESIDE:
        of_it = [window for window in seen if window.beside == beside]
        median = {
            name: statistics.median(getattr(window, name) for window in of_it)
            for name in ("p50", "p99", "most", "beside_per_second", "cpu")
        }
        table.add_row(
            beside,
            f"{median['p50']:.1f}",
            f"{median['p99']:.1f}",
            f"{median['most']:.1f}",
            f"{growth(seen, beside):+.1f}",
            f"{median['beside_per_second']:.0f}",
            f"{median['cpu']:.0%}",
        )
    return table


if __name__ == "__main__":
    sys.exit(interruptible(main))
