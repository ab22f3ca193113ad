"""What the log says, and what it never does."""

import subprocess
import sys

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
