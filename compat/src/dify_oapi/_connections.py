"""The connections of a client: one transport for sync calls, and one for each of its event loops."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit
from weakref import WeakSet, finalize

from opendify import AsyncHttpxTransport, HttpxTransport

if TYPE_CHECKING:
    from .core.model.config import Config

__all__ = ["ALL", "Connections"]

# A Dify on this machine is asked directly, whatever proxy the environment names.
LOCAL = ("localhost", "127.0.0.1", "::1")


class Connections:
    """Opened at the first call, closed by the client's `close` and `aclose`; a later call opens new ones.

    Async connections belong to the event loop that they were opened in. They are closed when it ends, so that
    neither a second `asyncio.run` nor a forgotten `aclose` does any harm.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._sync: HttpxTransport | None = None
        self._close_sync: finalize[..., Connections] | None = None
        self._by_loop: dict[asyncio.AbstractEventLoop, _LoopsOwn] = {}
        ALL.add(self)

    def sync_transport(self, config: Config) -> HttpxTransport:
        """The transport of sync calls."""
        with self._lock:
            if self._sync is None:
                self._sync = HttpxTransport(**_options(config))
                self._close_sync = finalize(self, self._sync.close)  # for a client that nobody closes
            return self._sync

    async def async_transport(self, config: Config) -> AsyncHttpxTransport:
        """The transport of async calls in the running event loop."""
        loop = asyncio.get_running_loop()
        for other in list(self._by_loop):  # a copy: each thread may have a loop
            if other.is_closed():
                self._by_loop.pop(other, None)  # whoever ran it ended it without a goodbye
        if (own := self._by_loop.get(loop)) is None:
            transport = AsyncHttpxTransport(**_options(config))
            own = self._by_loop[loop] = _LoopsOwn(transport, self._open_while(loop, transport))
            await anext(own.until_the_loop_ends)
        return own.transport

    async def _open_while(
        self, loop: asyncio.AbstractEventLoop, transport: AsyncHttpxTransport
    ) -> AsyncGenerator[None, None]:
        """Waits for the loop's end: who ends one closes its async generators first, as `asyncio.run` does."""
        try:
            yield
        finally:
            self._by_loop.pop(loop, None)
            await transport.aclose()

    def close(self) -> None:
        """Close the sync connections. Those of event loops, only their loops can close."""
        with self._lock:
            close, self._sync, self._close_sync = self._close_sync, None, None
        if close is not None:
            close()

    async def aclose(self) -> None:
        """Close the sync connections, and those of the running event loop."""
        self.close()
        if own := self._by_loop.get(asyncio.get_running_loop()):
            await own.until_the_loop_ends.aclose()


class _LoopsOwn:
    def __init__(
        self, transport: AsyncHttpxTransport, until_the_loop_ends: AsyncGenerator[None, None]
    ) -> None:
        self.transport = transport
        self.until_the_loop_ends = until_the_loop_ends


ALL: WeakSet[Connections] = WeakSet()
"""The connections of all clients."""


class _Options(TypedDict):
    idle_seconds: float
    max_connections: int
    max_idle_connections: int
    trust_env: bool
    verify: ssl.SSLContext | bool


def _options(config: Config) -> _Options:
    """The options of a transport, sync or async."""
    return {
        "idle_seconds": config.keepalive_expiry,
        "max_connections": config.max_connections,
        "max_idle_connections": config.max_keepalive_connections,
        "trust_env": urlsplit(config.domain or "").hostname not in LOCAL,
        "verify": _verify(config.verify_ssl),
    }


def _verify(verify: ssl.SSLContext | str | bool) -> ssl.SSLContext | bool:
    if not isinstance(verify, str):
        return verify
    path = Path(verify)
    return ssl.create_default_context(
        cafile=None if path.is_dir() else verify, capath=verify if path.is_dir() else None
    )
