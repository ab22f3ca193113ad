"""The client's side of a call: what goes out on its socket, and whether it is still there."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from random import getrandbits
from types import TracebackType
from typing import Any, Protocol

from opendify.gateway.errors import OpenAIError
from opendify.gateway.wire import DONE, PING

Scope = MutableMapping[str, Any]  # Any: ASGI's own types
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

CONNECTION = "opendify.connection"
"""Under this name of a request's scope stands its `Connection`."""


class Connection(Protocol):
    """What ASGI has no word for, or a dear one: to wait in `receive` for the client's going takes a task."""

    def is_read(self) -> bool:
        """Whether all of the request has come: nothing is waited for."""
        ...

    def tell(self, hears: Callable[[], None], *, no_more: bool = False) -> bool:
        """Call back when the client closes the connection; says whether it will: not if it has done so.

        The answer before, on the same connection, may still listen then: it has more to do than the client
        sees.

        Args:
            hears: What to call.
            no_more: Take back what was asked for.
        """
        ...


PING_SECONDS = 15.0
"""The longest silence that a client hears. Proxies cut connections after 30 to 60 seconds without a byte."""

JSON = (b"content-type", b"application/json")
_EVENT_STREAM = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def random_id() -> str:
    """32 hexadecimal digits that nothing else has. They are no secret, which would cost 2 µs and more."""
    return f"{getrandbits(128):032x}"


def request_id(headers: Mapping[bytes, bytes]) -> str:
    """A request's id: the client's own if a header can carry it, else a new one."""
    own = headers.get(b"x-request-id", b"").decode("latin-1")
    return own if own and _REQUEST_ID.fullmatch(own) else random_id()


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
        late: Too much time went by without a word of the client.
        kept: How many contexts there are now in which nothing disturbs the call.
        first_at: When the first piece of the answer went out, by the clock of `time.perf_counter`.
    """

    def __init__(self, scope: Scope, send: Send, call: asyncio.Task[object], request_id: str) -> None:
        self.request_id = request_id
        self.streaming = False
        self.opened = False
        self.finished = False
        self.gone = False
        self.late = False
        self.kept = 0
        self.status = 0
        self.first_at: float | None = None
        # in there, it would hold itself: it holds the scope
        self._connection: Connection = scope.pop(CONNECTION)
        self._send = send
        self._call = call
        self._timer: asyncio.TimerHandle | None = None
        self._ping: asyncio.Task[None] | None = None
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
        self.finished = self.finished or last
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

    # ── the client's silence, and ours ───────────────────────────────────────────────────────────────

    def expect(self, seconds: float) -> None:
        """Until `heard`, the client has so many seconds to say something; then the call ends as `late`."""
        if not self._connection.is_read():
            self._timer = self._call.get_loop().call_later(seconds, self._give_up)

    def heard(self) -> None:
        """It has."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def attend(self) -> None:
        """Until `leave`, the call ends if the client goes, and a stream's silences are filled.

        Raises:
            ClientGone: If it has gone already.
        """
        if not self._connection.tell(self._lost):
            raise ClientGone
        if self.streaming:
            self._timer = self._call.get_loop().call_later(PING_SECONDS, self._listen)

    @property
    def undisturbed(self) -> _Undisturbed:
        """A context: what is done in it is done to its end, even if the client goes meanwhile.

        Raises `ClientGone` behind it, if the client has.
        """
        return _Undisturbed(self)  # kept here, it would make a circle for the garbage collection to find

    async def leave(self) -> None:
        """The call is at its end."""
        self._connection.tell(self._lost, no_more=True)
        self.heard()
        if self._ping is not None:
            await self._ping

    def _give_up(self) -> None:
        self.late = True
        self._call.cancel()

    def _lost(self) -> None:
        """The client closed its connection."""
        if self.finished:
            return
        self.gone = True
        if not self.kept:
            self._call.cancel()

    def _listen(self) -> None:
        """Fill the silence, if it has been long enough."""
        if self.finished:
            return
        left = self._last_write + PING_SECONDS - time.monotonic()
        if left <= 0:
            left = PING_SECONDS
            if self._ping is None or self._ping.done():
                self._ping = asyncio.create_task(self._fill())
        self._timer = self._call.get_loop().call_later(left, self._listen)

    async def _fill(self) -> None:
        if not self.opened:
            await self.open()
        if not self.finished:  # the answer may have come meanwhile
            await self.write(PING)


class _Undisturbed:
    """What `Reply.undisturbed` is; a class, since every call enters it thrice."""

    __slots__ = ("_reply",)

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def __enter__(self) -> None:
        self._reply.kept += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reply.kept -= 1
        if error is None and self._reply.gone:
            raise ClientGone
