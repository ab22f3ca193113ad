"""The SDK against a whole Dify, a simulated one, of both versions and with every kind of app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from opendify import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    ProviderUnavailableError,
    RateLimitError,
    WorkflowFailedError,
)
from opendify.simulator import Simulator

from .conftest import Connect, follow

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360f8cfc0000000030001a8f5d4e20000000049454e44ae426082"
)


@pytest.fixture(params=["1.12", "1.16"])
async def simulated(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    async with Simulator(behaviour=request.param, pace=0.001, naming_delay=0) as dify:
        yield dify


def client(connect: Connect, simulated: Simulator, app: str, **options: Any) -> Any:
    """A client of one of the simulator's apps."""
    return connect(simulated.url, **options).with_options(api_key=simulated.keys[app])


CHATS = ["chat", "plain", "kb", "agent", "chatflow", "reasoning", "tts"]


@pytest.mark.parametrize("app", CHATS)
async def test_every_kind_of_chat_says_what_it_is_asked_to(
    connect: Connect, simulated: Simulator, app: str
) -> None:
    dify = client(connect, simulated, app)
    text = "Grüße, 世界! 😀 A second sentence."
    reply = await dify.chat.send(query=f"[[reply:{text}]]")
    assert reply.answer == text
    assert reply.conversation_id
    assert reply.usage.total_tokens > 0
    seen, failure = await follow(dify.chat.stream(query=f"[[reply:{text}]]"))
    assert failure is None
    assert "".join(event.text for event in seen) == text


async def test_a_new_agents_answer_is_said_once(connect: Connect) -> None:
    async with Simulator(behaviour="1.16", pace=0, naming_delay=0) as simulated:
        dify = client(connect, simulated, "new-agent")
        assert (await dify.app.info()).mode == "agent"
        assert (await dify.chat.send(query="[[reply:Once.]]")).answer == "Once."


async def test_a_text_generator_and_a_workflow_say_what_they_are_asked_to(
    connect: Connect, simulated: Simulator
) -> None:
    written = await client(connect, simulated, "completion").completion.send(
        inputs={"query": "[[reply:Written.]]"}
    )
    assert written.answer == "Written."
    run = await client(connect, simulated, "workflow").workflows.run(inputs={"text": "[[reply:Run.]]"})
    assert run.status == "succeeded"
    assert run.outputs == {"result": "Run."}
    assert run.text == "Run."


async def test_a_failing_workflow_raises_with_the_node_that_failed(
    connect: Connect, simulated: Simulator
) -> None:
    with pytest.raises(WorkflowFailedError, match="code boom") as caught:
        await client(connect, simulated, "failing").workflows.run(inputs={"text": "x"})
    assert caught.value.node_title == "Code"
    assert caught.value.reply.workflow_run_id


async def test_a_conversation_goes_on_for_its_user_and_for_no_other(
    connect: Connect, simulated: Simulator
) -> None:
    dify = client(connect, simulated, "chat")
    first = await dify.chat.send(query="My name is Ada.")
    second = await dify.chat.send(query="[[history]]", conversation_id=first.conversation_id)
    assert second.conversation_id == first.conversation_id
    assert "Ada" in second.answer
    with pytest.raises(NotFoundError):
        await dify.chat.send(query="Hi", conversation_id=first.conversation_id, user="mallory")


async def test_apps_tell_their_kind_and_their_form(connect: Connect, simulated: Simulator) -> None:
    kinds = {
        "chat": "chat", "agent": "agent-chat", "chatflow": "advanced-chat",
        "completion": "completion", "workflow": "workflow",
    }  # fmt: skip
    for app, kind in kinds.items():
        dify = client(connect, simulated, app)
        assert (await dify.app.info()).mode == kind
        assert (await dify.app.site()).title
    form = (await client(connect, simulated, "form").app.parameters()).user_input_form
    assert [(field.variable, field.type, field.required) for field in form] == [
        ("name", "text-input", True), ("lang", "select", True), ("age", "number", False),
    ]  # fmt: skip
    assert form[1].options == ["English", "中文"]
    assert (await client(connect, simulated, "agent").app.meta()).tool_icons


async def test_a_form_wants_its_inputs(connect: Connect, simulated: Simulator) -> None:
    dify = client(connect, simulated, "form")
    with pytest.raises(BadRequestError, match="name"):
        await dify.chat.send(query="Hi")
    assert (await dify.chat.send(query="Hi", inputs={"name": "Ada", "lang": "English"})).answer


async def test_an_uploaded_file_goes_with_a_message(connect: Connect, simulated: Simulator) -> None:
    dify = client(connect, simulated, "chat")
    uploaded = await dify.files.upload(PNG, name="dot.png")
    assert (uploaded.extension, uploaded.mime_type, uploaded.size) == ("png", "image/png", len(PNG))
    reply = await dify.chat.send(query="[[reply:I see.]]", files=[uploaded.attachment])
    assert reply.answer == "I see."


async def test_an_agents_steps_and_files_are_told(connect: Connect, simulated: Simulator) -> None:
    dify = client(connect, simulated, "agent")
    reply = await dify.chat.send(query='[[tool:draw:{"prompt": "a red square"}]]')
    assert reply.thoughts[0].tool == "draw"
    assert "red square" in reply.thoughts[0].tool_input
    assert [file.type for file in reply.files] == ["image"]
    assert reply.answer


async def test_citations_are_told(connect: Connect, simulated: Simulator) -> None:
    reply = await client(connect, simulated, "kb").chat.send(query="What is the capital on Mars?")
    assert reply.metadata.retriever_resources
    assert reply.metadata.retriever_resources[0].content


@pytest.mark.parametrize("app", ["chat", "agent", "chatflow"])
async def test_a_stopped_answer_ends_as_usual_with_the_text_so_far(
    connect: Connect, simulated: Simulator, app: str
) -> None:
    dify = client(connect, simulated, app)
    text = ""
    async with dify.chat.stream(query="[[slow:400:0.02]]") as events:
        async for event in events:
            if event.text and not text:
                await dify.chat.stop(event.task_id)
            text += event.text
    assert text
    assert text.count("tick") < 400
    assert simulated.counts().stops == 1


async def test_refusals_are_told(connect: Connect, simulated: Simulator) -> None:
    chat = client(connect, simulated, "chat")
    with pytest.raises(AuthenticationError, match="API Access"):
        await connect(simulated.url).app.info()
    with pytest.raises(BadRequestError, match=r"client\.completion"):
        await client(connect, simulated, "workflow").chat.send(query="Hi")
    with pytest.raises(ProviderUnavailableError):
        await chat.completion.send(inputs={"query": "Hi"})
    with pytest.raises(NotFoundError):
        await chat.chat.send(query="Hi", conversation_id="6b90141f-9cc0-46a1-9102-1dc9918c0f1c")


async def test_an_app_at_its_limit_refuses_and_is_asked_again(connect: Connect, simulated: Simulator) -> None:
    dify = client(connect, simulated, "limit1")
    async with dify.chat.stream(query="[[slow:40:0.02]]") as holding:
        assert await holding.__anext__()
        with pytest.raises(RateLimitError):
            await dify.with_options(max_retries=0).chat.send(query="Hi")
        waiting = asyncio.create_task(dify.with_options(max_retries=6).chat.send(query="[[reply:Then.]]"))
        async for _ in holding:
            pass
        assert (await waiting).answer == "Then."
