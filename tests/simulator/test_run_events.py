"""Runs whose events are taken up again: live, from a snapshot, after the connection was lost (1.16)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from asking import Client, client, names, parsed, said, until

from opendify.simulator import Simulator

_NOBODY = "00000000-0000-4000-8000-000000000000"
_TICKING = "[[slow:8:0.05]]"
_TICKS = "".join(f"tick{at} " for at in range(8))


@pytest.fixture
async def dify() -> AsyncIterator[Simulator]:
    async with Simulator(behaviour="1.16", pace=0, naming_delay=0) as dify:
        yield dify


async def _read(reply: aiohttp.ClientResponse) -> tuple[list[dict[str, Any]], bool]:
    """All whole events of a reply, and whether it ended as it should."""
    body = b""
    try:
        async for piece in reply.content.iter_any():
            body += piece
    except aiohttp.ClientError:
        return parsed(body[: body.rfind(b"\n\n") + 2]), False
    return parsed(body), True


async def _lost(app: Client, query: str) -> list[dict[str, Any]]:
    """What arrives before a connection is lost."""
    async with await app.send(query) as reply:
        events, whole = await _read(reply)
    assert not whole
    return events


async def _follow(app: Client, run_id: str, **more: str) -> tuple[list[dict[str, Any]], bool]:
    params = {"user": app.user, **more}
    async with await app.call("GET", f"/workflow/{run_id}/events", params=params) as reply:
        assert reply.status == 200, await reply.text()
        assert reply.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert reply.headers["Cache-Control"] == "no-cache"
        return await _read(reply)


@pytest.mark.parametrize("app", ["workflow", "chatflow"])
async def test_a_run_goes_on_when_its_connection_is_lost_and_is_taken_up(dify: Simulator, app: str) -> None:
    async with client(dify, app) as asker:
        before = await _lost(asker, f"{_TICKING}[[drop:7]]")
        assert len(before) == 8  # the opening ping is no event
        run_id = before[1]["workflow_run_id"]
        after, whole = await _follow(asker, run_id)
        assert whole
        assert names(after)[0] == "ping"
        assert names(after)[-1] == "workflow_finished"
        heard = said(before) + said(after)
        assert heard.replace(" ", "") in _TICKS.replace(" ", "") or heard == _TICKS
        assert said(after) != ""
        detail = await asker.json("GET", f"/workflows/run/{run_id}")
        assert detail["status"] == "succeeded"


async def test_the_whole_answer_is_in_the_history_whatever_was_heard(dify: Simulator) -> None:
    async with client(dify, "chatflow") as chatflow:
        before = await _lost(chatflow, f"{_TICKING}[[drop:7]]")
        await _follow(chatflow, before[1]["workflow_run_id"])
        path = f"/messages?conversation_id={before[1]['conversation_id']}&user=ada"
        (message,) = (await chatflow.json("GET", path))["data"]
        assert message["answer"] == _TICKS


async def test_a_run_that_is_over_is_told_in_one_event(dify: Simulator) -> None:
    for nickname in ("workflow", "chatflow"):
        async with client(dify, nickname) as app:
            finished = next(e for e in await app.events("Hello") if e["event"] == "workflow_finished")
            run_id = finished["workflow_run_id"]
            for more in ({}, {"include_state_snapshot": "true"}, {"continue_on_pause": "true"}):
                events, whole = await _follow(app, run_id, **more)
                assert whole
                assert events == [
                    {
                        "event": "workflow_finished",
                        "task_id": run_id,
                        "workflow_run_id": run_id,
                        "data": finished["data"],
                    }
                ]


async def test_a_failed_run_ends_with_its_end_not_with_an_error(dify: Simulator) -> None:
    async with client(dify, "chatflow") as chatflow:
        before = await _lost(chatflow, "[[slow:4:0.05]][[error]][[drop:4]]")
        events, whole = await _follow(chatflow, before[1]["workflow_run_id"])
    assert whole
    assert (events[-1]["event"], events[-1]["data"]["status"]) == ("workflow_finished", "failed")


async def test_a_snapshot_tells_what_was_done_before_what_is_to_come(dify: Simulator) -> None:
    async with client(dify, "chatflow") as chatflow:
        before = await _lost(chatflow, f"{_TICKING}[[drop:7]]")
        run_id = before[1]["workflow_run_id"]
        events, _ = await _follow(chatflow, run_id, include_state_snapshot="true")
    told = events[1:6]
    assert [event["event"] for event in told] == [
        "workflow_started",
        "message_replace",
        "node_started",
        "node_finished",
        "node_started",
    ]
    assert [told[2]["data"]["node_id"], told[4]["data"]["node_id"]] == ["start", "llm"]
    assert told[3]["data"]["id"] == before[2]["data"]["id"]
    assert told[3]["data"]["outputs"] is None
    assert told[1]["answer"] == ""  # nothing is stored before the end
    ids = {(event["message_id"], event["task_id"], event["conversation_id"]) for event in told}
    assert len(ids) == 1
    assert ids == {(before[1]["message_id"], before[1]["task_id"], before[1]["conversation_id"])}
    assert events[6]["event"] == "message"


async def test_a_snapshot_of_a_paused_run_ends_with_the_pause_unless_asked_to_go_on(dify: Simulator) -> None:
    async with client(dify, "review") as review:
        form = (await review.events("[[reply:A draft]]"))[-2]
        run_id = form["workflow_run_id"]
        events, whole = await _follow(review, run_id, include_state_snapshot="true")
        assert whole
        assert names(events)[-2:] == ["human_input_required", "workflow_paused"]
        assert events[-2]["data"] == form["data"]
        going_on = asyncio.create_task(
            _follow(review, run_id, include_state_snapshot="true", continue_on_pause="true")
        )
        await asyncio.sleep(0.05)
        body = {"inputs": {"remark": "", "tone": "kind"}, "action": "approve", "user": "ada"}
        await review.json("POST", f"/form/human_input/{form['data']['form_token']}", json=body)
        events, whole = await going_on
        assert whole
        assert [event for event in names(events) if event.startswith("workflow_")] == [
            "workflow_started",
            "workflow_paused",
            "workflow_started",
            "workflow_finished",
        ]


async def test_a_run_is_followed_by_its_own_user_and_app_only(dify: Simulator) -> None:
    async with client(dify, "workflow") as workflow:
        run_id = (await workflow.events("Hello"))[1]["workflow_run_id"]
        path = f"/workflow/{run_id}/events"
        refusals = [
            await workflow.json("GET", f"{path}?user=mallory"),
            await workflow.json("GET", f"/workflow/{_NOBODY}/events?user=ada"),
            await workflow.json("GET", "/workflow/nothing/events?user=ada"),
        ]
        async with client(dify, "outputs") as other:
            refusals.append(await other.json("GET", f"{path}?user=ada"))
        assert [(one["code"], one["message"]) for one in refusals] == 4 * [
            ("not_found", "Workflow run not found")
        ]
        unnamed = await workflow.json("GET", path)
        assert unnamed["message"] == "Arg user must be provided."
    async with client(dify) as chat:
        assert (await chat.json("GET", f"{path}?user=ada"))["code"] == "not_workflow_app"


async def test_every_connection_can_be_lost_in_its_turn(dify: Simulator) -> None:
    async with client(dify, "workflow") as workflow:
        before = await _lost(workflow, f"{_TICKING}[[drop:5:2:fin]]")
        run_id = before[1]["workflow_run_id"]
        second, whole = await _follow(workflow, run_id)
        assert (len(second), whole) == (3, False)
        third, whole = await _follow(workflow, run_id)
        assert whole
        assert names(third)[-1] == "workflow_finished"


async def test_many_follow_one_run_and_nobody_has_to(dify: Simulator) -> None:
    async with client(dify, "workflow") as workflow:
        run_id = (await _lost(workflow, f"{_TICKING}[[drop:4]]"))[1]["workflow_run_id"]
        followed = await asyncio.gather(*(_follow(workflow, run_id) for _ in range(3)))
        assert {names(events)[-1] for events, _ in followed} == {"workflow_finished"}
        await _lost(workflow, "[[slow:3:0.05]][[drop:3]]")
        await until(lambda: dify.counts().running == 0)


async def test_a_blocking_run_is_followed_too(dify: Simulator) -> None:
    async with client(dify, "workflow") as workflow:
        asked = asyncio.create_task(workflow.blocking(_TICKING))
        logged: list[dict[str, Any]] = []
        while not logged:
            await asyncio.sleep(0.01)
            logged = (await workflow.json("GET", "/workflows/logs"))["data"]
        events, _ = await _follow(workflow, logged[0]["workflow_run"]["id"])
        _, reply = await asked
    assert events[-1]["data"]["outputs"] == reply["data"]["outputs"] == {"result": _TICKS}


async def test_pings_come_while_a_run_waits() -> None:
    async with Simulator(behaviour="1.16", pace=0, ping=0.05) as dify, client(dify, "review") as review:
        run_id = (await review.events("Hello"))[1]["workflow_run_id"]
        async with await review.call("GET", f"/workflow/{run_id}/events?user=ada") as reply:
            for _ in range(3):
                assert await reply.content.readuntil(b"\n\n") == b"event: ping\n\n"


async def test_with_an_event_log_the_whole_run_is_told_again() -> None:
    dify = Simulator(behaviour="1.16", pace=0, event_log=True)
    async with dify, client(dify, "workflow") as workflow:
        before = await _lost(workflow, f"{_TICKING}[[drop:7]]")
        events, whole = await _follow(workflow, before[1]["workflow_run_id"])
    assert whole
    assert events[:8] == before
    assert said(events) == _TICKS


async def test_an_older_dify_goes_on_too_but_nobody_can_take_it_up() -> None:
    async with Simulator(pace=0) as dify, client(dify, "workflow") as workflow:
        events = await _lost(workflow, f"{_TICKING}[[drop:3]]")
        assert len(events) == 3
        await until(lambda: dify.counts().running == 0)
        detail = await workflow.json("GET", f"/workflows/run/{events[0]['workflow_run_id']}")
    assert json.loads(detail["outputs"]) == {"result": _TICKS}


async def test_a_drop_that_cannot_be_read_is_refused(dify: Simulator) -> None:
    async with client(dify) as chat:
        status, refused = await chat.blocking("[[drop:soon]]")
    assert (status, "[[drop:EVENTS" in refused["message"]) == (400, True)
