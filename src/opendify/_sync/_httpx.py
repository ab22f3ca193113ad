# Made from _async/_httpx.py by scripts/unasync.py: edit that file, not this one.
"""The default transport, over httpx2."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Self

import httpx2

from .._errors import (
    APIConnectionError,
    broken,
    no_connection,
    no_connection_in_time,
    no_free_connection,
    silence,
)
from .._waiting import Chunks, Home
from ._transport import Request, Response

__all__ = ["HttpClient", "HttpxTransport"]


HttpClient = httpx2.Client
"""What can be given as `http_client`."""


class HttpxTransport:
    """The default transport, over httpx2.

    `idle_seconds`: how long an unused connection is kept. The server of a self-hosted Dify (gunicorn)
    closes one after 2.0 s; a request sent at that moment would be lost, so the default is below. Behind
    nginx, which keeps them 65 s, more saves connections.

    `max_connections`: how many there are at once. A request beyond them waits for one to be free, at most
    `Timeout.silence`; a stream holds one as long as it is open. `max_idle_connections`: how many unused ones
    are kept. `None`: any number, so no request waits here for another to end.

    `proxy`: the URL of a proxy for all requests, as http://user:password@proxy.example.com:8080.
    `trust_env`: else follow `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, as httpx2 does.

    `verify`: check certificates, as the system trusts them, or as an `ssl.SSLContext` says. That is also
    where a client certificate goes: `context.load_cert_chain("client.pem", "client.key")`.

    >>> transport = HttpxTransport(idle_seconds=30, max_connections=10, trust_env=False)
    """

    def __init__(
        self,
        *,
        idle_seconds: float = 1.5,
        max_connections: int | None = None,
        max_idle_connections: int | None = None,
        proxy: str | None = None,
        trust_env: bool = True,
        verify: bool | ssl.SSLContext = True,
    ) -> None:
        self._owned = True
        self._by_proxy = proxy is not None or (
            trust_env and not _PROXIES.isdisjoint(map(str.upper, os.environ))
        )
        self._home = Home()
        self._client = httpx2.Client(
            limits=httpx2.Limits(
                max_connections=max_connections,
                max_keepalive_connections=max_idle_connections,
                keepalive_expiry=idle_seconds,
            ),
            # Cookies of one user's answer must not go with another's request.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            proxy=proxy,
            trust_env=trust_env,
            verify=verify,
        )

    @classmethod
    def over(cls, http_client: HttpClient) -> Self:
        """A transport over a client that you have made, and close yourself.

        It is used as it is, with its headers, cookies, limits, redirects and hooks; only timeouts are given
        with each request. An `auth` of its own must leave `Authorization` alone: there stands the app's key.
        """
        if not isinstance(http_client, httpx2.Client):  # pyright: ignore[reportUnnecessaryIsInstance] a type is no proof
            kind = type(http_client)
            raise TypeError(
                f"http_client must be an httpx2.{httpx2.Client.__name__}, "
                f"not a {kind.__module__.partition('.')[0]}.{kind.__name__}."
            )
        transport = cls.__new__(cls)
        transport._owned = False
        transport._by_proxy = False  # nobody can say; httpx2 does not tell
        transport._home = Home()
        transport._client = http_client
        return transport

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self, request: Request) -> Response:
        self._home.check()
        try:
            return _HttpxResponse(request, self._client.send(self._built(request), stream=True))
        except _ERRORS as error:
            failure = _translated(error, request, by_proxy=self._by_proxy)
        raise failure

    def _built(self, request: Request) -> httpx2.Request:
        silence, url = request.timeout.silence, request.url
        timeout = httpx2.Timeout(silence, connect=request.timeout.connect)
        extensions: dict[str, object] = {}
        if self._owned and url != request.address:
            # Httpx2 logs the URL of each request at INFO. So ours are given what may be seen, and beside it
            # what is to be sent.
            extensions["target"] = _target(url)
            url = request.address
        return self._client.build_request(
            request.method,
            url,
            headers=request.headers,
            content=request.content,
            timeout=timeout,
            extensions=extensions,
        )

    def close(self) -> None:
        if self._owned:
            self._client.close()


def _target(url: str) -> bytes:
    """What stands in the first line of a request: the URL from behind its host.

    >>> _target("https://dify.example.com/v1/info?user=ada")
    b'/v1/info?user=ada'
    """
    return url[url.index("/", url.index("://") + 3) :].encode()


class _HttpxResponse:
    def __init__(self, request: Request, response: httpx2.Response) -> None:
        self._request = request
        self._response = response
        self._chunks: Chunks | None = None
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    @property
    def ended(self) -> bool:
        return self._response.is_closed

    def chunk(self) -> bytes:
        if self._chunks is None:
            self._chunks = Chunks(self._response.iter_bytes())
        try:
            return self._chunks.next()
        except _ERRORS as error:
            failure = _translated(error, self._request)
        raise failure

    def read(self) -> bytes:
        if self._chunks is None:
            try:
                return self._response.read()  # cheaper than chunk by chunk
            except _ERRORS as error:
                failure = _translated(error, self._request)
            raise failure
        chunks: list[bytes] = []
        while chunk := self.chunk():
            chunks.append(chunk)
        return b"".join(chunks)

    def close(self) -> None:
        try:
            if self._chunks is not None:
                self._chunks.close()
        finally:
            self._response.close()


# Of the errors of TLS, not all become one of httpx2's.
_ERRORS = (httpx2.HTTPError, ssl.SSLError)

# These fail before a byte of the request is written.
_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)


# In capitals or small, as each program has it.
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}


def _translated(
    error: httpx2.HTTPError | ssl.SSLError, request: Request, *, by_proxy: bool = False
) -> APIConnectionError:
    """The one place where httpx2's exceptions become ours. To be raised outside of its `except`."""
    if isinstance(error, httpx2.ConnectTimeout):
        return no_connection_in_time(request.address, request.timeout.connect, error)
    if isinstance(error, httpx2.PoolTimeout):
        return no_free_connection(request.address, request.timeout.silence, error)
    if isinstance(error, httpx2.TimeoutException):
        return silence(request.address, request.timeout.silence, error)
    if isinstance(error, httpx2.ProtocolError):
        # What follows the colon is the bytes that are wrong: they may be a part of an answer.
        return broken(request.address, str(error).partition(": ")[0], None)
    if isinstance(error, _NOT_SENT):
        return no_connection(request.address, str(error), error, by_proxy=by_proxy)
    return broken(request.address, str(error) or type(error).__name__, error)
