"""What goes wrong when a prompt asks for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from asking import client, names, parsed, said, until
from raw_http import Exchange, asked, written

from opendify.simulator import Simulator
from opendify.simulator.errors import FAILURES, SCRIPTED


@pytest.fixture(params=["in this loop", "in a thread"])
async def dify(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    simulator = Simulator(pace=0, naming_delay=0)
    if request.param == "in a thread":
        with simulator:
            yield simulator
    else:
        async with simulator:
            yield simulator


async def _raw(dify: Simulator, query: str, mode: str = "streaming") -> Exchange:
    """What comes over the wire, and whether it was complete; status 0 if there was no status."""
    body = {
        "inputs": {},
        "query": query,
        "user": "ada",
        "response_mode": mode,
        "auto_generate_name": False,
    }
    headers = {"Authorization": f"Bearer {dify.keys['chat']}", "Content-Type": "application/json"}
    request = written("POST", "/v1/chat-messages", headers, json.dumps(body).encode())
    async with asked(dify.port, request) as reply:
        try:
            await reply.head()
        except (EOFError, ConnectionError):
            return reply.exchange
        return await reply.rest()


@pytest.mark.parametrize("how", ["rst", "fin"])
@pytest.mark.parametrize("mode", ["streaming", "blocking"])
async def test_a_connection_is_cut_before_the_status(dify: Simulator, mode: str, how: str) -> None:
    assert (await _raw(dify, f"[[cut:headers:{how}]]", mode)).status == 0


@pytest.mark.parametrize("how", ["rst", "fin"])
@pytest.mark.parametrize("mode", ["streaming", "blocking"])
async def test_a_connection_is_cut_after_the_status(dify: Simulator, mode: str, how: str) -> None:
    exchange = await _raw(dify, f"[[cut:start:{how}]]", mode)
    assert (exchange.status, exchange.body, exchange.complete) == (200, b"", False)


@pytest.mark.parametrize("how", ["rst", "fin"])
async def test_a_stream_is_cut_midway(dify: Simulator, how: str) -> None:
    exchange = await _raw(dify, f"[[cut:midway:{how}]]")
    assert names(parsed(exchange.body)) == ["message"]
    assert said(parsed(exchange.body)) == "This is"
    assert not exchange.complete


async def test_a_blocking_answer_is_cut_midway(dify: Simulator) -> None:
    assert not (await _raw(dify, "[[cut]]", "blocking")).complete


async def test_a_stream_ends_cleanly_without_its_last_event(dify: Simulator) -> None:
    midway = await _raw(dify, "[[truncate]]")
    assert (midway.complete, names(parsed(midway.body))) == (True, ["message"])
    start = await _raw(dify, "[[truncate:start]]")
    assert (start.status, start.complete, start.body) == (200, True, b"")


@pytest.mark.parametrize("place", ["", ":start"])
@pytest.mark.parametrize("kind", ["json", "utf8", "html"])
async def test_a_malformed_event_stands_in_the_stream(dify: Simulator, kind: str, place: str) -> None:
    exchange = await _raw(dify, f"[[malformed:{kind}{place}]]")
    bad = [at for at, chunk in enumerate(exchange.chunks) if not _readable(chunk)]
    assert bad == [0 if place else 3]
    assert b'"message_end"' in exchange.chunks[-1]


def _readable(chunk: bytes) -> bool:
    try:
        return bool(parsed(chunk))
    except ValueError:
        return False


@pytest.mark.parametrize("kind", ["json", "utf8", "html"])
async def test_a_blocking_answer_is_malformed(dify: Simulator, kind: str) -> None:
    exchange = await _raw(dify, f"[[malformed:{kind}]]", "blocking")
    assert exchange.complete
    with pytest.raises(ValueError, match=r".+"):
        json.loads(exchange.body)


async def test_unknown_events_and_fields_come_with_known_ones(dify: Simulator) -> None:
    async with client(dify) as chat:
        events = await chat.events("[[unknown]][[reply:one two]]")
    assert said(events) == "one two"
    assert any(event["event"] == "parallel_branch_started" for event in events)
    assert all("future_field" in event for event in events if event["event"].startswith("message"))


async def test_events_may_come_in_small_pieces(dify: Simulator) -> None:
    exchange = await _raw(dify, "[[split:7]][[reply:héllo 你好 🌍]]")
    assert max(len(chunk) for chunk in exchange.chunks) == 7
    assert said(parsed(exchange.body)) == "héllo 你好 🌍"


async def test_an_event_may_be_huge(dify: Simulator) -> None:
    exchange = await _raw(dify, "[[big]]")
    assert max(len(chunk) for chunk in exchange.chunks) > 5_000_000
    assert len(said(parsed(exchange.body))) == 5_000_000


@pytest.mark.parametrize("kind", SCRIPTED)
@pytest.mark.parametrize("mode", ["streaming", "blocking"])
async def test_a_request_is_refused_over_http(dify: Simulator, kind: str, mode: str) -> None:
    exchange = await _raw(dify, f"[[http:{kind}]]", mode)
    assert exchange.status == SCRIPTED[kind]().status
    assert exchange.body == SCRIPTED[kind]().body()
    assert dify.counts().running == 0


async def test_both_forms_of_too_many_requests_can_be_had(dify: Simulator) -> None:
    assert (await _raw(dify, "[[http:429]]")).status == 429
    older = await _raw(dify, "[[http:limit]]")
    assert older.status == 400
    assert json.loads(older.body)["message"].startswith("Too many requests.")


@pytest.mark.parametrize("kind", FAILURES)
async def test_the_model_fails_at_the_start_or_midway(dify: Simulator, kind: str) -> None:
    async with (
        client(dify) as chat,
        client(dify, "chatflow") as chatflow,
        client(dify, "workflow") as workflow,
    ):
        (only,) = await chat.events(f"[[error0:{kind}]]")
        midway = await chat.events(f"[[error:{kind}]]")
        assert (only["event"], only["code"]) == ("error", FAILURES[kind].code)
        assert "task_id" not in only
        assert names(midway) == ["message", "error"]
        status, blocking = await chat.blocking(f"[[error:{kind}]]")
        assert (status, blocking["code"]) == (FAILURES[kind].status, FAILURES[kind].code)
        failed = await chatflow.events(f"[[error:{kind}]]")
        assert failed[-2]["data"]["status"] == "failed"
        assert failed[-1]["code"] == "invalid_param"
        assert failed[-1]["message"].startswith("Run failed: ")
        finished = (await workflow.events(f"[[error:{kind}]]"))[-1]
        assert (finished["event"], finished["data"]["status"]) == ("workflow_finished", "failed")


async def test_a_stream_with_faults_can_be_stopped(dify: Simulator) -> None:
    query = "[[unknown]][[split:50]][[slow:1000:1]]"
    body = json.dumps({"inputs": {}, "query": query, "user": "ada", "response_mode": "streaming"}).encode()
    headers = {"Authorization": f"Bearer {dify.keys['chat']}", "Content-Type": "application/json"}
    async with (
        client(dify) as chat,
        asked(dify.port, written("POST", "/v1/chat-messages", headers, body)) as reply,
    ):
        await reply.head()
        seen = b""
        chunks = reply.chunks()
        while b"\n\n" not in seen:
            seen += await anext(chunks)
        await chat.stop(parsed(seen[: seen.index(b"\n\n") + 2])[0]["task_id"])
        async for chunk in chunks:
            seen += chunk
    assert b'"message_end"' in seen.rstrip().rpartition(b"\n\n")[2]


async def test_a_directive_that_cannot_be_read_is_refused_with_its_form(dify: Simulator) -> None:
    async with client(dify) as chat:
        for directive, told in {
            "[[slow:many]]": "[[slow:N:SECONDS]]",
            "[[error:nonsense]]": "rate_limit",
            "[[http:999]]": "502",
            "[[cut:sideways]]": "headers, start or midway",
        }.items():
            status, body = await chat.blocking(directive)
            assert status == 400
            assert directive in body["message"]
            assert told in body["message"]


async def test_words_that_nobody_knows_are_let_be(dify: Simulator) -> None:
    async with client(dify) as chat:
        assert "[[whatever:1]]" in await chat.answer("[[whatever:1]]")


async def test_faults_leave_nothing_behind(dify: Simulator) -> None:
    faults = (
        "[[cut]]",
        "[[cut:headers]]",
        "[[truncate]]",
        "[[malformed:json]]",
        "[[error:server]]",
        "[[http:500]]",
    )
    for _ in range(20):
        for fault in faults:
            await _raw(dify, fault)
    assert (dify.counts().running, dify.counts().open_streams) == (0, 0)
    await until(lambda: dify.counts().open_connections == 0)
