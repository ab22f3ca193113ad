"""Types are behaviour, so they are tested: mypy and pyright check this file. It is not meant to be run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, assert_never, assert_type

import httpx2

import opendify
import opendify.types
from opendify import (
    AsyncDify,
    AsyncKnowledge,
    AsyncStream,
    AsyncTransport,
    Dify,
    HttpxTransport,
    Reply,
    RequestInfo,
    ResponseInfo,
    Stream,
    Timeout,
    Transport,
)
from opendify.httptools import HttptoolsTransport
from opendify.types import (
    AgentMessageEvent,
    AgentThought,
    AgentThoughtEvent,
    AppInfo,
    ChatEvent,
    ChatReply,
    CompletionEvent,
    CompletionReply,
    FormField,
    HumanInputAnswer,
    HumanInputForm,
    MessageEndEvent,
    MessageEvent,
    MessageFile,
    MessageFileEvent,
    MessageReplaceEvent,
    OtherEvent,
    PausedData,
    PauseReason,
    PingEvent,
    RetrieverResource,
    StreamGapEvent,
    TextChunkEvent,
    TtsMessageEndEvent,
    TtsMessageEvent,
    UploadedFile,
    Usage,
    WorkflowEvent,
    WorkflowFinishedEvent,
    WorkflowReply,
)


async def calls_give_what_they_say(dify: AsyncDify, picture: Path) -> None:
    assert_type(await dify.app.info(), AppInfo)
    assert_type((await dify.app.parameters()).user_input_form, list[FormField])
    reply = await dify.chat.send(query="Hi", user="ada")
    assert_type(reply, ChatReply)
    assert_type(reply.usage, Usage)
    assert_type(reply.files, list[MessageFile])
    assert_type(await dify.completion.send(inputs={}), CompletionReply)
    assert_type(await dify.workflows.run(), WorkflowReply)
    assert_type(await dify.chat.stop("t"), None)
    uploaded = await dify.files.upload(picture)
    assert_type(uploaded, UploadedFile)
    await dify.chat.send(query="What is it?", files=[uploaded.attachment])
    await dify.chat.send(
        query="And this?",
        files=[{"type": "image", "transfer_method": "remote_url", "url": "https://x/y.png"}],
    )
    await dify.chat.send(
        query="No such kind",
        files=[{"type": "picture", "transfer_method": "remote_url", "url": ""}],  # type: ignore[typeddict-item]  # pyright: ignore[reportArgumentType]
    )
    await dify.chat.send(qery="misspelt")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def chat_events_narrow_by_their_name(dify: AsyncDify) -> None:
    stream = dify.chat.stream(query="Hi")
    assert_type(stream, AsyncStream[ChatEvent, ChatReply])
    async with stream as events:
        async for event in events:
            assert_type(event.text, str)
            if event.event == "message":
                assert_type(event, MessageEvent)
                assert_type(event.answer, str)
            elif event.event == "agent_message":
                assert_type(event, AgentMessageEvent)
            elif event.event == "agent_thought":
                assert_type(event, AgentThoughtEvent)
                assert_type(event.tool, str)
            elif event.event == "message_file":
                assert_type(event, MessageFileEvent)
                assert_type(event.answer, str | None)
                assert_type(event.file, MessageFile | None)
            elif event.event == "message_end":
                assert_type(event, MessageEndEvent)
                assert_type(event.metadata.usage, Usage | None)
            elif event.event == "workflow_finished":
                assert_type(event, WorkflowFinishedEvent)
            elif event.event == "other":
                assert_type(event, OtherEvent)
                assert_type(event.name, str)


def all_events_of_a_text_generator_can_be_told_apart(event: CompletionEvent) -> None:
    match event:
        case MessageEvent() | MessageReplaceEvent() | MessageFileEvent() | MessageEndEvent():
            pass
        case TtsMessageEvent() | TtsMessageEndEvent() | PingEvent() | OtherEvent():
            pass
        case _:
            assert_never(event)


def workflow_events_narrow_by_their_class(event: WorkflowEvent) -> None:
    if isinstance(event, TextChunkEvent):
        assert_type(event.event, Literal["text_chunk"])
        assert_type(event.data.text, str)
    if event.event == "message":  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
        pass


def the_sync_twin_has_the_same_types(dify: Dify) -> None:
    assert_type(dify.app.info(), AppInfo)
    assert_type(dify.chat.send(query="Hi"), ChatReply)
    assert_type(dify.workflows.stream(), Stream[WorkflowEvent, WorkflowReply])
    with dify.completion.stream(inputs={}) as events:
        assert_type(next(events), CompletionEvent)
        assert_type(events.read(), list[bytes] | None)
    assert_type(dify.with_options(user="ada"), Dify)


def transports_are_what_the_protocols_ask_for() -> None:
    a: AsyncTransport = HttptoolsTransport()
    b: Transport = HttpxTransport()
    AsyncDify("app-x", transport=a)
    Dify("app-x", transport=b)
    Dify("app-x", transport=a)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def streams_put_themselves_together(dify: AsyncDify) -> None:
    async with dify.chat.stream(query="Hi") as chat:
        assert_type(chat, AsyncStream[ChatEvent, ChatReply])
        async for text in chat.text():
            assert_type(text, str)
        assert_type(chat.so_far, ChatReply)
        assert_type(await chat.reply(), ChatReply)
        assert_type(chat.so_far.citations, list[RetrieverResource])
        assert_type(chat.so_far.thoughts, list[AgentThought])
    async with dify.workflows.events("r", include_state_snapshot=True, continue_on_pause=True) as run:
        assert_type(await run.reply(), WorkflowReply)
        async for event in run:
            if event.event == "stream_gap":
                assert_type(event, StreamGapEvent)
                assert_type(event.lost, list[Literal["text", "reasoning", "usage"]])
            elif event.event == "human_input_required":
                assert_type(event.data, HumanInputForm)
            elif event.event == "workflow_paused":
                assert_type(event.data.forms, list[PauseReason])


async def forms_are_answered_by_a_function_that_fits_the_client(dify: AsyncDify, sync: Dify) -> None:
    def at_once(form: HumanInputForm) -> HumanInputAnswer:
        return HumanInputAnswer(form.actions[0].id, {"remark": "Fine."})

    async def later(form: HumanInputForm) -> HumanInputAnswer:
        return at_once(form)

    assert_type(await dify.workflows.run(human_input=later), WorkflowReply)
    assert_type(await dify.chat.send(query="Hi", human_input=later, resume=False), ChatReply)
    assert_type(sync.workflows.run(human_input=at_once), WorkflowReply)
    dify.chat.stream(query="Hi", human_input=at_once)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sync.chat.stream(query="Hi", human_input=later)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    paused = (await dify.chat.send(query="Hi")).paused
    assert_type(paused, PausedData | None)


def names_that_are_not_there_are_missed() -> None:
    print(opendify.Nothing)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    print(opendify.types.Nothing)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]


def what_a_client_can_be_told_is_typed(bare: httpx2.Client, bare_async: httpx2.AsyncClient) -> None:
    seen: list[RequestInfo | ResponseInfo] = []
    dify = Dify("app-x", http_client=bare, timeout=5, on_request=seen.append, on_response=seen.append)
    assert_type(dify.with_options(timeout=Timeout(silence=9), api_key="app-y"), Dify)
    assert_type(AsyncKnowledge("dataset-x", http_client=bare_async).with_options(timeout=1.5), AsyncKnowledge)
    AsyncDify("app-x", http_client=bare)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(dify.request("POST", "/a", form={"a": "b"}, file=Path("a"), headers={"a": "b"}), Reply)
