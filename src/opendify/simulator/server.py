"""The simulator over HTTP: listening, reading requests, writing replies. All of its I/O is here."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self, TypeVar

from aiohttp import BodyPartReader, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage

from opendify.simulator import faults
from opendify.simulator.apps import VERSIONS, AppSpec, Behaviour
from opendify.simulator.counts import Counts
from opendify.simulator.defaults import default_apps
from opendify.simulator.errors import NOT_FOUND_PAGE, Page, Refusal
from opendify.simulator.runs import Run
from opendify.simulator.service import Generation, Part, Reply, Request, Service
from opendify.simulator.wire import Signal, compact, spaced

_KEEP_ALIVE = 2.0  # seconds: gunicorn's, as Dify ships it (measured on 1.12.1)
_BODY_LIMIT = 128 * 1024 * 1024
_SLOW = 256 * 1024  # bytes not yet taken by a reader
_CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "X-Env, X-Trace-Id, X-Version"}
_METHODS = "DELETE, GET, OPTIONS, PATCH, POST, PUT"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: where it is, and what answers it."""

    method: str
    path: str
    operation: Callable[..., Reply | Generation]

    @property
    def name(self) -> str:
        """As it is counted: `POST /chat-messages/{task_id}/stop`."""
        return f"{self.method} {self.path}"


_PARAMETER = {
    "conversation_id": r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}",  # another id is another path: 404 in HTML
}

ROUTES = (
    Route("GET", "/info", Service.info),
    Route("GET", "/parameters", Service.parameters),
    Route("GET", "/meta", Service.meta),
    Route("GET", "/site", Service.site),
    Route("POST", "/chat-messages", Service.chat),
    Route("POST", "/chat-messages/{task_id}/stop", Service.stop),
    Route("POST", "/completion-messages", Service.completion),
    Route("POST", "/completion-messages/{task_id}/stop", Service.stop),
    Route("POST", "/workflows/run", Service.workflow),
    Route("POST", "/workflows/{workflow_id}/run", Service.workflow),
    Route("POST", "/workflows/tasks/{task_id}/stop", Service.stop),
    Route("GET", "/conversations", Service.conversations),
    Route("DELETE", "/conversations/{conversation_id}", Service.delete_conversation),
    Route("GET", "/messages", Service.messages),
    Route("POST", "/files/upload", Service.upload),
)
FILES = (
    Route("GET", "/files/{file_id}/file-preview", Service.preview),
    Route("GET", "/files/tools/{file_id}.{extension}", Service.tool_file),
)
"""Outside of /v1: what signed URLs point to."""


def _pattern(route: Route, prefix: str) -> re.Pattern[str]:
    def group(match: re.Match[str]) -> str:
        name = match.group(1)
        return f"(?P<{name}>{_PARAMETER.get(name, '[^/.]+' if name == 'extension' else '[^/]+?')})"

    return re.compile(re.sub(r"\{(\w+)\}", group, prefix + route.path))


_PATTERNS = [
    *((_pattern(route, "/v1"), route) for route in ROUTES),
    *((_pattern(route, ""), route) for route in FILES),
]
_PLAIN = {(route.method, f"/v1{route.path}"): route for route in ROUTES if "{" not in route.path}


class _Stream:
    """A streamed reply: the listener of a run.

    The status goes out with the first event, as gunicorn does it. From then on each event is written to the
    transport as one HTTP chunk, without a task switch.
    """

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._first: list[bytes] = []
        self.ready = asyncio.Event()
        self.ended: Signal | None = None

    def write(self, data: bytes) -> None:
        if self._transport is None:
            self._first.append(data)
            self.ready.set()
        else:
            self._transport.write(b"%X\r\n%b\r\n" % (len(data), data))

    def signal(self, signal: Signal) -> None:
        if signal is not Signal.OPEN:
            self.ended = signal
        self.ready.set()

    def full(self) -> bool:
        return self._transport is not None and self._transport.get_write_buffer_size() > _SLOW

    async def open(self, response: web.StreamResponse) -> None:
        """Send the head, and what is there already; from now on write straight to the transport."""
        await self.ready.wait()
        if self.ended is not None and not self._first:
            return
        await response.prepare(self._request)
        await response.write(self._first.pop(0) if self._first else b"")
        self._transport = _transport(self._request)
        for data in self._first:
            self.write(data)


class _Server:
    """A listening simulator, in the running loop."""

    def __init__(
        self,
        apps: Sequence[AppSpec],
        behaviour: Behaviour,
        pace: float,
        naming_delay: float,
        ping: float,
    ) -> None:
        self.service = Service(apps, behaviour, pace)
        self._naming_delay = naming_delay
        self._ping = ping
        self._head = {"X-Version": VERSIONS[behaviour], "X-Env": "PRODUCTION"}
        self._server: web.Server | None = None
        self._runner: web.ServerRunner | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        self._server = web.Server(
            self._answer,
            request_factory=_request,
            handler_cancellation=True,
            keepalive_timeout=_KEEP_ALIVE,
            access_log=None,
        )
        self._runner = web.ServerRunner(self._server, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.service.files.url = f"http://{host}:{self.port}"

    async def close(self) -> None:
        for run in list(self.service.runs.values()):
            run.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def counts(self) -> Counts:
        return self.service.tally.snapshot(
            running=len(self.service.runs),
            open_connections=len(self._server.connections) if self._server else 0,
        )

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.path
        if path.startswith("/_simulator/"):
            return self._own(request, path)
        if request.method == "OPTIONS":
            return self._preflight(request, path)
        route, parameters = self._route(request.method, path)
        if route is None:
            return self._lost(path)
        self.service.tally.calls[route.name] += 1
        try:
            read = await _read(request, path)
            reply = route.operation(self.service, read, **parameters)
            if isinstance(reply, Generation):
                return await self._generate(request, reply)
        except Refusal as refusal:
            headers = {**self._head, **_CORS, **refusal.headers}
            return _response(refusal.status, refusal.body(), refusal.content_type, headers)
        return _response(
            reply.status, reply.body, reply.content_type, {**self._head, **_CORS, **reply.headers}
        )

    async def _generate(self, request: web.BaseRequest, generation: Generation) -> web.StreamResponse:
        turn = generation.turn
        stream = _Stream(request) if turn.streaming else None
        app = generation.app
        app.running += 1

        def over(run: Run) -> None:
            app.running -= 1
            self.service.runs.pop(turn.task_id, None)
            if stream is not None:
                stream.ready.set()

        run = Run(
            turn,
            generation.steps,
            listener=stream,
            hold=self._naming_delay if generation.named else 0.0,
            ping=self._ping,
            opening_ping=turn.behaviour == "1.16" and bool(turn.spec.graph),
            over=over,
        )
        if not run.over:
            self.service.runs[turn.task_id] = run
        try:
            if stream is None:
                return await self._blocking(request, run)
            return await self._streaming(request, run, stream)
        except (asyncio.CancelledError, ConnectionError):
            self.service.tally.disconnects += 1
            run.detach()
            raise

    async def _streaming(self, request: web.BaseRequest, run: Run, stream: _Stream) -> web.StreamResponse:
        response = web.StreamResponse(headers={**self._head, **_CORS, "Connection": "keep-alive"})
        response.headers["Content-Type"] = "text/event-stream; charset=utf-8"
        response.enable_chunked_encoding()
        self.service.tally.open_streams += 1
        try:
            await stream.open(response)
            await asyncio.shield(run.done)
        finally:
            self.service.tally.open_streams -= 1
        if stream.ended in (Signal.FIN, Signal.RST):
            _cut(request, stream.ended)
            return response
        if not response.prepared:
            await response.prepare(request)
        await response.write_eof()
        return response

    async def _blocking(self, request: web.BaseRequest, run: Run) -> web.StreamResponse:
        await asyncio.shield(run.done)
        turn = run.turn
        headers = {**self._head, **_CORS}
        if turn.refusal is not None:
            return _response(turn.refusal.status, turn.refusal.body(), "application/json", headers)
        body = faults.broken_body(spaced(turn.reply), turn.asked)
        cut = faults.place_and_signal(turn.asked)
        response = _response(200, body, "application/json; charset=utf-8", headers)
        if cut is None:
            return response
        place, signal = cut
        partial = web.StreamResponse(headers=response.headers)
        if place != "headers":
            partial.content_length = len(body)
            await partial.prepare(request)
            await partial.write(body[: len(body) // 2] if place == "midway" else b"")
        _cut(request, Signal.RST if signal is Signal.RST else Signal.FIN)
        return partial

    def _route(self, method: str, path: str) -> tuple[Route | None, dict[str, str]]:
        plain = _PLAIN.get((method, path))
        if plain is not None:
            return plain, {}
        for pattern, route in _PATTERNS:
            if route.method == method and (match := pattern.fullmatch(path)):
                return route, match.groupdict()
        return None, {}

    def _lost(self, path: str) -> web.StreamResponse:
        """No such operation: 405 if there is another method for the path, else 404, in HTML."""
        if any(pattern.fullmatch(path) for pattern, _ in _PATTERNS):
            refusal = Refusal(405, "method_not_allowed", "The method is not allowed for the requested URL.")
            return _response(405, refusal.body(), refusal.content_type, self._head)
        page = Page(404, NOT_FOUND_PAGE)
        headers = {**self._head, **(_CORS if path == "/v1/" else {})}
        return _response(404, page.body(), page.content_type, headers)

    def _preflight(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        methods = [route.method for pattern, route in _PATTERNS if pattern.fullmatch(path)]
        if not methods:
            return self._lost(path)
        asked = request.headers.get("Access-Control-Request-Headers")
        allowed = ", ".join(sorted(name.strip() for name in asked.split(","))) if asked else None
        headers = {**self._head, **_CORS, "Allow": ", ".join([*methods, "OPTIONS"])}
        if origin := request.headers.get("Origin"):
            headers["Access-Control-Allow-Origin"] = origin
        if request.headers.get("Access-Control-Request-Method"):
            headers |= {"Access-Control-Allow-Methods": _METHODS}
            headers |= {"Access-Control-Allow-Headers": allowed} if allowed else {}
        return _response(200, b"", "text/html; charset=utf-8", headers)

    def _own(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """The simulator's own two operations."""
        match request.method, path:
            case "GET", "/_simulator/counts":
                return _response(200, compact(asdict(self.counts())), "application/json", {})
            case "POST", "/_simulator/reset":
                self.service.tally.reset()
                return _response(204, b"", "application/json", {})
            case _:
                return _response(404, Page(404, NOT_FOUND_PAGE).body(), Page.content_type, {})


class Simulator:
    """A Dify in this process: apps of every mode, a scripted model, faults on request, and counts.

    As a context manager it listens in a thread of its own; as an async one, in the running loop.

    Args:
        apps: what it serves; `default_apps` if not given.
        behaviour: which Dify: `1.12` (as recorded) or `1.16` (as documented).
        pace: seconds per token of the scripted model; 0 is as fast as possible.
        port: where to listen on `host`; 0 takes a free one.
        naming_delay: seconds that the first turn of a conversation waits unless `auto_generate_name` is false
            (Dify 1.12.1 takes one).
        ping: seconds between two pings of a stream.

    >>> with Simulator(pace=0) as dify:
    ...     sorted(dify.keys)[:3], dify.counts().calls
    (['agent', 'annotated', 'chat'], {})
    """

    def __init__(
        self,
        apps: Sequence[AppSpec] | None = None,
        *,
        behaviour: Behaviour = "1.12",
        pace: float = 0.02,
        host: str = "127.0.0.1",
        port: int = 0,
        naming_delay: float = 1.0,
        ping: float = 10.0,
    ) -> None:
        self.apps = tuple(default_apps(behaviour) if apps is None else apps)
        self._host = host
        self._port = port
        self._settings = (self.apps, behaviour, pace, naming_delay, ping)
        self._server: _Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """Where it listens, with `/v1`."""
        return f"{self.url}/v1"

    @property
    def url(self) -> str:
        """Where it listens, without `/v1`: the simulator's own operations and files are under this."""
        return f"http://{self._host}:{self._running().port}"

    @property
    def keys(self) -> dict[str, str]:
        """The API key of each app, by nickname."""
        return {spec.nickname: spec.app_key for spec in self.apps}

    def counts(self) -> Counts:
        """What it was asked so far."""
        return self._ask(self._running().counts)

    def reset(self) -> None:
        """Count from zero. Conversations and files stay."""
        self._ask(self._running().service.tally.reset)

    async def __aenter__(self) -> Self:
        self._server = _Server(*self._settings)
        await self._server.start(self._host, self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server, self._server = self._running(), None
        await server.close()

    def __enter__(self) -> Self:
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="dify-simulator", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.__aenter__(), self._loop).result()
        except BaseException:
            self._end_thread()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self.__aexit__(kind, error, trace), self._loop).result()
        self._end_thread()

    def _end_thread(self) -> None:
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
        self._loop = self._thread = None

    def _ask(self, question: Callable[[], _T]) -> _T:
        """Ask in the simulator's own thread, where nothing changes meanwhile."""
        if self._loop is None:
            return question()
        answer: Future[_T] = Future()
        self._loop.call_soon_threadsafe(lambda: answer.set_result(question()))
        return answer.result()

    def _running(self) -> _Server:
        if self._server is None:
            raise RuntimeError(
                "The simulator is not running: use it as a context manager, `with Simulator() as dify:`."
            )
        return self._server


async def serve(
    host: str = "127.0.0.1",
    port: int = 5001,
    *,
    apps: Sequence[AppSpec] | None = None,
    behaviour: Behaviour = "1.12",
    pace: float = 0.02,
    started: Callable[[Simulator], None] | None = None,
) -> None:
    """Run a simulator until the task is cancelled: what `opendify simulate` does.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one.
        apps: what it serves; `default_apps` if not given.
        behaviour: which Dify.
        pace: the model's seconds per token.
        started: called once it listens, for instance to print its URL and keys.

    Raises:
        OSError: the port is taken.
    """
    async with Simulator(apps, behaviour=behaviour, pace=pace, host=host, port=port) as dify:
        if started is not None:
            started(dify)
        await asyncio.Event().wait()


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    """A request whose body may be as large as the largest upload."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_BODY_LIMIT)


async def _read(request: web.BaseRequest, path: str) -> Request:
    parts: list[Part] = []
    body = b""
    if request.content_type == "multipart/form-data":
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader):
                content = bytes(await part.read())
                mime_type = part.headers.get("Content-Type", "")
                parts.append(Part(part.name or "", content, part.filename, mime_type))
    elif request.body_exists:
        body = await request.read()
    return Request(
        request.method,
        path,
        dict(request.rel_url.query),
        {name.lower(): value for name, value in request.headers.items()},
        body,
        request.content_type if "Content-Type" in request.headers else "",
        parts,
    )


def _response(status: int, body: bytes, content_type: str, headers: dict[str, str]) -> web.Response:
    return web.Response(
        status=status,
        body=body,
        headers={"Content-Type": content_type, "Connection": "keep-alive", **headers},
    )


def _transport(request: web.BaseRequest) -> asyncio.Transport:
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    return transport  # type: ignore[return-value]


def _cut(request: web.BaseRequest, how: Signal) -> None:
    transport = request.transport
    if transport is None:
        return
    if how is Signal.FIN:
        transport.close()
        return
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None:  # a linger of zero makes the kernel send RST
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not on Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
