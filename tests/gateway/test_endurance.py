"""Thousands of calls to one worker: it keeps as much memory as it had near the beginning."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import aiohttp
import pytest

import faulty_dify
from faulty_dify import KEYS, NAMES
from servers import Gateway, running_gateway

from .measures import cpu_seconds, megabytes, sockets, until

CALLS = (20_000, 2_000) if os.environ.get("ENDURANCE") else (2_000, 200)
"""Plain calls, and streams: in full (`make endurance`), or as many as take a few seconds."""

ROUNDS = 10
AT_ONCE = 32
TOKENS = 20


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """As people run it: one worker, memory `auto`, the store in a file. Dify is another process."""
    program = [sys.executable, str(Path(faulty_dify.__file__))]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as dify:
        assert dify.stdout is not None
        settings = {"DIFY_API_BASE": dify.stdout.readline().strip(), "DIFY_API_KEYS": KEYS["chat"]}
        with running_gateway(directory=tmp_path, **settings) as gateway:
            yield gateway
        dify.communicate()  # it ends with its standard input


async def _plain(http: aiohttp.ClientSession, url: str, number: int) -> None:
    """Two turns of a conversation. Dify would not understand the second if it were not found again."""
    question = {"role": "user", "content": f"fine {number}"}
    messages = [question]
    for _ in range(2):
        async with http.post(url, json=_request(messages, stream=False)) as reply:
            answer = await reply.json()
        message = answer["choices"][0]["message"]
        assert message["content"] == "All is well."
        messages += [message, question]


async def _streamed(http: aiohttp.ClientSession, url: str, number: int) -> None:
    question = {"role": "user", "content": f"numbers:{TOKENS}:0.001 {number}"}
    async with http.post(url, json=_request([question], stream=True)) as reply:
        body = await reply.text()
    assert body.count("@") == TOKENS
    assert body.endswith("data: [DONE]\n\n")


def _request(messages: Sequence[object], *, stream: bool) -> dict[str, object]:
    return {"model": NAMES["chat"], "messages": messages, "stream": stream}


async def _many(ask: Callable[[int], Awaitable[None]], count: int, start: int) -> None:
    """So many calls, `AT_ONCE` at a time."""
    numbers = iter(range(start, start + count))

    async def work() -> None:
        for number in numbers:
            await ask(number)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def _endure(gateway: Gateway, plain: int, streams: int) -> list[float]:
    """All these calls, in ten rounds. The memory after each, in megabytes."""
    url = f"{gateway.base_url}/chat/completions"
    memory: list[float] = []
    before = sockets(gateway)
    began, spent = time.monotonic(), cpu_seconds(gateway)
    async with aiohttp.ClientSession() as http:
        for at in range(ROUNDS):
            count = plain // ROUNDS // 2
            await _many(lambda number: _plain(http, url, number), count, at * count)
            count = streams // ROUNDS
            await _many(lambda number: _streamed(http, url, number), count, at * count)
            memory.append(megabytes(gateway))
    print(
        f"\n{plain} plain calls and {streams} streams in {time.monotonic() - began:.0f} s, "
        f"{cpu_seconds(gateway) - spent:.1f} s of the gateway's CPU; memory after each tenth: "
        f"{', '.join(f'{megabyte:.1f}' for megabyte in memory)} MB"
    )
    await until(lambda: sockets(gateway) <= before)
    return memory


@pytest.mark.timeout(900)
async def test_a_worker_needs_no_more_memory_at_the_end_than_near_the_beginning(gateway: Gateway) -> None:
    first, *_, last = await _endure(gateway, *CALLS)
    assert last <= first * 1.1
