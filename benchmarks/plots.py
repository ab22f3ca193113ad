"""The figures of a run as SVG, the same bytes for the same run. Grey on nothing: pages are light or dark."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.charts import Bars, Chart, Lines
from benchmarks.figures import OURS
from benchmarks.measure import DIRECT

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


def draw(directory: Path, charts: Mapping[str, Chart], titles: Mapping[str, str]) -> list[Path]:
    """Write the plots.

    Args:
        directory: Takes the files; those of the same names are replaced.
        charts: What they show, by the names of the files.
        titles: Of the peers, by name, in the order in which they are drawn.

    Returns:
        What was written.
    """
    known = {**titles, DIRECT: "direct"}
    drawn = {
        name: _bars(chart, titles) if isinstance(chart, Bars) else _lines(chart, known)
        for name, chart in charts.items()
    }
    return [_write(directory / f"{name}.svg", canvas) for name, canvas in drawn.items()]


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


def _lines(chart: Lines, titles: Mapping[str, str]) -> Canvas:
    with mpl.rc_context(STYLE):
        canvas, axes = _axes(chart.title)
        for peer in (peer for peer in titles if peer in chart.points):
            of, values = zip(*chart.points[peer], strict=True)
            axes.plot(
                of,
                values,
                marker="o",
                color=COLOURS.get(peer, GREY),
                linewidth=2.4 if peer == OURS else 1.4,
                label=titles[peer],
            )
        if chart.bound is not None:
            axes.axhline(chart.bound, color=GREY, linestyle=":", linewidth=1)
        _logarithmic(axes)
        axes.set_xticks(sorted({at for points in chart.points.values() for at, _ in points}))
        axes.set_xlabel(chart.across)
        axes.set_ylabel(chart.unit)
        canvas.legend(loc="outside right upper")
    return canvas


def _bars(chart: Bars, titles: Mapping[str, str]) -> Canvas:
    with mpl.rc_context(STYLE):
        canvas, axes = _axes(chart.title)
        width = 0.8 / len(titles)
        for at, (peer, title) in enumerate(titles.items()):
            points = chart.points.get(peer, ())
            bars = axes.bar(
                [group + (at - (len(titles) - 1) / 2) * width for group, _ in points],
                [value for _, value in points],
                width * 0.92,
                color=COLOURS.get(peer, GREY),
                label=title,
            )
            axes.bar_label(bars, fmt="%.3g", fontsize=8, color=GREY, padding=1)
        _logarithmic(axes)
        axes.set_xticks(range(len(chart.groups)), chart.groups)
        axes.set_ylabel(chart.unit)
        canvas.legend(loc="outside right upper")
    return canvas
