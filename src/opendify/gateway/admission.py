"""How many requests one app gets at once. Pure waiting: no I/O, no settings.

Dify limits an app's concurrency itself and refuses what is over it; so that a short crowd waits instead of
failing, the gateway holds a request for a moment before it says 429.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from types import TracebackType

from opendify.gateway.errors import OpenAIError

_FREE = nullcontext()
"""The slot of an app without a limit."""


class Admission:
    """Slots by app.

    Args:
        queue_seconds: How long a request waits for a slot.
    """

    def __init__(self, queue_seconds: float) -> None:
        self._queue_seconds = queue_seconds
        self._slots: dict[str, asyncio.Semaphore] = {}

    def slot(self, app: str, limit: int, *, model: str) -> AbstractAsyncContextManager[None]:
        """One of an app's ``limit`` slots, for as long as the block runs. A limit of 0 is none.

        Raises:
            OpenAIError: On entering, 429 with ``Retry-After`` if none came free in time.
        """
        if not limit:
            return _FREE
        slots = self._slots.get(app)
        if slots is None:
            slots = self._slots[app] = asyncio.Semaphore(limit)
        return _Slot(slots, self._queue_seconds, limit, model)


class _Slot:
    """One slot, to be entered once. A class, for half of what a generator would cost each request."""

    __slots__ = ("_limit", "_model", "_seconds", "_slots")

    def __init__(self, slots: asyncio.Semaphore, seconds: float, limit: int, model: str) -> None:
        self._slots = slots
        self._seconds = seconds
        self._limit = limit
        self._model = model

    async def __aenter__(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(self._seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise OpenAIError(
                429,
                f"Model '{self._model}' is answering {self._limit} requests already, as many as it may at "
                "once. Try again in a moment.",
                type="rate_limit_error",
                code="rate_limit_exceeded",
                headers={"retry-after": str(max(1, round(self._seconds)))},
            ) from None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._slots.release()
