"""The SDK in front of the simulator, over TCP: lost streams and forms from both ends at once (1.16)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from opendify import AsyncDify, Dify
from opendify.simulator import AppSpec, Simulator
from opendify.simulator.nodes import LLM, Answer, End, FormInput, HumanInput, Start, Together
from opendify.types import HumanInputAnswer, HumanInputForm

_WORDS = " ".join(f"word{at}" for at in range(30))
_REMARK = (FormInput("remark"),)
_BOTH = Together((HumanInput("One?", id="one", inputs=_REMARK), HumanInput("Two?", id="two")))
_APPS = (
    AppSpec("chatflow", "advanced-chat"),
    AppSpec("workflow", "workflow"),
    AppSpec(
        "talk",
        "advanced-chat",
        graph=(
            Start(),
            LLM(),
            Answer(id="draft"),
            HumanInput("Send?", id="send", inputs=_REMARK),
            Answer(" Sent: {{#send.remark#}}.", id="sent"),
            HumanInput("Really?", id="really"),
            Answer(" Really."),
        ),
    ),
    AppSpec("both", "workflow", graph=(Start(), _BOTH, End({"one": "one.remark", "two": "two.__action_id"}))),
)
_DROPS = ("", "[[drop:1]]", "[[drop:2]]", "[[drop:6]]", "[[drop:9:4:12:fin]]", "[[drop:40]]")


@pytest.fixture
async def dify() -> AsyncIterator[Simulator]:
    async with Simulator(_APPS, behaviour="1.16", pace=0.001, naming_delay=0) as dify:
        yield dify


async def _person(form: HumanInputForm) -> HumanInputAnswer:
    return HumanInputAnswer("approve", {"remark": "fine"} if form.inputs else {})


@pytest.mark.parametrize("drop", _DROPS)
async def test_a_reply_is_whole_wherever_its_stream_was_lost(dify: Simulator, drop: str) -> None:
    async with AsyncDify(dify.keys["chatflow"], base_url=dify.base_url, user="ada") as client:
        reply = await client.chat.send(query=f"[[long:30]]{drop}", auto_generate_name=False)
    assert reply.answer == _WORDS
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 30


@pytest.mark.parametrize("drop", _DROPS)
async def test_a_conversation_with_a_person_is_whole_wherever_its_stream_was_lost(
    dify: Simulator, drop: str
) -> None:
    async with AsyncDify(dify.keys["talk"], base_url=dify.base_url, user="ada") as client:
        reply = await client.chat.send(query=f"[[reply:A draft of a few words.]]{drop}", human_input=_person)
    assert reply.answer == "A draft of a few words. Sent: fine. Really."


async def test_several_forms_are_answered_one_by_one(dify: Simulator) -> None:
    async with AsyncDify(dify.keys["both"], base_url=dify.base_url, user="ada") as client:
        reply = await client.workflows.run(inputs={}, human_input=_person)
    assert reply.outputs == {"one": "fine", "two": "approve"}


def test_without_asyncio_too() -> None:
    def person(form: HumanInputForm) -> HumanInputAnswer:
        return HumanInputAnswer("approve", {"remark": "fine"} if form.inputs else {})

    with Simulator(_APPS, behaviour="1.16", pace=0.001, naming_delay=0) as dify:
        with Dify(dify.keys["workflow"], base_url=dify.base_url, user="ada") as client:
            run = client.workflows.run(inputs={})
            assert client.workflows.get(run.workflow_run_id).status == "succeeded"
        with Dify(dify.keys["talk"], base_url=dify.base_url, user="ada") as client:
            reply = client.chat.send(query="[[reply:A draft.]][[drop:6]]", human_input=person)
    assert reply.answer == "A draft. Sent: fine. Really."
