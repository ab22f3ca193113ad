"""What the windows say: figures, ratios, the verdict. As a table, as Markdown, as JSON. Pure."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from benchmarks.measure import DIRECT, Window
from benchmarks.work import CALL, CALL_TEXT, JSON, JSON_TEXT, WORKS, Work

FULL = 0.85
"""How busy load or upstream are, 0 to 1, when they and not the peer limit the calls a second."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table.

    Attributes:
        name: Its key in the results.
        title: What it is, with its unit.
        work: The name of the work that it is of.
        value: The figure of a window, given that of the upstream asked directly in the same round.
        digits: After the point.
        direct: Makes sense for the upstream asked directly, too.
        ratio: Is compared between peers.
    """

    name: str
    title: str
    work: str
    value: Callable[[Window, Window], float]
    digits: int = 0
    direct: bool = False
    ratio: bool = True


def _micros(work: Work) -> Callable[[Window, Window], float]:
    if work.unit == "chunk":
        return lambda window, _: window.cpu / window.chunks * 1e6
    return lambda window, _: window.cpu / window.calls * 1e6


def _figures() -> list[Figure]:
    plain, busy, burst, paced = WORKS
    return [
        Figure("plain_cpu_us", "CPU µs: plain call of 32 at once", busy.name, _micros(busy)),
        Figure("plain_alone_cpu_us", "CPU µs: plain call, alone", plain.name, _micros(plain)),
        Figure("burst_cpu_us", "CPU µs: burst of 100 tokens", burst.name, _micros(burst)),
        Figure("chunk_cpu_us", "CPU µs: paced chunk of 100 streams", paced.name, _micros(paced), digits=1),
        Figure(
            "plain_per_second",
            "plain calls a second",
            busy.name,
            lambda window, _: window.calls / window.seconds,
            direct=True,
        ),
        Figure(
            "bursts_per_second",
            "bursts a second",
            burst.name,
            lambda window, _: window.calls / window.seconds,
            direct=True,
        ),
        Figure(
            "call_p50_ms",
            "added ms: plain call, alone, p50",
            plain.name,
            lambda window, direct: window.call_ms[0] - direct.call_ms[0],
            digits=2,
            ratio=False,
        ),
        Figure(
            "call_p99_ms",
            "added ms: plain call, alone, p99",
            plain.name,
            lambda window, direct: window.call_ms[1] - direct.call_ms[1],
            digits=2,
            ratio=False,
        ),
        Figure(
            "first_p50_ms",
            "added ms: first token, p50",
            paced.name,
            lambda window, direct: window.first_ms[0] - direct.first_ms[0],
            digits=2,
            ratio=False,
        ),
        Figure(
            "first_p99_ms",
            "added ms: first token, p99",
            paced.name,
            lambda window, direct: window.first_ms[1] - direct.first_ms[1],
            digits=2,
            ratio=False,
        ),
        Figure(
            "rest_mb",
            "MB: at rest",
            paced.name,
            lambda window, _: window.rest / 1e6,
        ),
        Figure(
            "loaded_mb",
            "MB: with 100 streams open",
            paced.name,
            lambda window, _: window.memory / 1e6,
        ),
    ]


FIGURES = _figures()


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure must hold.

    Attributes:
        figure: Its name.
        most: The bar, on a machine where the minimal proxy takes `minimal`.
    """

    figure: str
    most: float
    minimal: float


MOST_OF_A_CALL = 1.5
"""What a stream with a tool call may cost, times the same text of a request without tools."""

BARS = (Bar("plain_cpu_us", 400, 115), Bar("chunk_cpu_us", 70, 46))


@dataclass(frozen=True, slots=True)
class Result:
    """What is said of a figure.

    Attributes:
        figure: Which.
        medians: By peer, over the rounds.
        ratios: OpenDify's by that of each other peer: the median over the rounds of the ratio within each, so
            that what else the machine did in a round, to both of them, cancels out.
    """

    figure: Figure
    medians: Mapping[str, float]
    ratios: Mapping[str, float]


def results(windows: Sequence[Window], peers: Sequence[str]) -> list[Result]:
    """The figures of a run.

    Args:
        windows: Of all rounds.
        peers: Their names, OpenDify's last.
    """
    *others, ours = peers
    found: list[Result] = []
    for figure in FIGURES:
        values = _values(figure, windows)
        shown = [DIRECT, *peers] if figure.direct else peers
        found.append(
            Result(
                figure,
                {peer: statistics.median(values[peer]) for peer in shown},
                {
                    other: statistics.median(
                        one / another for one, another in zip(values[ours], values[other], strict=True)
                    )
                    for other in others
                    if figure.ratio
                },
            )
        )
    return found


def _values(figure: Figure, windows: Sequence[Window]) -> dict[str, list[float]]:
    """A figure of each round, by peer."""
    of_work = [window for window in windows if window.work == figure.work]
    direct = {window.round: window for window in of_work if window.peer == DIRECT}
    values: dict[str, list[float]] = {}
    for window in sorted(of_work, key=lambda window: window.round):
        values.setdefault(window.peer, []).append(figure.value(window, direct[window.round]))
    return values


def lines(found: Sequence[Result], peers: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """The table's heads and lines: the figures, then OpenDify's divided by those of the others.

    Args:
        found: From `results`.
        peers: Name -> title, in the order of the columns, OpenDify last.
    """
    *others, _ = peers
    heads = ["", DIRECT, *peers.values(), *(f"/ {peers[other]}" for other in others)]
    table: list[list[str]] = []
    for result in found:
        figure, values, ratios = result.figure, result.medians, result.ratios
        row = [figure.title]
        row += [f"{values[peer]:,.{figure.digits}f}" if peer in values else "" for peer in (DIRECT, *peers)]
        row += [f"{ratios[other]:.2f}" if other in ratios else "" for other in others]
        table.append(row)
    return heads, table


def printed(found: Sequence[Result], peers: Mapping[str, str]) -> Table:
    """The table for a terminal."""
    heads, body = lines(found, peers)
    table = Table(header_style="bold")
    for head in heads:
        table.add_column(head, justify="left" if not head else "right")
    for row in body:
        table.add_row(*row)
    return table


def markdown(found: Sequence[Result], peers: Mapping[str, str]) -> str:
    """The table for a page."""
    heads, body = lines(found, peers)
    rule = ["---", *("--:" for _ in heads[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, rule, *body))


def verdict(found: Sequence[Result]) -> list[str]:
    """Whether OpenDify holds the bars: one sentence each."""
    by_name = {result.figure.name: result for result in found}
    said: list[str] = []
    for bar in BARS:
        result = by_name[bar.figure]
        ratio, most = result.ratios["minimal"], bar.most / bar.minimal
        held = "held" if ratio <= most else "MISSED"
        said.append(
            f"{result.figure.title}: {ratio:.2f} times the minimal proxy's, the bar is {most:.2f}: {held}. "
            f"({bar.most:g} where the minimal proxy takes {bar.minimal:g}; "
            f"here that takes {result.medians['minimal']:.0f}.)"
        )
    return said


def shaped(windows: Sequence[Window]) -> list[str]:
    """What it costs OpenDify to read a text that has a shape: one sentence each."""
    said: list[str] = []
    for work, beside, most in ((CALL, CALL_TEXT, MOST_OF_A_CALL), (JSON, JSON_TEXT, None)):
        micros = _micros(work)
        costs, texts = (
            {window.round: micros(window, window) for window in windows if window.work == one.name}
            for one in (work, beside)
        )
        ratio = statistics.median(costs[number] / texts[number] for number in costs)
        said.append(
            f"{work.title}, streamed, 100 tokens at once: {statistics.median(costs.values()):,.0f} µs CPU, "
            f"{ratio:.2f} times that of {beside.title}"
            + (f"; the bar is {most:.2f}: {'held' if ratio <= most else 'MISSED'}." if most else ".")
        )
    return said


def remarks(windows: Sequence[Window]) -> list[str]:
    """What to know when reading the figures: what the upstream cost, what limited, what disturbed."""
    said: list[str] = []
    for work in WORKS:
        of_work = [window for window in windows if window.work == work.name]
        units = sum(getattr(window, f"{work.unit}s") for window in of_work)
        upstream, load = (sum(getattr(window, who) for window in of_work) for who in ("upstream", "load"))
        said.append(
            f"{work.title}: the upstream took {upstream / units * 1e6:.0f} µs CPU a {work.unit}, "
            f"the load {load / units * 1e6:.0f} µs."
        )
    for peer, work_name in dict.fromkeys((w.peer, w.work) for w in windows if w.peer != DIRECT):
        share = statistics.median(w.side for w in windows if (w.peer, w.work) == (peer, work_name))
        if share > FULL:
            said.append(
                f"{work_name}, {peer}: load and upstream had their core full ({share:.0%}): they, not the "
                "peer, limited the calls a second (not the CPU per call)."
            )
    others = statistics.median(window.others for window in windows)
    said.append(f"Other processes took {others:.0%} of the machine (median of all windows).")
    return said


def record(
    windows: Sequence[Window], found: Sequence[Result], machine: Mapping[str, str], said: Sequence[str]
) -> dict[str, Any]:
    """All of a run, for JSON."""
    return {
        "machine": dict(machine),
        "figures": {
            result.figure.name: {"medians": result.medians, "ratios": result.ratios} for result in found
        },
        "remarks": list(said),
        "windows": [dataclasses.asdict(window) for window in windows],
    }
