"""A run that waits for a person is gone on with, before a Dify that does what a test tells it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic_core import from_json

from opendify import AsyncDify, DifyError, MalformedStreamError, TruncatedStreamError
from opendify.gateway import run as runs
from opendify.gateway.catalog import Model
from opendify.gateway.errors import OpenAIError
from opendify.gateway.forms import Form, Submission
from opendify.gateway.human import Reply as Said
from opendify.gateway.reply import CONNECTION, Reply
from opendify.gateway.run import Run
from opendify.types import HumanInputAnswer, HumanInputForm
from sdk.wire_server import Answer, Close, Pause, WaitForClient, WireServer, answer, event, events

NAMES: Any = {"task_id": "t", "workflow_run_id": "r"}
DONE = answer(b"{}")


def started(reason: str = "initial") -> bytes:
    return event(event="workflow_started", **NAMES, data={"id": "r", "reason": reason})


def paused(*forms: str) -> bytes:
    reasons = [{"TYPE": "human_input_required", "form_id": form, "form_token": "secret"} for form in forms]
    return event(event="workflow_paused", **NAMES, data={"workflow_run_id": "r", "reasons": reasons})


def text(said: str) -> bytes:
    return event(event="text_chunk", **NAMES, data={"text": said})


FINISHED = event(event="workflow_finished", **NAMES, data={"id": "r", "status": "succeeded", "outputs": {}})


def submission(form: str) -> Submission:
    said = Said("call_human_1", "ok", "messages[2].content")
    return Submission(Form("r", form, f"token-{form}"), HumanInputForm(), HumanInputAnswer("ok"), said)


@asynccontextmanager
async def run_before(*answers: Answer) -> AsyncIterator[tuple[Run, WireServer]]:
    async def send(_: object) -> None:
        raise AssertionError("nothing is told to the client here")

    with WireServer(*answers) as server:
        async with AsyncDify("app-key", base_url=f"{server.url}/v1", max_retries=0) as client:
            app = SimpleNamespace(base_url=server.url, agent_steps=True, workflow_nodes=False)
            model = SimpleNamespace(mode="workflow", id="Review", client=client, app=app)
            call = asyncio.current_task()
            assert call is not None
            reply = Reply({CONNECTION: None}, send, call, "1")
            run = Run(cast("Model", model), "ada", reply)  # cast: what a run needs of a model
            try:
                yield run, server
            finally:
                await run.close()


async def told(run: Run) -> str:
    said: list[str] = []
    while not (run.answer.complete or run.answer.failure):
        said += [text for _, text in await run.read() or ()]
    return "".join(said)


def calls(server: WireServer) -> list[str]:
    return [f"{request.method} {request.path.partition('?')[0]}" for request in server.requests]


EVENTS, FORM, STOP = (
    "GET /v1/workflow/r/events",
    "POST /v1/form/human_input/token-a",
    "POST /v1/workflows/tasks/t/stop",
)


async def test_the_form_is_submitted_once_dify_has_told_that_the_run_waits() -> None:
    stream = events(started(), paused("a"), Pause(0.2), started("resumption") + text("Yes."), FINISHED)
    async with run_before(stream, DONE) as (run, server):
        await run.resume([submission("a")])
        assert await told(run) == "Yes."
    assert calls(server) == [EVENTS, FORM]
    assert from_json(server.requests[1].body) == {"action": "ok", "inputs": {}, "user": "ada"}
    assert "include_state_snapshot=true" in server.requests[0].path
    assert "continue_on_pause=true" in server.requests[0].path


async def test_each_of_several_forms_is_submitted_at_a_pause_of_its_own() -> None:
    first = events(started(), paused("a", "b"), Pause(0.2), text("One. "), paused("b"))
    second = events(started(), paused("b"), Pause(0.2), text("Two."), FINISHED)
    async with run_before(first, DONE, second, DONE) as (run, server):
        await run.resume([submission("a"), submission("b")])
        assert await told(run) == "One. Two."
    assert calls(server) == [EVENTS, FORM, EVENTS, FORM.replace("token-a", "token-b")]


@pytest.mark.parametrize("state", [FINISHED, started() + paused("b")], ids=["over", "at another form"])
async def test_a_form_that_the_run_does_not_wait_for_is_not_submitted(state: bytes) -> None:
    async with run_before(events(state, WaitForClient())) as (run, server):
        with pytest.raises(OpenAIError) as caught:
            await run.resume([submission("a")])
    assert (caught.value.code, calls(server)) == ("human_input_submitted", [EVENTS])


async def test_a_dify_that_tells_no_pause_gets_the_answer_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs, "LISTEN_SECONDS", 0.05)
    stream = events(started(), Pause(0.5), started("resumption") + text("Yes."), FINISHED)
    async with run_before(stream, DONE) as (run, server):
        await run.resume([submission("a")])
        assert await told(run) == "Yes."
    assert calls(server) == [EVENTS, FORM]


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ([Close()], TruncatedStreamError),
        ([b"data: {\n\n", WaitForClient()], MalformedStreamError),
        ([], TruncatedStreamError),
    ],
    ids=["cut", "unreadable", "ended"],
)
async def test_where_it_is_unknown_how_the_run_stands_nothing_is_submitted(
    state: list[Any], error: type[DifyError]
) -> None:
    async with run_before(events(started(), *state, end=not state)) as (run, server):
        with pytest.raises(error):
            await run.resume([submission("a")])
        assert not run.begun
    assert calls(server) == [EVENTS]


async def test_a_run_whose_stream_is_lost_after_the_answer_is_stopped() -> None:
    stream = events(started(), paused("a"), Pause(0.2), text("Ye"), Close(), end=False)
    async with run_before(stream, DONE, DONE) as (run, server):
        await run.resume([submission("a")])
        assert await told(run) == "Ye"
        assert isinstance(run.answer.failure, TruncatedStreamError)
    assert calls(server) == [EVENTS, FORM, STOP]


async def test_dify_may_refuse_the_second_of_two_answers() -> None:
    first = events(started(), paused("a", "b"), Pause(0.2), text("One. "), paused("b"))
    second = events(started(), paused("b"), WaitForClient())
    said = b'{"code":"human_input_form_expired","message":"This form has expired","status":412}'
    async with run_before(first, DONE, second, answer(said, status=412)) as (run, server):
        await run.resume([submission("a"), submission("b")])
        assert await told(run) == "One. "
        assert isinstance(run.answer.failure, OpenAIError)
        assert run.answer.failure.code == "human_input_expired"
    assert STOP not in calls(server)
