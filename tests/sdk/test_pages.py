"""Lists come in pages, and each of Dify's ways to page ends where the list does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from opendify import Page, Reply
from opendify._page import Listing, Query, after_last, before_first, numbered, read_page, whole
from opendify._sync._pages import Pages
from opendify.types._model import Model


class Thing(Model):
    id: str


def by_id(thing: Thing) -> str:
    return thing.id


def told(value: object) -> Reply:
    return Reply(200, {}, json.dumps(value).encode())


THINGS = [{"id": f"{number:02}"} for number in range(25)]
Answer = Callable[[Mapping[str, Any]], object]


def has_more(part: list[dict[str, str]], rest: int) -> dict[str, object]:
    return {"data": part, "limit": 10, "has_more": rest > 0}


def forwards(asked: Mapping[str, Any]) -> object:
    start = next((i for i, thing in enumerate(THINGS, 1) if thing["id"] == asked.get("last_id")), 0)
    return has_more(THINGS[start : start + 10], len(THINGS) - start - 10)


def backwards(asked: Mapping[str, Any]) -> object:
    end = next((i for i, thing in enumerate(THINGS) if thing["id"] == asked.get("first_id")), len(THINGS))
    return has_more(THINGS[max(0, end - 10) : end], end - 10)


def pages_of(things: list[dict[str, str]], tell: Callable[[list[dict[str, str]], int], object]) -> Answer:
    def answer(asked: Mapping[str, Any]) -> object:
        number = asked.get("page", 1)
        return tell(things[number * 10 - 10 : number * 10], number)

    return answer


STYLES: dict[str, tuple[Any, Answer, int]] = {
    "after the last": (after_last(by_id), forwards, 3),
    "before the first": (before_first(by_id), backwards, 3),
    "numbered, has_more": (numbered, pages_of(THINGS, lambda part, n: has_more(part, 25 - n * 10)), 3),
    "numbered, falsely more": (
        numbered,
        pages_of(THINGS[:20], lambda part, n: {"data": part, "has_more": len(part) == 10}),
        3,
    ),
    "numbered, total_pages": (
        numbered,
        pages_of(THINGS, lambda part, n: {"data": part, "total": 25, "total_pages": 3, "page": n}),
        3,
    ),
    "numbered, nothing told": (numbered, pages_of(THINGS[:20], lambda part, n: {"data": part}), 3),
    "whole": (whole, lambda asked: THINGS, 1),
}


def listed(following: Any, answer: Answer, *, newest_first: bool = False) -> tuple[list[str], list[Query]]:
    asked: list[Query] = []
    read = read_page(Thing)

    def ask(query: Query) -> Page[Thing]:
        asked.append(query)
        return read(told(answer(query)))

    query: Query = {} if following is whole else {"limit": 10}
    pages = Pages(Listing("/things", query, read, following, newest_first=newest_first), ask)
    return [thing.id for thing in pages], asked


@pytest.mark.parametrize("style", STYLES)
def test_every_item_comes_once_and_in_order_with_pages_that_are(style: str) -> None:
    following, answer, requests = STYLES[style]
    seen, asked = listed(following, answer, newest_first=style == "before the first")
    all_of = [thing["id"] for thing in (THINGS[:20] if "falsely" in style or "nothing" in style else THINGS)]
    assert seen == (all_of[::-1] if style == "before the first" else all_of)
    assert len(asked) == requests


def test_nothing_is_asked_before_it_is_needed() -> None:
    asked: list[Query] = []
    read = read_page(Thing)

    def ask(query: Query) -> Page[Thing]:
        asked.append(query)
        return read(told(forwards(query)))

    pages = Pages(Listing("/things", {"limit": 10}, read, after_last(by_id)), ask)
    assert repr(pages) == "<Pages: nothing is asked until `for` goes through it>"
    assert asked == []
    items = iter(pages)
    assert [next(items).id for _ in range(10)] == [thing["id"] for thing in THINGS[:10]]
    assert asked == [{"limit": 10}]
    assert next(items).id == "10"
    assert asked == [{"limit": 10}, {"limit": 10, "last_id": "09"}]


def test_an_empty_list_is_one_empty_page() -> None:
    pages = Pages(
        Listing("/things", {}, read_page(Thing), after_last(by_id)),
        lambda query: read_page(Thing)(told({"data": [], "has_more": False, "limit": 20})),
    )
    assert [page.data for page in pages.pages()] == [[]]
    assert list(pages) == []


def test_a_list_is_found_in_its_own_field_and_what_stands_beside_it_is_kept() -> None:
    page = read_page(Thing, "doc_metadata")(
        told({"doc_metadata": [{"id": "a"}], "built_in_field_enabled": True})
    )
    assert [thing.id for thing in page.data] == ["a"]
    assert page.model_extra is not None
    assert page.model_extra["built_in_field_enabled"] is True
