"""Measure the SDK (import, plain call beside bare httpx2, streams long and many, size): `make bench-sdk`.

What is called stands in another process, on another core, and has its answers ready. Figures that a machine
makes are told as ratios within a round where that is possible.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import httpx2

from benchmarks.processes import interruptible
from opendify import AsyncDify, Dify
from opendify.httptools import HttptoolsTransport
from opendify.types.events import CHAT_EVENTS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/performance.md"
BEGIN = "<!-- figures of the SDK: written by `python -m benchmarks.sdk --page` -->\n"
END = "<!-- end of the SDK's -->"

INFO = b'{"name":"App","description":"An app","tags":["a","b"],"mode":"chat","author_name":"Ada"}'
MESSAGE = (
    b'{"event":"message","conversation_id":"45701982-8118-4bc5-8e9b-64562b4555f2","message_id":'
    b'"2d3e9f4a-5b1c-4a7e-9c59-0f0b7a3a7c11","created_at":1705395332,"task_id":'
    b'"900bbd43-dc0b-4383-a372-aa6e6c414227","id":"2d3e9f4a-5b1c-4a7e-9c59-0f0b7a3a7c11",'
    b'"answer":" token","from_variable_selector":null}'
)
LAST = MESSAGE.replace(b'"message"', b'"message_end"', 1)

CALLS, ROUNDS = 300, 9
LENGTHS = (12_500, 25_000, 50_000, 100_000)
MANY = 1_000


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, and what it may be at most."""

    what: str
    value: float
    unit: str
    bar: float | None = None

    @property
    def held(self) -> bool:
        return self.bar is None or self.value <= self.bar

    def row(self) -> str:
        bar = "" if self.bar is None else f"{self.bar:g} {self.unit}"
        verdict = "" if self.bar is None else "held" if self.held else "missed"
        value = f"{self.value:,.0f}" if self.value >= 1_000 else f"{self.value:.3g}"
        return f"| {self.what} | {value} {self.unit} | {bar} | {verdict} |"


# What is called


class Answers:
    """A Dify of which everything is ready: `/info`, and streams of as many events as the address says."""

    def __init__(self) -> None:
        self._together = asyncio.Barrier(MANY)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                await reader.readexactly(int(lines[0][15:]) if lines else 0)
                await self._answer(head.split(b"/", 2)[1].split(b" ")[0], writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, asked: bytes, writer: asyncio.StreamWriter) -> None:
        event, last = b"data: %b\n\n" % MESSAGE, b"data: %b\n\n" % LAST
        if asked == b"v1":
            writer.write(_head(b"application/json", len(INFO)) + INFO)
        elif asked == b"together":
            writer.write(_head(b"text/event-stream", len(event + last)) + event)
            await self._together.wait()  # all streams are open
            writer.write(last)
        else:
            events = int(asked)
            writer.write(_head(b"text/event-stream", len(event) * events + len(last)))
            for _ in range(0, events, 100):
                writer.write(event * 100)
                await writer.drain()
            writer.write(last)
        await writer.drain()


def _head(kind: bytes, size: int) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nServer: gunicorn\r\nConnection: keep-alive\r\nX-Version: 1.12.1\r\n"
        b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, size)
    )


async def serve() -> None:
    """Listen on a free port, say which, and answer until killed."""
    server = await asyncio.start_server(Answers().serve, "127.0.0.1", 0, backlog=MANY)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def answering(core: int) -> Iterator[str]:
    """The address of such a Dify, in a process of its own on a core of its own."""
    command = [sys.executable, "-m", "benchmarks.sdk", "--serve", str(core)]
    # In a group of its own: of Ctrl-C it hears by this process alone.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, process_group=0) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


# What is measured

IMPORT = """
import time
begun, busy = time.perf_counter(), time.process_time()
{}
print((time.perf_counter() - begun) * 1000, (time.process_time() - busy) * 1000)
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
CLIENTS = "from opendify import AsyncDify, AsyncKnowledge, Dify, Knowledge"


def importing(statement: str, name: str) -> Iterator[Figure]:
    """What an import costs, and how large a Python is that has done nothing else."""
    seen: list[tuple[float, ...]] = []
    for _ in range(ROUNDS):
        ran = subprocess.run(
            [sys.executable, "-c", IMPORT.format(statement)], capture_output=True, text=True, check=True
        )
        seen.append(tuple(map(float, ran.stdout.split())))
    wall, cpu, kilobytes = zip(*seen, strict=True)
    # Time that others took is no time of the import: the least of several is the nearest to it.
    yield Figure(f"{name}: time", min(wall), "ms", 200)
    yield Figure(f"{name}: CPU", statistics.median(cpu), "ms", 200)
    yield Figure(f"{name}: memory of the process", statistics.median(kilobytes) / 1024, "MB", 40)


def in_rounds(bare: Callable[[], float], ours: Callable[[], float]) -> tuple[float, float, float]:
    """CPU seconds of a call of each, and the ratio: medians of rounds that begin with one and the other."""
    seen: list[tuple[float, float]] = []
    for number in range(ROUNDS + 1):
        if number % 2:
            second = ours()
            seen.append((bare(), second))
        else:
            first = bare()
            seen.append((first, ours()))
    return (
        statistics.median(bare for bare, _ in seen[1:]),
        statistics.median(ours for _, ours in seen[1:]),
        statistics.median(ours / bare for bare, ours in seen[1:]),
    )


def cpu_of(call: Callable[[], object]) -> float:
    """CPU seconds of one of many calls."""
    begun = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - begun) / CALLS


async def cpu_of_awaited(call: Callable[[], Awaitable[object]]) -> float:
    """The same of calls that are awaited."""
    begun = time.process_time()
    for _ in range(CALLS):
        await call()
    return (time.process_time() - begun) / CALLS


def plain_calls(url: str) -> Iterator[Figure]:
    """The same question and answer, by the SDK and by httpx2 alone, which leaves it at a dict."""
    headers = {"Authorization": "Bearer app-x"}
    with httpx2.Client(headers=headers, trust_env=False) as bare, Dify("app-x", base_url=url) as dify:
        told = in_rounds(
            lambda: cpu_of(lambda: bare.get(f"{url}/v1/info").json()), lambda: cpu_of(dify.app.info)
        )
    yield from _call_figures("sync", *told)
    with asyncio.Runner() as loop:
        bare_async, dify_async = (
            httpx2.AsyncClient(headers=headers, trust_env=False),
            AsyncDify("app-x", base_url=url),
        )

        async def ask() -> object:
            return (await bare_async.get(f"{url}/v1/info")).json()

        told = in_rounds(
            lambda: loop.run(cpu_of_awaited(ask)), lambda: loop.run(cpu_of_awaited(dify_async.app.info))
        )
        loop.run(bare_async.aclose())
        loop.run(dify_async.aclose())
    yield from _call_figures("async", *told)


def _call_figures(kind: str, bare: float, ours: float, ratio: float) -> Iterator[Figure]:
    yield Figure(f"plain call, {kind}: CPU of bare httpx2", bare * 1e6, "µs")
    yield Figure(f"plain call, {kind}: CPU of the SDK", ours * 1e6, "µs")
    yield Figure(f"plain call, {kind}: the SDK's by bare httpx2's", ratio, "times", 1.25)


def decoding() -> Figure:
    """A `message` event from its JSON to its typed object."""
    many = 20_000
    seen: list[float] = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(many):
            CHAT_EVENTS.validate_json(MESSAGE)
        seen.append((time.process_time() - begun) / many)
    return Figure("a message event to its typed object", statistics.median(seen) * 1e6, "µs", 5)


def long_streams(url: str) -> Iterator[Figure]:
    """Streams of growing length: what an event costs, and what they leave in memory."""
    costs: dict[int, float] = {}
    _follow(url, 1_000)
    before = _memory("VmHWM")
    for length in LENGTHS:
        begun = time.process_time()
        _follow(url, length)
        costs[length] = (time.process_time() - begun) / length
    grown = _memory("VmHWM") - before
    longest, shortest = LENGTHS[-1], LENGTHS[0]
    yield Figure(f"an event of a stream of {longest:,}, from socket to loop", costs[longest] * 1e6, "µs")
    ratio = costs[longest] / costs[shortest]
    yield Figure(f"an event of {longest:,} by one of {shortest:,}", ratio, "times", 1.25)
    yield Figure(f"memory that a stream of {longest:,} events adds", grown, "MB", 4)


def _follow(url: str, length: int) -> None:
    with (
        Dify("app-x", base_url=f"{url}/{length}", user="ada") as dify,
        dify.chat.stream(query="Hi") as events,
    ):
        assert sum(1 for event in events if event.text) == length


async def many_streams(url: str) -> Iterator[Figure]:
    """Streams that are all open at once, in one process."""
    async with HttptoolsTransport() as transport:
        dify = AsyncDify("app-x", base_url=f"{url}/together", user="ada", transport=transport)

        async def follow() -> int:
            async with dify.chat.stream(query="Hi") as events:
                return len([event async for event in events])

        before, begun = _memory("VmRSS"), time.process_time()
        seen = await asyncio.gather(*(follow() for _ in range(MANY)))
        cpu, memory = time.process_time() - begun, _memory("VmHWM") - before
    assert seen == [2] * MANY
    return iter(
        (
            Figure(f"{MANY:,} streams at once over httptools: CPU of each", cpu / MANY * 1e6, "µs"),
            Figure(f"{MANY:,} streams at once over httptools: memory of each", memory / MANY * 1024, "KB"),
        )
    )


def _memory(line: str) -> float:
    """Megabytes of this process in RAM: now (VmRSS), or the most so far (VmHWM)."""
    status = dict(row.split(":", 1) for row in Path("/proc/self/status").read_text().splitlines())
    return int(status[line].split()[0]) / 1024


def lines() -> Iterator[Figure]:
    """Lines of Python that people wrote: without the sync twin, and without what stands on the SDK."""
    package = ROOT / "src/opendify"
    others = ("_sync", "gateway", "simulator", "cli")
    written = [
        line
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] not in others
        for line in path.read_text("utf-8").splitlines()
    ]
    filled = sum(bool(line.strip()) for line in written)
    yield Figure("lines of Python that people wrote, blank ones left out", filled, "lines", 9_000)
    yield Figure("lines of Python that people wrote, blank ones among them", len(written), "lines")


def measure() -> Iterator[Figure]:
    """All figures, in order."""
    first, *others = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, others or [first])
    yield from importing("import opendify", "import opendify")
    yield from importing(CLIENTS, "the import of its four clients")
    yield decoding()
    with answering(first) as url:
        yield from plain_calls(url)
        yield from long_streams(url)
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        yield from asyncio.run(many_streams(url))
    yield from lines()


def machine() -> str:
    """Where it was measured."""
    with_them = ", ".join(f"{name} {version(name)}" for name in ("httpx2", "pydantic", "httptools"))
    cores = len(os.sched_getaffinity(0)) + 1
    return f"Python {platform.python_version()}, {with_them}; {cores} cores, of which the SDK had one."


def main() -> int:
    """Run the command. Returns the exit code: 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sdk", description=__doc__)
    parser.add_argument("--page", action="store_true", help="write the figures into docs/performance.md")
    parser.add_argument("--serve", type=int, metavar="CORE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        os.sched_setaffinity(0, [arguments.serve])
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        asyncio.run(serve())
    rows = ["| | measured | at most | |", "| --- | --: | --: | --- |"]
    print(*rows, sep="\n")
    figures: list[Figure] = []
    for figure in measure():
        figures.append(figure)
        print(figure.row(), flush=True)
    if arguments.page:
        text = PAGE.read_text("utf-8")
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        table = "\n".join([*rows, *(figure.row() for figure in figures), "", machine()])
        PAGE.write_text(f"{before}{BEGIN}\n{table}\n\n{END}{after}", "utf-8")
    return 0 if all(figure.held for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(interruptible(main))
