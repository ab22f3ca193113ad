"""What the gateway logs of steps that hold up everybody's tokens, and that usual work has none."""

import pytest
from openai import OpenAI

from opendify.simulator import Simulator
from servers import Gateway, eventually, running_gateway

SLOW_READER = """
import time
from opendify.gateway import completions

read = completions.parse

def reads_slowly(body):
    until = time.thread_time() + 0.05
    while time.thread_time() < until:
        pass
    return read(body)

completions.parse = reads_slowly
"""
"""Makes the gateway read each request for 50 ms of CPU, on its event loop."""

SECRET = "my aunt lives in Kyoto"


def slow_steps(gateway: Gateway) -> list[dict[str, object]]:
    return [line for line in gateway.lines if line["event"] == "slow step"]


def ask(gateway: Gateway, text: str) -> None:
    with OpenAI(base_url=gateway.base_url, api_key="none", max_retries=0) as openai:
        answer = openai.chat.completions.with_raw_response.create(
            model="Simulated Chat", messages=[{"role": "user", "content": text}]
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
        assert float(str(line["step_ms"])) >= float(str(line["cpu_ms"])) >= 50
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
