"""The plots of a run: SVG that any reader of XML takes, the same bytes for the same run.

What they show needs no matplotlib: test_bench_charts.py.
"""

from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib", reason="only `make bench` installs matplotlib")

from benchmarks.charts import charts
from benchmarks.figures import results
from benchmarks.work import BURST, BUSY, CLIMB, CROWD, PLAIN
from test_bench_figures import window

from benchmarks import plots, report

TITLES = {"nginx": "nginx", "minimal": "minimal", "opendify": "OpenDify"}


def drawn(directory: Path) -> dict[str, bytes]:
    windows = [
        window(peer, work.name, cpu=0.02 * at * work.connections**0.1)
        for work in (*CLIMB, PLAIN, BUSY, CROWD, BURST)
        for at, peer in enumerate(("nginx", "minimal", "opendify", "direct"), 1)
    ]
    found = {result.figure.name: result for result in results(windows, list(TITLES))}
    return {
        path.name: path.read_bytes() for path in plots.draw(directory, charts(windows, found, TITLES), TITLES)
    }


def test_the_same_run_draws_the_same_bytes(tmp_path: Path) -> None:
    assert drawn(tmp_path) == drawn(tmp_path)


def test_plots_are_small_svg_with_text_and_without_a_ground(tmp_path: Path) -> None:
    files = drawn(tmp_path)
    assert set(files) == {f"{name}.svg" for name in report.PLOTS}
    for name, data in files.items():
        root = ElementTree.fromstring(data)
        texts = {"".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")}
        assert {"OpenDify", "nginx"} <= texts, name
        assert len(data) < 60_000, name
        assert b"#ffffff" not in data, name
