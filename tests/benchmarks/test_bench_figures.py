"""What a run of the benchmark says: figures, ratios, bars, and the check, from windows made up here."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.bars import Bar, Found, Verdict
from benchmarks.figures import Result, results
from benchmarks.fresh import Fresh
from benchmarks.measure import Window
from benchmarks.work import BUSY, CALL, CALL_TEXT, CLIMB, CROWD, PACED, PLAIN, PROMPT
from rich.console import Console

from benchmarks import __main__ as command
from benchmarks import bars, check, instructions, report

PEERS = ("nginx", "minimal", "litellm", "opendify")


def window(peer: str, work: str, number: int = 0, **changed: object) -> Window:
    made = Window(
        round=number,
        peer=peer,
        work=work,
        seconds=1.0,
        calls=1_000,
        chunks=1_000,
        cpu=0.1,
        upstream=0.01,
        load=0.02,
        side=0.03,
        others=0.0,
        idle=0.0,
        rest=50_000_000,
        memory=60_000_000,
        call_ms=(1.0, 2.0),
        first_ms=(1.0, 2.0),
        gap_ms=(20.0, 21.0, 25.0),
        lost=0,
        fault="",
        held=True,
    )
    return replace(made, **changed)


def found(windows: Sequence[Window]) -> dict[str, Result]:
    return {result.figure.name: result for result in results(windows, PEERS)}


def test_a_ratio_is_the_median_of_the_ratios_within_the_rounds() -> None:
    # The machine is twice as slow in the second round, for both of them.
    windows = [
        window(peer, BUSY.name, number, cpu=cpu * slow)
        for number, slow in enumerate((1, 2, 1))
        for peer, cpu in (("minimal", 0.1), ("opendify", 0.15))
    ]
    result = found(windows)["plain_cpu_us"]
    assert result.ratios == {"minimal": pytest.approx(1.5)}
    assert result.medians == {"minimal": pytest.approx(100), "opendify": pytest.approx(150)}


def test_what_was_not_measured_has_no_line() -> None:
    assert set(found([window("opendify", BUSY.name)])) == {"plain_cpu_us", "plain_per_second"}


def test_a_round_without_one_of_two_peers_says_nothing_of_their_ratio() -> None:
    windows = [
        window("minimal", PACED.name, 0, cpu=0.1),
        window("opendify", PACED.name, 0, cpu=0.2),
        window("opendify", PACED.name, 1, cpu=0.9),
    ]
    assert found(windows)["chunk_cpu_us"].ratios == {"minimal": pytest.approx(2.0)}


def test_latency_is_what_a_peer_adds_to_the_upstream() -> None:
    windows = [
        window("direct", PACED.name, first_ms=(1.0, 2.0), gap_ms=(20.0, 21.0, 22.0)),
        window("opendify", PACED.name, first_ms=(1.5, 4.0), gap_ms=(20.0, 24.5, 90.0)),
    ]
    of = {name: result.medians.get("opendify") for name, result in found(windows).items()}
    assert (of["first_p50_ms"], of["first_p99_ms"], of["gap_p99_ms"]) == (0.5, 2.0, 3.5)


@pytest.mark.parametrize(
    ("held", "most"),
    [
        ([True] * 6, 800),
        ([True, True, True, True, False], 400),
        ([True, True, True, True], 400),  # the run had no further steps
        ([False], 0),
    ],
)
def test_the_streams_that_are_held_are_those_before_the_first_step_that_is_not(
    held: list[bool], most: int
) -> None:
    windows = [window("opendify", work.name, held=one) for work, one in zip(CLIMB, held, strict=False)]
    assert found(windows)["streams_held"].medians == {"opendify": most}


def test_time_that_two_workers_leave_idle_counts_as_theirs() -> None:
    one = window("opendify", CROWD.name, calls=1_000, cpu=1.0)
    both = window("opendify-2", CROWD.name, calls=1_500, cpu=1.5, idle=0.0)
    assert found([one, both])["two_by_one"].medians == {"opendify": pytest.approx(2.0)}
    waiting = window("opendify-2", CROWD.name, calls=1_000, cpu=1.0, idle=0.6)
    assert found([one, waiting])["two_by_one"].medians == {"opendify": pytest.approx(1.25)}


def test_a_long_prompt_and_a_tool_call_are_compared_with_the_short_and_the_plain() -> None:
    windows = [
        window("opendify", BUSY.name, cpu=0.1),
        window("opendify", PROMPT.name, cpu=0.18),
        window("opendify", CALL_TEXT.name, cpu=0.2),
        window("opendify", CALL.name, cpu=0.25),
    ]
    of = found(windows)
    assert of["prompt_by_short"].medians["opendify"] == pytest.approx(1.8)
    assert of["call_by_text"].medians["opendify"] == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("least", "value", "word"),
    [
        (False, 1.4, "aim reached"),
        (False, 1.8, "held"),
        (False, 1.81, "MISSED"),
        (True, 1.4, "held"),
        (True, 1.8, "aim reached"),
        (True, 1.39, "MISSED"),
        (False, None, "not measured"),
    ],
)
def test_a_bar_is_held_to_its_line(*, least: bool, value: float | None, word: str) -> None:
    bar, aim = (1.4, 1.8) if least else (1.8, 1.4)
    assert Verdict(Bar("a call", lambda _: value, bar, aim, "×", least=least), value).word == word


def test_every_bar_has_a_line_even_if_it_was_not_measured() -> None:
    said = bars.verdicts(Found({}, []))
    assert len(said) == len(bars.BARS)
    assert {verdict.word for verdict in said} == {"not measured"}


def test_memory_and_start_are_the_median_over_the_starts() -> None:
    starts = [
        Fresh(ready, 55_000_000, {100: 60_000_000, 200: 60_000_000 + each, 400: 60_000_000 + 3 * each})
        for ready, each in ((0.7, 2_000_000), (0.9, 4_000_000), (9.9, 3_000_000))
    ]
    of = {verdict.bar.title: verdict.value for verdict in bars.verdicts(Found({}, starts))}
    assert of["start to ready, 50 apps"] == 0.9
    assert of["memory of a worker at rest"] == 55.0
    assert of["memory of an open stream"] == pytest.approx(30.0)


def test_the_check_fails_past_a_fifth() -> None:
    before = dict.fromkeys(check.CHECKED, 1.5)
    now = {**before, "burst_cpu_us": 1.79, "chunk_cpu_us": 1.81}
    assert [change.name for change in check.changes(now, before) if change.slower] == ["chunk_cpu_us"]


def test_the_check_says_what_a_run_did_not_measure() -> None:
    whole = dict.fromkeys(check.CHECKED, 1.5)
    without = {name: ratio for name, ratio in whole.items() if name != "burst_cpu_us"}
    with pytest.raises(check.NotComparable, match="this run has no ratio of burst_cpu_us"):
        check.changes(without, whole)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (None, "there is no ratios.json to compare with: make bench"),
        ("", "ratios.json is no JSON: make bench"),
        ("[1.5]", "ratios.json has no ratio of plain_cpu_us, .*: make bench"),
        (
            json.dumps(dict.fromkeys(check.CHECKED[1:], 1.5)),
            "ratios.json has no ratio of plain_cpu_us: make bench",
        ),
        (
            json.dumps(dict.fromkeys(check.CHECKED, "1.5")),
            "ratios.json has no ratio of plain_cpu_us, .*: make bench",
        ),
    ],
)
def test_the_check_measures_nothing_where_there_is_nothing_to_compare_with(
    kept: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("something was measured")

    path = tmp_path / "ratios.json"
    if kept is not None:
        path.write_text(kept)
    monkeypatch.setattr(command, "RATIOS", path)
    monkeypatch.setattr(command, "run", refuse)
    monkeypatch.setattr(instructions, "judge", refuse)
    with pytest.raises(check.NotComparable, match=said):
        command.compare(Console(), 1)


def test_the_ratios_of_a_run_are_what_the_next_check_compares_with() -> None:
    windows = [
        window(peer, work.name, cpu=cpu)
        for work in (PLAIN, BUSY, PACED)
        for peer, cpu in (("minimal", 0.1), ("opendify", 0.15))
    ]
    kept = check.ratios(found(windows).values())
    assert kept == {"plain_cpu_us": 1.5, "plain_alone_cpu_us": 1.5, "chunk_cpu_us": 1.5}


def test_a_run_is_a_table_a_page_and_json() -> None:
    windows = [
        window(peer, work.name, number)
        for number in range(3)
        for work in (*CLIMB, BUSY)
        for peer in ("direct", "nginx", "minimal", "opendify")
    ]
    of = Found(found(windows), [Fresh(1.0, 50_000_000, {100: 60_000_000, 400: 70_000_000})])
    said = bars.verdicts(of)
    titles = {"nginx": "nginx", "minimal": "minimal", "opendify": "OpenDify"}
    heads, body = report.lines(list(of.results.values()), titles)
    assert heads == ["", "direct", "nginx", "minimal", "OpenDify", "/ nginx", "/ minimal"]
    assert ["CPU µs: plain call of 32 at once", "", "100", "100", "100", "1.00", "1.00"] in body
    tables = [(heads, body), report.steps(windows), (list(bars.HEADS), [one.cells() for one in said])]
    page = report.page(tables, [], report.remarks(windows, said), {"processor": "Abacus"})
    assert "processor Abacus" in page
    assert "| streams held on one core | 800 streams | ≥ 400 streams | 600 streams | aim reached |" in page
    record = json.loads(json.dumps(report.record(windows, of, said, {}, titles)))
    assert len(record["windows"]) == len(windows)
    assert record["figures"]["streams_held"]["medians"]["opendify"] == 800


def test_lost_streams_are_told() -> None:
    lost = window("litellm", CLIMB[0].name, lost=3, fault="answered with 500", held=False)
    assert any("3 streams lost; the first: answered with 500" in line for line in report.remarks([lost], []))
