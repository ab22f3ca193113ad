"""What is written about the benchmark is so: in its docstrings, and on the pages."""

import doctest
import importlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FILES = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if not path.name.startswith("__"))
NEEDS = {"plots": "matplotlib", "fastapi_proxy": "fastapi"}
"""What only `make bench` installs."""


@pytest.mark.parametrize("module", [path.stem for path in FILES])
def test_the_examples_in_docstrings_of_the_benchmark_are_true(module: str) -> None:
    if module in NEEDS:
        pytest.importorskip(NEEDS[module], reason="only `make bench` installs it")
    said = io.StringIO()
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder().find(importlib.import_module(f"benchmarks.{module}")):
        runner.run(example, out=said.write)
    assert runner.failures == 0, said.getvalue()


def test_the_architecture_has_a_line_for_every_file_of_the_benchmark() -> None:
    _, _, section = (ROOT / "docs/architecture.md").read_text("utf-8").partition("\n## The benchmark\n")
    assert len(FILES) > 15
    assert [path.name for path in FILES if f"`{path.name}`" not in section] == []


def test_every_command_that_measures_is_on_the_page_and_in_the_readme() -> None:
    targets = re.findall(r"^(bench[a-z-]*|profile):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert len(targets) > 5
    for page in ("docs/performance.md", "README.md", "README.zh.md"):
        text = (ROOT / page).read_text("utf-8")
        assert [target for target in targets if f"`make {target}`" not in text] == [], page
