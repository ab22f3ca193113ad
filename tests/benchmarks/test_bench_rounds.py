"""Who is asked for what, and when: rounds over peers that hold so many streams, without any process."""

from dataclasses import dataclass, field

import pytest
from benchmarks.dialects import OPENAI
from benchmarks.measure import PARTS, Subject, Window, rounds, together
from benchmarks.work import BUSY, CLIMB, IMAGE, PLAIN, Work
from test_bench_figures import window

from benchmarks import measure


@dataclass
class Bench:
    """Stands for the machine.

    Attributes:
        holds: Streams at once, by peer.
        asked: Peer and work of each window, warm-up aside.
    """

    holds: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def window(self, number: int, subject: Subject, work: Work, upstream: object) -> Window:
        self.asked.append((subject.name, work.name))
        held = work.connections <= self.holds.get(subject.name, 1_000)
        return window(subject.name, work.name, number, held=held)

    async def run(self, count: int, works: tuple[Work, ...], **skips: frozenset[str]) -> list[Window]:
        subjects = [
            Subject(name, OPENAI, None, 0, skips.get(name, frozenset())) for name in ("one", "opendify")
        ]
        windows = await rounds(count, subjects, works, None, lambda _: None)
        del self.asked[: len(subjects) * 2]  # the warm-up
        return windows


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    async def settled(_: object) -> None: ...

    bench = Bench()
    monkeypatch.setattr(measure, "window", bench.window)
    monkeypatch.setattr(measure, "settled", settled)
    return bench


async def test_each_round_begins_with_another_peer(bench: Bench) -> None:
    await bench.run(2, (PLAIN,))
    assert [peer for peer, _ in bench.asked] == ["one", "opendify", "opendify", "one"]


async def test_a_peer_that_does_not_hold_a_step_is_spared_the_next_but_no_other_work(bench: Bench) -> None:
    bench.holds["one"] = 100
    windows = await bench.run(1, (*CLIMB, PLAIN))
    assert [work for peer, work in bench.asked if peer == "one"] == [
        "paced-50",
        "paced",
        "paced-200",
        "plain-1",
    ]
    assert len([work for peer, work in bench.asked if peer == "opendify"]) == len(CLIMB) + 1
    assert len(windows) == len(bench.asked)


async def test_a_peer_climbs_anew_in_each_round(bench: Bench) -> None:
    bench.holds["one"] = 10
    await bench.run(2, CLIMB)
    assert bench.asked.count(("one", "paced-50")) == 2


async def test_works_of_one_peer_and_works_that_a_peer_skips_are_not_asked_of_others(bench: Bench) -> None:
    await bench.run(1, (PLAIN, IMAGE), opendify=frozenset({PLAIN.name}))
    assert bench.asked == [("one", "plain-1"), ("opendify", "image")]


async def test_a_close_work_is_done_in_each_part_of_a_round_and_counts_as_one_window(bench: Bench) -> None:
    windows = await bench.run(2, (BUSY, PLAIN))
    assert [work for peer, work in bench.asked if peer == "one"] == ["plain-32", "plain-1"] * 2
    ours = [work for peer, work in bench.asked if peer == "opendify"]
    assert ours == ["plain-32", "plain-1", *["plain-32"] * (PARTS - 1)] * 2
    (first, _) = [one.calls for one in windows if (one.peer, one.work) == ("opendify", "plain-32")]
    assert first == PARTS * 1_000


def test_windows_of_one_work_are_added_up() -> None:
    whole = together(
        [
            window(
                "one", "plain-32", seconds=1.0, calls=100, cpu=0.5, side=0.2, call_ms=(1.0, 2.0), held=True
            ),
            window(
                "one", "plain-32", seconds=3.0, calls=500, cpu=0.7, side=0.6, call_ms=(2.0, 9.0), held=True
            ),
            window(
                "one", "plain-32", seconds=1.0, calls=100, cpu=0.3, side=0.2, call_ms=(3.0, 5.0), held=False
            ),
        ]
    )
    assert (whole.seconds, whole.calls, whole.cpu) == (5.0, 700, pytest.approx(1.5))
    assert whole.side == pytest.approx((0.2 + 1.8 + 0.2) / 5)
    assert whole.call_ms == (2.0, 5.0)
    assert not whole.held
