"""Runs that wait for a person: what a program that asks the person can rely on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic_core import from_json

from opendify import (
    APIConnectionError,
    BadRequestError,
    FormElsewhereError,
    NotFoundError,
    PreconditionFailedError,
)
from opendify.types import HumanInputAnswer, HumanInputForm

from .conftest import Connect, follow
from .wire_server import Answer, Close, Pause, WaitForClient, WireServer, answer, event, events

RUN = "fb47b2e6-5e43-4f90-be01-d5c5a088d156"
TOKEN = "token-that-opens-the-form"
NAMES = {"task_id": "t", "workflow_run_id": RUN}
CHAT_NAMES = {**NAMES, "conversation_id": "c", "message_id": "m", "created_at": 1}
NEW: Any = {"x-version": "1.16.0"}


def form(name: str = "Approval", token: str | None = TOKEN) -> dict[str, Any]:
    return {
        "form_id": f"form of {name}",
        "node_id": name.lower(),
        "node_title": name,
        "form_content": "Please review the draft.",
        "inputs": [{"type": "paragraph", "output_variable_name": "comment", "default": None}],
        "actions": [{"id": "approve", "title": "Approve", "button_style": "primary"}],
        "display_in_ui": True,
        "form_token": token,
        "resolved_default_values": {"comment": ""},
        "expiration_time": 1745510400,
    }


def started(names: Mapping[str, Any] = NAMES, reason: str = "initial") -> bytes:
    data = {"id": RUN, "workflow_id": "w", "inputs": {}, "created_at": 1, "reason": reason}
    return event(event="workflow_started", **names, data=data)


def asked(*forms: Mapping[str, Any], names: Mapping[str, Any] = NAMES) -> bytes:
    reasons = [{"TYPE": "human_input_required", **one} for one in forms]
    data = {"workflow_run_id": RUN, "paused_nodes": ["n"], "outputs": {}, "reasons": reasons}
    required = [event(event="human_input_required", **names, data=one) for one in forms]
    return b"".join([*required, event(event="workflow_paused", **names, data={**data, "status": "paused"})])


def filled(name: str = "Approval", names: Mapping[str, Any] = NAMES) -> bytes:
    data = {"node_id": name.lower(), "node_title": name, "action_id": "approve", "rendered_content": "…"}
    return started(names, "resumption") + event(event="human_input_form_filled", **names, data=data)


def finished(names: Mapping[str, Any] = NAMES) -> bytes:
    data = {"id": RUN, "workflow_id": "w", "status": "succeeded", "outputs": {"result": "Bonjour"}}
    return event(event="workflow_finished", **names, data=data)


def waiting(*steps: Any) -> Answer:
    """The events of a run that waits: the snapshot at once, and the rest when the form may be submitted."""
    return events(b"event: ping\n\n", steps[0], Pause(0.1), *steps[1:], **NEW)


DONE = answer(b"{}")


def person(connect: Connect, forms: list[HumanInputForm]) -> Any:
    """A function that has a form filled in, as the client wants it."""

    def fill_in(one: HumanInputForm) -> HumanInputAnswer:
        forms.append(one)
        return HumanInputAnswer(action="approve", inputs={"comment": f"Fine, {one.node_title}."})

    async def fill_in_later(one: HumanInputForm) -> HumanInputAnswer:
        return fill_in(one)

    return fill_in if connect.__name__ == "sync" else fill_in_later


async def test_a_pause_is_told_with_its_forms_and_going_on_is_three_calls(connect: Connect) -> None:
    told = {**form(), "user_actions": form()["actions"]}
    del told["actions"], told["form_id"], told["form_token"]
    said = [
        events(started(), asked(form()), **NEW),
        answer(json(told)),
        DONE,
        events(filled(), finished(), **NEW),
    ]
    with WireServer(*said) as server:
        dify = connect(server)
        reply = await dify.workflows.run(inputs={})
        assert (reply.status, reply.workflow_run_id) == ("paused", RUN)
        (open_form,) = reply.paused.forms
        shown = await dify.human_input.form(open_form.form_token)
        assert (shown.form_content, shown.actions[0].id) == ("Please review the draft.", "approve")
        assert (shown.form_token, shown.inputs[0].output_variable_name) == (TOKEN, "comment")
        await dify.human_input.submit(shown.form_token, action="approve", inputs={"comment": "Fine."})
        async with dify.workflows.events(reply.workflow_run_id) as stream:
            done = await stream.reply()
    assert (done.status, done.outputs, done.paused) == ("succeeded", {"result": "Bonjour"}, None)
    submitted = server.requests[2]
    assert (submitted.method, submitted.path) == ("POST", f"/v1/form/human_input/{TOKEN}")
    assert from_json(submitted.body) == {"action": "approve", "inputs": {"comment": "Fine."}, "user": "ada"}


async def test_a_function_answers_all_forms_and_the_reply_is_that_of_the_end(connect: Connect) -> None:
    both = asked(form("One"), form("Two"))
    said = [
        events(started(), both, **NEW),
        waiting(started() + both, filled("One"), asked(form("Two"))),
        DONE,
        waiting(started() + asked(form("Two")), filled("Two"), asked(form("Three"))),
        DONE,
        waiting(started() + asked(form("Three")), filled("Three"), finished()),
        DONE,
    ]
    forms: list[HumanInputForm] = []
    with WireServer(*said) as server:
        reply = await connect(server).workflows.run(human_input=person(connect, forms))
    assert [one.node_title for one in forms] == ["One", "Two", "Three"]
    assert (reply.status, reply.outputs, reply.paused) == ("succeeded", {"result": "Bonjour"}, None)
    answers = [from_json(request.body) for request in server.requests if "/form/" in request.path]
    assert [one["inputs"]["comment"] for one in answers] == ["Fine, One.", "Fine, Two.", "Fine, Three."]


async def test_no_connection_is_held_while_a_person_takes_their_time(connect: Connect) -> None:
    opened = started() + asked(form())
    said = [
        events(opened, WaitForClient(), **NEW),
        waiting(opened, filled(), finished()),
        DONE,
    ]
    with WireServer(*said) as server:
        closed: list[bool] = []

        def fill_in(one: HumanInputForm) -> HumanInputAnswer:
            closed.append(server.closed_by_client.wait(10))
            return HumanInputAnswer(action="approve")

        async def fill_in_later(one: HumanInputForm) -> HumanInputAnswer:
            return await asyncio.to_thread(fill_in, one)

        ask = fill_in if connect.__name__ == "sync" else fill_in_later
        reply = await connect(server).workflows.run(human_input=ask)
    assert (reply.status, closed) == ("succeeded", [True])


async def test_the_stream_of_a_run_that_was_answered_goes_on_as_one(connect: Connect) -> None:
    def said(text: str) -> bytes:
        return event(event="message", **CHAT_NAMES, id="m", answer=text)

    end = event(event="message_end", **CHAT_NAMES, id="m", metadata={}, files=[])
    stored = event(event="message_replace", **CHAT_NAMES, answer="Draft. ", reason="")
    opened = asked(form(), names=CHAT_NAMES)
    with WireServer(
        events(started(CHAT_NAMES), said("Draft. "), opened, **NEW),
        waiting(
            started(CHAT_NAMES) + stored + opened,
            filled(names=CHAT_NAMES) + said("Approved."),
            end + finished(CHAT_NAMES),
        ),
        DONE,
    ) as server:
        stream = connect(server).chat.stream(query="Hi", human_input=person(connect, []))
        async with stream as reader:
            names = [told.event async for told in reader]
            reply = await reader.reply()
    assert names == [
        "workflow_started",
        "message",
        "human_input_required",
        "workflow_paused",
        "workflow_started",
        "human_input_form_filled",
        "message",
        "message_end",
        "workflow_finished",
    ]
    assert (reply.answer, reply.workflow_status, reply.replaced) == ("Draft. Approved.", "succeeded", False)


async def test_a_stream_that_is_lost_before_the_run_goes_on_is_taken_up_again(connect: Connect) -> None:
    still = started() + asked(form())
    with WireServer(
        events(started(), asked(form()), **NEW),
        events(still, Pause(0.1), Close(), end=False, **NEW),
        DONE,
        events(still, filled(), finished(), **NEW),
    ) as server:
        forms: list[HumanInputForm] = []
        reply = await connect(server).workflows.run(human_input=person(connect, forms))
    assert (reply.status, reply.lost, len(forms)) == ("succeeded", [], 1)
    assert sum("/form/" in request.path for request in server.requests) == 1


async def test_a_form_that_is_shown_elsewhere_is_no_ones_to_answer_here(connect: Connect) -> None:
    forms: list[HumanInputForm] = []
    with WireServer(events(started(), asked(form(token=None)), **NEW)) as server:
        dify = connect(server)
        with pytest.raises(FormElsewhereError, match="'Approval' is delivered elsewhere") as caught:
            await dify.workflows.run(human_input=person(connect, forms))
        with pytest.raises(ValueError, match="no token"):
            await dify.human_input.submit("", action="approve")
    assert (caught.value.workflow_run_id, forms) == (RUN, [])


@pytest.mark.parametrize(
    ("status", "code", "kind", "advice"),
    [
        (400, "invalid_form_data", BadRequestError, "which inputs and actions the form has"),
        (412, "human_input_form_submitted", PreconditionFailedError, "the run goes on"),
        (412, "human_input_form_expired", PreconditionFailedError, "the run went on"),
        (404, "not_found", NotFoundError, "Check the id"),
    ],
)
async def test_an_answer_that_dify_refuses_is_refused_with_what_to_do(
    connect: Connect, status: int, code: str, kind: type[Exception], advice: str
) -> None:
    message = f"Refused. You have requested this URI [/v1/form/human_input/{TOKEN}] but did you mean …?"
    refused = answer(json({"code": code, "message": message if status == 404 else "Refused"}), status=status)
    with WireServer(refused) as server:
        human_input = connect(server).human_input
        with pytest.raises(kind, match=advice) as caught:
            await human_input.submit(TOKEN, action="no such", inputs={})
    assert TOKEN not in str(caught.value)


async def test_a_forms_token_shows_nowhere(connect: Connect) -> None:
    with WireServer(events(started(), asked(form()), **NEW)) as server:
        dify = connect(server)
        seen, failure = await follow(dify.workflows.stream())
        reply = await dify.workflows.run()
    assert failure is None
    assert reply.paused.forms[0].form_token == TOKEN
    with pytest.raises(APIConnectionError) as caught:
        await dify.human_input.form(TOKEN)
    shown = f"{seen} {reply} {reply.paused!s} {reply.paused.forms!r} {caught.value!r} {caught.value} "
    assert TOKEN not in shown + repr(vars(caught.value))
    assert "secret" not in repr(HumanInputAnswer("approve", {"comment": "secret"}))


def json(told: object) -> bytes:
    from pydantic_core import to_json

    return to_json(told)
