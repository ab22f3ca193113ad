"""Streams in the real world: stopped, abandoned, read slowly, asked for in pieces."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from asking import ROUTES, client, names, parsed, said, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_http import asked, written

from opendify.simulator import Simulator


@pytest.fixture(params=["in this loop", "in a thread"])
async def dify(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    simulator = Simulator(pace=0, naming_delay=0)
    if request.param == "in a thread":
        with simulator:
            yield simulator
    else:
        async with simulator:
            yield simulator


def _request(
    dify: Simulator, query: str, app: str = "chat", mode: str = "streaming", **more: object
) -> bytes:
    kind = next(spec.mode for spec in dify.apps if spec.nickname == app)
    body: dict[str, object] = {"inputs": {}, "user": "ada", "response_mode": mode}
    if kind in ROUTES:
        body["inputs"] = {"query": query, "text": query}
    else:
        body |= {"query": query, "auto_generate_name": False}
    headers = {"Authorization": f"Bearer {dify.keys[app]}", "Content-Type": "application/json"}
    path = "/v1" + ROUTES.get(kind, "/chat-messages")
    return written("POST", path, headers, json.dumps(body | more).encode())


_ENDS = {
    "chat": ["message", "message_end"],
    "agent": ["agent_thought", "agent_message", "message_end"],
    "completion": ["message", "message_end"],
    "chatflow": ["message", "workflow_finished", "message_end"],
    "workflow": ["text_chunk", "workflow_finished"],
}


@pytest.mark.parametrize("app", _ENDS)
async def test_a_stopped_stream_ends_in_good_order(dify: Simulator, app: str) -> None:
    async with (
        client(dify, app) as asker,
        asked(dify.port, _request(dify, "[[notool]][[slow:1000:1]]", app)) as reply,
    ):
        await reply.head()
        chunks = reply.chunks()
        seen = b""
        while b"tick0" not in seen:
            seen += await anext(chunks)
        task_id = parsed(seen)[0]["task_id"]
        assert await asker.stop(task_id) == {"result": "success"}
        async for chunk in chunks:
            seen += chunk
        events = parsed(seen)
        if "conversation_id" in events[0]:
            listed = await asker.json(
                "GET", f"/messages?user=ada&conversation_id={events[0]['conversation_id']}"
            )
            assert listed["data"][0]["answer"] == said(events), "what was sent is what is kept"
        assert names(events)[-len(_ENDS[app]) :] == _ENDS[app]
        assert dify.counts().stopped_tasks == (task_id,)
        assert dify.counts().running == dify.counts().open_streams == 0
        if app in ("chat", "agent", "completion"):
            assert events[-1]["metadata"]["usage"]["total_tokens"] == 0
        else:
            finished = next(e for e in events if e["event"] == "workflow_finished")
            assert (finished["data"]["status"], finished["data"]["error"]) == ("stopped", "Stopped by user.")


async def test_another_user_stops_nothing_but_is_told_success(dify: Simulator) -> None:
    async with client(dify) as chat, asked(dify.port, _request(dify, "[[slow:20:0.01]]")) as reply:
        await reply.head()
        chunks = reply.chunks()
        task_id = parsed(await anext(chunks))[0]["task_id"]
        assert await chat.stop(task_id, user="mallory") == {"result": "success"}
        rest = [chunk async for chunk in chunks]
        assert "tick19" in said(parsed(b"".join(rest)))
        assert (dify.counts().stops, dify.counts().stopped) == (1, 0)


@pytest.mark.parametrize("app", ["workflow", "chatflow"])
async def test_a_graph_is_stopped_by_whoever_asks(dify: Simulator, app: str) -> None:
    request = _request(dify, "[[slow:1000:1]]", app)
    async with client(dify, app, user="mallory") as other, asked(dify.port, request) as reply:
        await reply.head()
        chunks = reply.chunks()
        await other.stop(parsed(await anext(chunks))[0]["task_id"])
        rest = parsed(b"".join([chunk async for chunk in chunks]))
        finished = next(event for event in rest if event["event"] == "workflow_finished")
        assert finished["data"]["status"] == "stopped"


async def test_another_app_stops_nothing(dify: Simulator) -> None:
    async with client(dify, "plain") as other, asked(dify.port, _request(dify, "[[slow:5:0.01]]")) as reply:
        await reply.head()
        chunks = reply.chunks()
        await other.stop(parsed(await anext(chunks))[0]["task_id"])
        assert "tick4" in said(parsed(b"".join([chunk async for chunk in chunks])))
        assert dify.counts().stopped == 0


async def test_stopping_an_unknown_task_is_a_success(dify: Simulator) -> None:
    async with client(dify) as chat:
        assert await chat.stop("11111111-1111-4111-8111-111111111111") == {"result": "success"}
    assert (dify.counts().stops, dify.counts().stopped) == (1, 0)


async def test_a_client_that_goes_away_is_noticed_at_once_and_its_run_goes_on(dify: Simulator) -> None:
    async with asked(dify.port, _request(dify, "[[slow:1000:1]]")) as reply:
        await reply.head()
        first = parsed(await anext(reply.chunks()))[0]
        assert (dify.counts().open_streams, dify.counts().running) == (1, 1)
    await until(lambda: dify.counts().open_streams == 0)
    counts = dify.counts()
    assert (counts.disconnects, counts.running, counts.stopped) == (1, 1, 0)
    async with client(dify) as chat:
        await chat.stop(first["task_id"])
        assert (dify.counts().stopped, dify.counts().running) == (1, 0)
        listed = await chat.json("GET", f"/messages?user=ada&conversation_id={first['conversation_id']}")
        assert [message["answer"] for message in listed["data"]] == [""]


@pytest.mark.parametrize("mode", ["streaming", "blocking"])
async def test_a_client_may_go_away_before_the_first_byte(dify: Simulator, mode: str) -> None:
    async with asked(dify.port, _request(dify, "[[stall:60]]", mode=mode)):
        await until(lambda: dify.counts().running == 1)
    await until(lambda: dify.counts().disconnects == 1)
    assert (dify.counts().running, dify.counts().open_streams) == (1, 0)
    await until(lambda: dify.counts().open_connections == 0)


async def test_runs_end_by_themselves_whose_connections_are_reset_in_the_midst(dify: Simulator) -> None:
    for _ in range(20):
        async with asked(dify.port, _request(dify, "[[long:3000]]")) as reply:
            await reply.head()
            at_once = struct.pack("ii", 1, 0)  # no FIN, but RST
            reply.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            reply.writer.transport.abort()
    await until(lambda: dify.counts().running == 0)


async def test_a_run_that_nobody_follows_ends_by_itself(dify: Simulator) -> None:
    async with asked(dify.port, _request(dify, "[[slow:5:0.01]]")) as reply:
        await reply.head()
    await until(lambda: dify.counts().disconnects == 1)
    await until(lambda: dify.counts().running == 0)


async def test_a_connection_is_used_again_after_a_stream(dify: Simulator) -> None:
    request = _request(dify, "Hello")
    async with asked(dify.port, request) as reply:
        await reply.head()
        await reply.rest()
        reply.writer.write(request)
        reply.exchange.chunks.clear()
        reply.exchange.headers.clear()
        assert (await reply.head()).status == 200
        exchange = await reply.rest()
        assert exchange.complete
        assert dify.counts().open_connections == 1


async def test_a_connection_is_closed_when_the_client_wants_it_closed(dify: Simulator) -> None:
    headers = {"Authorization": f"Bearer {dify.keys['chat']}", "Connection": "close"}
    async with asked(dify.port, written("GET", "/v1/info", headers, None)) as reply:
        exchange = await reply.head()
        await reply.rest()
        assert exchange.header("Connection") != "keep-alive"
        assert await reply.closed()


async def test_a_form_that_is_none_is_a_missing_file(dify: Simulator) -> None:
    headers = {"Authorization": f"Bearer {dify.keys['chat']}", "Content-Type": "multipart/form-data"}
    async with asked(dify.port, written("POST", "/v1/files/upload", headers, b"x")) as reply:
        assert (await reply.head()).status == 400
        assert b"no_file_uploaded" in (await reply.rest()).body


async def test_each_event_is_one_http_chunk(dify: Simulator) -> None:
    for app in ("chat", "agent", "chatflow", "workflow", "completion"):
        async with asked(dify.port, _request(dify, "[[long:50]]", app)) as reply:
            await reply.head()
            exchange = await reply.rest()
        assert exchange.complete
        assert all(chunk.startswith(b"data: {") and chunk.endswith(b"}\n\n") for chunk in exchange.chunks)
        assert all(chunk.count(b"\n\n") == 1 for chunk in exchange.chunks)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.sets(st.integers(min_value=1, max_value=400), max_size=8))
def test_a_request_may_come_in_pieces(cuts: set[int]) -> None:
    async def ask() -> None:
        async with Simulator(pace=0, naming_delay=0) as dify:
            request = _request(dify, "[[reply:héllo 你好]]")
            at = [0, *sorted(cut for cut in cuts if cut < len(request)), len(request)]
            pieces = [request[a:b] for a, b in pairwise(at)]
            async with asked(dify.port, pieces) as reply:
                assert (await reply.head()).status == 200
                assert said(parsed((await reply.rest()).body)) == "héllo 你好"

    asyncio.run(ask())


async def test_a_slow_reader_loses_nothing_and_holds_nobody_up(dify: Simulator) -> None:
    tokens = 40_000  # some 10 MB: more than the sender's side of the kernel takes
    request = _request(dify, f"[[long:{tokens}]]")
    async with client(dify) as chat, asked(dify.port, request, ahead=16 * 1024) as slow:
        await slow.head()
        chunks = slow.chunks()
        await anext(chunks)
        assert "simulated" in await chat.answer("quick")
        assert dify.counts().open_streams == 1
        words = said(parsed(b"".join([chunk async for chunk in chunks]))).split()
    assert words == [f"word{at}" for at in range(tokens)]


async def test_two_hundred_streams_at_once_are_each_whole_and_in_order() -> None:
    async with Simulator(pace=0.005, naming_delay=0) as dify:

        async def follow() -> str:
            async with asked(dify.port, _request(dify, "[[long:40]]")) as reply:
                await reply.head()
                return said(parsed((await reply.rest()).body))

        answers = await asyncio.gather(*(follow() for _ in range(200)))
        assert set(answers) == {" ".join(f"word{at}" for at in range(40))}
        assert dify.counts().running == dify.counts().open_streams == 0


async def test_pings_come_before_and_between_tokens_and_change_nothing() -> None:
    async with Simulator(pace=0, ping=0.2) as dify, client(dify) as chat:
        before = await chat.events("[[reply:one two]][[stall:0.5]]")
        assert before[0] == {"event": "ping"}
        assert said(before) == "one two"
        between = await chat.events("[[reply:one two three]][[midstall:0.5]]")
        assert between[0]["event"] == "message"
        assert {"event": "ping"} in between
        assert said(between) == "one two three"


async def test_the_first_turn_of_a_conversation_waits_for_its_name() -> None:
    async with Simulator(pace=0, naming_delay=1.0) as dify, client(dify) as chat:
        named = asyncio.create_task(chat.events("Hello", auto_generate_name=True))
        await asyncio.sleep(0)
        unnamed = await chat.events("Hello", auto_generate_name=False)
        assert not named.done()
        conversation = unnamed[0]["conversation_id"]
        later = await chat.events("Hello", conversation_id=conversation, auto_generate_name=True)
        assert said(later) == said(unnamed)
        assert not named.done()
        assert said(await named) == said(unnamed)


async def test_an_app_answers_as_many_at_once_as_it_may(dify: Simulator) -> None:
    async with client(dify, "limit1") as chat:
        async with asked(dify.port, _request(dify, "[[slow:1000:1]]", "limit1")) as reply:
            await reply.head()
            task_id = parsed(await anext(reply.chunks()))[0]["task_id"]
            status, refusal = await chat.blocking("Hello")
            assert (status, refusal["code"]) == (400, "invalid_param")
            assert refusal["message"].startswith("Too many requests.")
        # The slot is taken until the run is over, whoever listens.
        await until(lambda: dify.counts().disconnects == 1)
        assert (await chat.blocking("Hello"))[0] == 400
        await chat.stop(task_id)
        assert (await chat.blocking("Hello"))[0] == 200
