"""The client's side of a call: what goes out on its socket, and whether it is still there."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from opendify.gateway.errors import OpenAIError
from opendify.gateway.wire import DONE, PING

Scope = MutableMapping[str, Any]  # Any: ASGI's own types
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

PING_SECONDS = 15.0
"""The longest silence that a client hears. Proxies cut connections after 30 to 60 seconds without a byte."""

JSON = (b"content-type", b"application/json")
_EVENT_STREAM = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def request_id(headers: Iterable[Header]) -> str:
    """A request's id: the client's own if a header can carry it, else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(text := value.decode("latin-1")):
            return text
    return uuid4().hex


class ClientGone(Exception):
    """The client closed its connection: there is nobody to answer."""


class Reply:
    """One HTTP answer, plain or a stream of events.

    Attributes:
        request_id: What client and log call the request.
        streaming: The client asked for a stream of events.
        opened: Status and headers are out; what goes wrong from here on is told within the stream.
        finished: The last byte is out.
        gone: The client went away before that.
        first_at: When the first piece of the answer went out, by the clock of `time.perf_counter`.
    """

    def __init__(self, send: Send, request_id: str) -> None:
        self.request_id = request_id
        self.streaming = False
        self.opened = False
        self.finished = False
        self.gone = False
        self.status = 0
        self.first_at: float | None = None
        self._send = send
        self._undisturbed = 0
        self._headers: list[Header] = [(b"x-request-id", request_id.encode())]
        self._last_write = time.monotonic()

    def header(self, name: bytes, value: str) -> None:
        """A header to send if it is not too late."""
        if value.isprintable():  # no line break of anybody's gets into a head
            self._headers.append((name, value.encode("latin-1", "replace")))

    async def answer(self, status: int, body: bytes, headers: Sequence[Header] = (JSON,)) -> None:
        """A whole answer at once."""
        self.opened = self.finished = True
        self.status = status
        length = (b"content-length", b"%d" % len(body))
        await self._send(
            {"type": "http.response.start", "status": status, "headers": [*headers, length, *self._headers]}
        )
        await self._send({"type": "http.response.body", "body": body})

    async def open(self) -> None:
        """Begin the stream of events."""
        self.opened = True
        self.status = 200
        await self._send(
            {"type": "http.response.start", "status": 200, "headers": [*_EVENT_STREAM, *self._headers]}
        )

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a piece of the stream."""
        self.finished = last
        self._last_write = time.monotonic()
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    async def refuse(self, error: OpenAIError) -> None:
        """Tell what went wrong: by the status, or within the stream if that is open."""
        if self.gone or self.finished:
            return
        if self.opened:
            await self.write(error.frame() + DONE, last=True)
            return
        headers = [JSON, *((name.encode(), value.encode()) for name, value in error.headers.items())]
        await self.answer(error.status, error.body(), headers)

    @contextmanager
    def undisturbed(self) -> Generator[None]:
        """What is done in this block is done to its end, even if the client goes meanwhile.

        Raises:
            ClientGone: After the block, if it has.
        """
        self._undisturbed += 1
        try:
            yield
        finally:
            self._undisturbed -= 1
        if self.gone:
            raise ClientGone

    async def watch(self, receive: Receive, call: asyncio.Task[object]) -> None:
        """Wait for the client to go away and cancel the call then; meanwhile fill a stream's silences."""
        while True:
            try:
                async with asyncio.timeout(self._until_ping()):
                    message = await receive()
            except TimeoutError:
                await self._ping()
                continue
            if message["type"] == "http.disconnect":
                break
        if self.finished:
            return
        self.gone = True
        if not self._undisturbed:
            call.cancel()

    def _until_ping(self) -> float | None:
        if not self.streaming or self.finished:
            return None
        return max(0.0, self._last_write + PING_SECONDS - time.monotonic())

    async def _ping(self) -> None:
        if self.finished or self._until_ping():
            return
        if not self.opened:
            await self.open()
        await self.write(PING)
