"""Smooth output: nothing lost, nothing late, nothing split, and no price for what is smooth already."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wcwidth import iter_graphemes

from opendify.gateway.pacing import BURST, LUMP, MAX_LAG, STEP, Pacer

ANSWER = "The quick brown fox jumps over the lazy dog. " * 9

CLUSTERS = [
    "a",
    " ",
    "\n",
    "\r\n",
    "é",
    "e\u0301",
    "你",
    "👍🏽",
    "👨\u200d👩\u200d👧\u200d👦",
    "🇩🇪",
    "क्ष",
    "한",
    "❤\ufe0f",
    "1\ufe0f\u20e3",
]
"""What a reader sees as one character each, whatever stands beside it."""

lumps = st.lists(st.sampled_from(CLUSTERS), min_size=1, max_size=200).map("".join)
tokens = st.lists(st.sampled_from(CLUSTERS), min_size=1, max_size=3).map("".join)
gaps = st.floats(0, 2) | st.sampled_from([0.0, 0.001, 0.02, STEP, 0.25, MAX_LAG, 5.0])
arrivals = st.lists(st.tuples(gaps, lumps | tokens | st.text()), max_size=30)


@dataclass
class Played:
    """What a client saw of pieces that came with gaps of so many seconds between them."""

    came: list[tuple[float, str]] = field(default_factory=list)
    sent: list[tuple[float, str]] = field(default_factory=list)
    rest: str = ""

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.sent) + self.rest

    def lag(self) -> float:
        """The longest that any character waited, the rest at the end aside."""
        left = [time for time, text in self.sent for _ in text]
        came = [time for time, text in self.came for _ in text]
        return max((later - earlier for later, earlier in zip(left, came, strict=False)), default=0.0)


def play(pieces: list[tuple[float, str]], *, late: float = 0.0, to_the_end: bool = True) -> Played:
    """Feed pieces as they come, and wake the pacer when it wants, or `late` seconds later."""
    pacer, played, now = Pacer(), Played(), 100.0

    def wake(until: float) -> None:
        for _ in range(10_000):
            if pacer.wake_at is None or pacer.wake_at + late > until:
                return
            assert pacer.held
            at = pacer.wake_at + late
            text = pacer.due(at)
            assert text
            played.sent.append((at, text))
        raise AssertionError("the pacer never comes to rest")

    for gap, piece in pieces:
        wake(now + gap)
        now += gap
        played.came.append((now, piece))
        if text := pacer.feed(piece, now):
            played.sent.append((now, text))
    if to_the_end:
        wake(float("inf"))
    played.rest = pacer.flush()
    assert pacer.wake_at is None
    assert not pacer.held
    return played


@given(arrivals, st.floats(0, 0.5), st.booleans())
@example([(0.0, "x" * 100), (0.0, "")], 0.0, True)
@example([(0.0, "x" * 30)] * 5 + [(0.0, "")], 0.0, True)
def test_nothing_is_lost_repeated_or_reordered(
    pieces: list[tuple[float, str]], late: float, to_the_end: bool
) -> None:
    assert play(pieces, late=late, to_the_end=to_the_end).text == "".join(text for _, text in pieces)


@given(arrivals)
def test_no_character_is_more_than_300_ms_behind(pieces: list[tuple[float, str]]) -> None:
    played = play(pieces)
    assert not played.rest
    assert played.lag() <= 0.3 + 1e-9


@given(st.lists(st.tuples(gaps, lumps | tokens), max_size=30))
def test_a_character_that_the_reader_sees_as_one_is_never_split(pieces: list[tuple[float, str]]) -> None:
    played = play(pieces)
    # A cut is fine where a piece ended anyway, and between two clusters of what was held together.
    allowed, position = {0}, 0
    for _, piece in pieces:
        for cluster in iter_graphemes(piece):
            position += len(cluster)
            allowed.add(position)
    position = 0
    for _, text in played.sent:
        position += len(text)
        assert position in allowed


def test_a_character_that_came_in_two_pieces_is_not_split_again() -> None:
    pacer = Pacer()
    pacer.feed("x" * 100, 0.0)
    pacer.feed("e", 0.001)
    pacer.feed("\u0301" + "y" * 100, 0.002)
    sent = ""
    while pacer.wake_at is not None:
        text = pacer.due(pacer.wake_at)
        assert not text.startswith("\u0301")
        sent += text
    assert "e\u0301" in sent


@given(st.lists(st.text(min_size=1, max_size=LUMP), max_size=100))
def test_small_pieces_as_from_a_model_pass_at_once_untouched(pieces: list[str]) -> None:
    pacer, now = Pacer(), 0.0
    for piece in pieces:
        now += 0.02 if len(piece) <= BURST // 2 else STEP
        assert pacer.feed(piece, now) is piece
        assert pacer.wake_at is None


def test_five_hundred_tokens_a_second_pass_at_once_untouched() -> None:
    pacer = Pacer()
    for n in range(1000):
        token = f" {n:5}"
        assert pacer.feed(token, n / 500) is token


def test_some_tokens_that_a_network_read_brought_together_pass_at_once() -> None:
    pacer = Pacer()
    assert [pacer.feed(" token", 1.0) for _ in range(20)] == [" token"] * 20


def test_a_lump_starts_at_once_and_is_spread_in_even_steps() -> None:
    played = play([(0.0, ANSWER)])
    times = [time - 100 for time, _ in played.sent]
    sizes = [len(text) for _, text in played.sent]
    assert times[0] == 0
    assert times[-1] == pytest.approx(MAX_LAG - STEP)
    assert all(later - earlier == pytest.approx(STEP) for earlier, later in pairwise(times))
    assert max(sizes) - min(sizes) <= 1


def test_an_answer_that_comes_whole_takes_a_fraction_of_a_second() -> None:
    played = play([(0.0, "x" * 400)])
    assert played.sent[-1][0] - played.sent[0][0] < 0.3  # the first proxy took 8.3 s
    assert len(played.sent) <= 10


def test_an_answer_in_one_burst_of_tokens_is_a_lump_too() -> None:
    played = play([(0.00001, "word ") for _ in range(300)])
    assert sum(len(text) for time, text in played.sent if time < 100 + STEP / 2) < 2 * BURST
    assert played.lag() <= 0.3
    times = [time for time, _ in played.sent]
    assert times[-1] - times[0] > 0.2


def test_lumps_that_follow_each_other_run_together() -> None:
    played = play([(0.12, "x" * 60) for _ in range(20)])
    late = [time for time, _ in played.sent if time > 101]
    pauses = [later - earlier for earlier, later in pairwise(late)]
    assert max(pauses) < 0.05  # they came every 0.12 s
    for time, _ in played.came[8:]:
        before = sum(len(text) for at, text in played.came if at < time)
        sent = sum(len(text) for at, text in played.sent if at < time)
        assert sent >= before - 15  # when a lump comes, the one before has all but left


def test_tokens_behind_a_lump_wait_for_it_and_then_pass_again() -> None:
    played = play([(0.0, ANSWER), *[(0.02, " token") for _ in range(50)]])
    assert played.lag() <= 0.3
    assert [text for time, text in played.sent if time > 100.4] == [
        text for time, text in played.came if time > 100.4
    ]


def test_the_rest_comes_at_once_when_there_is_no_more() -> None:
    pacer = Pacer()
    first = pacer.feed(ANSWER, 0.0)
    assert 0 < len(first) < len(ANSWER)
    assert first + pacer.flush() == ANSWER
    assert pacer.flush() == ""
    assert pacer.due(10.0) == ""


def test_a_wake_up_too_early_gives_nothing_yet() -> None:
    pacer = Pacer()
    pacer.feed(ANSWER, 0.0)
    assert pacer.wake_at == STEP
    assert pacer.due(STEP / 2) == ""
    assert pacer.wake_at == STEP
    assert pacer.due(STEP) != ""


def test_a_long_silence_of_the_loop_is_made_up_for_at_once() -> None:
    pacer = Pacer()
    first = pacer.feed(ANSWER, 0.0)
    assert first + pacer.due(1.0) == ANSWER
    assert not pacer.held
