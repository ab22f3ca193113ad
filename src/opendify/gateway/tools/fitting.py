"""What a tool's JSON schema takes at each place, and values fitted to that without loss. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, cast

import msgspec
from pydantic_core import from_json

from opendify.gateway import schemas
from opendify.gateway.tools.kept import MOST, MOST_BYTES, Keyed

_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,300})(?:\.0{1,9})?")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,300})(?:\.\d{1,300})?(?:[eE][+-]?\d{1,4})?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPECIAL = re.compile('["\\\\\x00-\x1f\ud800-\udfff]')
_CONSTANTS = {"true": True, "false": False, "null": None, "none": None}
_KINDS: Mapping[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
}
_LEAVES = frozenset({"null", "boolean", "integer", "string"})
"""What has nothing in it that could be fitted; a float may be none that JSON has."""
_ITEMS = ("prefixItems", "items")
_MOST = 64
"""So many alternatives of one place are looked at; no tool has more that matter."""


class Place:
    """A place in a tool's arguments: all schemas of which a value there may fit one.

    Args:
        schemas: ``anyOf``, ``oneOf``, ``allOf`` and ``$ref`` are looked through, nothing else is judged.
        root: The whole schema, which references point into.

    Attributes:
        types: The JSON types that are taken here; none said: every one.
    """

    __slots__ = ("_inner", "_listed", "_root", "_schemas", "types")

    def __init__(self, schemas: Sequence[Mapping[str, Any]], root: Mapping[str, Any]) -> None:
        self._schemas = schemas
        self._root = root
        self._inner: dict[str | int, Place] = {}  # a few of those that were asked for
        self._listed = max(map(_listed, schemas), default=0)
        self.types = frozenset([kind for schema in schemas for kind in _types(schema)])

    def takes(self, kind: str) -> bool:
        """Whether a value of this JSON type may stand here as it is."""
        return not self.types or kind in self.types or (kind == "integer" and "number" in self.types)

    @property
    def names(self) -> frozenset[str]:
        """The properties that an object here is said to have."""
        return frozenset(
            name
            for schema in self._schemas
            if isinstance(named := schema.get("properties"), Mapping)
            for name in cast("Mapping[str, object]", named)
        )

    def property(self, key: str) -> Place:
        """The place of an object's value.

        >>> tool = place({"properties": {"days": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}})
        >>> sorted(tool.property("days").types)
        ['integer', 'null']
        """
        return self._inner.get(key) or self._keep(key, [_property(schema, key) for schema in self._schemas])

    def item(self, index: int) -> Place:
        """The place of an array's value."""
        key = min(index, self._listed)
        return self._inner.get(key) or self._keep(key, [_item(schema, key) for schema in self._schemas])

    def _keep(self, key: str | int, schemas: Iterable[object]) -> Place:
        inner = _place(schemas, self._root)
        if len(self._inner) < _MOST:
            self._inner[key] = inner
        return inner


def place(schema: Mapping[str, object]) -> Place:
    """The place of a whole value of this schema."""
    try:
        source = msgspec.json.encode(dict(schema))
    except (RecursionError, UnicodeEncodeError):  # as it is, it has no bytes to be known by
        return _place([schema], schema)
    if len(source) > MOST_BYTES:
        return _place([schema], schema)
    return _kept(Keyed(source, schema))


@lru_cache(MOST)
def _kept(schema: Keyed[Mapping[str, object]]) -> Place:
    return _place([schema.value], schema.value)


def _place(schemas: Iterable[object], root: Mapping[str, Any]) -> Place:
    found: list[Mapping[str, Any]] = []
    waiting = [schema for schema in schemas if schema is not None]
    seen: set[str] = set()
    for schema in waiting:  # grows while it is gone through
        if not isinstance(schema, Mapping) or len(found) >= _MOST:
            continue
        schema = cast("Mapping[str, Any]", schema)  # isinstance can't tell of what
        found.append(schema)
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            seen.add(reference)
            waiting.append(_referred(root, reference))
        for word in ("anyOf", "oneOf", "allOf"):
            if isinstance(inner := schema.get(word), list):
                waiting += cast("list[object]", inner)[:_MOST]
    return Place(found, root)


def _referred(root: Mapping[str, Any], reference: str) -> object:
    """What ``#/$defs/City`` points to; None for what points elsewhere."""
    found: object = root if reference.startswith("#") else None
    for step in reference.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        found = cast("Mapping[str, object]", found).get(step) if isinstance(found, Mapping) else None
    return found


def _types(schema: Mapping[str, Any]) -> Iterator[str]:
    stated = schema.get("type")
    if isinstance(stated, str):
        yield stated
    elif isinstance(stated, list):
        yield from (kind for kind in cast("list[object]", stated) if isinstance(kind, str))
    elif isinstance(values := schema.get("enum"), list):
        yield from map(kind_of, cast("list[object]", values))
    elif "const" in schema:
        yield kind_of(schema["const"])
    elif "properties" in schema:
        yield "object"
    elif "items" in schema or "prefixItems" in schema:
        yield "array"


def _property(schema: Mapping[str, Any], key: str) -> object:
    named = schema.get("properties")
    if isinstance(named, Mapping) and key in named:
        return cast("Mapping[str, object]", named)[key]
    return schema.get("additionalProperties")


def _item(schema: Mapping[str, Any], index: int) -> object:
    for word in _ITEMS:
        inner = schema.get(word)
        if isinstance(inner, list):
            several = cast("list[object]", inner)
            if index < len(several):
                return several[index]
        elif inner is not None:
            return cast("object", inner)
    return None


def _listed(schema: Mapping[str, Any]) -> int:
    """How many items have a schema of their own; those behind them are alike."""
    inner = [schema.get(word) for word in _ITEMS]
    return max(len(cast("list[object]", items)) if isinstance(items, list) else 0 for items in inner)


def kind_of(value: object) -> str:
    """The JSON type of a value, ``integer`` for whole numbers.

    >>> kind_of(True), kind_of(3), kind_of(3.0), kind_of([])
    ('boolean', 'integer', 'number', 'array')
    """
    return _KINDS.get(type(value), "object")


def fit(value: object, where: Place) -> object:
    """The same value in the type that is taken there, where that loses nothing.

    What can't be fitted stays as it is. Infinity and not-a-number, which JSON has not, become null.

    >>> tool = place({"properties": {"days": {"type": "integer"}, "zip": {"type": "string"}}})
    >>> fit({"days": "3", "zip": 8000, "to": "3"}, tool)
    {'days': 3, 'zip': '8000', 'to': '3'}
    """
    kind = kind_of(value)
    if kind in where.types and kind in _LEAVES:
        return value
    if isinstance(value, float) and value - value != 0:
        return None
    if not where.takes(kind):
        value = _from_text(value, where) if isinstance(value, str) else _from_value(value, where)
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return {key: fit(inner, where.property(key)) for key, inner in members.items()}
    if isinstance(value, list):
        return [fit(inner, where.item(index)) for index, inner in enumerate(cast("list[object]", value))]
    return value


def _from_text(text: str, where: Place) -> object:
    """A string where no string is taken: the value that it writes down."""
    word = text.strip()
    constant = word.lower()
    if constant in _CONSTANTS and kind_of(_CONSTANTS[constant]) in where.types:
        return _CONSTANTS[constant]
    if where.takes("integer") and _INTEGER.fullmatch(word):
        return int(word.partition(".")[0])
    if where.takes("number") and _NUMBER.fullmatch(word):
        return number(word)
    if word[:1] in ("{", "["):
        try:
            value = loads(word)
        except ValueError:
            return text
        return value if where.takes(kind_of(value)) else text
    return text


def _from_value(value: object, where: Place) -> object:
    """A value of a type that is not taken: a whole number written as 3.0, or what only fits as a string."""
    if isinstance(value, float) and value.is_integer() and where.takes("integer"):
        return int(value)
    if where.takes("string") and value is not None:
        return dumps(value)
    return value


def number(word: str) -> object:
    """A JSON number; None for what no number of this machine holds."""
    try:
        return int(word) if word.lstrip("-").isdigit() else _finite(float(word))
    except ValueError:
        return None  # thousands of digits


def _finite(value: float) -> float | None:
    return value if value - value == 0 else None


def _first_wins(members: list[tuple[str, object]]) -> dict[str, object]:
    """A key that stands twice keeps its first value: in a stream that one has gone out."""
    found: dict[str, object] = {}
    for key, value in members:
        found.setdefault(key, value)
    return found


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_decoder = json.JSONDecoder(strict=False, object_pairs_hook=_first_wins, parse_int=number)


def loads(text: str) -> object:
    """JSON as models write it: line breaks in strings, keys twice, numbers of any size.

    Raises:
        ValueError: It is no JSON, or nested too deeply.
    """
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def begun(text: str, at: int) -> tuple[object, int] | None:
    """The value that begins at a place and where it ends; None if it is not there as a whole, or is no JSON.

    >>> begun('{"a": 1}, {"b"', 0)
    ({'a': 1}, 8)
    """
    try:
        return _decoder.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None


def escaped(text: str) -> str:
    """Text as it stands in a JSON string, without its quotes; halves of characters can only be escaped.

    >>> escaped('say "hé"')
    'say \\\\"hé\\\\"'
    """
    return _whole(encode_basestring(text)[1:-1]) if _SPECIAL.search(text) else text


def dumps(value: object) -> str:
    """The one way in which arguments are written."""
    return _whole(_encode(value))


def _whole(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def unfit(arguments: str, schema: Mapping[str, object]) -> str:
    """Where and why arguments don't fit, as ``path: what``, without any of their values; empty if they fit.

    A schema that can't be used finds no fault; for strict tools it is refused before.

    >>> unfit('{"days":"many"}', {"properties": {"days": {"type": "integer"}}})
    '$.days: it is not of type "integer"'
    """
    if not schema:
        return ""
    try:
        shallow = arguments.count("{") + arguments.count("[") <= schemas.MAX_LEVELS
        return schemas.fault(schema, _read(arguments), shallow=shallow) or ""
    except schemas.SchemaError:
        return ""
    except ValueError as error:
        return f"$: {error}"


def _read(arguments: str) -> object:
    """Arguments that were written here; by the faster reader, which only takes no halves of characters."""
    try:
        return from_json(arguments)
    except ValueError:
        return loads(arguments)


def completed(arguments: str, schema: Mapping[str, object]) -> str:
    """Arguments with the defaults of what is required and missing: frameworks require what has one, too.

    >>> completed('{"city":"Rome"}', {"properties": {"days": {"default": 1}}, "required": ["city", "days"]})
    '{"city":"Rome","days":1}'
    """
    given = loads(arguments)
    required, properties = schema.get("required"), schema.get("properties")
    if not (isinstance(given, dict) and isinstance(required, list) and isinstance(properties, dict)):
        return arguments
    members = cast("dict[str, object]", given)
    defined = cast("Mapping[str, object]", properties)
    for name in cast("Sequence[object]", required):
        known = defined.get(name) if isinstance(name, str) else None
        if isinstance(name, str) and name not in members and isinstance(known, dict) and "default" in known:
            members[name] = cast("Mapping[str, object]", known)["default"]
    return dumps(members)
