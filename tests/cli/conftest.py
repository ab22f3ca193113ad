"""Commands as somebody in a terminal runs them, each in a process of its own."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Shown:
    """What a command wrote in a terminal, and what it wrote elsewhere."""

    terminal: str
    output: str
    returncode: int

    @property
    def plain(self) -> str:
        """What is on the terminal, without colours and movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.terminal)


def in_a_terminal(
    *arguments: str, env: Mapping[str, str], cwd: Path, answers: Mapping[str, str] | None = None
) -> Shown:
    """Run a command whose errors, and where somebody `answers` whose questions too, are on a terminal.

    `answers`: what is typed when a line ends with a question, each once, in this order.
    """
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env={"TERM": "xterm", **env},
        stdin=None if answers is None else inner,
        stderr=inner,
        stdout=subprocess.PIPE,
    )
    os.close(inner)
    left = dict(answers or {})
    seen = b""
    with process, os.fdopen(outer, "r+b", buffering=0) as terminal:
        while True:
            try:
                seen += terminal.read(4096)
            except OSError:  # nobody holds the other end any more
                break
            if left and next(iter(left)) in seen.decode(errors="replace").rpartition("\n")[2]:
                terminal.write(left.pop(next(iter(left))).encode())
        assert process.stdout is not None
        output = process.stdout.read().decode()
        process.wait(SECONDS)
    assert left == {}, f"never asked for {list(left)}: {seen.decode()}"
    return Shown(seen.decode(), output, process.returncode)
