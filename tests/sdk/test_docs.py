"""The SDK's page says what is so: its code runs, against the simulator."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from opendify.simulator import Simulator

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "sdk.md"


def test_the_code_of_the_page_runs_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 8
    monkeypatch.chdir(tmp_path)
    with Simulator(pace=0.001, naming_delay=0) as simulated:
        monkeypatch.setenv("DIFY_API_BASE", simulated.base_url)
        monkeypatch.setenv("DIFY_API_KEY", simulated.keys["chat"])
        namespace: dict[str, object] = {"__name__": "page"}
        for block in blocks:
            exec(compile(block, str(PAGE), "exec"), namespace)
        assert simulated.counts().stops == 1
