"""Where the gateway keeps what must outlive a request: conversations, uploads, claims, its own secret."""

from collections.abc import Callable
from pathlib import Path

from opendify.gateway.store.base import Store, StoreError
from opendify.gateway.store.memory import MemoryStore
from opendify.gateway.store.sqlite import SqliteStore

__all__ = ["MemoryStore", "SqliteStore", "Store", "StoreError", "open_store"]


def _sqlite(rest: str) -> Store:
    if not rest.startswith("///") or rest == "///":
        raise StoreError(
            f"'sqlite:{rest}' names no file. Write sqlite:///FILE, or sqlite:////DIR/FILE from the root"
        )
    return SqliteStore(Path(rest[3:]).expanduser())


def _memory(rest: str) -> Store:
    if rest.strip("/"):
        raise StoreError(f"'memory:{rest}': a store in memory has no name. Write memory:")
    return MemoryStore()


_SCHEMES: dict[str, Callable[[str], Store]] = {"memory": _memory, "sqlite": _sqlite}


def open_store(url: str) -> Store:
    """Open the store that `url` names; the caller closes it.

    A SQLite file blocks for some milliseconds while it is opened: do it where a server starts.

    Args:
        url: `sqlite:///FILE` (`sqlite:////DIR/FILE` from the root, `sqlite:///~/FILE` from one's home), or
            `memory:` for this process alone and until it ends.

    Raises:
        StoreError: There is no such kind of store, or its file cannot be opened.

    Example:
        >>> import asyncio
        >>> async def main():
        ...     store = open_store("memory:")
        ...     try:
        ...         await store.put({"greeting": "hello"}, ttl=60)
        ...         print(await store.take("greeting"), await store.get("greeting"))
        ...     finally:
        ...         await store.aclose()
        >>> asyncio.run(main())
        hello None
    """
    scheme, colon, rest = url.partition(":")
    opener = _SCHEMES.get(scheme) if colon else None
    if opener is None:
        # Not the URL itself: one of another kind may hold a password.
        raise StoreError(f"there is no store of the kind {scheme!r}. Write sqlite:///FILE or memory:")
    return opener(rest)
