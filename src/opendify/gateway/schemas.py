"""JSON schemas that clients send: can one be used, and what of a value does not fit it? Pure.

A schema is a stranger's program. It must not fetch anything, hold up the loop that serves everybody, or
exhaust the stack. So nothing is followed but what is inside of it, patterns have a budget, and how deep
schema and value go is known before they meet.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import cast
from urllib.parse import quote

import jsonschema_rs
import msgspec

from opendify.gateway.schema_keywords import (
    APPLICATORS,
    REFERENCES,
    UNIONS,
    Step,
    escaped,
    key,
    lookup,
    members,
    of_itself,
    same_value,
    steps,
    tags,
    targets,
)

MAX_BYTES = 256 * 1024
"""Of a schema as compact JSON. OpenAI takes names and texts of 120,000 characters in one."""
MAX_LEVELS = 100
"""How deep a value may be nested. OpenAI takes schemas of 10 levels."""
MAX_STEPS = 40
"""How many schemas may speak of one and the same value, each by way of the one before it."""
CACHED_BYTES = 512 * 1024
"""Compiled schemas are kept for so many bytes of schema; compiled, they take some fifty times of that."""
MAX_TEXT = 300
"""Characters of what is said of a fault: a schema may name a thousand values."""


def _anything(_: str) -> bool:
    return True


_ROOT = "urn:opendify:schema"
_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=10_000)
_ANNOTATIONS: dict[str, Callable[..., bool]] = dict.fromkeys(
    [
        *(
            "idn-email",
            "idn-hostname",
            "iri",
            "iri-reference",
            "json-pointer",
            "regex",
            "relative-json-pointer",
        ),
        *("uri", "uri-reference", "uri-template"),
    ],
    _anything,
)
"""Values of ``format`` that OpenAI's models are not held to. Those that they are: date-time, time, date,
duration, email, hostname, ipv4, ipv6, uuid."""


class SchemaError(ValueError):
    """A schema that can't be used; the text says what is wrong with it, and where."""


def check(schema: Mapping[str, object]) -> None:
    """Look whether values can be checked with a schema.

    Args:
        schema: As a client sent it: of draft 4, 6, 7, 2019-09, or 2020-12, which it is without ``$schema``.

    Raises:
        SchemaError: It breaks the rules of its draft, refers to what is not in it, or is too large.

    >>> check({"type": "array", "items": {"type": "string"}})
    >>> check({"$ref": "https://example.com/schema"})
    Traceback (most recent call last):
    opendify.gateway.schemas.SchemaError: #: '$ref' leads out of the schema; it takes '#' or '#/…'
    """
    _compiled(schema)


def fault(schema: Mapping[str, object], value: object, *, shallow: bool = False) -> str | None:
    """What is wrong with a value; None if it fits.

    Args:
        value: As it comes out of a JSON decoder.
        shallow: It is known to be nested no more than `MAX_LEVELS` levels deep.

    Returns:
        The place, and what is expected there. The value that stands there is not told: it is a person's or
        a model's text, and this goes into errors.

    Raises:
        SchemaError: As in `check`.

    >>> fault({"properties": {"days": {"items": {"type": "integer"}}}}, {"days": [1, "two"]})
    '$.days[1]: it is not of type "integer"'
    """
    compiled = _compiled(schema)
    if not shallow and _deeper(value, MAX_LEVELS):
        return f"$: it is nested more than {MAX_LEVELS} levels deep"
    if compiled.fits("", value):
        return None
    place, what = compiled.search(value)
    return f"{place}: {what[:MAX_TEXT]}"


class _Compiled:
    """A schema that can be used, ready for values."""

    def __init__(self, schema: dict[str, object]) -> None:
        base = "id" if "draft-04" in str(schema.get("$schema")) else "$id"
        self._root = {name: part for name, part in schema.items() if name != base}
        self._draft = {"$schema": schema["$schema"]} if "$schema" in schema else dict[str, object]()
        _look_around(self._root, base)
        try:
            self._validators = {"": _validator(self._root)}
        except jsonschema_rs.ValidationError as error:
            raise SchemaError(f"{_place(error.instance_path)}: {error.message[:MAX_TEXT]}") from None
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            raise SchemaError(f"$: {str(error)[:MAX_TEXT]}") from None
        self._registry = jsonschema_rs.Registry([(_ROOT, self._root)])

    def fits(self, pointer: str, value: object) -> bool:
        """Whether a value fits the schema at a pointer."""
        validator = self._validators.get(pointer)
        if validator is None:
            validator = _validator({**self._draft, "$ref": f"{_ROOT}#{quote(pointer)}"}, self._registry)
            self._validators[pointer] = validator
        return validator.is_valid(value)

    def search(self, value: object) -> tuple[str, str]:
        """The place where a value does not fit, and why.

        The library would list an error for each way through a union, of which there are without end where
        a union stands in a union. Here one way is gone: to a part that does not fit, and on from there.
        """
        here, place = Step("", "", value), "$"
        for _ in range(MAX_LEVELS * MAX_STEPS):
            schema = lookup(self._root, here.pointer)
            if not isinstance(schema, dict):
                return place, "nothing may stand here"
            schema = cast(dict[str, object], schema)
            own = _validator({**self._draft, **of_itself(schema)})
            if error := next(own.iter_errors(here.value), None):
                return place + _place(error.instance_path)[1:], error.message
            step = self._step(schema, here)
            if step is None:
                parts = ", ".join(repr(name) for name in schema if name in APPLICATORS)
                return place, f"it does not fit what the schema says with {parts}"
            here, place = step, place + step.place
        return place, "it does not fit the schema"

    def _step(self, schema: dict[str, object], here: Step) -> Step | None:
        """From what does not fit to the part of it that does not."""
        for step in steps(schema, here.pointer, here.value):
            if not self.fits(step.pointer, step.value):
                return step
        if "if" in schema:
            branch = "then" if self.fits(f"{here.pointer}/if", here.value) else "else"
            if branch in schema and not self.fits(f"{here.pointer}/{branch}", here.value):
                return Step(f"{here.pointer}/{branch}", "", here.value)
        for name in UNIONS:
            ways = [self._end(way) for way in members(schema, here.pointer, name)]
            if ways and not any(self.fits(way, here.value) for way in ways):
                return self._likeliest(ways, here.value)
        return None

    def _likeliest(self, ways: list[str], value: object) -> Step | None:
        """The member of a union that was meant; None if nothing tells one from the others."""
        likeness = [self._likeness(way, value) for way in ways]
        best = max(likeness)
        if best == 2 or (best == 1 and likeness.count(1) == 1):
            return Step(ways[likeness.index(best)], "", value)
        return None

    def _likeness(self, pointer: str, value: object) -> int:
        """0: it is another kind of value; 1: it is tagged as another; 2: all speaks for it."""
        schema = lookup(self._root, pointer)
        if not isinstance(schema, dict):
            return 0
        schema = cast(dict[str, object], schema)
        kind = {name: part for name, part in schema.items() if name in ("type", "const", "enum")}
        if not _validator({**self._draft, **kind}).is_valid(value):
            return 0
        return 2 if all(self.fits(tag.pointer, tag.value) for tag in tags(schema, pointer, value)) else 1

    def _end(self, pointer: str) -> str:
        """Where a schema is that is nothing but a reference."""
        for _ in range(MAX_STEPS):
            schema = lookup(self._root, pointer)
            if not isinstance(schema, dict) or "$ref" not in schema:
                break
            pointer = next(targets(cast(dict[str, object], schema)), pointer)
        return pointer


def _validator(
    schema: dict[str, object], registry: jsonschema_rs.Registry | None = None
) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(
        schema,
        registry=registry,
        offline=True,
        mask="it",
        validate_formats=True,
        formats=_ANNOTATIONS,
        pattern_options=_PATTERNS,
    )


def _place(path: list[str | int]) -> str:
    return "$" + "".join(map(key, path))


def _deeper(value: object, levels: int) -> bool:
    """Whether a value is nested deeper than so many levels."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [part for parent in layer for part in _children(parent)]
        if not layer:
            return False
    return True


def _children(value: object) -> list[object]:
    match value:
        case dict():
            return list(cast(dict[str, object], value).values())
        case list():
            return cast(list[object], value)
        case _:
            return []


# ── Before a schema is compiled ──────────────────────────────────────────────────────────────────────


def _look_around(root: dict[str, object], base: str) -> None:
    """Refuse what would lead out of a schema, in circles, or down too far.

    Args:
        base: The keyword by which a schema says from where its references count.
    """
    heights: dict[str, int] = {}
    for pointer, schema in _schemas(root):
        if isinstance(schema.get(base), str):
            raise SchemaError(f"#{pointer}: only the schema as a whole may have an '{base}'")
        for name in REFERENCES:
            if isinstance(to := schema.get(name), str) and to != "#" and not to.startswith("#/"):
                raise SchemaError(f"#{pointer}: '{name}' leads out of the schema; it takes '#' or '#/…'")
        _height(root, pointer, heights, 0)


def _schemas(root: dict[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    """Every object in a schema with its pointer: rather one too many than one too few."""
    rest: list[tuple[str, object]] = [("", root)]
    while rest:
        pointer, part = rest.pop()
        if pointer.count("/") > 2 * MAX_LEVELS:
            raise SchemaError(f"$: it is nested more than {2 * MAX_LEVELS} levels deep")
        match part:
            case dict():
                schema = cast(dict[str, object], part)
                yield pointer, schema
                rest += [(f"{pointer}/{escaped(name)}", inner) for name, inner in schema.items()]
            case list():
                rest += [
                    (f"{pointer}/{index}", inner) for index, inner in enumerate(cast(list[object], part))
                ]
            case _:
                pass


def _height(root: dict[str, object], pointer: str, heights: dict[str, int], above: int) -> int:
    """The longest way from a schema to others that speak of the same value."""
    if pointer in heights:
        if heights[pointer] < 0:
            raise SchemaError(f"#{pointer}: it refers to itself, and to no part of the value")
        return heights[pointer]
    try:
        schema = lookup(root, pointer)
    except LookupError:
        raise SchemaError(
            f"$: there is nothing at '#{pointer[:MAX_TEXT]}', where a reference leads"
        ) from None
    heights[pointer] = -1
    height = 0
    if isinstance(schema, dict):
        for other in same_value(cast(dict[str, object], schema), pointer):
            height = max(height, 1 + (0 if above > MAX_STEPS else _height(root, other, heights, above + 1)))
    if height > MAX_STEPS:
        raise SchemaError(f"#{pointer}: more than {MAX_STEPS} schemas stand for one value")
    heights[pointer] = height
    return height


# ── What was compiled before ─────────────────────────────────────────────────────────────────────────


class _Cache:
    """Compiled schemas, those used last, by their bytes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, _Compiled] = OrderedDict()
        self._bytes = 0

    def get(self, source: bytes, schema: dict[str, object]) -> _Compiled:
        """The one of a schema; made now if it is not kept."""
        if source in self._kept:
            self._kept.move_to_end(source)
            return self._kept[source]
        compiled = _Compiled(schema)
        self._kept[source] = compiled
        self._bytes += len(source)
        while self._bytes > CACHED_BYTES:
            self._bytes -= len(self._kept.popitem(last=False)[0])
        return compiled


_cache = _Cache()


def _compiled(schema: Mapping[str, object]) -> _Compiled:
    source = msgspec.json.encode(dict(schema))
    if len(source) > MAX_BYTES:
        raise SchemaError(f"$: it has {len(source):,} bytes; it takes up to {MAX_BYTES:,}")
    return _cache.get(source, dict(schema))
