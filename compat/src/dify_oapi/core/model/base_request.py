"""What all requests have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..enum import HttpMethod


class BaseRequest:
    """A request. `uri` has `:name` where a path parameter belongs."""

    def __init__(self) -> None:
        self.http_method: HttpMethod | None = None
        self.uri: str | None = None
        self.paths: dict[str, str] = {}
        self.queries: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}
        self.body: Mapping[str, Any] | None = {}  # Any: JSON
        self.files: dict[str, Any] | None = None  # Any: a file, or a tuple with its name

    def add_query(self, k: str, v: object) -> None:
        """Add a query parameter, or one for each item of a list. `None` adds nothing."""
        values = cast(Sequence[object], v) if isinstance(v, list | tuple) else [v]  # of whatever
        for value in values:
            if value is not None:
                self.queries.append((k, str(value).lower() if isinstance(value, bool) else str(value)))
