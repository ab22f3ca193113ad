"""Commands as somebody in a terminal runs them, each in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opendify.simulator import Simulator

SECONDS = 60.0
COMMAND = [sys.executable, "-m", "opendify.cli"]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """The environment of a user who set nothing but what a test says, in an empty folder."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return lambda **variables: inherited | {"COLUMNS": "100"} | variables


@pytest.fixture
def opendify(environment: Callable[..., dict[str, str]], tmp_path: Path) -> Run:
    """Run a command to its end: `opendify("check", DIFY_API_KEYS="app-1")`."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env=environment(**variables),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def dify() -> Iterator[Simulator]:
    with Simulator(pace=0) as simulator:
        yield simulator


def said(result: subprocess.CompletedProcess[str]) -> str:
    """All that a command said, as one line."""
    assert "Traceback" not in result.stdout + result.stderr
    return " ".join((result.stdout + result.stderr).split())
