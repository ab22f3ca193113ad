"""What the simulated Dify remembers, and of whom."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from asking import Client, client, said

from opendify.simulator import Simulator


@pytest.fixture
async def dify() -> AsyncIterator[Simulator]:
    async with Simulator(pace=0, naming_delay=0) as dify:
        yield dify


@pytest.fixture
async def chat(dify: Simulator) -> AsyncIterator[Client]:
    async with client(dify) as chat:
        yield chat


async def _begin(chat: Client, query: str = "[[reply:Hi Ada]]") -> str:
    status, reply = await chat.blocking(query)
    assert status == 200
    return str(reply["conversation_id"])


@pytest.mark.parametrize("app", ["chat", "agent", "chatflow"])
async def test_the_model_sees_the_earlier_turns_of_its_conversation(dify: Simulator, app: str) -> None:
    async with client(dify, app) as talker:
        first = await talker.events("I am Ada [[notool]][[reply:Hi Ada]]")
        seen = json.loads(
            await talker.answer("[[notool]][[history]]", conversation_id=first[0]["conversation_id"])
        )
    assert [message["content"] for message in seen if message["role"] != "system"] == [
        "I am Ada [[notool]][[reply:Hi Ada]]",
        "Hi Ada",
        "[[notool]][[history]]",
    ]


@pytest.mark.parametrize("app", ["chat", "agent", "chatflow"])
async def test_a_script_is_followed_turn_by_turn_faults_included(dify: Simulator, app: str) -> None:
    script = "[[notool]] [[reply:One]] [[then]] [[http:429]]"
    async with client(dify, app) as talker:
        first = await talker.events(script)
        conversation_id = first[0]["conversation_id"]
        async with await talker.send("And?", conversation_id=conversation_id) as refused:
            assert refused.status == 429
        other = await talker.answer("[[notool]] [[reply:New]]", conversation_id=conversation_id)
    assert (said(first), other) == ("One", "New")


async def test_a_script_is_read_to_its_end_when_it_is_given(chat: Client) -> None:
    status, refusal = await chat.blocking("[[reply:One]] [[then]] [[as:morse]]")
    assert status == 400
    assert "[[as:morse]]" in refusal["message"]


async def test_a_new_conversation_knows_nothing_of_others(chat: Client) -> None:
    await _begin(chat)
    seen = json.loads(await chat.answer("[[history]]"))
    assert [message["role"] for message in seen] == ["system", "user"]


async def test_a_conversation_is_unknown_to_others_and_after_its_deletion(
    dify: Simulator, chat: Client
) -> None:
    conversation = await _begin(chat)
    async with client(dify, user="mallory") as other_user, client(dify, "plain") as other_app:
        refusals = [
            await asker.blocking("Hello", conversation_id=conversation) for asker in (other_user, other_app)
        ]
    deleted = await chat.call("DELETE", f"/conversations/{conversation}", json={"user": "ada"})
    assert deleted.status == 204
    refusals.append(await chat.blocking("Hello", conversation_id=conversation))
    never_was = "11111111-1111-4111-8111-111111111111"
    refusals.append(await chat.blocking("Hello", conversation_id=never_was))
    assert [status for status, _ in refusals] == [404] * 4
    assert all(body == refusals[0][1] for _, body in refusals)
    assert refusals[0][1]["message"].startswith("Conversation Not Exists.")


async def test_another_user_deletes_nothing(dify: Simulator, chat: Client) -> None:
    conversation = await _begin(chat)
    reply = await chat.call("DELETE", f"/conversations/{conversation}", json={"user": "mallory"})
    assert reply.status == 204
    status, _ = await chat.blocking("Hello", conversation_id=conversation)
    assert status == 200


async def test_conversations_are_listed_newest_first_and_page_by_page(chat: Client) -> None:
    made = [await _begin(chat) for _ in range(3)]
    first = await chat.json("GET", "/conversations?user=ada&limit=2")
    assert [conversation["id"] for conversation in first["data"]] == made[:0:-1]
    assert first["has_more"] is True
    second = await chat.json("GET", f"/conversations?user=ada&limit=2&last_id={made[1]}")
    assert [conversation["id"] for conversation in second["data"]] == made[:1]
    assert second["has_more"] is False


async def test_messages_are_listed_oldest_first(chat: Client) -> None:
    conversation = await _begin(chat)
    await chat.blocking("[[reply:two]]", conversation_id=conversation)
    listed = await chat.json("GET", f"/messages?user=ada&conversation_id={conversation}")
    assert [message["answer"] for message in listed["data"]] == ["Hi Ada", "two"]


async def test_a_conversation_is_named_unless_the_request_says_no(chat: Client) -> None:
    await chat.blocking("What is Dify?", auto_generate_name=True)
    await chat.blocking("What is Dify?", auto_generate_name=False)
    listed = await chat.json("GET", "/conversations?user=ada")
    assert [conversation["name"] for conversation in listed["data"]] == [
        "New conversation",
        "Simulated title: What is Dify?",
    ]


async def test_a_failed_turn_is_kept_with_its_error_and_without_its_text(chat: Client) -> None:
    events = await chat.events("[[error:rate_limit]]")
    listed = await chat.json("GET", f"/messages?user=ada&conversation_id={events[0]['conversation_id']}")
    (message,) = listed["data"]
    assert (message["answer"], message["status"]) == ("", "error")
    assert "Rate Limit Error" in message["error"]


async def test_a_refused_question_leaves_no_conversation(chat: Client) -> None:
    reply = await chat.send("[[http:limit]]")
    assert reply.status == 400
    listed = await chat.json("GET", "/conversations?user=ada")
    assert listed["data"] == []


async def test_files_of_a_message_are_listed_with_it_and_served(dify: Simulator, chat: Client) -> None:
    events = await chat.events("[[file]]")
    (made,) = [event for event in events if event["event"] == "message_file"]
    listed = await chat.json("GET", f"/messages?user=ada&conversation_id={made['conversation_id']}")
    (file,) = listed["data"][0]["message_files"]
    assert (file["belongs_to"], file["mime_type"]) == ("assistant", "image/png")
    for url in (made["url"], file["url"]):
        reply = await chat.get(url)
        assert reply.headers["Content-Type"] == "image/png"
        assert (await reply.read()).startswith(b"\x89PNG")
    forged = await chat.get(made["url"].replace("sign=", "sign=x"))
    assert forged.status == 404
