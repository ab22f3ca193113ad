"""What Dify takes at most in its knowledge, told before it is asked. Pure.

Dify itself answers with a validation dump, or takes less without a word: of a `limit` above 100 it gives 100
items, and reckons from the number asked for whether there are more (1.12 and 1.16 alike).
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["DATASET_NAME", "QUERY", "TAG_NAME", "a_hundred", "at_most", "page_size"]

DATASET_NAME = 40
TAG_NAME = 50
QUERY = 250
MANY = 100


def at_most(longest: int, what: str, text: str | None) -> str | None:
    """The text, if it is not too long.

    >>> at_most(QUERY, "query", "What is Dify?")
    'What is Dify?'
    """
    if text is not None and len(text) > longest:
        raise ValueError(f"{what} has {len(text)} characters; Dify takes {longest}. Shorten it.")
    return text


def page_size(limit: int | None) -> int | None:
    """The items of one page, if Dify hands out so many at once."""
    if limit is not None and not 1 <= limit <= MANY:
        raise ValueError(
            f"limit is {limit}, and is the size of one page: 1 to {MANY}. Iterate the list for all of it."
        )
    return limit


def a_hundred(what: str, ids: Sequence[str]) -> list[str]:
    """The ids, if they are at least one and at most a hundred."""
    if not 1 <= len(ids) <= MANY:
        raise ValueError(f"{what} are {len(ids)}; Dify takes 1 to {MANY} at once.")
    return list(ids)
