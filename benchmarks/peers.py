"""Who is measured, and how each is started. A further peer is one function and one line of `PEERS`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import nginx
from benchmarks.dialects import DIFY, OPENAI, Dialect
from benchmarks.processes import Process, free_port, running
from benchmarks.work import CLIENT_KEY, KEY

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Place:
    """Where a peer runs.

    Attributes:
        directory: For its files alone.
        upstream: Dify's port.
        core: The core for it alone.
    """

    directory: Path
    upstream: int
    core: int


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that stands before Dify.

    Attributes:
        name: Its key in the results.
        title: What it is, for people.
        dialect: What it is asked in.
        start: Runs it.
        skips: Names of works that it is not asked for.
    """

    name: str
    title: str
    dialect: Dialect
    start: Callable[[Place], AbstractContextManager[Process]]
    skips: frozenset[str] = frozenset()


def upstream(directory: Path, core: int) -> AbstractContextManager[Process]:
    """The Dify behind them all."""
    port = free_port()
    return running(
        [sys.executable, "-m", "benchmarks.upstream", str(port)],
        port=port,
        core=core,
        ready="/v1/info",
        directory=ROOT,
        log=directory / "upstream.log",
    )


def _nginx(place: Place) -> AbstractContextManager[Process]:
    port = free_port()
    configuration = place.directory / "nginx.conf"
    configuration.write_text(nginx.configuration(place.directory, port, place.upstream))
    return running(
        [nginx.find(), "-e", "stderr", "-p", str(place.directory), "-c", str(configuration)],
        port=port,
        core=place.core,
        ready="/v1/info",
        directory=place.directory,
        log=place.directory / "nginx.log",
    )


def _minimal(place: Place) -> AbstractContextManager[Process]:
    port = free_port()
    return running(
        [sys.executable, "-m", "benchmarks.minimal", f"http://127.0.0.1:{place.upstream}/v1", str(port)],
        port=port,
        core=place.core,
        ready="/ready",
        directory=ROOT,
        log=place.directory / "minimal.log",
    )


def _gateway(place: Place) -> AbstractContextManager[Process]:
    """As users start it, with everything on: client key, catalogue, memory in SQLite, request log, pacing."""
    port = free_port()
    settings = {
        "DIFY_API_BASE": f"http://127.0.0.1:{place.upstream}/v1",
        "DIFY_API_KEYS": KEY,
        "VALID_API_KEYS": CLIENT_KEY,
        "CONVERSATION_MEMORY_MODE": "auto",
        "STREAM_PACING": "auto",
        "STORE_URL": f"sqlite:///{place.directory / 'opendify.sqlite3'}",
        "SERVER_PORT": str(port),
        "LOG_FORMAT": "json",
    }
    return running(
        [str(Path(sys.executable).with_name("opendify")), "serve"],
        port=port,
        core=place.core,
        ready="/health/ready",
        directory=place.directory,
        log=place.directory / "opendify.log",
        environment={"PATH": os.environ.get("PATH", "")} | settings,
    )


PEERS = (
    Peer("nginx", "nginx", DIFY, _nginx),
    Peer("minimal", "minimal", OPENAI, _minimal),
    Peer("opendify", "OpenDify", OPENAI, _gateway),
)
