"""Following an answer: what a reader of a stream can rely on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic_core import from_json

from opendify import (
    APIStatusError,
    AsyncDify,
    AsyncTransport,
    MalformedStreamError,
    ModelError,
    RateLimitError,
    TruncatedStreamError,
    WorkflowFailedError,
)
from opendify.types import ClosingMessageEvent, MessageEvent, MessageFileEvent, OtherEvent

from .conftest import Connect, follow
from .wire_server import Close, Pause, Reset, WaitForClient, WireServer, event, events

IDS = {"conversation_id": "c", "message_id": "m", "task_id": "t", "created_at": 1}
HEL, LO = event(event="message", answer="Hel", **IDS), event(event="message", answer="lo", **IDS)
END = event(event="message_end", metadata={"usage": {"total_tokens": 3}}, **IDS)
RUN = event(event="workflow_started", workflow_run_id="r", data={"id": "r"}, **IDS)


def finished(status: str = "succeeded", **data: object) -> bytes:
    return event(event="workflow_finished", workflow_run_id="r", data={"status": status, **data}, **IDS)


def error(message: str = "boom", code: str = "completion_request_error", status: int = 400) -> bytes:
    return event(event="error", code=code, message=message, status=status)


async def test_text_comes_as_it_is_written(connect: Connect) -> None:
    """The second piece is sent only when the client has seen the first."""
    with WireServer(events(HEL, WaitForClient())) as server:
        async with connect(server).chat.stream(query="Hi") as reader:
            assert (await reader.__anext__()).text == "Hel"


@pytest.mark.parametrize(
    "told",
    [
        [HEL, LO, END],
        [RUN, HEL, LO, finished(), END],
        [RUN, HEL, LO, END, finished()],
        [RUN, HEL, LO, finished("stopped", error="Stopped by user."), END],
        [RUN, HEL, LO, finished("partial-succeeded"), END],
        [HEL, LO, END, event(event="tts_message", audio="AA=="), event(event="tts_message_end")],
        [RUN, HEL, LO, event(event="human_input_required", data={}), event(event="workflow_paused", data={})],
    ],
    ids=["chat", "chatflow 1.12", "chatflow 1.16", "stopped", "partial", "speech after the end", "paused"],
)  # fmt: skip
async def test_each_way_in_which_an_answer_ends_is_an_end(connect: Connect, told: list[bytes]) -> None:
    with WireServer(events(*told)) as server:
        dify = connect(server)
        seen, failure = await follow(dify.chat.stream(query="Hi"))
        assert failure is None
        assert "".join(e.text for e in seen) == "Hello"
        assert len(seen) == len(told)
        assert (await dify.chat.send(query="Hi")).answer == "Hello"


@pytest.mark.parametrize(
    "told",
    [
        [],
        [HEL],
        [HEL, LO],
        [RUN, HEL, LO],
        [RUN, HEL, LO, END],
        [RUN, HEL, LO, finished()],
        [b"event: ping\n\n"],
        [HEL, END[:-1]],
        [HEL, END[:20]],
    ],
)
@pytest.mark.parametrize("how", ["ended", "closed", "reset"])
async def test_an_answer_that_ends_before_its_end_is_truncated_and_its_text_is_kept(
    connect: Connect, told: list[bytes], how: str
) -> None:
    cut: list[Any] = {"ended": [], "closed": [Close()], "reset": [Pause(0.2), Reset()]}[how]
    with WireServer(events(*told, *cut, end=how == "ended")) as server:
        dify = connect(server)
        seen, failure = await follow(dify.chat.stream(query="Hi"))
        assert isinstance(failure, TruncatedStreamError)
        whole = [part for part in told if part.startswith(b"data") and part.endswith(b"\n\n")]
        assert len(seen) == len(whole)
        with pytest.raises(TruncatedStreamError):
            await dify.chat.send(query="Hi")


async def test_what_had_arrived_before_the_connection_broke_is_not_lost_on_a_slow_reader(
    connect: Connect,
) -> None:
    with WireServer([*events(HEL, LO, end=False), Close()]) as server:
        async with connect(server).chat.stream(query="Hi") as reader:
            await asyncio.sleep(0.3)
            assert (await reader.__anext__()).text == "Hel"
            assert (await reader.__anext__()).text == "lo"
            with pytest.raises(TruncatedStreamError):
                await reader.__anext__()


async def test_a_connection_that_breaks_after_the_last_word_has_broken_nothing(connect: Connect) -> None:
    for last in (Close(), Reset()):
        with WireServer([*events(HEL, LO, END, Pause(0.1), end=False), last]) as server:
            assert (await connect(server).chat.send(query="Hi")).answer == "Hello"


@pytest.mark.parametrize("before", [[], [HEL], [b"event: ping\n\n", HEL, LO]])
async def test_an_error_event_is_raised_and_nothing_comes_after_it(
    connect: Connect, before: list[bytes]
) -> None:
    with WireServer(events(*before, error(), LO, END)) as server:
        dify = connect(server)
        seen, failure = await follow(dify.chat.stream(query="Hi"))
        assert isinstance(failure, ModelError)
        assert failure.in_stream
        assert failure.message == "boom"
        assert len(seen) == len([part for part in before if part.startswith(b"data")])
        async with dify.chat.stream(query="Hi") as reader:
            with pytest.raises(ModelError):
                async for _ in reader:
                    pass
            assert [e async for e in reader] == []
    assert len(server.requests) == 2


async def test_a_refusal_within_a_stream_is_not_tried_again(connect: Connect) -> None:
    with (
        WireServer(events(error("Too many requests. Please try again later.", "invalid_param"))) as server,
        pytest.raises(RateLimitError),
    ):
        await connect(server).chat.send(query="Hi")
    assert len(server.requests) == 1


async def test_a_chatflow_that_fails_says_which_node_and_keeps_the_text(connect: Connect) -> None:
    node = event(event="node_finished", data={"title": "LLM", "status": "failed", "error": "no"}, **IDS)
    failing = [RUN, HEL, node, finished("failed", error="no"), error("Run failed: no", "invalid_param")]
    with WireServer(events(*failing)) as server:
        with pytest.raises(WorkflowFailedError, match="in node 'LLM': no") as caught:
            await connect(server).chat.send(query="Hi")
        assert isinstance(caught.value.__cause__, APIStatusError)
        assert caught.value.reply.answer == "Hel"  # type: ignore[union-attr]
        seen, failure = await follow(connect(server).chat.stream(query="Hi"))
        assert isinstance(failure, APIStatusError)
        assert [e.event for e in seen][-1] == "workflow_finished"


async def test_a_workflow_that_fails_ends_its_stream_and_raises_from_run(connect: Connect) -> None:
    node = event(event="node_finished", data={"title": "Code", "status": "failed", "error": "no"})
    with WireServer(events(RUN, node, finished("failed", error="no"))) as server:
        dify = connect(server)
        seen, failure = await follow(dify.workflows.stream())
        assert failure is None
        assert seen[-1].data.status == "failed"
        with pytest.raises(WorkflowFailedError, match="in node 'Code'"):
            await dify.workflows.run()


async def test_a_workflow_that_waits_for_a_person_is_returned_as_paused(connect: Connect) -> None:
    paused = event(
        event="workflow_paused",
        data={"workflow_run_id": "r", "paused_nodes": ["human"], "reasons": [], "status": "paused"},
    )
    with WireServer(events(RUN, paused)) as server:
        reply = await connect(server).workflows.run()
    assert reply.status == "paused"
    assert reply.paused is not None
    assert reply.paused.paused_nodes == ["human"]


async def test_an_event_that_nobody_knows_is_passed_on_whole(connect: Connect) -> None:
    strange = event(event="parallel_branch_started", data={"a": [1]}, **IDS)
    with WireServer(events(strange, HEL, LO, event(event="message_end", new={"x": 1}, **IDS))) as server:
        seen, failure = await follow(connect(server).chat.stream(query="Hi"))
    assert failure is None
    assert isinstance(seen[0], OtherEvent)
    assert seen[0].name == "parallel_branch_started"
    assert seen[0].payload == from_json(strange[6:])
    assert seen[0].task_id == "t"
    assert seen[-1].model_extra == {"new": {"x": 1}}


async def test_the_whole_answer_that_a_new_agent_sends_at_its_end_is_not_said_twice(connect: Connect) -> None:
    told = [
        event(event="agent_thought", id="1", position=1, thought="", **IDS),
        event(event="agent_message", answer="Hel", **IDS),
        event(event="agent_message", answer="lo", **IDS),
        event(event="message", answer="Hello", **IDS),
        END,
    ]
    with WireServer(events(*told)) as server:
        dify = connect(server)
        seen, _ = await follow(dify.chat.stream(query="Hi"))
        assert (await dify.chat.send(query="Hi")).answer == "Hello"
    assert "".join(e.text for e in seen) == "Hello"
    closing = seen[3]
    assert isinstance(closing, ClosingMessageEvent)
    assert isinstance(closing, MessageEvent)
    assert (closing.event, closing.answer, closing.text, closing.message_id) == ("message", "Hello", "", "m")


async def test_the_whole_answer_at_the_end_counts_where_it_differs_from_its_pieces(connect: Connect) -> None:
    pieces = event(event="agent_message", answer="Helo", **IDS)
    with WireServer(events(pieces, event(event="message", answer="Hello", **IDS), END)) as server:
        assert (await connect(server).chat.send(query="Hi")).answer == "Hello"


async def test_an_annotation_hit_of_an_agent_comes_as_message_and_is_text(connect: Connect) -> None:
    with WireServer(events(HEL, LO, END)) as server:
        assert (await connect(server).chat.send(query="Hi")).answer == "Hello"


async def test_text_that_dify_1_12_calls_a_file_is_text_and_a_file_is_a_file(connect: Connect) -> None:
    told = [
        event(event="message_file", id="m", answer="Hel", from_variable_selector=None, **IDS),
        event(
            event="message_file", id="f", type="image", belongs_to="assistant", url="http://x/a.png", **IDS
        ),
        event(event="message_file", id="m", answer="lo", from_variable_selector=None, **IDS),
        END,
    ]
    with WireServer(events(*told)) as server:
        dify = connect(server)
        seen, _ = await follow(dify.chat.stream(query="Hi"))
        reply = await dify.chat.send(query="Hi")
    assert [e.text for e in seen] == ["Hel", "", "lo", ""]
    assert isinstance(seen[1], MessageFileEvent)
    assert seen[0].file is None
    assert seen[1].file.url == "http://x/a.png"
    assert reply.answer == "Hello"
    assert [file.id for file in reply.files] == ["f"]


async def test_moderation_replaces_the_answer(connect: Connect) -> None:
    replaced = event(event="message_replace", answer="Sorry.", reason="output_moderation", **IDS)
    with WireServer(events(HEL, LO, replaced, END)) as server:
        reply = await connect(server).chat.send(query="Hi")
    assert reply.answer == "Sorry."
    assert reply.replaced


async def test_what_a_chatflow_thinks_is_kept_apart(connect: Connect) -> None:
    thinking = [
        event(event="reasoning_chunk", data={"reasoning": part, "is_final": False}) for part in ("I ", "see")
    ]
    with WireServer(events(RUN, *thinking, HEL, LO, END, finished(outputs={"answer": "Hello"}))) as server:
        reply = await connect(server).chat.send(query="Hi")
    assert (reply.reasoning, reply.answer) == ("I see", "Hello")
    assert reply.outputs == {"answer": "Hello"}
    assert reply.workflow_run_id == "r"
    assert reply.workflow_status == "succeeded"


@pytest.mark.parametrize(
    "broken",
    [
        b'data: {"event": "message", "answer": \n\n',
        b"data: [1]\n\n",
        b"data: [DONE]\n\n",
        b'data: {"event": "message", "answer": 5}\n\n',
        b'data: {"event": "workflow_finished"}\n\n',
        b'data: {"event": "message", "answer": "\xff"}\n\n',
    ],
)
async def test_a_broken_event_is_told_after_the_good_ones_before_it(connect: Connect, broken: bytes) -> None:
    with WireServer(events(HEL + broken + LO, END)) as server:
        seen, failure = await follow(connect(server).chat.stream(query="Hi"))
    assert [e.text for e in seen] == ["Hel"]
    assert isinstance(failure, MalformedStreamError)
    assert failure.__cause__ is None or isinstance(failure.__cause__, UnicodeDecodeError)


async def test_an_event_of_five_megabytes_comes_through(connect: Connect) -> None:
    long = "x" * 5_000_000
    large = event(event="message", answer=long, **IDS)
    with WireServer(events(large[:1000], large[1000:], END)) as server:
        dify = connect(server)
        assert (await dify.chat.send(query="Hi")).answer == long
        with pytest.raises(MalformedStreamError, match="max_event_bytes"):
            await dify.with_options(max_event_bytes=1_000_000).chat.send(query="Hi")


async def test_reading_payloads_judges_nothing(connect: Connect) -> None:
    ping = b"event: ping\n\n"
    with WireServer(events(ping + HEL + LO, Pause(0.2), error())) as server:
        async with connect(server).chat.stream(query="Hi") as reader:
            assert reader.response.status == 200
            assert reader.response.headers["X-Version"] == "1.12.1"
            told: list[bytes] = []
            while (payloads := await reader.read()) is not None:
                told += payloads
            assert await reader.read() is None
    assert told == [HEL[6:-2], LO[6:-2], error()[6:-2]]


async def test_payloads_of_one_read_come_together(connect: Connect) -> None:
    with WireServer(events(HEL + LO + END)) as server:
        async with connect(server).chat.stream(query="Hi") as reader:
            assert await reader.read() == [HEL[6:-2], LO[6:-2], END[6:-2]]


async def test_a_lost_connection_is_told_while_reading_payloads(connect: Connect) -> None:
    with WireServer(events(HEL, Close(), end=False)) as server:
        async with connect(server).chat.stream(query="Hi") as reader:
            assert await reader.read() == [HEL[6:-2]]
            with pytest.raises(TruncatedStreamError, match="broke off"):
                await reader.read()


async def test_a_cancelled_read_loses_nothing(transport: AsyncTransport) -> None:
    with WireServer(events(HEL, Pause(0.3), LO[:40], Pause(0.3), LO[40:], END)) as server:
        dify = AsyncDify("app-x", base_url=server.url, user="ada", transport=transport)
        text, waits = "", 0
        async with dify.chat.stream(query="Hi") as reader:
            while True:
                try:
                    text += (await asyncio.wait_for(anext(reader), 0.05)).text
                except TimeoutError:
                    waits += 1
                except StopAsyncIteration:
                    break
    assert text == "Hello"
    assert waits >= 4


async def test_leaving_while_a_read_is_under_way_closes_the_connection_and_leaves_no_task(
    transport: AsyncTransport,
) -> None:
    with WireServer(events(HEL, WaitForClient())) as server:
        dify = AsyncDify("app-x", base_url=server.url, user="ada", transport=transport)

        async def read_on() -> None:
            async with dify.chat.stream(query="Hi") as reader:
                async for _ in reader:
                    reached.set()

        reached = asyncio.Event()
        reading = asyncio.create_task(read_on())
        await reached.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await server.client_closed()
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_cancelled_call_that_waits_for_the_head_closes_the_connection(
    transport: AsyncTransport,
) -> None:
    with WireServer([WaitForClient()]) as server:
        dify = AsyncDify("app-x", base_url=server.url, user="ada", transport=transport)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(dify.chat.send(query="Hi"), 0.3)
        assert await server.client_closed()
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_stream_says_how_to_use_it_where_it_is_used_otherwise(connect: Connect) -> None:
    with WireServer(events(HEL, LO, END)) as server:
        stream = connect(server).chat.stream(query="Hi")
        with pytest.raises(RuntimeError, match="enter the stream first"):
            await stream.__anext__()
        assert server.requests == []
        async with stream as reader:
            assert len([e async for e in reader]) == 3
        with pytest.raises(RuntimeError, match="entered before"):
            async with stream:
                pass
        await stream.aclose()
        assert [e async for e in stream] == []
