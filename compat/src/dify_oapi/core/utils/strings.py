"""Whether a text says anything."""

from __future__ import annotations


class Strings:
    """Questions about texts."""

    @staticmethod
    def is_not_empty(s: str | None) -> bool:
        """Whether there is something in it."""
        return bool(s)

    @staticmethod
    def is_empty(s: str | None) -> bool:
        """Whether there is nothing in it."""
        return not s
