"""What the windows say: figures, ratios, the verdict. As a table, as Markdown, as JSON. Pure."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from benchmarks.measure import DIRECT, Window
from benchmarks.work import WORKS, Work

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
            "added ms: first token of a stream, p50",
            paced.name,
            lambda window, direct: window.first_ms[0] - direct.first_ms[0],
            digits=2,
        ),
        Figure(
            "first_p99_ms",
            "added ms: first token of a stream, p99",
            paced.name,
            lambda window, direct: window.first_ms[1] - direct.first_ms[1],
            digits=2,
            ratio=False,
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


BARS = (Bar("plain_cpu_us", 400, 115), Bar("chunk_cpu_us", 70, 46))

Medians = dict[str, dict[str, float]]
"""Figure -> peer -> median of its rounds."""


def medians(windows: Sequence[Window], rest: Mapping[str, int]) -> Medians:
    """The figures.

    Args:
        windows: Of all rounds.
        rest: Bytes that each peer has in RAM before its first call.
    """
    peers = list(dict.fromkeys(window.peer for window in windows))
    direct = {(window.round, window.work): window for window in windows if window.peer == DIRECT}
    found: Medians = {}
    for figure in FIGURES:
        found[figure.name] = {
            peer: statistics.median(
                figure.value(window, direct[window.round, window.work])
                for window in windows
                if (window.peer, window.work) == (peer, figure.work)
            )
            for peer in peers
            if figure.direct or peer != DIRECT
        }
    found["rest_mb"] = {peer: size / 1e6 for peer, size in rest.items()}
    return found


_TITLES = [(figure.name, figure.title, figure.digits, figure.ratio) for figure in FIGURES]
_TITLES.insert(-1, ("rest_mb", "MB: at rest", 0, True))


def lines(found: Medians, peers: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """The table's heads and lines: the figures, then OpenDify's divided by those of the others.

    Args:
        found: From `medians`.
        peers: Name -> title, in the order of the columns, OpenDify last.
    """
    *others, ours = peers
    heads = ["", DIRECT, *peers.values(), *(f"/ {peers[other]}" for other in others)]
    table: list[list[str]] = []
    for name, title, digits, comparable in _TITLES:
        values = found[name]
        row = [title, *(f"{values[p]:,.{digits}f}" if p in values else "" for p in (DIRECT, *peers))]
        row += [f"{values[ours] / values[other]:.2f}" if comparable else "" for other in others]
        table.append(row)
    return heads, table


def printed(found: Medians, peers: Mapping[str, str]) -> Table:
    """The table for a terminal."""
    heads, body = lines(found, peers)
    table = Table(header_style="bold")
    for head in heads:
        table.add_column(head, justify="left" if not head else "right")
    for row in body:
        table.add_row(*row)
    return table


def markdown(found: Medians, peers: Mapping[str, str]) -> str:
    """The table for a page."""
    heads, body = lines(found, peers)
    rule = ["---", *("--:" for _ in heads[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, rule, *body))


def verdict(found: Medians, peers: Mapping[str, str]) -> list[str]:
    """Whether OpenDify, the last of the peers, holds the bars: one sentence each."""
    titles = {name: title for name, title, _, _ in _TITLES}
    *_, ours = peers
    said: list[str] = []
    for bar in BARS:
        values = found[bar.figure]
        scaled = bar.most * values["minimal"] / bar.minimal
        held = "held" if values[ours] <= scaled else "MISSED"
        said.append(
            f"{titles[bar.figure]}: {values[ours]:.0f}, bar {scaled:.0f}: {held}. (The bar is {bar.most:g} "
            f"where the minimal proxy takes {bar.minimal:g}; here it takes {values['minimal']:.0f}.)"
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


def results(
    windows: Sequence[Window], found: Medians, machine: Mapping[str, str], said: Sequence[str]
) -> dict[str, Any]:
    """All of a run, for JSON."""
    return {
        "machine": dict(machine),
        "figures": found,
        "remarks": list(said),
        "windows": [dataclasses.asdict(window) for window in windows],
    }
