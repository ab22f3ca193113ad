"""A request as it is sent."""

from __future__ import annotations


class RawRequest:
    """Address, headers, body."""

    def __init__(self) -> None:
        self.uri: str | None = None
        self.headers: dict[str, str] = {}
        self.body: bytes | None = None
