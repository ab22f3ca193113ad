"""What the plots of a run show: the points of their lines, the heights of their bars. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.figures import LIMIT, Result, growth, micros
from benchmarks.measure import DIRECT, LONGEST_GAP_MS, Window
from benchmarks.work import BUSY, CLIMB, CROWD, PLAIN

BARRED = {
    "plain_cpu_us": "plain call",
    "burst_cpu_us": "burst of 100",
    "chunk_cpu_us": "paced chunk",
}
"""Figures of the chart of costs, and what they are called there."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Lines:
    """A line of each peer.

    Attributes:
        title: What is shown.
        across: What grows from left to right.
        unit: Of the values.
        points: By peer: (how many, value).
        bound: A value that has a line of its own.
    """

    title: str
    across: str
    unit: str
    points: Mapping[str, Points]
    bound: float | None = None


@dataclass(frozen=True, slots=True)
class Bars:
    """Groups of bars, one of each peer.

    Attributes:
        title: What is shown.
        unit: Of the values.
        groups: What the groups are called.
        points: By peer: (number of the group, value).
    """

    title: str
    unit: str
    groups: Sequence[str]
    points: Mapping[str, Points]


Chart = Lines | Bars


def charts(
    windows: Sequence[Window], results: Mapping[str, Result], titles: Mapping[str, str]
) -> dict[str, Chart]:
    """The charts, by the names of their files. One that has nothing to show is left out.

    Args:
        windows: Of all rounds.
        results: By the figure's name.
        titles: Of the peers, by name; others are not shown.
    """
    of_peers = [window for window in windows if window.peer in titles]
    of_all = [window for window in windows if window.peer in (*titles, DIRECT)]
    first = [window for window in of_peers if window.round == 0]  # a process keeps what it once had
    found: dict[str, Chart] = {
        "bench-cost": _cost(results, titles),
        "bench-calls": Lines(
            "CPU of a plain call", "connections", "µs", growth(of_peers, (PLAIN, BUSY, CROWD), micros)
        ),
        "bench-chunks": Lines(
            "CPU of a chunk, 50 a second and stream", "streams at once", "µs", growth(of_peers, CLIMB, micros)
        ),
        "bench-gaps": Lines(
            "Longest gap between tokens that are due every 20 ms",
            "streams at once",
            "ms",
            growth(of_all, CLIMB, lambda window, _: window.gap_ms[2]),
            bound=LONGEST_GAP_MS,
        ),
        "bench-memory": Lines(
            "Memory with streams open",
            "streams at once",
            "MB",
            growth(first, CLIMB, lambda window, _: window.memory / 1e6),
        ),
    }
    return {name: chart for name, chart in found.items() if chart.points}


def _cost(results: Mapping[str, Result], titles: Mapping[str, str]) -> Bars:
    """CPU by nginx's; without points where nginx was not measured."""
    groups = [name for name in BARRED if name in results and LIMIT in results[name].medians]
    points: dict[str, list[tuple[float, float]]] = {}
    for number, name in enumerate(groups):
        medians = results[name].medians
        for peer in (peer for peer in titles if peer in medians):
            points.setdefault(peer, []).append((number, medians[peer] / medians[LIMIT]))
    return Bars(
        "CPU by nginx's, which only passes on", "times nginx", [BARRED[name] for name in groups], points
    )
