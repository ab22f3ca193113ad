"""Runs of a simulated Dify 1.16 that pause or whose streams are lost: what a program gets, end to end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from opendify import BadRequestError, NotFoundError, PreconditionFailedError, TruncatedStreamError
from opendify.simulator import Simulator
from opendify.types import HumanInputAnswer, HumanInputForm

from .conftest import Connect, follow

TEXT = "A rather long answer of a good many words, so that there is something to be lost of it."


@pytest.fixture(params=[False, True], ids=["pubsub", "streams"])
async def simulated(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    async with Simulator(behaviour="1.16", pace=0.002, naming_delay=0, event_log=request.param) as simulator:
        yield simulator


def client(connect: Connect, simulated: Simulator, app: str) -> Any:
    return connect(simulated.url).with_options(api_key=simulated.keys[app])


def person(connect: Connect, asked: list[str]) -> Any:
    """A function that presses the first button of each form."""

    def fill_in(form: HumanInputForm) -> HumanInputAnswer:
        asked.append(form.node_title)
        chosen = {field.output_variable_name: field.option_source for field in form.inputs}
        values = {
            name: options.value[0] if options and options.value else "Nice."
            for name, options in chosen.items()
        }
        return HumanInputAnswer(form.actions[0].id, values)

    async def fill_in_later(form: HumanInputForm) -> HumanInputAnswer:
        return fill_in(form)

    return fill_in if connect.__name__ == "sync" else fill_in_later


DROPS = ["[[drop:1]]", "[[drop:9:fin]]", "[[drop:6:9]][[pace:0.06]]"]
"""Of the first two the run has ended by the time that it is taken up again."""


@pytest.mark.parametrize("drop", DROPS)
async def test_a_chatflows_reply_is_the_same_whether_its_stream_is_lost_or_not(
    connect: Connect, simulated: Simulator, drop: str
) -> None:
    dify = client(connect, simulated, "chatflow")
    reply = await dify.chat.send(query=f"[[reply:{TEXT}]]{drop}")
    assert (reply.answer, reply.workflow_status, reply.lost) == (TEXT, "succeeded", [])
    assert reply.usage.total_tokens > 0
    events = {call.partition("/events")[1] for call in simulated.counts().calls}
    assert "/events" in events


@pytest.mark.parametrize("drop", DROPS)
@pytest.mark.parametrize("app", ["workflow", "outputs"])
async def test_a_workflows_text_and_outputs_are_whole_though_its_stream_was_lost(
    connect: Connect, simulated: Simulator, app: str, drop: str
) -> None:
    dify = client(connect, simulated, app)
    reply = await dify.workflows.run(inputs={"text": f"[[reply:{TEXT}]]{drop}"})
    assert (reply.status, reply.lost, reply.outputs["result"]) == ("succeeded", [], TEXT)
    assert reply.text.startswith(TEXT)
    kept = await dify.workflows.get(reply.workflow_run_id)
    assert (kept.status, kept.outputs) == ("succeeded", reply.outputs)


async def test_no_event_of_a_lost_stream_comes_twice(connect: Connect, simulated: Simulator) -> None:
    dify = client(connect, simulated, "chatflow")
    seen, failure = await follow(dify.chat.stream(query=f"[[reply:{TEXT}]][[drop:7]][[pace:0.08]]"))
    assert failure is None
    nodes = [(told.event, told.data.id) for told in seen if told.event.startswith("node_")]
    assert len(nodes) == len(set(nodes)) == 6
    assert "".join(told.text for told in seen) == TEXT
    assert [told.event for told in seen][-2:] == ["message_end", "workflow_finished"]


async def test_an_older_dify_is_not_asked_for_events(connect: Connect) -> None:
    async with Simulator(behaviour="1.12", pace=0.002, naming_delay=0) as simulated:
        dify = client(connect, simulated, "workflow")
        _, failure = await follow(dify.workflows.stream(inputs={"text": "[[drop:2]]"}))
        assert isinstance(failure, TruncatedStreamError)
        assert failure.workflow_run_id is not None
        assert not any("/events" in call for call in simulated.counts().calls)
        assert (await dify.workflows.get(failure.workflow_run_id)).id == failure.workflow_run_id


@pytest.mark.parametrize("drop", ["", "[[drop:3:5]]"])
async def test_a_person_is_asked_once_and_the_run_goes_on_to_its_end(
    connect: Connect, simulated: Simulator, drop: str
) -> None:
    asked: list[str] = []
    ask = person(connect, asked)
    flow = client(connect, simulated, "review")
    run = await flow.workflows.run(inputs={"text": f"[[reply:A draft]]{drop}"}, human_input=ask)
    assert (run.status, run.outputs) == ("succeeded", {"result": "Approved: A draft (Nice.)"})
    chat = client(connect, simulated, "approval")
    reply = await chat.chat.send(query=f"[[reply:A draft]]{drop}", human_input=ask)
    assert (reply.workflow_status, reply.answer) == ("succeeded", "A draft\nSent. Nice.")
    assert (asked, run.lost, reply.lost) == (["Review", "Approval"], [], [])


async def test_the_three_calls_go_on_with_a_paused_run(connect: Connect, simulated: Simulator) -> None:
    dify = client(connect, simulated, "approval")
    reply = await dify.chat.send(query="[[reply:A draft]]")
    assert (reply.workflow_status, reply.answer) == ("paused", "A draft")
    (waiting,) = reply.paused.forms
    form = await dify.human_input.form(waiting.form_token)
    assert [action.id for action in form.actions] == [action.id for action in waiting.actions]
    with pytest.raises(BadRequestError, match="invalid_form_data"):
        await dify.human_input.submit(form.form_token, action="no such", inputs={"remark": "Nice."})
    await dify.human_input.submit(form.form_token, action="send", inputs={"remark": "Nice."})
    async with dify.chat.events(reply.workflow_run_id) as stream:
        done = await stream.reply()
    assert done.workflow_status == "succeeded"
    with pytest.raises(PreconditionFailedError, match="human_input_form_submitted"):
        await dify.human_input.submit(form.form_token, action="send", inputs={"remark": "Nice."})
    with pytest.raises(NotFoundError):
        await dify.human_input.form("no-such-token")
