"""A stream that is lost on the way: what a program that reads it gets, over TCP."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from opendify import (
    AsyncDify,
    AsyncTransport,
    BadRequestError,
    TruncatedStreamError,
    WorkflowFailedError,
)
from opendify.types import StreamGapEvent

from .conftest import Connect, follow
from .runs import Run, recorded_run, wire
from .wire_server import Answer, Close, Pause, Reset, Step, WireServer, answer, event, events

CHATFLOW = recorded_run("chatflow-streaming")
WORKFLOW = recorded_run("workflow-streaming")
RESET = Reset()
NEW: Any = {"x-version": "1.16.0"}


def lost(run: Run, after: int, *, within: int = 0, end: Step = RESET) -> Answer:
    """The first events of a run, some bytes of the next one, and then the connection is gone."""
    said = wire(run.events[:after]) + wire(run.events[after : after + 1])[:within]
    return events(said, end, end=False, **NEW)


def rest(run: Run, when: int) -> Answer:
    return events(b"event: ping\n\n", wire(run.again(when)), **NEW)


async def uncut(connect: Connect, run: Run) -> Any:
    with WireServer(events(wire(run.events), **NEW)) as server:
        return await reply_of(connect(server), run)


async def reply_of(dify: Any, run: Run, **options: Any) -> Any:
    if run.is_chatflow:
        return await dify.chat.send(query="Hi", **options)
    return await dify.workflows.run(**options)


@pytest.mark.parametrize("end", [Reset(), Close()], ids=["reset", "closed"])
@pytest.mark.parametrize("run", [CHATFLOW, WORKFLOW], ids=["chatflow", "workflow"])
async def test_a_reply_is_whole_though_its_stream_was_lost_and_events_were_missed(
    connect: Connect, run: Run, end: Any
) -> None:
    said = [lost(run, 8, within=17, end=end), rest(run, 12)]
    with WireServer(*said, *([answer(run.messages())] if run.is_chatflow else [])) as server:
        reply = await reply_of(connect(server), run)
    assert reply == await uncut(connect, run)
    asked = urlsplit(server.requests[1].path)
    assert asked.path == f"/v1/workflow/{run.id}/events"
    assert parse_qs(asked.query) == {
        "user": ["ada"],
        "include_state_snapshot": ["true"],
        "continue_on_pause": ["false"],
    }


@pytest.mark.parametrize("run", [CHATFLOW, WORKFLOW], ids=["chatflow", "workflow"])
async def test_a_dify_that_tells_all_once_more_is_not_believed_twice(connect: Connect, run: Run) -> None:
    again = events(wire(run.events), **NEW)
    with WireServer(lost(run, 9), again, answer(run.messages() if run.is_chatflow else b"{}")) as server:
        reply = await reply_of(connect(server), run)
    assert reply == await uncut(connect, run)


async def test_text_is_the_beginning_of_the_answer_at_every_moment(connect: Connect) -> None:
    said = [lost(CHATFLOW, 8), rest(CHATFLOW, 11), answer(CHATFLOW.messages())]
    with WireServer(*said) as server:
        got = ""
        async with connect(server).chat.stream(query="Hi") as stream:
            async for text in stream.text():
                got += text
                assert CHATFLOW.answer.startswith(got)
    assert got == CHATFLOW.answer


async def test_a_run_that_ended_meanwhile_still_gives_its_whole_reply(connect: Connect) -> None:
    said = [lost(CHATFLOW, 6), rest(CHATFLOW, 1000), answer(CHATFLOW.messages())]
    with WireServer(*said) as server:
        reply = await reply_of(connect(server), CHATFLOW)
    whole = await uncut(connect, CHATFLOW)
    assert (reply.answer, reply.outputs, reply.message_id) == (whole.answer, whole.outputs, whole.message_id)
    # This Dify keeps no usage with its messages.
    assert (reply.lost, reply.metadata.usage) == (["usage"], None)


async def test_what_could_not_be_read_again_is_said_with_the_reason(connect: Connect) -> None:
    refused = answer(b'{"code":"forbidden","message":"No.","status":403}', status=403)
    with WireServer(lost(CHATFLOW, 6), rest(CHATFLOW, 1000), refused) as server:
        seen, failure = await follow(connect(server).chat.stream(query="Hi"))
    assert failure is None
    gap, *more = (told for told in seen if isinstance(told, StreamGapEvent))
    assert [gap.lost, *(one.lost for one in more)] == [["text"], ["usage"]]
    assert "403 forbidden" in gap.reason
    assert [told.event for told in seen][-1] == "workflow_finished"


async def test_usage_is_had_from_the_message_where_dify_keeps_it(connect: Connect) -> None:
    kept = b'"message_tokens": 16, "answer_tokens": 12, "total_tokens": 28, "total_price": "0.00004", "id": '
    said = [lost(CHATFLOW, 6), rest(CHATFLOW, 1000), answer(CHATFLOW.messages().replace(b'"id": ', kept))]
    with WireServer(*said) as server:
        reply = await reply_of(connect(server), CHATFLOW)
    assert (reply.usage.total_tokens, str(reply.usage.total_price), reply.lost) == (28, "0.00004", [])


async def test_a_stream_may_be_lost_again_and_again_as_long_as_it_goes_on(connect: Connect) -> None:
    said = [lost(CHATFLOW, 4)]
    for when in (5, 9, 14):
        again = wire(CHATFLOW.again(when)[: -len(CHATFLOW.events) + when + 1])
        said.append(events(again, Reset(), end=False, **NEW))
    said += [rest(CHATFLOW, 16), answer(CHATFLOW.messages())]
    with WireServer(*said) as server:
        reply = await reply_of(connect(server, max_retries=1), CHATFLOW)
    assert reply == await uncut(connect, CHATFLOW)


async def test_who_comes_back_in_vain_gives_up_after_max_retries(connect: Connect) -> None:
    nothing_new = events(wire(CHATFLOW.again(4)[:4]), Reset(), end=False, **NEW)
    with WireServer(lost(CHATFLOW, 4), nothing_new) as server:
        seen, failure = await follow(connect(server, max_retries=2).chat.stream(query="Hi"))
        assert len(server.requests) == 3
    assert [told.event for told in seen] == [told["event"] for told in CHATFLOW.events[:4]]
    assert isinstance(failure, TruncatedStreamError)
    assert failure.workflow_run_id == CHATFLOW.id


async def test_a_dify_without_events_is_not_asked_and_the_error_names_the_run(connect: Connect) -> None:
    said = events(wire(CHATFLOW.events[:6]), Reset(), end=False)
    with WireServer(said) as server:
        _, failure = await follow(connect(server).chat.stream(query="Hi"))
        assert len(server.requests) == 1
    first = CHATFLOW.events[0]
    assert isinstance(failure, TruncatedStreamError)
    assert (failure.workflow_run_id, failure.task_id) == (CHATFLOW.id, first["task_id"])
    assert (failure.conversation_id, failure.message_id) == (first["conversation_id"], first["message_id"])
    assert f"Run {CHATFLOW.id} goes on at Dify: workflows.get" in str(failure)


async def test_an_app_without_runs_is_not_come_back_to_and_the_error_names_the_conversation(
    connect: Connect,
) -> None:
    names = {"task_id": "t", "conversation_id": "c", "message_id": "m", "created_at": 1}
    said = events(event(event="message", **names, id="m", answer="Half"), RESET, end=False, **NEW)
    with WireServer(said) as server:
        _, failure = await follow(connect(server).chat.stream(query="Hi"))
        assert len(server.requests) == 1
    assert isinstance(failure, TruncatedStreamError)
    assert (failure.task_id, failure.conversation_id, failure.message_id) == ("t", "c", "m")
    assert failure.workflow_run_id is None
    assert "messages.list" in str(failure)


async def test_a_dify_that_does_not_know_the_run_any_more_is_told_with_the_runs_name(
    connect: Connect,
) -> None:
    unknown = answer(b'{"code":"not_found","message":"Workflow run not found","status":404}', status=404)
    with WireServer(lost(WORKFLOW, 3), unknown) as server:
        _, failure = await follow(connect(server).workflows.stream())
    assert isinstance(failure, TruncatedStreamError)
    assert failure.workflow_run_id == WORKFLOW.id
    assert "Workflow run not found" in str(failure)


async def test_nobody_comes_back_if_that_is_not_wanted(connect: Connect) -> None:
    with WireServer(lost(WORKFLOW, 3)) as server:
        _, failure = await follow(connect(server).workflows.stream(resume=False))
        assert len(server.requests) == 1
    assert isinstance(failure, TruncatedStreamError)


async def test_a_workflow_says_that_text_is_lost_where_its_outputs_do_not_tell_it(connect: Connect) -> None:
    run = recorded_run("workflow-files-streaming")
    with WireServer(lost(run, 8), rest(run, 12)) as server:
        seen, failure = await follow(connect(server).workflows.stream())
    assert failure is None
    gaps = [told for told in seen if isinstance(told, StreamGapEvent)]
    assert [gap.lost for gap in gaps] == [["text"]]
    assert seen[-1].data.outputs["result"] == run.events[-1]["data"]["outputs"]["result"]


async def test_a_run_that_failed_meanwhile_is_told_as_failed(connect: Connect) -> None:
    run = recorded_run("chatflow-node-error-streaming")
    with WireServer(lost(run, 3), rest(run, 1000), answer(run.messages())) as server:
        dify = connect(server)
        with pytest.raises(WorkflowFailedError) as caught:
            await reply_of(dify, run)
    assert caught.value.reply.workflow_run_id == run.id


async def test_a_chatflow_that_was_stopped_ends_though_dify_closes_before_its_message_end(
    connect: Connect,
) -> None:
    run = recorded_run("chatflow-stopped-stream")
    kept = tuple(told for told in run.events if told["event"] != "message_end")
    said = [events(wire(kept), **NEW), rest(run, 1000), answer(run.messages())]
    with WireServer(*said) as server:
        seen, failure = await follow(connect(server).chat.stream(query="Hi"))
    assert failure is None
    names = [told.event for told in seen]
    assert names == [*(told["event"] for told in kept), "stream_gap", "message_end"]
    assert "".join(told.text for told in seen) == run.answer


@pytest.mark.parametrize("run", [CHATFLOW, WORKFLOW], ids=["chatflow", "workflow"])
async def test_who_has_come_to_a_run_by_its_id_comes_back_to_it_too(connect: Connect, run: Run) -> None:
    first = events(wire(run.again(4)[:-10]), RESET, end=False, **NEW)
    with WireServer(first, rest(run, 1000), answer(run.messages() if run.is_chatflow else b"{}")) as server:
        dify = connect(server)
        resource = dify.chat if run.is_chatflow else dify.workflows
        async with resource.events(run.id, include_state_snapshot=True) as stream:
            reply = await stream.reply()
        assert [request.path.partition("?")[0] for request in server.requests[:2]] == [
            f"/v1/workflow/{run.id}/events"
        ] * 2
    whole = await uncut(connect, run)
    assert reply.outputs == whole.outputs
    assert "text" not in reply.lost
    if run.is_chatflow:
        assert reply.answer == whole.answer


async def test_who_gives_up_waiting_for_an_event_misses_none(transport: AsyncTransport) -> None:
    stored = answer(CHATFLOW.messages())
    with WireServer(lost(CHATFLOW, 8), rest(CHATFLOW, 11), [Pause(2), *stored], stored) as server:
        dify = AsyncDify("app-secret-key", base_url=server.url, user="ada", transport=transport)
        async with dify.chat.stream(query="Hi") as stream:
            given_up = 0
            while given_up < 10:
                try:
                    await asyncio.wait_for(anext(stream), 1)
                except TimeoutError:
                    given_up += 1
                except StopAsyncIteration:
                    break
            reply = await stream.reply()
    assert reply.answer == CHATFLOW.answer
    assert given_up >= 1


async def test_the_raw_reader_of_a_stream_is_left_alone(connect: Connect) -> None:
    with WireServer(lost(CHATFLOW, 4)) as server:
        async with connect(server).chat.stream(query="Hi") as stream:
            read = 0
            while read < len(wire(CHATFLOW.events[:4])):
                read += sum(len(payload) + len(b"data: \n\n") for payload in await stream.read())
            with pytest.raises(TruncatedStreamError):
                await stream.read()
        assert len(server.requests) == 1


async def test_the_whole_reply_can_be_had_after_some_of_the_stream_was_read(connect: Connect) -> None:
    with WireServer(events(wire(CHATFLOW.events), **NEW)) as server:
        async with connect(server).chat.stream(query="Hi") as stream:
            async for told in stream:
                if told.text:
                    break
            reply = await stream.reply()
            assert await stream.reply() == reply
    assert reply.answer == CHATFLOW.answer


async def test_a_stream_that_was_left_too_early_has_no_reply(connect: Connect) -> None:
    with WireServer(events(wire(CHATFLOW.events[:5]), **NEW)) as server:
        stream = connect(server).chat.stream(query="Hi", resume=False)
        async with stream as reader:
            async for _ in reader:
                break
        with pytest.raises(RuntimeError, match="so_far"):
            await reader.reply()


async def test_what_a_stream_failed_with_is_what_its_reply_fails_with(connect: Connect) -> None:
    refused = event(event="error", status=400, code="invalid_param", message="no")
    with WireServer(events(refused, **NEW)) as server:
        async with connect(server).chat.stream(query="Hi") as stream:
            for _ in range(2):
                with pytest.raises(BadRequestError, match="invalid_param"):
                    await stream.reply()
