"""What is changed by one operation is seen by another: the app operations against a whole Dify, simulated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from opendify import (
    AsyncKnowledge,
    BadRequestError,
    Knowledge,
    NotFoundError,
    PermissionDeniedError,
    ResponseError,
    ServerError,
)
from opendify.simulator import AppSpec, ConversationVariable, Simulator, default_apps

from ..conftest import Connect
from ..test_simulator import PNG, client

NOWHERE = "6b90141f-9cc0-46a1-9102-1dc9918c0f1c"
VARIABLES = (
    ConversationVariable("name", "string", "Ada"),
    ConversationVariable("count", "number", 1),
    ConversationVariable("done", "boolean", False),
    ConversationVariable("seen", "array[string]", ["it's", 'a "quote"']),
    ConversationVariable("profile", "object", {"age": 36, "born": None, "ok": True}),
)


@pytest.fixture(params=["1.12", "1.16"])
async def simulated(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    remembering = AppSpec("remembering", "advanced-chat", variables=VARIABLES)
    apps = (*default_apps(request.param), remembering)
    async with Simulator(apps, behaviour=request.param, pace=0.001, naming_delay=0) as dify:
        yield dify


async def talk(dify: Any, *queries: str, **more: Any) -> list[Any]:
    """Ask one after the other in one conversation, and give the replies."""
    replies: list[Any] = []
    for query in queries:
        on = {"conversation_id": replies[0].conversation_id} if replies else {}
        replies.append(await dify.chat.send(query=query, **on, **more))
    return replies


async def every(pages: Any) -> list[Any]:
    return [item async for item in pages]


async def test_conversations_come_in_pages_in_the_order_asked_for(
    connect: Connect, simulated: Simulator
) -> None:
    dify = client(connect, simulated, "chat")
    made = [(await talk(dify, f"Number {number}"))[0].conversation_id for number in range(5)]
    await talk(dify, "Somebody else", user="grace")
    for limit in (2, 5, 20):
        listed = [one.id async for one in dify.conversations.list(limit=limit, sort_by="created_at")]
        assert sorted(listed) == sorted(made)
    pages = [page async for page in dify.conversations.list(limit=2).pages()]
    assert [(len(page.data), page.has_more) for page in pages] == [(2, True), (2, True), (1, False)]
    assert await every(dify.conversations.list(user="nobody")) == []


async def test_a_conversation_is_renamed_named_by_the_model_and_deleted(
    connect: Connect, simulated: Simulator
) -> None:
    dify = client(connect, simulated, "chat")
    (reply,) = await talk(dify, "Hello")
    renamed = await dify.conversations.rename(reply.conversation_id, name="Travel plans")
    assert renamed.name == "Travel plans"
    assert [one.name for one in await every(dify.conversations.list())] == ["Travel plans"]
    named = await dify.conversations.rename(reply.conversation_id, auto_generate=True)
    assert named.name not in ("", "Travel plans")
    with pytest.raises(BadRequestError):
        await dify.conversations.rename(reply.conversation_id)
    for conversation_id, user in ((reply.conversation_id, "mallory"), (NOWHERE, "ada")):
        with pytest.raises(NotFoundError):
            await dify.conversations.rename(conversation_id, name="Mine", user=user)
    await dify.conversations.delete(reply.conversation_id)
    assert await every(dify.conversations.list()) == []


async def test_messages_are_iterated_from_the_newest_to_the_oldest(
    connect: Connect, simulated: Simulator
) -> None:
    dify = client(connect, simulated, "chat")
    replies = await talk(dify, *(f"Number {number}" for number in range(5)))
    conversation_id = replies[0].conversation_id
    for limit in (1, 2, 5, 100):
        listed = await every(dify.messages.list(conversation_id, limit=limit))
        assert [message.query for message in listed] == [f"Number {number}" for number in (4, 3, 2, 1, 0)]
    assert [message.answer for message in listed] == [reply.answer for reply in replies[::-1]]
    first = await dify.messages.list(conversation_id, limit=2).first()
    assert [message.query for message in first.data] == ["Number 3", "Number 4"]
    with pytest.raises(NotFoundError):
        await dify.messages.list(conversation_id, user="mallory").first()


async def test_an_agents_steps_and_files_are_kept_with_its_messages(
    connect: Connect, simulated: Simulator
) -> None:
    dify = client(connect, simulated, "agent")
    (reply,) = await talk(dify, '[[tool:draw:{"prompt": "a red square"}]]')
    (message,) = await every(dify.messages.list(reply.conversation_id))
    step = message.agent_thoughts[0]
    assert (step.id, step.tool) == (reply.thoughts[0].id, "draw")
    (file,) = message.message_files
    assert (file.type, file.belongs_to, step.message_files) == ("image", "assistant", [file.id])


async def test_a_file_of_a_message_comes_back_as_it_was(
    connect: Connect, simulated: Simulator, tmp_path: Path
) -> None:
    dify = client(connect, simulated, "chat")
    uploaded = await dify.files.upload(PNG, name="dot.png")
    with pytest.raises(NotFoundError):
        await dify.files.preview(uploaded.id).read()  # no message has it yet
    (reply,) = await talk(dify, "Look", files=[uploaded.attachment])
    (message,) = await every(dify.messages.list(reply.conversation_id))
    (file,) = message.message_files
    assert file.upload_file_id == uploaded.id
    assert await dify.files.preview(uploaded.id).read() == PNG
    async with dify.files.preview(uploaded.id, as_attachment=True) as download:
        assert (download.mime_type, download.size) == ("application/octet-stream", len(PNG))
    await dify.files.preview(uploaded.id, as_attachment=False).save(tmp_path / "dot.png")
    assert (tmp_path / "dot.png").read_bytes() == PNG
    with pytest.raises(PermissionDeniedError):
        await client(connect, simulated, "agent").files.preview(uploaded.id).read()


async def test_what_a_rating_says_is_listed_until_it_is_taken_back(
    connect: Connect, simulated: Simulator
) -> None:
    dify = client(connect, simulated, "chat")
    replies = await talk(dify, "One", "Two", "Three")
    for reply in replies:
        await dify.feedback.send(reply.message_id, rating="like", content="Just so.")
    await dify.feedback.send(replies[0].message_id, rating="dislike")
    for limit in (1, 2, 3, 101):
        listed = {one.message_id: one.rating async for one in dify.feedback.list(limit=limit)}
        assert listed == {
            reply.message_id: rating
            for reply, rating in zip(replies, ("dislike", "like", "like"), strict=True)
        }
    assert {
        message.feedback.rating for message in await every(dify.messages.list(replies[0].conversation_id))
    } == {
        "like",
        "dislike",
    }
    for reply in replies:
        await dify.feedback.send(reply.message_id, rating=None)
    assert await every(dify.feedback.list()) == []
    with pytest.raises(BadRequestError, match="rating"):
        await dify.feedback.send(replies[0].message_id, rating=None)
    with pytest.raises(NotFoundError):
        await dify.feedback.send(NOWHERE, rating="like")


async def test_questions_are_suggested_where_that_is_on(connect: Connect, simulated: Simulator) -> None:
    dify, plain = client(connect, simulated, "chat"), client(connect, simulated, "plain")
    (reply,) = await talk(dify, "Hello")
    questions = await dify.messages.suggested(reply.message_id)
    assert questions
    assert all(isinstance(question, str) for question in questions)
    (other,) = await talk(plain, "Hello")
    with pytest.raises(BadRequestError, match="Disabled"):
        await plain.messages.suggested(other.message_id)
    with pytest.raises(NotFoundError):
        await dify.messages.suggested(NOWHERE)


async def test_a_chatflows_variables_are_read_by_type_and_written(
    connect: Connect, simulated: Simulator
) -> None:
    dify = client(connect, simulated, "remembering")
    (reply,) = await talk(dify, "Hello")
    for limit in (2, 20):
        listed = await every(dify.conversations.variables(reply.conversation_id, limit=limit))
        assert {one.name: one.value for one in listed} == {one.name: one.value for one in VARIABLES}
    ids = {one.name: one.id for one in listed}
    for name, value in {
        "count": 2.5,
        "seen": ["x"],
        "profile": {"age": 37},
        "done": True,
        "name": "G",
    }.items():
        changed = await dify.conversations.update_variable(reply.conversation_id, ids[name], value=value)
        assert changed.value == value
    again = await every(dify.conversations.variables(reply.conversation_id))
    assert {one.name: one.value for one in again}["profile"] == {"age": 37}
    with pytest.raises(BadRequestError, match="Type mismatch"):
        await dify.conversations.update_variable(reply.conversation_id, ids["count"], value="two")
    with pytest.raises(NotFoundError):
        await dify.conversations.update_variable(reply.conversation_id, NOWHERE, value=1)


async def test_a_variable_is_found_by_its_name_where_dify_can(connect: Connect, simulated: Simulator) -> None:
    dify = client(connect, simulated, "remembering", max_retries=0)
    (reply,) = await talk(dify, "Hello")
    named = dify.conversations.variables(reply.conversation_id, variable_name="count")
    if (await dify.server.info()).server_version.startswith("1.12"):
        with pytest.raises(ServerError):
            await named.first()
    else:
        assert [one.value for one in await every(named)] == [1]


async def test_annotations_are_written_searched_changed_and_deleted(
    connect: Connect, simulated: Simulator
) -> None:
    dify = client(connect, simulated, "chat")
    made = [
        await dify.annotations.create(question=f"Question {number}?", answer=f"Answer {number}.")
        for number in range(4)
    ]
    for limit in (1, 2, 4, 20):  # the last page is full at first: Dify then says falsely that there is more
        listed = await every(dify.annotations.list(limit=limit))
        assert [one.id for one in listed] == [one.id for one in made[::-1]]
    assert [one.answer for one in await every(dify.annotations.list(keyword="question 2"))] == ["Answer 2."]
    changed = await dify.annotations.update(made[0].id, question="Who?", answer="Ada.")
    assert (changed.id, changed.question, changed.answer) == (made[0].id, "Who?", "Ada.")
    for annotation in made:
        await dify.annotations.delete(annotation.id)
    assert (await dify.annotations.list().first()).total == 0
    with pytest.raises(NotFoundError):
        await dify.annotations.delete(made[0].id)
    with pytest.raises(NotFoundError):
        await dify.annotations.update(made[0].id, question="Q", answer="A")


async def test_an_app_answers_with_annotations_while_that_is_on(
    connect: Connect, simulated: Simulator
) -> None:
    dify = client(connect, simulated, "chat")
    await dify.annotations.create(question="Who are you?", answer="A note says: Dify.")
    job = await dify.annotations.enable_reply(
        embedding_provider_name="p", embedding_model_name="m", score_threshold=0.9
    )
    done = await dify.annotations.wait(job.job_id, action="enable")
    assert (done.job_id, done.job_status, done.error_msg) == (job.job_id, "completed", "")
    (hit,) = await talk(dify, "Who are you?")
    assert hit.answer == "A note says: Dify."
    off = await dify.annotations.disable_reply()
    await dify.annotations.wait(off.job_id, action="disable")
    (missed,) = await talk(dify, "Who are you?")
    assert missed.answer != hit.answer
    assert (await dify.annotations.reply_status(off.job_id, action="disable")).done
    with pytest.raises(BadRequestError, match="job"):
        await dify.annotations.reply_status(off.job_id, action="enable")


async def test_speech_becomes_text_and_text_speech(
    connect: Connect, simulated: Simulator, tmp_path: Path
) -> None:
    dify = client(connect, simulated, "chat")
    spoken = await dify.audio.from_text(text="Good morning!", voice="nova").read()
    assert spoken
    (reply,) = await talk(dify, "Hello")
    file = await dify.audio.from_text(message_id=reply.message_id).save(tmp_path / "hello.mp3")
    async with dify.audio.from_text(text="Hi") as speech:
        assert speech.mime_type == "audio/mpeg"
    assert (await dify.audio.to_text(file)).text
    assert (await dify.audio.to_text(spoken, name="morning.mp3")).text
    with pytest.raises(ResponseError, match="message_id"):
        await dify.audio.from_text(message_id=NOWHERE).read()
    with pytest.raises(BadRequestError):
        await client(connect, simulated, "plain").audio.to_text(spoken)


async def test_a_server_tells_its_version_and_an_older_one_knows_less(
    connect: Connect, simulated: Simulator
) -> None:
    dify = client(connect, simulated, "chat")
    info = await dify.server.info()
    (reply,) = await talk(dify, "Hello")
    (message,) = await every(dify.messages.list(reply.conversation_id))
    await dify.feedback.send(reply.message_id, rating="like")
    (rated,) = await every(dify.feedback.list())
    if info.server_version.startswith("1.12."):
        assert message.total_tokens is None
        with pytest.raises(NotFoundError):
            await dify.end_users.get(rated.from_end_user_id)
        return
    assert info.server_version.startswith("1.16.")
    assert message.total_tokens == reply.usage.total_tokens
    assert message.total_price == reply.usage.total_price
    somebody = await dify.end_users.get(rated.from_end_user_id)
    assert (somebody.id, somebody.external_user_id) == (rated.from_end_user_id, "ada")
    with pytest.raises(NotFoundError):
        await dify.end_users.get(NOWHERE)


async def test_a_dataset_key_learns_the_version_as_well(simulated: Simulator) -> None:
    async with AsyncKnowledge("dataset-x", base_url=simulated.base_url) as knowledge:
        told = await knowledge.server.info()
    with Knowledge("dataset-x", base_url=simulated.base_url) as twin:
        assert await asyncio.to_thread(twin.server.info) == told
