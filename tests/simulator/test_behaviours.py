"""Where Dify 1.16, as its reference tells, is another than the recorded 1.12."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from asking import client, names, said

from opendify.simulator import Behaviour, Simulator


@pytest.fixture
async def old() -> AsyncIterator[Simulator]:
    async with Simulator(behaviour="1.12", pace=0, naming_delay=0) as dify:
        yield dify


@pytest.fixture
async def new() -> AsyncIterator[Simulator]:
    async with Simulator(behaviour="1.16", pace=0, naming_delay=0) as dify:
        yield dify


_IMAGE = {"type": "image", "transfer_method": "remote_url", "url": "https://example.com/cat.png"}


async def test_the_version_stands_in_the_headers(old: Simulator, new: Simulator) -> None:
    for dify, version in ((old, "1.12.1"), (new, "1.16.0")):
        async with client(dify) as chat, await chat.call("GET", "/info") as reply:
            assert reply.headers["X-Version"] == version


async def test_text_arrives_as_message_file_in_the_older_one_only(old: Simulator, new: Simulator) -> None:
    for dify, name in ((old, "message_file"), (new, "message")):
        async with client(dify) as chat:
            events = await chat.events("[[reply:A cat]]", files=[_IMAGE])
        assert names(events) == [name, "message_end"]
        assert said(events) == "A cat"


async def test_a_chatflow_ends_with_message_end_or_with_workflow_finished(
    old: Simulator, new: Simulator
) -> None:
    for dify, ends in (
        (old, ["workflow_finished", "message_end"]),
        (new, ["message_end", "workflow_finished"]),
    ):
        async with client(dify, "chatflow") as chatflow:
            assert names(await chatflow.events("Hello"))[-2:] == ends


async def test_a_failed_chatflow_ends_with_an_error_in_both(old: Simulator, new: Simulator) -> None:
    for dify in (old, new):
        async with client(dify, "chatflow") as chatflow:
            assert names(await chatflow.events("[[error]]"))[-2:] == ["workflow_finished", "error"]


async def test_too_many_requests_are_400_in_the_older_one_and_429_in_the_newer(
    old: Simulator, new: Simulator
) -> None:
    for dify, status, code in ((old, 400, "invalid_param"), (new, 429, "too_many_requests")):
        async with client(dify, "limit1") as chat, await chat.send("[[slow:1000:1]]") as held:
            await held.content.readline()
            refused, body = await chat.blocking("Hello")
            assert (refused, body["code"]) == (status, code)
            assert body["message"].startswith("Too many requests.")


async def test_graph_apps_open_with_a_ping_in_the_newer_one(old: Simulator, new: Simulator) -> None:
    for app in ("chatflow", "workflow"):
        async with client(old, app) as before, client(new, app) as after:
            assert (await before.events("Hello"))[0]["event"] == "workflow_started"
            opening = await after.events("Hello")
            assert names(opening)[:2] == ["ping", "workflow_started"]
            assert opening[1]["data"]["reason"] == "initial"


async def test_separated_reasoning_is_streamed_apart_in_the_newer_one(old: Simulator, new: Simulator) -> None:
    question = "[[think:Hm, let me see]][[reply:Yes]]"
    async with client(old, "reasoning") as before, client(new, "reasoning") as after:
        assert await before.answer(question) == "<think>\nHm, let me see\n</think>\nYes"
        events = await after.events(question)
    assert said(events) == "Yes"
    chunks = [event["data"] for event in events if event["event"] == "reasoning_chunk"]
    assert "".join(chunk["reasoning"] for chunk in chunks) == "Hm, let me see"
    assert [chunk["is_final"] for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert {chunk["node_id"] for chunk in chunks} == {"llm"}


async def test_a_new_agent_says_its_whole_answer_once_more_at_the_end(new: Simulator) -> None:
    async with client(new, "new-agent") as agent:
        events = await agent.events("[[reply:It is late]]")
        status, body = await agent.blocking("Hello")
    assert names(events)[-3:] == ["agent_thought", "message", "message_end"]
    assert events[-2]["answer"] == "It is late"
    assert list(events[-1]["metadata"]) == ["usage"]
    assert (status, body["message"]) == (400, "Agent App only supports streaming response mode.")


async def test_a_new_agent_streams_when_it_is_not_told_how(new: Simulator) -> None:
    async with client(new, "new-agent") as agent, await agent.send("Hello", response_mode=None) as reply:
        assert reply.headers["Content-Type"].startswith("text/event-stream")


@pytest.mark.parametrize(("behaviour", "status"), [("1.12", 200), ("1.16", 400)])
async def test_a_file_of_another_user_is_taken_by_the_older_one_only(
    behaviour: Behaviour, status: int
) -> None:
    async with Simulator(behaviour=behaviour, pace=0, naming_delay=0) as dify:
        async with client(dify, user="grace") as grace:
            _, file = await grace.upload("a.png", b"png")
        item = {"type": "image", "transfer_method": "local_file", "upload_file_id": file["id"]}
        async with client(dify, user="ada") as chat:
            assert (await chat.blocking("[[files]]", files=[item]))[0] == status


async def test_an_upload_has_one_more_field_and_a_large_one_no_message_in_the_newer(
    old: Simulator, new: Simulator
) -> None:
    for dify, has_reference, message in ((old, False, "File size exceeded. {message}"), (new, True, "")):
        async with client(dify) as chat:
            status, uploaded = await chat.upload("a.png", b"png")
            assert (status, "reference" in uploaded) == (201, has_reference)
            status, refused = await chat.upload("a.png", bytes(10 * 1024 * 1024 + 1))
            assert (status, refused["message"]) == (413, message)


async def test_an_empty_blocking_answer_is_an_error_in_the_older_one_only(
    old: Simulator, new: Simulator
) -> None:
    for dify, status in ((old, 400), (new, 200)):
        async with client(dify) as chat:
            assert (await chat.blocking("[[empty]]"))[0] == status
