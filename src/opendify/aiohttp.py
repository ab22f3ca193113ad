"""The async transport over aiohttp: leaner than the default, and what the gateway runs on.

It needs aiohttp: `pip install opendify[gateway]`.

>>> from opendify import AsyncDify
>>> from opendify.aiohttp import AiohttpTransport
>>> async def ask() -> None:
...     async with AiohttpTransport() as transport:
...         dify = AsyncDify("app-…", transport=transport)
...         print((await dify.chat.send(query="Hello", user="ada")).answer)
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from ._async._transport import AsyncRequest, AsyncResponse
from ._call import Timeout
from ._errors import (
    APIConnectionError,
    broken,
    no_connection,
    no_connection_in_time,
    no_free_connection,
    silence,
)
from ._waiting import AsyncHome

__all__ = ["AiohttpTransport"]


class AiohttpTransport:
    """Sends requests over aiohttp. It belongs to the event loop in which it is first used.

    `idle_seconds`: how long an unused connection is kept. The server of a self-hosted Dify (gunicorn)
    closes one after 2.0 s; a request sent at that moment would be lost, so the default is below.

    `max_connections`: how many there are at once. A request beyond them waits for one to be free, at most
    `Timeout.silence`; a stream holds one as long as it is open. `None`: any number, so no request waits here
    for another to end.

    `proxy`: the URL of a proxy for all requests, as http://user:password@proxy.example.com:8080.
    `trust_env`: else follow `HTTP_PROXY` and its like, and `.netrc`. Off, unlike in the default transport: a
    server should not find its way by the environment of whoever started it.

    `verify`: check certificates, as the system trusts them, or as an `ssl.SSLContext` says. That is also
    where a client certificate goes: `context.load_cert_chain("client.pem", "client.key")`.
    """

    def __init__(
        self,
        *,
        idle_seconds: float = 1.5,
        max_connections: int | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        verify: bool | ssl.SSLContext = True,
    ) -> None:
        self._idle_seconds = idle_seconds
        self._max_connections = max_connections
        self._proxy = proxy
        self._trust_env = trust_env
        self._verify = verify
        self._session: aiohttp.ClientSession | None = None
        self._home = AsyncHome()
        self._timeouts: dict[Timeout, aiohttp.ClientTimeout] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def open(self, request: AsyncRequest) -> AsyncResponse:
        self._home.check()
        begun = time.monotonic()
        faults: list[Exception] = []
        try:
            if request.content is None or (
                isinstance(request.content, bytes) and len(request.content) <= _AT_ONCE
            ):
                response = await self._send(request, request.headers, request.content)
            else:
                response = await self._send_in_pieces(request, request.content, faults)
        except _ERRORS as error:
            failure = _translated(error, request)
            if isinstance(error, aiohttp.ConnectionTimeoutError) and self._waited_for_others(request, begun):
                failure = no_free_connection(request.address, request.timeout.silence, failure.__cause__)
            if faults:
                raise faults[0] from None
        else:
            return _AiohttpResponse(request, response)
        raise failure

    async def _send(
        self, request: AsyncRequest, headers: Mapping[str, str], content: bytes | AsyncIterable[bytes] | None
    ) -> aiohttp.ClientResponse:
        session = self._session or self._connect()
        return await session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=headers,
            data=content,
            timeout=self._timeouts.get(request.timeout) or self._remember(request.timeout),
            allow_redirects=False,
        )

    async def _send_in_pieces(
        self, request: AsyncRequest, content: bytes | AsyncIterable[bytes], faults: list[Exception]
    ) -> aiohttp.ClientResponse:
        """Aiohttp has no timeout for a server that takes nothing any more: here it is that of silence.

        What the content raises goes into `faults`: aiohttp would make a lost connection of it.
        """
        headers, silence = request.headers, request.timeout.silence
        if isinstance(content, bytes):
            headers = {**headers, "Content-Length": str(len(content))}
            content = _pieces(content)
        async with asyncio.timeout(silence) as deadline:
            return await self._send(request, headers, _watched(content, deadline, silence, faults))

    def _waited_for_others(self, request: AsyncRequest, begun: float) -> bool:
        """Whether it was no connection being made that took too long."""
        silence = request.timeout.silence
        return (
            self._max_connections is not None and silence is not None and time.monotonic() - begun >= silence
        )

    async def aclose(self) -> None:
        session, self._session = self._session, None
        self._home = AsyncHome()  # what is opened from now on may be anywhere
        if session is not None:
            await session.close()

    def _connect(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=_connector(self._idle_seconds, self._max_connections, self._verify),
            # Cookies of one user's answer must not go with another's request.
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=self._proxy,
            trust_env=self._trust_env,
        )
        # By itself aiohttp sends a PUT or a DELETE, which may have been done, a second time.
        self._session._retry_connection = False  # pyright: ignore[reportPrivateUsage] there is no public way
        return self._session

    def _remember(self, timeout: Timeout) -> aiohttp.ClientTimeout:
        self._timeouts[timeout] = aiohttp.ClientTimeout(
            total=None,
            # With a limit, this one includes the time until a connection is free.
            connect=timeout.connect if self._max_connections is None else timeout.silence,
            sock_connect=timeout.connect,
            sock_read=timeout.silence,
        )
        return self._timeouts[timeout]


class _Protocol(ResponseHandler):
    """One connection, which leaves nobody waiting for more of a body when it is lost.

    Aiohttp (3.14, with its parser in C) does where the end of the body had become unreadable: it closes the
    connection at once, and whoever reads waits for ever, without a timeout.
    """

    def connection_lost(self, exc: BaseException | None) -> None:
        body = self._payload
        super().connection_lost(exc)
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("the body is not framed as HTTP wants it"))


def _connector(
    idle_seconds: float, max_connections: int | None, verify: bool | ssl.SSLContext
) -> aiohttp.TCPConnector:
    connector = aiohttp.TCPConnector(limit=max_connections or 0, keepalive_timeout=idle_seconds, ssl=verify)
    factory = functools.partial(_protocol, asyncio.get_running_loop())
    connector._factory = factory  # pyright: ignore[reportPrivateUsage] there is no public way
    return connector


def _protocol(loop: asyncio.AbstractEventLoop) -> ResponseHandler:
    return _Protocol(loop)


class _AiohttpResponse:
    __slots__ = ("_content", "_request", "_response", "headers", "status")

    def __init__(self, request: AsyncRequest, response: aiohttp.ClientResponse) -> None:
        self._request = request
        self._response = response
        self._content = response.content
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    @property
    def ended(self) -> bool:
        return self._content.at_eof()

    async def chunk(self) -> bytes:
        try:
            return await self._content.readany()
        except _ERRORS as error:
            if unread := self._unread():
                return unread
            failure = _translated(error, self._request)
        raise failure

    def _unread(self) -> bytes:
        """What had arrived before the connection broke, which aiohttp keeps back once it knows of that."""
        content = self._content
        if (fault := content.exception()) is None:
            return b""
        content.set_exception(None)  # type: ignore[arg-type]  # no other way to look past it
        unread = content.read_nowait()
        content.set_exception(fault)
        return unread

    async def read(self) -> bytes:
        try:
            return await self._content.read()
        except _ERRORS as error:
            failure = _translated(error, self._request)
        raise failure

    async def aclose(self) -> None:
        # Does nothing where the body has ended: aiohttp gave the connection back at that moment.
        self._response.close()


# What the socket takes without waiting. Larger bodies go in pieces, of which each may wait.
_AT_ONCE = 64 * 1024
_PIECE = 256 * 1024


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE]


async def _watched(
    content: AsyncIterable[bytes], deadline: asyncio.Timeout, silence: float | None, faults: list[Exception]
) -> AsyncIterator[bytes]:
    """The content, of which each piece that is taken puts off the deadline."""
    try:
        async for piece in content:
            if silence is not None:
                deadline.reschedule(asyncio.get_running_loop().time() + silence)
            yield piece
    except Exception as error:
        faults.append(error)
        raise


_ERRORS = (aiohttp.ClientError, TimeoutError, OSError)

# These fail before a byte of the request is written. (Of ClientOSError only this kind: the others are
# about connections that were open.)
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ClientConnectorCertificateError, aiohttp.InvalidURL)


def _translated(error: Exception, request: AsyncRequest) -> APIConnectionError:
    """The one place where aiohttp's exceptions become ours. To be raised outside of its `except`."""
    said = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
    said = said.replace(request.url, request.address)
    # Aiohttp names the whole URL in some of its messages: then nobody must see more than we say.
    cause = error if request.url == request.address or request.url not in str(error) else None
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return no_connection_in_time(request.address, request.timeout.connect, cause)
    if isinstance(error, TimeoutError):
        return silence(request.address, request.timeout.silence, cause)
    if isinstance(error, aiohttp.ClientResponseError):
        # Its repr has the headers of the request, and its text the bytes that are wrong.
        return broken(request.address, "what came is no HTTP", None)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        # Its text may be the head of an answer, as far as that came.
        return broken(request.address, "the server closed it without an answer", None)
    if isinstance(error, _NOT_SENT):
        by_proxy = isinstance(error, aiohttp.ClientProxyConnectionError)
        return no_connection(request.address, said, cause, by_proxy=by_proxy)
    return broken(request.address, said, cause)
