"""JSON schemas of clients: what of a value does not fit, and that no schema can do harm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Literal

import pytest
from pydantic import BaseModel

from opendify.gateway import schemas
from opendify.gateway.schemas import SchemaError, check, fault

DRAFT_4 = "http://json-schema.org/draft-04/schema#"
UNEXPECTED = "$: Additional properties are not allowed ('b' was unexpected)"
GREATER = "$: it is greater than or equal to the maximum of 3"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


class Leaf(BaseModel):
    kind: Literal["leaf"]
    weight: int


class Branch(BaseModel):
    kind: Literal["branch"]
    left: Branch | Leaf
    right: Branch | Leaf | None = None


class Forest(BaseModel):
    name: str
    trees: list[Branch]
    prices: dict[str, float]


FOREST = Forest.model_json_schema()
LEAF = {"kind": "leaf", "weight": 1}


def nested(levels: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def chained(length: int, end: dict[str, object]) -> dict[str, object]:
    """A schema that refers to one that refers to one, and so on."""
    definitions: dict[str, object] = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{length}": end}}


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({}, '$.trees[0]: "kind" is a required property'),
        ({"kind": "branch", "left": LEAF}, None),
        ({"kind": "branch", "left": {"kind": "branch", "left": LEAF}, "right": LEAF}, None),
        (
            {"kind": "branch", "left": {**LEAF, "weight": "heavy"}},
            '$.trees[0].left.weight: it is not of type "integer"',
        ),
        (
            {"kind": "branch", "left": LEAF, "right": {"kind": "branch", "left": {"kind": "leaf"}}},
            '$.trees[0].right.left: "weight" is a required property',
        ),
        (
            {"kind": "branch", "left": {"kind": "root"}},
            "$.trees[0].left: it does not fit what the schema says with 'anyOf'",
        ),
    ],
)
def test_the_place_of_a_fault_is_found_in_lists_references_and_unions(
    tree: object, place: str | None
) -> None:
    assert fault(FOREST, {"name": "Sherwood", "trees": [tree], "prices": {}}) == place


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"additionalProperties": {"type": "null"}}, {"a b": "x"}, '$["a b"]: it is not of type "null"'),
        (
            {"additionalProperties": False, "properties": {"a": {}}},
            {"b": 1},
            "$: Additional properties are not allowed ('b' was unexpected)",
        ),
        ({"prefixItems": [{}, {"const": 1}]}, [0, 2], "$[1]: 1 was expected"),
        ({"$schema": DRAFT_7, "items": [{}, {"const": 1}]}, [0, 2], "$[1]: 1 was expected"),
        ({"$schema": DRAFT_4, "maximum": 3, "exclusiveMaximum": True}, 3, GREATER),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, '$: "b" is a required property'),
        ({"properties": {"a": False}}, {"a": 1}, "$.a: nothing may stand here"),
        ({"oneOf": [{}, {}]}, 1, "$: it does not fit what the schema says with 'oneOf'"),
        ({"enum": ["a", "b"]}, "c", '$: it is not one of "a" or "b"'),
        (
            {"$ref": "#/$defs/a~1~0%20b", "$defs": {"a/~ b": {"type": "null"}}},
            1,
            '$: it is not of type "null"',
        ),
    ],
)
def test_each_keyword_says_where_and_what(schema: dict[str, object], value: object, said: str) -> None:
    assert fault(schema, value) == said


@pytest.mark.parametrize(
    "schema", [{"type": "integer"}, {"maxLength": 3}, {"pattern": "^a"}, {"enum": [1]}, {"not": {}}]
)
def test_a_fault_never_quotes_the_value(schema: dict[str, object]) -> None:
    assert "secret" not in (fault({"properties": {"a": schema}}, {"a": "secret"}) or "")


def test_formats_that_openai_knows_are_held_to_and_others_are_not() -> None:
    def fits(name: str, value: str) -> bool:
        return fault({"type": "string", "format": name}, value) is None

    assert fits("date", "2026-02-28")
    assert not any(
        fits(name, "no such thing")
        for name in ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")
    )
    assert all(fits(name, "no such thing") for name in ("uri", "regex", "json-pointer", "made-up"))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "text"}, "$.type"),
        ({"properties": {"a": {"minimum": "low"}}}, '$.properties.a.minimum: it is not of type "number"'),
        ({"pattern": "(a"}, '$.pattern: it is not a "regex"'),
        ({"$schema": "urn:made-up"}, "Unknown meta-schema"),
        ({"$ref": "#/$defs/nowhere"}, "there is nothing at '#/$defs/nowhere'"),
        ({"$ref": "other.json"}, "'$ref' leads out of the schema"),
        ({"allOf": [{"$ref": "#"}]}, "it refers to itself"),
        ({"properties": {"a": {"$id": "urn:a"}}}, "only the schema as a whole may have an '$id'"),
        ({"enum": ["x" * 300_000]}, "300,013 bytes"),
        (chained(60, {}), "more than 40 schemas"),
    ],
)
def test_a_schema_that_can_not_be_used_is_refused_with_the_reason(
    schema: dict[str, object], said: str
) -> None:
    with pytest.raises(SchemaError) as refused:
        check(schema)
    assert said in str(refused.value)


def test_a_schema_may_say_what_it_is_called() -> None:
    schema = {
        "$id": "urn:day",
        "items": {"$ref": "#/$defs/b"},
        "$defs": {"b": {"type": "null"}},
    }
    assert fault(schema, [None]) is None
    assert fault(schema, [1]) == '$[0]: it is not of type "null"'


@pytest.fixture
def web() -> Iterator[tuple[str, list[str]]]:
    """A web server, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Not on the tests' output."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "URL/schema.json"},
        {"$schema": "URL/draft"},
        {"$dynamicRef": "URL/schema.json#here"},
        {"$id": "URL/schema.json", "properties": {"a": {"$ref": "other.json"}}},
        {
            "$id": "URL/schema.json",
            "properties": {"a": {"$ref": "#/$defs/far"}},
            "$defs": {"far": {"$ref": "URL"}},
        },
        {"$ref": "file:///etc/hostname"},
    ],
)
def test_nothing_is_ever_fetched(schema: dict[str, object], web: tuple[str, list[str]]) -> None:
    url, asked = web
    here = json.loads(json.dumps(schema).replace("URL", url))
    with pytest.raises(SchemaError):
        fault(here, {"a": 1})
    assert asked == []


def union_in_union() -> dict[str, object]:
    part = {"type": "object", "properties": {"a": {"$ref": "#"}}}
    return {"anyOf": [{**part, "required": ["a"]}, {**part, "required": ["a", "b"]}]}


def twice_in_twice(levels: int) -> dict[str, object]:
    steps: dict[str, object] = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]}
        for n in range(levels)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**steps, f"d{levels}": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 50 + "!"),
        ({"pattern": r"^(a*)*\1$"}, "a" * 5_000 + "!"),
        ({"items": {"pattern": r"^(?=(a+)+$)(a+)+$"}}, ["a" * 50 + "!"] * 50),
        (union_in_union(), nested(90)),
        (twice_in_twice(19), "x"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, nested(10_000)),
        (chained(35, {"properties": {"a": {"$ref": "#"}}}), nested(99) | {"a": 1, "b": nested(99)}),
        ({"uniqueItems": True}, [[n] for n in range(5_000)] + [[0]]),
        ({"enum": [1], "const": 1}, nested(10_000)),
    ],
)
@pytest.mark.timeout(20)
def test_no_schema_takes_long(schema: dict[str, object], value: object) -> None:
    """Each of these would take a naive validator minutes, or its stack."""
    said = fault(schema, value)
    assert said is None or said.startswith("$")


def test_what_is_kept_of_schemas_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "CACHED_BYTES", 1_000)
    cache = schemas._Cache()
    for n in range(100):
        cache.get(b"x" * 90 + b"%d" % n, {})
    assert len(cache._kept) == 10
    kept = cache.get(b"x" * 90 + b"99", {})
    assert cache.get(b"x" * 90 + b"99", {}) is kept
