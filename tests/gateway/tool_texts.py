"""What the tests of the parser share: tools, and the pieces of a text however it is split."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from opendify.gateway.tools.call import Kind, Piece
from opendify.gateway.tools.definitions import Tool, Toolset
from opendify.gateway.tools.parser import CallParser

WEATHER = Tool(
    "get_weather",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "share": {"type": "number"},
            "exact": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "near": {"anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}]},
            "note": {"type": ["string", "null"]},
        },
        "required": ["city"],
        "$defs": {
            "Place": {"type": "object", "properties": {"lat": {"type": "number"}, "zip": {"type": "string"}}}
        },
    },
)
TIME = Tool("get_time", parameters={"type": "object", "properties": {"zone": {"type": "string"}}})
ANYTHING = Tool("anything")
TOOLS = Toolset([WEATHER, TIME, ANYTHING], frozenset({"get_weather", "get_time", "anything"}))


def pieces(text: str, cuts: Iterable[int] = (), toolset: Toolset = TOOLS) -> list[Piece]:
    """What a parser makes of a text that is cut there, neighbours of one kind joined."""
    parser = CallParser(toolset)
    out: list[Piece] = []
    last = 0
    for cut in [*cuts, len(text)]:
        out += parser.feed(text[last:cut])
        last = cut
    return joined([*out, *parser.flush()])


def joined(out: Iterable[Piece]) -> list[Piece]:
    """Pieces whose neighbours of one kind are joined."""
    whole: list[Piece] = []
    for kind, text in out:
        if whole and whole[-1][0] == kind and kind in ("text", "arguments"):
            whole[-1] = (kind, whole[-1][1] + text)
        else:
            whole.append((kind, text))
    return whole


def of(kind: Kind, out: Iterable[Piece]) -> list[str]:
    """The texts of all pieces of one kind."""
    return [text for found, text in out if found == kind]


def calls(out: Iterable[Piece]) -> list[tuple[str, str]]:
    """The calls among pieces, as (name, arguments)."""
    found: list[tuple[str, str]] = []
    for kind, text in out:
        if kind == "call":
            found.append((text, ""))
        elif kind == "arguments":
            found[-1] = (found[-1][0], found[-1][1] + text)
    return found


def splits(text: str) -> Iterator[list[int]]:
    """Every split in two, one into characters, and 100 into random groups, the same each time."""
    places = range(1, len(text))
    yield from ([cut] for cut in places)
    yield list(places)
    chance = random.Random(text)
    for _ in range(100):
        yield sorted(chance.sample(places, min(len(places), chance.randint(1, 12))))
