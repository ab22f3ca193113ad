"""What the log says, and what it never does."""

import json
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

FAILING = """
import sys
import structlog
from opendify.gateway import logs

def answer(authorization, question):
    raise ValueError("a fault of the gateway's")

logs.configure("debug", sys.argv[1])
try:
    answer("Bearer sk-" + "secret", "my" + " prompt")
except ValueError:
    structlog.stdlib.get_logger("opendify").exception("internal error")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_in_the_log_shows_where_and_never_the_values(form: str) -> None:
    ended = subprocess.run([sys.executable, "-c", FAILING, form], capture_output=True, text=True, timeout=30)
    assert ended.returncode == 0, ended.stderr
    assert "in answer" in ended.stderr
    assert "a fault of the gateway's" in ended.stderr
    assert "sk-secret" not in ended.stderr
    assert "my prompt" not in ended.stderr


OFTEN = """
import sys
from opendify.gateway import logs

class Answer(logs.Line, kw_only=True):
    event: str = "request"
    client: str
    error: str | None = None

logs.configure(sys.argv[1], sys.argv[2])
logs.Lines().write(Answer(client="ada"))
"""


def written(level: str, form: str) -> str:
    """What there is on standard error of a line at level ``info`` whose fields are known."""
    program = [sys.executable, "-c", OFTEN, level, form]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=30, check=True)
    return ended.stderr


def test_a_requests_line_in_json_says_what_when_and_how_grave_and_then_all_else() -> None:
    (line,) = written("info", "json").splitlines()
    told = json.loads(line)
    assert list(told) == ["event", "level", "timestamp", "client", "error"]
    assert told | {"timestamp": ""} == {
        "event": "request",
        "level": "info",
        "timestamp": "",
        "client": "ada",
        "error": None,
    }
    assert datetime.fromisoformat(told["timestamp"]).utcoffset() == timedelta(0)


def test_a_requests_line_in_a_terminal_leaves_out_what_is_empty() -> None:
    (line,) = written("info", "console").splitlines()
    assert "request" in line
    assert "client" in line
    assert "ada" in line
    assert "error" not in line


@pytest.mark.parametrize("form", ["json", "console"])
def test_requests_are_not_logged_where_only_warnings_are_wanted(form: str) -> None:
    assert written("warning", form) == ""
