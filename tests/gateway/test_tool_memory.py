"""How tools, calls and results reach Dify, in every memory mode and kind of app: seen by what it is asked."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from opendify import Dify
from opendify.gateway.settings import ToolPrompt
from opendify.gateway.tools import prompt
from opendify.gateway.tools.definitions import Tool, Toolset
from opendify.gateway.wire import FunctionCall, ToolCall
from opendify.simulator import Simulator

from .clients import Answer, Ask, Asked

AUTO, NONE, TOLD, MARKED = "Simulated Chat", "memory 0", "memory 1", "memory 2"
DESCRIPTIONS = {"weather": "The weather now.", "forecast": "The weather to come."}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

Turns = list[dict[str, Any]]


WEATHER, FORECAST = [
    {"type": "function", "function": {"name": name, "description": description, "parameters": CITY}}
    for name, description in DESCRIPTIONS.items()
]
CALL = {"type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
NO_CALL = "Don't call a tool in your next reply: answer in text."


def definitions(*names: str, style: ToolPrompt = "tagged", chinese: bool = False) -> str:
    tools = [Tool(name, DESCRIPTIONS[name], CITY) for name in names]
    return prompt.definitions(Toolset(tools, frozenset(names)), style, chinese=chinese)


DEFINED = definitions("weather")


def calling(city: str, then: str = "") -> str:
    """A question to which the model calls the weather, and what it does when it has it."""
    call = f'[[call:weather:{{"city": "{city}"}}]]'
    return f"{call} [[then]] {then}" if then else call


def after(turns: Turns, answer: Answer, *more: dict[str, Any] | str) -> Turns:
    """The next request of a client that keeps the history: all that was said, and more."""
    said: dict[str, Any] = {"role": "assistant", "content": answer.content or None}
    if answer.tool_calls:
        said["tool_calls"] = answer.tool_calls
    asked = [{"role": "user", "content": turn} if isinstance(turn, str) else turn for turn in more]
    return [*turns, said, *asked]


def result(answer: Answer, content: object = "22 degrees", number: int = 0) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": answer.tool_calls[number]["id"], "content": content}


def heard(content: object = "22 degrees", name: str = "weather") -> str:
    """A result as the model reads it."""
    told = json.dumps({"name": name, "content": content}, ensure_ascii=False)
    return f"<tool_response>\n{told}\n</tool_response>"


def written(answer: Answer) -> str:
    """The calls of an answer, as the model reads them in a history."""
    calls = [ToolCall("", FunctionCall(**call["function"])) for call in answer.tool_calls]
    return prompt.calls(calls, "tagged")


def user_turn(text: str) -> Turns:
    return [{"role": "user", "content": text}]


# ── A conversation that goes on ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", [AUTO, MARKED, "Simulated Agent", "Simulated Chatflow"])
def test_results_go_back_alone_in_the_conversation_of_their_call(ask: Ask, asked: Asked, model: str) -> None:
    turns = user_turn(calling("Rome", "[[reply:Warm.]]"))
    first = ask(model, turns, tools=[WEATHER])
    assert first.calls == [("weather", {"city": "Rome"})]
    assert asked().query == f"{DEFINED}\n\n{turns[0]['content']}"
    turns = after(turns, first, result(first))
    second = ask(model, turns, tools=[WEATHER])
    assert asked().query == heard()
    assert second.dify["conversation_id"] == first.dify["conversation_id"]
    turns = after(turns, second, "And tomorrow?")
    third = ask(model, turns, tools=[WEATHER])
    assert asked().query == "And tomorrow?"
    assert third.dify["conversation_id"] == first.dify["conversation_id"]


def test_a_question_may_stand_behind_the_results(ask: Ask, asked: Asked) -> None:
    turns = user_turn(calling("Rome"))
    first = ask(AUTO, turns, tools=[WEATHER])
    ask(AUTO, after(turns, first, result(first), "In Fahrenheit?"), tools=[WEATHER])
    assert asked().query == f"{heard()}\n\nIn Fahrenheit?"


def test_tools_are_told_again_when_they_change_and_what_is_asked_of_them_on_every_turn(
    ask: Ask, asked: Asked
) -> None:
    turns = user_turn("[[reply:Hello]]")
    for tools, more, told in [
        ([WEATHER], {}, f"{DEFINED}\n\n"),
        ([WEATHER], {}, ""),
        ([WEATHER, FORECAST], {}, definitions("weather", "forecast") + "\n\n"),
        ([WEATHER, FORECAST], {"tool_choice": "none"}, f"{NO_CALL}\n\n"),
        ([WEATHER, FORECAST], {}, ""),
        ([WEATHER], {}, f"{DEFINED}\n\n"),
    ]:
        answer = ask(AUTO, turns, tools=tools, **more)
        assert asked().query == f"{told}[[reply:Hello]]"
        turns = after(turns, answer, "[[reply:Hello]]")


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda call: call,
        lambda call: {**call, "function": {**call["function"], "arguments": '{ "city":\n"Rome" }'}},
    ],
)
@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_client_may_write_a_call_anew(
    ask: Ask, asked: Asked, rewrite: Callable[[Any], Any], content: str | None
) -> None:
    turns = user_turn(calling("Rome"))
    first = ask(AUTO, turns, tools=[WEATHER])
    calls = [rewrite(call) for call in first.tool_calls]
    said = {"role": "assistant", "content": content, "tool_calls": calls}
    second = ask(AUTO, [*turns, said, result(first, "22 degrees \n")], tools=[WEATHER])
    assert second.dify["conversation_id"] == first.dify["conversation_id"]


def test_several_results_are_told_apart_by_their_arguments(ask: Ask, asked: Asked) -> None:
    turns = user_turn(f"{calling('Rome')} {calling('Oslo')}")
    first = ask(AUTO, turns, tools=[WEATHER])
    ask(AUTO, after(turns, first, result(first, "-3", 1), result(first, "22", 0)), tools=[WEATHER])
    lines = asked().query.splitlines()
    assert [json.loads(line) for line in lines if line.startswith("{")] == [
        {"name": "weather", "arguments": {"city": "Oslo"}, "content": "-3"},
        {"name": "weather", "arguments": {"city": "Rome"}, "content": "22"},
    ]


def test_another_result_of_the_same_call_is_a_branch_with_the_history(ask: Ask, asked: Asked) -> None:
    turns = user_turn(calling("Rome", "[[reply:Warm.]] [[then]]"))
    first = ask(AUTO, turns, tools=[WEATHER])
    second = ask(AUTO, after(turns, first, result(first)), tools=[WEATHER])
    ask(AUTO, after(turns, first, result(first, "-3")), tools=[WEATHER])
    assert asked().query == (
        f"{DEFINED}\n\n<history>\nuser: {turns[0]['content']}\n\nassistant: {written(first)}\n</history>\n\n"
        + heard("-3")
    )
    turns = after(turns, first, result(first))
    third = ask(AUTO, after(turns, second, "And?"), tools=[WEATHER])
    assert third.dify["conversation_id"] == first.dify["conversation_id"]


def test_a_client_of_functions_is_remembered_too(ask: Ask, asked: Asked) -> None:
    turns = user_turn(calling("Rome"))
    first = ask(AUTO, turns, functions=[WEATHER["function"]])
    assert first.function_call
    said = {"role": "assistant", "content": None, "function_call": first.function_call}
    named = {"role": "function", "name": "weather", "content": "22 degrees"}
    second = ask(AUTO, [*turns, said, named], functions=[WEATHER["function"]])
    assert asked().query == heard()
    assert second.dify["conversation_id"] == first.dify["conversation_id"]


# ── A conversation that has not the calls ────────────────────────────────────────────────────────────


def exchange(question: str, answer: Answer, *more: str) -> str:
    """What was said before results, as the model is told of it."""
    told = [f"user: {question}", f"assistant: {written(answer)}", *(f"user: {text}" for text in more)]
    return "<history>\n" + "\n\n".join(told) + "\n</history>\n\n"


@pytest.mark.parametrize(("model", "app"), [(AUTO, "chat"), (MARKED, "marked")])
def test_results_whose_conversation_is_gone_begin_another_with_all_that_was_said(
    ask: Ask, asked: Asked, dify: Simulator, model: str, app: str
) -> None:
    turns = user_turn("[[reply:Hello]]")
    first = ask(model, turns, tools=[WEATHER])
    turns = after(turns, first, calling("Rome", "[[call:weather:{}]] [[then]] [[reply:Warm.]]"))
    second = ask(model, turns, tools=[WEATHER])
    with Dify(dify.keys[app], base_url=dify.base_url) as client:
        client.conversations.delete(first.dify["conversation_id"], user=asked().user)
    turns = after(turns, second, result(second))
    third = ask(model, turns, tools=[WEATHER])
    assert asked().query == (
        f"{DEFINED}\n\n<history>\nuser: [[reply:Hello]]\n\nassistant: Hello\n\n"
        f"{exchange(turns[2]['content'], second).removeprefix('<history>' + chr(10))}{heard()}"
    )
    turns = after(turns, third, result(third, "23"))
    fourth = ask(model, turns, tools=[WEATHER])
    assert asked().query == heard("23")
    fifth = ask(model, after(turns, fourth, "And?"), tools=[WEATHER])
    assert asked().query == "And?"
    ids = [answer.dify["conversation_id"] for answer in (third, fourth, fifth)]
    assert ids == [ids[0]] * 3
    assert ids[0] != first.dify["conversation_id"]


@pytest.mark.parametrize("model", [AUTO, MARKED])
def test_results_of_a_call_that_was_made_while_the_conversation_was_busy_go_where_it_is_known(
    ask: Ask, asked: Asked, openai: OpenAI, user: str, model: str
) -> None:
    chat: Any = {"extra_headers": {"X-Chat-Id": user}} if model == AUTO else {}
    turns = user_turn("[[reply:Hello]]")
    first = ask(model, turns, tools=[WEATHER], **chat)
    slow: Any = after(turns, first, "[[slow:20:0.05]]")
    turns = after(turns, first, calling("Rome", "[[reply:Warm.]]"))
    stream = openai.chat.completions.create(model=model, messages=slow, user=user, stream=True, **chat)
    with stream:
        next(stream)
        second = ask(model, turns, tools=[WEATHER], **chat)
        for _ in stream:
            pass
    assert second.dify["conversation_id"] != first.dify["conversation_id"]
    third = ask(model, after(turns, second, result(second)), tools=[WEATHER], **chat)
    if model == MARKED:
        assert asked().query == heard()
        assert third.dify["conversation_id"] == second.dify["conversation_id"]
    else:  # the chat's conversation, which has not heard of the call
        assert asked().query == exchange(turns[-1]["content"], second) + heard()
        assert third.dify["conversation_id"] == first.dify["conversation_id"]


def test_results_of_calls_that_another_gateway_made_come_with_them(ask: Ask, asked: Asked, user: str) -> None:
    chat = {"extra_headers": {"X-Chat-Id": user}, "tools": [WEATHER]}
    turns = user_turn("[[reply:Hello]]")
    first = ask(AUTO, turns, **chat)
    said = {"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": "call_own"}]}
    told = {"role": "tool", "tool_call_id": "call_own", "content": "22 degrees"}
    ask(AUTO, [*after(turns, first, "Warm?"), said, told], **chat)
    call = prompt.calls([ToolCall("", FunctionCall("weather", '{"city": "Rome"}'))], "tagged")
    assert asked().query == f"<history>\nuser: Warm?\n\nassistant: {call}\n</history>\n\n{heard()}"
    assert asked().conversation_id == first.dify["conversation_id"]


def test_results_may_name_the_conversation_of_their_call(ask: Ask, asked: Asked) -> None:
    turns = user_turn(calling("Rome"))
    first = ask(AUTO, turns, functions=[WEATHER["function"]])
    there = {"conversation_id": first.dify["conversation_id"]}
    said = {"role": "assistant", "content": None, "function_call": first.function_call}
    told = {"role": "function", "name": "weather", "content": "22 degrees"}
    ask(AUTO, [*turns, said, told], functions=[WEATHER["function"]], extra_body=there)
    assert (asked().query, asked().conversation_id) == (heard(), first.dify["conversation_id"])


def test_what_the_user_says_between_results_is_told(ask: Ask, asked: Asked, user: str) -> None:
    chat = {"extra_headers": {"X-Chat-Id": user}, "tools": [WEATHER]}
    turns = user_turn(f"{calling('Rome')} {calling('Oslo')}")
    first = ask(AUTO, turns, **chat)
    ask(AUTO, after(turns, first, result(first, "22", 0), "Quick!", result(first, "-3", 1)), **chat)
    assert asked().query.startswith(exchange(turns[0]["content"], first, "Quick!") + "<tool_response>")
    assert asked().conversation_id == first.dify["conversation_id"]


# ── Without a conversation ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", [NONE, TOLD])
def test_without_memory_results_come_with_the_exchange_they_belong_to(
    ask: Ask, asked: Asked, model: str
) -> None:
    turns = [*user_turn("Hi"), {"role": "assistant", "content": "Hello"}, *user_turn(calling("Rome"))]
    first = ask(model, turns, tools=[WEATHER])
    ask(model, after(turns, first, result(first)), tools=[WEATHER])
    before = "user: Hi\n\nassistant: Hello\n\n" if model == TOLD else ""
    assert asked().query == (
        f"{DEFINED}\n\n<history>\n{before}user: {turns[-1]['content']}\n\nassistant: {written(first)}\n"
        f"</history>\n\n{heard()}"
    )
    assert not asked().conversation_id


@pytest.mark.parametrize(
    ("model", "place"), [("Simulated Completion", "query"), ("Simulated Workflow", "text")]
)
def test_text_generators_and_workflows_are_told_all_that_was_said(
    ask: Ask, asked: Asked, model: str, place: str
) -> None:
    turns = [{"role": "system", "content": "Be brief."}, *user_turn(calling("Rome", "[[reply:Warm.]]"))]
    first = ask(model, turns, tools=[WEATHER])
    assert first.calls == [("weather", {"city": "Rome"})]
    assert asked().inputs[place] == f"Be brief.\n\n{DEFINED}\n\n{turns[1]['content']}"
    second = ask(model, after(turns, first, result(first)), tools=[WEATHER])
    assert asked().inputs[place] == (
        f"Be brief.\n\n{DEFINED}\n\n<history>\nuser: {turns[1]['content']}\n\nassistant: {written(first)}\n"
        f"</history>\n\n{heard()}"
    )
    assert second.content == "Warm."


# ── The input for tools ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", ["armed", "armed-flow"])
def test_an_app_with_an_input_for_tools_has_them_there_on_every_turn(
    ask: Ask, asked: Asked, model: str
) -> None:
    turns = user_turn(calling("Rome"))
    first = ask(model, turns, tools=[WEATHER])
    assert first.calls == [("weather", {"city": "Rome"})]
    assert (asked().inputs, asked().query) == ({"tools": DEFINED}, turns[0]["content"])
    turns = after(turns, first, result(first))
    second = ask(model, turns, tools=[WEATHER], tool_choice="none")
    assert asked().inputs == {"tools": DEFINED}
    assert asked().query == f"{NO_CALL}\n\n{heard()}"
    third = ask(model, after(turns, second, "And?"), tools=[WEATHER])
    assert (asked().inputs, asked().query) == ({"tools": DEFINED}, "And?")
    assert third.dify["conversation_id"] == first.dify["conversation_id"]


@pytest.mark.parametrize("model", ["armed", "armed-flow"])
def test_tools_that_change_change_in_the_input_for_them(ask: Ask, asked: Asked, model: str) -> None:
    turns = user_turn("[[reply:Hello]]")
    first = ask(model, turns, tools=[WEATHER])
    second = ask(model, after(turns, first, "[[reply:So.]]"), tools=[WEATHER, FORECAST])
    assert asked().inputs == {"tools": definitions("weather", "forecast")}
    assert asked().query == "[[reply:So.]]"
    assert second.dify["conversation_id"] == first.dify["conversation_id"]


def test_a_turn_without_tools_leaves_no_definitions_of_earlier_ones_behind(ask: Ask, asked: Asked) -> None:
    turns = user_turn("[[reply:Hello]]")
    first = ask("armed-flow", turns, tools=[WEATHER])
    second = ask("armed-flow", after(turns, first, "[[reply:Well]]"))
    assert asked().inputs == {}
    assert second.dify["conversation_id"] == first.dify["conversation_id"]


# ── Words ────────────────────────────────────────────────────────────────────────────────────────────


def test_an_app_is_told_in_the_style_of_its_model(ask: Ask, asked: Asked) -> None:
    turns = user_turn(calling("Rome"))
    ask("armed by Claude", turns, tools=[WEATHER])
    assert asked().query == f"{definitions('weather', style='invoke')}\n\n{turns[0]['content']}"
    said = {"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": "call_own"}]}
    told = [said, {"role": "tool", "tool_call_id": "call_own", "content": "22"}]
    ask("armed by Claude", [*turns, *told], tools=[WEATHER])
    assert '<invoke name="weather">\n<parameter name="city">Rome</parameter>\n</invoke>' in asked().query
    assert "<function_results>" in asked().query


def test_who_asks_in_chinese_has_the_tools_told_in_chinese(ask: Ask, asked: Asked) -> None:
    ask(AUTO, "罗马现在热吗？[[reply:22 度]]", tools=[WEATHER], tool_choice="auto")
    assert asked().query.startswith(definitions("weather", chinese=True))


def test_a_result_of_no_call_is_refused_and_nothing_runs(ask: Ask, asked: Asked) -> None:
    ask(AUTO, "[[reply:before]]")
    orphan = {"role": "tool", "tool_call_id": "call_lost", "content": "22"}
    with pytest.raises(BadRequestError) as refused:
        ask(AUTO, [*user_turn("Hi"), orphan], tools=[WEATHER])
    assert refused.value.param == "messages[1].tool_call_id"
    assert "call_lost" in refused.value.message
    assert asked().query == "[[reply:before]]"
