"""Servers for tests: the gateway as a process of its own, in front of a simulated Dify."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx2

START_SECONDS = 30.0

T = TypeVar("T")


@dataclass
class Gateway:
    """A running gateway.

    Attributes:
        base_url: For an OpenAI client: ends in /v1.
        lines: What it has logged so far.
    """

    base_url: str
    process: subprocess.Popen[bytes]
    lines: list[dict[str, object]] = field(default_factory=list)

    @property
    def root(self) -> str:
        return self.base_url.removesuffix("/v1")

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, as a socket wants it."""
        host, _, port = self.root.removeprefix("http://").rpartition(":")
        return host, int(port)

    def is_ready(self) -> bool:
        return _status(f"{self.root}/health/ready") == 200

    def requests(self) -> list[dict[str, object]]:
        """The log's lines about requests."""
        return [line for line in self.lines if line.get("event") == "request"]

    def request(self, request_id: str) -> dict[str, object]:
        """The log's one line about a request; waits until it is written."""

        def found() -> list[dict[str, object]]:
            return [line for line in self.requests() if line["request_id"] == request_id]

        (line,) = eventually(found)
        return line


def free_port() -> int:
    """A port of this machine that nobody listened on a moment ago, for a server that is to come and go."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def eventually(look: Callable[[], T], seconds: float = 5.0) -> T:
    """What `look` gives as soon as it gives something true.

    Raises:
        AssertionError: It did not in time; the message has what it gave last.
    """
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s; the last look gave {seen!r}"
        time.sleep(0.005)
    return seen


@contextmanager
def running_gateway(
    *,
    directory: Path | None = None,
    ready: bool = True,
    toml: str = "",
    first: str = "",
    **settings: str,
) -> Iterator[Gateway]:
    """A gateway with these settings, as environment variables, on a free port of this machine.

    Args:
        directory: Where it runs: for its opendify.toml and its store. Without one, a new empty folder.
        ready: Wait until it is.
        toml: What stands in its opendify.toml.
        first: Python that runs in its process before it, to shorten a wait that no setting shortens.
    """
    with tempfile.TemporaryDirectory() as temporary:
        where = directory or Path(temporary)
        if toml:
            (where / "opendify.toml").write_text(toml, "utf-8")
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment = inherited | {"SERVER_PORT": "0", "LOG_FORMAT": "json"} | settings
        program = (
            ["-c", f"{first}\nfrom opendify.cli import main\nmain()"] if first else ["-m", "opendify.cli"]
        )
        process = subprocess.Popen(
            [sys.executable, *program, "serve"], cwd=where, env=environment, stderr=subprocess.PIPE
        )
        gateway = Gateway("", process)
        reader = threading.Thread(target=_read, args=(gateway,))
        reader.start()
        try:
            _wait(gateway, ready)
            yield gateway
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            reader.join()


def _read(gateway: Gateway) -> None:
    pipe = gateway.process.stderr
    assert pipe is not None
    with pipe:
        for line in pipe:
            text = line.decode()
            try:
                entry = json.loads(text)
            except ValueError:
                entry = {"event": "text", "text": text}
            gateway.lines.append(entry)
            if entry.get("event") == "starting":
                gateway.base_url = str(entry["address"])


def _wait(gateway: Gateway, ready: bool) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and gateway.process.poll() is None:
        if gateway.base_url and _status(f"{gateway.root}/health/{'ready' if ready else 'live'}") == 200:
            return
        time.sleep(0.05)
    raise AssertionError(f"the gateway did not start: {gateway.lines}")


def _status(url: str) -> int | None:
    """The status of an answer; None if there is none. No certificates are loaded: that takes a while."""
    try:
        return httpx2.get(url, verify=False).status_code
    except httpx2.TransportError:
        return None
