"""What the gateway logs of steps that hold up everybody's tokens, and that usual work has none."""

import base64
import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any, cast

import pytest
from openai import APIError, OpenAI

from opendify.simulator import AppSpec, Simulator, default_apps
from servers import Gateway, eventually, running_gateway

SLOW_READER = """
import time
from opendify.gateway import completions

read = completions.parse

def reads_slowly(body):
    until = time.thread_time() + 0.1
    while time.thread_time() < until:
        pass
    return read(body)

completions.parse = reads_slowly
"""
"""Makes the gateway read each request for 100 ms of CPU, on its event loop."""

CHAT = "Simulated Chat"
SECRET = "my aunt lives in Kyoto"


def slow_steps(gateway: Gateway, since: int = 0) -> list[dict[str, object]]:
    """What the log says of them, from this line of it on."""
    return [line for line in gateway.lines[since:] if line["event"] == "slow step"]


def ask(gateway: Gateway, text: str) -> None:
    with OpenAI(base_url=gateway.base_url, api_key="none", max_retries=0) as openai:
        answer = openai.chat.completions.with_raw_response.create(
            model=CHAT, messages=[{"role": "user", "content": text}]
        )
    gateway.request(answer.headers["x-request-id"])  # its line is behind those of its steps


def test_a_step_that_takes_too_long_is_logged_with_the_place_where_it_was(dify: Simulator) -> None:
    with running_gateway(
        first=SLOW_READER,
        DIFY_API_BASE=dify.base_url,
        DIFY_API_KEYS=dify.keys["chat"],
        SLOW_STEP_MS="40",
    ) as gateway:
        ask(gateway, SECRET)

        def reading() -> list[dict[str, object]]:
            return [line for line in slow_steps(gateway) if "reads_slowly" in str(line["at"])]

        (line,) = eventually(reading)
        assert line["level"] == "warning"
        assert float(str(line["step_ms"])) >= float(str(line["cpu_ms"])) >= 100
        assert "Completions._serve" in str(line["at"])
        assert SECRET not in str(gateway.lines)


def test_without_the_setting_no_step_is_timed(dify: Simulator) -> None:
    with running_gateway(
        first=SLOW_READER, DIFY_API_BASE=dify.base_url, DIFY_API_KEYS=dify.keys["chat"]
    ) as gateway:
        ask(gateway, "Hello")
        assert slow_steps(gateway) == []


@pytest.mark.parametrize("wrong", ["-1", "soon"])
def test_a_time_that_is_none_is_refused_at_the_start(dify: Simulator, wrong: str) -> None:
    with (
        pytest.raises(AssertionError, match="SLOW_STEP_MS"),
        running_gateway(DIFY_API_BASE=dify.base_url, DIFY_API_KEYS=dify.keys["chat"], SLOW_STEP_MS=wrong),
    ):
        pass


COUNTS_WHAT_IS_LEFT = """
import atexit, gc, json, sys

gc.disable()

@atexit.register
def count():
    names = [type(one).__name__ for one in gc.get_objects()]
    left = {name: names.count(name) for name in ("Reply", "AsyncRequest", "RequestResponseCycle", "Protocol")}
    print(json.dumps({"event": "left", **left}), file=sys.stderr)
"""
"""Lets the gateway's process collect no garbage, and tell at its end what there is of answered requests."""


@pytest.mark.parametrize("each_on_its_own", [True, False], ids=["a connection each", "one connection"])
def test_what_answered_requests_leave_behind_needs_no_garbage_collection(
    each_on_its_own: bool, dify: Simulator
) -> None:
    """It looks through all that lives, while nobody's tokens move."""
    with (
        running_gateway(
            first=COUNTS_WHAT_IS_LEFT, DIFY_API_BASE=dify.base_url, DIFY_API_KEYS=dify.keys["chat"]
        ) as gateway,
        OpenAI(
            base_url=gateway.base_url,
            api_key="none",
            max_retries=0,
            default_headers={"Connection": "close"} if each_on_its_own else None,
        ) as openai,
    ):
        for number in range(20):
            asked: list[Any] = [{"role": "user", "content": f"Question {number}"}]
            openai.chat.completions.create(model=CHAT, messages=asked)
            for _ in openai.chat.completions.create(model=CHAT, messages=asked, stream=True):
                pass
    (left,) = [line for line in gateway.lines if line["event"] == "left"]
    assert left["Reply"] == 0
    # of the connections by which the test asked whether it is ready, each leaves itself and its request
    assert left["RequestResponseCycle"] == left["Protocol"] < 40


def test_what_failed_requests_leave_behind_needs_none_either() -> None:
    """While a Dify is down, requests of megabytes fail one after the other."""
    with ExitStack() as up:
        dify = up.enter_context(Simulator(pace=0))
        settings = {"DIFY_API_BASE": dify.base_url, "DIFY_API_KEYS": dify.keys["chat"]}
        with (
            running_gateway(first=COUNTS_WHAT_IS_LEFT, **settings) as gateway,
            OpenAI(base_url=gateway.base_url, api_key="none", max_retries=0) as openai,
        ):

            def fail(question: str, **more: Any) -> None:
                asked: list[Any] = [{"role": "user", "content": question}]
                with pytest.raises(APIError):
                    list(openai.chat.completions.create(model=CHAT, messages=asked, stream=True, **more))

            for question in ("[[error0:server]]", "[[error:server]]"):
                fail(question)
                fail(question, n=2)
            up.close()
            fail("Is anybody there?")
    (left,) = [line for line in gateway.lines if line["event"] == "left"]
    assert left["Reply"] == left["AsyncRequest"] == 0


# ── usual work ───────────────────────────────────────────────────────────────────────────────────────

TRIES = 5
"""A machine holds any step up now and then, and its CPU time tells; one that is too long is so each time."""

MANY = tuple(AppSpec(f"many-{number}", "chat", name=f"Many {number}") for number in range(50))


@pytest.fixture(scope="module")
def limit_ms() -> float:
    """The 5 ms of the machine that docs/performance.md names, on this one: it reads a text of 500 KB in them.

    The least of some tries, so that what else this machine does has no part in it.
    """
    text = json.dumps([{"name": f"number {number}", "value": number} for number in range(16_000)])

    def reading() -> float:
        begun = time.thread_time()
        assert sum(one["value"] for one in json.loads(text)) > 0
        return time.thread_time() - begun

    return 1000 * min(reading() for _ in range(20))


@pytest.fixture(scope="module")
def watched(limit_ms: float) -> Iterator[Gateway]:
    """A gateway with sixty apps, read every second, that logs steps over the limit."""
    with (
        Simulator((*default_apps(), *MANY), pace=0) as dify,
        running_gateway(
            DIFY_API_BASE=dify.base_url,
            DIFY_API_KEYS=",".join(dify.keys.values()),
            CATALOG_REFRESH_SECONDS="1",
            SLOW_STEP_MS=str(limit_ms),
        ) as gateway,
    ):
        yield gateway


def _schema(fields: int) -> dict[str, Any]:
    properties = {
        f"field_{at}": {"type": "string", "description": "What is said of it."} for at in range(fields)
    }
    return {"type": "object", "properties": properties}


def _tools(count: int) -> list[dict[str, Any]]:
    return [
        {
            "type": "function",
            "function": {"name": f"look_{at}", "description": "Look.", "parameters": _schema(6)},
        }
        for at in range(count)
    ]


def _chat(turns: int, size: int, ask: str = "[[reply:So it is.]]") -> list[dict[str, Any]]:
    said = [
        {"role": ("user", "assistant")[at % 2], "content": f"{at} " + "word " * (size // turns // 5)}
        for at in range(turns)
    ]
    return [*said, {"role": "user", "content": ask}]


def _image(size: int) -> list[dict[str, Any]]:
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + random.Random(size).randbytes(size)).decode()
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    return [{"role": "user", "content": [{"type": "text", "text": "[[reply:A cat.]]"}, picture]}]


def _called(turns: int) -> list[dict[str, Any]]:
    """A chat in which a tool was called, over and over."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Look. [[reply:I see.]]"}]
    for at in range(turns):
        call = {"name": "look_0", "arguments": '{"field_0": "here"}'}
        messages += [
            {"role": "assistant", "tool_calls": [{"id": f"call_{at}", "type": "function", "function": call}]},
            {"role": "tool", "tool_call_id": f"call_{at}", "content": "Nothing. " * 10},
        ]
    return messages


_LIST = ",".join(map(str, range(4000)))
WORKS: dict[str, tuple[str, list[dict[str, Any]], dict[str, Any]]] = {
    "a short question": (CHAT, _chat(0, 0), {}),
    "a stream of 100 tokens, a few at a time": (CHAT, _chat(0, 0, "[[slow:100:0.005]]"), {}),
    "an answer of 100 KB": (CHAT, _chat(0, 0, f"[[reply:{'word ' * 20_000}]]"), {}),
    "60 messages, 40 KB": (CHAT, _chat(60, 40_000), {}),
    "60 messages, 60 KB": (CHAT, _chat(60, 60_000), {}),
    "3,000 messages": (CHAT, _chat(3000, 60_000), {}),
    "a prompt of 1 MB": (CHAT, _chat(2, 1_000_000), {}),
    "a picture of 40 KB": (CHAT, _image(40_000), {}),
    "a picture of 1 MB": (CHAT, _image(1_000_000), {}),
    "a call of a tool": (CHAT, _chat(0, 0, '[[call:look_0:{"field_0": "here"}]]'), {"tools": _tools(1)}),
    "one of 60 tools": (CHAT, _chat(0, 0, '[[call:look_9:{"field_0": "here"}]]'), {"tools": _tools(60)}),
    "a call with 4,000 arguments": (
        CHAT,
        _chat(0, 0, f'[[call:look_0:{{"field_0": [{_LIST}]}}]]'),
        {"tools": _tools(1)},
    ),
    "200 calls and their results": (CHAT, _called(200), {"tools": _tools(3)}),
    "text that looks like calls": (
        CHAT,
        _chat(0, 0, f"[[reply:{'Write <tool_call> { and so on. ' * 10}]]"),
        {"tools": _tools(1)},
    ),
    "a JSON object": (
        CHAT,
        _chat(0, 0, f'[[json:{{"list": [{_LIST}]}}]]'),
        {"response_format": {"type": "json_object"}},
    ),
    "a JSON schema of 300 fields": (
        CHAT,
        _chat(0, 0, '[[json:{"field_0": "here"}]]'),
        {"response_format": {"type": "json_schema", "json_schema": {"name": "form", "schema": _schema(300)}}},
    ),
    "an agent": ("Simulated Agent", _chat(0, 0, "Think."), {}),
    "a text generator": ("Simulated Completion", _chat(0, 0, "Write."), {}),
    "a chatflow": ("Simulated Chatflow", _chat(0, 0, "Go on."), {}),
    "a workflow": ("Simulated Workflow", _chat(0, 0, "Go on."), {}),
}
"""What people ask every day, and some of the largest of it: model, messages, and more."""


def long_each_time(
    gateway: Gateway, limit_ms: float, work: Callable[[], object], *, places: bool = False
) -> dict[str, dict[str, object]]:
    """Steps that were too long each time that this was done, by what they are steps of, as the log told last.

    By the CPU time of the loop's thread: that a busy machine lets it wait is not the gateway's fault.

    Args:
        places: Steps of the same are many: tell them apart by the function in which they were too long.
    """
    too_long: dict[str, dict[str, object]] = {}
    for number in range(TRIES):
        ready = len(gateway.lines)
        work()
        seen = {
            _function(line["at"]) if places else str(line["step"]): line
            for line in slow_steps(gateway, ready)
            if float(str(line["cpu_ms"])) > limit_ms
        }
        too_long = {step: line for step, line in seen.items() if not number or step in too_long}
        if not too_long:
            break
    return too_long


def _function(at: object) -> str:
    """The innermost function of those that a step was in.

    >>> _function(["opendify.gateway.wire:165 parse", "opendify.gateway.app:111 Gateway.__call__"])
    'parse'
    """
    functions = cast("list[str]", at)
    return functions[0].split()[-1] if functions else "none that was seen"


def test_usual_work_has_no_step_that_is_too_long(watched: Gateway, limit_ms: float) -> None:
    with OpenAI(base_url=watched.base_url, api_key="none", max_retries=0) as openai:

        def done(work: str, stream: bool) -> None:
            model, messages, more = WORKS[work]
            create: Callable[..., Any] = openai.chat.completions.with_raw_response.create
            answer = create(model=model, messages=messages, stream=stream, **more)
            for _ in answer.parse() if stream else ():
                pass
            watched.request(answer.headers["x-request-id"])  # its line is behind those of its steps

        def all_at_once() -> None:
            with ThreadPoolExecutor(8) as pool:
                for one in [pool.submit(done, work, stream) for work, stream in asks]:
                    one.result()

        def nothing() -> None:
            assert len(openai.models.list().data) > len(MANY)
            time.sleep(1.2)  # in which the gateway reads its catalogue anew

        asks = [(work, stream) for work in WORKS for stream in (True, False)]
        for work in (*(partial(done, *ask) for ask in asks), nothing):
            assert not long_each_time(watched, limit_ms, work), work
        assert not long_each_time(watched, limit_ms, all_at_once, places=True)
