"""Runs that wait for a person, and how a person lets them go on (behaviour 1.16)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asking import Client, client, names, parsed, said, until

from opendify.simulator import AppSpec, Simulator
from opendify.simulator.nodes import LLM, Answer, End, FormInput, HumanInput, Start, Together, UserAction

_NOBODY = "00000000-0000-4000-8000-000000000000"
_KIND = {"remark": "Nice.", "tone": "kind"}


@pytest.fixture
async def dify() -> AsyncIterator[Simulator]:
    async with Simulator(behaviour="1.16", pace=0, naming_delay=0) as dify:
        yield dify


@pytest.fixture
async def review(dify: Simulator) -> AsyncIterator[Client]:
    async with client(dify, "review") as review:
        yield review


async def _paused(app: Client, query: str = "[[reply:A draft]]", **more: Any) -> dict[str, Any]:
    """Run until it pauses: the form, with the ids of the run."""
    events = await app.events(query, **more)
    assert names(events)[-2:] == ["human_input_required", "workflow_paused"]
    return {**events[-2], **events[-2]["data"], "paused": events[-1]["data"]}


async def _submit(app: Client, token: str, action: str, inputs: dict[str, Any], user: str = "ada") -> Any:
    body = {"inputs": inputs, "action": action, "user": user}
    return await app.json("POST", f"/form/human_input/{token}", json=body)


async def _events(app: Client, run_id: str, more: str = "") -> list[dict[str, Any]]:
    async with await app.call("GET", f"/workflow/{run_id}/events?user={app.user}{more}") as reply:
        assert reply.status == 200, await reply.text()
        return parsed(await reply.read())


async def _ended(app: Client, run_id: str) -> Any:
    """The details of a run, when it is over."""
    for _ in range(200):
        detail = await app.json("GET", f"/workflows/run/{run_id}")
        if detail["finished_at"] is not None:
            return detail
        await asyncio.sleep(0.01)
    raise AssertionError("the run never ended")


# Pausing


async def test_a_run_pauses_and_tells_what_it_waits_for(dify: Simulator, review: Client) -> None:
    form = await _paused(review)
    assert form["form_content"] == "Draft: A draft\n\nRemark: {{#$output.remark#}}"
    assert [(one["type"], one["output_variable_name"]) for one in form["inputs"]] == [
        ("paragraph", "remark"),
        ("select", "tone"),
    ]
    assert [action["id"] for action in form["actions"]] == ["approve", "reject"]
    assert form["resolved_default_values"] == {"remark": "Looks good."}
    assert form["expiration_time"] > time.time()
    paused = form["paused"]
    assert (paused["status"], paused["paused_nodes"]) == ("paused", ["review"])
    assert paused["reasons"] == [{"TYPE": "human_input_required", **form["data"]}]
    detail = await review.json("GET", f"/workflows/run/{form['workflow_run_id']}")
    assert (detail["status"], detail["finished_at"], detail["outputs"]) == ("paused", None, {})
    await until(lambda: dify.counts().running == 0)


async def test_the_form_is_read_with_its_token_alone(dify: Simulator, review: Client) -> None:
    form = await _paused(review)
    read = await review.json("GET", f"/form/human_input/{form['form_token']}")
    assert read == {
        "form_content": form["form_content"],
        "inputs": form["inputs"],
        "resolved_default_values": {"remark": "Looks good."},
        "user_actions": form["actions"],
        "expiration_time": form["expiration_time"],
    }
    async with client(dify, "approval") as other:
        for app, token in ((other, form["form_token"]), (review, "nothing")):
            refused = await app.json("GET", f"/form/human_input/{token}")
            assert (refused["status"], refused["code"]) == (404, "not_found")


async def test_a_blocking_answer_says_that_the_run_is_paused(dify: Simulator, review: Client) -> None:
    _, reply = await review.blocking("Hello")
    assert reply["data"]["status"] == "paused"
    assert reply["data"]["reasons"][0]["form_token"]
    async with client(dify, "approval") as approval:
        _, reply = await approval.blocking("[[reply:A draft]]")
        assert (reply["event"], reply["answer"]) == ("workflow_paused", "A draft")
        token = reply["data"]["reasons"][0]["form_token"]
        assert await _submit(approval, token, "send", {"remark": ""}) == {}
        await _ended(approval, reply["workflow_run_id"])


async def test_a_paused_run_leaves_its_place_to_others() -> None:
    spec = AppSpec("one", "workflow", graph=(Start(), HumanInput("?"), End({})), max_active_requests=1)
    async with Simulator([spec], behaviour="1.16", pace=0) as dify, client(dify, "one") as one:
        await _paused(one)
        await _paused(one)


# Going on


async def test_the_button_decides_how_the_run_goes_on(review: Client) -> None:
    for action, result in (("approve", "Approved: A draft (Nice.)"), ("reject", "Rejected: Nice.")):
        form = await _paused(review)
        assert await _submit(review, form["form_token"], action, _KIND) == {}
        detail = await _ended(review, form["workflow_run_id"])
        assert (detail["status"], detail["outputs"]) == ("succeeded", {"result": result})


async def test_who_listens_hears_how_the_run_goes_on(review: Client) -> None:
    form = await _paused(review)
    run_id = form["workflow_run_id"]
    listening = asyncio.create_task(_events(review, run_id))
    await asyncio.sleep(0.05)
    await _submit(review, form["form_token"], "approve", _KIND, user="bob")
    events = await listening
    assert names(events)[:3] == ["ping", "workflow_started", "human_input_form_filled"]
    assert events[1]["data"]["reason"] == "resumption"
    assert events[2]["data"] == {
        "node_id": "review",
        "node_title": "Review",
        "rendered_content": "Draft: A draft\n\nRemark: Nice.",
        "action_id": "approve",
        "action_text": "Approve",
        "submitted_data": _KIND,
    }
    assert names(events)[-1] == "workflow_finished"
    assert {event["task_id"] for event in events[1:]} == {form["task_id"]}


async def test_the_answer_of_a_chatflow_goes_on_after_the_pause(dify: Simulator) -> None:
    async with client(dify, "approval") as approval:
        form = await _paused(approval)
        path = f"/messages?conversation_id={form['conversation_id']}&user=ada"
        (message,) = (await approval.json("GET", path))["data"]
        (content,) = message["extra_contents"]
        assert (message["answer"], content["submitted"]) == ("A draft", False)
        assert content["form_definition"]["form_token"] == form["form_token"]
        await _submit(approval, form["form_token"], "discard", {"remark": "No."})
        await _ended(approval, form["workflow_run_id"])
        (message,) = (await approval.json("GET", path))["data"]
        (content,) = message["extra_contents"]
        assert message["answer"] == "A draft\nDiscarded. No."
        assert (content["submitted"], content["form_definition"]) == (True, None)
        assert content["form_submission_data"]["action_text"] == "Discard"


async def test_files_are_entered_too(dify: Simulator) -> None:
    wanted = (FormInput("pic", "file", allowed_file_types=("image",)), FormInput("docs", "file-list"))
    graph = (Start(), HumanInput("?", inputs=wanted, id="ask"), End({"pic": "ask.pic", "docs": "ask.docs"}))
    spec = AppSpec("filed", "workflow", graph=graph)
    async with Simulator([spec], behaviour="1.16", pace=0) as filed, client(filed, "filed") as app:
        form = await _paused(app)
        _, file = await app.upload("cat.png", b"cat")
        pic = {"type": "image", "transfer_method": "local_file", "upload_file_id": file["id"]}
        far = {"type": "document", "transfer_method": "remote_url", "url": "https://example.com/a.pdf"}
        await _submit(app, form["form_token"], "approve", {"pic": pic, "docs": [far, pic]})
        outputs = (await _ended(app, form["workflow_run_id"]))["outputs"]
    assert outputs["pic"]["filename"] == "cat.png"
    assert [doc["filename"] for doc in outputs["docs"]] == ["a.pdf", "cat.png"]


@pytest.mark.parametrize(
    ("inputs", "action", "message"),
    [
        (_KIND, "burn", "Invalid action: burn"),
        ({"tone": "kind"}, "approve", "Missing required inputs: remark"),
        ({"remark": "", "tone": 5}, "approve", "Invalid value for select input 'tone': expected string"),
        ({"remark": "", "tone": "wild"}, "approve", "Invalid value for select input 'tone': wild"),
    ],
)
async def test_what_the_form_does_not_take_is_refused_and_the_form_stays_open(
    review: Client, inputs: dict[str, Any], action: str, message: str
) -> None:
    form = await _paused(review)
    refused = await _submit(review, form["form_token"], action, inputs)
    assert refused == {"code": "invalid_form_data", "message": message, "status": 400}
    assert await _submit(review, form["form_token"], "approve", _KIND) == {}


_FILE = {"type": "image", "transfer_method": "remote_url", "url": "https://example.com/a.png"}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"pic": "a", "docs": []}, "expected mapping"),
        ({"pic": {"type": "poem"}, "docs": []}, "unsupported file type"),
        ({"pic": {"type": "image", "transfer_method": "mail"}, "docs": []}, "unsupported transfer method"),
        ({"pic": {**_FILE, "type": "video"}, "docs": []}, "file is not allowed by config"),
        ({"pic": _FILE, "docs": "a"}, "expected list"),
        ({"pic": _FILE, "docs": ["a"]}, "expected list of mappings"),
        ({"pic": _FILE, "docs": [{"type": "poem"}]}, "unsupported file type"),
        ({"pic": _FILE, "docs": [_FILE, _FILE]}, "exceeds number limit"),
    ],
)
async def test_a_file_that_the_form_does_not_take_is_refused(value: dict[str, Any], problem: str) -> None:
    wanted = (
        FormInput("pic", "file", allowed_file_types=("image",)),
        FormInput("docs", "file-list", number_limits=1),
    )
    spec = AppSpec("filed", "workflow", graph=(Start(), HumanInput("?", inputs=wanted), End({})))
    async with Simulator([spec], behaviour="1.16", pace=0) as filed, client(filed, "filed") as app:
        form = await _paused(app)
        refused = await _submit(app, form["form_token"], "approve", value)
    assert refused["code"] == "invalid_form_data"
    assert refused["message"].endswith(f": {problem}")


async def test_a_form_is_submitted_once_by_a_named_user(review: Client) -> None:
    form = await _paused(review)
    path = f"/form/human_input/{form['form_token']}"
    nobody = await review.json("POST", path, json={"inputs": _KIND, "action": "approve"})
    assert nobody["message"] == "Arg user must be provided."
    await _submit(review, form["form_token"], "approve", _KIND)
    for again in (
        await _submit(review, form["form_token"], "approve", _KIND),
        await review.json("GET", path),
    ):
        assert (again["status"], again["code"]) == (412, "human_input_form_submitted")


async def test_a_form_expires_and_the_run_goes_on_without_it() -> None:
    ask = HumanInput("Well?", timeout=0.1, after_timeout=(Answer("Nobody came.", id="late"),))
    spec = AppSpec("asks", "advanced-chat", graph=(Start(), ask, Answer("Thanks.")))
    dify = Simulator([spec], behaviour="1.16", pace=0, naming_delay=0)
    async with dify, client(dify, "asks") as app:
        form = await _paused(app)
        events = await _events(app, form["workflow_run_id"])
        timed_out = next(event for event in events if event["event"] == "human_input_form_timeout")
        assert timed_out["data"]["node_id"] == "human_input"
        assert said(events) == "Nobody came."
        for refused in (
            await _submit(app, form["form_token"], "approve", {}),
            await app.json("GET", f"/form/human_input/{form['form_token']}"),
        ):
            assert (refused["status"], refused["code"]) == (412, "human_input_form_expired")


async def test_forms_come_one_after_another() -> None:
    twice = (HumanInput("First?", id="first"), HumanInput("Second?", id="second"))
    spec = AppSpec("twice", "workflow", graph=(Start(), *twice, End({"a": "second.__action_id"})))
    async with Simulator([spec], behaviour="1.16", pace=0) as dify, client(dify, "twice") as app:
        first = await _paused(app)
        listening = asyncio.create_task(_events(app, first["workflow_run_id"], "&continue_on_pause=true"))
        await asyncio.sleep(0.05)
        await _submit(app, first["form_token"], "approve", {})
        await asyncio.sleep(0.05)
        told = await _events(app, first["workflow_run_id"], "&include_state_snapshot=true")
        second = next(event for event in told if event["event"] == "human_input_required")["data"]
        assert second["node_id"] == "second"
        await _submit(app, second["form_token"], "reject", {})
        events = await listening
    assert names(events).count("workflow_paused") == 1
    assert events[-1]["data"]["outputs"] == {"a": "reject"}


async def test_several_forms_are_open_at_once_and_each_lets_the_run_go_on_to_the_rest() -> None:
    both = Together((HumanInput("One?", id="one"), HumanInput("Two?", id="two")))
    spec = AppSpec(
        "both", "workflow", graph=(Start(), both, End({"a": "one.__action_id", "b": "two.__action_id"}))
    )
    async with Simulator([spec], behaviour="1.16", pace=0) as dify, client(dify, "both") as app:
        events = await app.events("Hello")
        one, two = (event["data"] for event in events if event["event"] == "human_input_required")
        assert events[-1]["data"]["paused_nodes"] == ["one", "two"]
        run_id = events[-1]["workflow_run_id"]
        listening = asyncio.create_task(_events(app, run_id, "&continue_on_pause=true"))
        await asyncio.sleep(0.05)
        await _submit(app, two["form_token"], "reject", {})
        await asyncio.sleep(0.05)
        left = (await _events(app, run_id, "&include_state_snapshot=true"))[-2]["data"]
        assert left == one
        await _submit(app, one["form_token"], "approve", {})
        heard = await listening
    assert [name for name in names(heard)[1:] if name != "text_chunk"] == [
        "workflow_started",
        "human_input_form_filled",
        "node_finished",
        "human_input_required",
        "workflow_paused",
        "workflow_started",
        "human_input_form_filled",
        "node_finished",
        "node_started",
        "node_finished",
        "workflow_finished",
    ]
    assert heard[-1]["data"]["outputs"] == {"a": "approve", "b": "reject"}


async def test_a_form_that_goes_by_mail_has_no_token() -> None:
    spec = AppSpec("mailed", "workflow", graph=(Start(), HumanInput("?", web_app=False), End({})))
    async with Simulator([spec], behaviour="1.16", pace=0) as dify, client(dify, "mailed") as app:
        assert (await _paused(app))["form_token"] is None


async def test_the_older_dify_has_no_forms() -> None:
    spec = AppSpec("asks", "workflow", graph=(Start(), HumanInput("?"), End({})))
    with pytest.raises(ValueError, match="HumanInput"):
        Simulator([spec])
    async with Simulator(pace=0) as dify, client(dify, "workflow") as workflow:
        for path in ("/form/human_input/token", f"/workflow/{_NOBODY}/events?user=ada"):
            async with await workflow.call("GET", path) as reply:
                assert (reply.status, reply.content_type) == (404, "text/html")


async def test_a_simulator_ends_while_runs_are_paused() -> None:
    ask = HumanInput("?", actions=(UserAction("ok", "OK"),))
    spec = AppSpec("asks", "workflow", graph=(Start(), LLM(), ask, End({})))
    async with Simulator([spec], behaviour="1.16", pace=0) as dify, client(dify, "asks") as app:
        await _paused(app)
