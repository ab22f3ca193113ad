"""Answers that are JSON: what may be asked for, what the model is told, how JSON is found in what it says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendify.gateway.errors import OpenAIError
from opendify.gateway.structured import (
    JsonFilter,
    ResponseFormat,
    correction,
    extract,
    fault,
    instructions,
    response_format,
    workflow_json,
)

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
OBJECT = ResponseFormat("json_object")
SOMEBODY = ResponseFormat("json_schema", "person", schema=PERSON, strict=True)
EVE = '{"name": "Eve",  "age": 7}'


def of(schema: Mapping[str, object]) -> ResponseFormat:
    return ResponseFormat("json_schema", schema=schema)


# ── What may be asked for ──


def test_plain_text_is_no_format() -> None:
    assert response_format({"type": "text"}) is None


def test_a_schema_comes_with_its_name_and_how_strictly_it_is_meant() -> None:
    asked = response_format(
        {
            "type": "json_schema",
            "json_schema": {"name": "person", "description": "Who?", "schema": PERSON, "strict": True},
        }
    )
    assert asked == ResponseFormat("json_schema", "person", "Who?", PERSON, strict=True)


@pytest.mark.parametrize(
    ("field", "param", "said"),
    [
        ({"type": "yaml"}, "response_format.type", "'yaml'"),
        ({"type": "json_schema"}, "response_format.json_schema", "is missing"),
        (
            {"type": "json_schema", "json_schema": {"name": "a"}},
            "response_format.json_schema.schema",
            "is missing",
        ),
        ({}, "response_format.type", "is missing"),
        (
            {"type": "json_schema", "json_schema": {"name": "a", "schema": 3}},
            "response_format.json_schema.schema",
            "Expected",
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "text"}}},
            "response_format.json_schema.schema",
            "Invalid schema for response_format 'a': $.type",
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "a", "schema": {"$ref": "http://127.0.0.1/a"}}},
            "response_format.json_schema.schema",
            "leads out of the schema",
        ),
    ],
)
def test_what_is_no_format_is_refused_with_the_place(
    field: Mapping[str, object], param: str, said: str
) -> None:
    with pytest.raises(OpenAIError) as refused:
        response_format(field)
    assert (refused.value.status, refused.value.param) == (400, param)
    assert said in refused.value.message


# ── What the model is told ──


@pytest.mark.parametrize("chinese", [False, True])
def test_the_model_is_told_the_whole_schema_in_a_few_words(chinese: bool) -> None:
    told = instructions(SOMEBODY, chinese=chinese)
    words, _, schema = told.rpartition("\n")
    assert json.loads(schema) == PERSON
    assert "person" in words
    assert len(words) < 400


def test_what_the_schema_is_for_is_told_too() -> None:
    asked = ResponseFormat("json_schema", "person", "Who did it?", PERSON)
    assert "person: Who did it?" in instructions(asked, chinese=False)
    assert "person：Who did it?" in instructions(asked, chinese=True)


@pytest.mark.parametrize("wanted", [SOMEBODY, ResponseFormat("json_object")])
@pytest.mark.parametrize(("chinese", "word"), [(False, "call tools"), (True, "调用工具")])
def test_a_model_that_has_tools_is_told_that_it_may_still_call_them(
    wanted: ResponseFormat, chinese: bool, word: str
) -> None:
    assert word in instructions(wanted, chinese=chinese, calls=True)
    assert word not in instructions(wanted, chinese=chinese)


@pytest.mark.parametrize("chinese", [False, True])
def test_a_correction_names_the_fault(chinese: bool) -> None:
    assert "$.age: it is not" in correction("$.age: it is not of type", SOMEBODY, chinese=chinese)


# ── What is found in an answer ──


@pytest.mark.parametrize(
    "answer",
    [
        EVE,
        f"\n\n{EVE}\n",
        f"\ufeff{EVE}",
        f"```json\n{EVE}\n```",
        f"```\n{EVE}\n```",
        f"```JSON5\r\n{EVE}\r\n```\r\n",
        f"Here you are:\n\n```json\n{EVE}\n```\n\nShall I go on?",
        f"The person is {EVE}. Anything else?",
        f"Use {{braces}} as in [1]: {EVE}",
        f"A {{ that is never closed, then {EVE}",
        f'A pipe of 5", then {EVE}',
        f'First {{"name": "nobody"}}, no, better:\n{EVE}',
        f"```json\n{EVE}",
        f"{EVE}\n{EVE}",
    ],
)
def test_json_is_found_as_the_model_wrote_it(answer: str) -> None:
    assert extract(answer, SOMEBODY) == EVE


@pytest.mark.parametrize(
    ("answer", "schema", "found"),
    [
        ("[1, 2]", {"type": "array"}, "[1, 2]"),
        ("```json\n[1]\n```", {"type": "array"}, "[1]"),
        ("```\n42\n```", {"type": "integer"}, "42"),
        (' "yes" ', {"type": "string"}, '"yes"'),
        ('{"a": "}```{"}', {}, '{"a": "}```{"}'),
    ],
)
def test_a_schema_may_want_other_things_than_objects(
    answer: str, schema: Mapping[str, object], found: str
) -> None:
    assert extract(answer, of(schema)) == found
    assert fault(of(schema), found) is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("I'm sorry, I can't help with that.", "$: there is no JSON in the answer"),
        ("", "$: there is no JSON in the answer"),
        ('{"name": "Eve"}', '$: "age" is a required property'),
        ('Well: {"name": "Eve", "age": "seven"}.', '$.age: it is not of type "integer"'),
        ("[1]", '$: it is not of type "object"'),
        (
            '{"name": "Eve", "age": NaN}',
            "$: it is not valid JSON: JSON is malformed: invalid character (byte 23)",
        ),
        ("[" * 5_000, "$: it is not valid JSON: it is nested too deeply"),
    ],
)
def test_the_fault_of_an_answer_is_told_without_its_text(answer: str, said: str) -> None:
    assert fault(SOMEBODY, extract(answer, SOMEBODY)) == said


@pytest.mark.parametrize("answer", ["[1]", "1", '"{}"', "null", "true"])
def test_any_object_means_an_object(answer: str) -> None:
    assert fault(OBJECT, extract(answer, OBJECT)) == "$: it is not an object"


# ── A workflow's outputs ──


@pytest.mark.parametrize(
    ("outputs", "wanted", "found"),
    [
        ({"text": EVE}, SOMEBODY, EVE),
        ({"text": f"```json\n{EVE}\n```"}, SOMEBODY, EVE),
        ({"text": f"It is {EVE}."}, SOMEBODY, EVE),
        ({"text": EVE}, OBJECT, EVE),
        ({"text": "It is {}."}, OBJECT, '{"text":"It is {}."}'),
        ({"text": "Hello"}, OBJECT, '{"text":"Hello"}'),
        ({"name": "Eve", "age": 7}, SOMEBODY, '{"name":"Eve","age":7}'),
        ({"name": "Eve", "age": 7}, OBJECT, '{"name":"Eve","age":7}'),
        ({"person": {"name": "Eve", "age": 7}}, SOMEBODY, '{"name":"Eve","age":7}'),
        ({"person": {"name": "Eve", "age": 7}}, OBJECT, '{"person":{"name":"Eve","age":7}}'),
        ({"list": [1, 2]}, of({"type": "array"}), "[1,2]"),
        ({"n": 1.5}, of({"type": "number"}), "1.5"),
        ({"城市": "罗马", "none": None}, OBJECT, '{"城市":"罗马","none":null}'),
    ],
)
def test_a_workflow_answers_with_its_outputs(
    outputs: Mapping[str, object], wanted: ResponseFormat, found: str
) -> None:
    assert workflow_json(outputs, "", wanted) == found
    assert fault(wanted, found) is None


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({"text": "Hello"}, "$: there is no JSON in the answer"),
        ({"text": '{"name": "Eve"}'}, '$: "age" is a required property'),
        ({"name": "Eve", "age": "7"}, '$.age: it is not of type "integer"'),
    ],
)
def test_outputs_that_do_not_fit_say_what_is_wrong(outputs: Mapping[str, object], said: str) -> None:
    assert fault(SOMEBODY, workflow_json(outputs, "", SOMEBODY)) == said


def test_a_workflow_without_outputs_answers_with_its_text() -> None:
    assert workflow_json({}, f"It is {EVE}.", SOMEBODY) == EVE


# ── Streams ──


def streamed(pieces: Sequence[str], wanted: ResponseFormat) -> str:
    json_filter = JsonFilter(wanted)
    return "".join([*map(json_filter.feed, pieces), json_filter.flush()])


@pytest.mark.parametrize(
    ("answer", "wanted", "passed"),
    [
        (EVE, SOMEBODY, EVE),
        (f"Sure!\n```json\n{EVE}\n```\nDone, [1]!", SOMEBODY, EVE),
        (f"Use {{braces}}: {EVE} {EVE}", SOMEBODY, EVE),
        ('{ \n "a": [{"b": "}\\\\"}], "c": "\\""}x', OBJECT, '{ \n "a": [{"b": "}\\\\"}], "c": "\\""}'),
        ("{}", OBJECT, "{}"),
        ('[1] and {"a": 1}', OBJECT, '{"a": 1}'),
        ("See [the] list: [ 1, [2]].", of({"type": "array"}), "[ 1, [2]]"),
        ("[tr] [true]", of({"type": "array"}), "[true]"),
        ("[{}]", of({"$ref": "#/$defs/a", "$defs": {"a": {}}}), "[{}]"),
        ("```\n42\n```", of({"type": "integer"}), "42"),
        ('"yes"', of({"anyOf": [{"type": "string"}, PERSON]}), '"yes"'),
        ("Sorry, no.", SOMEBODY, ""),
        ("Sorry, no. {", SOMEBODY, ""),
        ("Sorry, no.", of({"type": "string"}), ""),
        ('{"a": "cut', OBJECT, '{"a": "cut'),
    ],
)
@given(data=st.data())
def test_a_stream_passes_json_on_however_it_is_cut(
    answer: str, wanted: ResponseFormat, passed: str, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=len(answer))))
    pieces = [answer[start:end] for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    assert streamed(pieces, wanted) == passed
    assert streamed(list(answer), wanted) == passed


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=10,
)


@given(
    value=st.dictionaries(st.text(), VALUES),
    before=st.text(st.characters(exclude_characters='{}[]"\\`')),
    after=st.text(),
    indent=st.sampled_from([None, 1]),
    size=st.integers(1, 20),
)
def test_any_object_comes_through_a_stream_to_the_byte(
    value: dict[str, object], before: str, after: str, indent: int | None, size: int
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    answer = before + text + after
    assert streamed([answer[at : at + size] for at in range(0, len(answer), size)], OBJECT) == text


def test_a_stream_passes_on_what_it_can_at_once() -> None:
    json_filter = JsonFilter(OBJECT)
    assert [json_filter.feed(piece) for piece in ('{"a', '": "b', "\\", '"c', '"}', "\n```")] == [
        '{"a', '": "b', "\\", '"c', '"}', "",
    ]  # fmt: skip


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece", ["{", "[", "{ ", '{"', "```", '{"a":', "\\", '"', " ", "[{", "`{", "{'a': 1} "]
)
@pytest.mark.parametrize("wanted", [OBJECT, SOMEBODY, of({"type": "array"}), of({})])
def test_a_megabyte_of_anything_is_read_in_its_length(piece: str, wanted: ResponseFormat) -> None:
    """Reading on from each beginning to the end would take hours."""
    megabyte = piece * (1_000_000 // len(piece))
    streamed([megabyte[at : at + 50] for at in range(0, len(megabyte), 50)], wanted)
    assert fault(wanted, extract(megabyte, wanted))
