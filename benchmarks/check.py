"""Whether the gateway became slower: ratios against the minimal proxy, beside the committed ones. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmarks.figures import FLOOR, Result

CHECKED = ("plain_cpu_us", "plain_alone_cpu_us", "burst_cpu_us", "chunk_cpu_us")
"""Figures whose ratio against the minimal proxy is kept in ``ratios.json``."""

SLACK = 0.2
"""How much slower is no fault yet."""


@dataclass(frozen=True, slots=True)
class Change:
    """A ratio beside the committed one.

    Attributes:
        name: Of the figure.
        now: Measured.
        before: Committed.
    """

    name: str
    now: float
    before: float

    @property
    def slower(self) -> bool:
        """Whether it is past what is no fault yet."""
        return self.now > self.before * (1 + SLACK)

    def __str__(self) -> str:
        """One sentence.

        >>> print(Change("burst_cpu_us", 2.0, 1.6))
        burst_cpu_us: 2.00 times the minimal proxy's, 1.60 in ratios.json (+25%): SLOWER
        """
        word = "SLOWER" if self.slower else "as before" if self.now > self.before * (1 - SLACK) else "faster"
        more = self.now / self.before - 1
        return (
            f"{self.name}: {self.now:.2f} times the minimal proxy's, {self.before:.2f} in ratios.json "
            f"({more:+.0%}): {word}"
        )


class NotComparable(Exception):
    """A ratio that is checked is missing, here or there. Says which, and what to do."""


WRITE = "make bench ARGS=--page writes it"
"""Of ``ratios.json``."""


def ratios(results: Iterable[Result]) -> dict[str, float]:
    """What is committed of a run."""
    return {
        result.figure.name: round(result.ratios[FLOOR], 3)
        for result in results
        if result.figure.name in CHECKED and FLOOR in result.ratios
    }


def committed(text: str | bytes) -> dict[str, float]:
    """What ``ratios.json`` says.

    >>> committed("{")
    Traceback (most recent call last):
    benchmarks.check.NotComparable: ratios.json is no JSON: make bench ARGS=--page writes it anew

    Raises:
        NotComparable: If it can't be read, or lacks a ratio: then it is of another version of the benchmark.
    """
    try:
        kept = json.loads(text)
    except ValueError as error:
        raise NotComparable(f"ratios.json is no JSON: {WRITE} anew") from error
    known = kept if isinstance(kept, dict) else {}
    if lacking := [name for name in CHECKED if not isinstance(known.get(name), float | int)]:
        raise NotComparable(f"ratios.json has no ratio of {', '.join(lacking)}: {WRITE} anew")
    return known


def changes(now: Mapping[str, float], before: Mapping[str, float]) -> list[Change]:
    """Each checked ratio beside the committed one.

    Args:
        now: Of this run.
        before: All that are checked, as `committed` gives them.

    Raises:
        NotComparable: If the run lacks one.
    """
    if unmeasured := [name for name in CHECKED if name not in now]:
        raise NotComparable(f"this run has no ratio of {', '.join(unmeasured)}: nothing is compared")
    return [Change(name, now[name], before[name]) for name in CHECKED]
