"""How many requests one app gets at once. Pure waiting: no I/O, no settings.

Dify limits an app's concurrency itself and refuses what is over it; so that a short crowd waits instead of
failing, the gateway holds a request for a moment before it says 429.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from opendify.gateway.errors import OpenAIError


class Admission:
    """Slots by app.

    Args:
        queue_seconds: How long a request waits for a slot.
    """

    def __init__(self, queue_seconds: float) -> None:
        self._queue_seconds = queue_seconds
        self._slots: dict[str, asyncio.Semaphore] = {}

    @asynccontextmanager
    async def slot(self, app: str, limit: int, *, model: str) -> AsyncGenerator[None]:
        """One of an app's ``limit`` slots, for as long as the block runs. A limit of 0 is none.

        Raises:
            OpenAIError: 429 with ``Retry-After`` if none came free in time.
        """
        if not limit:
            yield
            return
        slots = self._slots.setdefault(app, asyncio.Semaphore(limit))
        try:
            async with asyncio.timeout(self._queue_seconds if slots.locked() else None):
                await slots.acquire()
        except TimeoutError:
            raise OpenAIError(
                429,
                f"Model '{model}' is answering {limit} requests already, as many as it may at once. "
                "Try again in a moment.",
                type="rate_limit_error",
                code="rate_limit_exceeded",
                headers={"retry-after": str(max(1, round(self._queue_seconds)))},
            ) from None
        try:
            yield
        finally:
            slots.release()
