"""What was made of a client's tools, kept for its next request, which brings the same ones. Pure.

Agents send all their tools with every turn. What is made of them depends on nothing else, so it may serve
whoever sends the same.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

MOST = 64
"""So many results of a kind are kept, those that were used last."""

MOST_BYTES = 32 * 1024
"""What is made of more than this is made anew each time: results are kept by number, not by size."""


class Keyed(Generic[T]):
    """An argument that a `functools.lru_cache` knows by its key alone.

    >>> from functools import lru_cache
    >>> @lru_cache(MOST)
    ... def names(tools: Keyed[list[dict[str, str]]]) -> list[str]:
    ...     return [tool["name"] for tool in tools.value]
    >>> names(Keyed(b"1", [{"name": "a"}])) is names(Keyed(b"1", [{"name": "a"}]))
    True
    """

    __slots__ = ("_key", "value")

    def __init__(self, key: Hashable, value: T) -> None:
        self._key = key
        self.value = value

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keyed) and self._key == other._key
