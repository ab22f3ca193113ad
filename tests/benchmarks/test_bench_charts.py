"""What the plots of a run show, from windows made up here. How they are drawn: test_bench_plots.py."""

from collections.abc import Sequence

import pytest
from benchmarks.charts import Bars, Chart, Lines, charts
from benchmarks.figures import results
from benchmarks.measure import Window
from benchmarks.work import BURST, BUSY, CLIMB, CROWD, PACED, PLAIN
from test_bench_figures import window

from benchmarks import report

TITLES = {"nginx": "nginx", "opendify": "OpenDify"}


def shown(windows: Sequence[Window]) -> dict[str, Chart]:
    found = {result.figure.name: result for result in results(windows, list(TITLES))}
    return charts(windows, found, TITLES)


def lines(windows: Sequence[Window], name: str) -> dict[str, list[tuple[float, float]]]:
    chart = shown(windows)[name]
    assert isinstance(chart, Lines)
    return {peer: [(of, round(value, 9)) for of, value in points] for peer, points in chart.points.items()}


def test_a_whole_run_has_every_plot_that_the_page_has_words_for() -> None:
    windows = [
        window(peer, work.name)
        for work in (*CLIMB, PLAIN, BUSY, CROWD, BURST)
        for peer in (*TITLES, "opendify-2", "direct")
    ]
    found = shown(windows)
    assert list(found) == list(report.PLOTS)
    peers = {name: set(chart.points) for name, chart in found.items()}
    assert peers.pop("bench-gaps") == {"nginx", "opendify", "direct"}
    assert list(peers.values()) == [{"nginx", "opendify"}] * 4


def test_costs_are_those_of_nginx_multiplied() -> None:
    cpu = {"nginx": 0.02, "opendify": 0.05}
    windows = [window(peer, work.name, cpu=cpu[peer]) for work in (BUSY, PACED) for peer in TITLES]
    chart = shown([*windows, window("opendify", BURST.name)])["bench-cost"]
    assert isinstance(chart, Bars)
    assert chart.groups == ["plain call", "paced chunk"]  # nobody knows what nginx takes for a burst
    assert chart.points == {
        "nginx": [(0, 1.0), (1, 1.0)],
        "opendify": [(0, pytest.approx(2.5)), (1, pytest.approx(2.5))],
    }


def test_cpu_of_calls_and_chunks_is_the_median_of_the_rounds_over_the_connections() -> None:
    windows = [
        window("opendify", work.name, number, cpu=cpu * (1 + at))
        for number, cpu in enumerate((0.1, 0.3, 0.2))
        for at, work in enumerate((PLAIN, BUSY, CROWD, *CLIMB))
    ]
    calls = [(PLAIN.connections, 200), (BUSY.connections, 400), (CROWD.connections, 600)]
    assert lines(windows, "bench-calls") == {"opendify": calls}
    chunks = [(work.connections, 200 * (at + 4)) for at, work in enumerate(CLIMB)]
    assert lines(windows, "bench-chunks") == {"opendify": chunks}


def test_gaps_are_the_longest_of_a_window_beside_those_of_the_upstream_and_the_bound() -> None:
    windows = [
        window("opendify", PACED.name, gap_ms=(20.0, 25.0, 90.0)),
        window("direct", PACED.name, gap_ms=(20.0, 21.0, 30.0)),
    ]
    assert lines(windows, "bench-gaps") == {
        "opendify": [(PACED.connections, 90)],
        "direct": [(PACED.connections, 30)],
    }
    chart = shown(windows)["bench-gaps"]
    assert isinstance(chart, Lines)
    assert chart.bound == 200


def test_memory_is_that_of_the_first_round_before_any_other_work_has_filled_it() -> None:
    windows = [
        window("opendify", PACED.name, number, memory=memory) for number, memory in ((0, 6e7), (1, 9e7))
    ]
    assert lines(windows, "bench-memory") == {"opendify": [(PACED.connections, 60)]}


def test_a_step_in_which_streams_were_lost_is_not_shown() -> None:
    few, many = CLIMB[:2]
    windows = [window("opendify", few.name), window("opendify", many.name, lost=1, held=False)]
    for name in ("bench-chunks", "bench-gaps", "bench-memory"):
        assert [of for of, _ in lines(windows, name)["opendify"]] == [few.connections]


def test_a_run_without_nginx_has_no_plot_of_costs() -> None:
    assert list(shown([window("opendify", PLAIN.name)])) == ["bench-calls"]
