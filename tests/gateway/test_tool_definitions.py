"""Which tools a request brings, and which of them it lets the model call."""

import json

import pytest

from opendify.gateway.errors import OpenAIError
from opendify.gateway.tools.definitions import Toolset
from opendify.gateway.wire import parse

WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": True,
}
TOOLS = [{"type": "function", "function": WEATHER}, {"type": "function", "function": {"name": "now"}}]
BOTH = {"get_weather", "now"}
NAMED = {"type": "function", "function": {"name": "now"}}


def toolset(**fields: object) -> Toolset | None:
    body = {"model": "Support", "messages": [{"role": "user", "content": "Hi"}]} | fields
    return parse(json.dumps(body).encode()).toolset


def test_a_function_keeps_all_that_its_definition_says() -> None:
    found = toolset(tools=TOOLS)
    assert found is not None
    tool = found.get("get_weather")
    assert tool is not None
    assert (tool.description, tool.parameters, tool.strict) == (
        WEATHER["description"],
        WEATHER["parameters"],
        True,
    )
    assert found.get("now") is not None
    assert found.get("later") is None


@pytest.mark.parametrize(
    ("fields", "allowed", "required"),
    [
        ({}, BOTH, False),
        ({"tool_choice": None}, BOTH, False),
        ({"tool_choice": "auto"}, BOTH, False),
        ({"tool_choice": "none"}, set(), False),
        ({"tool_choice": "required"}, BOTH, True),
        ({"tool_choice": NAMED}, {"now"}, True),
        ({"tool_choice": {"type": "function", "name": "now"}}, {"now"}, True),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}}},
            {"now"},
            False,
        ),
        ({"tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [NAMED]}}, {"now"}, True),
    ],
)
def test_tool_choice_says_what_may_and_what_must_be_called(
    fields: dict[str, object], allowed: set[str], required: bool
) -> None:
    found = toolset(tools=TOOLS, **fields)
    assert found is not None
    assert (found.allowed, found.required, found.parallel, found.legacy) == (allowed, required, True, False)


@pytest.mark.parametrize(
    ("call", "allowed", "required"),
    [
        (None, BOTH, False),
        ("auto", BOTH, False),
        ("none", set(), False),
        ({"name": "now"}, {"now"}, True),
    ],
)
def test_functions_are_tools_of_which_one_is_called_at_a_time(
    call: object, allowed: set[str], required: bool
) -> None:
    found = toolset(functions=[WEATHER, {"name": "now"}], function_call=call)
    assert found is not None
    assert (found.allowed, found.required, found.parallel, found.legacy) == (allowed, required, False, True)


def test_calls_come_one_at_a_time_if_the_client_wants_no_others() -> None:
    found = toolset(tools=TOOLS, parallel_tool_calls=False)
    assert found is not None
    assert not found.parallel


@pytest.mark.parametrize(
    "fields", [{}, {"tools": []}, {"tools": None, "tool_choice": "auto"}, {"tool_choice": "none"}]
)
def test_a_request_without_tools_has_none(fields: dict[str, object]) -> None:
    assert toolset(**fields) is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "nope"}}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function"}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice"),
        ({"tools": [*TOOLS, TOOLS[0]]}, "tools[2]"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "two words"}}]}, "tools[0].function.name"),
        (
            {"functions": [{"name": "now", "strict": True, "parameters": {"type": "nothing"}}]},
            "functions[0].parameters",
        ),
        ({"functions": [{"name": ""}]}, "functions[0].name"),
        ({"functions": [{"name": "now"}], "function_call": "required"}, "function_call"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(fields: dict[str, object], param: str) -> None:
    with pytest.raises(OpenAIError) as refused:
        toolset(**fields)
    assert (refused.value.status, refused.value.param) == (400, param)
