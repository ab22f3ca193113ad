"""What a store promises. A store keeps short texts under keys for a time: conversations, uploads, claims."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Protocol


class StoreError(Exception):
    """A store cannot be used. The message says which, why, and what to do about it."""


class Store(Protocol):
    """Texts under keys, each for a limited time, shared by every worker process that opened the same URL.

    All implementations keep one contract:

    - An entry is gone for every caller the moment its time is over, whenever its space is taken back.
    - Each operation happens whole or not at all, and `add` and `take` have one winner among all processes.
    - Once called, `put` and `delete` are carried out even if the caller is cancelled while it waits. After a
      cancelled `add` or `take` things are as they were: what it won is given back, since nobody knows of it.
      For the moment between, others may have seen it as won. Cancelled after `aclose` was called, it may stay
      won until its time is over: cancel who waits, then close.
    - No operation blocks the event loop. A store belongs to the loop that used it first.
    - Any `str` may be a key or a value, whatever characters it holds.
    - What a store cannot do raises `StoreError`; nothing is dropped in silence.

    Whoever opens a store closes it with `aclose`.
    """

    async def get(self, key: str) -> str | None:
        """The value kept under `key`, or None."""
        ...

    async def put(self, entries: Mapping[str, str], *, ttl: float) -> None:
        """Keep values under keys, in place of what was there: all of them, or none.

        Args:
            entries: Key -> value.
            ttl: For how many seconds; `math.inf` keeps it for good.
        """
        ...

    async def add(self, key: str, value: str, *, ttl: float) -> bool:
        """Keep `value` under `key` for `ttl` seconds only if there is nothing: True if it was kept.

        This is how a claim is taken: of all who try, in all processes, one gets True.
        """
        ...

    async def take(self, key: str) -> str | None:
        """The value kept under `key`, removed in the same step: only one caller gets it."""
        ...

    async def delete(self, key: str) -> None:
        """Remove what is kept under `key`, if anything."""
        ...

    async def aclose(self) -> None:
        """Carry out what was asked for so far, then let go of everything. May be called again."""
        ...


def digest(key: str) -> bytes:
    """What stores know a key by: 16 bytes however long it is, and no client's name."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
