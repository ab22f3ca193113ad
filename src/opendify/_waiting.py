"""The few places where waiting with and without `await` differ by more than that word.

Each has an async and a sync form side by side, of the same name but for `Async`; `scripts/unasync` puts one
for the other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from threading import get_ident
from typing import BinaryIO

__all__ = [
    "AsyncChunks",
    "AsyncHome",
    "Chunks",
    "Home",
    "async_read",
    "async_sleep",
    "async_write",
    "read",
    "sleep",
    "write",
]


async def async_sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


def sleep(seconds: float) -> None:
    time.sleep(seconds)


async def async_read(file: BinaryIO, size: int) -> bytes:
    """The next bytes of a file; the disk is waited for elsewhere, so that the event loop is not held."""
    return await asyncio.to_thread(file.read, size)


def read(file: BinaryIO, size: int) -> bytes:
    return file.read(size)


async def async_write(file: BinaryIO, data: bytes) -> None:
    """Write to a file, the disk waited for as above."""
    await asyncio.to_thread(file.write, data)


def write(file: BinaryIO, data: bytes) -> None:
    file.write(data)


class AsyncHome:
    """Where connections belong: in the event loop that the first of them was opened in."""

    __slots__ = ("_closed", "_loop", "_thread")

    def __init__(self) -> None:
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def check(self) -> None:
        """Raises `RuntimeError` in another event loop, where they would fail in ways that say nothing.

        And after `close`, when nobody would close what is opened.
        """
        if self._loop is not None and self._thread == get_ident() and self._loop.is_running():
            return  # to ask which of all loops is running takes a system call: 5 µs in a busy process
        if self._closed:
            raise RuntimeError(
                "The transport of this client was closed, and opens no connections any more: close it after "
                "the last call, or make another one, and a client with it."
            )
        if self._loop is not None:
            raise RuntimeError(
                "The connections of this client belong to another event loop: make a client in each, as "
                "with `async with AsyncDify(…)` within what asyncio.run runs."
            )
        self._loop, self._thread = asyncio.get_running_loop(), get_ident()

    def close(self) -> None:
        """There are to be no connections any more."""
        self._closed, self._loop = True, None


class Home:
    """Where connections belong: anywhere, for threads may share them."""

    def check(self) -> None:
        pass


class AsyncChunks:
    """The chunks of an async iterator, one `next()` at a time. A cancelled `next()` loses nothing.

    Cancelling a task that waits within an async generator ends the generator for good. So the waiting is
    done in a task of its own, which a cancelled `next()` leaves as it is and the following one takes up.
    `aclose` cancels it and waits for it.
    """

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._task: asyncio.Task[bytes] | None = None

    async def next(self) -> bytes:
        """The next chunk, or `b""` at the end."""
        if self._task is None:
            self._task = asyncio.create_task(self._next())
        await asyncio.wait([self._task])
        task, self._task = self._task, None
        return task.result()

    async def _next(self) -> bytes:
        return await anext(self._chunks, b"")

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if isinstance(self._chunks, AsyncGenerator):
            await self._chunks.aclose()  # pyright: ignore[reportUnknownMemberType] what it may be sent is all one


class Chunks:
    """The chunks of an iterator, one `next()` at a time."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def next(self) -> bytes:
        """The next chunk, or `b""` at the end."""
        return next(self._chunks, b"")

    def close(self) -> None:
        if isinstance(self._chunks, Generator):
            self._chunks.close()  # pyright: ignore[reportUnknownMemberType] what it may be sent is all one
