"""A server that says exactly the bytes that a test gives it, when it says, and remembers what it was asked.

No HTTP library stands in between: cut connections, odd chunk sizes and half characters are what is tested.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

RECORDINGS = Path(__file__).resolve().parent.parent / "recordings"


@dataclass(frozen=True)
class Pause:
    """Say nothing for a while."""

    seconds: float


@dataclass(frozen=True)
class Reset:
    """Break the connection with RST."""


@dataclass(frozen=True)
class Close:
    """Close the connection (FIN), wherever the answer stands."""


@dataclass(frozen=True)
class Linger:
    """Say no more, but go on taking what the client sends until it closes, as nginx does after a refusal."""


@dataclass(frozen=True)
class WaitForClient:
    """Say nothing more until the client closes."""


Step = bytes | Pause | Reset | Close | Linger | WaitForClient
Answer = Sequence[Step]


@dataclass
class Request:
    """What the server was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    no_delay: bool = field(default=False, repr=False)

    @property
    def parts(self) -> dict[str, EmailMessage]:
        """The parts of a multipart body, by name."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        message = BytesParser(policy=policy.default).parsebytes(head + self.body)
        return {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}  # type: ignore[misc]


def answer(
    body: bytes = b"", *, status: int = 200, content_type: str | None = "application/json", **headers: str
) -> Answer:
    """A whole answer with a length."""
    return [_head(status, content_type, headers | {"content-length": str(len(body))}) + body]


def events(*steps: Step, status: int = 200, end: bool = True, **headers: str) -> Answer:
    """A stream: each piece of bytes is an HTTP chunk and a write of its own."""
    chunked: list[Step] = [
        b"%x\r\n%s\r\n" % (len(step), step) if isinstance(step, bytes) else step for step in steps
    ]
    head = _head(
        status,
        "text/event-stream; charset=utf-8",
        {"x-version": "1.12.1"} | headers | {"transfer-encoding": "chunked"},
    )
    return [head, *chunked, *([b"0\r\n\r\n"] if end else [])]


def event(**fields: object) -> bytes:
    """One event in Dify's framing."""
    from pydantic_core import to_json

    return b"data: " + to_json(fields) + b"\n\n"


def cut(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """The data in pieces of these sizes, the last of which is repeated to the end."""
    start, size = 0, 1
    iterator = iter(sizes)
    while start < len(data):
        size = next(iterator, size)
        yield data[start : start + size]
        start += size


def recording(name: str) -> bytes:
    """A body as a real Dify 1.12.1 sent it."""
    return (RECORDINGS / f"{name}.body").read_bytes()


def _head(status: int, content_type: str | None, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Said"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


class WireServer:
    """Gives its answers in order, one for each request; the last one again and again."""

    def __init__(self, *answers: Answer, reads_body: bool = True, tls: ssl.SSLContext | None = None) -> None:
        self.reads_body = reads_body
        self.tls = tls
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.connections = 0
        self.closed_by_client = threading.Event()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self.url = ""

    def __enter__(self) -> WireServer:
        if not self.url:
            self.listen(0)
        self._spawn(self._accept)
        return self

    def listen(self, port: int) -> None:
        """Take a port of this machine; 0 is any that is free."""
        self._socket = socket.create_server(("127.0.0.1", port), backlog=256)
        self.url = f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self._socket.getsockname()[1]}"

    async def client_closed(self) -> bool:
        """Whether the client closes a connection that waits for it, soon."""
        return await asyncio.to_thread(self.closed_by_client.wait, 5)

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        # Wakes accept() up, which close() alone does not do.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(10)

    def _spawn(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._spawn(self._serve, connection, self.connections)

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.suppress(OSError))
            stack.enter_context(connection)
            if self.tls is not None:
                connection = stack.enter_context(self.tls.wrap_socket(connection, server_side=True))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            received = b""
            while (request := self._read(connection, received, number)) is not None:
                request, received = request
                with self._lock:
                    self.requests.append(request)
                    said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                for step in said:
                    if not self._say(connection, step):
                        return

    def _say(self, connection: socket.socket, step: Step) -> bool:
        match step:
            case bytes():
                connection.sendall(step)
            case Pause(seconds):
                return not self._stopping.wait(seconds)
            case Reset():
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            case Close():
                return False
            case Linger():
                connection.shutdown(socket.SHUT_WR)
                self._drain(connection)
                return False
            case WaitForClient():
                if self._drain(connection):
                    self.closed_by_client.set()
                return False
        return True

    def _drain(self, connection: socket.socket) -> bool:
        """Read until the client closes; false if the server is stopped before that."""
        while not self._stopping.is_set():
            if select.select([connection], [], [], 0.05)[0] and not connection.recv(262144):
                return True
        return False

    def _read(self, connection: socket.socket, received: bytes, number: int) -> tuple[Request, bytes] | None:
        def more() -> bytes:
            while not self._stopping.is_set():
                if select.select([connection], [], [], 0.05)[0]:
                    return connection.recv(262144)
            return b""

        while b"\r\n\r\n" not in received:
            if not (data := more()):
                return None
            received += data
            if received.startswith(b"\x16"):  # the hello of TLS, which has no line ends
                return Request("TLS", "", {}, received, number), b""
        head, _, rest = received.partition(b"\r\n\r\n")
        line, *pairs = head.decode().split("\r\n")
        method, path, _ = line.split(" ")
        headers: dict[str, str] = {}
        for pair in pairs:
            name, _, value = pair.partition(":")
            # One that comes twice is a list, as HTTP has it: a test should see that.
            headers[name.lower()] = ", ".join(filter(None, (headers.get(name.lower()), value.strip())))
        body = bytearray(rest)
        if not self.reads_body:
            return Request(method, path, headers, rest, number), b""
        if headers.get("transfer-encoding") == "chunked":
            while not body.endswith(b"0\r\n\r\n"):
                if not (data := more()):
                    return None
                body += data
            whole, rest = _unchunk(bytes(body)), b""
        else:
            length = int(headers.get("content-length", 0))
            while len(body) < length:
                if not (data := more()):
                    return None
                body += data
            whole, rest = bytes(body[:length]), bytes(body[length:])
        return Request(method, path, headers, whole, number), rest


def _unchunk(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole, body = whole + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return whole
