"""Every stream that a real Dify 1.12.1 sent, played back cut at any bytes, through each way to call."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from opendify import APIStatusError, DifyError, TruncatedStreamError, WorkflowFailedError
from opendify.types import ErrorEvent, UploadedFile
from opendify.types.events import CHAT_EVENTS, COMPLETION_EVENTS, WORKFLOW_EVENTS

from .conftest import Connect, follow
from .wire_server import RECORDINGS, WireServer, cut, events, recording


def exchanges() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(RECORDINGS.glob("*.json"))}


EXCHANGES = exchanges()
STREAMS = [name for name, exchange in EXCHANGES.items() if exchange.get("events")]
ADAPTERS: dict[str, Any] = {
    "chat-messages": CHAT_EVENTS,
    "completion-messages": COMPLETION_EVENTS,
    "workflows": WORKFLOW_EVENTS,
}


def kind(name: str) -> str:
    return EXCHANGES[name]["request"]["url"].partition("/v1/")[2].split("/")[0]


def body(name: str) -> bytes:
    """The recorded body without HTTP's own chunk marks, which one recording has kept."""
    raw = recording(name)
    return raw if raw.startswith((b"data", b"event")) else b"".join(raw.split(b"\r\n")[1::2])


def payloads(name: str) -> list[dict[str, Any]]:
    """The events of a recording, read otherwise than the SDK does: one to a line, as Dify writes them."""
    return [json.loads(line[6:]) for line in body(name).split(b"\n") if line.startswith(b"data: ")]


def expected_text(told: list[dict[str, Any]]) -> str:
    text = ""
    for event in told:
        match event["event"]:
            case "message" | "agent_message" | "message_file":
                text += event.get("answer", "")
            case "text_chunk":
                text += event["data"]["text"]
            case "message_replace":
                text = event["answer"]
            case _:
                pass
    return text


def test_there_are_recordings_of_every_kind_of_app() -> None:
    assert {kind(name) for name in STREAMS} == set(ADAPTERS)
    assert len(STREAMS) > 60


@pytest.mark.parametrize("name", STREAMS)
def test_no_field_of_a_recorded_event_is_lost_or_unknown(name: str) -> None:
    for told in payloads(name):
        event = ADAPTERS[kind(name)].validate_python(told)
        assert event.event == told["event"]
        dumped = event.model_dump(mode="json", exclude_unset=True)
        assert dumped.keys() == told.keys()
        for key in ("data", "metadata"):
            if key in told:
                assert dumped[key].keys() == told[key].keys()
        if not isinstance(event, ErrorEvent):
            assert event.text == expected_text([told]) or told["event"] == "message_replace"


@pytest.mark.parametrize("name", STREAMS)
async def test_a_recorded_stream_comes_through_whole_however_it_is_cut(connect: Connect, name: str) -> None:
    told = payloads(name)
    dice = random.Random(name)
    pieces = list(cut(body(name), (dice.randint(1, 400) for _ in range(100_000))))
    with WireServer(events(*pieces)) as server:
        dify = connect(server)
        match kind(name):
            case "chat-messages":
                sent, stream = dify.chat.send(query="Hi"), dify.chat.stream(query="Hi")
            case "completion-messages":
                sent, stream = dify.completion.send(inputs={}), dify.completion.stream(inputs={})
            case _:
                sent, stream = dify.workflows.run(), dify.workflows.stream()
        seen, failure = await follow(stream)
        await check_reply(sent, told)
    assert [event.event for event in seen] == [e["event"] for e in told if e["event"] != "error"]
    check_failure(failure, told[-1])


def check_failure(failure: DifyError | None, last: dict[str, Any]) -> None:
    match last["event"]:
        case "error":
            assert isinstance(failure, APIStatusError)
            assert failure.in_stream
            assert (failure.status, failure.code, failure.message) == (
                last["status"], last["code"], last["message"],
            )  # fmt: skip
        case "message_end" | "tts_message_end" | "workflow_finished":
            assert failure is None
        case _:  # the client of this recording went away
            assert isinstance(failure, TruncatedStreamError)


async def check_reply(sent: Any, told: list[dict[str, Any]]) -> None:
    finished = next((e["data"] for e in told if e["event"] == "workflow_finished"), None)
    ended = next((e for e in told if e["event"] == "message_end"), None)
    failed = finished is not None and finished["status"] == "failed"
    if failed:
        with pytest.raises(WorkflowFailedError) as caught:
            await sent
        assert caught.value.error == finished["error"]
        titles = [
            e["data"]["title"]
            for e in told
            if e["event"] == "node_finished" and e["data"]["status"] == "failed"
        ]
        assert caught.value.node_title == titles[-1]
        return
    if told[-1]["event"] == "error":
        with pytest.raises(APIStatusError):
            await sent
        return
    if not finished and not ended:
        with pytest.raises(TruncatedStreamError):
            await sent
        return
    reply = await sent
    if ended is None:
        assert (reply.status, reply.outputs) == (finished["status"], finished["outputs"])
        assert (reply.total_tokens, reply.error) == (finished["total_tokens"], finished["error"])
        assert reply.text == expected_text(told)
        return
    assert reply.answer == expected_text(told)
    assert reply.message_id == ended["message_id"]
    assert reply.task_id == ended["task_id"]
    usage = ended["metadata"]["usage"]
    assert reply.usage.total_tokens == usage["total_tokens"]
    assert float(reply.usage.total_price) == float(usage["total_price"])
    assert len(reply.metadata.retriever_resources) == len(ended["metadata"]["retriever_resources"])
    if "conversation_id" in ended:
        assert reply.conversation_id == ended["conversation_id"]
        thoughts = {e["id"]: e for e in told if e["event"] == "agent_thought"}
        assert [thought.id for thought in reply.thoughts] == list(thoughts)
        assert [thought.thought for thought in reply.thoughts] == [t["thought"] for t in thoughts.values()]
        files = [e["url"] for e in told if e["event"] == "message_file" and "url" in e]
        assert [file.url for file in reply.files] == files
        if finished:
            assert (reply.workflow_status, reply.outputs) == (finished["status"], finished["outputs"])


@pytest.mark.parametrize(
    "name",
    [n for n in EXCHANGES if "upload" in n and EXCHANGES[n]["status"] == 201],
)
def test_recorded_uploads_are_read(name: str) -> None:
    uploaded = UploadedFile.model_validate_json(recording(name))
    assert uploaded.attachment["upload_file_id"] == uploaded.id
    assert uploaded.attachment["transfer_method"] == "local_file"
