"""Processes that the benchmark starts: told of where they fail to, and none is left behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmarks.processes import CORES, NotStarted, free_port, running

ROOT = Path(__file__).parent.parent.parent

PARENT = """
import http.server, subprocess, sys

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid, flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""

STUBBORN = """
import signal, sys, time
from pathlib import Path
from benchmarks.processes import CORES, free_port, interruptible, running

def command():
    port, here = free_port(), Path(sys.argv[1])
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\\n" + sys.argv[2]
    ran = [sys.executable, "-c", deaf, str(port)]
    with running(ran, port=port, core=CORES[0], ready="/", directory=here, log=here / "log"):
        print((here / "log").read_text(), flush=True)
        time.sleep(60)

sys.exit(interruptible(command))
"""


def runs(pid: int) -> bool:
    """Whether a process is there, and more than a line in the kernel's table."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid: int) -> list[int]:
    """Of all of a process's threads."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except FileNotFoundError:  # one of them has just ended
        return []


def all_end(pids: list[int]) -> bool:
    """Whether none of them is there any more, soon."""
    deadline = time.monotonic() + 5
    while any(map(runs, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(map(runs, pids))


def test_a_process_is_ended_with_the_children_that_it_leaves(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-c", PARENT, str(port)]
    with running(command, port=port, core=CORES[0], ready="/", directory=tmp_path, log=log) as process:
        child = int(log.read_text().split()[1])
        assert runs(process.pid)
        assert runs(child)
        assert process.memory() > 0
        assert process.cpu() > 0
    assert all_end([process.pid, child])


def test_a_process_that_ends_before_it_answers_says_what_it_printed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('no such file'); sys.exit(3)"]
    with (
        pytest.raises(NotStarted, match=r"(?s)it ended with 3.*no such file"),
        running(
            command, port=free_port(), core=CORES[0], ready="/", directory=tmp_path, log=tmp_path / "log"
        ),
    ):
        pass


@pytest.mark.skipif(CORES[0] == CORES[1], reason="the benchmark needs two cores")
@pytest.mark.parametrize(
    "command", ["benchmarks --check", "benchmarks.mixed", "benchmarks.profile", "benchmarks.sdk"]
)
def test_ctrl_c_ends_a_command_with_one_line_and_all_that_it_started(command: str) -> None:
    if command.endswith("profile") and shutil.which("py-spy", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("only `make profile` installs py-spy")
    process = subprocess.Popen(
        [sys.executable, "-m", *command.split()],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,  # as a shell does it: Ctrl-C goes to all of a group
    )
    started: list[int] = []
    deadline = time.monotonic() + 30
    while not started and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
        started = children(process.pid)
    time.sleep(1)  # so that more is under way than the first process
    started += children(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said == "Interrupted: what was started has been ended.\n"
    assert process.returncode == 130
    assert started
    assert all_end(started)


def test_a_second_ctrl_c_does_not_wait_for_a_process_that_does_not_end(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN, str(tmp_path), PARENT],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    started = [child, *children(process.pid)]
    assert len(started) == 2
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said == "Interrupted: what was started has been ended.\n"
    assert process.returncode == 130
    assert all_end(started)
