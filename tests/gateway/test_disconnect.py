"""The client goes away, at any moment: Dify's run ends, and nothing stays behind.

Clients are bare sockets here: they leave as a closed tab does, without a word.
"""

import asyncio
import json
import re
import signal
import statistics
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
from openai import AsyncOpenAI

from faulty_dify import KEYS, NAMES, Call, FaultyDify
from opendify.simulator import Simulator
from servers import Gateway, running_gateway

from .clients import PIXEL
from .measures import sockets, until

SLOTS = 110
"""Calls that the gateway answers at once: a leak of a few is seen."""

TIMEOUT = 2.0

SLOW_READING = """
import time
import opendify.gateway.completions as completions
parse = completions.parse
completions.parse = lambda body: (time.sleep(1), parse(body))[1]
"""
"""What takes milliseconds takes long enough to leave meanwhile."""


@pytest.fixture(scope="module")
def dify() -> Iterator[FaultyDify]:
    with FaultyDify() as dify:
        yield dify


@pytest.fixture(scope="module")
def gateway(dify: FaultyDify) -> Iterator[Gateway]:
    settings = {
        "DIFY_API_BASE": dify.base_url,
        "DIFY_API_KEYS": ",".join(KEYS.values()),
        "MAX_CONCURRENT_PER_APP": str(SLOTS),
        "QUEUE_SECONDS": "30",
        "TIMEOUT": str(TIMEOUT),
    }
    with running_gateway(**settings) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
async def _nothing_stays(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Before and after each test the gateway has no connection to Dify, and as many sockets."""
    if "gateway" not in request.fixturenames:
        yield
        return
    dify, gateway = request.getfixturevalue("dify"), request.getfixturevalue("gateway")
    await until(lambda: dify.open_connections == 0)
    dify.forget()
    before = sockets(gateway)
    yield
    await until(lambda: dify.open_connections == 0)
    await until(lambda: sockets(gateway) <= before)


@dataclass
class Visit:
    """One client: its request is sent; it can read, and leave."""

    id: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    left: float = 0.0

    async def read_until(self, words: bytes) -> bytes:
        return await self.reader.readuntil(words)

    def leave(self) -> None:
        self.left = time.monotonic()
        self.writer.close()


def _request(course: str, *, model: str = "chat", stream: bool = True, **more: object) -> dict[str, object]:
    messages = [{"role": "user", "content": course}]
    return {"model": NAMES.get(model, model), "messages": messages, "stream": stream, **more}


async def _visit(
    gateway: Gateway,
    request: dict[str, object],
    *,
    cut: int | None = None,
    on: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None,
) -> Visit:
    """Send a request, or the first `cut` bytes of its body; on a connection that is there, or a new one."""
    visit_id = uuid4().hex
    body = json.dumps(request).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        f"X-Request-Id: {visit_id}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = on or await asyncio.open_connection(*gateway.address)
    writer.write(head.encode() + body[:cut])
    await writer.drain()
    return Visit(visit_id, reader, writer)


async def _over(gateway: Gateway, visit: Visit) -> dict[str, object]:
    """The log's line of a visit: after it, the gateway does nothing more for it."""
    return await asyncio.to_thread(gateway.request, visit.id)


def _run(dify: FaultyDify, course: str) -> Call:
    (call,) = [call for call in dify.calls if call.question == course]
    return call


async def _begun(dify: FaultyDify, course: str) -> Call:
    """The run of this question, once its first event is out."""
    await until(lambda: any(call.first for call in dify.calls if call.question == course))
    return _run(dify, course)


# ── three hundred clients ────────────────────────────────────────────────────────────────────────────


async def _before_the_first_token(gateway: Gateway, dify: FaultyDify, number: int) -> tuple[Visit, str]:
    course = f"ponder {number}"
    visit = await _visit(gateway, _request(course))
    await visit.read_until(b'"role":"assistant"')
    return visit, course


async def _midway(gateway: Gateway, dify: FaultyDify, number: int) -> tuple[Visit, str]:
    course = f"talk {number}"
    visit = await _visit(gateway, _request(course))
    await visit.read_until(b'"and so on, "')
    return visit, course


async def _in_a_plain_call(gateway: Gateway, dify: FaultyDify, number: int) -> tuple[Visit, str]:
    course = f"talk {number}"
    visit = await _visit(gateway, _request(course, stream=False))
    await _begun(dify, course)
    return visit, course


Way = Callable[[Gateway, FaultyDify, int], Awaitable[tuple[Visit, str]]]
WAYS: tuple[Way, ...] = (_before_the_first_token, _midway, _in_a_plain_call)


@pytest.mark.parametrize("pause", [0.01, 0.0], ids=["one after the other", "all at once"])
async def test_three_hundred_clients_that_go_away_leave_no_run_behind(
    pause: float, gateway: Gateway, dify: FaultyDify
) -> None:
    print("\nFrom close() to Dify's stop call, 100 clients each:")
    for way in WAYS:
        dify.forget()
        delays = await _leave(way, pause, gateway, dify)
        name = way.__name__.replace("_", " ").strip()
        print(f"{name}: median {statistics.median(delays):.1f} ms, longest {max(delays):.1f} ms")
    await _slots_are_free(gateway)


async def _leave(way: Way, pause: float, gateway: Gateway, dify: FaultyDify) -> list[float]:
    """A hundred clients come and go. Milliseconds from the going of each to Dify's stop call."""
    visits = await asyncio.gather(*(way(gateway, dify, number) for number in range(100)))
    for visit, _ in visits:
        visit.leave()
        await asyncio.sleep(pause)
    await until(lambda: len(dify.stops) == 100)
    assert len(dify.calls) == len(dify.stopped) == 100
    await until(lambda: all(run.left for run in dify.calls))
    for visit, _ in visits:
        line = await _over(gateway, visit)
        assert (line["status"], line["error"]) == (499, "client_gone")
    return [(dify.stops[_run(dify, course).task_id] - visit.left) * 1000 for visit, course in visits]


async def _slots_are_free(gateway: Gateway) -> None:
    """All that the app has: as many answers at once as it may give, and none waits."""
    async with AsyncOpenAI(base_url=gateway.base_url, api_key="none", max_retries=0) as openai:
        create = openai.chat.completions.create
        messages = [{"role": "user", "content": "pauses:0.1:0.5"}]
        began = time.monotonic()
        calls = (create(model=NAMES["chat"], messages=messages) for _ in range(SLOTS))  # type: ignore[call-overload]
        answers = await asyncio.gather(*calls)
        assert [answer.choices[0].message.content for answer in answers] == ["One, two."] * SLOTS
        assert time.monotonic() - began < 30  # QUEUE_SECONDS: a lost slot would have to be waited for


# ── before Dify has named the run ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("course", ["late:0.5", "late-event:0.5"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
async def test_a_run_that_has_no_name_yet_is_stopped_as_soon_as_it_has_one(
    course: str, stream: bool, gateway: Gateway, dify: FaultyDify
) -> None:
    visit = await _visit(gateway, _request(course, stream=stream))
    await until(lambda: dify.calls)
    visit.leave()
    (run,) = dify.calls
    await until(lambda: dify.stops)
    assert run.first is not None
    assert visit.left < run.first < dify.stops[run.task_id]
    await until(lambda: run.left)
    assert (await _over(gateway, visit))["error"] == "client_gone"
    assert len(dify.calls) == 1
    print(f"\nFrom the first event to the stop call: {(dify.stops[run.task_id] - run.first) * 1000:.1f} ms")


async def test_a_run_that_never_gets_a_name_is_left_after_the_timeout(
    gateway: Gateway, dify: FaultyDify
) -> None:
    visit = await _visit(gateway, _request("silence-before-headers"))
    await until(lambda: dify.calls)
    visit.leave()
    (run,) = dify.calls
    await until(lambda: run.left)
    assert run.left is not None
    assert TIMEOUT * 0.9 < run.left - run.came < TIMEOUT + 5
    assert (await _over(gateway, visit))["error"] == "client_gone"
    assert not dify.stops


@pytest.mark.parametrize("course", ["late-error:0.3", "too-many:400"])
async def test_a_refusal_that_nobody_hears_needs_no_stop(
    course: str, gateway: Gateway, dify: FaultyDify
) -> None:
    visit = await _visit(gateway, _request(course))
    await until(lambda: dify.calls)
    visit.leave()
    assert (await _over(gateway, visit))["error"] == "client_gone"
    assert not dify.stops


async def test_of_several_choices_each_is_stopped(gateway: Gateway, dify: FaultyDify) -> None:
    visit = await _visit(gateway, _request("talk", n=3))
    await visit.read_until(b'"and so on, "')
    visit.leave()
    await until(lambda: len(dify.stopped) == 3)
    assert len(dify.calls) == 3


async def test_a_conversation_whose_asker_left_can_be_asked_again(gateway: Gateway, dify: FaultyDify) -> None:
    # A claim on the conversation that nobody gives back would make the second a branch, without its id.
    request = _request("ponder", conversation_id=str(uuid4()))
    for number in (1, 2):
        visit = await _visit(gateway, request)
        await visit.read_until(b'"role":"assistant"')
        visit.leave()
        await _over(gateway, visit)
        assert len(dify.calls) == len(dify.stopped) == number
    assert [call.conversation_id for call in dify.calls] == [request["conversation_id"]] * 2


# ── before anything was asked ────────────────────────────────────────────────────────────────────────


async def test_a_client_that_leaves_within_its_request_costs_nothing(
    gateway: Gateway, dify: FaultyDify
) -> None:
    visit = await _visit(gateway, _request("talk" + " on" * 100_000), cut=70_000)
    await asyncio.sleep(0.05)
    visit.leave()
    line = await _over(gateway, visit)
    assert (line["status"], line["error"]) == (499, "client_gone")
    assert not dify.calls


async def test_a_client_that_leaves_the_queue_is_never_served(dify: FaultyDify) -> None:
    settings = {"MAX_CONCURRENT_PER_APP": "1", "QUEUE_SECONDS": "60", "DIFY_API_KEYS": KEYS["chat"]}
    dify.forget()
    with running_gateway(DIFY_API_BASE=dify.base_url, **settings) as gateway:
        first = await _visit(gateway, _request("talk first"))
        await first.read_until(b'"and so on, "')
        second = await _visit(gateway, _request("talk second"))
        third = await _visit(gateway, _request("fine third", stream=False))
        await asyncio.sleep(0.1)
        second.leave()
        line = await _over(gateway, second)  # while the first is still being answered
        assert (line["status"], line["error"]) == (499, "client_gone")
        first.leave()
        assert b"All is well." in await third.read_until(b"All is well.")
        third.leave()
        assert [call.question for call in dify.calls] == ["talk first", "fine third"]


async def test_a_client_that_leaves_during_an_upload_starts_no_run(
    gateway: Gateway, dify: FaultyDify
) -> None:
    url = f"data:image/png;base64,{b64encode(PIXEL).decode()}"
    parts = [{"type": "text", "text": "talk"}, {"type": "image_url", "image_url": {"url": url}}]
    request = _request("") | {"messages": [{"role": "user", "content": parts}]}
    dify.upload_course = "silence-before-headers"
    try:
        visit = await _visit(gateway, request)
        await until(lambda: dify.uploads)
        visit.leave()
        await until(lambda: dify.open_connections == 0, seconds=TIMEOUT / 2)
    finally:
        dify.upload_course = ""
    assert (await _over(gateway, visit))["error"] == "client_gone"
    assert not dify.calls


# ── while it is answered ─────────────────────────────────────────────────────────────────────────────


async def test_a_client_that_does_not_read_holds_dify_back_and_may_leave(
    gateway: Gateway, dify: FaultyDify
) -> None:
    visit = await _visit(gateway, _request("flood"))
    run = await _begun(dify, "flood")
    await until(lambda: run.said > 0 and _stands_still(run))
    visit.leave()
    await until(lambda: dify.stopped)
    await until(lambda: run.left)
    assert (await _over(gateway, visit))["error"] == "client_gone"


def _stands_still(run: Call) -> bool:
    said = run.said
    time.sleep(0.2)
    return run.said == said


async def test_a_client_that_leaves_with_its_whole_answer_stops_nothing(
    gateway: Gateway, dify: FaultyDify
) -> None:
    # Dify's stream is still open then: speech may follow.
    for stream, end in ((True, b"[DONE]\n\n"), (False, b"The answer.")):
        visit = await _visit(gateway, _request("endless-speech", stream=stream))
        await visit.read_until(end)
        visit.leave()
        line = await _over(gateway, visit)
        assert (line["status"], line["error"]) == (200, None)
    assert not dify.stops


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
async def test_a_gateway_that_goes_away_itself_stops_what_it_can_not_wait_for(
    stream: bool, dify: FaultyDify
) -> None:
    dify.forget()
    settings = {"DIFY_API_BASE": dify.base_url, "DIFY_API_KEYS": KEYS["chat"], "SHUTDOWN_SECONDS": "1"}
    with running_gateway(**settings) as gateway:
        visit = await _visit(gateway, _request("talk", stream=stream))
        await _begun(dify, "talk")
        gateway.process.send_signal(signal.SIGTERM)
        answer = await visit.reader.read()
        visit.leave()
        assert await asyncio.to_thread(gateway.process.wait, 20) == 0
    assert b'"code":"shutting_down"' in answer
    assert answer.startswith(b"HTTP/1.1 200 " if stream else b"HTTP/1.1 503 ")
    assert len(dify.stopped) == 1
    assert not [line for line in gateway.lines if "exception" in line or line["event"] == "text"]
    assert gateway.requests()[-1]["error"] == "shutting_down"


@pytest.mark.parametrize("nickname", ["chat", "agent", "chatflow", "completion", "workflow"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
async def test_every_kind_of_app_is_stopped(
    nickname: str, stream: bool, simulated: Simulator, before_simulator: Gateway
) -> None:
    simulated.reset()
    visit = await _visit(
        before_simulator, _request("[[slow:100:0.1]]", model=f"Simulated {nickname.title()}", stream=stream)
    )
    await until(lambda: simulated.counts().running == 1 and simulated.counts().open_streams == 1)
    if stream:
        await visit.read_until(b"tick")
    visit.leave()
    await until(lambda: simulated.counts().stopped == 1)
    await until(lambda: simulated.counts().running == 0 and simulated.counts().open_streams == 0)
    assert (await _over(before_simulator, visit))["error"] == "client_gone"


@pytest.fixture(scope="module")
def simulated() -> Iterator[Simulator]:
    with Simulator(pace=0) as dify:
        yield dify


@pytest.fixture(scope="module")
def before_simulator(simulated: Simulator) -> Iterator[Gateway]:
    keys = ",".join(simulated.keys.values())
    with running_gateway(DIFY_API_BASE=simulated.base_url, DIFY_API_KEYS=keys) as gateway:
        yield gateway


async def test_the_openai_package_stops_a_run_by_closing_its_stream(
    gateway: Gateway, dify: FaultyDify
) -> None:
    async with AsyncOpenAI(base_url=gateway.base_url, api_key="none", max_retries=0) as openai:
        stream = await openai.chat.completions.create(
            model=NAMES["chat"], messages=[{"role": "user", "content": "talk"}], stream=True
        )
        async for chunk in stream:
            if re.match("and so on", chunk.choices[0].delta.content or ""):
                break
        await stream.close()
        await until(lambda: dify.stopped)


async def test_who_leaves_its_second_request_on_a_connection_is_heard_though_the_first_is_not_tidied_up(
    gateway: Gateway, dify: FaultyDify
) -> None:
    first = await _visit(gateway, _request("endless-speech"))
    await first.read_until(b"[DONE]\n\n")
    second = await _visit(gateway, _request("talk"), on=(first.reader, first.writer))
    await second.read_until(b'"and so on, "')
    await _over(gateway, first)  # Dify's speech was waited for until now
    second.leave()
    await until(lambda: dify.stopped)
    assert (await _over(gateway, second))["error"] == "client_gone"


async def test_who_leaves_while_its_large_request_is_read_starts_no_run(dify: FaultyDify) -> None:
    dify.forget()
    settings = {"DIFY_API_BASE": dify.base_url, "DIFY_API_KEYS": KEYS["chat"]}
    with running_gateway(first=SLOW_READING, **settings) as gateway:
        visit = await _visit(gateway, _request("talk" + " on" * 100_000))
        await asyncio.sleep(0.2)
        visit.leave()
        line = await _over(gateway, visit)
    assert (line["status"], line["error"]) == (499, "client_gone")
    assert not dify.calls


async def test_who_leaves_after_a_large_request_is_heard(gateway: Gateway, dify: FaultyDify) -> None:
    visit = await _visit(gateway, _request("ponder" + " on" * 100_000, stream=False))
    await until(lambda: dify.calls)
    visit.leave()
    await until(lambda: dify.stopped)
    assert (await _over(gateway, visit))["error"] == "client_gone"
