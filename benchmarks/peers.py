"""Who is measured, and how each is started. A further peer is one function and one line of `PEERS`."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvloop

from benchmarks import nginx
from benchmarks.dialects import DIFY, OPENAI, Dialect
from benchmarks.processes import CORES, Process, free_port, running
from benchmarks.work import APPS, CLIENT_KEY, CROWD, KEY, MODEL, OURS, WORKS

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
        environment: It runs in ``.venv/peers/NAME``, which `make bench` makes of
            ``benchmarks/requirements/NAME.txt``. Then its name is that of its package.
    """

    name: str
    title: str
    dialect: Dialect
    start: Callable[[Place], AbstractContextManager[Process]]
    skips: frozenset[str] = frozenset()
    environment: bool = False


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


def _fastapi(place: Place) -> AbstractContextManager[Process]:
    port = free_port()
    return running(
        [
            python_of("fastapi"),
            "-m",
            "benchmarks.fastapi_proxy",
            f"http://127.0.0.1:{place.upstream}/v1",
            str(port),
        ],
        port=port,
        core=place.core,
        ready="/ready",
        directory=ROOT,
        log=place.directory / "fastapi.log",
    )


def _litellm(place: Place) -> AbstractContextManager[Process]:
    """Its proxy with a key, as its documents start it.

    It knows no Dify: the upstream speaks OpenAI's form to it, and it has less to translate than the others.
    """
    port = free_port()
    configuration = place.directory / "litellm.yaml"
    configuration.write_text(f"""\
model_list:
  - model_name: {MODEL}
    litellm_params:
      model: openai/{MODEL}
      api_base: http://127.0.0.1:{place.upstream}/v1
      api_key: {KEY}
general_settings:
  master_key: {CLIENT_KEY}
""")
    command = [str(Path(python_of("litellm")).with_name("litellm")), "--config", str(configuration)]
    return running(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"],
        port=port,
        core=place.core,
        ready="/health/readiness",
        directory=place.directory,
        log=place.directory / "litellm.log",
        # Prices of models come with the package; the newest are not fetched.
        environment={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )


def python_of(peer: str) -> str:
    """The Python of a peer that has an environment of its own."""
    return str(ROOT / ".venv/peers" / peer / "bin/python")


def missing(peer: Peer) -> bool:
    """Whether a peer needs an environment that is not there."""
    return peer.environment and not Path(python_of(peer.name)).exists()


def pinned_version(peer: Peer) -> str:
    """The version of a peer that has an environment of its own."""
    pins = (ROOT / "benchmarks/requirements" / f"{peer.name}.txt").read_text()
    pin = re.search(rf"^{peer.name}==(\S+)$", pins, re.MULTILINE)
    assert pin is not None, "a peer is named after its package"
    return pin[1]


def _gateway(place: Place, *, workers: int = 1) -> AbstractContextManager[Process]:
    """As users start it, with everything on: client key, catalogue, memory in SQLite, request log, pacing."""
    port = free_port()
    settings = {
        "DIFY_API_BASE": f"http://127.0.0.1:{place.upstream}/v1",
        "DIFY_API_KEYS": ",".join(APPS),
        "VALID_API_KEYS": CLIENT_KEY,
        "CONVERSATION_MEMORY_MODE": "auto",
        "STREAM_PACING": "auto",
        "MAX_CONCURRENT_PER_APP": "1000",  # more than any work has
        "STORE_URL": f"sqlite:///{place.directory / 'opendify.sqlite3'}",
        "SERVER_PORT": str(port),
        "LOG_FORMAT": "json",
        "WORKERS": str(workers),
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
    Peer("fastapi", "FastAPI", OPENAI, _fastapi, environment=True),
    Peer("litellm", "LiteLLM", OPENAI, _litellm, environment=True, skips=frozenset({CROWD.name})),
    Peer("opendify", "OpenDify", OPENAI, _gateway),
    # Only for how much two workers do more than one: all else is as at one.
    Peer(
        "opendify-2",
        "OpenDify, 2 workers",
        OPENAI,
        partial(_gateway, workers=2),
        skips=frozenset(work.name for work in WORKS if work is not CROWD),
    ),
)


@dataclass(frozen=True, slots=True)
class Alone:
    """The gateway without other peers beside it.

    Attributes:
        gateway: It.
        upstream: The Dify behind it.
        runner: Where the clients run.
        directory: For files that nobody needs afterwards.
    """

    gateway: Process
    upstream: Process
    runner: asyncio.Runner
    directory: Path


@contextmanager
def alone() -> Generator[Alone]:
    """The gateway on a core of its own, to the end of the block; this process goes to the other one.

    Raises:
        NotStarted: With what the process printed that did not start.
    """
    os.sched_setaffinity(0, {CORES[0]})
    (ours,) = (peer for peer in PEERS if peer.name in OURS)
    with tempfile.TemporaryDirectory(prefix="opendify-bench-") as name:
        directory = Path(name)
        with (
            upstream(directory, CORES[0]) as dify,
            ours.start(Place(directory, dify.port, CORES[1])) as gateway,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            yield Alone(gateway, dify, runner, directory)
