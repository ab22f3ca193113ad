"""Calling tools: what a client gives, gets, and sends back, in front of models that only speak text."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from openai import APIError, APIStatusError, APITimeoutError, AsyncOpenAI, BadRequestError, OpenAI

from opendify.gateway.zero_width import strip
from opendify.simulator import AppSpec, Field, Simulator
from opendify.simulator.nodes import LLM, Agent, End, Start
from opendify.simulator.nodes import Answer as AnswerNode
from servers import Gateway, eventually, running_gateway

from .clients import ADA, PIXEL, Answer, Ask, Asked

Turns = list[dict[str, Any]]


def tool(name: str, description: str = "", *, strict: bool = False, **properties: Any) -> dict[str, Any]:
    """A tool as clients define it; all of its arguments are required."""
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": list(properties)}
    if strict:
        schema["additionalProperties"] = False
    function = {"name": name, "description": description, "parameters": schema, "strict": strict}
    return {"type": "function", "function": function}


CITY, DAYS = {"type": "string"}, {"type": "integer"}
WEATHER = tool("get_weather", "The weather of the next days.", city=CITY, days=DAYS)
TIME = tool("get_time", "The time now.")
TOOLS: Any = [WEATHER, TIME]

CALL = '[[call:get_weather:{"city": "Oslo", "days": 3}]]'
ARGUMENTS = {"city": "Oslo", "days": 3}
CALLED = [("get_weather", ARGUMENTS)]
DESCRIPTION = "The weather of the next days."


def user_turn(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def with_results(turns: Turns, answer: Answer, *results: str) -> Turns:
    """The next request of a client that ran the tools: all that was said, and what came of each call."""
    called = {"role": "assistant", "content": answer.content or None, "tool_calls": answer.tool_calls}
    told = [
        {"role": "tool", "tool_call_id": call["id"], "content": result}
        for call, result in zip(answer.tool_calls, results, strict=True)
    ]
    return [*turns, called, *told]


def bare(answer: Answer) -> str:
    """The text without the invisible id."""
    return strip(answer.content)


Special = tuple[Simulator, OpenAI]


# Calls


def test_a_model_calls_a_tool(ask: Ask) -> None:
    answer = ask("Simulated Chat", f"Is it warm? {CALL}", tools=TOOLS)
    assert answer.calls == CALLED
    assert answer.content == ""
    assert answer.finish_reason == "tool_calls"
    (call,) = answer.tool_calls
    assert (call["type"], call["id"][:5]) == ("function", "call_")


def test_an_answer_that_only_calls_has_null_for_content(openai: OpenAI, user: str) -> None:
    answer = openai.chat.completions.create(
        model="Simulated Chat",
        messages=[{"role": "user", "content": CALL}],
        tools=TOOLS,
        user=user,
    )
    assert answer.choices[0].message.content is None


def test_text_before_a_call_is_content(ask: Ask) -> None:
    answer = ask("Simulated Chat", f"[[reply:Let me look.]] {CALL}", tools=TOOLS)
    assert (answer.content, answer.calls) == ("Let me look.", CALLED)


def test_thoughts_before_a_call_are_reasoning(ask: Ask) -> None:
    answer = ask("Simulated Chat", f"[[think:Hm.]] {CALL}", tools=TOOLS)
    assert (answer.reasoning, answer.content, answer.calls) == ("Hm.", "", CALLED)


def test_a_model_calls_several_tools_at_once(ask: Ask) -> None:
    answer = ask("Simulated Chat", f"{CALL} [[call:get_time]] {CALL}", tools=TOOLS)
    assert answer.calls == [*CALLED, ("get_time", {}), *CALLED]
    assert len({call["id"] for call in answer.tool_calls}) == 3


def test_a_client_that_wants_one_call_at_a_time_gets_the_first(ask: Ask) -> None:
    answer = ask("Simulated Chat", f"{CALL} [[call:get_time]]", tools=TOOLS, parallel_tool_calls=False)
    assert answer.calls == CALLED


def test_an_answer_without_a_call_is_text_as_ever(ask: Ask) -> None:
    answer = ask("Simulated Chat", "Hi [[reply:Hello <b>you</b>, {a: 1} [x] ```json\n{}\n```]]", tools=TOOLS)
    assert answer.content == "Hello <b>you</b>, {a: 1} [x] ```json\n{}\n```"
    assert (answer.finish_reason, answer.calls) == ("stop", [])


def test_without_tools_the_markup_of_calls_is_text(ask: Ask) -> None:
    answer = ask("Simulated Chat", CALL)
    assert answer.content.startswith("<tool_call>")
    assert (answer.finish_reason, answer.calls) == ("stop", [])


def test_what_was_asked_of_a_tool_arrives_in_the_types_of_its_schema(ask: Ask) -> None:
    assert ask("Simulated Chat", f"{CALL} [[as:numbers_as_text]]", tools=TOOLS).calls == CALLED


def test_arguments_that_fit_no_schema_pass_where_it_is_not_strict(ask: Ask) -> None:
    answer = ask("Simulated Chat", f"{CALL} [[as:wrong_type]]", tools=TOOLS)
    assert answer.calls == [("get_weather", {"city": "Oslo", "days": {"of": "no use"}})]


def test_arguments_are_any_unicode(ask: Ask) -> None:
    city = "北京 🌍 “quoted” \\ </tool_call> \n \u2028 ]]"
    call = f"[[call:get_weather:{json.dumps({'city': city, 'days': 1})}]]"
    assert ask("Simulated Chat", call, tools=TOOLS).calls == [("get_weather", {"city": city, "days": 1})]


def test_results_that_a_model_makes_up_are_no_part_of_the_answer(ask: Ask) -> None:
    answer = ask("Simulated Chat", f"{CALL} [[as:invented_result]]", tools=TOOLS)
    assert (answer.content, answer.calls) == ("", CALLED)


def test_a_model_is_shown_a_picture_and_calls_a_tool(ask: Ask, asked: Asked) -> None:
    """Dify 1.12 sends the text of such an answer under another name."""
    url = f"data:image/png;base64,{b64encode(PIXEL).decode()}"
    parts = [{"type": "text", "text": CALL}, {"type": "image_url", "image_url": {"url": url}}]
    turns = [{"role": "user", "content": parts}]
    first = ask("Simulated Chat", turns, tools=TOOLS)
    assert (first.content, first.calls, len(asked().files)) == ("", CALLED, 1)
    answer = ask("Simulated Chat", with_results(turns, first, "21"), tools=TOOLS)
    assert answer.content == "The tool get_weather said: 21"
    assert (asked().conversation_id, asked().files) == (first.dify["conversation_id"], [])


def test_usage_is_told_of_answers_that_call(ask: Ask) -> None:
    assert ask("Simulated Chat", CALL, tools=TOOLS).usage.completion_tokens > 0


def test_each_choice_has_calls_of_its_own(openai: OpenAI, user: str) -> None:
    answer = openai.chat.completions.create(
        model="Simulated Chat",
        messages=[{"role": "user", "content": CALL}],
        tools=TOOLS,
        n=2,
        user=user,
    )
    calls = [call for choice in answer.choices for call in choice.message.tool_calls or []]
    assert [choice.finish_reason for choice in answer.choices] == ["tool_calls", "tool_calls"]
    assert len({call.id for call in calls}) == 2


def test_the_choices_of_a_stream_have_calls_of_their_own(openai: OpenAI, user: str) -> None:
    with openai.chat.completions.create(
        model="Simulated Chat",
        messages=[{"role": "user", "content": CALL}],
        tools=TOOLS,
        n=2,
        stream=True,
        user=user,
    ) as stream:
        choices = [choice for chunk in stream for choice in chunk.choices]
    for index in (0, 1):
        pieces = [
            piece
            for choice in choices
            if choice.index == index
            for piece in choice.delta.tool_calls or []
            if piece.function
        ]
        assert {piece.index for piece in pieces} == {0}
        arguments = "".join(piece.function.arguments or "" for piece in pieces if piece.function)
        assert json.loads(arguments) == ARGUMENTS


def test_a_stop_string_in_the_text_ends_the_answer_before_its_calls(ask: Ask) -> None:
    answer = ask("Simulated Chat", f"[[reply:Well, let me look.]] {CALL}", tools=TOOLS, stop=["let me"])
    assert (answer.content, answer.calls, answer.finish_reason) == ("Well, ", [], "stop")


def test_a_stop_string_in_the_arguments_of_a_call_ends_nothing(ask: Ask) -> None:
    assert ask("Simulated Chat", CALL, tools=TOOLS, stop=["Oslo", "}"]).calls == CALLED


# Which tools may be called


def test_none_may_be_called(ask: Ask, asked: Asked) -> None:
    answer = ask("Simulated Chat", "[[reply:No need.]]", tools=TOOLS, tool_choice="none")
    assert (answer.content, answer.calls, answer.finish_reason) == ("No need.", [], "stop")
    assert "[[reply" in asked().query


def test_a_call_where_none_may_be_called_is_corrected(ask: Ask) -> None:
    answer = ask("Simulated Chat", f"{CALL} [[then]] [[reply:Sorry.]]", tools=TOOLS, tool_choice="none")
    assert (answer.content, answer.calls, answer.finish_reason) == ("Sorry.", [], "stop")


REQUIRED: dict[str, Any] = {
    "any": "required",
    "a named one": {"type": "function", "function": {"name": "get_weather"}},
    "allowed ones": {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "required",
            "tools": [{"type": "function", "function": {"name": "get_weather"}}],
        },
    },
}
ALLOWED = {
    "type": "allowed_tools",
    "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "get_time"}}]},
}


@pytest.mark.parametrize("choice", REQUIRED)
def test_a_call_that_must_come_comes(ask: Ask, dify: Simulator, choice: str) -> None:
    answer = ask("Simulated Chat", CALL, tools=TOOLS, tool_choice=REQUIRED[choice])
    assert (answer.calls, answer.finish_reason) == (CALLED, "tool_calls")


@pytest.mark.parametrize("choice", REQUIRED)
def test_a_model_that_calls_nothing_is_asked_once_more(ask: Ask, dify: Simulator, choice: str) -> None:
    dify.reset()
    answer = ask(
        "Simulated Chat", f"[[reply:Why?]] [[then]] {CALL}", tools=TOOLS, tool_choice=REQUIRED[choice]
    )
    assert (answer.content, answer.calls, answer.finish_reason) == ("", CALLED, "tool_calls")
    first, second = dify.counts().requests
    assert (first.conversation_id, second.conversation_id) == (None, answer.dify["conversation_id"])
    assert "[[reply" not in second.query


def test_the_usage_of_both_turns_is_told(ask: Ask) -> None:
    once = ask("Simulated Chat", CALL, tools=TOOLS, tool_choice="required")
    twice = ask("Simulated Chat", f"[[reply:Why?]] [[then]] {CALL}", tools=TOOLS, tool_choice="required")
    assert twice.usage.prompt_tokens > once.usage.prompt_tokens
    assert twice.usage.completion_tokens == once.usage.completion_tokens + 1


@pytest.mark.parametrize("choice", REQUIRED)
def test_a_model_that_calls_nothing_twice_is_an_error(ask: Ask, dify: Simulator, choice: str) -> None:
    dify.reset()
    with pytest.raises(APIStatusError) as caught:
        ask("Simulated Chat", "[[reply:No.]]", tools=TOOLS, tool_choice=REQUIRED[choice])
    assert (caught.value.status_code, caught.value.code) == (502, "tool_call_missing")
    assert len(dify.counts().requests) == 2


def test_what_the_gateway_has_asked_twice_no_client_asks_again(
    openai: OpenAI, dify: Simulator, user: str
) -> None:
    dify.reset()
    with pytest.raises(APIStatusError):
        openai.with_options(max_retries=2).chat.completions.create(
            model="Simulated Chat",
            messages=[{"role": "user", "content": "[[reply:No.]]"}],
            user=user,
            tools=TOOLS,
            tool_choice="required",
        )
    assert len(dify.counts().requests) == 2


def test_a_tool_that_there_is_not_is_corrected(ask: Ask, asked: Asked) -> None:
    answer = ask("Simulated Chat", f"{CALL} [[as:unknown_name]] [[then]] {CALL}", tools=TOOLS)
    assert (answer.content, answer.calls) == ("", CALLED)
    assert "get_weather_of_nowhere" in asked().query


def test_a_tool_that_there_is_not_even_when_corrected_is_an_error(ask: Ask) -> None:
    wrong = f"{CALL} [[as:unknown_name]]"
    with pytest.raises(APIError) as caught:
        ask("Simulated Chat", f"{wrong} [[then]] {wrong}", tools=TOOLS)
    assert caught.value.code == "unknown_tool_called"
    assert "get_weather_of_nowhere" in str(caught.value)


def test_a_good_call_beside_a_wrong_one_stays_and_is_not_to_be_written_again(ask: Ask, asked: Asked) -> None:
    script = f"{CALL} [[call:get_nothing]] [[then]] [[call:get_time]]"
    answer = ask("Simulated Chat", script, tools=TOOLS)
    assert answer.calls == [*CALLED, ("get_time", {})]
    assert asked().query.startswith("Your other calls are being made")


def test_text_that_was_sent_before_a_wrong_call_stays(ask: Ask) -> None:
    script = f"[[reply:Let me see.]] {CALL} [[as:unknown_name]] [[then]] [[reply:Here.]] {CALL}"
    answer = ask("Simulated Chat", script, tools=TOOLS)
    assert (answer.content.split("\n\n"), answer.calls) == (["Let me see.", "Here."], CALLED)


def test_a_tool_that_may_not_be_called_now_is_corrected(ask: Ask) -> None:
    answer = ask("Simulated Chat", f"{CALL} [[then]] [[call:get_time]]", tools=TOOLS, tool_choice=ALLOWED)
    assert answer.calls == [("get_time", {})]


STRICT = tool("get_weather", strict=True, city=CITY, days=DAYS)


def test_arguments_that_do_not_fit_a_strict_schema_are_corrected(ask: Ask) -> None:
    answer = ask("Simulated Chat", f"{CALL} [[as:wrong_type]] [[then]] {CALL}", tools=[STRICT])
    assert (answer.content, answer.calls) == ("", CALLED)


def test_arguments_that_never_fit_a_strict_schema_are_an_error(ask: Ask) -> None:
    wrong = f"{CALL} [[as:wrong_type]]"
    with pytest.raises(APIError) as caught:
        ask("Simulated Chat", f"{wrong} [[then]] {wrong}", tools=[STRICT])
    assert caught.value.code == "invalid_tool_arguments"
    assert "days" in str(caught.value)
    assert "no use" not in str(caught.value)


# The older form


FUNCTIONS = [entry["function"] for entry in TOOLS]


def test_a_client_of_functions_gets_a_function_call(ask: Ask) -> None:
    answer = ask("Simulated Chat", f"{CALL} [[call:get_time]]", functions=FUNCTIONS)
    assert answer.function_call is not None
    assert (answer.function_call["name"], json.loads(answer.function_call["arguments"])) == CALLED[0]
    assert (answer.tool_calls, answer.finish_reason) == ([], "function_call")


def test_a_client_of_functions_names_the_one_that_must_be_called(ask: Ask) -> None:
    answer = ask(
        "Simulated Chat",
        f"[[reply:Why?]] [[then]] {CALL}",
        functions=FUNCTIONS,
        function_call={"name": "get_weather"},
    )
    assert answer.function_call is not None
    assert answer.function_call["name"] == "get_weather"


def test_the_result_of_a_function_goes_back_by_its_name(ask: Ask) -> None:
    turns = [user_turn(CALL)]
    first = ask("Simulated Chat", turns, functions=FUNCTIONS)
    called = {"role": "assistant", "content": None, "function_call": first.function_call}
    turns += [called, {"role": "function", "name": "get_weather", "content": "21 degrees"}]
    answer = ask("Simulated Chat", turns, functions=FUNCTIONS)
    assert answer.content == "The tool get_weather said: 21 degrees"
    assert answer.dify["conversation_id"] == first.dify["conversation_id"]


# The loop


CHATS = ("Simulated Chat", "Simulated Chatflow", "Simulated Agent", "memory 2")
ALL_AT_ONCE = ("memory 0", "memory 1", "Simulated Completion", "Simulated Workflow")
SCRIPT = f"{CALL} [[call:get_time]] [[then]] [[call:get_time]]"


@pytest.mark.parametrize("model", [*CHATS, *ALL_AT_ONCE])
def test_results_reach_the_model(ask: Ask, model: str) -> None:
    turns = [user_turn(f"How is it? {CALL} [[call:get_time]]")]
    first = ask(model, turns, tools=TOOLS)
    answer = ask(model, with_results(turns, first, "21 degrees", "noon"), tools=TOOLS)
    assert bare(answer) == "The tool get_weather said: 21 degrees\nThe tool get_time said: noon"
    assert (answer.calls, answer.finish_reason) == ([], "stop")


@pytest.mark.parametrize("model", [*CHATS, *ALL_AT_ONCE])
def test_a_model_calls_until_it_knows_enough(ask: Ask, model: str) -> None:
    turns = [user_turn(SCRIPT)]
    first = ask(model, turns, tools=TOOLS)
    turns = with_results(turns, first, "21 degrees", "noon")
    second = ask(model, turns, tools=TOOLS)
    assert second.calls == [("get_time", {})]
    turns = with_results(turns, second, "one o'clock")
    assert bare(ask(model, turns, tools=TOOLS)) == "The tool get_time said: one o'clock"


@pytest.mark.parametrize("model", CHATS)
def test_results_go_back_into_the_same_conversation(ask: Ask, asked: Asked, model: str) -> None:
    turns = [user_turn(SCRIPT)]
    first = ask(model, turns, tools=TOOLS)
    assert DESCRIPTION in asked().query
    turns = with_results(turns, first, "21 degrees", "noon")
    second = ask(model, turns, tools=TOOLS)
    told = asked()
    assert told.conversation_id == first.dify["conversation_id"] == second.dify["conversation_id"]
    assert "21 degrees" in told.query
    assert "[[call" not in told.query
    assert DESCRIPTION not in told.query
    third = ask(model, [*with_results(turns, second, "one"), user_turn("Thanks! [[reply:Bye]]")], tools=TOOLS)
    assert bare(third) == "Bye"
    assert asked().conversation_id == first.dify["conversation_id"]


def test_calls_and_json_carry_no_invisible_id_and_yet_go_on(ask: Ask, asked: Asked) -> None:
    turns, json_object = [user_turn('[[json:{"a": 1}]]')], {"type": "json_object"}
    first = ask("memory 2", turns, response_format=json_object)
    assert first.content == '{"a": 1}'
    turns = [*turns, {"role": "assistant", "content": first.content}, user_turn(CALL)]
    called = ask("memory 2", turns, tools=TOOLS)
    assert called.content == ""
    turns = with_results(turns, called, "21")
    words = ask("memory 2", turns, tools=TOOLS)
    assert words.content != bare(words) == "The tool get_weather said: 21"
    turns = [*turns, {"role": "assistant", "content": words.content}, user_turn('[[json:{"b": 2}]]')]
    last = ask("memory 2", turns, response_format=json_object)
    assert last.content == '{"b": 2}'
    assert asked().conversation_id == first.dify["conversation_id"]


def test_results_go_back_into_the_conversation_that_a_header_names(ask: Ask, asked: Asked) -> None:
    turns = [user_turn(CALL)]
    first = ask("memory 0", turns, tools=TOOLS)
    headers = {"X-Dify-Conversation-Id": first.dify["conversation_id"]}
    answer = ask("memory 0", with_results(turns, first, "21"), tools=TOOLS, extra_headers=headers)
    assert answer.content == "The tool get_weather said: 21"
    assert asked().conversation_id == first.dify["conversation_id"]


def test_two_results_of_one_tool_are_told_apart(ask: Ask) -> None:
    rome = '[[call:get_weather:{"city": "Rome", "days": 1}]]'
    turns = [user_turn(f"{CALL} {rome}")]
    first = ask("Simulated Chat", turns, tools=TOOLS)
    *before, oslo, roma = with_results(turns, first, "21", "30")
    lines = ask("Simulated Chat", [*before, roma, oslo], tools=TOOLS).content.splitlines()
    assert len(lines) == 2
    for line, (city, degrees) in zip(lines, [("Rome", "30"), ("Oslo", "21")], strict=True):
        assert city in line
        assert line.endswith(f"said: {degrees}")


def test_results_in_json_arrive_as_they_are(ask: Ask) -> None:
    turns = [user_turn(CALL)]
    first = ask("Simulated Chat", turns, tools=TOOLS)
    answer = ask("Simulated Chat", with_results(turns, first, '{"c": [21, null], "雨": true}'), tools=TOOLS)
    assert answer.content == 'The tool get_weather said: {"c": [21, null], "雨": true}'


SPELLINGS: dict[str, Any] = {
    "content is missing": {},
    "content is empty": {"content": ""},
    "reasoning goes back": {"content": None, "reasoning_content": "Hm."},
    "other spaces": {"content": None, "arguments": '{ "days" : 3.0,\n "city":"\\u004fslo" }'},
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_call_is_known_again_however_its_client_writes_it(ask: Ask, asked: Asked, spelling: str) -> None:
    first = ask("Simulated Chat", CALL, tools=TOOLS)
    (call,) = first.tool_calls
    changed = dict(SPELLINGS[spelling])
    arguments = changed.pop("arguments", call["function"]["arguments"])
    called = {**call, "function": {"name": "get_weather", "arguments": arguments}}
    turns = [
        user_turn(CALL),
        {"role": "assistant", "tool_calls": [called], **changed},
        {"role": "tool", "tool_call_id": call["id"], "content": "21"},
    ]
    assert ask("Simulated Chat", turns, tools=TOOLS).content == "The tool get_weather said: 21"
    assert asked().conversation_id == first.dify["conversation_id"]


RESULTS: dict[str, tuple[Any, str]] = {
    "nothing": ("", ""),
    "parts": ([{"type": "text", "text": "21"}, {"type": "text", "text": "degrees"}], "21\ndegrees"),
    "what looks like a call": ("<tool_call> {", "<tool_call> {"),
    "lines": ("one\n\ntwo", "one\n\ntwo"),
}


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_is_any_text(ask: Ask, kind: str) -> None:
    result, heard = RESULTS[kind]
    turns = [user_turn(f"{CALL} [[then]] [[history]]")]
    first = ask("Simulated Chat", turns, tools=TOOLS)
    seen = ask("Simulated Chat", with_results(turns, first, result)).json[-1]["content"]
    told = json.loads(seen.removeprefix("<tool_response>").removesuffix("</tool_response>"))
    assert told == {"name": "get_weather", "content": heard}


def test_a_client_may_send_its_results_twice(ask: Ask, asked: Asked) -> None:
    """As when it asks for another answer: that one comes from a new conversation, which is told all."""
    turns = [user_turn(SCRIPT)]
    first = ask("Simulated Chat", turns, tools=TOOLS)
    turns = with_results(turns, first, "21 degrees", "noon")
    answers = [ask("Simulated Chat", turns, tools=TOOLS) for _ in range(2)]
    assert [answer.calls for answer in answers] == [[("get_time", {})]] * 2
    assert len({answer.dify["conversation_id"] for answer in (first, *answers)}) == 2


def test_a_client_may_answer_only_some_of_the_calls(ask: Ask) -> None:
    turns = [user_turn(f"{CALL} [[call:get_time]]")]
    first = ask("Simulated Chat", turns, tools=TOOLS)
    some = with_results(turns, first, "21 degrees", "noon")[:-1]
    assert ask("Simulated Chat", some, tools=TOOLS).content == "The tool get_weather said: 21 degrees"


async def test_many_agents_at_once_get_their_own_results(openai_async: AsyncOpenAI) -> None:
    async def agent(number: int) -> str:
        turns: Any = [user_turn(f'[[call:get_weather:{{"city": "City {number}", "days": {number}}}]]')]
        create = openai_async.chat.completions.create
        first = await create(model="Simulated Chat", messages=turns, tools=TOOLS, user=f"agent-{number}")
        (call,) = first.choices[0].message.tool_calls or []
        turns += [
            first.choices[0].message,
            {"role": "tool", "tool_call_id": call.id, "content": f"{number}°"},
        ]
        second = await create(model="Simulated Chat", messages=turns, tools=TOOLS, user=f"agent-{number}")
        return second.choices[0].message.content or ""

    answers = await asyncio.gather(*(agent(number) for number in range(30)))
    assert answers == [f"The tool get_weather said: {number}°" for number in range(30)]


def test_a_result_that_belongs_to_no_call_is_refused(ask: Ask) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(
            "Simulated Chat",
            [user_turn("Hi"), {"role": "tool", "tool_call_id": "call_nobody", "content": "21"}],
            tools=TOOLS,
        )
    assert caught.value.param == "messages[1].tool_call_id"


def test_tools_are_told_in_the_language_of_the_conversation(ask: Ask, asked: Asked) -> None:
    assert ask("Simulated Chat", f"奥斯陆的天气怎么样？ {CALL}", tools=TOOLS).calls == CALLED
    assert "工具" in asked().query


def test_tools_are_told_again_when_they_change(ask: Ask, asked: Asked) -> None:
    turns = [user_turn("[[reply:One]]")]
    ask("Simulated Chat", turns, tools=TOOLS)
    turns += [{"role": "assistant", "content": "One"}, user_turn("[[reply:Two]]")]
    answer = ask("Simulated Chat", turns, tools=TOOLS)
    assert DESCRIPTION not in asked().query
    turns += [{"role": "assistant", "content": "Two"}, user_turn("[[reply:Three]]")]
    ask("Simulated Chat", turns, tools=[*TOOLS, tool("get_moon", "The moon.")])
    assert asked().conversation_id == answer.dify["conversation_id"]
    assert DESCRIPTION in asked().query
    assert "The moon." in asked().query


def test_a_conversation_without_tools_may_get_some_and_lose_them(ask: Ask, asked: Asked) -> None:
    turns = [user_turn("[[reply:One]]")]
    ask("Simulated Chat", turns)
    assert DESCRIPTION not in asked().query
    turns += [{"role": "assistant", "content": "One"}, user_turn(CALL)]
    second = ask("Simulated Chat", turns, tools=TOOLS)
    assert (second.calls, DESCRIPTION in asked().query) == (CALLED, True)
    turns = with_results(turns, second, "21 degrees")
    third = ask("Simulated Chat", turns)
    assert third.content == "The tool get_weather said: 21 degrees"
    assert asked().conversation_id == second.dify["conversation_id"]


# Corrections where an app knows no conversation


@pytest.mark.parametrize("model", ["Simulated Completion", "Simulated Workflow"])
def test_apps_without_a_conversation_are_corrected_too(ask: Ask, model: str) -> None:
    script = f"[[reply:Why should I?]] [[then]] {CALL}"
    answer = ask(model, script, tools=TOOLS, tool_choice="required")
    assert (answer.content, answer.calls) == ("", CALLED)


# Apps that have tools themselves


def test_the_tools_of_an_agent_are_reasoning_and_never_calls(ask: Ask) -> None:
    answer = ask("Simulated Agent", "What time is it?", tools=TOOLS)
    assert answer.calls == []
    assert "current_time" in answer.reasoning
    assert answer.finish_reason == "stop"


def test_a_new_agent_calls_the_clients_tools(openai_1_16: OpenAI, way: Ask, user: str) -> None:
    turns = [user_turn(f"How is it? {CALL}")]
    first = way(openai_1_16, "Simulated New Agent", turns, tools=TOOLS, user=user)
    assert (first.calls, first.content) == (CALLED, "")
    turns = with_results(turns, first, "21 degrees")
    answer = way(openai_1_16, "Simulated New Agent", turns, tools=TOOLS, user=user)
    assert answer.content == "The tool get_weather said: 21 degrees"


def test_the_calls_of_an_agent_in_a_chatflow_are_none_of_the_clients(
    special: Special, way: Ask, user: str
) -> None:
    _, client = special
    answer = way(client, "Agent In A Chatflow", CALL, tools=TOOLS, user=user)
    assert (answer.content, answer.calls, answer.finish_reason) == ("", CALLED, "tool_calls")
    assert "current_time" in answer.reasoning


def test_an_agent_calls_its_own_tools_and_the_clients(ask: Ask) -> None:
    answer = ask("Simulated Agent", f"[[tool:current_time]] {CALL}", tools=TOOLS)
    assert answer.calls == CALLED
    assert "current_time" in answer.reasoning


# Apps with an input for tools


TOOLS_FORM = (Field("tools", "paragraph"), Field("text", "paragraph"))
INPUT_APPS = (
    AppSpec("chat-tools", "chat", form=TOOLS_FORM[:1], system="{{tools}}"),
    AppSpec("flow-tools", "advanced-chat", form=TOOLS_FORM[:1], graph=(Start(), LLM(), AnswerNode())),
    AppSpec("work-tools", "workflow", form=TOOLS_FORM, graph=(Start(), LLM(), End())),
    AppSpec("completion-tools", "completion", form=TOOLS_FORM),
)
STYLES = ("tagged", "fenced", "invoke", "llama", "mistral")


@pytest.fixture(scope="module")
def special() -> Iterator[Special]:
    """Apps with an input named `tools`, one for each style of prompts, and one with an agent inside."""
    styled = tuple(AppSpec(f"style-{style}", "chat") for style in STYLES)
    flow = AppSpec(
        "flow-agent",
        "advanced-chat",
        name="Agent In A Chatflow",
        graph=(Start(), Agent(), LLM(), AnswerNode()),
    )
    settings = "\n".join(
        f'[apps."{style}"]\nkey = "app-sim-style-{style}"\ntool_prompt = "{style}"' for style in STYLES
    )
    with Simulator((*INPUT_APPS, *styled, flow), pace=0) as dify:
        keys = ",".join(dify.keys.values())
        with (
            running_gateway(toml=settings, DIFY_API_BASE=dify.base_url, DIFY_API_KEYS=keys) as gateway,
            OpenAI(base_url=gateway.base_url, api_key=ADA, max_retries=0) as client,
        ):
            yield dify, client


@pytest.mark.parametrize("nickname", [spec.nickname for spec in INPUT_APPS])
def test_tools_go_into_the_input_that_is_named_so(
    special: Special, way: Ask, nickname: str, user: str
) -> None:
    dify, client = special
    model = next(spec.title for spec in INPUT_APPS if spec.nickname == nickname)
    turns = [user_turn(SCRIPT)]
    first = way(client, model, turns, tools=TOOLS, user=user)
    assert first.calls == [*CALLED, ("get_time", {})]
    told = dify.counts().requests[-1]
    assert DESCRIPTION in str(told.inputs["tools"])
    assert DESCRIPTION not in told.query + str(told.inputs.get("text"))
    turns = with_results(turns, first, "21 degrees", "noon")
    second = way(client, model, turns, tools=TOOLS, user=user)
    assert second.calls == [("get_time", {})]
    turns = with_results(turns, second, "one")
    assert way(client, model, turns, tools=TOOLS, user=user).content == "The tool get_time said: one"


@pytest.mark.parametrize("style", STYLES)
def test_an_app_is_told_of_tools_in_the_style_of_its_model(
    special: Special, way: Ask, style: str, user: str
) -> None:
    """The simulated model calls in the format that it is shown."""
    _, client = special
    turns = [user_turn(f"[[reply:Why?]] [[then]] {SCRIPT}")]
    first = way(client, style, turns, tools=TOOLS, tool_choice="required", user=user)
    assert first.calls == [*CALLED, ("get_time", {})]
    turns = with_results(turns, first, "21 degrees", "noon")
    second = way(client, style, turns, tools=TOOLS, user=user)
    assert second.calls == [("get_time", {})]
    turns = with_results(turns, second, "one")
    assert way(client, style, turns, tools=TOOLS, user=user).content == "The tool get_time said: one"


# Tools and JSON


def test_a_model_calls_tools_and_then_answers_in_json(ask: Ask) -> None:
    schema = {"type": "object", "properties": {"degrees": {"type": "integer"}}, "required": ["degrees"]}
    wanted = {
        "type": "json_schema",
        "json_schema": {
            "name": "weather",
            "schema": {**schema, "additionalProperties": False},
            "strict": True,
        },
    }
    script = (
        f'{CALL} [[then]] [[json:{{"degrees": "warm"}}]] [[then]] [[json:{{"degrees": 21}}]] [[as:fenced]]'
    )
    turns = [user_turn(script)]
    first = ask("Simulated Chat", turns, tools=TOOLS, response_format=wanted)
    assert (first.content, first.calls, first.finish_reason) == ("", CALLED, "tool_calls")
    answer = ask(
        "Simulated Chat", with_results(turns, first, "21 degrees"), tools=TOOLS, response_format=wanted
    )
    assert (answer.content, answer.calls, answer.finish_reason) == ('{"degrees": 21}', [], "stop")


# While it streams


def test_text_streams_while_the_model_speaks(openai: OpenAI, dify: Simulator, user: str) -> None:
    with openai.chat.completions.create(
        model="Simulated Chat",
        messages=[{"role": "user", "content": f"[[reply:{'word ' * 100}]] {CALL} [[pace:0.02]]"}],
        tools=TOOLS,
        stream=True,
        user=user,
    ) as stream:
        first = next(chunk for chunk in stream if chunk.choices[0].delta.content)
        assert dify.counts().running == 1
        rest = [chunk.choices[0] for chunk in stream]
    assert (first.choices[0].delta.content or "").startswith("word")
    assert rest[-1].finish_reason == "tool_calls"


@pytest.mark.parametrize("fault", ["[[error]]", "[[truncate]]", "[[malformed:json]]"])
def test_half_a_call_is_an_error(ask: Ask, fault: str) -> None:
    """A client that runs what it gets must not take the half for the whole."""
    with pytest.raises(APIError):
        ask("Simulated Chat", f"{CALL} {fault}", tools=TOOLS)


def test_what_is_said_to_tools_is_not_in_the_log(ask: Ask, gateway: Gateway) -> None:
    secret = "a-secret-city"
    asked = f'[[call:get_weather:{{"city": "{secret}", "days": {{}}}}]] [[then]]'
    with pytest.raises(APIError):
        ask("Simulated Chat", f"{asked} {asked}", tools=[tool("get_weather", secret, strict=True, days=DAYS)])
    turns = [user_turn(CALL)]
    ask("Simulated Chat", with_results(turns, ask("Simulated Chat", turns, tools=TOOLS), secret), tools=TOOLS)
    assert secret not in json.dumps(gateway.lines)


# Stopping


def test_dify_is_told_to_stop_when_a_model_makes_up_results(ask: Ask, dify: Simulator) -> None:
    dify.reset()
    answer = ask("Simulated Chat", f"{CALL} [[as:invented_result]] [[lump:10:0.1]]", tools=TOOLS)
    assert (answer.content, answer.calls) == ("", CALLED)
    eventually(lambda: dify.counts().stopped == 1 and dify.counts().running == 0)


def test_dify_is_told_to_stop_when_the_client_leaves_while_an_answer_is_corrected(
    openai: OpenAI, dify: Simulator, user: str
) -> None:
    dify.reset()
    with pytest.raises(APITimeoutError):
        openai.with_options(timeout=1.0).chat.completions.create(
            model="Simulated Chat",
            messages=[{"role": "user", "content": "[[reply:Why?]] [[then]] [[slow:1000:0.1]]"}],
            tools=TOOLS,
            tool_choice="required",
            user=user,
        )
    eventually(lambda: dify.counts().stopped == 1 and dify.counts().running == 0)
    assert len(dify.counts().requests) == 2


def test_dify_is_told_to_stop_when_the_client_leaves_in_the_middle_of_a_call(
    openai: OpenAI, dify: Simulator, user: str
) -> None:
    long = json.dumps({"city": " ".join(f"word{at}" for at in range(2_000)), "days": 3})
    dify.reset()
    with openai.chat.completions.create(
        model="Simulated Chat",
        messages=[{"role": "user", "content": f"[[call:get_weather:{long}]] [[pace:0.01]]"}],
        tools=TOOLS,
        stream=True,
        user=user,
    ) as stream:
        for chunk in stream:
            calls = chunk.choices[0].delta.tool_calls or []
            if any(call.function and "word3" in (call.function.arguments or "") for call in calls):
                break
    eventually(lambda: dify.counts().stopped == 1 and dify.counts().running == 0)
