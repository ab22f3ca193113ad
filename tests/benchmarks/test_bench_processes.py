"""Processes that the benchmark starts: told of where they fail to, and none is left behind."""

import sys
import time
from pathlib import Path

import pytest
from benchmarks.processes import CORES, NotStarted, free_port, running

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


def runs(pid: int) -> bool:
    """Whether a process is there, and more than a line in the kernel's table."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_process_is_ended_with_the_children_that_it_leaves(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-c", PARENT, str(port)]
    with running(command, port=port, core=CORES[0], ready="/", directory=tmp_path, log=log) as process:
        child = int(log.read_text().split()[1])
        assert runs(process.pid)
        assert runs(child)
        assert process.memory() > 0
        assert process.cpu() > 0
    deadline = time.monotonic() + 5
    while runs(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not runs(process.pid)
    assert not runs(child)


def test_a_process_that_ends_before_it_answers_says_what_it_printed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('no such file'); sys.exit(3)"]
    with (
        pytest.raises(NotStarted, match=r"(?s)it ended with 3.*no such file"),
        running(
            command, port=free_port(), core=CORES[0], ready="/", directory=tmp_path, log=tmp_path / "log"
        ),
    ):
        pass
