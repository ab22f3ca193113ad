"""A run for people and programs: tables, Markdown, JSON, and what to know when reading them. Pure."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.bars import Found, Verdict
from benchmarks.figures import FLOOR, INCUMBENT, LIMIT, OURS, Result, growth, micros
from benchmarks.measure import DIRECT, Window
from benchmarks.work import CLIMB, WORKS

FULL = 0.85
"""How busy load or upstream are, 0 to 1, when they and not the peer limit the calls a second."""

Lines = tuple[list[str], list[list[str]]]
"""A table's heads and lines."""

COMPARED = (LIMIT, FLOOR, INCUMBENT)
"""Peers that OpenDify's figures are divided by."""


PLOTS = {
    "bench-cost": "CPU of a plain call, a burst and a paced chunk at each peer, by nginx's",
    "bench-calls": "CPU of a plain call at each peer, over the connections",
    "bench-chunks": "CPU of a chunk at each peer, over the streams at once",
    "bench-gaps": "Longest gap between two tokens at each peer, over the streams at once",
    "bench-memory": "Memory of each peer, over the streams at once",
}
"""What is said of a plot to who does not see it, by the name of the file."""


def lines(found: Sequence[Result], peers: Mapping[str, str]) -> Lines:
    """The table's heads and lines: the figures, then OpenDify's divided by those of others.

    Args:
        found: From `results`.
        peers: Name -> title, in the order of the columns.
    """
    beside = [peer for peer in COMPARED if peer in peers]
    heads = ["", DIRECT, *peers.values(), *(f"/ {peers[other]}" for other in beside)]
    table: list[list[str]] = []
    for result in found:
        figure, values, ratios = result.figure, result.medians, result.ratios
        row = [figure.title]
        row += [f"{values[peer]:,.{figure.digits}f}" if peer in values else "" for peer in (DIRECT, *peers)]
        row += [_ratio(ratios[other]) if other in ratios else "" for other in beside]
        table.append(row)
    return heads, table


def _ratio(value: float) -> str:
    """With two digits that say something.

    >>> _ratio(1.234), _ratio(45.6), _ratio(0.0123)
    ('1.23', '46', '0.012')
    """
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def steps(windows: Sequence[Window], peer: str = OURS) -> Lines:
    """How a peer's figures grow with the streams: heads and lines."""
    of_peer = [window for window in windows if window.peer == peer]
    first = [window for window in of_peer if window.round == 0]
    columns = (
        growth(of_peer, CLIMB, micros),
        growth(of_peer, CLIMB, lambda window, _: window.gap_ms[0]),
        growth(of_peer, CLIMB, lambda window, _: window.gap_ms[1]),
        growth(of_peer, CLIMB, lambda window, _: window.gap_ms[2]),
        growth(first, CLIMB, lambda window, _: window.memory / 1e6),
    )
    cells = [dict(column.get(peer, ())) for column in columns]
    heads = ["streams", "CPU µs a chunk", "gap ms, p50", "p99", "longest", "MB"]
    return heads, [
        [str(streams), *(f"{column[streams]:.1f}" if streams in column else "" for column in cells)]
        for streams in cells[0]
    ]


def printed(heads: Sequence[str], body: Sequence[Sequence[str]]) -> Table:
    """A table for a terminal."""
    table = Table(header_style="bold")
    for at, head in enumerate(heads):
        table.add_column(head, justify="right" if at else "left")
    for row in body:
        table.add_row(*row)
    return table


def markdown(heads: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table for a page."""
    rule = ["---", *("--:" for _ in heads[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, rule, *body))


def page(
    tables: Sequence[Lines], plots: Sequence[Path], said: Sequence[str], machine: Mapping[str, str]
) -> str:
    """The part of the page that a run writes.

    Args:
        tables: Figures, steps and bars.
        plots: Files, beside the page in ``images/``.
        said: From `remarks`.
        machine: What it ran on, by name.
    """
    figures, of_steps, of_bars = (markdown(*table) for table in tables)
    named = ", ".join(f"{name} {value}" for name, value in machine.items())
    shown = [f"![{PLOTS[path.stem]}](images/{path.name})" for path in plots]
    return "\n\n".join(
        (
            f"Measured on: {named}.",
            of_bars,
            *shown,
            figures,
            "OpenDify, with more and more streams of 50 tokens a second:",
            of_steps,
            "\n".join(f"- {line}" for line in said),
        )
    )


def remarks(windows: Sequence[Window], said: Sequence[Verdict]) -> list[str]:
    """What to know when reading the figures: what the upstream cost, what limited, what disturbed."""
    return [*_shares(windows), *_limits(windows), *_faults(windows), *_others(windows), *_missing(said)]


def _shares(windows: Sequence[Window]) -> list[str]:
    said: list[str] = []
    for work in WORKS:
        of_work = [window for window in windows if window.work == work.name and window.lost == 0]
        units = sum(getattr(window, f"{work.unit}s") for window in of_work)
        if units:
            upstream, load = (sum(getattr(window, who) for window in of_work) for who in ("upstream", "load"))
            said.append(
                f"{work.title}: the upstream took {upstream / units * 1e6:.0f} µs CPU a {work.unit}, "
                f"the load {load / units * 1e6:.0f} µs."
            )
    return said


def _limits(windows: Sequence[Window]) -> list[str]:
    said: list[str] = []
    calls = {work.name for work in WORKS if work.unit == "call"}
    asked = [window for window in windows if window.peer != DIRECT and window.work in calls]
    for peer, work in dict.fromkeys((window.peer, window.work) for window in asked):
        share = statistics.median(w.side for w in windows if (w.peer, w.work) == (peer, work))
        if share > FULL:
            said.append(
                f"{work}, {peer}: load and upstream had their core full ({share:.0%}): they, not the "
                "peer, limited the calls a second (not the CPU per call)."
            )
    return said + [
        f"{window.work}, round {window.round + 1}: load and upstream alone did not hold the streams "
        f"(longest gap {window.gap_ms[2]:.0f} ms): no peer can be seen to hold so many."
        for window in windows
        if window.peer == DIRECT and not window.held
    ]


def _faults(windows: Sequence[Window]) -> list[str]:
    return [
        f"{window.work}, {window.peer}, round {window.round + 1}: {window.lost} streams lost; "
        f"the first: {window.fault}"
        for window in windows
        if window.lost
    ]


def _others(windows: Sequence[Window]) -> list[str]:
    others = statistics.median(window.others for window in windows)
    return [f"Other processes took {others:.0%} of the machine (median of all windows)."]


def _missing(said: Sequence[Verdict]) -> list[str]:
    missing = [verdict.bar.title for verdict in said if verdict.value is None]
    return [f"Not measured in this run: {'; '.join(missing)}."] if missing else []


def record(
    windows: Sequence[Window],
    found: Found,
    said: Sequence[Verdict],
    machine: Mapping[str, str],
    titles: Mapping[str, str],
) -> dict[str, Any]:
    """All of a run, for JSON."""
    return {
        "machine": dict(machine),
        "peers": dict(titles),
        "bars": [
            {
                "title": verdict.bar.title,
                "value": verdict.value,
                "bar": verdict.bar.bar,
                "aim": verdict.bar.aim,
                "unit": verdict.bar.unit,
                "verdict": verdict.word,
            }
            for verdict in said
        ],
        "figures": {
            name: {"medians": dict(result.medians), "ratios": dict(result.ratios)}
            for name, result in found.results.items()
        },
        "fresh": [dataclasses.asdict(one) for one in found.fresh],
        "remarks": remarks(windows, said),
        "windows": [dataclasses.asdict(window) for window in windows],
    }
