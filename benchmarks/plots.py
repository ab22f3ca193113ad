"""The figures of a run as SVG, the same bytes for the same run. Grey on nothing: pages are light or dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.figures import OURS, Result, growth, micros
from benchmarks.measure import DIRECT, LONGEST_GAP_MS, Window
from benchmarks.work import BUSY, CLIMB, CROWD, PLAIN

GREY = "#808080"
COLOURS = {
    DIRECT: "#9a9a9a",
    "nginx": "#2e9e5b",
    "minimal": "#3d8bd9",
    OURS: "#e0592a",
    "fastapi": "#a05fd0",
    "litellm": "#c9a227",
}
STYLE = {
    "svg.hashsalt": "opendify",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": GREY,
    "axes.labelcolor": GREY,
    "axes.edgecolor": GREY,
    "axes.titlecolor": GREY,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "legend.frameon": False,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "savefig.transparent": True,
    "lines.markersize": 4,
}
BARRED = {
    "plain_cpu_us": "plain call",
    "burst_cpu_us": "burst of 100",
    "chunk_cpu_us": "paced chunk",
}
"""Figures of the plot of costs, and what they are called there."""

Lines = Mapping[str, Sequence[tuple[float, float]]]


def draw(
    directory: Path, windows: Sequence[Window], results: Mapping[str, Result], titles: Mapping[str, str]
) -> list[Path]:
    """Write the plots.

    Args:
        directory: Takes the files; those of the same names are replaced.
        windows: Of all rounds.
        results: By the figure's name.
        titles: Of the peers, by name; others are not shown.

    Returns:
        What was written.
    """
    shown = [window for window in windows if window.peer in (*titles, DIRECT)]
    known = {**titles, DIRECT: "direct"}
    first = [window for window in shown if window.round == 0 and window.peer != DIRECT]
    drawn = {
        "bench-cost": _cost(results, titles),
        "bench-calls": _lines(
            growth([w for w in shown if w.peer != DIRECT], (PLAIN, BUSY, CROWD), micros),
            known,
            "CPU of a plain call",
            ("connections", "µs"),
        ),
        "bench-chunks": _lines(
            growth([w for w in shown if w.peer != DIRECT], CLIMB, micros),
            known,
            "CPU of a chunk, 50 a second and stream",
            ("streams at once", "µs"),
        ),
        "bench-gaps": _lines(
            growth(shown, CLIMB, lambda window, _: window.gap_ms[2]),
            known,
            "Longest gap between tokens that are due every 20 ms",
            ("streams at once", "ms"),
            line=LONGEST_GAP_MS,
        ),
        "bench-memory": _lines(
            growth(first, CLIMB, lambda window, _: window.memory / 1e6),
            known,
            "Memory with streams open",
            ("streams at once", "MB"),
        ),
    }
    return [_write(directory / f"{name}.svg", canvas) for name, canvas in drawn.items() if canvas]


def _write(path: Path, canvas: Canvas) -> Path:
    with mpl.rc_context(STYLE):
        canvas.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    # Lines end without blanks, as in every other file here.
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
    return path


def _axes(title: str) -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(7, 3.2), layout="constrained")
    axes = canvas.add_subplot()
    axes.set_title(title, loc="left")
    return canvas, axes


def _logarithmic(axes: Axes) -> None:
    """The peers are up to a thousand times apart."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def _lines(
    lines: Lines,
    titles: Mapping[str, str],
    title: str,
    labels: tuple[str, str],
    *,
    line: float | None = None,
) -> Canvas | None:
    """Lines of the peers over a number of connections; None if there is nothing to show."""
    if not lines:
        return None
    with mpl.rc_context(STYLE):
        canvas, axes = _axes(title)
        for peer in (peer for peer in titles if peer in lines):
            of, values = zip(*lines[peer], strict=True)
            axes.plot(
                of,
                values,
                marker="o",
                color=COLOURS.get(peer, GREY),
                linewidth=2.4 if peer == OURS else 1.4,
                label=titles[peer],
            )
        if line is not None:
            axes.axhline(line, color=GREY, linestyle=":", linewidth=1)
        _logarithmic(axes)
        axes.set_xticks(sorted({at for points in lines.values() for at, _ in points}))
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        canvas.legend(loc="outside right upper")
    return canvas


def _cost(results: Mapping[str, Result], titles: Mapping[str, str]) -> Canvas | None:
    """Bars of CPU by nginx's; None if nginx was not measured."""
    groups = [name for name in BARRED if "nginx" in (results[name].medians if name in results else {})]
    if not groups:
        return None
    with mpl.rc_context(STYLE):
        canvas, axes = _axes("CPU by nginx's, which only passes on")
        width = 0.8 / len(titles)
        for at, (peer, title) in enumerate(titles.items()):
            places = [
                (place + (at - (len(titles) - 1) / 2) * width, medians[peer] / medians["nginx"])
                for place, medians in enumerate(results[name].medians for name in groups)
                if peer in medians
            ]
            bars = axes.bar(
                [place for place, _ in places],
                [value for _, value in places],
                width * 0.92,
                color=COLOURS.get(peer, GREY),
                label=title,
            )
            axes.bar_label(bars, fmt="%.3g", fontsize=8, color=GREY, padding=1)
        _logarithmic(axes)
        axes.set_xticks(range(len(groups)), [BARRED[name] for name in groups])
        axes.set_ylabel("times nginx")
        canvas.legend(loc="outside right upper")
    return canvas
