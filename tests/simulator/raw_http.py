"""An HTTP client that hides nothing: bytes out, and the bytes of head, chunks and body back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Exchange:
    """A reply as it came."""

    status: int
    headers: list[tuple[str, str]]
    chunks: list[bytes] = field(default_factory=list)
    """HTTP chunks of a chunked body; of another, the body."""
    complete: bool = True
    """False if the connection ended before the body did."""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Reply:
    """A reply that is being read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.exchange = Exchange(0, [])

    async def head(self) -> Exchange:
        """Read status and headers."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.rstrip().split("\r\n")
        self.exchange.status = int(status.split()[1])
        for line in lines:
            name, _, value = line.partition(":")
            self.exchange.headers.append((name, value.strip()))
        return self.exchange

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read the body, HTTP chunk by HTTP chunk."""
        exchange = self.exchange
        try:
            if exchange.header("Transfer-Encoding") == "chunked":
                while size := int(await self._reader.readuntil(b"\r\n"), 16):
                    chunk = await self._reader.readexactly(size)
                    await self._reader.readexactly(2)
                    exchange.chunks.append(chunk)
                    yield chunk
                await self._reader.readexactly(2)
            elif (length := int(exchange.header("Content-Length") or 0)) and exchange.status != 204:
                exchange.chunks.append(await self._reader.readexactly(length))
                yield exchange.chunks[-1]
        except (asyncio.IncompleteReadError, ConnectionError):
            exchange.complete = False

    async def closed(self) -> bool:
        """Does the server close the connection?"""
        return await self._reader.read() == b""

    async def rest(self) -> Exchange:
        """Read to the end."""
        async for _ in self.chunks():
            pass
        return self.exchange


@asynccontextmanager
async def asked(
    port: int, request: bytes | Iterable[bytes], *, ahead: int = 8 * 1024 * 1024
) -> AsyncIterator[Reply]:
    """Send a request, in one piece or in several, and read the reply as it comes.

    About `ahead` bytes of it are taken before they are asked for, and no more.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=ahead)
    # What the kernel takes by itself can be more than all of a long answer.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ahead)
    try:
        for piece in [request] if isinstance(request, bytes) else request:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        yield Reply(reader, writer)
    finally:
        writer.close()


def written(
    method: str, target: str, headers: dict[str, str], body: bytes | None, *, chunked: bool = False
) -> bytes:
    """A request as bytes."""
    lines = [f"{method} {target} HTTP/1.1", "Host: dify.test", *(f"{k}: {v}" for k, v in headers.items())]
    if chunked and body is not None:
        lines.append("Transfer-Encoding: chunked")
        half = len(body) // 2
        body = (
            b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]))
            + b"0\r\n\r\n"
        )
    elif body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")
