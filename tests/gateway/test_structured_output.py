"""`response_format`: answers that are JSON, of every kind of app, with the `openai` package's own helpers."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import pytest
from openai import APIError, APIStatusError, BadRequestError, OpenAI
from pydantic import BaseModel

from opendify.simulator import Simulator

from .clients import Ask, Asked, streamed


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Moon(BaseModel):
    name: str
    size: Size


class Planet(BaseModel):
    """A planet and what goes around it."""

    name: str
    moons: list[Moon]
    discoverer: str | None = None
    outer: Planet | None = None


MARS = '{"name": "Mars", "moons": [{"name": "Phobos", "size": "small"}], "discoverer": null, "outer": null}'
WRONG = '{"name": "Mars", "moons": [{"name": "Phobos", "size": "tiny"}], "discoverer": null, "outer": null}'
PLACE = "$.moons[0].size: "

OBJECT = {"type": "json_object"}
KINDS = ("Chat", "Agent", "Chatflow", "Completion", "Workflow")


def schema(*, strict: bool) -> dict[str, Any]:
    """As a client writes it that has no helpers."""
    return {
        "type": "json_schema",
        "json_schema": {"name": "planet", "strict": strict, "schema": Planet.model_json_schema()},
    }


def ended(client: OpenAI, question: str, **more: Any) -> tuple[str, str, str | None]:
    """What a stream brings that ends in an error: the text before it, its message and its code."""
    said: list[str] = []

    def listen() -> None:
        messages: Any = [{"role": "user", "content": question}]
        with client.chat.completions.create(messages=messages, stream=True, **more) as stream:
            for chunk in stream:
                said.extend(choice.delta.content or "" for choice in chunk.choices)

    with pytest.raises(APIError) as failed:
        listen()
    return "".join(said), failed.value.message, failed.value.code


# ── The helpers of the openai package ──


@pytest.mark.parametrize("kind", KINDS)
def test_parse_gives_an_object_of_the_client_s_own_type(openai: OpenAI, kind: str, user: str) -> None:
    answer = openai.chat.completions.parse(
        model=f"Simulated {kind}",
        messages=[{"role": "user", "content": f"[[notool]] [[json:{MARS}]]"}],
        response_format=Planet,
        user=user,
    )
    assert answer.choices[0].message.parsed == Planet.model_validate_json(MARS)
    assert answer.choices[0].message.content == MARS


@pytest.mark.parametrize("kind", KINDS)
def test_stream_gives_the_object_and_what_comes_before_it(openai: OpenAI, kind: str, user: str) -> None:
    with openai.chat.completions.stream(
        model=f"Simulated {kind}",
        messages=[{"role": "user", "content": f"[[notool]] [[json:{MARS}]]"}],
        response_format=Planet,
        user=user,
    ) as stream:
        events = list(stream)
    assert stream.get_final_completion().choices[0].message.parsed == Planet.model_validate_json(MARS)
    (done,) = [event for event in events if event.type == "content.done"]
    assert done.parsed == Planet.model_validate_json(MARS)
    deltas = [event.delta for event in events if event.type == "content.delta"]
    assert "".join(deltas) == MARS


def test_new_agents_answer_in_json(openai_1_16: OpenAI, user: str) -> None:
    answer = openai_1_16.chat.completions.parse(
        model="Simulated New Agent",
        messages=[{"role": "user", "content": f"[[notool]] [[json:{MARS}]]"}],
        response_format=Planet,
        user=user,
    )
    assert answer.choices[0].message.parsed == Planet.model_validate_json(MARS)


# ── Every kind of app, every way to ask ──


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "wanted", [OBJECT, schema(strict=False), schema(strict=True)], ids=["object", "schema", "strict"]
)
@pytest.mark.parametrize("words", ["", "fenced", "fenced:chatter_around", "chatter_around"])
def test_fences_and_words_around_json_are_left_out(ask: Ask, kind: str, wanted: Any, words: str) -> None:
    written = f"[[as:{words}]]" if words else ""
    answer = ask(
        f"Simulated {kind}", f"[[notool]] [[json:{MARS}]] {written} [[lump:3:0]]", response_format=wanted
    )
    if kind == "Workflow" and wanted == OBJECT and "chatter" in words:
        assert answer.json == answer.dify["outputs"], "a text that shows JSON is an output as any other"
    else:
        assert answer.json == json.loads(MARS)
    assert answer.finish_reason == "stop"


def test_the_model_is_told_the_whole_schema(ask: Ask, asked: Asked) -> None:
    ask("Simulated Chat", f"[[json:{MARS}]]", response_format=schema(strict=True))
    assert '"$ref":"#/$defs/Moon"' in asked().query


def test_a_model_that_is_asked_in_chinese_is_told_in_chinese(ask: Ask, asked: Asked) -> None:
    ask("Simulated Chat", '请用 JSON 描述火星。[[json:{"名称": "火星"}]]', response_format=OBJECT)
    assert "用一个 JSON 对象回答" in asked().query


def test_who_asks_for_text_gets_text(ask: Ask, asked: Asked) -> None:
    assert ask("Simulated Chat", "[[reply:Mars]]", response_format={"type": "text"}).content == "Mars"
    assert asked().query == "[[reply:Mars]]"


def test_thinking_before_json_is_reasoning(ask: Ask) -> None:
    for wanted in (OBJECT, schema(strict=True)):
        answer = ask("Simulated Chat", f"[[think:{{is it red?}}]] [[json:{MARS}]]", response_format=wanted)
        assert (answer.reasoning, answer.json) == ("{is it red?}", json.loads(MARS))


def test_several_answers_are_json_each(openai: OpenAI, user: str) -> None:
    answer = openai.chat.completions.create(
        model="Simulated Chat",
        messages=[{"role": "user", "content": f"[[json:{MARS}]] [[as:fenced]]"}],
        response_format={"type": "json_object"},
        n=2,
        user=user,
    )
    assert [json.loads(choice.message.content or "") for choice in answer.choices] == [json.loads(MARS)] * 2


# ── A workflow's outputs ──


def test_the_outputs_of_a_workflow_are_its_json(ask: Ask) -> None:
    answer = ask("Simulated Workflow With Outputs", "[[reply:Hello]]", response_format=OBJECT)
    assert answer.json == answer.dify["outputs"]
    assert len(answer.json) > 1


# ── What does not fit ──


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "first",
    [f"[[json:{WRONG}]]", "[[reply:Mars is red.]]", "[[reply:{oops]]"],
    ids=["wrong", "prose", "broken"],
)
def test_a_model_that_answers_wrongly_is_told_so_once(
    ask: Ask, dify: Simulator, user: str, kind: str, first: str
) -> None:
    answer = ask(
        f"Simulated {kind}",
        f"[[notool]] {first} [[then]] [[notool]] [[json:{MARS}]]",
        response_format=schema(strict=True),
    )
    assert answer.json == json.loads(MARS)
    told = [request for request in dify.counts().requests if request.user.endswith(user)]
    assert len(told) == 2
    assert "is not the JSON that was asked for, at $" in str(told[1].query or told[1].inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_stays_wrong_is_an_error_that_names_the_place(
    openai: OpenAI, kind: str, user: str
) -> None:
    with pytest.raises(APIStatusError) as failed:
        openai.chat.completions.create(
            model=f"Simulated {kind}",
            messages=[
                {
                    "role": "user",
                    "content": f"[[notool]] [[json:{WRONG}]] [[then]] [[notool]] [[json:{WRONG}]]",
                }
            ],
            response_format=schema(strict=False),  # pyright: ignore[reportArgumentType] - a dict as people write it
            user=user,
        )
    assert (failed.value.status_code, failed.value.code) == (502, "invalid_structured_output")
    assert PLACE in failed.value.message
    assert "tiny" not in failed.value.message


def test_a_strict_stream_sends_nothing_that_does_not_fit(openai: OpenAI, user: str) -> None:
    said, message, code = ended(
        openai,
        f"[[json:{WRONG}]] [[then]] [[json:{WRONG}]]",
        model="Simulated Chat",
        response_format=schema(strict=True),
        user=user,
    )
    assert (said, code) == ("", "invalid_structured_output")
    assert PLACE in message


def test_another_stream_passes_json_on_as_it_comes_and_says_at_the_end_if_it_is_wrong(
    openai: OpenAI, user: str
) -> None:
    said, message, code = ended(
        openai,
        f"[[json:{WRONG}]] [[lump:5:0]]",
        model="Simulated Chat",
        response_format=schema(strict=False),
        user=user,
    )
    assert (said, code) == (WRONG, "invalid_structured_output")
    assert PLACE in message


def test_a_stream_that_brought_no_json_yet_can_still_be_corrected(openai: OpenAI, user: str) -> None:
    answer = streamed(
        openai,
        "Simulated Chat",
        f"[[reply:Mars is red.]] [[then]] [[json:{MARS}]]",
        response_format=schema(strict=False),
        user=user,
    )
    assert answer.content == MARS


def test_json_in_a_stream_is_not_held_back(openai: OpenAI, user: str) -> None:
    answer = streamed(
        openai, "unpaced", f"[[json:{MARS}]] [[lump:5:0.01]]", response_format=schema(strict=False), user=user
    )
    assert len([chunk for chunk in answer.chunks if chunk.choices and chunk.choices[0].delta.content]) > 5


def test_a_workflow_s_outputs_that_do_not_fit_are_an_error(openai: OpenAI, user: str) -> None:
    with pytest.raises(APIStatusError) as failed:
        openai.chat.completions.parse(
            model="Simulated Workflow With Outputs",
            messages=[{"role": "user", "content": "[[reply:Hello]]"}],
            response_format=Planet,
            user=user,
        )
    assert (failed.value.status_code, failed.value.code) == (502, "invalid_structured_output")


@pytest.mark.parametrize(
    ("wanted", "param", "said"),
    [
        ({"type": "xml"}, "response_format.type", "'xml'"),
        ({"type": "json_schema"}, "response_format.json_schema", "missing"),
        (
            {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "thing"}}},
            "response_format.json_schema.schema",
            "$.type",
        ),
    ],
)
def test_a_format_that_is_none_is_refused_before_anything_is_asked(
    openai: OpenAI, dify: Simulator, user: str, wanted: Any, param: str, said: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        openai.chat.completions.create(
            model="Simulated Chat",
            messages=[{"role": "user", "content": "Hi"}],
            response_format=wanted,
            user=user,
        )
    assert refused.value.param == param
    assert said in refused.value.message
    assert not [request for request in dify.counts().requests if request.user.endswith(user)]


# ── Together with tools ──

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "look",
            "parameters": {"type": "object", "properties": {"where": {"type": "string"}}},
        },
    }
]


@pytest.mark.parametrize(
    "wanted", [OBJECT, schema(strict=False), schema(strict=True)], ids=["object", "schema", "strict"]
)
def test_with_tools_a_call_is_a_call_and_any_other_answer_is_json(ask: Ask, wanted: Any) -> None:
    called = ask("Simulated Chat", '[[call:look:{"where": "up"}]]', tools=TOOLS, response_format=wanted)
    assert called.calls == [("look", {"where": "up"})]
    assert (called.content, called.finish_reason) == ("", "tool_calls")
    answer = ask("Simulated Chat", f"[[json:{MARS}]] [[as:fenced]]", tools=TOOLS, response_format=wanted)
    assert (answer.json, answer.tool_calls) == (json.loads(MARS), [])
