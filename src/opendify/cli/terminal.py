"""What a terminal is shown of other people's texts."""

from __future__ import annotations

import unicodedata

__all__ = ["plain"]


def plain(text: str) -> str:
    r"""A text without control characters: what a model or a file says must not steer the terminal.

    >>> plain("red \x1b[31m?")
    'red [31m?'
    """
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) != "Cc")
