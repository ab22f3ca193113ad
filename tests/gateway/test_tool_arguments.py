"""Any arguments, written in every format, well and badly, and split anywhere, are read exactly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendify.gateway.tools.definitions import Tool, Toolset
from opendify.gateway.tools.parser import CallParser
from opendify.simulator.calls import AFTER, BEFORE, FORMATS, Call, write_calls

MENDED = (
    "no_closer",
    "no_closers",
    "trailing_comma",
    "single_quotes",
    "python_literals",
    "string_arguments",
    "chatter_before",
    "chatter_after",
    "chatter_around",
    "invented_result",
)
"""What leaves the arguments as they were meant."""


@dataclass
class Read:
    """What a client gets of an answer."""

    calls: list[tuple[str, str]]
    text: str


def read(tools: Toolset, parts: Sequence[str]) -> Read:
    parser = CallParser(tools)
    pieces = [piece for part in parts for piece in parser.feed(part)] + parser.flush()
    found = Read([], "")
    for kind, text in pieces:
        if kind == "call":
            found.calls.append((text, ""))
        elif kind == "arguments":
            name, arguments = found.calls.pop()
            found.calls.append((name, arguments + text))
        elif kind == "text":
            found.text += text
    return found


_WORDS = (
    *(
        "Oslo",
        "北京",
        "it's",
        '"q"',
        "back\\slash",
        "a, b",
        "{x}",
        "[1]",
        "line\nbreak",
        "tab\t",
        "🌍",
        "<b>x</b>",
    ),
    *("true", "3", "null", "  lead", "trail  ", "`code`", "```", "a:b", "//", "#", "%s", "é", "</p>", "k=v"),
    *("(x)", "f(1)", "\u2028", "'", '"', "\\n", "}", "]", "},", "null,", '"}', "name", "arguments"),
)
_TEXTS = st.lists(st.sampled_from(_WORDS), max_size=4).map(" ".join)
_KEYS = st.sampled_from(["k", "a b", "ключ", "x-y", "name"])
_NUMBERS = st.integers(-5, 2**64) | st.sampled_from([0.5, -1.25, 1e-7])
_SCALARS = _TEXTS | _NUMBERS | st.booleans()
_VALUES: dict[str, st.SearchStrategy[object]] = {
    "string": _TEXTS,
    "integer": st.integers(-5, 2**64),
    "number": _NUMBERS,
    "boolean": st.booleans(),
    "array": st.lists(_SCALARS | st.dictionaries(_KEYS, _SCALARS, max_size=2), max_size=3),
    "object": st.dictionaries(_KEYS, _SCALARS | st.lists(_SCALARS, max_size=2), max_size=3),
}


@st.composite
def _called(draw: st.DrawFn, number: int) -> tuple[Tool, Call]:
    """A tool, and a call of it that fits its schema."""
    kinds = draw(st.lists(st.sampled_from(list(_VALUES)), max_size=4))
    properties = {f"p{at}": {"type": kind} for at, kind in enumerate(kinds)}
    arguments = {f"p{at}": draw(_VALUES[kind]) for at, kind in enumerate(kinds)}
    tool = Tool(f"tool_{number}", "", {"type": "object", "properties": properties})
    return tool, Call(tool.name, arguments)


@pytest.mark.parametrize("format_", FORMATS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), several=st.booleans(), defects=st.lists(st.sampled_from(MENDED), max_size=1))
def test_any_arguments_are_read_as_they_were_meant(
    data: st.DataObject, format_: str, several: bool, defects: list[str]
) -> None:
    made = [data.draw(_called(number)) for number in range(1 + several)]
    tools = Toolset([tool for tool, _ in made], frozenset(tool.name for tool, _ in made))
    written = write_calls([call for _, call in made], format_, defects)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(written)), max_size=12)))
    parts = [written[start:end] for start, end in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    found = read(tools, parts)
    assert found == read(tools, [written])
    calls = [(name, json.loads(arguments)) for name, arguments in found.calls]
    assert calls == [(call.name, call.arguments) for _, call in made]
    assert found.text.replace(BEFORE.strip(), "").replace(AFTER.strip(), "").strip() == ""
