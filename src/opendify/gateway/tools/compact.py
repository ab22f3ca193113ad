"""A JSON schema without what says nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

_SCHEMAS_BY_NAME = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
_SCHEMAS = frozenset(
    {
        "items", "prefixItems", "additionalItems", "unevaluatedItems", "contains",
        "additionalProperties", "unevaluatedProperties", "propertyNames",
        "anyOf", "oneOf", "allOf", "not", "if", "then", "else",
    }
)  # fmt: skip

_ENDINGS = ("", "args", "arguments", "params", "parameters", "input", "schema", "model")
"""What frameworks put behind a function's name, to have one for the schema of its arguments."""


def compact(schema: Mapping[str, object], name: str) -> dict[str, object]:
    """The same schema without ``$schema``, and without titles that only repeat a name.

    All else is kept as it is: what constrains, and what describes. Pydantic gives every field a title; a
    field that is itself called ``title`` stays.

    Args:
        schema: A schema, or a part of one.
        name: What it is the schema of: a tool, a property, a definition.

    >>> compact({"title": "get_weather_args", "properties": {"city": {"title": "City", "type": "string"}}},
    ...         "get_weather")
    {'properties': {'city': {'type': 'string'}}}
    """
    kept: dict[str, object] = {}
    for keyword, value in schema.items():
        if keyword == "$schema" or (keyword == "title" and _says_nothing(value, name)):
            continue
        if keyword in _SCHEMAS_BY_NAME and isinstance(value, Mapping):
            parts = cast("Mapping[str, object]", value)  # isinstance can't tell of what
            kept[keyword] = {part: _compact(inner, part) for part, inner in parts.items()}
        else:
            kept[keyword] = _compact(value, "") if keyword in _SCHEMAS else value
    return kept


def _compact(value: object, name: str) -> object:
    if isinstance(value, Mapping):
        return compact(cast("Mapping[str, object]", value), name)
    if isinstance(value, list):
        return [_compact(entry, "") for entry in cast("Sequence[object]", value)]
    return value


def _says_nothing(title: object, name: str) -> bool:
    """Whether a title is a name in other letters, as ``User Id`` is ``user_id``, or with such an ending."""
    if not isinstance(title, str):
        return False
    said, known = _plain(title), _plain(name)
    return not said or (bool(known) and said in {known + ending for ending in _ENDINGS})


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text)).lower()
