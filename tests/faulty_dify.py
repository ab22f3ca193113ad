"""A Dify that is broken on the wire in ways that the simulator can't be: TCP and bytes, no HTTP library.

The first word of a question says how its call goes: the name of one of `COURSES`, with what it takes after
colons. `FaultyDify` listens in a thread of its own, notes every call and every stop, and when. Run as a
script, it is a process of its own, prints its address, and ends with its standard input.
"""

import asyncio
import json
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from uuid import uuid4

MODES = ("chat", "agent-chat", "advanced-chat", "completion", "workflow")
KEYS = {mode: f"app-faulty-{mode}" for mode in MODES}
NAMES = {mode: f"Faulty {mode}" for mode in MODES}

_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1><hr>nginx</body></html>"
_TEXT_EVENT = {"agent-chat": "agent_message"}
_FORMS = {
    "completion": [{"paragraph": {"label": "Query", "variable": "query", "required": True}}],
    "workflow": [{"paragraph": {"label": "Text", "variable": "text", "required": True}}],
}
_UPLOADS = {
    "enabled": True,
    "allowed_file_types": ["image"],
    "allowed_file_upload_methods": ["remote_url", "local_file"],
    "number_limits": 3,
    "image": {"enabled": True, "number_limits": 3, "transfer_methods": ["remote_url", "local_file"]},
}


@dataclass
class Call:
    """A call that starts a run. Times are those of `time.monotonic`, which all processes share.

    Attributes:
        course: How it was to go.
        came: When it had been read.
        first: When the first event went out; None as long as none has.
        left: When the caller closed the connection before the end; None if it didn't.
        said: Events so far.
    """

    course: str
    mode: str
    question: str
    conversation_id: str = ""
    task_id: str = field(default_factory=lambda: str(uuid4()))
    came: float = field(default_factory=time.monotonic)
    first: float | None = None
    left: float | None = None
    said: int = 0


class Wire:
    """The answer to one call, byte by byte."""

    def __init__(self, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.call = call
        self.kept = True  # the connection can serve again
        self._chunked = True
        self._reader = reader
        self._writer = writer
        self.ids: dict[str, object] = {
            "task_id": call.task_id,
            "conversation_id": str(uuid4()),
            "message_id": str(uuid4()),
            "created_at": 1_700_000_000,
        }
        if call.mode == "workflow":
            self.ids = {"task_id": call.task_id, "workflow_run_id": str(uuid4())}

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def whole(self, status: int, body: str | Mapping[str, object], **headers: str) -> None:
        """An answer of known length: JSON, or a page."""
        content = body if isinstance(body, str) else json.dumps(body)
        kind = "text/html" if isinstance(body, str) else "application/json"
        lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
        head = f"HTTP/1.1 {status} X\r\nServer: gunicorn\r\nContent-Type: {kind}\r\n{''.join(lines)}"
        await self.write(f"{head}Content-Length: {len(content.encode())}\r\n\r\n{content}".encode())

    async def refuse(self, status: int, code: str, message: str = "", **headers: str) -> None:
        """Dify's way to say no."""
        body = {"code": code, "message": message or f"Refused: {code}.", "status": status}
        await self.whole(status, body, **headers)

    async def open(self, *, chunked: bool = True) -> None:
        """The head of a stream. One that is not chunked ends with its connection, as old proxies have it."""
        self._chunked = self.kept = chunked
        head = "HTTP/1.1 200 OK\r\nServer: gunicorn\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
        way = "Transfer-Encoding: chunked" if chunked else "Connection: close"
        await self.write(f"{head}{way}\r\n\r\n".encode())

    async def chunk(self, data: bytes) -> None:
        """Bytes in the body of a stream."""
        await self.write(b"%X\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def frame(self, name: str, **fields: object) -> bytes:
        """One event, with all the ids that Dify puts into it."""
        event = {"event": name, **self.ids, **fields}
        return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"

    async def event(self, name: str, **fields: object) -> None:
        """Send one event."""
        if self.call.first is None:
            self.call.first = time.monotonic()
        await self.chunk(self.frame(name, **fields))
        self.call.said += 1

    async def say(self, text: str) -> None:
        """A piece of the answer."""
        if self.call.mode == "workflow":
            await self.event("text_chunk", data={"text": text, "from_variable_selector": ["llm", "text"]})
        else:
            await self.event(_TEXT_EVENT.get(self.call.mode, "message"), id="m", answer=text)

    async def half(self) -> None:
        """A piece of the answer, which the caller gets to read before anything else happens."""
        await self.say("Half an ")
        await asyncio.sleep(0.1)

    async def fail(self, status: int, code: str, message: str) -> None:
        """The event that ends a run badly. It has no task id."""
        self.ids.pop("task_id", None)
        await self.event("error", status=status, code=code, message=message)

    async def conclude(self) -> None:
        """The event that ends an answer well."""
        if self.call.mode == "workflow":
            data = {"id": "r", "status": "succeeded", "outputs": {}, "total_tokens": 7}
            await self.event("workflow_finished", data=data)
        else:
            usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
            await self.event("message_end", id="m", metadata={"usage": usage})

    async def end(self) -> None:
        """The end of the body, in good order."""
        await self.write(b"0\r\n\r\n" if self._chunked else b"")

    async def silence(self) -> None:
        """Say nothing more; the caller closes the connection at some time."""
        self.kept = False
        with suppress(ConnectionError):
            await self._reader.read()
        self.call.left = time.monotonic()

    async def hang_up(self) -> None:
        """Close the connection, in the middle of whatever was being said."""
        self.kept = False
        self._writer.close()

    async def reset(self) -> None:
        """Break the connection: RST, not FIN."""
        await asyncio.sleep(0.02)  # a reset throws away what the other side has not read
        self.kept = False
        connection: socket.socket = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Course = Callable[..., Awaitable[None]]
COURSES: dict[str, Course] = {}
"""How a call can go, by name."""


def _course(course: Course) -> Course:
    COURSES[course.__name__.replace("_", "-")] = course
    return course


async def _take(course: str, wire: Wire) -> None:
    name, *values = course.split(":")
    await COURSES[name](wire, *values)


# ── good courses ─────────────────────────────────────────────────────────────────────────────────────


@_course
async def fine(wire: Wire) -> None:
    await wire.open()
    await wire.say("All ")
    await wire.say("is well.")
    await wire.conclude()
    await wire.end()


@_course
async def fine_until_closed(wire: Wire) -> None:
    await wire.open(chunked=False)
    await wire.say("All is well.")
    await wire.conclude()
    await wire.end()


@_course
async def numbers(wire: Wire, count: str, seconds: str) -> None:
    """Numbered and stamped pieces at a steady pace: `0@12.345678 `."""
    await wire.open()
    due = time.monotonic()
    for number in range(int(count)):
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await wire.say(f"{number}@{time.monotonic():.6f} ")
        due += float(seconds)
    await wire.conclude()
    await wire.end()


@_course
async def talk(wire: Wire) -> None:
    """Without end, until the caller leaves or the run is stopped."""
    await wire.open()
    leaving = asyncio.create_task(wire.silence())
    try:
        while not leaving.done():
            await wire.say("and so on, ")
            await asyncio.wait([leaving], timeout=0.02)
    finally:
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)


@_course
async def flood(wire: Wire) -> None:
    """As much as the caller takes, and more."""
    await wire.open()
    while True:
        await wire.say("and so on, " * 1000)


@_course
async def ponder(wire: Wire) -> None:
    """Begin, without a word of text yet: the first event of many a run is empty."""
    await wire.open()
    await wire.say("")
    await wire.silence()


@_course
async def late(wire: Wire, seconds: str) -> None:
    """Not even headers for a while (Dify sends them with the first event); then as `ponder`."""
    await asyncio.sleep(float(seconds))
    await ponder(wire)


@_course
async def late_event(wire: Wire, seconds: str) -> None:
    """Headers and a sign of life at once, the first event after a while; then as `ponder`."""
    await wire.open()
    await wire.chunk(b"event: ping\n\n")
    await asyncio.sleep(float(seconds))
    await wire.say("")
    await wire.silence()


@_course
async def pauses(wire: Wire, before: str, between: str) -> None:
    """A fine answer, with silences: before the headers, and in the middle."""
    await asyncio.sleep(float(before))
    await wire.open()
    await wire.say("One, ")
    await asyncio.sleep(float(between))
    await wire.say("two.")
    await wire.conclude()
    await wire.end()


@_course
async def late_error(wire: Wire, before: str) -> None:
    await asyncio.sleep(float(before))
    await wire.refuse(400, "provider_quota_exceeded")


@_course
async def byte_by_byte(wire: Wire) -> None:
    await wire.open()
    for byte in wire.frame("message", answer="Slow 🐌."):
        await wire.chunk(bytes([byte]))
        await asyncio.sleep(0)
    await wire.conclude()
    await wire.end()


@_course
async def large_event(wire: Wire) -> None:
    await wire.open()
    await wire.say("x" * 5_000_000)
    await wire.conclude()
    await wire.end()


@_course
async def unknown_events(wire: Wire) -> None:
    """Of a later Dify: events, fields, comments and framing that nobody knows yet."""
    await wire.open()
    await wire.event("dream_started", data={"depth": [1, 2]}, answer={"not": "text"})
    await wire.chunk(b": a comment\r\n\r\nevent: ping\n\nid: 7\nretry: 10\n\n")
    await wire.say("Known ")
    await wire.event("dream_finished", data=None)
    await wire.event("message", id="m", answer="words.", mood={"level": 3})
    await wire.conclude()
    await wire.end()


@_course
async def events_after_the_end(wire: Wire) -> None:
    await wire.open()
    await wire.say("The answer.")
    await wire.conclude()
    await wire.event("tts_message", audio="//NExAAAAA")
    await wire.say(" Not of it.")
    await wire.chunk(b"data: {nor this\n\n")
    await wire.fail(500, "internal_server_error", "Too late to matter.")
    await wire.end()


@_course
async def endless_speech(wire: Wire) -> None:
    """The answer is complete, but the stream stays open."""
    await wire.open()
    await wire.say("The answer.")
    await wire.conclude()
    await wire.silence()


@_course
async def strange_ids(wire: Wire) -> None:
    """Ids that would break a header."""
    wire.ids["conversation_id"] = "c\r\nset-cookie: stolen=1"
    await fine(wire)


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────


@_course
async def refused(wire: Wire, status: str, code: str) -> None:
    await wire.refuse(int(status), code)


@_course
async def too_many(wire: Wire, status: str = "400") -> None:
    """The limit on an app's concurrency as Dify 1.12.1 words it (400), and as it is documented (429)."""
    code = {"400": "invalid_param", "429": "too_many_requests"}[status]
    await wire.refuse(
        int(status), code, "Too many requests. Please try again later. The current maximum is 1."
    )


@_course
async def too_many_for(wire: Wire, seconds: str) -> None:
    await wire.refuse(429, "too_many_requests", "Too many requests.", retry_after=seconds)


@_course
async def knowledge_limit(wire: Wire) -> None:
    message = "Sorry, you have reached the knowledge base request rate limit of your subscription."
    await wire.refuse(403, "forbidden", message)


@_course
async def page(wire: Wire, status: str) -> None:
    """What a proxy says in Dify's stead."""
    await wire.whole(int(status), _PAGE.format(f"{status} Says The Proxy"))


@_course
async def redirect(wire: Wire) -> None:
    await wire.whole(302, "", location="http://internal.example/secret-path?key=app-secret")


@_course
async def json_for_a_stream(wire: Wire) -> None:
    await wire.whole(200, {"event": "message", "answer": "This is no stream."})


# ── a connection that breaks ─────────────────────────────────────────────────────────────────────────


@_course
async def hang_up_before_headers(wire: Wire) -> None:
    await wire.hang_up()


@_course
async def reset_before_headers(wire: Wire) -> None:
    await wire.reset()


@_course
async def reset_within_headers(wire: Wire) -> None:
    await wire.write(b"HTTP/1.1 200 OK\r\nContent-Ty")
    await wire.reset()


@_course
async def not_http(wire: Wire) -> None:
    await wire.write(b"SSH-2.0-OpenSSH_9.9 Debian secret-banner\r\n")
    await wire.hang_up()


@_course
async def reset_before_first_event(wire: Wire) -> None:
    await wire.open()
    await wire.chunk(b"event: ping\n\n")
    await wire.reset()


@_course
async def reset_midway(wire: Wire) -> None:
    await wire.open()
    await wire.half()
    await wire.reset()


@_course
async def hang_up_midway(wire: Wire) -> None:
    """The connection closes, but the body had not ended."""
    await wire.open()
    await wire.half()
    await wire.hang_up()


@_course
async def bad_chunk_midway(wire: Wire) -> None:
    await wire.open()
    await wire.half()
    await wire.write(b"secret-nonsense\r\n")
    await wire.hang_up()


@_course
async def empty_stream(wire: Wire) -> None:
    await wire.open()
    await wire.end()


@_course
async def truncated(wire: Wire) -> None:
    """The body ends in good order, but before the answer does."""
    await wire.open()
    await wire.half()
    await wire.end()


@_course
async def truncated_until_closed(wire: Wire) -> None:
    await wire.open(chunked=False)
    await wire.half()
    await wire.end()


@_course
async def truncated_event(wire: Wire) -> None:
    await wire.open()
    await wire.half()
    await wire.chunk(b'data: {"event":"message","answer":"answ')
    await wire.end()


@_course
async def silence_before_headers(wire: Wire) -> None:
    await wire.silence()


@_course
async def silence_before_first_event(wire: Wire) -> None:
    await wire.open()
    await wire.silence()


@_course
async def silence_midway(wire: Wire) -> None:
    await wire.open()
    await wire.half()
    await wire.silence()


@_course
async def pings_for_ever(wire: Wire, seconds: str, count: str) -> None:
    """Signs of life, for longer than any silence may be; then a fine answer."""
    await wire.open()
    for _ in range(int(count)):
        await wire.chunk(b"event: ping\n\n")
        await asyncio.sleep(float(seconds))
    await wire.say("Still here.")
    await wire.conclude()
    await wire.end()


# ── events that are none ─────────────────────────────────────────────────────────────────────────────

_MALFORMED = {
    "json": b'{"event":"message","answer":"secret half an ev',
    "utf8": b'{"event":"message","answer":"secret \xe4\xbd \xff\xfe"}',
    "html": b"<html><h1>504 secret</h1></html>",
    "number": b"42",
    "list": b'["secret"]',
    "null": b"null",
    "types": b'{"event":"message","answer":["secret"]}',
    "surrogate": b'{"event":"message","answer":"secret \\ud83d"}',
    "deep": b'{"event":"message","answer":' + b"[" * 100_000,
    "error": b'{"event":"error","status":"secret","message":[]}',
    "end": b'{"event":"message_end","metadata":["secret"]}',
}


@_course
async def malformed(wire: Wire, kind: str) -> None:
    await wire.open()
    await wire.chunk(b"data: " + _MALFORMED[kind] + b"\n\n")
    await wire.silence()


@_course
async def malformed_midway(wire: Wire, kind: str) -> None:
    await wire.open()
    await wire.half()
    await wire.chunk(b"data: " + _MALFORMED[kind] + b"\n\n")
    await wire.silence()


# ── runs that fail ───────────────────────────────────────────────────────────────────────────────────


@_course
async def error_first(wire: Wire, status: str, code: str) -> None:
    await wire.open()
    await wire.fail(int(status), code, f"Failed: {code}.")
    await wire.end()


@_course
async def error_midway(wire: Wire, status: str, code: str) -> None:
    await wire.open()
    await wire.half()
    await wire.fail(int(status), code, f"Failed: {code}.")
    await wire.end()


@_course
async def workflow_fails(wire: Wire, after: str = "") -> None:
    await wire.open()
    await wire.event("workflow_started", data={"id": "r", "workflow_id": "w", "created_at": 1_700_000_000})
    if after:
        await wire.half()
    node = {"id": "n", "node_id": "c", "node_type": "code", "title": "Count Beans", "index": 2}
    await wire.event("node_finished", data={**node, "status": "failed", "error": "no beans"})
    data = {"id": "r", "status": "failed", "error": "no beans", "outputs": None, "total_tokens": 0}
    await wire.event("workflow_finished", data=data)
    if wire.call.mode != "workflow":
        await wire.fail(400, "invalid_param", "Run failed: no beans")
    await wire.end()


# ── the server ───────────────────────────────────────────────────────────────────────────────────────


class FaultyDify:
    """Listens on a free port of this machine, in a thread of its own.

    Args:
        port: Where to listen; 0 takes a free one.
        tls: Speak TLS with this context.

    Attributes:
        calls: Those that started a run, in the order in which they came.
        stops: When each task was told to stop.
        uploads: How many files came.
        upload_course, stop_course: How uploads and stops go; all is well where it is empty.
    """

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.calls: list[Call] = []
        self.stops: dict[str, float] = {}
        self.uploads = 0
        self.upload_course = self.stop_course = ""
        self.port = port
        self._tls = tls
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/v1"

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    def forget(self) -> None:
        """Note calls and stops from new."""
        self.calls.clear()
        self.stops.clear()
        self.uploads = 0

    @property
    def stopped(self) -> list[Call]:
        """The calls that it was told to stop."""
        return [call for call in self.calls if call.task_id in self.stops]

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.start(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._tls, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._connections.discard(connection)
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer. True if the connection can serve again."""
        start = await reader.readexactly(1)
        if start == b"\x16":  # TLS where none is spoken; a web server says so in plain words
            writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            return False
        head = (start + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.splitlines()
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        key = headers.get("authorization", "").removeprefix("Bearer ")
        mode = next((mode for mode, known in KEYS.items() if known == key), "chat")
        route = path.partition("?")[0].removeprefix("/v1")
        if route in ("/chat-messages", "/completion-messages", "/workflows/run"):
            return await self._run(json.loads(body), mode, reader, writer)
        wire = Wire(Call("", mode, ""), reader, writer)
        if route.endswith("/stop"):
            self.stops[route.split("/")[-2]] = time.monotonic()
            if self.stop_course:
                await _take(self.stop_course, wire)
            else:
                await wire.whole(200, {"result": "success"})
        elif route == "/files/upload":
            self.uploads += 1
            if self.upload_course:
                await _take(self.upload_course, wire)
            else:
                await wire.whole(201, {"id": str(uuid4()), "name": "f.png", "size": 1, "extension": "png"})
        elif route == "/info":
            await wire.whole(200, {"name": NAMES[mode], "description": "", "tags": [], "mode": mode})
        elif route == "/parameters":
            form = _FORMS.get(mode, [])
            await wire.whole(200, {"user_input_form": form, "file_upload": _UPLOADS, "system_parameters": {}})
        else:
            await wire.whole(404, _PAGE.format(f"404 {method} {path}"))
        return wire.kept

    async def _run(
        self,
        request: dict[str, object],
        mode: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        inputs = request["inputs"]
        assert isinstance(inputs, dict)
        question = str(request.get("query") or inputs.get("query") or inputs.get("text"))
        conversation_id = str(request.get("conversation_id") or "")
        wire = Wire(Call(question.split()[0], mode, question, conversation_id), reader, writer)
        self.calls.append(wire.call)
        try:
            await _take(wire.call.course, wire)
        except ConnectionError:
            wire.call.left = time.monotonic()
            raise
        return wire.kept


async def _main() -> None:
    dify = FaultyDify()
    await dify.start()
    print(dify.base_url, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await dify.close()


if __name__ == "__main__":
    asyncio.run(_main())
