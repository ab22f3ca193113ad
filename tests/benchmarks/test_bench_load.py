"""The clients of the benchmark, in front of a Dify of a few lines that pauses, or goes away."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from benchmarks.dialects import DIFY, OPENAI, requests
from benchmarks.load import Load, WrongAnswer
from benchmarks.work import CLIMB, IMAGE, MODELS, PLAIN, PROMPT, answer

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n"
WORK = replace(CLIMB[0], connections=3, tokens=6, warm=0.0)
PAUSE = 0.05

Between = Callable[[int, int], Awaitable[None]]


@asynccontextmanager
async def dify(between: Between) -> AsyncIterator[int]:
    """A port that answers what `WORK` asks for.

    Args:
        between: Is awaited before each token, with the number of the connection and of the token.
    """
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections, number = connections + 1, connections
        try:
            while await reader.read(65536):
                writer.write(HEAD)
                for at, token in enumerate(answer("paced", WORK.tokens)):
                    await between(number, at)
                    event = f"data: {json.dumps({'event': 'message', 'answer': token})}\n\n".encode()
                    writer.write(b"%X\r\n%b\r\n" % (len(event), event))
                writer.write(b"0\r\n\r\n")
        except (ConnectionError, EOFError):
            pass  # the connection is lost on purpose
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_a_pause_between_tokens_is_a_gap() -> None:
    async def between(_: int, token: int) -> None:
        await asyncio.sleep(PAUSE if token == 3 else 0.001)

    async with dify(between) as port:
        async with Load(port, DIFY, WORK) as load:
            await asyncio.sleep(PAUSE)
        assert load.lost == []
        assert load.tally.calls >= WORK.connections
        assert sum(gap > 0.9 * PAUSE for gap in load.tally.gaps) >= load.tally.calls
        # The first token ends no gap, and the end of the body one more than the other five tokens.
        assert len(load.tally.gaps) <= load.tally.calls * WORK.tokens


async def lose_one(connection: int, token: int) -> None:
    await asyncio.sleep(0.001)
    if (connection, token) == (1, 3):
        raise EOFError


async def test_a_climb_counts_the_streams_that_it_lost() -> None:
    async with dify(lose_one) as port:
        async with Load(port, DIFY, WORK) as load:
            await asyncio.sleep(PAUSE)
        assert len(load.lost) == 1
        assert "the connection was closed" in load.lost[0]


async def test_any_other_work_has_no_figures_if_a_stream_was_lost() -> None:
    async with dify(lose_one) as port:
        with pytest.raises(WrongAnswer, match="the connection was closed"):
            async with Load(port, DIFY, replace(WORK, climbs=False)):
                await asyncio.sleep(PAUSE)


def test_no_two_requests_are_the_same_and_all_are_as_long() -> None:
    for work in (PLAIN, PROMPT, IMAGE):
        ask = requests(OPENAI, work)
        one, other = ask(1), ask(22_222_222)
        assert one != other
        assert len(one) == len(other)
        json.loads(one.partition(b"\r\n\r\n")[2])


def test_a_prompt_has_sixty_messages_of_forty_kilobytes() -> None:
    body = json.loads(requests(OPENAI, PROMPT)(1).partition(b"\r\n\r\n")[2])
    assert len(body["messages"]) == 60
    assert sum(len(message["content"]) for message in body["messages"]) == pytest.approx(40_000, rel=0.02)


def test_a_list_is_fetched_without_a_body() -> None:
    assert requests(OPENAI, MODELS)(1).startswith(b"GET /v1/models HTTP/1.1\r\n")
