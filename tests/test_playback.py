"""The playback server says exactly what was recorded, and its judge reads recordings rightly."""

import asyncio
import json
import random
from typing import get_args

import aiohttp
import pytest

from playback import (
    Cut,
    Playback,
    Recording,
    Step,
    about,
    expected,
    pieces,
    recordings,
    refusals,
    streams,
    wire,
)


def of(name: str) -> Recording:
    return recordings()[name]


async def raw(dify: Playback, request: bytes) -> bytes:
    """Everything that comes back for the bytes of a request, until the server closes."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(dify.base_url.split(":")[2].split("/")[0])
    )
    writer.write(request)
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def request(recording: Recording) -> bytes:
    body = json.dumps(recording.asked).encode()
    fields = f"Authorization: Bearer {recording.key}\r\nContent-Length: {len(body)}"
    return f"POST /v1{recording.path} HTTP/1.1\r\n{fields}\r\n\r\n".encode() + body


def test_every_recorded_call_that_starts_a_run_is_there() -> None:
    assert len(streams()) == 80
    assert len(refusals()) == 85
    assert {of(name).mode for name in streams()} == {
        "chat",
        "agent-chat",
        "advanced-chat",
        "completion",
        "workflow",
    }


@pytest.mark.parametrize("cut", get_args(Cut))
@pytest.mark.parametrize(
    "name", ["chat-unicode-streaming", "agent-slow-ping", "err-401-bad-key", "workflow-streaming"]
)
async def test_however_it_is_cut_a_reply_is_what_wasrecorded(name: str, cut: Cut) -> None:
    async with Playback(cut=cut, seed=7, close=True) as dify:
        assert await raw(dify, request(of(name))) == wire(of(name), close=True)


async def test_every_recording_is_sound_http_with_the_recorded_status_headers_and_body() -> None:
    async with Playback() as dify, aiohttp.ClientSession() as client:
        for name in [*streams(), *refusals()]:
            recording = of(name)
            async with client.post(
                dify.base_url + recording.path,
                json=recording.asked,
                headers={"Authorization": f"Bearer {recording.key}"},
            ) as reply:
                assert (reply.status, await reply.read()) == (recording.status, recording.body), name
                recorded = [(key, value) for key, value in recording.headers if key != "Content-Length"]
                assert [
                    (key, value) for key, value in reply.headers.items() if key != "Content-Length"
                ] == recorded


def test_cuts_fall_inside_characters_events_and_chunks() -> None:
    data = wire(of("chat-unicode-streaming"))
    cuts = set()
    for seed in range(20):
        position = 0
        for piece in pieces(data, "random", random.Random(seed)):
            position += len(piece)
            cuts.add(position)
    inside = [at for at in range(1, len(data)) if data[at] & 0xC0 == 0x80]
    assert cuts & set(inside)
    assert len(cuts) > 500


async def test_an_app_is_known_by_its_recording_s_name_and_its_mode() -> None:
    async with Playback() as dify, aiohttp.ClientSession() as client:
        for name in [*streams(), *refusals()]:
            headers = {"Authorization": f"Bearer {of(name).key}"}
            async with client.get(f"{dify.base_url}/info", headers=headers) as reply:
                info = await reply.json()
            assert (info["name"], info["mode"]) == (name, of(name).mode)
            async with client.get(f"{dify.base_url}/parameters", headers=headers) as reply:
                assert isinstance((await reply.json())["user_input_form"], list)


async def test_what_was_recorded_of_an_app_is_told() -> None:
    async with Playback() as dify, aiohttp.ClientSession() as client:
        headers = {"Authorization": f"Bearer {of('chat-form-missing').key}"}
        async with client.get(f"{dify.base_url}/parameters", headers=headers) as reply:
            form = (await reply.json())["user_input_form"]
    assert [next(iter(item.values()))["variable"] for item in form if "text-input" in item] == ["name"]


def test_modes_guessed_from_names_are_those_that_dify_told() -> None:
    told = {
        r.nickname: mode for r in recordings().values() if (mode := about(r.nickname, "/info").get("mode"))
    }
    assert len(told) >= 8
    assert all(r.mode == told.get(r.nickname, r.mode) for r in recordings().values())


async def test_the_server_notes_what_it_is_asked_and_takes_stops() -> None:
    async with Playback() as dify, aiohttp.ClientSession() as client:
        headers = {"Authorization": f"Bearer {of('chat-streaming').key}"}
        for path in ("/chat-messages", "/chat-messages/some-task/stop"):
            async with client.post(dify.base_url + path, json={"user": "ada"}, headers=headers) as reply:
                assert reply.status == 200
                await reply.read()
        assert dify.calls == [
            ("chat-streaming", "/chat-messages", {"user": "ada"}),
            ("chat-streaming", "/chat-messages/some-task/stop", {"user": "ada"}),
        ]


async def test_a_wrong_key_and_a_wrong_path_are_refused() -> None:
    async with Playback() as dify, aiohttp.ClientSession() as client:
        async with client.get(f"{dify.base_url}/info", headers={"Authorization": "Bearer app-none"}) as reply:
            assert reply.status == 401
        headers = {"Authorization": f"Bearer {of('chat-streaming').key}"}
        async with client.post(f"{dify.base_url}/workflows/run", json={}, headers=headers) as reply:
            assert reply.status == 404


async def test_a_caller_that_goes_away_does_no_harm() -> None:
    async with Playback(cut="bytes") as dify:
        _, writer = await asyncio.open_connection("127.0.0.1", int(dify.base_url.split(":")[2].split("/")[0]))
        writer.write(request(of("chat-long-streaming")))
        await asyncio.sleep(0.01)
        writer.transport.abort()
        assert await raw(dify, b"GET /v1/info HTTP/1.1\r\nAuthorization: Bearer app-none\r\n\r\nx\r\n\r\n")


# What recordings say, read by hand


def test_the_text_is_that_of_allpieces() -> None:
    assert expected(of("chat-streaming")).text == "Hello! This is a canned answer from the stub model."
    assert (
        expected(of("chat-unicode-streaming")).text
        == "你好，世界！🌍👨\u200d👩\u200d👧\u200d👦 naïve café — ½ ∑ \u2028 end"
    )
    assert expected(of("completion-file")).text.startswith('IMAGES:[{"type": "image"')
    assert expected(of("annotation-hit-streaming")).text == "Updated annotated answer."
    assert expected(of("workflow-nollm-streaming")).text == "hello flow"
    assert expected(of("fx_loop_contains_answer-streaming")).text == "1\n2\nfixture question + 2"
    assert expected(of("chat-empty-streaming")).text == ""


def test_thinking_is_no_part_of_the_text() -> None:
    for name in ("chat-think-streaming", "chatflow-think-streaming"):
        assert expected(of(name)).text == "The answer is 42."
        assert expected(of(name)).reasoning == "First I ponder the question.\nThen I decide."
    assert expected(of("chat-streaming")).reasoning is None


def test_usage_is_dify_s() -> None:
    usage = {"prompt_tokens": 14, "completion_tokens": 12, "total_tokens": 26}
    assert expected(of("chat-streaming")).usage == usage
    usage = {"prompt_tokens": 10, "completion_tokens": 12, "total_tokens": 22}
    assert expected(of("workflow-streaming")).usage == usage
    assert expected(of("chat-client-disconnect")).usage is None


def test_an_agent_s_steps_are_merged_and_in_order() -> None:
    (step,) = expected(of("agent-streaming")).steps
    assert isinstance(step, Step)
    assert step.tool == "current_time"
    assert json.loads(step.input).keys() == {"current_time"}
    assert "2026-11-21 03:12:58" in step.observation


def test_a_file_that_the_app_made_is_told() -> None:
    (url,) = expected(of("agent-image-streaming")).files
    assert "/files/tools/dd05c9f1-c328-4562-96d3-f4e3808d21f1.png?" in url
    assert expected(of("chat-file-local-streaming")).files == ()


def test_what_moderation_put_in_its_place_is_the_answer() -> None:
    said = expected(of("chat-moderation-output-streaming"))
    assert said.text == "Output was blocked by moderation."
    assert said.streamed.endswith("before the\n\nOutput was blocked by moderation.")
    assert said.finish_reason == "content_filter"
    assert expected(of("chat-streaming")).finish_reason == "stop"


@pytest.mark.parametrize(
    ("name", "status", "code", "says", "first"),
    [
        ("agent-error0", 502, "completion_request_error", "scripted failure", True),
        ("agent-error-midstream", 502, "completion_request_error", "scripted failure", False),
        ("chat-file-remote-404", 502, "internal_server_error", "Internal Server Error", True),
        ("err-model-raw-midstream", 400, "invalid_param", "raw text", False),
        ("chatflow-node-error-streaming", 502, "", "code boom", False),
        ("workflow-error-streaming", 502, "", "code boom", False),
        ("empty-workflow-streaming", 502, "", "credentials is not initialized", False),
        ("err-401-bad-key", 502, "unauthorized", "", True),
        ("err-429-app-limit-streaming", 429, "invalid_param", "Too many requests", True),
        ("chat-after-conversation-deleted", 404, "not_found", "Conversation Not Exists", True),
        ("empty-chat-streaming", 503, "provider_not_initialize", "credentials", True),
        ("chat-form-missing-streaming", 400, "invalid_param", "name is required", True),
    ],
)
def test_a_failure_is_told_as_the_client_must_see_it(
    name: str, status: int, code: str, says: str, first: bool
) -> None:
    error = expected(of(name)).error
    assert error is not None
    assert (error.status, error.code, error.first) == (status, code, first)
    assert says in " ".join(error.says)
    assert expected(of(name)).usage is None
    assert expected(of(name)).finish_reason is None


def test_a_failed_workflow_names_its_node() -> None:
    error = expected(of("workflow-error-streaming")).error
    assert error is not None
    assert error.says[0] == "Code"


def test_a_stream_that_ends_before_its_answer_is_a_failure_and_a_stopped_one_is_not() -> None:
    truncated = expected(of("chat-client-disconnect"))
    assert truncated.text.startswith("tick0")
    assert truncated.error is not None
    assert truncated.error.status == 502
    for name in ("chat-stopped-stream", "chatflow-stopped-stream", "workflow-stopped-stream"):
        assert expected(of(name)).error is None
