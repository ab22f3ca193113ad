# Made from _async/_resource.py by scripts/unasync.py: edit that file, not this one.
"""What the resources of a client have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from .._call import Call, Form, QueryValue, Reply
from ._caller import Caller

__all__ = ["Resource"]

T = TypeVar("T")


class Resource:
    """A noun of a client, as `client.documents`: its methods are operations."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def _send(
        self,
        method: str,
        path: str,
        read: Callable[[Reply], T],
        *,
        query: Mapping[str, QueryValue] | None = None,
        json: object = None,
        form: Form | None = None,
    ) -> T:
        """Send an operation with one answer, and give what `read` makes of it."""
        return self._caller.send(Call(method, path, read, query=query or {}, json=json, form=form))
