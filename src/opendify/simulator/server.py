"""The simulated Dify over HTTP. All sockets are here."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import cast

from aiohttp import BodyPartReader, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage

from opendify.simulator import faults
from opendify.simulator.apps import VERSIONS, Behaviour
from opendify.simulator.counts import Counts
from opendify.simulator.errors import NOT_FOUND_PAGE, Page, Refusal, WorkerPage
from opendify.simulator.operations import ROUTES
from opendify.simulator.runs import Run
from opendify.simulator.service import (
    App,
    Events,
    Following,
    Generation,
    Part,
    Reply,
    Request,
    Route,
    Service,
)
from opendify.simulator.wire import EVENT_STREAM, PING, Signal, compact, spaced

_KEEP_ALIVE = 2.0  # seconds: gunicorn's, as Dify ships it (measured on 1.12.1)
_BODY_LIMIT = 128 * 1024 * 1024
_SLOW = 256 * 1024  # bytes that a reader has not yet taken
_CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "X-Env, X-Trace-Id, X-Version"}
_METHODS = "DELETE, GET, OPTIONS, PATCH, POST, PUT"
_JSON = "application/json"
_LAST = b'data: {"event":"workflow_finished"'
_EVENTS = {"Content-Type": EVENT_STREAM}


class Server:
    """A listening Dify.

    Args:
        service: what it answers.
        ping: seconds between two pings of a stream.
        event_log: who takes a run up late gets all its events.
    """

    def __init__(self, service: Service, *, ping: float, event_log: bool) -> None:
        self.service = service
        self.port = 0
        self._ping = ping
        self._event_log = event_log
        self._version = VERSIONS[service.behaviour]
        self._routes = _Routes(service.behaviour)
        self._server = web.Server(
            self._answer,
            request_factory=_request,
            handler_cancellation=True,  # so that a client's going is noticed at once
            keepalive_timeout=_KEEP_ALIVE,
            access_log=None,
        )
        self._runner = web.ServerRunner(self._server, shutdown_timeout=0)

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            OSError: the port is taken, or is not ours to take.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = self._runner.addresses[0][1]
        self.service.files.url = f"http://{host}:{self.port}"

    async def close(self) -> None:
        """Give up all runs and connections."""
        for run in list(self.service.runs.values()):
            run.close()
        await self._runner.cleanup()

    def counts(self) -> Counts:
        """What was asked so far."""
        return self.service.tally.snapshot(
            running=sum(not run.paused for run in self.service.runs.values()),
            open_connections=len(self._server.connections),
        )

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.path
        if path.startswith("/_simulator/"):
            return self._own(request.method, path)
        if request.method == "OPTIONS":
            return self._preflight(request, path)
        route, parameters = self._routes.find(request.method, path)
        if route is None:
            return self._lost(request, path)
        self.service.tally.calls[route.name] += 1
        try:
            reply = route.operation(self.service, await _read(request, path, parameters))
            if isinstance(reply, Generation):
                return await self._generate(request, reply)
            if isinstance(reply, Events):
                return await self._told(request, reply)
            if isinstance(reply, Following):
                return await self._follow(request, reply)
        except WorkerPage as page:
            response = _response(Reply(page.body(), page.status, page.content_type), {})
            response.force_close()
            return response
        except Refusal as refusal:
            reply = Reply(refusal.body(), refusal.status, refusal.content_type, refusal.headers)
        return _response(reply, self._head(request))

    def _head(self, request: web.BaseRequest, *, cors: bool = True) -> dict[str, str]:
        """The headers of every reply; those for browsers are not on a path or method that is not there."""
        head = {"X-Version": self._version, "X-Env": "PRODUCTION"} | (_CORS if cors else {})
        return head | ({"Connection": "keep-alive"} if request.keep_alive else {})

    async def _generate(self, request: web.BaseRequest, generation: Generation) -> web.StreamResponse:
        turn = generation.turn
        run = Run(
            turn,
            generation.steps,
            hold=generation.hold,
            log=self._event_log and turn.followed,
            changed=partial(self._changed, generation.app),
        )
        stream = None
        if turn.streaming:
            stream = self._listen(request, run, hold=generation.hold)
            if turn.followed:  # an opening ping of graph apps is told of newer Dify
                stream.write(PING)
        run.start()
        try:
            if stream is None:
                return await self._blocking(request, run)
            return await self._streaming(request, run, stream)
        except (asyncio.CancelledError, ConnectionError):
            self.service.tally.disconnects += 1
            raise
        finally:
            run.detach(stream)

    async def _told(self, request: web.BaseRequest, told: Events) -> web.StreamResponse:
        response = web.StreamResponse(headers=self._head(request) | _EVENTS)
        response.enable_chunked_encoding()
        await response.prepare(request)
        for event in told.events:
            await response.write(event)
        await response.write_eof()
        return response

    async def _follow(self, request: web.BaseRequest, following: Following) -> web.StreamResponse:
        run = self.service.runs[following.task_id]
        stream = _Stream(request, self._ping, faults.dropped(run.turn.asked, run.heard_by + 1), follows=True)
        for data in following.told:
            stream.write(data)
        if following.ends:
            stream.signal(Signal.END)
        run.listen(stream, through_pauses=following.through_pauses)
        try:
            return await self._streaming(request, run, stream, following.headers)
        finally:
            run.detach(stream)

    def _listen(self, request: web.BaseRequest, run: Run, *, hold: float) -> _Stream:
        stream = _Stream(request, self._ping, faults.dropped(run.turn.asked, 1), hold=hold)
        run.listen(stream)
        return stream

    def _changed(self, app: App, run: Run) -> None:
        """A run has begun, paused, gone on or ended."""
        task_id = run.turn.task_id
        if run.over:
            self.service.runs.pop(task_id, None)
        else:
            self.service.runs[task_id] = run
        if run.over or run.paused:
            app.running.discard(task_id)
        else:
            app.running.add(task_id)

    async def _streaming(
        self, request: web.BaseRequest, run: Run, stream: _Stream, headers: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={**self._head(request), **_EVENTS, **(headers or {})})
        response.enable_chunked_encoding()
        self.service.tally.open_streams += 1
        try:
            await stream.open(response)
            await stream.over.wait()
        finally:
            self.service.tally.open_streams -= 1
            stream.close()
        if run.over:
            run.done.result()
        if stream.ended in (Signal.FIN, Signal.RST):
            await asyncio.sleep(stream.last_words)
            _cut(request, stream.ended)
            return response
        if not response.prepared:
            await response.prepare(request)
        with suppress(ConnectionError):  # who has the last event may go before the end of the body
            await response.write_eof()
        return response

    async def _blocking(self, request: web.BaseRequest, run: Run) -> web.StreamResponse:
        await run.answered.wait()
        if run.over:
            run.done.result()
        turn = run.turn
        head = self._head(request)
        if turn.refusal is not None:
            return _response(Reply(turn.refusal.body(), turn.refusal.status), head)
        body = faults.broken_body(spaced(turn.reply), turn.asked)
        response = _response(Reply(body, content_type=f"{_JSON}; charset=utf-8"), head)
        cut = faults.place_and_signal(turn.asked)
        if cut is None:
            return response
        place, signal = cut
        partial = web.StreamResponse(headers=response.headers)
        if place != "headers":
            partial.content_length = len(body)
            await partial.prepare(request)
            await partial.write(body[: len(body) // 2] if place == "midway" else b"")
            await asyncio.sleep(faults.ARRIVAL)
        # A body of a known length can only end too early: by FIN where a stream would end cleanly.
        _cut(request, Signal.RST if signal is Signal.RST else Signal.FIN)
        return partial

    def _lost(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """No such operation: 405 if there is another method for the path, else 404 in HTML."""
        if self._routes.methods(path):
            refusal = Refusal(405, "method_not_allowed", "The method is not allowed for the requested URL.")
            return _response(Reply(refusal.body(), 405), self._head(request, cors=False))
        page = Reply(NOT_FOUND_PAGE.encode(), 404, Page.content_type)
        return _response(page, self._head(request, cors=path == "/v1/"))

    def _preflight(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        methods = self._routes.methods(path)
        if not methods:
            return self._lost(request, path)
        headers = self._head(request) | {"Allow": ", ".join([*methods, "OPTIONS"])}
        if origin := request.headers.get("Origin"):
            headers["Access-Control-Allow-Origin"] = origin
        if request.headers.get("Access-Control-Request-Method"):
            headers["Access-Control-Allow-Methods"] = _METHODS
        if asked := request.headers.get("Access-Control-Request-Headers"):
            headers["Access-Control-Allow-Headers"] = ", ".join(sorted(re.findall(r"[^\s,]+", asked)))
        return _response(Reply(b"", content_type="text/html; charset=utf-8"), headers)

    def _own(self, method: str, path: str) -> web.StreamResponse:
        """The simulator's own two operations."""
        match method, path:
            case "GET", "/_simulator/counts":
                return _response(Reply(compact(asdict(self.counts()))), {})
            case "POST", "/_simulator/reset":
                self.service.tally.reset()
                return _response(Reply(b"", 204), {})
            case _:
                return _response(Reply(NOT_FOUND_PAGE.encode(), 404, Page.content_type), {})


class _Stream:
    """A streamed reply: a listener of a run.

    As under gunicorn, the status goes out with the first event. From then on each event is written to the
    transport as one HTTP chunk, without a task switch.

    Args:
        ping: seconds between two pings.
        drop: after how many events the connection is lost, and how.
        hold: seconds before the run may say anything.
        follows: it was taken up later, so it ends with the run's own end.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        ping: float,
        drop: tuple[int, Signal] | None,
        *,
        hold: float = 0.0,
        follows: bool = False,
    ) -> None:
        self.over = asyncio.Event()
        self.ended: Signal | None = None
        self.last_words = 0.0
        """Seconds for what was sent to arrive before the connection is cut."""
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._ping = ping
        self._pinger = self._loop.call_later(hold + ping, self._send_ping)
        self._left, self._how = drop or (-1, Signal.END)
        self._follows = follows
        self._ready = asyncio.Event()
        self._transport: asyncio.WriteTransport | None = None
        self._early: list[bytes] = []

    def write(self, data: bytes) -> None:
        if self.ended is not None:
            return
        self._send(data)
        if data is PING:
            return
        self._left -= 1
        if self._left == 0:
            self.last_words = faults.ARRIVAL
            self.signal(self._how)
        elif self._follows and data.startswith(_LAST):
            self.signal(Signal.END)

    def signal(self, signal: Signal) -> None:
        if signal is not Signal.OPEN and self.ended is None:
            self.ended = signal
            self.over.set()
        self._ready.set()

    def full(self) -> bool:
        return self._transport is not None and self._transport.get_write_buffer_size() > _SLOW

    async def open(self, response: web.StreamResponse) -> None:
        """Send the status, and what there is by then; from now on write straight to the transport."""
        await self._ready.wait()
        if self.ended is not None and not self._early:
            return
        await response.prepare(self._request)
        first, *others = self._early or [b""]
        await response.write(first)
        transport = self._request.transport
        if transport is None:
            raise ConnectionResetError("The client went away before the first event.")
        # Typed as any transport; that of a TCP connection can be written to.
        self._transport = cast("asyncio.WriteTransport", transport)
        for data in others:
            self._send(data)

    def close(self) -> None:
        """Send no more pings."""
        self._pinger.cancel()

    def _send(self, data: bytes) -> None:
        if self._transport is None:
            self._early.append(data)
            self._ready.set()
        elif not self._transport.is_closing():  # what nobody hears must not end the run for others
            self._transport.write(b"%X\r\n%b\r\n" % (len(data), data))

    def _send_ping(self) -> None:
        if self.ended is None:
            self._send(PING)
        self._pinger = self._loop.call_later(self._ping, self._send_ping)


class _Routes:
    """The routes that a behaviour has, and which of them a request means."""

    def __init__(self, behaviour: Behaviour) -> None:
        routes = [route for route in ROUTES if route.since <= behaviour]
        self._plain = {
            (route.method, route.prefix + route.path): route for route in routes if "{" not in route.path
        }
        self._patterns = [(_pattern(route), route) for route in routes]

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str]]:
        """The route, and the parameters of its path."""
        plain = self._plain.get((method, path))
        if plain is not None:
            return plain, {}
        for pattern, route in self._patterns:
            if route.method == method and (match := pattern.fullmatch(path)):
                return route, match.groupdict()
        return None, {}

    def methods(self, path: str) -> list[str]:
        """The methods that a path has."""
        return [route.method for pattern, route in self._patterns if pattern.fullmatch(path)]


_UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_UUIDS = frozenset(
    {
        *(
            "conversation_id",
            "message_id",
            "variable_id",
            "annotation_id",
            "job_id",
            "file_id",
            "end_user_id",
        ),
        *("dataset_id", "document_id", "segment_id", "child_chunk_id", "metadata_id"),
    }
)
"""Parameters that are UUIDs: anything else in their place is another path."""


def _pattern(route: Route) -> re.Pattern[str]:
    """A path with its parameters."""

    def group(match: re.Match[str]) -> str:
        name = match.group(1)
        return f"(?P<{name}>{_UUID if name in _UUIDS else '[^/]+'})"

    return re.compile(re.sub(r"\{(\w+)\}", group, (route.prefix + route.path).replace(".", r"\.")))


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


async def _read(request: web.BaseRequest, path: str, parameters: dict[str, str]) -> Request:
    parts: list[Part] = []
    body = b""
    if request.content_type == "multipart/form-data" and "boundary=" in request.headers["Content-Type"]:
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader):
                content, mime_type = bytes(await part.read()), part.headers.get("Content-Type", "")
                parts.append(Part(part.name or "", content, part.filename, mime_type))
    elif request.body_exists:
        body = await request.read()
    return Request(
        method=request.method,
        path=path,
        query=dict(request.rel_url.query),
        headers={name.lower(): value for name, value in request.headers.items()},
        parameters=parameters,
        body=body,
        content_type=request.content_type if "Content-Type" in request.headers else "",
        parts=parts,
        repeated={name: request.rel_url.query.getall(name) for name in request.rel_url.query},
    )


def _response(reply: Reply, headers: dict[str, str]) -> web.Response:
    kind = {"Content-Type": reply.content_type}
    response = web.Response(
        status=reply.status, body=reply.body, headers={**kind, **headers, **reply.headers}
    )
    if reply.chunked:
        response.enable_chunked_encoding()
    return response


def _cut(request: web.BaseRequest, how: Signal) -> None:
    transport = request.transport
    if transport is None:
        return
    if how is Signal.FIN:
        transport.close()
        return
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None:  # a linger of zero seconds makes the kernel send RST
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
