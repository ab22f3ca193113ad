"""What models are told of tools, and how calls and results are written for them."""

import json
import re
from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from opendify.gateway.errors import OpenAIError
from opendify.gateway.settings import ToolPrompt
from opendify.gateway.tools.compact import compact
from opendify.gateway.tools.definitions import Tool, Toolset
from opendify.gateway.tools.parser import CallParser
from opendify.gateway.tools.prompt import (
    STYLES,
    Mistake,
    calls,
    correction,
    definitions,
    digest,
    instructions,
    reminder,
    results,
)
from opendify.gateway.wire import FunctionCall, ImageURL, Message, Part, ToolCall

ALL_STYLES: tuple[ToolPrompt, ...] = get_args(ToolPrompt)
CHINESE = re.compile(r"[\u4e00-\u9fff]")

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "array", "items": {"enum": [1, 2]}}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = Tool("get_weather", "The weather now, in °C.", CITY)
CLOCK = Tool("clock", "The time.", {"type": "object", "properties": {}})
STRICT = Tool("book-flight", "Books.", CITY, strict=True)


def toolset(
    *tools: Tool, allowed: str | None = None, required: bool = False, parallel: bool = True
) -> Toolset:
    tools = tools or (WEATHER, CLOCK)
    names = [tool.name for tool in tools] if allowed is None else allowed.split()
    return Toolset(tools, frozenset(names), required, parallel)


def defined(text: str, style: ToolPrompt) -> list[dict[str, object]]:
    """The definitions in a prompt, as a model reads them."""
    before, after = STYLES[style].tools
    return [json.loads(line) for line in text.split(before)[1].split(after)[0].splitlines()]


def heard(text: str, style: ToolPrompt) -> list[dict[str, object]]:
    """The results in a prompt, as a model reads them: up to the first closing mark."""
    before, after = STYLES[style].result
    found: list[dict[str, object]] = [json.loads(rest.split(after)[0]) for rest in text.split(before)[1:]]
    return found


# ── Definitions ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("chinese", [False, True])
@pytest.mark.parametrize("style", ALL_STYLES)
def test_every_style_tells_each_tool_with_its_whole_schema(style: ToolPrompt, chinese: bool) -> None:
    text = definitions(toolset(WEATHER, CLOCK), style, chinese=chinese)
    assert defined(text, style) == [
        {"name": "get_weather", "description": "The weather now, in °C.", "parameters": CITY},
        {"name": "clock", "description": "The time.", "parameters": CLOCK.parameters},
    ]
    assert "°C" in text, "letters stand as they are"


@pytest.mark.parametrize("style", ALL_STYLES)
def test_no_description_can_end_the_list_of_tools(style: ToolPrompt) -> None:
    odd = 'Ends </tools> </functions> [/AVAILABLE_TOOLS] ``` "quoted"\nand 中文'
    text = definitions(toolset(Tool("odd", odd, {"description": odd})), style, chinese=False)
    assert defined(text, style) == [{"name": "odd", "description": odd, "parameters": {"description": odd}}]


@pytest.mark.parametrize("style", ALL_STYLES)
def test_the_form_of_a_call_is_shown_once_by_an_example(style: ToolPrompt) -> None:
    text = definitions(toolset(), style, chinese=False)
    example = calls([ToolCall("", FunctionCall("TOOL_NAME", '{"ARGUMENT": "value"}'))], style)
    assert text.count(example) == text.count("TOOL_NAME") == 1


@pytest.mark.parametrize("style", ALL_STYLES)
def test_what_is_said_around_the_definitions_is_short(style: ToolPrompt) -> None:
    text = definitions(toolset(Tool("a")), style, chinese=False)
    assert len(text) < 900


@pytest.mark.parametrize("style", ALL_STYLES)
def test_it_is_said_whether_several_calls_may_be_made_at_once(style: ToolPrompt) -> None:
    several = definitions(toolset(), style, chinese=False)
    one = definitions(toolset(parallel=False), style, chinese=False)
    assert "several" in several
    assert "at most one call" in one
    assert "several" not in one


def test_strict_is_said_in_words_of_the_tools_that_are() -> None:
    assert "schema of book-flight to the letter" in definitions(
        toolset(WEATHER, STRICT), "tagged", chinese=False
    )
    assert "to the letter" not in definitions(toolset(WEATHER), "tagged", chinese=False)
    assert "book-flight 的参数必须严格" in definitions(toolset(STRICT), "tagged", chinese=True)


@pytest.mark.parametrize("style", ALL_STYLES)
def test_who_is_spoken_to_in_english_reads_no_chinese_and_the_other_way_round(style: ToolPrompt) -> None:
    tools = toolset(Tool("a", "", {}, strict=True), Tool("b"), allowed="a", required=True)
    english = instructions(tools, style, chinese=False)
    chinese = instructions(tools, style, chinese=True)
    assert not CHINESE.search(english)
    assert len(CHINESE.findall(chinese)) > 100
    assert not re.search(r"[a-z]+ [a-z]+ [a-z]+ [a-z]+", chinese)


def test_a_schema_that_is_nested_too_deeply_is_refused_and_named() -> None:
    deep: dict[str, object] = {}
    for _ in range(5_000):
        deep = {"items": deep}
    tools = toolset(Tool("abyss", "", deep))
    for tell in (lambda: digest(tools, "tagged"), lambda: definitions(tools, "tagged", chinese=False)):
        with pytest.raises(OpenAIError) as refused:
            tell()
        assert (refused.value.status, refused.value.param) == (400, "tools")
        assert "abyss" in refused.value.message


# ── Schemas ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}, {"type": "object"}),
        ({"title": "get_weather_args", "type": "object"}, {"type": "object"}),
        ({"title": "GetWeather"}, {}),
        ({"title": "Weather of a place"}, {"title": "Weather of a place"}),
        (
            {"properties": {"user_id": {"title": "User Id", "type": "integer"}}},
            {"properties": {"user_id": {"type": "integer"}}},
        ),
        (
            {"properties": {"id": {"title": "Identity card"}}},
            {"properties": {"id": {"title": "Identity card"}}},
        ),
        (
            {"properties": {"title": {"title": "Title", "type": "string"}}, "required": ["title"]},
            {"properties": {"title": {"type": "string"}}, "required": ["title"]},
        ),
        (
            {"$defs": {"Day": {"title": "Day", "enum": ["Mo"]}}, "anyOf": [{"$ref": "#/$defs/Day"}]},
            {"$defs": {"Day": {"enum": ["Mo"]}}, "anyOf": [{"$ref": "#/$defs/Day"}]},
        ),
        (
            {"properties": {"a": {"items": {"properties": {"b": {"title": "B"}}}}}},
            {"properties": {"a": {"items": {"properties": {"b": {}}}}}},
        ),
        (
            {"properties": {"a": {"anyOf": [{"properties": {"b": {"title": "B"}}}, {"type": "null"}]}}},
            {"properties": {"a": {"anyOf": [{"properties": {"b": {}}}, {"type": "null"}]}}},
        ),
        (
            {"properties": {"a": {"default": {"title": "A", "$schema": "x"}, "const": {"title": "A"}}}},
            {"properties": {"a": {"default": {"title": "A", "$schema": "x"}, "const": {"title": "A"}}}},
        ),
        ({"properties": {"a": True}, "additionalProperties": False},) * 2,
        ({"properties": {"title": {"title": 5}}},) * 2,
        ({"properties": "nonsense", "items": None},) * 2,
    ],
)
def test_a_schema_loses_only_what_says_nothing(long: dict[str, object], short: dict[str, object]) -> None:
    assert compact(long, "get_weather") == short


def test_a_model_of_pydantic_keeps_all_that_constrains_it() -> None:
    class Leg(BaseModel):
        """A part of a journey."""

        to: str = Field(min_length=3, pattern="^[A-Z]+$")
        seat: Literal["window", "aisle"] = "aisle"

    class Journey(BaseModel):
        legs: list[Leg] = Field(min_length=1, description="In order.")
        budget: float | None = Field(None, gt=0)

    schema = compact(Journey.model_json_schema(), "journey")
    assert "title" not in json.dumps(schema)
    assert schema == {
        "$defs": {
            "Leg": {
                "description": "A part of a journey.",
                "type": "object",
                "properties": {
                    "to": {"type": "string", "minLength": 3, "pattern": "^[A-Z]+$"},
                    "seat": {"type": "string", "enum": ["window", "aisle"], "default": "aisle"},
                },
                "required": ["to"],
            }
        },
        "type": "object",
        "properties": {
            "legs": {
                "type": "array",
                "minItems": 1,
                "description": "In order.",
                "items": {"$ref": "#/$defs/Leg"},
            },
            "budget": {
                "anyOf": [{"exclusiveMinimum": 0, "type": "number"}, {"type": "null"}],
                "default": None,
            },
        },
        "required": ["legs"],
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["properties", "$defs", "items", "anyOf", "enum", "const", "type", "a", "required"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["properties", "items", "allOf", "default", "x"]), JSON))
def test_a_schema_without_titles_stays_as_it_is(schema: dict[str, object]) -> None:
    assert compact(schema, "a") == schema


# ── What a request asks ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("tools", "english", "chinese"),
    [
        (toolset(), "", ""),
        (toolset(parallel=False), "", ""),
        (toolset(allowed=""), "Don't call a tool", "不要调用工具"),
        (toolset(required=True), "must call a tool", "必须调用工具"),
        (toolset(WEATHER, required=True), "must call the tool get_weather", "必须调用工具 get_weather"),
        (toolset(allowed="clock", required=True), "must call the tool clock", "必须调用工具 clock"),
        (toolset(allowed="clock"), "these tools only: clock", "只允许调用以下工具：clock"),
        (
            toolset(WEATHER, CLOCK, STRICT, allowed="clock get_weather", required=True),
            "one of these tools, and no other: get_weather, clock",
            "以下工具之一，不得调用其他工具：get_weather、clock",
        ),
    ],
)
def test_the_choice_is_said_in_one_sentence(tools: Toolset, english: str, chinese: str) -> None:
    for text, there in ((reminder(tools, chinese=False), english), (reminder(tools, chinese=True), chinese)):
        assert there in text
        assert bool(text) == bool(there)
    assert instructions(tools, "tagged", chinese=False).endswith(reminder(tools, chinese=False))


def test_definitions_are_told_again_when_they_change_and_only_then() -> None:
    told = digest(toolset(), "tagged")
    same = [toolset(), toolset(required=True), toolset(allowed="clock"), toolset(allowed="")]
    assert {digest(tools, "tagged") for tools in same} == {told}
    changed = [
        toolset(WEATHER),
        toolset(CLOCK, WEATHER),
        toolset(parallel=False),
        toolset(WEATHER, Tool("clock", "The date.", CLOCK.parameters)),
        toolset(WEATHER, Tool("clock", "The time.", {"type": "object"})),
        toolset(WEATHER, Tool("clock", "The time.", CLOCK.parameters, strict=True)),
    ]
    others = {digest(tools, "tagged") for tools in changed} | {digest(toolset(), "llama")}
    assert len(others) == len(changed) + 1
    assert told not in others


# ── Calls and results ────────────────────────────────────────────────────────────────────────────────

ROME = ToolCall("call_1", FunctionCall("get_weather", '{"city": "Rome", "days": [1]}'))
NOON = ToolCall("call_2", FunctionCall("clock", ""))


@pytest.mark.parametrize(
    ("style", "written"),
    [
        (
            "tagged",
            '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome", "days": [1]}}\n</tool_call>\n'
            '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>',
        ),
        (
            "fenced",
            '```json\n{"function_call": {"name": "get_weather", "arguments": {"city": "Rome", "days": [1]}}}'
            '\n```\n```json\n{"function_call": {"name": "clock", "arguments": {}}}\n```',
        ),
        (
            "invoke",
            '<function_calls>\n<invoke name="get_weather">\n<parameter name="city">Rome</parameter>\n'
            '<parameter name="days">[1]</parameter>\n</invoke>\n<invoke name="clock">\n</invoke>\n'
            "</function_calls>",
        ),
        (
            "llama",
            '<function=get_weather>{"city": "Rome", "days": [1]}</function>\n<function=clock>{}</function>',
        ),
        (
            "mistral",
            '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Rome", "days": [1]}}, '
            '{"name": "clock", "arguments": {}}]',
        ),
    ],
)
def test_earlier_calls_are_written_as_the_model_would_have(style: ToolPrompt, written: str) -> None:
    assert calls([ROME, NOON], style) == written


@pytest.mark.parametrize("style", ALL_STYLES)
def test_a_call_in_the_form_that_was_shown_is_understood(style: ToolPrompt) -> None:
    parser = CallParser(toolset(WEATHER, CLOCK))
    pieces = [*parser.feed(f"Let me see.\n{calls([ROME, NOON], style)}"), *parser.flush()]
    assert [text for kind, text in pieces if kind == "call"] == ["get_weather", "clock"]
    arguments = "".join(text for kind, text in pieces if kind == "arguments")
    assert arguments == '{"city":"Rome","days":[1]}{}'
    assert [text for kind, text in pieces if kind == "text"] == ["Let me see."]
    assert [text for kind, text in pieces if kind == "end"] == ["", ""]


@pytest.mark.parametrize("arguments", ["no JSON", "[1]", '"text"', "{"])
def test_arguments_that_are_no_object_are_not_lost(arguments: str) -> None:
    for style in ALL_STYLES:
        assert arguments in calls([ToolCall("1", FunctionCall("a", arguments))], style)


def result(content: str, call_id: str = "call_1") -> Message:
    return Message("tool", content, tool_call_id=call_id)


BY_ID = {"call_1": ROME, "call_2": NOON}


@pytest.mark.parametrize("style", ALL_STYLES)
def test_results_carry_the_names_of_their_tools(style: ToolPrompt) -> None:
    text = results([result("noon", "call_2"), result("22 °C")], BY_ID, style)
    assert heard(text, style) == [
        {"name": "clock", "content": "noon"},
        {"name": "get_weather", "content": "22 °C"},
    ]


@pytest.mark.parametrize("style", ALL_STYLES)
def test_results_of_one_tool_that_was_called_twice_are_told_apart_by_the_arguments(style: ToolPrompt) -> None:
    oslo = ToolCall("call_3", FunctionCall("get_weather", '{"city": "Oslo"}'))
    text = results([result("cold", "call_3"), result("warm")], BY_ID | {"call_3": oslo}, style)
    assert heard(text, style) == [
        {"name": "get_weather", "arguments": {"city": "Oslo"}, "content": "cold"},
        {"name": "get_weather", "arguments": {"city": "Rome", "days": [1]}, "content": "warm"},
    ]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (result("lost", "call_9"), {"id": "call_9", "content": "lost"}),
        (Message("function", "noon", name="clock"), {"name": "clock", "content": "noon"}),
        (result('{"t": 22.0, "u": [1]}'), {"name": "get_weather", "content": {"t": 22.0, "u": [1]}}),
        (result("[1, 2"), {"name": "get_weather", "content": "[1, 2"}),
        (result("22"), {"name": "get_weather", "content": "22"}),
        (result(""), {"name": "get_weather", "content": ""}),
        (Message("tool", None, tool_call_id="call_2"), {"name": "clock", "content": ""}),
        (
            Message("tool", [Part("text", text="a"), Part("text", text="b")], tool_call_id="call_2"),
            {"name": "clock", "content": "a\nb"},
        ),
        (
            Message(
                "tool", [Part("image_url", image_url=ImageURL("https://x/y.png"))], tool_call_id="call_2"
            ),
            {"name": "clock", "content": "[image]"},
        ),
    ],
)
def test_whatever_a_tool_says_is_told(message: Message, told: dict[str, object]) -> None:
    assert heard(results([message], BY_ID, "tagged"), "tagged") == [told]


ENDS = (
    "</tool_response>",
    "</function_results>",
    "[/TOOL_RESULTS]",
    "```",
    "</history>",
    "\\</tool_response>",
    "````\n```json",
)


@given(
    st.lists(st.sampled_from(ENDS) | st.text(max_size=10), max_size=5).map(
        lambda parts: "".join(["A page: ", *parts])
    )
)
def test_no_result_can_end_what_stands_around_it(content: str) -> None:
    for style in ALL_STYLES:
        for said in (content, json.dumps({"page": content}), json.dumps([content], ensure_ascii=False)):
            text = results([result(said)], BY_ID, style)
            (told,) = heard(text, style)
            assert told["content"] in (
                said.strip(),
                json.loads(said) if said is not content else said.strip(),
            )
            assert "</history>" not in text


# ── Corrections ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("mistake", "tools", "english"),
    [
        ("no_call", toolset(required=True), ["called no tool", "must call a tool", "TOOL_NAME"]),
        ("no_call", toolset(allowed="clock", required=True), ["must call the tool clock", '"name": "clock"']),
        ("unknown_tool", toolset(), ["'get_time'", "get_weather, clock", "or answer in text"]),
        ("unknown_tool", toolset(allowed="clock"), ["'get_time'", ": clock.", '"name": "clock"']),
        ("unknown_tool", toolset(allowed=""), ["none may be called", "Answer in text"]),
        ("arguments", toolset(), ["get_time", "city: is missing", '"name": "get_time"']),
    ],
)
def test_a_correction_says_what_is_wrong_and_what_to_write(
    mistake: Mistake, tools: Toolset, english: list[str]
) -> None:
    text = correction(mistake, tools, "tagged", name="get_time", what="city: is missing", chinese=False)
    assert [words for words in english if words not in text] == []
    chinese = correction(mistake, tools, "tagged", name="get_time", what="city: is missing", chinese=True)
    assert CHINESE.search(chinese)
    assert not re.search(r"[a-z]+ [a-z]+ [a-z]+ [a-z]+", chinese)


def test_who_must_call_is_not_offered_to_answer_in_text() -> None:
    text = correction("unknown_tool", toolset(required=True), "tagged", name="x", chinese=False)
    assert "in text" not in text


@pytest.mark.parametrize("chinese", [False, True])
def test_who_has_called_something_else_too_is_told_not_to_write_that_again(chinese: bool) -> None:
    alone = correction("unknown_tool", toolset(), "tagged", name="x", chinese=chinese)
    must = toolset(required=True)
    beside = correction("unknown_tool", must, "tagged", name="x", others=True, chinese=chinese)
    assert beside.endswith(alone)
    assert len(beside) > len(alone)


@pytest.mark.parametrize("style", ALL_STYLES)
def test_a_correction_shows_the_form_of_its_style(style: ToolPrompt) -> None:
    text = correction("arguments", toolset(), style, name="clock", what="x", chinese=False)
    assert text.endswith(calls([ToolCall("", FunctionCall("clock", '{"ARGUMENT": "value"}'))], style))


def test_a_name_without_end_that_a_model_made_up_is_cut() -> None:
    text = correction("unknown_tool", toolset(), "tagged", name="x" * 10_000, chinese=False)
    assert len(text) < 500
