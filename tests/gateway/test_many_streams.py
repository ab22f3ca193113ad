"""Many streams at once through one process: every token arrives, in its order, and soon.

Dify is a process of its own here, whose tokens bear their number and the time at which they were sent.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import faulty_dify
from faulty_dify import KEYS, NAMES
from servers import Gateway, running_gateway

from .measures import cpu_seconds

STREAMS = 200
TOKENS = 200
PACE = 0.02
"""Seconds from one token to the next: 50 a second."""


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    program = [sys.executable, str(Path(faulty_dify.__file__))]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as dify:
        assert dify.stdout is not None
        settings = {"DIFY_API_BASE": dify.stdout.readline().strip(), "DIFY_API_KEYS": KEYS["chat"]}
        with running_gateway(**settings) as gateway:
            yield gateway
        dify.communicate()  # it ends with its standard input


class Listener(asyncio.Protocol):
    """One client: asks, and notes what comes and when. Reading it is for later: time counts now."""

    def __init__(self, request: bytes) -> None:
        self.chunks: list[tuple[float, bytes]] = []
        self.ended = asyncio.get_running_loop().create_future()
        self._request = request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.chunks.append((time.monotonic(), data))
        if data.endswith(b"0\r\n\r\n"):
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(None)

    def tokens(self) -> list[tuple[int, float]]:
        """The number of each token, in the order in which they came, and the seconds that it took.

        A token has come when all of it has: what arrives in a lump may be passed on in pieces.
        """
        tokens: list[tuple[int, float]] = []
        rest, text = b"", ""
        for came, data in self.chunks:
            *events, rest = (rest + data).split(b"\n\n")
            for event in events:
                _, _, payload = event.partition(b"data: ")
                if not payload.startswith(b"{"):
                    continue
                for choice in json.loads(payload)["choices"]:
                    *whole, text = (text + choice["delta"].get("content", "")).split(" ")
                    for token in whole:
                        number, _, sent = token.partition("@")
                        tokens.append((int(number), came - float(sent)))
        assert text == ""
        return tokens


def _request(number: int) -> bytes:
    body = json.dumps(
        {
            "model": NAMES["chat"],
            "messages": [{"role": "user", "content": f"numbers:{TOKENS}:{PACE} {number}"}],
            "stream": True,
        }
    ).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize("arrival", [0.01, 0.0], ids=["over two seconds", "all at once"])
async def test_of_two_hundred_streams_at_once_each_gets_every_token_in_its_order(
    arrival: float, gateway: Gateway
) -> None:
    loop = asyncio.get_running_loop()
    listeners = []
    spent = cpu_seconds(gateway)
    for number in range(STREAMS):
        _, listener = await loop.create_connection(lambda n=number: Listener(_request(n)), *gateway.address)
        listeners.append(listener)
        await asyncio.sleep(arrival)
    await asyncio.gather(*(listener.ended for listener in listeners))
    spent = cpu_seconds(gateway) - spent

    first: list[float] = []
    later: list[float] = []
    for listener in listeners:
        tokens = listener.tokens()
        assert [number for number, _ in tokens] == list(range(TOKENS))
        assert listener.chunks[-1][1].endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        delays = [delay * 1000 for _, delay in tokens]
        first.append(delays[0])
        later += delays[1:]
    print(
        f"\n{STREAMS} streams of {TOKENS} tokens, {1 / PACE:.0f} a second each. "
        f"Behind Dify: first token {statistics.median(first):.1f} ms at the median, {max(first):.1f} "
        f"at most; all others {statistics.median(later):.1f} ms, {max(later):.1f} at most. "
        f"The gateway's CPU: {spent / STREAMS / TOKENS * 1e6:.0f} µs a token"
    )
