"""Lists that come in pages: asked for one at a time, when they are needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

from .._page import Listing, Page, Query

__all__ = ["AsyncPages"]

T = TypeVar("T")


class AsyncPages(Generic[T]):
    """A list of Dify's, however long: nothing is asked until it is iterated, and then a page at a time.

    Iterate it for its items, `pages()` for its pages; `first()` is the first page alone. Each iteration
    starts anew.

    >>> async def names(dify: AsyncDify) -> list[str]:
    ...     return [conversation.name async for conversation in dify.conversations.list(user="ada")]
    """

    def __init__(self, listing: Listing[T], ask: Callable[[Query], Awaitable[Page[T]]]) -> None:
        self._listing = listing
        self._ask = ask

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: nothing is asked until `async for` goes through it>"

    async def first(self) -> Page[T]:
        """The first page."""
        return await self._ask(self._listing.query)

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Page after page, until Dify has no more. An empty page is only given if it is the first."""
        query: Query | None = self._listing.query
        first = True
        while query is not None:
            page = await self._ask(query)
            if page.data or first:
                yield page
            query, first = self._listing.after(page, query), False

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in self._listing.items(page):
                yield item
