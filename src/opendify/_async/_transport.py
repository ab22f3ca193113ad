"""Where bytes leave and come in: what the SDK asks of a transport.

A transport sends one request and hands out the answer chunk by chunk, as the network brings it. It knows
nothing of Dify, keeps no secret, and lets no exception of its library through: all become
`APIConnectionError` or `APITimeoutError`, with `sent` true unless the request surely never left.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from .._call import Timeout
from .._errors import shown

__all__ = ["AsyncRequest", "AsyncResponse", "AsyncTransport"]


@dataclass(slots=True)
class AsyncRequest:
    """One HTTP request, complete: `url` and `headers` are sent as they are."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | AsyncIterable[bytes] | None = field(repr=False)
    timeout: Timeout

    @property
    def address(self) -> str:
        """What of the URL may be seen, in errors and logs."""
        return shown(self.url)


class AsyncResponse(Protocol):
    """An answer whose head has come in. Whoever holds it closes it."""

    @property
    def status(self) -> int:
        """HTTP's number."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Finds a name in any case."""
        ...

    @property
    def ended(self) -> bool:
        """The body has come to its end and was read: `chunk` gives `b""` at once. May be told late."""
        ...

    async def chunk(self) -> bytes:
        """The next bytes of the body, decompressed, as one network read brings them; `b""` at the end.

        Cancel-safe: a cancelled call loses nothing, the next one goes on.
        """
        ...

    async def read(self) -> bytes:
        """The rest of the body."""
        ...

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        ...


class AsyncTransport(Protocol):
    """Sends requests. One transport may serve any number of clients, keys and servers."""

    async def open(self, request: AsyncRequest) -> AsyncResponse:
        """Send the request and wait for the head of the answer, whatever its status."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
