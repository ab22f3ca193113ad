"""The simulator as its users start, ask and stop it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import urllib.request

import aiohttp
import pytest
from asking import ROUTES, client, names, parsed, said

from opendify.simulator import AppSpec, Simulator, default_apps, serve


def _call(url: str, key: str | None = None, body: dict[str, object] | None = None) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers | {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        return reply.status, reply.read()


def test_it_answers_from_a_thread_of_its_own() -> None:
    with Simulator(pace=0, naming_delay=0) as dify:
        status, body = _call(f"{dify.base_url}/info", dify.keys["chat"])
        assert status == 200
        assert json.loads(body)["name"] == "Simulated Chat"
        question = {"inputs": {}, "query": "[[long:500]]", "user": "ada", "response_mode": "streaming"}
        _, stream = _call(f"{dify.base_url}/chat-messages", dify.keys["chat"], question)
        assert said(parsed(stream)) == " ".join(f"word{at}" for at in range(500))
        assert dify.counts().calls == {"GET /info": 1, "POST /chat-messages": 1}


def test_nothing_is_left_when_it_ends() -> None:
    before = threading.active_count()
    with Simulator(pace=0) as dify:
        port = dify.port
        # A connection that is kept open, and a stream that nobody ends.
        idle = socket.create_connection(("127.0.0.1", port))
        body = b'{"inputs":{},"query":"[[stall:60]]","user":"ada","response_mode":"streaming"}'
        head = f"POST /v1/chat-messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {dify.keys['chat']}\r\n"
        idle.sendall(
            head.encode() + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        idle.sendall(body)
        _until(lambda: dify.counts().running == 1)
    assert threading.active_count() == before
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", port))
    idle.close()


def _until(true: object, tries: int = 500) -> None:
    wait = threading.Event()
    for _ in range(tries):
        if callable(true) and true():
            return
        wait.wait(0.01)
    raise AssertionError("it never came about")


def test_it_can_be_started_again() -> None:
    dify = Simulator(pace=0)
    for _ in range(2):
        with dify:
            assert _call(f"{dify.base_url}/site", dify.keys["chat"])[0] == 200


def test_without_being_started_it_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="use it as a context manager"):
        _ = Simulator().base_url


def test_a_port_that_is_taken_is_told_and_leaves_no_thread() -> None:
    before = threading.active_count()
    with Simulator(pace=0) as dify, pytest.raises(OSError, match="in use"):
        Simulator(port=dify.port).__enter__()
    assert threading.active_count() == before


@pytest.mark.parametrize("twin", [{"nickname": "chat"}, {"nickname": "other", "key": "app-sim-chat"}])
def test_two_apps_that_cannot_be_told_apart_are_refused(twin: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="same"):
        Simulator([AppSpec("chat", "chat"), AppSpec(mode="chat", **twin)])


async def test_serving_tells_when_it_has_started_and_ends_when_cancelled() -> None:
    started: asyncio.Future[Simulator] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(port=0, pace=0, started=started.set_result))
    dify = await started
    async with client(dify) as chat:
        assert "simulated" in await chat.answer("Hello")
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    with pytest.raises(RuntimeError):
        _ = dify.port


# Apps of every mode

_LAST = {"1.12": {"advanced-chat": "message_end"}, "1.16": {"advanced-chat": "workflow_finished"}}


@pytest.mark.parametrize("behaviour", ["1.12", "1.16"])
async def test_every_app_tells_about_itself_and_answers(behaviour: str) -> None:
    async with Simulator(behaviour=behaviour, pace=0) as dify:  # type: ignore[arg-type]
        for spec in dify.apps:
            inputs = {"name": "Ada", "lang": "English"} if spec.nickname == "form" else {}
            more = {} if spec.mode in ROUTES else {"inputs": inputs}
            async with client(dify, spec.nickname) as app:
                assert (await app.json("GET", "/info"))["mode"] == spec.mode
                for path in ("/parameters", "/meta", "/site"):
                    assert isinstance(await app.json("GET", path), dict)
                events = await app.events("What is Dify?", **more)
                assert events, spec.nickname
                ends = [name for name in names(events) if not name.startswith("tts")]
                if spec.nickname in ("review", "approval"):
                    assert ends[-1] == "workflow_paused"
                    continue
                assert ends[-1] in ("message_end", "workflow_finished")
                assert ends[-1] == _LAST[behaviour].get(spec.mode, ends[-1])
        assert {spec.mode for spec in dify.apps} >= {
            "chat",
            "agent-chat",
            "advanced-chat",
            "completion",
            "workflow",
        }


def test_new_agents_are_in_the_newer_dify_only() -> None:
    assert not any(app.mode == "agent" for app in default_apps("1.12"))
    assert any(app.mode == "agent" for app in default_apps("1.16"))


async def test_the_default_answer_is_visibly_simulated_and_repeats_the_question() -> None:
    async with Simulator(pace=0) as dify, client(dify) as chat:
        answer = await chat.answer("What is the capital of Mars?")
    assert "simulated" in answer
    assert "What is the capital of Mars?" in answer


# Counts


async def test_it_counts_calls_by_route_and_keeps_what_it_was_told() -> None:
    async with Simulator(pace=0) as dify, client(dify, user="grace") as chat:
        await chat.json("GET", "/info")
        await chat.answer("one", inputs={"a": 1}, files=[{"type": "image", "transfer_method": "remote_url"}])
        await chat.blocking("two", conversation_id="")
        await chat.send("", mode="blocking")
        counts = dify.counts()
        assert counts.calls == {"GET /info": 1, "POST /chat-messages": 3}
        one, two, refused = counts.requests
        assert (one.app, one.user, one.query, one.inputs) == ("chat", "grace", "one", {"a": 1})
        assert one.files == [{"type": "image", "transfer_method": "remote_url"}]
        assert (one.response_mode, two.response_mode) == ("streaming", "blocking")
        assert (one.conversation_id, two.conversation_id) == (None, "")
        assert one.auto_generate_name is False
        assert one.task_id
        assert refused.task_id == ""
        assert dify.keys["chat"] not in repr(counts)
        dify.reset()
        assert dify.counts().calls == {}
        assert dify.counts().requests == ()


async def test_another_process_reads_the_counts_over_http() -> None:
    async with Simulator(pace=0) as dify, client(dify) as chat, aiohttp.ClientSession() as session:
        await chat.answer("Hello")
        async with session.get(f"{dify.url}/_simulator/counts") as reply:
            counts = await reply.json()
        assert counts["calls"] == {"POST /chat-messages": 1}
        assert counts["requests"][0]["query"] == "Hello"
        assert counts["stops"] == counts["open_streams"] == counts["running"] == 0
        async with session.post(f"{dify.url}/_simulator/reset") as reply:
            assert reply.status == 204
        assert dify.counts().calls == {}


def test_a_key_is_in_no_repr() -> None:
    assert "secret" not in repr(AppSpec("chat", "chat", key="secret"))
