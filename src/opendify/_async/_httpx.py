"""The default transport, over httpx2."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Self

import httpx2

from .._errors import APIConnectionError, broken, no_connection, no_connection_in_time, silence
from .._waiting import AsyncChunks
from ._transport import AsyncRequest, AsyncResponse

__all__ = ["AsyncHttpxTransport"]


class AsyncHttpxTransport:
    """The default transport, over httpx2.

    `idle_seconds`: how long an unused connection is kept. The server of a self-hosted Dify (gunicorn)
    closes one after 2.0 s; a request sent at that moment would be lost, so the default is below. Behind
    nginx, which keeps them 65 s, more saves connections.

    `trust_env`: follow `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, as httpx2 does by itself.

    `verify`: check certificates, as the system trusts them, or as an `ssl.SSLContext` says.

    The number of connections is not limited, so no request waits here for another to end.

    >>> transport = AsyncHttpxTransport(idle_seconds=30, trust_env=False)
    """

    def __init__(
        self, *, idle_seconds: float = 1.5, trust_env: bool = True, verify: bool | ssl.SSLContext = True
    ) -> None:
        self._client = httpx2.AsyncClient(
            limits=httpx2.Limits(
                max_connections=None, max_keepalive_connections=None, keepalive_expiry=idle_seconds
            ),
            # Cookies of one user's answer must not go with another's request.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=trust_env,
            verify=verify,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def open(self, request: AsyncRequest) -> AsyncResponse:
        timeout = httpx2.Timeout(request.timeout.silence, connect=request.timeout.connect, pool=None)
        sending = self._client.build_request(
            request.method, request.url, headers=request.headers, content=request.content, timeout=timeout
        )
        try:
            return _AsyncHttpxResponse(request, await self._client.send(sending, stream=True))
        except httpx2.HTTPError as error:
            failure = _translated(error, request)
        raise failure

    async def aclose(self) -> None:
        await self._client.aclose()


class _AsyncHttpxResponse:
    def __init__(self, request: AsyncRequest, response: httpx2.Response) -> None:
        self._request = request
        self._response = response
        self._chunks = AsyncChunks(response.aiter_bytes())
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def chunk(self) -> bytes:
        try:
            return await self._chunks.next()
        except httpx2.HTTPError as error:
            failure = _translated(error, self._request)
        raise failure

    async def read(self) -> bytes:
        chunks: list[bytes] = []
        while chunk := await self.chunk():
            chunks.append(chunk)
        return b"".join(chunks)

    async def aclose(self) -> None:
        try:
            await self._chunks.aclose()
        finally:
            await self._response.aclose()


# These fail before a byte of the request is written.
_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)


def _translated(error: httpx2.HTTPError, request: AsyncRequest) -> APIConnectionError:
    """The one place where httpx2's exceptions become ours. To be raised outside of its `except`."""
    if isinstance(error, httpx2.ConnectTimeout):
        return no_connection_in_time(request.address, request.timeout.connect, error)
    if isinstance(error, httpx2.TimeoutException):
        return silence(request.address, request.timeout.silence, error)
    if isinstance(error, httpx2.ProtocolError):
        # What follows the colon is the bytes that are wrong: they may be a part of an answer.
        return broken(request.address, str(error).partition(": ")[0], None)
    if isinstance(error, _NOT_SENT):
        return no_connection(request.address, str(error), error)
    return broken(request.address, str(error) or type(error).__name__, error)
