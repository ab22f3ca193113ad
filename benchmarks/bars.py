"""What the gateway must hold: the table of bars, and whether a run held them. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.figures import (
    CALL_BY_TEXT,
    FLOOR,
    INCUMBENT,
    LIMIT,
    OURS,
    PROMPT_BY_SHORT,
    TWO_BY_ONE,
    Figure,
    Result,
)
from benchmarks.fresh import Fresh


@dataclass(frozen=True, slots=True)
class Found:
    """What a run found.

    Attributes:
        results: By the figure's name.
        fresh: Of each start.
    """

    results: Mapping[str, Result]
    fresh: Sequence[Fresh]

    def ratio(self, figure: str, other: str) -> float | None:
        """OpenDify's by another peer's; None if it was not measured."""
        result = self.results.get(figure)
        return result.ratios.get(other) if result else None

    def ours(self, figure: str) -> float | None:
        """OpenDify's; None if it was not measured."""
        result = self.results.get(figure)
        return result.medians.get(OURS) if result else None

    def started(self, value: Callable[[Fresh], float]) -> float | None:
        """The median over the starts; None if there was none."""
        return statistics.median(map(value, self.fresh)) if self.fresh else None


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure must hold.

    Attributes:
        title: Of the figure, for people.
        value: The figure; None if it was not measured.
        bar: What must be held.
        aim: What is wanted.
        unit: Of all three.
        digits: After the point.
        least: The bar is the least, not the most.
    """

    title: str
    value: Callable[[Found], float | None]
    bar: float
    aim: float | None
    unit: str
    digits: int = 2
    least: bool = False

    def reaches(self, value: float, line: float) -> bool:
        """Whether a figure is on the good side of a line."""
        return value >= line if self.least else value <= line


def _by(figure: str, other: str) -> Callable[[Found], float | None]:
    return lambda found: found.ratio(figure, other)


def _ours(figure: str) -> Callable[[Found], float | None]:
    return lambda found: found.ours(figure)


def _within(figure: Figure) -> Callable[[Found], float | None]:
    return _ours(figure.name)


BARS = (
    Bar("plain call, CPU by the minimal proxy's", _by("plain_cpu_us", FLOOR), 1.8, 1.4, "×"),
    Bar("paced chunk, CPU by nginx's", _by("chunk_cpu_us", LIMIT), 3.0, 1.7, "×"),
    Bar("100-token burst, CPU by the minimal proxy's", _by("burst_cpu_us", FLOOR), 1.6, 1.2, "×"),
    Bar(
        "plain calls a second on one core, by LiteLLM's",
        _by("plain_per_second", INCUMBENT),
        40,
        60,
        "×",
        digits=1,
        least=True,
    ),
    Bar("added first-token latency at 100 streams, p99", _ours("first_p99_ms"), 3.0, 1.0, "ms"),
    Bar("streams held on one core", _ours("streams_held"), 400, 600, "streams", digits=0, least=True),
    Bar(
        "memory of a worker at rest", lambda found: found.started(lambda one: one.rest / 1e6), 90, 60, "MB", 1
    ),
    Bar(
        "memory of an open stream",
        lambda found: found.started(lambda one: one.a_stream / 1e3),
        60,
        30,
        "KB",
        1,
    ),
    Bar("start to ready, 50 apps", lambda found: found.started(lambda one: one.ready), 1.5, 0.8, "s"),
    Bar("60 messages of 40 KB, CPU by a short call's", _within(PROMPT_BY_SHORT), 2.0, 1.5, "×"),
    Bar("two workers on two cores, by one on one", _within(TWO_BY_ONE), 1.6, 1.9, "×", least=True),
    Bar("tool call, CPU by that of the same text without tools", _within(CALL_BY_TEXT), 1.5, None, "×"),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a bar was held.

    Attributes:
        bar: Which.
        value: The figure; None if it was not measured.
    """

    bar: Bar
    value: float | None

    @property
    def word(self) -> str:
        """``aim reached``, ``held``, ``MISSED``, or ``not measured``."""
        bar, value = self.bar, self.value
        if value is None:
            return "not measured"
        if bar.aim is not None and bar.reaches(value, bar.aim):
            return "aim reached"
        return "held" if bar.reaches(value, bar.bar) else "MISSED"

    def cells(self) -> list[str]:
        """Title, figure, bar, aim, and the word."""
        bar, value = self.bar, self.value
        sign = "≥" if bar.least else "≤"
        measured = "" if value is None else f"{value:,.{bar.digits}f} {bar.unit}"
        aim = "" if bar.aim is None else f"{bar.aim:g} {bar.unit}"
        return [bar.title, measured, f"{sign} {bar.bar:g} {bar.unit}", aim, self.word]


HEADS = ("figure", "measured", "bar", "aim", "")


def verdicts(found: Found) -> list[Verdict]:
    """Each bar, and whether it was held."""
    return [Verdict(bar, bar.value(found)) for bar in BARS]
