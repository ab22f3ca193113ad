"""Looking up runs and coming back to them: what a caller of `workflows` and `chat.events` can rely on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from opendify import BadRequestError, NotFoundError, ResponseError, WorkflowFailedError
from opendify.types import WorkflowRun

from .conftest import Connect, follow
from .wire_server import WaitForClient, WireServer, answer, event, events, recording

RUN = "545aeb87-dca3-41a3-85b5-45fe7b776150"


def finished(status: str = "succeeded", **data: object) -> bytes:
    told = {"id": RUN, "workflow_id": "w", "status": status, "outputs": {"result": "Bonjour"}} | data
    return event(event="workflow_finished", task_id="t", workflow_run_id=RUN, data=told)


async def test_a_run_is_told_with_its_inputs_and_outputs_as_objects(connect: Connect) -> None:
    with WireServer(answer(recording("workflow-run-detail"))) as server:
        run = await connect(server).workflows.get(RUN)
    assert isinstance(run, WorkflowRun)
    assert (run.id, run.status, run.total_steps) == (RUN, "succeeded", 4)
    assert run.inputs is not None
    assert run.inputs["text"] == "hello flow"
    assert run.outputs is not None
    assert run.outputs["template"] == "hello flow"
    assert server.requests[0].path == f"/v1/workflows/run/{RUN}"


async def test_outputs_that_are_objects_already_are_taken_as_they_are(connect: Connect) -> None:
    body = b'{"id":"r","status":"running","inputs":null,"outputs":{},"finished_at":null,"elapsed_time":null}'
    with WireServer(answer(body)) as server:
        run = await connect(server).workflows.get("r")
    assert (run.status, run.inputs, run.outputs, run.finished_at) == ("running", None, {}, None)


@pytest.mark.parametrize(
    "said",
    [
        answer(recording("workflow-run-detail-404"), x_version="1.12.1"),
        answer(b'{"code":"not_found","message":"Workflow run not found.","status":404}', status=404),
    ],
    ids=["1.12.1", "later"],
)
async def test_an_unknown_run_is_not_found_whatever_the_version_says(connect: Connect, said: Any) -> None:
    with WireServer(said) as server, pytest.raises(NotFoundError) as caught:
        await connect(server).workflows.get("d7145aa6-e2b3-4faa-b4ec-09a5b74fb4c3")
    assert (caught.value.status, caught.value.code) == (404, "not_found")


async def test_what_is_no_run_is_not_taken_for_one(connect: Connect) -> None:
    body = b'{"id": "r", "status": "failed", "outputs": "no JSON"}'
    with WireServer(answer(body)) as server, pytest.raises(ResponseError) as caught:
        await connect(server).workflows.get("r")
    assert "no JSON" not in str(caught.value)


async def test_the_log_is_read_page_after_page_with_all_filters(connect: Connect) -> None:
    first = recording("workflow-logs")
    last = b'{"page":2,"limit":3,"total":7,"has_more":false,"data":[]}'
    with WireServer(answer(first), answer(last)) as server:
        logs = connect(server).workflows.logs(
            keyword="a b",
            status="succeeded",
            created_at__before=datetime(2026, 11, 21, 4, tzinfo=UTC),
            created_at__after="2026-11-20T00:00:00Z",
            created_by_end_user_session_id="alice",
            created_by_account="ada@example.com",
            limit=3,
        )
        found = [log async for log in logs]
    assert [log.workflow_run.status for log in found] == ["succeeded", "succeeded", "failed"]
    assert found[0].created_by_end_user.session_id == "alice"
    asked = [parse_qs(urlsplit(request.path).query) for request in server.requests]
    assert asked[0] == {
        "keyword": ["a b"],
        "status": ["succeeded"],
        "created_at__before": ["2026-11-21T04:00:00+00:00"],
        "created_at__after": ["2026-11-20T00:00:00Z"],
        "created_by_end_user_session_id": ["alice"],
        "created_by_account": ["ada@example.com"],
        "page": ["1"],
        "limit": ["3"],
    }
    assert asked[1] == asked[0] | {"page": ["2"]}


async def test_a_run_that_has_ended_is_told_by_its_events_in_one(connect: Connect) -> None:
    with WireServer(events(b"event: ping\n\n", finished())) as server:
        async with connect(server).workflows.events(RUN) as stream:
            reply = await stream.reply()
    assert (reply.status, reply.outputs, reply.workflow_run_id) == ("succeeded", {"result": "Bonjour"}, RUN)
    asked = urlsplit(server.requests[0].path)
    assert asked.path == f"/v1/workflow/{RUN}/events"
    assert parse_qs(asked.query) == {
        "user": ["ada"],
        "include_state_snapshot": ["false"],
        "continue_on_pause": ["false"],
    }


async def test_the_end_of_a_run_is_the_end_of_its_events_even_if_dify_leaves_them_open(
    connect: Connect,
) -> None:
    paused = event(event="workflow_paused", workflow_run_id=RUN, data={"paused_nodes": ["n"], "reasons": []})
    with WireServer(events(paused, finished(), WaitForClient(), end=False)) as server:
        seen, failure = await follow(connect(server).workflows.events(RUN, continue_on_pause=True))
        assert await server.client_closed()
    assert [told.event for told in seen] == ["workflow_paused", "workflow_finished"]
    assert failure is None


async def test_a_chatflow_that_has_ended_needs_no_message_end(connect: Connect) -> None:
    with WireServer(events(finished())) as server:
        async with connect(server).chat.events(RUN, include_state_snapshot=True) as stream:
            reply = await stream.reply()
    assert (reply.workflow_status, reply.outputs) == ("succeeded", {"result": "Bonjour"})


async def test_a_run_that_has_failed_is_told_as_failed(connect: Connect) -> None:
    with WireServer(events(finished("failed", error="no luck"))) as server:
        stream = connect(server).workflows.events(RUN)
        async with stream as reader:
            with pytest.raises(WorkflowFailedError, match="no luck"):
                await reader.reply()


async def test_events_of_an_app_without_workflow_are_refused_with_a_reason(connect: Connect) -> None:
    refused = b'{"code":"not_workflow_app","message":"Please check your app mode.","status":400}'
    with WireServer(answer(refused, status=400)) as server:
        stream = connect(server).chat.events(RUN)
        with pytest.raises(BadRequestError, match="not_workflow_app"):
            await follow(stream)
