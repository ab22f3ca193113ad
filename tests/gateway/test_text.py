"""What happens to text on its way is the same however it was split."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendify.gateway.text import Links, Stop, partial_end

PIECES = {
    "links": ["](/files/", "]", "(", "/", "files", "![x", "https://"],
    "stop": ["a", "b", "c"],
}


def texts(kind: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(PIECES[kind]), max_size=12)


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


def link(pieces: list[str]) -> str:
    links = Links("https://dify.example/v1")
    return "".join([*map(links.feed, pieces), links.flush()])


def stop(pieces: list[str], markers: list[str]) -> tuple[str, bool]:
    stop = Stop(markers)
    return "".join([*map(stop.feed, pieces), stop.flush()]), stop.hit


@given(texts("links"), st.lists(st.integers(0, 200), max_size=6))
def test_links_are_made_whole_however_the_text_is_split(parts: list[str], places: list[int]) -> None:
    text = "".join(parts)
    assert link(cut(text, places)) == text.replace("](/files/", "](https://dify.example/files/")


@pytest.mark.parametrize("markers", [["abc", "b"], ["ab", "aab"], ["aa"], ["cab", "abc", "bca"]])
@given(parts=texts("stop"), places=st.lists(st.integers(0, 200), max_size=6))
def test_the_text_is_cut_at_the_same_place_however_it_is_split(
    markers: list[str], parts: list[str], places: list[int]
) -> None:
    text = "".join(parts)
    assert stop(cut(text, places), markers) == stop([text], markers)


def test_text_that_can_be_no_marker_leaves_at_once() -> None:
    assert Links("https://dify.example").feed("plain [text] (here)") == "plain [text] (here)"
    assert Stop(["END"]).feed("plain text") == "plain text"


@pytest.mark.parametrize(
    ("text", "marker", "size"), [("a </thi", "</think>", 5), ("", "x", 0), ("aa", "aab", 2), ("ab", "b", 0)]
)
def test_the_beginning_of_a_marker_is_found_at_the_end(text: str, marker: str, size: int) -> None:
    assert partial_end(text, marker) == size
