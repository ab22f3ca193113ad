"""What is sent, rated, named, set or annotated is there afterwards: for whom, and how long."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from asking import Client, client, names

from opendify.simulator import AppSpec, Behaviour, ConversationVariable, Simulator

_NOBODY = "00000000-0000-4000-8000-000000000000"
BOTH: list[Behaviour] = ["1.12", "1.16"]


@pytest.fixture(params=BOTH)
async def dify(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    async with Simulator(behaviour=request.param, pace=0, naming_delay=0) as dify:
        yield dify


@pytest.fixture
async def chat(dify: Simulator) -> AsyncIterator[Client]:
    async with client(dify) as chat:
        yield chat


async def _asked(chat: Client, query: str = "Hello") -> dict[str, Any]:
    status, reply = await chat.blocking(query)
    assert status == 200, reply
    return dict(reply)


async def _rate(chat: Client, message_id: str, **feedback: Any) -> Any:
    body = {"user": chat.user, **feedback}
    return await chat.json("POST", f"/messages/{message_id}/feedbacks", json=body)


# Feedback and suggestions


async def test_feedback_is_seen_in_the_history_and_in_the_list_of_the_app(chat: Client) -> None:
    first, second = await _asked(chat), await _asked(chat)
    await _rate(chat, first["message_id"], rating="like", content="well done")
    await _rate(chat, second["message_id"], rating="dislike")
    await _rate(chat, first["message_id"], rating="dislike")
    listed = (await chat.json("GET", "/app/feedbacks"))["data"]
    assert [(one["message_id"], one["rating"], one["content"]) for one in listed] == [
        (second["message_id"], "dislike", None),
        (first["message_id"], "dislike", None),
    ]
    assert [datetime.fromisoformat(one["created_at"]).tzinfo for one in listed] == [None, None]
    path = f"/messages?conversation_id={first['conversation_id']}&user=ada"
    assert [one["feedback"] for one in (await chat.json("GET", path))["data"]] == [{"rating": "dislike"}]
    await _rate(chat, first["message_id"], rating=None)
    assert len((await chat.json("GET", "/app/feedbacks?limit=1&page=2"))["data"]) == 0


async def test_feedback_is_for_ones_own_messages(dify: Simulator, chat: Client) -> None:
    message = await _asked(chat)
    async with client(dify, user="mallory") as other:
        refused = await _rate(other, message["message_id"], rating="like")
        assert await other.json("GET", "/app/feedbacks") == {"data": []}
    assert (refused["status"], refused["code"]) == (404, "not_found")


async def test_answers_of_text_generators_are_rated_too(dify: Simulator) -> None:
    async with client(dify, "completion") as writer:
        message = await _asked(writer)
        assert await _rate(writer, message["message_id"], rating="like") == {"result": "success"}
        (listed,) = (await writer.json("GET", "/app/feedbacks"))["data"]
        assert UUID(listed["conversation_id"])
        assert listed["from_source"] == "user"


async def test_questions_are_suggested_unless_the_app_does_not(dify: Simulator, chat: Client) -> None:
    message = await _asked(chat)
    suggested = await chat.json("GET", f"/messages/{message['message_id']}/suggested?user=ada")
    assert suggested["result"] == "success"
    assert len(suggested["data"]) == 3
    async with client(dify, "plain") as plain:
        message = await _asked(plain)
        refused = await plain.json("GET", f"/messages/{message['message_id']}/suggested?user=ada")
        assert (refused["status"], refused["code"]) == (400, "bad_request")


# Names and variables of conversations


async def test_a_new_name_stays(chat: Client) -> None:
    conversation = (await _asked(chat, "What is a comet?"))["conversation_id"]
    path = f"/conversations/{conversation}/name"
    await chat.json("POST", path, json={"name": "Comets", "user": "ada"})
    (listed,) = (await chat.json("GET", "/conversations?user=ada"))["data"]
    assert listed["name"] == "Comets"
    named = await chat.json("POST", path, json={"auto_generate": True, "user": "ada"})
    assert named["name"] == "Simulated title: What is a comet?"


async def _variables(chat: Client, conversation_id: str, more: str = "") -> Any:
    return await chat.json("GET", f"/conversations/{conversation_id}/variables?user={chat.user}{more}")


async def test_a_chatflow_keeps_its_variables_from_turn_to_turn(dify: Simulator) -> None:
    async with client(dify, "memory") as memory:
        first = await memory.events("I am Ada")
        conversation = first[-1]["conversation_id"]
        listed = await _variables(memory, conversation)
        assert [(one["name"], one["value_type"], one["value"]) for one in listed["data"]] == [
            ("last_query", "string", "I am Ada"),
            ("count", "number", "0"),
            ("tags", "array[string]", "[]"),
        ]
        answer = await memory.answer("Who am I?", conversation_id=conversation)
        assert "Before: I am Ada Now: Who am I?" in answer


async def test_a_variable_takes_values_of_its_type_only(dify: Simulator) -> None:
    async with client(dify, "memory") as memory:
        conversation = (await _asked(memory))["conversation_id"]
        listed = (await _variables(memory, conversation))["data"]
        ids = {one["name"]: one["id"] for one in listed}

        async def put(name: str, value: object) -> Any:
            path = f"/conversations/{conversation}/variables/{ids[name]}"
            return await memory.json("PUT", path, json={"value": value, "user": "ada"})

        assert (await put("count", 5))["value"] == "5"
        assert (await put("tags", ["a", "b"]))["value"] == "['a', 'b']"
        assert (await put("tags", []))["value"] == "[]"
        wrong = [("count", "5", "string"), ("last_query", None, "none"), ("tags", [1], "array[number]")]
        for name, value, kind in wrong:
            refused = await put(name, value)
            assert refused["code"] == "bad_request"
            assert refused["message"].endswith(f"but got {kind} type")
        ids["count"] = _NOBODY
        assert (await put("count", 5))["code"] == "not_found"
    async with client(dify, "memory", user="mallory") as other:
        assert (await _variables(other, conversation))["code"] == "not_found"


async def test_variables_come_page_by_page_and_in_the_newer_dify_by_name(dify: Simulator) -> None:
    async with client(dify, "memory") as memory:
        conversation = (await _asked(memory))["conversation_id"]
        first = await _variables(memory, conversation, "&limit=2")
        assert (len(first["data"]), first["has_more"]) == (2, True)
        rest = await _variables(memory, conversation, f"&last_id={first['data'][-1]['id']}")
        assert ([one["name"] for one in rest["data"]], rest["has_more"]) == (["tags"], False)
        assert (await _variables(memory, conversation, f"&last_id={_NOBODY}"))["code"] == "invalid_param"
        named = await _variables(memory, conversation, "&variable_name=count")
        async with await memory.call("GET", "/info") as reply:
            newer = reply.headers["X-Version"].startswith("1.16")
        assert [one["name"] for one in named["data"]] == ["count"] if newer else named["code"] == "unknown"


async def test_two_conversations_have_variables_of_their_own(dify: Simulator) -> None:
    async with client(dify, "memory") as memory:
        one, other = await _asked(memory, "First"), await _asked(memory, "Second")
        values = [
            (await _variables(memory, asked["conversation_id"]))["data"][0]["value"] for asked in (one, other)
        ]
    assert values == ["First", "Second"]


# Annotations


async def _switch(chat: Client, action: str) -> str:
    settings = {"score_threshold": 0.9, "embedding_provider_name": "p", "embedding_model_name": "m"}
    begun = await chat.json("POST", f"/apps/annotation-reply/{action}", json=settings)
    assert begun["job_status"] == "waiting"
    for _ in range(200):
        job = await chat.json("GET", f"/apps/annotation-reply/{action}/status/{begun['job_id']}")
        if job["job_status"] == "completed":
            return str(begun["job_id"])
        await asyncio.sleep(0.01)
    raise AssertionError("the job never ended")


async def test_an_annotation_answers_its_question_while_answers_are_on(chat: Client) -> None:
    note = {"question": "Who are you?", "answer": "A note."}
    created = await chat.json("POST", "/apps/annotations", json=note)
    assert (await _asked(chat, "Who are you?"))["answer"] != "A note."
    await _switch(chat, "enable")
    assert (await chat.json("GET", "/parameters"))["annotation_reply"] == {"enabled": True}
    reply = await _asked(chat, "Who are you?")
    assert reply["answer"] == "A note."
    assert reply["metadata"]["annotation_reply"]["id"] == created["id"]
    await _switch(chat, "disable")
    assert (await _asked(chat, "Who are you?"))["answer"] != "A note."
    (listed,) = (await chat.json("GET", "/apps/annotations"))["data"]
    assert listed["hit_count"] == 1


async def test_a_chatflow_answers_from_an_annotation_without_running(dify: Simulator) -> None:
    async with client(dify, "chatflow") as chatflow:
        await chatflow.json("POST", "/apps/annotations", json={"question": "Who?", "answer": "A note."})
        await _switch(chatflow, "enable")
        happened = names(await chatflow.events("Who?"))
    assert [name for name in happened if name != "ping"] == ["message", "message_end"]


async def test_switching_takes_a_while_and_has_an_effect_when_it_is_done() -> None:
    async with Simulator(pace=0.01, naming_delay=0) as dify, client(dify) as chat:
        settings = {"score_threshold": 0.9, "embedding_provider_name": "p", "embedding_model_name": "m"}
        job = (await chat.json("POST", "/apps/annotation-reply/enable", json=settings))["job_id"]
        status = await chat.json("GET", f"/apps/annotation-reply/enable/status/{job}")
        assert status["job_status"] in ("waiting", "processing")
        assert (await chat.json("GET", "/parameters"))["annotation_reply"] == {"enabled": False}
        other = await chat.json("GET", f"/apps/annotation-reply/disable/status/{job}")
        assert other["message"] == "The job does not exist."


async def test_annotations_are_listed_newest_first_found_by_a_word_and_deleted(chat: Client) -> None:
    ids = [
        (await chat.json("POST", "/apps/annotations", json={"question": f"Q{at}", "answer": f"A{at}"}))["id"]
        for at in range(4)
    ]
    page = await chat.json("GET", "/apps/annotations?limit=2&page=2")
    assert [one["question"] for one in page["data"]] == ["Q1", "Q0"]
    assert (page["total"], page["has_more"]) == (4, True)  # a full page always has more behind it, Dify says
    found = await chat.json("GET", "/apps/annotations?keyword=a3")
    assert [one["question"] for one in found["data"]] == ["Q3"]
    async with await chat.call("DELETE", f"/apps/annotations/{ids[0]}") as reply:
        assert (reply.status, await reply.read()) == (204, b"")
    assert (await chat.json("GET", "/apps/annotations"))["total"] == 3


# Runs


async def test_a_run_can_be_looked_at_while_it_goes_on_and_when_it_is_over(dify: Simulator) -> None:
    async with client(dify, "workflow") as workflow:
        async with await workflow.send("[[slow:3:0.05]]") as reply:
            opening = await reply.content.readuntil(b"inputs")
            run_id = re.findall(rb'"workflow_run_id":"([^"]+)"', opening)[0].decode()
            running = await workflow.json("GET", f"/workflows/run/{run_id}")
            await reply.read()
        over = await workflow.json("GET", f"/workflows/run/{run_id}")
    assert (running["status"], running["finished_at"]) == ("running", None)
    assert (over["status"], over["total_steps"]) == ("succeeded", 3)
    assert isinstance(over["inputs"], str)


async def test_outputs_of_a_run_are_text_or_an_object() -> None:
    for behaviour in BOTH:
        async with Simulator(behaviour=behaviour, pace=0) as dify, client(dify, "workflow") as workflow:
            _, reply = await workflow.blocking("[[reply:Done]]")
            detail = await workflow.json("GET", f"/workflows/run/{reply['workflow_run_id']}")
            expected = {"1.12": '{"result": "Done"}', "1.16": {"result": "Done"}}
            assert detail["outputs"] == expected[behaviour]
            unknown = await workflow.json("GET", f"/workflows/run/{_NOBODY}")
            assert unknown.get("id", "") is None if behaviour == "1.12" else unknown["code"] == "not_found"


async def test_a_log_of_runs_is_asked_by_status_user_word_and_date(dify: Simulator) -> None:
    async with client(dify, "workflow") as ada, client(dify, "workflow", user="bob") as bob:
        await ada.blocking("[[reply:A comet]]")
        await ada.blocking("[[error]]")
        await bob.blocking("[[reply:A planet]]")

        async def total(question: str) -> int:
            return int((await ada.json("GET", f"/workflows/logs?{question}"))["total"])

        now = datetime.now(UTC)
        assert await total("") == 3
        assert await total("status=failed") == 1
        assert await total("created_by_end_user_session_id=bob") == 1
        assert await total("keyword=comet") == 1
        assert await total(f"created_at__before={now.replace(year=now.year - 1):%Y-%m-%dT%H:%M:%SZ}") == 0
        assert await total(f"created_at__after={now.replace(year=now.year - 1):%Y-%m-%dT%H:%M:%S}") == 3
        page = await ada.json("GET", "/workflows/logs?limit=2")
        assert [run["created_by_end_user"]["session_id"] for run in page["data"]] == ["bob", "ada"]
        assert page["has_more"] is True
        refused = await ada.json("GET", "/workflows/logs?created_at__after=yesterday")
        assert refused["code"] == "invalid_param"
        refused = await ada.json("GET", "/workflows/logs?created_by_account=ada@example.com")
        assert refused["message"] == "Account not found: ada@example.com"
    async with client(dify, "chatflow") as chatflow:
        await chatflow.blocking("Hello")
        assert (await chatflow.json("GET", "/workflows/logs"))["total"] == 0


# Speech and files


async def test_speech_says_what_it_says(chat: Client) -> None:
    async with await chat.call("POST", "/text-to-audio", json={"text": "Guten Morgen, 世界"}) as reply:
        assert reply.content_type == "audio/mpeg"
        speech = await reply.read()
    form = aiohttp.FormData({"user": "ada"})
    form.add_field("file", speech, filename="speech.mp3", content_type="audio/mp3")
    assert await chat.json("POST", "/audio-to-text", data=form) == {"text": "Guten Morgen, 世界"}


async def test_an_app_that_neither_hears_nor_speaks_says_so(dify: Simulator) -> None:
    async with client(dify, "plain") as plain:
        spoken = await plain.json("POST", "/text-to-audio", json={"text": "Hello"})
        form = aiohttp.FormData({"user": "ada"})
        form.add_field("file", b"RIFF", filename="speech.wav", content_type="audio/wav")
        heard = await plain.json("POST", "/audio-to-text", data=form)
    assert (spoken["code"], spoken["message"]) == ("invalid_param", "TTS is not enabled")
    assert heard["code"] in ("invalid_param", "speech_to_text_disabled")


async def test_the_answer_of_a_message_is_spoken(chat: Client) -> None:
    message = await _asked(chat, "[[reply:Spoken]]")
    async with await chat.call("POST", "/text-to-audio", json={"message_id": message["message_id"]}) as reply:
        assert b"Spoken" in await reply.read()
    assert await chat.json("POST", "/text-to-audio", json={"message_id": _NOBODY}) is None


async def test_a_text_to_be_spoken_directs_the_faults_of_a_request(chat: Client) -> None:
    async with await chat.call("POST", "/text-to-audio", json={"text": "[[http:502]]"}) as reply:
        assert (reply.status, reply.content_type) == (502, "text/html")


async def test_a_file_is_previewed_by_apps_that_had_it_in_a_message(dify: Simulator, chat: Client) -> None:
    _, file = await chat.upload("cat.png", b"cat")
    path = f"/files/{file['id']}/preview"
    assert (await chat.json("GET", path))["code"] == "file_not_found"
    given = {"type": "image", "transfer_method": "local_file", "upload_file_id": file["id"]}
    await chat.events("Look", files=[given])
    async with await chat.call("GET", path) as reply:
        assert (await reply.read(), reply.content_type) == (b"cat", "image/png")
    async with await chat.call("GET", f"{path}?as_attachment=true") as reply:
        assert reply.headers["Content-Disposition"] == "attachment; filename*=UTF-8''cat.png"
    async with client(dify, "agent") as other:
        assert (await other.json("GET", path))["code"] == "file_access_denied"


async def test_what_is_deleted_with_its_conversation_is_gone(chat: Client) -> None:
    message = await _asked(chat)
    async with await chat.call(
        "DELETE", f"/conversations/{message['conversation_id']}", json={"user": "ada"}
    ) as reply:
        assert reply.status == 204
    assert (await _rate(chat, message["message_id"], rating="like"))["code"] == "not_found"


async def test_an_app_with_variables_of_ones_own() -> None:
    spec = AppSpec("flow", "advanced-chat", variables=(ConversationVariable("n", "number", 1.5),))
    async with Simulator([spec], pace=0, naming_delay=0) as dify, client(dify, "flow") as flow:
        conversation = (await _asked(flow))["conversation_id"]
        (variable,) = (await _variables(flow, conversation))["data"]
    assert (variable["name"], variable["value"]) == ("n", "1.5")


# What newer Dify has besides


async def test_end_users_the_index_and_costs_are_there_in_the_newer_dify_only() -> None:
    for behaviour in BOTH:
        async with Simulator(behaviour=behaviour, pace=0, naming_delay=0) as dify, client(dify) as chat:
            _, file = await chat.upload("cat.png", b"cat")
            message = await _asked(chat, "Hello [[reply:One two]]")
            path = f"/messages?conversation_id={message['conversation_id']}&user=ada"
            (listed,) = (await chat.json("GET", path))["data"]
            async with await chat.call("GET", f"/end-users/{file['created_by']}") as reply:
                status, user = reply.status, await reply.read()
            async with await chat.get(f"{dify.base_url}/") as reply:
                index = await reply.read()
            if behaviour == "1.12":
                assert (status, "answer_tokens" in listed) == (404, False)
                assert b"<title>404" in user
                assert b"<title>404" in index
            else:
                assert b'"session_id":"ada"' in user
                assert b'"server_version":"1.16.0"' in index
                assert (listed["answer_tokens"], listed["extra_contents"]) == (2, [])
                unknown = await chat.json("GET", f"/end-users/{_NOBODY}")
                assert unknown["code"] == "end_user_not_found"
