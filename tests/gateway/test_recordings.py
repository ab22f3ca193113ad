"""Every recorded run of a real Dify, played back in pieces, through the gateway to the openai package."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from openai import APIError, APIStatusError, AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk

from playback import Cut, Expected, Failure, Playback, Recording, expected, recordings, refusals, streams
from servers import running_gateway

AT_ONCE = 8
FILLED = {"name": "Ada", "lang": "English", "must": "yes", "text": "Hi"}
"""What the recorded forms ask for. Where it is missing, the gateway would not even ask Dify."""


@dataclass
class Got:
    """What a client got."""

    text: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    usage: dict[str, int] | None = None
    note: dict[str, Any] = field(default_factory=dict[str, Any])
    status: int = 200
    error: str | None = None


@asynccontextmanager
async def gateway_over(playback: Playback, names: list[str]) -> AsyncIterator[AsyncOpenAI]:
    """An openai client of a gateway whose models are these recordings."""
    settings = {
        "DIFY_API_BASE": playback.base_url,
        "MODEL_CONFIG": playback.model_config(names),
        "STORE_URL": "memory:",
    }
    starting = running_gateway(**settings)
    gateway = await asyncio.to_thread(starting.__enter__)
    try:
        async with AsyncOpenAI(base_url=gateway.base_url, api_key="any", max_retries=0) as client:
            yield client
    finally:
        await asyncio.to_thread(starting.__exit__, None, None, None)


async def ask(client: AsyncOpenAI, recording: Recording, *, stream: bool) -> Got:
    got = Got()
    try:
        answer = await client.chat.completions.create(
            model=recording.name,
            messages=[{"role": "user", "content": str(recording.asked.get("query") or "Hi")}],
            extra_body={"inputs": FILLED | dict(recording.asked.get("inputs") or {})},
            stream=stream,
            stream_options={"include_usage": True} if stream else None,
        )
        if isinstance(answer, AsyncStream):
            async for chunk in answer:
                add(got, chunk)
        else:
            message = answer.choices[0].message
            got.text, got.finish_reason = message.content or "", answer.choices[0].finish_reason
            got.reasoning = getattr(message, "reasoning_content", None) or ""
            got.usage = answer.usage.model_dump(exclude_none=True) if answer.usage else None
            got.note = getattr(answer, "dify", {})
    except APIStatusError as error:
        got.status, got.error = error.status_code, error.message
    except APIError as error:
        got.error = error.message
    return got


def add(got: Got, chunk: ChatCompletionChunk) -> None:
    for choice in chunk.choices:
        got.text += choice.delta.content or ""
        got.reasoning += getattr(choice.delta, "reasoning_content", None) or ""
        got.finish_reason = choice.finish_reason or got.finish_reason
    if chunk.usage:
        got.usage = chunk.usage.model_dump(exclude_none=True)
    got.note = getattr(chunk, "dify", None) or got.note


def judge(got: Got, wanted: Expected, *, stream: bool) -> None:
    if wanted.error:
        judge_failure(got, wanted, wanted.error, stream=stream)
        return
    assert got.error is None
    text = without_links(got.text, wanted)
    assert text == (wanted.streamed if stream else wanted.text)
    assert got.finish_reason == wanted.finish_reason
    assert got.usage == wanted.usage
    steps = "".join(f"{step.tool}({step.input})\n→ {step.observation}\n\n" for step in wanted.steps)
    assert got.reasoning == (wanted.reasoning or "") + steps
    assert got.note.get("outputs") == wanted.outputs
    assert got.note.get("conversation_id") == wanted.conversation_id
    assert {path(file["url"]) for file in got.note.get("files", [])} == {path(url) for url in wanted.files}


def judge_failure(got: Got, wanted: Expected, failure: Failure, *, stream: bool) -> None:
    assert got.error is not None
    for words in failure.says:
        assert words in got.error
    assert wanted.streamed.startswith(got.text)
    if got.text or (stream and not failure.first):
        assert got.status in (200, failure.status)  # 200 if Dify's first event came in a read of its own
    else:
        assert got.status == failure.status


def without_links(text: str, wanted: Expected) -> str:
    """The text less the links that the gateway put there, for files that the app's own text doesn't link."""
    for url in wanted.files:
        if path(url) not in wanted.text:
            before, _, rest = text.partition("![" if "![" in text else "[")
            text = before.rstrip("\n") + rest.partition(")")[2].lstrip("\n")
    return text


def path(url: str) -> str:
    return urlsplit(url).path


async def play(cut: Cut, names: list[str], seed: int = 0) -> None:
    """Ask for each recording, plain and streamed, and judge all answers."""
    gate = asyncio.Semaphore(AT_ONCE)
    async with Playback(cut, seed) as playback, gateway_over(playback, names) as client:

        async def one(recording: Recording, stream: bool) -> str | None:
            async with gate:
                got = await ask(client, recording, stream=stream)
            try:
                judge(got, expected(recording), stream=stream)
            except AssertionError as error:
                return f"{recording.name} ({'streamed' if stream else 'plain'}): {error}\n{got}"
            return None

        jobs = [one(recordings()[name], stream) for name in names for stream in (False, True)]
        faults = [fault for fault in await asyncio.gather(*jobs) if fault]
    assert not faults, "\n\n".join(faults)


@pytest.mark.parametrize(("cut", "seed"), [("whole", 0), ("events", 0), ("random", 1), ("random", 2)])
async def test_every_recorded_stream_comes_through_with_its_text_its_error_and_its_usage(
    cut: Cut, seed: int
) -> None:
    await play(cut, streams(), seed)


async def test_short_recorded_streams_come_through_a_byte_at_a_time() -> None:
    short = [name for name in streams() if len(recordings()[name].body) < 8_000]
    assert len(short) > 20
    await play("bytes", short)


async def test_every_recorded_refusal_comes_through_with_its_status_and_its_message() -> None:
    await play("whole", refusals())


def test_what_is_judged_by_has_text_errors_and_usage_in_it() -> None:
    wanted = [expected(recordings()[name]) for name in streams()]
    assert sum(bool(one.text) for one in wanted) > 50
    assert sum(one.error is not None for one in wanted) > 20
    assert sum(one.usage is not None for one in wanted) > 50
    assert json.dumps([one.finish_reason for one in wanted]).count("content_filter") == 1
