"""Apps and what is peculiar to each: forms, files, tools, knowledge, moderation, speech, graphs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from asking import client, names, said

from opendify.simulator import AppSpec, Field, Mode, Simulator, Tool
from opendify.simulator.nodes import LLM, Answer, Code, End, Start


@pytest.fixture
async def dify() -> AsyncIterator[Simulator]:
    async with Simulator(pace=0, naming_delay=0) as dify:
        yield dify


# Forms

_FORM = (
    Field("name", required=True, max_length=5),
    Field("lang", "select", options=("en", "zh")),
    Field("n", "number"),
    Field("on", "checkbox"),
    Field("data", "json_object"),
    Field("pic", "file"),
    Field("docs", "file-list", max_length=2),
    Field("tone", default="calm"),
)
_REMOTE = {"type": "image", "transfer_method": "remote_url", "url": "https://example.com/a.png"}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "name is required in input form"),
        ({"name": None}, "name is required in input form"),
        ({"name": 5}, "(type 'text-input') name in input form must be a string"),
        ({"name": "too long"}, "name in input form must be less than 5 characters"),
        ({"name": "a", "lang": ""}, "lang in input form must be one of the following: ['en', 'zh']"),
        ({"name": "a", "n": "x"}, "n in input form must be a valid number"),
        ({"name": "a", "n": [1]}, "n in input form must be a valid number"),
        ({"name": "a", "data": "{}"}, "data in input form must be a dict"),
        ({"name": "a", "pic": "a.png"}, "pic in input form must be a file"),
        ({"name": "a", "docs": _REMOTE}, "docs in input form must be a list of files"),
        ({"name": "a", "docs": ["a.png"]}, "docs in input form must be a list of files"),
        ({"name": "a", "docs": [_REMOTE] * 3}, "docs in input form must be less than 2 files"),
    ],
)
async def test_a_form_refuses(inputs: dict[str, object], message: str) -> None:
    async with Simulator([AppSpec("form", "chat", form=_FORM)], pace=0) as dify, client(dify, "form") as form:
        status, body = await form.blocking("Hello", inputs=inputs)
    assert (status, body["code"], body["message"]) == (400, "invalid_param", message)


async def test_a_form_takes_and_reads_values_and_ignores_what_it_does_not_know() -> None:
    given = {"name": "Ada", "n": "1.5", "on": "true", "data": {"a": 1}, "docs": [], "other": 1}
    async with Simulator([AppSpec("form", "chat", form=_FORM)], pace=0) as dify, client(dify, "form") as form:
        seen = json.loads(await form.answer("[[echo]]", inputs=given))["inputs"]
        empty = json.loads(await form.answer("[[echo]]", inputs={"name": "Ada", "n": " "}))["inputs"]
    assert (seen["n"], seen["on"], seen["data"], seen["docs"], seen["tone"]) == (
        1.5,
        True,
        {"a": 1},
        [],
        "calm",
    )
    assert (seen["lang"], seen["pic"], empty["n"]) == (None, None, None)
    assert "other" not in seen


async def test_required_inputs_are_wanted_on_every_turn(dify: Simulator) -> None:
    inputs = {"name": "Ada", "lang": "English"}
    async with client(dify, "form") as form:
        events = await form.events("[[system]]", inputs=inputs)
        assert said(events) == "SYSTEM:Address the user as Ada, in English."
        conversation = {"conversation_id": events[0]["conversation_id"]}
        assert (await form.blocking("Hello", **conversation))[0] == 400
        assert (await form.blocking("Hello", inputs=inputs, **conversation))[0] == 200


# Files


def _local(file: dict[str, object], kind: str = "image") -> dict[str, object]:
    return {"type": kind, "transfer_method": "local_file", "upload_file_id": file["id"]}


@pytest.mark.parametrize("app", ["chat", "agent", "chatflow", "completion"])
async def test_the_model_sees_the_files_of_a_message(dify: Simulator, app: str) -> None:
    async with client(dify, app) as asker:
        _, file = await asker.upload("cat.png", b"meow")
        answer = await asker.answer("[[notool]][[files]]", files=[_local(file), _REMOTE])
    uploaded, remote = json.loads(answer.removeprefix("IMAGES:"))
    assert (uploaded["filename"], uploaded["bytes"], uploaded["mime"]) == ("cat.png", 4, "image/png")
    assert (remote["filename"], remote["url"]) == ("a.png", "https://example.com/a.png")


async def test_a_workflow_takes_files_in_its_inputs(dify: Simulator) -> None:
    async with client(dify, "files") as workflow:
        _, file = await workflow.upload("cat.png", b"meow")
        inputs = {"text": "[[files]]", "pic": _local(file), "docs": [_local(file), _REMOTE]}
        events = await workflow.events("", inputs=inputs)
    outputs = events[-1]["data"]["outputs"]
    assert outputs["pic"]["filename"] == "cat.png"
    assert [document["extension"] for document in outputs["docs"]] == [".png", ".png"]
    assert len(json.loads(outputs["result"].removeprefix("IMAGES:"))) == 3


async def test_an_upload_is_served_under_its_signed_url(dify: Simulator) -> None:
    async with client(dify) as chat:
        _, file = await chat.upload("cat.png", b"meow")
        reply = await chat.get(str(file["source_url"]))
        assert await reply.read() == b"meow"
        unsigned = await chat.get(str(file["source_url"]).partition("?")[0])
        assert unsigned.status == 404


async def test_an_app_without_uploads_ignores_files(dify: Simulator) -> None:
    async with client(dify, "plain") as plain:
        assert await plain.answer("[[files]]", files=[_REMOTE]) == "IMAGES:[]"
        parameters = await plain.json("GET", "/parameters")
    assert parameters["file_upload"]["enabled"] is False


async def test_a_remote_file_that_cannot_be_had_fails_as_in_dify(dify: Simulator) -> None:
    async with client(dify) as chat:
        refused = {**_REMOTE, "url": "http://nowhere.invalid/a.png"}
        status, body = await chat.blocking("Hello", files=[refused])
        assert (status, body["message"].partition(" for ")[0]) == (400, "Reached maximum retries (3)")
        missing = {**_REMOTE, "url": "http://example.com/404/a.png"}
        (error,) = await chat.events("Hello", files=[missing])
        assert (error["event"], error["status"]) == ("error", 500)


# What apps do beside talking


async def test_an_agent_shows_its_tool_call_in_steps_of_one_id() -> None:
    lookup = Tool("lookup", "It rains.", arguments={"city": "Olympus"})
    apps = [AppSpec("agent", "agent-chat", tools=(lookup,))]
    async with Simulator(apps, pace=0) as dify, client(dify, "agent") as agent:
        events = await agent.events("Weather?")
        named = await agent.events('[[tool:lookup:{"city": "Rome"}]]')
        unknown = await agent.events("[[tool:nothing]]")
        plain = await agent.events("[[notool]] Weather?")
    thoughts = [event for event in events if event["event"] == "agent_thought"]
    call, answer = thoughts[:3], thoughts[3:]
    assert len({thought["id"] for thought in call}) == len({thought["id"] for thought in answer}) == 1
    assert [bool(thought["tool"]) for thought in call] == [False, True, True]
    assert [bool(thought["observation"]) for thought in call] == [False, False, True]
    assert json.loads(call[-1]["tool_input"]) == {"lookup": {"city": "Olympus"}}
    assert said(events) == "The tool said: It rains.. That is my final answer."
    assert answer[-1]["thought"] == said(events)
    assert '"Rome"' in next(event["tool_input"] for event in named if event.get("tool_input"))
    assert "there is not a tool named nothing" in said(unknown)
    assert not any(event.get("tool") for event in plain)


async def test_an_agent_that_draws_sends_a_file_with_a_signed_url(dify: Simulator) -> None:
    async with client(dify, "agent") as agent:
        events = await agent.events("[[file]]")
        (made,) = [event for event in events if event["event"] == "message_file"]
        assert (made["type"], made["belongs_to"]) == ("image", "assistant")
        assert (await (await agent.get(made["url"])).read()).startswith(b"\x89PNG")
        assert any(made["id"] in event.get("message_files", []) for event in events)


async def test_a_chatflow_links_the_files_that_it_makes(dify: Simulator) -> None:
    async with client(dify, "painter") as painter:
        events = await painter.events("Draw")
        answer = said(events)
        assert answer.startswith("I drew it. ![")
        assert (await painter.get(answer.rpartition("(")[2].rstrip(")"))).status == 200
    assert events[-1]["files"][0]["mime_type"] == "image/png"


async def test_citations_come_with_the_end_of_the_answer(dify: Simulator) -> None:
    async with client(dify, "kb") as kb, client(dify) as chat:
        cited = (await kb.events("What is the capital of Mars?"))[-1]["metadata"]["retriever_resources"]
        asked_for = (await chat.events("[[cite:guide.pdf]]"))[-1]["metadata"]["retriever_resources"]
        nothing = (await chat.events("Hello"))[-1]["metadata"]["retriever_resources"]
    assert cited[0]["content"].startswith("The capital of the colony on Mars")
    assert [resource["position"] for resource in cited] == list(range(1, len(cited) + 1))
    assert asked_for[0]["document_name"] == "guide.pdf"
    assert nothing == []


async def test_moderation_answers_for_the_model_or_replaces_what_it_said(dify: Simulator) -> None:
    async with client(dify, "moderation") as chat:
        assert await chat.answer("this is forbidden") == "Input was blocked by moderation."
        events = await chat.events("[[reply:one two bad{~}word three]]")
        assert names(events) == ["message", "message_replace", "message_end"]
        assert events[-2]["answer"] == "Output was blocked by moderation."
        assert "three" not in said(events)
        _, blocking = await chat.blocking("[[reply:bad{~}word]]")
        assert blocking["answer"] == "Output was blocked by moderation."


async def test_speech_comes_after_the_end_of_the_answer(dify: Simulator) -> None:
    async with client(dify, "tts") as tts:
        assert names(await tts.events("Hello")) == [
            "message",
            "message_end",
            "tts_message",
            "tts_message_end",
        ]


async def test_an_annotation_answers_in_place_of_the_model(dify: Simulator) -> None:
    async with client(dify, "annotated") as chat:
        events = await chat.events("What is your name?")
    assert said(events) == "My name is Dify, says a note."
    assert events[-1]["metadata"]["annotation_reply"]["account"]["name"] == "Simulator"


# Graphs


async def test_a_workflow_gives_all_its_outputs(dify: Simulator) -> None:
    async with client(dify, "outputs") as workflow:
        events = await workflow.events("[[reply:Hi]]")
        status, blocking = await workflow.blocking("[[reply:Hi]]")
    outputs = events[-1]["data"]["outputs"]
    assert (outputs["result"], outputs["template"]) == ("Hi", "[[reply:Hi]]")
    assert outputs["usage"]["completion_tokens"] == 1
    assert said(events).startswith("Hi\n[[reply:Hi]]\n{")
    assert (status, blocking["data"]["outputs"]["result"]) == (200, "Hi")


async def test_a_failing_workflow_is_http_200_and_failed(dify: Simulator) -> None:
    async with client(dify, "failing") as workflow:
        events = await workflow.events("Hello")
        status, blocking = await workflow.blocking("Hello")
    assert (events[-1]["event"], events[-1]["data"]["status"]) == ("workflow_finished", "failed")
    assert events[-1]["data"]["error"] == "ValueError: code boom"
    assert (status, blocking["data"]["status"]) == (200, "failed")


async def test_a_text_waits_for_nothing_but_what_stands_before_it() -> None:
    graph = (
        Start(),
        LLM(id="one"),
        LLM(id="two"),
        Answer("First {{#two.text#}} then {{#one.text#}}."),
    )
    apps = [AppSpec("flow", "advanced-chat", graph=graph)]
    async with Simulator(apps, pace=0) as dify, client(dify, "flow") as flow:
        events = await flow.events("[[reply:A B]]")
    assert said(events) == "First A B then A B."
    assert names(events)[1:3] == ["node_started", "message"]


async def test_a_node_may_fail_and_the_run_go_on() -> None:
    graph = (Start(), Code(error="boom", fallback={"result": "plan B"}), End({"result": "code.result"}))
    app = AppSpec("flow", "workflow", form=(Field("text"),), graph=graph)
    async with Simulator([app], pace=0) as dify, client(dify, "flow") as flow:
        finished = (await flow.events("Hello"))[-1]["data"]
    assert (finished["status"], finished["exceptions_count"]) == ("partial-succeeded", 1)
    assert finished["outputs"] == {"result": "plan B"}


@pytest.mark.parametrize(
    ("mode", "last"), [("advanced-chat", "message_end"), ("workflow", "workflow_finished")]
)
async def test_a_graph_app_without_a_graph_asks_the_model(mode: Mode, last: str) -> None:
    app = AppSpec("flow", mode, form=(Field("text"),))
    async with Simulator([app], pace=0) as dify, client(dify, "flow") as flow:
        events = await flow.events("[[reply:Hi]]")
    assert (said(events), events[-1]["event"]) == ("Hi", last)


def test_a_graph_that_cannot_run_is_refused() -> None:
    with pytest.raises(ValueError, match="has no graph"):
        AppSpec("chat", "chat", graph=(Start(), LLM(), Answer()))
    with pytest.raises(ValueError, match=r"first node of a graph is a Start\(\)"):
        AppSpec("flow", "workflow", graph=(LLM(), End()))


# Apps that refuse


async def test_apps_refuse_as_they_are_told_to() -> None:
    apps = [
        AppSpec("off", "chat", api_enabled=False),
        AppSpec("locked", "chat", refuses=(400, "provider_not_initialize", "No credentials.")),
        AppSpec("draft", "advanced-chat", published=False),
    ]
    async with Simulator(apps, pace=0) as dify:
        for app, status, code in (
            ("off", 403, "forbidden"),
            ("locked", 400, "provider_not_initialize"),
            ("draft", 400, "invalid_param"),
        ):
            async with client(dify, app) as asker:
                refused, body = await asker.blocking("Hello")
                assert (refused, body["code"]) == (status, code)
        async with client(dify, "draft") as draft, await draft.call("GET", "/parameters") as reply:
            assert reply.status == 400


async def test_parameters_can_be_told_to_be_otherwise() -> None:
    app = AppSpec("chat", "chat", shown={"opening_statement": "Hey", "new_in_dify": True})
    async with Simulator([app], pace=0) as dify, client(dify) as chat:
        parameters = await chat.json("GET", "/parameters")
    assert (parameters["opening_statement"], parameters["new_in_dify"]) == ("Hey", True)


async def test_text_that_no_database_takes_is_an_internal_error(dify: Simulator) -> None:
    async with client(dify) as chat:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {dify.keys['chat']}"}
        body = rb'{"inputs":{},"query":"half \ud83d of a pair","user":"ada"}'
        async with aiohttp.ClientSession() as session:
            reply = await session.post(f"{dify.base_url}/chat-messages", data=body, headers=headers)
            assert reply.status == 500
        assert "🌍" in await chat.answer("[[reply:\U0001f30d]]")
