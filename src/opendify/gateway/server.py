"""The gateway as a process, or several: sockets, limits on headers, and how it ends.

SIGTERM: readiness says 503 at once, no new connection is taken, running answers get time to end, exit 0.
"""

from __future__ import annotations

import asyncio
import errno
import multiprocessing
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.process import BaseProcess
from typing import cast

import httptools
import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from opendify.gateway import logs, steps
from opendify.gateway.access import Access
from opendify.gateway.app import Gateway
from opendify.gateway.errors import OpenAIError
from opendify.gateway.reply import CONNECTION
from opendify.gateway.settings import Settings, SettingsError

HEADER_SECONDS = 30.0
"""How long a client may take to send the head of a request, or the rest of one that has its answer."""

KEEP_ALIVE_SECONDS = 75.0
"""How long a connection may stay open without a request: longer than those who keep some, such as proxies."""

BACKLOG = 2048
"""Connections that wait to be taken; more are refused."""

RESTART_SECONDS = 1.0
"""A worker that dies is replaced, but not faster than this."""

log = structlog.stdlib.get_logger("opendify")


def serve(settings: Settings) -> int:
    """Run the gateway until it is told to stop.

    Args:
        settings: Where to listen, with how many workers, and all else.

    Returns:
        The exit code: 0 after an orderly end.

    Raises:
        SettingsError: If the address is taken or not this machine's.
    """
    logs.configure(settings.log_level, settings.log_format)
    with ExitStack() as stack:
        listeners = _listen(settings, stack)
        host, port = listeners[0].getsockname()[:2]
        _greet(settings, f"http://{f'[{host}]' if ':' in host else host}:{port}/v1")
        return _run(settings, listeners[0]) if settings.workers == 1 else _supervise(settings, listeners)


def _listen(settings: Settings, stack: ExitStack) -> Sequence[socket.socket]:
    """What each worker takes connections from.

    Linux shares connections out among sockets that listen on one port. From one socket, the worker that is
    awake takes all that come at the same moment: of 32, now and then, all 32.
    """
    if settings.workers == 1 or sys.platform != "linux":
        listeners = [stack.enter_context(_bound(settings, settings.server_port))] * settings.workers
    else:
        # one alone first: the shared ones would get on another gateway's port, too
        with _bound(settings, settings.server_port) as alone:
            port: int = alone.getsockname()[1]
        listeners = [
            stack.enter_context(_bound(settings, port, shared=True)) for _ in range(settings.workers)
        ]
    for listener in listeners:
        listener.listen(BACKLOG)
    return listeners


def _bound(settings: Settings, port: int, *, shared: bool = False) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in settings.server_host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((settings.server_host, port))
    except OSError as error:
        listener.close()
        where = f"{settings.server_host}:{port}"
        name = "SERVER_PORT" if error.errno == errno.EADDRINUSE else "SERVER_HOST"
        problem = f"Can't listen on {where}: {error.strerror or error}. Set {name} to another."
        raise SettingsError([problem]) from error
    return listener


def _greet(settings: Settings, address: str) -> None:
    if Access(settings.clients).open:
        log.warning(
            "open to everybody on this machine: no client key is set (VALID_API_KEYS)", address=address
        )
    log.info("starting", address=address, apps=len(settings.apps), workers=settings.workers)


def _run(settings: Settings, listener: socket.socket) -> int:
    """One worker, in this process."""
    gateway = Gateway(settings)
    config = uvicorn.Config(
        gateway,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=protocol(round(settings.max_header_kb * 1024)),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks where a client is
        timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
        backlog=BACKLOG,
    )
    server = _Server(config, gateway)
    if settings.slow_step_ms:
        with (
            steps.told(settings.slow_step_ms / 1000) as timed_loop,
            asyncio.Runner(loop_factory=timed_loop) as runner,
        ):
            runner.run(server.serve([listener]))
    else:
        server.run(sockets=[listener])
    return 0 if server.started else 1


class _Server(uvicorn.Server):
    """Uvicorn's, except that readiness falls with the signal, and that an orderly end is a success.

    A second Ctrl-C ends the running answers at once. Dify is told to stop them all the same. A second SIGTERM
    does not: a worker gets one from whoever ends all processes, and one from its supervisor.
    """

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway
        self._interrupted = False

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        yield

    def _stop(self, number: signal.Signals) -> None:
        again, self._interrupted = self._interrupted, self._interrupted or number == signal.SIGINT
        if self._gateway.draining:
            if again and number == signal.SIGINT:
                self._gateway.hurry()
            return
        self._gateway.draining = True
        if answers := self._gateway.answers:
            log.info(
                "stopping; a second Ctrl-C ends the running answers at once",
                answers=answers,
                seconds=self.config.timeout_graceful_shutdown,
            )
        self.handle_exit(number, None)


def protocol(header_limit: int) -> type[HttpToolsProtocol]:
    """What speaks HTTP with clients.

    Args:
        header_limit: The most bytes that the head of a request may have.
    """

    class Protocol(HttpToolsProtocol):
        """HTTP/1.1, except that a request that is too slow, or its head too large, ends the connection."""

        # Beside uvicorn's 27: of more than 30 in a `__dict__`, each connection has a table of names, 1.5 KB.
        __slots__ = (
            "_deadline",
            "_hearers",
            "_in_head",
            "_in_message",
            "_pending",
            "_timer",
            "_too_large",
            "_upgrades",
        )
        parser: httptools.HttpRequestParser

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            self._in_message = self._in_head = self._too_large = self._upgrades = False
            # bytes of a head that is not complete, or of what is behind the body: a value may never end
            self._pending = 0
            # answers that want to know that the client went: the one that is given, and the one before
            self._hearers: list[Callable[[], None]] = []
            self._deadline: float | None = None
            self._timer: asyncio.TimerHandle | None = None
            super().connection_made(transport)
            self._wait(HEADER_SECONDS)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._timer is not None:
                self._timer.cancel()
            super().connection_lost(exc)
            for hears in self._hearers:
                hears()

        def data_received(self, data: bytes) -> None:
            if self._in_message:
                self._pending += len(data)  # if none of it is body
            self._parse(data)
            if self._in_message:
                self._limit(self._pending)
            if self._in_head and self._deadline is None:
                self._wait(HEADER_SECONDS)

        def on_message_begin(self) -> None:
            self._in_message = self._in_head = True
            self._pending = 0
            self._deadline = None
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._upgrades = self.parser.should_upgrade() and b"upgrade" in dict(self.headers)
            if self._upgrades:
                return  # it comes once more
            self._in_head = False
            self._pending = 0
            self._deadline = None
            self._limit(sum([len(name) + len(value) for name, value in self.headers]))
            if not self.transport.is_closing():
                self.scope[CONNECTION] = self  # type: ignore[literal-required]  # beyond ASGI's names
                super().on_headers_complete()
                self.cycle.transport = cast("asyncio.Transport", _Joined(self.cycle))

        def on_body(self, body: bytes) -> None:
            self._pending = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            if self._upgrades:
                return
            self._in_message = False
            self._deadline = None
            super().on_message_complete()
            if not self.pipeline:
                self.flow.resume_reading()  # which a long body stops; nothing else tells that the client goes
            if self.cycle.response_complete:  # it was answered before it had come in full
                self._wait(KEEP_ALIVE_SECONDS)

        def on_response_complete(self) -> None:
            """As uvicorn's, which sets a timer for each answer: 4 µs."""
            self.server_state.total_requests += 1
            if self.transport.is_closing():
                return
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
            elif not self._in_head:  # the next one's has its own time
                self._wait(HEADER_SECONDS if self._in_message else KEEP_ALIVE_SECONDS)

        def send_400_response(self, msg: str) -> None:
            status, reason = (
                (431, "Request Header Fields Too Large") if self._too_large else (400, "Bad Request")
            )
            text = f"The headers are larger than {header_limit} bytes." if self._too_large else msg
            body = OpenAIError(status, text).body()
            head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\nconnection: close\r\n"
            self.transport.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            self.transport.close()

        # what answers ask: see `reply.Connection`

        def is_read(self) -> bool:
            return not self.cycle.more_body

        def tell(self, hears: Callable[[], None], *, no_more: bool = False) -> bool:
            if no_more:
                self._hearers.remove(hears)
            elif not self.transport.is_closing():
                self._hearers.append(hears)
                return True
            return False

        def _parse(self, data: bytes | memoryview) -> None:
            """As uvicorn's, which takes the body of a request that would upgrade for the next request.

            Java's client asks for HTTP/2 with each. No other protocol is spoken here.
            """
            try:
                while data:
                    try:
                        self.parser.feed_data(data)
                        return
                    except httptools.HttpParserUpgrade as upgrade:
                        if not self._upgrades:
                            return  # a tunnel was asked for
                        self.parser.feed_data(self._plain_head())
                        data = memoryview(data)[upgrade.args[0] :]
            except httptools.HttpParserError:
                self.logger.warning("Invalid HTTP request received.")
                self.send_400_response("Invalid HTTP request received.")

        def _plain_head(self) -> bytes:
            """The head that has come, without the wish for another protocol."""
            line = b"%b %b HTTP/%b\r\n" % (
                self.parser.get_method(),
                self.url,
                self.parser.get_http_version().encode(),
            )
            fields = [b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade"]
            return b"".join([line, *fields, b"\r\n"])

        def _limit(self, size: int) -> None:
            if size > header_limit and not self._too_large:
                self._too_large = True
                self.send_400_response("")

        def _wait(self, seconds: float) -> None:
            """Close the connection if so much time goes by without what is waited for."""
            self._deadline = deadline = self.loop.time() + seconds
            if self._timer is not None:
                if self._timer.when() <= deadline:
                    return  # it looks then: to cancel and set one takes 4 µs
                self._timer.cancel()
            self._timer = self.loop.call_later(seconds, self._look)

        def _look(self) -> None:
            self._timer = None
            if self._deadline is None:
                return
            left = self._deadline - self.loop.time()
            if left < 0.001:  # uvloop has no timer for less
                self.transport.close()
            else:
                self._timer = self.loop.call_later(left, self._look)

    return Protocol


class _Joined:
    """The way out of one answer: its head waits for what comes next, as nothing here lets that wait.

    Both in one write are 12 µs less than in two, and the client wakes up once. Then it steps aside: what an
    answer leaves behind must be no circle, or it is up to the garbage collection, which holds everybody up.
    """

    __slots__ = ("_cycle", "_head", "_transport", "close", "is_closing")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._head: bytes | None = None
        self._transport = cycle.transport
        self.close = self._transport.close
        self.is_closing = self._transport.is_closing

    def write(self, data: bytes) -> None:
        cycle = self._cycle
        if self._head is not None:
            data = self._head + data
        elif cycle.response_started:
            has_body = cycle.chunked_encoding or cycle.expected_content_length > 0
            if has_body and cycle.scope["method"] != "HEAD":
                self._head = data
                return
        if cycle.response_started:
            cycle.transport = self._transport
        self._transport.write(data)


# ── several workers ──────────────────────────────────────────────────────────────────────────────────


def _worker(settings: Settings, listener: socket.socket) -> None:
    """A worker process's life."""
    logs.configure(settings.log_level, settings.log_format)
    sys.exit(_run(settings, listener))


def _supervise(settings: Settings, listeners: Sequence[socket.socket]) -> int:
    """Keep a worker at each listener until a signal comes, then let them end."""
    context = multiprocessing.get_context("spawn")
    stopping = False

    def stop(number: int, _: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)

    def start(listener: socket.socket) -> BaseProcess:
        process = context.Process(target=_worker, args=(settings, listener))
        process.start()
        return process

    workers = [start(listener) for listener in listeners]
    codes: list[int] = []
    try:
        while not stopping:
            time.sleep(0.2)
            for index, worker in enumerate(workers):
                if not worker.is_alive() and not stopping:
                    log.error("a worker died and is replaced", exit_code=worker.exitcode)
                    time.sleep(RESTART_SECONDS)
                    workers[index] = start(listeners[index])
    finally:
        for listener in listeners:
            listener.close()  # or callers would still be let in, to a queue that nobody serves any more
        codes = _end(workers, settings.shutdown_seconds)
    return max(codes, default=0)


def _end(workers: list[BaseProcess], seconds: float) -> list[int]:
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + seconds + 15
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
        if worker.is_alive():
            worker.kill()
            worker.join()
    # one that was still starting has no handler for the signal yet, and nothing to end
    return [abs(code) for worker in workers if (code := worker.exitcode or 0) != -signal.SIGTERM]
