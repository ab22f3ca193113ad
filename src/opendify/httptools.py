"""The async transport over httptools: a fraction of the default's CPU, and what the gateway runs on.

It needs httptools, a parser in C: `pip install opendify[gateway]`.

>>> from opendify import AsyncDify
>>> from opendify.httptools import HttptoolsTransport
>>> async def ask() -> None:
...     async with HttptoolsTransport() as transport:
...         dify = AsyncDify("app-…", transport=transport)
...         print((await dify.chat.send(query="Hello", user="ada")).answer)
"""

from __future__ import annotations

import asyncio
import functools
import re
import ssl
from types import TracebackType
from typing import Self
from urllib.parse import quote

from ._async._transport import AsyncRequest, AsyncResponse
from ._connections import Connection, Inflated, Response, Server
from ._errors import no_connection
from ._waiting import AsyncHome

__all__ = ["HttptoolsTransport"]


class HttptoolsTransport:
    """Sends requests over httptools. It belongs to the event loop in which it is first used, of any kind.

    `idle_seconds`: how long an unused connection is kept. The server of a self-hosted Dify (gunicorn)
    closes one after 2.0 s; a request sent at that moment would be lost, so the default is below. Connections
    are not limited in number, so no request waits here for another to end.

    `verify`: check certificates, as the system trusts them, or as an `ssl.SSLContext` says. That is also
    where a client certificate goes: `context.load_cert_chain("client.pem", "client.key")`.

    It goes straight to the server. Where a proxy is on the way, or a limit is wanted, take the default
    transport.

    Whoever makes it closes it, with `async with` or `aclose`: that ends what is under way, and a call after
    that raises `RuntimeError`.
    """

    def __init__(self, *, idle_seconds: float = 1.5, verify: bool | ssl.SSLContext = True) -> None:
        self._idle_seconds = idle_seconds
        self._verify = verify
        self._home = AsyncHome()
        self._servers: dict[str, Server] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def open(self, request: AsyncRequest) -> AsyncResponse:
        self._home.check()
        server, target = self._way(request)
        connection = server.idle_connection() or await self._connect(server, request)
        response = Response(request, connection)
        try:
            await connection.send(response, target)
            while not response.status and not response.over:
                await response.wait()
        except BaseException:
            await response.aclose()
            raise
        if not response.status:
            raise response.failure()
        return response if response.coding == "identity" else Inflated(response)

    async def _connect(self, server: Server, request: AsyncRequest) -> Connection:
        connection = await server.connect(request)
        try:
            self._home.check()
        except RuntimeError:  # closed meanwhile, it closes this one no more
            connection.close()
            raise
        return connection

    def _way(self, request: AsyncRequest) -> tuple[Server, str]:
        """To whom a request goes, and what its first line names there."""
        try:
            if (parts := _URL.fullmatch(request.url)) is None:
                raise ValueError("that is no address of HTTP")
            server = self._servers.get(parts[1])
            if server is None:
                context = self._context if parts[1][:5].lower() == "https" else None
                server = self._servers[parts[1]] = Server(parts[1], context, self._idle_seconds)
        except ValueError as error:
            failure = no_connection(request.address, str(error), None)
        else:
            target = parts[2]
            return server, target if _TARGET.fullmatch(target) else "/" + quote(target.lstrip("/"), _KEPT)
        raise failure

    @functools.cached_property
    def _context(self) -> ssl.SSLContext:
        if isinstance(self._verify, ssl.SSLContext):
            return self._verify
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    async def aclose(self) -> None:
        servers, self._servers = self._servers, {}
        self._home.close()
        for server in servers.values():
            server.close()
        await asyncio.sleep(0)  # in which the sockets are closed


# The server, the way there; what stands behind "#" is never sent.
_URL = re.compile(r"(https?://[^/?#]+)([^#]*)(?:#.*)?", re.DOTALL | re.IGNORECASE)
# What the way may hold in a first line, and what of another one is kept when it is made fit for that.
_TARGET = re.compile(r"/[!-~]*")
_KEPT = "!#$%&'()*+,/:;=?@[]~"
