"""What the windows say: the table of figures, their medians, their ratios. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.measure import DIRECT, Window
from benchmarks.work import (
    BURST,
    BUSY,
    CALL,
    CALL_TEXT,
    CLIMB,
    CROWD,
    IMAGE,
    JSON,
    JSON_TEXT,
    MODELS,
    PACED,
    PLAIN,
    PROMPT,
    Work,
)

OURS, TWO, FLOOR, LIMIT, INCUMBENT = "opendify", "opendify-2", "minimal", "nginx", "litellm"
"""Peers that a figure or a bar is about."""

Seen = Mapping[tuple[str, str], Window]
"""The windows of one round, by the names of peer and work."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table.

    Attributes:
        name: Its key in the results.
        title: What it is, with its unit.
        value: The figure of a peer in a round. A `KeyError` if a window of it is missing.
        digits: After the point.
        direct: Makes sense for the upstream asked directly, too.
        ratio: Is compared between peers.
    """

    name: str
    title: str
    value: Callable[[Seen, str], float]
    digits: int = 0
    direct: bool = False
    ratio: bool = True


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


def micros(window: Window, work: Work) -> float:
    """CPU microseconds of the peer, a call or a chunk."""
    return window.cpu / (window.chunks if work.unit == "chunk" else window.calls) * 1e6


def _cpu(work: Work) -> Callable[[Seen, str], float]:
    return lambda seen, peer: micros(seen[peer, work.name], work)


def _beside(work: Work, other: Work) -> Callable[[Seen, str], float]:
    """The CPU of a work by that of another."""
    return lambda seen, peer: micros(seen[peer, work.name], work) / micros(seen[peer, other.name], other)


def _rate(work: Work) -> Callable[[Seen, str], float]:
    return lambda seen, peer: seen[peer, work.name].calls / seen[peer, work.name].seconds


def _added(work: Work, of: Callable[[Window], float]) -> Callable[[Seen, str], float]:
    """Latency above that of the upstream asked directly in the same round."""
    return lambda seen, peer: of(seen[peer, work.name]) - of(seen[DIRECT, work.name])


def _held(seen: Seen, peer: str) -> float:
    """Streams of the last step before the first that a peer did not hold."""
    most = 0
    for work in CLIMB:
        window = seen.get((peer, work.name))
        if window is None:
            if most == 0:
                raise KeyError(peer)
            break
        if not window.held:
            break
        most = work.connections
    return most


def _scaled(seen: Seen, peer: str) -> float:
    """Calls a second of two workers on two cores of their own, by those of one worker on one.

    One worker makes so many calls in a CPU second of its own. Two workers share both cores with load and
    upstream: what those two take is not theirs, but all that stays idle is counted as theirs: time that they
    waited (for each other, a lock, or a disk) though a core was free.
    """
    one, two = seen[OURS, CROWD.name], seen[TWO, CROWD.name]
    return 2 * (two.calls / (two.cpu + two.idle)) / (one.calls / one.cpu)


FIGURES = (
    Figure("plain_cpu_us", "CPU µs: plain call of 32 at once", _cpu(BUSY)),
    Figure("plain_alone_cpu_us", "CPU µs: plain call, alone", _cpu(PLAIN)),
    Figure("plain_crowd_cpu_us", "CPU µs: plain call of 200 at once", _cpu(CROWD)),
    Figure("burst_cpu_us", "CPU µs: burst of 100 tokens", _cpu(BURST)),
    Figure("chunk_cpu_us", "CPU µs: paced chunk of 100 streams", _cpu(PACED), digits=1),
    Figure("prompt_cpu_us", "CPU µs: call with 60 messages, 40 KB", _cpu(PROMPT)),
    Figure("image_cpu_us", "CPU µs: call with a picture of 1 MB", _cpu(IMAGE)),
    Figure("models_cpu_us", "CPU µs: list of models", _cpu(MODELS)),
    Figure("call_cpu_us", "CPU µs: tool call, streamed", _cpu(CALL)),
    Figure("json_cpu_us", "CPU µs: JSON object, streamed", _cpu(JSON)),
    Figure("plain_per_second", "plain calls a second", _rate(BUSY), direct=True),
    Figure("bursts_per_second", "bursts a second", _rate(BURST), direct=True),
    Figure(
        "call_p50_ms",
        "added ms: plain call, alone, p50",
        _added(PLAIN, lambda w: w.call_ms[0]),
        2,
        ratio=False,
    ),
    Figure(
        "call_p99_ms",
        "added ms: plain call, alone, p99",
        _added(PLAIN, lambda w: w.call_ms[1]),
        2,
        ratio=False,
    ),
    Figure(
        "first_p50_ms", "added ms: first token, p50", _added(PACED, lambda w: w.first_ms[0]), 2, ratio=False
    ),
    Figure(
        "first_p99_ms", "added ms: first token, p99", _added(PACED, lambda w: w.first_ms[1]), 2, ratio=False
    ),
    Figure(
        "gap_p50_ms", "added ms: between tokens, p50", _added(PACED, lambda w: w.gap_ms[0]), 2, ratio=False
    ),
    Figure(
        "gap_p99_ms", "added ms: between tokens, p99", _added(PACED, lambda w: w.gap_ms[1]), 2, ratio=False
    ),
    Figure("streams_held", "streams held, 50 tokens a second each", _held, direct=True, ratio=False),
    Figure("rest_mb", "MB: at rest", lambda seen, peer: seen[peer, PACED.name].rest / 1e6),
    Figure("loaded_mb", "MB: with 100 streams open", lambda seen, peer: seen[peer, PACED.name].memory / 1e6),
    Figure("busy_mb", "MB: under 200 calls at once", lambda seen, peer: seen[peer, CROWD.name].memory / 1e6),
)

PROMPT_BY_SHORT = Figure("prompt_by_short", "a call of 60 messages by a short one", _beside(PROMPT, BUSY), 2)
CALL_BY_TEXT = Figure("call_by_text", "a tool call by its text without tools", _beside(CALL, CALL_TEXT), 2)
JSON_BY_TEXT = Figure("json_by_text", "a JSON object by its text as plain text", _beside(JSON, JSON_TEXT), 2)
TWO_BY_ONE = Figure("two_by_one", "two workers by one", _scaled, 2)
WITHIN = (PROMPT_BY_SHORT, CALL_BY_TEXT, JSON_BY_TEXT, TWO_BY_ONE)
"""Figures of OpenDify alone: one work by another in the same round."""


def results(windows: Sequence[Window], peers: Sequence[str]) -> list[Result]:
    """The figures of a run; those that nobody was measured for are left out.

    Args:
        windows: Of all rounds.
        peers: The names of those that have a column.
    """
    found: list[Result] = []
    for figure in (*FIGURES, *WITHIN):
        shown = (OURS,) if figure in WITHIN else (DIRECT, *peers) if figure.direct else peers
        values = {peer: of for peer in shown if (of := values_of(figure, windows, peer))}
        ours = values.get(OURS, {})
        found.append(
            Result(
                figure,
                {peer: statistics.median(of.values()) for peer, of in values.items()},
                {
                    other: statistics.median(both)
                    for other, theirs in values.items()
                    if figure.ratio and other not in (OURS, DIRECT)
                    if (both := [ours[number] / theirs[number] for number in ours.keys() & theirs.keys()])
                },
            )
        )
    return [result for result in found if result.medians]


def values_of(figure: Figure, windows: Sequence[Window], peer: str) -> dict[int, float]:
    """A figure of a peer by round; rounds that have no window for it are left out."""
    found: dict[int, float] = {}
    for number, seen in by_round(windows).items():
        try:
            found[number] = figure.value(seen, peer)
        except KeyError:
            continue
    return found


def by_round(windows: Sequence[Window]) -> dict[int, Seen]:
    """The windows of each round, by peer and work."""
    found: dict[int, dict[tuple[str, str], Window]] = {}
    for window in windows:
        found.setdefault(window.round, {})[window.peer, window.work] = window
    return dict(found)


def growth(
    windows: Sequence[Window], works: Sequence[Work], value: Callable[[Window, Work], float]
) -> dict[str, list[tuple[int, float]]]:
    """How a figure grows with the connections: by peer, (connections, median over the rounds).

    Args:
        windows: Of the rounds that count.
        works: The same with more and more connections.
        value: The figure of a window.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    for peer in dict.fromkeys(window.peer for window in windows):
        for work in works:
            of_work = [
                value(window, work)
                for window in windows
                if (window.peer, window.work) == (peer, work.name) and window.lost == 0
            ]
            if of_work:
                found.setdefault(peer, []).append((work.connections, statistics.median(of_work)))
    return found
