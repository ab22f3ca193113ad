"""What the clients offer, as it can be found out from them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from opendify import AsyncDify, AsyncKnowledge, Dify, Knowledge

CLIENTS = (AsyncDify, AsyncKnowledge, Dify, Knowledge)


def resources(client: type) -> Iterator[tuple[str, Any]]:
    """The names behind a client, with what they stand for: `chat`, a `Chat`."""
    made = client("key-of-none")
    for name, value in inspect.getmembers(client):
        if isinstance(value, cached_property) and not name.startswith("_"):
            yield name, getattr(made, name)


def methods(client: type) -> dict[str, Any]:
    """The public methods behind a client: `chat.send` and all others."""
    return {
        f"{noun}.{verb}": method
        for noun, resource in resources(client)
        for verb, method in inspect.getmembers(resource, inspect.ismethod)
        if not verb.startswith("_")
    }
