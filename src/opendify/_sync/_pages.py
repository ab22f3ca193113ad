# Made from _async/_pages.py by scripts/unasync.py: edit that file, not this one.
"""Lists that come in pages: asked for one at a time, when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from .._page import Listing, Page, Query

__all__ = ["Pages"]

T = TypeVar("T")


class Pages(Generic[T]):
    """A list of Dify's, however long: nothing is asked until it is iterated, and then a page at a time.

    Iterate it for its items, `pages()` for its pages; `first()` is the first page alone. Each iteration
    starts anew.

    >>> def names(dify: Dify) -> list[str]:
    ...     return [conversation.name for conversation in dify.conversations.list(user="ada")]
    """

    def __init__(self, listing: Listing[T], ask: Callable[[Query], Page[T]]) -> None:
        self._listing = listing
        self._ask = ask

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: nothing is asked until `for` goes through it>"

    def first(self) -> Page[T]:
        """The first page."""
        return self._ask(self._listing.query)

    def pages(self) -> Iterator[Page[T]]:
        """Page after page, until Dify has no more. An empty page is only given if it is the first."""
        query: Query | None = self._listing.query
        first = True
        while query is not None:
            page = self._ask(query)
            if page.data or first:
                yield page
            query, first = self._listing.after(page, query), False

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from self._listing.items(page)
