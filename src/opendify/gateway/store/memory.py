"""A store in the memory of one process: for tests, and for one worker that may forget."""

import time
from collections.abc import Callable, Mapping

from opendify.gateway.store.base import StoreError, digest


class MemoryStore:
    """Entries in a dict; see `Store` for the contract. Only this process sees them, and they end with it.

    No operation waits for anything, so none can be cancelled halfway.

    Args:
        clock: the time in seconds; only differences matter.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[bytes, tuple[str, float]] = {}
        self._sweep_at = 1024
        self._closed = False

    async def get(self, key: str) -> str | None:
        return self._live(key)

    async def put(self, entries: Mapping[str, str], *, ttl: float) -> None:
        for key, value in entries.items():
            self._keep(key, value, ttl)

    async def add(self, key: str, value: str, *, ttl: float) -> bool:
        if self._live(key) is not None:
            return False
        self._keep(key, value, ttl)
        return True

    async def take(self, key: str) -> str | None:
        value = self._live(key)
        self._entries.pop(digest(key), None)
        return value

    async def delete(self, key: str) -> None:
        self._live(key)
        self._entries.pop(digest(key), None)

    async def aclose(self) -> None:
        self._closed = True
        self._entries.clear()

    def _live(self, key: str) -> str | None:
        if self._closed:
            raise StoreError("the in-memory store is closed; open another one")
        entry = self._entries.get(digest(key))
        return entry[0] if entry is not None and entry[1] > self._clock() else None

    def _keep(self, key: str, value: str, ttl: float) -> None:
        if self._closed:
            raise StoreError("the in-memory store is closed; open another one")
        now = self._clock()
        self._entries[digest(key)] = (value, now + ttl)
        if len(self._entries) >= self._sweep_at:
            self._entries = {key: entry for key, entry in self._entries.items() if entry[1] > now}
            # Sweeping only when the dict has doubled costs each entry a constant, however many there are.
            self._sweep_at = max(1024, 2 * len(self._entries))
