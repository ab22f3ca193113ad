"""Lists as Dify hands them out, and where the next page of each begins. Pure.

Dify has seven ways to page (1.12 and 1.16 alike):

| style | asked with | told | lists |
|---|---|---|---|
| `after_last` | last_id, limit | limit, has_more | conversations, their variables |
| `before_first` | first_id, limit | limit, has_more; a page is ascending, the next one older | messages |
| `numbered` | page, limit | page, limit, total, has_more | logs, annotations, datasets, documents, segments |
| `numbered` | page, limit | page, limit, total, total_pages | child chunks |
| `numbered` | page, limit | nothing | feedbacks |
| `whole` | nothing | an object around the list | metadata, indexing status, models, tags of a dataset |
| `whole` | nothing | a bare array | tags, datasource plugins |

`has_more` is often only "the page is full", so that the last page may be followed by an empty one: an empty
page ends every list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Generic, TypeVar, cast

from pydantic import BeforeValidator

from ._call import QueryValue, Reply, read_as
from .types._model import Many, Model, is_array, is_object

__all__ = ["Listing", "Page", "Query", "after_last", "before_first", "numbered", "read_page", "whole"]

T = TypeVar("T")

Query = Mapping[str, QueryValue]


class Page(Model, Generic[T]):
    """One page of a list. What Dify does not tell is `None`; what it tells beside is in `model_extra`."""

    data: Many[T]
    limit: int | None = None
    """Items asked for."""
    has_more: bool | None = None
    """Whether there may be another page: often Dify only says that this one is full."""
    total: int | None = None
    """Items in all pages."""
    page: int | None = None
    """From 1."""
    total_pages: int | None = None


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A list operation: where it is, what it is asked with first, how a page is read and the next found."""

    path: str
    query: Query
    read: Callable[[Reply], Page[T]]
    following: Callable[[Page[T], Query], Query | None]
    newest_first: bool = False
    """Pages go back in time while the items of each go forward: to iterate, each is turned around."""

    def after(self, page: Page[T], query: Query) -> Query | None:
        """What to ask for the page after `page`, which was asked for with `query`; `None` at the end."""
        return self.following(page, query) if page.data else None

    def items(self, page: Page[T]) -> list[T]:
        """The items of a page in the order of the whole list."""
        return page.data[::-1] if self.newest_first else page.data


def after_last(key: Callable[[T], str]) -> Callable[[Page[T], Query], Query | None]:
    """The next page begins after the last item of this one."""
    return lambda page, query: {**query, "last_id": key(page.data[-1])} if page.has_more else None


def before_first(key: Callable[[T], str]) -> Callable[[Page[T], Query], Query | None]:
    """The next page ends before the first item of this one."""
    return lambda page, query: {**query, "first_id": key(page.data[0])} if page.has_more else None


def numbered(page: Page[T], query: Query) -> Query | None:
    """The next page has the next number."""
    number, limit = _number(query.get("page"), 1), _number(query.get("limit"), 20)
    if page.has_more is not None:
        more = page.has_more
    elif page.total_pages is not None:
        more = number < page.total_pages
    else:
        more = len(page.data) >= limit
    return {**query, "page": number + 1} if more else None


def whole(page: Page[T], query: Query) -> None:
    """There is no next page."""


def _number(value: QueryValue, default: int) -> int:
    return value if isinstance(value, int) else default


def read_page(kind: type[T], field: str = "data") -> Callable[[Reply], Page[T]]:
    """A reader of pages of `kind`, which stand in `field`, or are the whole answer.

    >>> from opendify.types import AppInfo
    >>> read = read_page(AppInfo, "apps")
    >>> read(Reply(200, {}, b'{"apps": [{"name": "A", "mode": "chat"}]}')).data[0].name
    'A'
    """
    arranged = Annotated[Page[kind], BeforeValidator(partial(_arranged, field))]  # type: ignore[valid-type]  # known only when it runs
    return read_as(cast("type[Page[T]]", arranged))  # cast: pydantic takes a type with a validator as a type


def _arranged(field: str, value: Any) -> Any:  # Any: what pydantic gives and takes here
    if is_array(value):
        return {"data": value}
    if field != "data" and is_object(value) and field in value:
        return {**value, "data": value[field]}
    return value
