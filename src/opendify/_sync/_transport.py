# Made from _async/_transport.py by scripts/unasync.py: edit that file, not this one.
"""Where bytes leave and come in: what the SDK asks of a transport.

A transport sends one request and hands out the answer chunk by chunk, as the network brings it. It knows
nothing of Dify, keeps no secret, and lets no exception of its library through: all become
`APIConnectionError` or `APITimeoutError`, with `sent` true unless the request surely never left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from .._call import Timeout
from .._errors import shown

__all__ = ["Request", "Response", "Transport"]


@dataclass(slots=True)
class Request:
    """One HTTP request, complete: `url` and `headers` are sent as they are."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | Iterable[bytes] | None = field(repr=False)
    timeout: Timeout

    @property
    def address(self) -> str:
        """What of the URL may be seen, in errors and logs."""
        return shown(self.url)


class Response(Protocol):
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

    def chunk(self) -> bytes:
        """The next bytes of the body, decompressed, as one network read brings them; `b""` at the end.

        Cancel-safe: a cancelled call loses nothing, the next one goes on.
        """
        ...

    def read(self) -> bytes:
        """The rest of the body."""
        ...

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        ...


class Transport(Protocol):
    """Sends requests. One transport may serve any number of clients, keys and servers."""

    def open(self, request: Request) -> Response:
        """Send the request and wait for the head of the answer, whatever its status."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...
