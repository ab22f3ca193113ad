"""How JSON schemas are made of schemas: which of them speak of the same value, which of its parts. Pure.

A schema in a schema is named by its JSON pointer from the root: ``/properties/days/items``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import NamedTuple, cast
from urllib.parse import unquote

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
UNIONS = ("anyOf", "oneOf")
_SINGLE = ("not", "if", "then", "else")
_NAMED = ("dependentSchemas", "dependencies")
_OF_PARTS = (
    *("properties", "patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames"),
    *(
        "items",
        "prefixItems",
        "additionalItems",
        "unevaluatedItems",
        "contains",
        "minContains",
        "maxContains",
    ),
)
APPLICATORS = frozenset((*REFERENCES, "allOf", *UNIONS, *_SINGLE, *_NAMED, *_OF_PARTS))
"""What a schema says by way of other schemas."""
_FRAME = ("$schema", "$defs", "definitions", "$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor")
_WORD = re.compile(r"[^\W\d]\w*")


class Step(NamedTuple):
    """From a schema and a value to a schema that speaks of it, or of a part of it.

    Attributes:
        pointer: Of the schema that is gone to.
        place: What the step adds to the place in the value: ``.days``, ``[0]``; empty for the same value.
        value: What that schema speaks of.
    """

    pointer: str
    place: str
    value: object


def key(name: str | int) -> str:
    """A step to a part of a value, as JSONPath writes it.

    >>> key("days") + key(0) + key("first name")
    '.days[0]["first name"]'
    """
    if isinstance(name, int):
        return f"[{name}]"
    return (
        f".{name}"
        if _WORD.fullmatch(name)
        else '["{}"]'.format(name.replace("\\", "\\\\").replace('"', '\\"'))
    )


def escaped(name: str) -> str:
    """A name as a token of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def lookup(root: object, pointer: str) -> object:
    """What stands at a JSON pointer.

    Raises:
        LookupError: Nothing does.
    """
    found = root
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        match found:
            case dict():
                found = cast(dict[str, object], found)[name]
            case list() if name.isdecimal():
                found = cast(list[object], found)[int(name)]
            case _:
                raise LookupError(pointer)
    return found


def targets(schema: Mapping[str, object]) -> Iterator[str]:
    """Where the references of a schema lead, as pointers: ``#/$defs/a%20b`` is ``/$defs/a b``."""
    for name in REFERENCES:
        if isinstance(reference := schema.get(name), str):
            yield unquote(reference.removeprefix("#"))


def same_value(schema: Mapping[str, object], pointer: str) -> Iterator[str]:
    """All schemas by which a schema speaks of the same value."""
    yield from targets(schema)
    for name in ("allOf", *UNIONS):
        yield from members(schema, pointer, name)
    for name in _SINGLE:
        if name in schema:
            yield f"{pointer}/{name}"
    for name in _NAMED:
        yield from (f"{pointer}/{name}/{escaped(part)}" for part in _object(schema.get(name)))


def members(schema: Mapping[str, object], pointer: str, name: str) -> Iterator[str]:
    """The schemas in a list of schemas."""
    yield from (f"{pointer}/{name}/{index}" for index in range(len(_list(schema.get(name)))))


def steps(schema: Mapping[str, object], pointer: str, value: object) -> Iterator[Step]:
    """All that must fit so that a value fits a schema, as far as it can be told without trying."""
    for target in chain(targets(schema), members(schema, pointer, "allOf")):
        yield Step(target, "", value)
    match value:
        case dict():
            yield from _properties(schema, pointer, cast(dict[str, object], value))
        case list():
            yield from _items(schema, pointer, cast(list[object], value))
        case _:
            pass


def of_itself(schema: Mapping[str, object]) -> dict[str, object]:
    """What a schema says of the value itself, whatever its parts are."""
    own = {name: said for name, said in schema.items() if name not in APPLICATORS and name not in _FRAME}
    if schema.get("additionalProperties") is False:
        own["additionalProperties"] = False
        for name in ("properties", "patternProperties"):
            own[name] = {part: {} for part in _object(schema.get(name))}
    return own


def tags(schema: Mapping[str, object], pointer: str, value: object) -> Iterator[Step]:
    """The properties whose values tell one member of a union from another."""
    for step in _properties(schema, pointer, _object(value)):
        part = _object(_object(schema.get("properties")).get(step.pointer.rpartition("/")[2]))
        if "const" in part or "enum" in part:
            yield step


def _properties(schema: Mapping[str, object], pointer: str, value: Mapping[str, object]) -> Iterator[Step]:
    properties = _object(schema.get("properties"))
    others = "additionalProperties" in schema and "patternProperties" not in schema
    for name, part in value.items():
        if name in properties:
            yield Step(f"{pointer}/properties/{escaped(name)}", key(name), part)
        elif others:
            yield Step(f"{pointer}/additionalProperties", key(name), part)


def _items(schema: Mapping[str, object], pointer: str, value: list[object]) -> Iterator[Step]:
    """Before draft 2020-12 ``items`` was what ``prefixItems`` is, and ``additionalItems`` what it is now."""
    first, others = (
        ("items", "additionalItems") if isinstance(schema.get("items"), list) else ("prefixItems", "items")
    )
    count = len(_list(schema.get(first)))
    for index, part in enumerate(value):
        if index < count:
            yield Step(f"{pointer}/{first}/{index}", key(index), part)
        elif others in schema:
            yield Step(f"{pointer}/{others}", key(index), part)


def _object(part: object) -> dict[str, object]:
    return cast(dict[str, object], part) if isinstance(part, dict) else {}


def _list(part: object) -> list[object]:
    return cast(list[object], part) if isinstance(part, list) else []
