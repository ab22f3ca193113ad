"""The connections of `httptools.py`: written to, read from, watched for silence, and used again."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import cast
from urllib.parse import urlsplit

from aiohappyeyeballs import (
    start_connection,  # pyright: ignore[reportUnknownVariableType] its addresses are bare tuples
)

from ._async._transport import AsyncRequest, AsyncResponse
from ._errors import APIConnectionError, broken, no_connection, no_connection_in_time, silence
from ._http1 import Answer, Broken, Inflater, head_of

__all__ = ["Connection", "Inflated", "Response", "Server"]


NAME_SECONDS = 10.0
"""How long the addresses of a name are known. Most connections are new ones: they idle for seconds only."""

_HEAD_START = 0.25
"""Seconds that an address has for itself, before the next one is tried beside it (RFC 8305)."""


_Address = tuple[int, int, int, str, tuple[str | int | bytes, ...]]
"""As `getaddrinfo` gives it."""


class Server:
    """One server, and the connections to it."""

    def __init__(self, origin: str, context: ssl.SSLContext | None, idle_seconds: float) -> None:
        parts = urlsplit(origin)
        if not parts.hostname or parts.username is not None:
            raise ValueError("it has to name a host, and that alone")
        self.name = parts.netloc if origin.isascii() else parts.netloc.encode("idna").decode()
        self._host = parts.hostname
        self._port = parts.port or (443 if context else 80)
        self._context = context
        self._idle_seconds = idle_seconds
        self._idle: list[Connection] = []  # that which was used last stands last
        self._sweeper: asyncio.TimerHandle | None = None
        self._addresses: Sequence[_Address] = ()
        self._looked_up = 0.0
        self._looking = asyncio.Lock()
        self.connections: set[Connection] = set()

    def idle_connection(self) -> Connection | None:
        """One that is there, and has not idled so long that the server may be about to close it."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and not self._is_stale(connection):
                return connection
            connection.close()
        return None

    def keep(self, connection: Connection) -> None:
        """For the next request."""
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = connection.loop.call_later(self._idle_seconds, self._sweep)

    def _is_stale(self, connection: Connection) -> bool:
        return connection.loop.time() - connection.heard >= self._idle_seconds

    def _sweep(self) -> None:
        """Close what has idled too long, and come again as long as there is anything idle."""
        self._sweeper = None
        idle, self._idle = self._idle, []
        for connection in idle:
            if self._is_stale(connection):
                connection.close()
            elif not connection.closed:
                self.keep(connection)

    async def connect(self, request: AsyncRequest) -> Connection:
        """A new connection."""
        loop, seconds = asyncio.get_running_loop(), request.timeout.connect
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                connection = await self._reach(loop)
        except (OSError, UnicodeError) as error:  # the latter where a name can be nobody's
            error.__traceback__ = None  # on its way stands what holds it, and would hold this request
            if deadline.expired():
                failure: APIConnectionError = no_connection_in_time(request.address, seconds, error)
            else:
                failure = no_connection(request.address, _said(error), error)
        else:
            return connection
        self._addresses = ()  # they may be others by now
        try:
            raise failure
        finally:
            del failure  # or the error would hold this frame, and this frame the error

    async def _reach(self, loop: asyncio.AbstractEventLoop) -> Connection:
        """A connection to the first of the server's addresses that can be reached."""
        addresses = await self._look_up(loop)
        context, name = self._context, self._host if self._context else None

        def make() -> Connection:
            return Connection(self, loop)

        if len(addresses) == 1 and addresses[0][0] == socket.AF_INET:  # no choice: 80 µs less
            host, port = cast("tuple[str, int]", addresses[0][4])
            _, only = await loop.create_connection(make, host, port, ssl=context, server_hostname=name)
            return only
        connected = await start_connection(
            addresses, happy_eyeballs_delay=_HEAD_START, interleave=1, loop=loop
        )
        try:
            _, connection = await loop.create_connection(
                make, sock=connected, ssl=context, server_hostname=name
            )
        except BaseException:
            connected.close()
            raise
        return connection

    async def _look_up(self, loop: asyncio.AbstractEventLoop) -> Sequence[_Address]:
        async with self._looking:  # who comes meanwhile waits for the answer, and does not ask the same again
            if not self._addresses or loop.time() - self._looked_up >= NAME_SECONDS:
                self._addresses = await loop.getaddrinfo(
                    self._host, self._port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
                )
                self._looked_up = loop.time()
        return self._addresses

    def close(self) -> None:
        """Close all connections, whoever uses them."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in tuple(self.connections):
            connection.close()


class Connection(asyncio.Protocol):
    """One connection: a request goes out, its answer comes in, and then the next.

    `heard`: when a byte moved last, or, where that is later, when somebody began to wait for one again.
    """

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.transport: asyncio.Transport
        self.closed = False
        self.heard = 0.0
        self._server = server
        self._response: Response | None = None
        self._sent = False  # whether the whole request is
        self._clogged = False  # the network takes no more for the time being
        self._came = 0  # bytes since the reader took some
        self._paused = False  # and it took none for so long that no more are let in
        self._silence: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)

    # Out

    async def send(self, response: Response, target: str) -> None:
        """Send the request that this will be the response to."""
        request, content = response.request, response.request.content
        self._response, self._sent = response, False
        head = head_of(request.method, target, self._server.name, request.headers, content)
        if content is None or (isinstance(content, bytes) and len(content) <= _AT_ONCE):
            self._write(head + content if content else head)
            self._sent = True
        elif isinstance(content, bytes):
            self._write(head)
            await self._send_pieces(_pieces(content), response, chunked=False)
        else:
            self._write(head)
            await self._send_pieces(aiter(content), response, "content-length" not in request.headers)

    async def _send_pieces(self, pieces: AsyncIterator[bytes], response: Response, chunked: bool) -> None:
        """All of them, unless the server breaks off or refuses before that: then it wants no more."""
        try:
            async for piece in pieces:
                if response.over or response.status >= 300 or self.transport.is_closing():
                    return
                if piece:
                    self._write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                while self._clogged and not response.over and response.status < 300:
                    await response.wait()
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        if not response.over:
            if chunked:
                self._write(b"0\r\n\r\n")
            self._sent = True

    def _write(self, data: bytes) -> None:
        self.heard = self.loop.time()
        self.transport.write(data)

    def pause_writing(self) -> None:
        self._clogged = True

    def resume_writing(self) -> None:
        self._clogged = False
        self.heard = self.loop.time()
        if self._response is not None:
            self._response.wake()

    # In

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:
            self.close()  # nobody asked for anything
            return
        self.heard = self.loop.time()
        response.feed(data)
        self._came += len(data)
        if response.over:
            self._finish(response)
        elif self._came > _UNTAKEN and not self._paused:
            if response.parts:
                self._paused = True
                self.transport.pause_reading()
            else:
                self.close(Broken("the head of its answer has no end"))
        response.wake()

    def taken(self) -> None:
        """The reader took what had come."""
        self._came = 0
        if self._paused:
            self._paused = False
            self.heard = self.loop.time()
            self.transport.resume_reading()

    def _finish(self, response: Response) -> None:
        """The answer has ended: who reads it needs this connection no more."""
        self._response = None
        self.taken()
        if response.keep_alive and self._sent:
            self._server.keep(self)
        else:
            self.close()

    def eof_received(self) -> None:
        self._lose(None)
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(exc)
        self.close()
        self._server.connections.discard(self)

    def _lose(self, error: Exception | None) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.end(error)
            response.wake()

    def close(self, fault: Exception | None = None) -> None:
        """Break it off. Who waits for an answer is told `fault`."""
        self.closed = True
        self._lose(fault or Broken("it was closed on this side"))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.loop.is_closed():
            self.transport.abort()

    # Silence

    def watch(self, silence: float | None) -> None:
        """See to it that whoever waits does so no longer than that without a byte moving.

        One timer serves for all that is waited for: it looks when it fires, and is set anew if that is early.
        Where nobody waits by then, it is set no more, and the time in which nobody did is no silence.
        """
        if self._timer is None:
            self.heard = self.loop.time()
        elif silence == self._silence:
            return
        else:
            self._timer.cancel()
            self._timer = None
        self._silence = silence
        self._set_timer()

    def _set_timer(self) -> None:
        if self._silence is not None:
            self._timer = self.loop.call_at(self.heard + self._silence, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._response is None or not self._response.is_awaited or self._silence is None:
            return
        if self.loop.time() - self.heard >= self._silence:
            self.close(_Silence())
        else:
            self._set_timer()


class _Silence(Exception):
    """No byte moved for as long as is borne."""


class Response(Answer):
    """What `open` gives out: an answer that can be waited for."""

    __slots__ = ("_connection", "_waiter", "request")

    def __init__(self, request: AsyncRequest, connection: Connection) -> None:
        super().__init__(request.method)
        self.request = request
        self._connection = connection
        self._waiter: asyncio.Future[None] | None = None

    @property
    def ended(self) -> bool:
        return self.over and not self.parts and self.fault is None

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits."""
        return self._waiter is not None

    async def wait(self) -> None:
        """Until something has happened."""
        connection = self._connection
        connection.watch(self.request.timeout.silence)
        self._waiter = waiter = connection.loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def wake(self) -> None:
        """Something has happened."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def chunk(self) -> bytes:
        parts = self.parts
        while not parts:
            if self.over:
                if self.fault is not None:
                    raise self.failure()
                return b""
            await self.wait()
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        if not self.over:
            self._connection.taken()
        return data

    async def read(self) -> bytes:
        return await _rest(self)

    async def aclose(self) -> None:
        # The connection of one that is over may serve another by now.
        if not self.over:
            self._connection.close()

    def failure(self) -> APIConnectionError:
        """Why there is no more of it. To be raised outside of any `except`."""
        fault, request = self.fault, self.request
        if isinstance(fault, _Silence):
            return silence(request.address, request.timeout.silence, None)
        if isinstance(fault, Broken):
            return broken(request.address, str(fault), None)
        assert fault is not None
        return broken(request.address, _said(fault), fault)


class Inflated:
    """A response whose body comes compressed."""

    def __init__(self, response: Response) -> None:
        self.status = response.status
        self.headers = response.headers
        self.ended = False
        self._response = response
        self._inflater = Inflater(response.coding)

    async def chunk(self) -> bytes:
        try:
            while not (piece := self._inflater.piece()):
                if not (data := await self._response.chunk()):
                    self._inflater.end()
                    self.ended = True
                    return b""
                self._inflater.feed(data)
        except Broken as error:
            failure = broken(self._response.request.address, str(error), None)
        else:
            return piece
        raise failure

    async def read(self) -> bytes:
        return await _rest(self)

    async def aclose(self) -> None:
        await self._response.aclose()


async def _rest(response: AsyncResponse) -> bytes:
    chunks: list[bytes] = []
    while chunk := await response.chunk():
        chunks.append(chunk)
    return b"".join(chunks)


def _said(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


# What the network takes without waiting. More goes in pieces, of which each may wait.
_AT_ONCE = 64 * 1024
_PIECE = 256 * 1024
# What may come and not be taken, until no more is let in.
_UNTAKEN = 64 * 1024


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE]
