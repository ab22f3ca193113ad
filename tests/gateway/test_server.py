"""The gateway as a server: what comes over the wire, its limits, several workers, and how it ends."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from openai import APIError, AsyncOpenAI, OpenAI, RateLimitError

from opendify.gateway.reply import CONNECTION, Reply
from opendify.simulator import Simulator
from servers import Gateway, eventually, running_gateway

from .clients import ADA, http, plain, streamed

CHAT = "Simulated Chat"
HEADER_LIMIT, BODY_LIMIT = 4096, 104_858

HASTE = """
import opendify.gateway.completions, opendify.gateway.reply, opendify.gateway.server
opendify.gateway.completions.BODY_SECONDS = 0.8
opendify.gateway.reply.PING_SECONDS = 0.2
opendify.gateway.server.HEADER_SECONDS = 0.8
opendify.gateway.server.KEEP_ALIVE_SECONDS = 1.6
"""
"""Waits that no setting shortens."""


@pytest.fixture(scope="module")
def strict(dify: Simulator) -> Iterator[Gateway]:
    """A gateway with low limits and little patience."""
    with running_gateway(
        first=HASTE,
        DIFY_API_BASE=dify.base_url,
        DIFY_API_KEYS=f"{dify.keys['chat']},{dify.keys['workflow']}",
        VALID_API_KEYS=ADA,
        MAX_HEADER_KB="4",
        MAX_BODY_MB="0.1",
        MAX_CONCURRENT_PER_APP="2",
        QUEUE_SECONDS="0.4",
    ) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def impatient(strict: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=strict.base_url, api_key=ADA, max_retries=0) as client:
        yield client


# ── Over the wire ────────────────────────────────────────────────────────────────────────────────────


def question(text: str, user: str, **more: Any) -> bytes:
    return json.dumps(
        {"model": CHAT, "messages": [{"role": "user", "content": text}], "user": user, **more}
    ).encode()


def head(length: int | None, *lines: str, line: str = "POST /v1/chat/completions HTTP/1.1") -> bytes:
    sent = [line, "Host: test", f"Authorization: Bearer {ADA}", *lines]
    if length is not None:
        sent.append(f"Content-Length: {length}")
    return ("\r\n".join(sent) + "\r\n\r\n").encode("latin-1")


@contextmanager
def connected(gateway: Gateway, seconds: float = 5.0) -> Iterator[socket.socket]:
    with socket.create_connection(gateway.address, timeout=seconds) as connection:
        yield connection


def answered(gateway: Gateway, *pieces: bytes, pause: float = 0.0) -> bytes:
    """All that comes back, up to the end of the connection."""
    with connected(gateway) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        return rest(connection)


def rest(connection: socket.socket) -> bytes:
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


def status(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1])


def error(reply: bytes) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(reply.partition(b"\r\n\r\n")[2])
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return dict(body["error"])


CLOSE = "Connection: close"


def test_a_request_that_comes_byte_by_byte_is_answered(gateway: Gateway, user: str) -> None:
    body = question("[[reply:Hello]]", user)
    request = head(len(body), CLOSE) + body
    reply = answered(gateway, *(bytes([byte]) for byte in request), pause=0.0002)
    assert status(reply) == 200
    assert b'"content":"Hello"' in reply


def test_a_body_may_come_in_chunks_without_a_length(gateway: Gateway, user: str) -> None:
    body = question("[[reply:Hello]]", user)
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    reply = answered(gateway, head(None, CLOSE, "Transfer-Encoding: chunked"), *chunks, b"0\r\n\r\n")
    assert b'"content":"Hello"' in reply


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("way", ["a length", "chunks"])
def test_who_would_rather_speak_another_protocol_is_answered_in_this_one(
    gateway: Gateway, user: str, way: str, together: bool
) -> None:
    """As Java's client would with each request."""
    wish = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAA")
    body = question("[[reply:Hello]]", user)
    request = [head(len(body), *wish), body]
    if way == "chunks":
        request = [
            head(None, *wish, "Transfer-Encoding: chunked"),
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
        ]
    last = head(None, CLOSE, line="GET /health/live HTTP/1.1")
    pieces = [*request, *request, last]
    reply = answered(gateway, *([b"".join(pieces)] if together else pieces), pause=0.05)
    assert reply.count(b"HTTP/1.1 200") == 3
    assert reply.count(b'"content":"Hello"') == 2


def test_many_wishes_for_another_protocol_in_one_go_are_passed_over(gateway: Gateway) -> None:
    wish = head(None, "Connection: Upgrade", "Upgrade: h2c", line="GET /health/live HTTP/1.1")
    last = head(None, CLOSE, line="GET /health/live HTTP/1.1")
    assert answered(gateway, wish * 1200 + last).count(b"HTTP/1.1 200") == 1201


def test_a_client_of_http_1_0_is_answered(gateway: Gateway, user: str) -> None:
    body = question("[[reply:Hello]]", user)
    reply = answered(gateway, head(len(body), line="POST /v1/chat/completions HTTP/1.0") + body)
    assert status(reply) == 200
    assert b"transfer-encoding" not in reply
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["choices"][0]["message"]["content"] == "Hello"


def test_requests_in_one_go_are_answered_in_their_order(gateway: Gateway, user: str) -> None:
    first, second = question("[[reply:First]]", user), question("[[reply:Second]]", user, stream=True)
    last = head(None, CLOSE, line="GET /health/live HTTP/1.1")
    reply = answered(gateway, head(len(first)) + first + head(len(second)) + second + last)
    places = [reply.find(mark) for mark in (b"First", b"Second", b'{"status":"ok"}')]
    assert -1 not in places
    assert places == sorted(places)


def test_who_waits_for_100_continue_gets_it_when_the_body_is_wanted(gateway: Gateway, user: str) -> None:
    body = question("[[reply:Hello]]", user)
    with connected(gateway) as connection:
        connection.sendall(head(len(body), CLOSE, "Expect: 100-continue"))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert b'"content":"Hello"' in rest(connection)


def test_who_waits_for_100_continue_is_refused_before_the_body(strict: Gateway) -> None:
    with connected(strict) as connection:
        connection.sendall(head(BODY_LIMIT + 1, CLOSE, "Expect: 100-continue"))
        assert status(rest(connection)) == 413
    with connected(strict) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
            b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert status(rest(connection)) == 401


@pytest.mark.parametrize(
    "request_line",
    [
        b"GARBAGE",
        b"GET",
        b"GET  HTTP/1.1",
        b"GET /health/live HTTP/9.9",
        b"get /health/live HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"GET ?x HTTP/1.1",
        b"CONNECT example.org:443 HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_http_is_refused_in_openais_shape(gateway: Gateway, request_line: bytes) -> None:
    reply = answered(gateway, request_line + b"\r\nHost: x\r\n\r\n")
    assert status(reply) == 400
    assert error(reply)["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: -1",
        b"Content-Length: many",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\n\r\nnot a size",
        b"no colon",
        b": no name",
        b"X: a\x00b",
    ],
)
def test_headers_that_could_be_read_in_two_ways_are_refused(gateway: Gateway, header: bytes) -> None:
    reply = answered(gateway, b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
    assert status(reply) in (400, 401)
    assert error(reply)["message"]


@pytest.mark.parametrize(
    "path", ["http://x/health/live", "/health/live?x=%ff#y", "/health/live?" + "a=b&" * 200]
)
def test_odd_ways_to_write_a_path_are_understood(gateway: Gateway, path: str) -> None:
    assert status(answered(gateway, head(None, CLOSE, line=f"GET {path} HTTP/1.1"))) == 200


@pytest.mark.parametrize("path", ["/%ff%fe", "/v1/models/%00", "////", "/v1/models/" + "x" * 3000, "*"])
def test_odd_paths_are_not_found(gateway: Gateway, path: str) -> None:
    reply = answered(gateway, head(None, CLOSE, line=f"OPTIONS {path} HTTP/1.1"))
    assert status(reply) in (404, 405)
    reply = answered(gateway, head(None, CLOSE, line=f"GET {path} HTTP/1.1"))
    assert status(reply) in (400, 404)
    assert error(reply)["message"]


def test_bytes_that_are_no_ascii_in_a_header_harm_nothing(gateway: Gateway, user: str) -> None:
    body = question("[[reply:Hello]]", user)
    odd = ("X-Request-Id: \xe4\xf6", "X-Chat-Id: \xff\xfe", "X-OpenWebUI-User-Id: \xc3\xa4")
    reply = answered(gateway, head(len(body), CLOSE, *odd) + body)
    assert b'"content":"Hello"' in reply
    reply = answered(gateway, head(0, CLOSE).replace(ADA.encode(), b"\xff\xfe"))
    assert status(reply) == 401


# ── Limits ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["one value", "many values", "in pieces", "an endless value", "a long path"])
def test_a_head_that_is_too_large_is_refused(strict: Gateway, name: str) -> None:
    start, value = b"GET /health/live HTTP/1.1\r\nHost: x\r\n", b"x" * 1000
    many = [b"X-%d: %b\r\n" % (number, value) for number in range(5)]
    pieces = {
        "one value": [start + b"X: " + value * 5 + b"\r\n\r\n"],
        "many values": [start + b"".join(many) + b"\r\n"],
        "in pieces": [start, *many],
        "an endless value": [start, b"X: ", *[value] * 5],
        "a long path": [b"GET /", *[value] * 5],
    }[name]
    with connected(strict) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.01)
        reply = rest(connection)
    assert status(reply) == 431
    assert str(HEADER_LIMIT) in error(reply)["message"]


@pytest.mark.parametrize("name", ["whole", "an endless value"])
def test_headers_behind_a_body_have_the_same_limit(strict: Gateway, name: str) -> None:
    start = b"POST /health/live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    fields = [b"X-%d: %b\r\n" % (number, b"x" * 1000) for number in range(5)]
    endless = [b"X: ", *[b"x" * 1000] * 5]
    pieces = [b"".join(fields), b"\r\n"] if name == "whole" else endless
    reply = answered(strict, start, *pieces, pause=0.01)
    assert b" 431 " in reply


def test_a_head_within_the_limit_may_come_in_pieces(strict: Gateway) -> None:
    many = [b"X-%d: %b\r\n" % (number, b"x" * 1000) for number in range(3)]
    start = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    assert status(answered(strict, start, *many, b"\r\n", pause=0.01)) == 200


def test_a_head_that_never_ends_is_waited_for_only_so_long(strict: Gateway) -> None:
    for begun in (b"", b"GET /health/live HTTP/1.1\r\nHost: x\r\n"):
        assert answered(strict, begun) == b""


def test_a_connection_without_requests_is_closed_after_a_while_and_not_before(strict: Gateway) -> None:
    request = head(None, line="GET /health/live HTTP/1.1")
    with connected(strict) as connection:
        for _ in range(3):
            connection.sendall(request)
            time.sleep(1.0)  # more than a head may take
        assert rest(connection).count(b"HTTP/1.1 200") == 3


def test_so_is_one_whose_last_request_was_answered_before_it_had_come(strict: Gateway) -> None:
    with connected(strict) as connection:
        connection.sendall(head(1, line="POST /nowhere HTTP/1.1"))
        assert status(connection.recv(65536)) == 404
        connection.sendall(b"x")
        assert rest(connection) == b""


def test_an_answer_gives_no_more_time_to_the_next_head(strict: Gateway, user: str) -> None:
    body = question("[[slow:3:0.15]]", user)
    with connected(strict) as connection:
        connection.sendall(head(len(body)) + body)
        time.sleep(0.1)
        connection.sendall(b"GET /health/live HTTP/1.1\r\n")
        assert status(connection.recv(65536)) == 200
        time.sleep(1.0)  # more than a head may take, less than a connection may rest
        with suppress(ConnectionError):
            connection.sendall(b"Host: x\r\n\r\n")
            assert rest(connection) == b""


def test_a_large_body_is_no_large_head(strict: Gateway, user: str) -> None:
    body = question("[[reply:Hello]]" + "x" * 50_000, user)
    request = head(len(body)) + body
    last = head(None, CLOSE, line="GET /health/live HTTP/1.1")
    assert answered(strict, request + request + last).count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize("way", ["a length", "chunks"])
def test_a_body_over_the_limit_is_refused(strict: Gateway, way: str) -> None:
    body = b" " * (BODY_LIMIT + 1)
    if way == "a length":
        reply = answered(strict, head(len(body), CLOSE) + body)
    else:
        chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        reply = answered(strict, head(None, CLOSE, "Transfer-Encoding: chunked") + chunk)
    assert status(reply) == 413
    assert error(reply)["code"] == "request_too_large"
    assert str(BODY_LIMIT) in error(reply)["message"]


def test_a_body_at_the_limit_is_taken(strict: Gateway, user: str) -> None:
    body = question("[[reply:Hello]]", user).ljust(BODY_LIMIT)
    assert b'"content":"Hello"' in answered(strict, head(len(body), CLOSE) + body)


def test_who_is_still_sending_hears_why_it_is_refused(strict: Gateway) -> None:
    """A connection that is closed under a client's hands would say nothing."""
    piece = b"x" * 20_000
    for key, refusal in ((ADA, 413), ("wrong", 401)):
        start = head(20 * len(piece), CLOSE).replace(ADA.encode(), key.encode())
        assert status(answered(strict, start, *[piece] * 20, pause=0.005)) == refusal


def test_a_body_that_never_ends_is_waited_for_only_so_long(strict: Gateway) -> None:
    reply = answered(strict, head(100) + b"{")
    assert status(reply) == 408
    assert error(reply)["code"] == "request_timeout"


def is_cut_off(connection: socket.socket, data: bytes) -> bool:
    try:
        connection.sendall(data)
    except ConnectionError:
        return True
    return False


@pytest.mark.parametrize("line", ["POST /v1/models HTTP/1.1", "POST /nowhere HTTP/1.1"])
def test_who_goes_on_sending_after_its_answer_is_disconnected(strict: Gateway, line: str) -> None:
    with connected(strict) as connection:
        connection.sendall(head(1_000_000, line=line))
        assert status(connection.recv(65536)) in (404, 405)
        eventually(lambda: is_cut_off(connection, b"x"))


async def test_calls_to_an_app_over_its_limit_wait_and_then_are_refused(
    strict: Gateway, dify: Simulator, user: str
) -> None:
    async with AsyncOpenAI(base_url=strict.base_url, api_key=ADA, max_retries=0) as client:

        async def one(model: str, text: str) -> str:
            answer = await client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": text}], user=user
            )
            return answer.choices[0].message.content or ""

        slow = [asyncio.create_task(one(CHAT, "[[slow:16:0.1]]")) for _ in range(2)]
        await asyncio.to_thread(eventually, lambda: dify.counts().running == 2)
        began = time.monotonic()
        with pytest.raises(RateLimitError) as caught:
            await one(CHAT, "Hello")
        assert time.monotonic() - began > 0.3, "it has been waiting"
        assert caught.value.code == "rate_limit_exceeded"
        assert int(caught.value.response.headers["retry-after"]) >= 1
        assert CHAT in caught.value.message
        assert await one("Simulated Workflow", "[[reply:Hello]]") == "Hello", "another app has its own slots"
        await asyncio.gather(*slow)
        both = [asyncio.create_task(one(CHAT, "[[slow:3:0.1]]")) for _ in range(2)]
        await asyncio.to_thread(eventually, lambda: dify.counts().running == 2)
        assert await one(CHAT, "[[reply:Hello]]") == "Hello", "a short crowd waits"
        await asyncio.gather(*both)


# ── Silences ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_stream_whose_app_is_silent_opens_and_pings(strict: Gateway, user: str) -> None:
    body = question("[[stall:0.7]][[reply:Hello]]", user, stream=True)
    with connected(strict) as connection:
        connection.sendall(head(len(body), CLOSE) + body)
        opening = connection.recv(65536)
        assert status(opening) == 200
        reply = opening + rest(connection)
    before, _, after = reply.partition(b"data: ")
    assert before.count(b": ping\n\n") >= 2
    assert after.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_pings_fill_later_silences_and_the_openai_package_skips_them(
    strict: Gateway, impatient: OpenAI, user: str
) -> None:
    text = "[[midstall:0.5]][[reply:one two three]]"
    assert streamed(impatient, CHAT, text, user=user).content == "one two three"
    body = question(text, user, stream=True)
    reply = answered(strict, head(len(body), CLOSE) + body)
    assert reply.count(b": ping\n\n") >= 1


def test_what_goes_wrong_after_a_ping_is_told_in_the_stream(
    strict: Gateway, impatient: OpenAI, user: str
) -> None:
    text = "[[stall:0.5]][[error]]"
    with pytest.raises(APIError, match="Bad Request Error"):
        streamed(impatient, CHAT, text, user=user)
    body = question(text, user, stream=True)
    reply = answered(strict, head(len(body), CLOSE) + body)
    assert status(reply) == 200
    frames = [line for line in reply.decode().splitlines() if line.startswith("data: ")]
    assert json.loads(frames[-2].removeprefix("data: "))["error"]["code"] == "upstream_error"
    assert frames[-1] == "data: [DONE]"


async def test_a_ping_that_is_due_at_the_end_of_an_answer_is_not_sent_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[bytes] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message.get("body", b""))

    class Open:
        """A client that stays."""

        def is_read(self) -> bool:
            return True

        def tell(self, hears: Callable[[], None], *, no_more: bool = False) -> bool:
            return not no_more

    call = asyncio.current_task()
    assert call is not None
    monkeypatch.setattr("opendify.gateway.reply.PING_SECONDS", 0.0)
    reply = Reply({CONNECTION: Open()}, send, call, "id")
    reply.streaming = True
    reply.attend()
    for _ in range(2):  # now the silence is known to be long, and its ping comes next
        await asyncio.sleep(0)
    await reply.answer(500, b"The end.")
    await reply.leave()
    assert sent == [b"", b"The end."]
    assert reply.finished


def test_a_plain_answer_has_no_pings(impatient: OpenAI, user: str) -> None:
    assert plain(impatient, CHAT, "[[stall:0.5]][[reply:Hello]]", user=user).content == "Hello"


# ── The end ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def settings(dify: Simulator) -> dict[str, str]:
    return {"DIFY_API_BASE": dify.base_url, "DIFY_API_KEYS": dify.keys["chat"], "VALID_API_KEYS": ADA}


def refuses(gateway: Gateway) -> bool:
    """No new connection is taken."""
    try:
        with socket.create_connection(gateway.address, timeout=1):
            return False
    except ConnectionRefusedError:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_finishes_what_runs_and_takes_nothing_new(
    settings: dict[str, str], user: str, number: signal.Signals
) -> None:
    with running_gateway(**settings) as gateway:
        body = question("[[slow:20:0.1]]", user, stream=True)
        with connected(gateway) as connection:
            # readiness is asked for on the same connection, as no other one will be taken
            connection.sendall(head(len(body)) + body + head(None, line="GET /health/ready HTTP/1.1"))
            received = connection.recv(1)
            gateway.process.send_signal(number)
            eventually(lambda: refuses(gateway))
            assert gateway.process.poll() is None
            received += rest(connection)
        stream, _, after = received.partition(b"data: [DONE]\n\n")
        assert b"tick19" in stream
        assert b"HTTP/1.1 503" in after
        assert b'{"status":"draining"}' in after
        assert gateway.process.wait(10) == 0


@pytest.mark.parametrize("stream", [True, False])
def test_what_runs_too_long_is_cut_off_with_an_error_and_stopped_in_dify(
    settings: dict[str, str], dify: Simulator, user: str, stream: bool
) -> None:
    with running_gateway(SHUTDOWN_SECONDS="1", **settings) as gateway:
        body = question("[[slow:600:0.1]]", user, stream=stream)
        with connected(gateway, 10) as connection:
            connection.sendall(head(len(body)) + body)
            eventually(lambda: dify.counts().running == 1)
            time.sleep(0.2)
            gateway.process.terminate()
            reply = rest(connection)
        assert b"shutting_down" in reply
        assert status(reply) == (200 if stream else 503)
        assert (b"data: [DONE]" in reply) is stream
        assert gateway.process.wait(15) == 0
        eventually(lambda: dify.counts().running == 0)
        assert gateway.requests()[-1]["error"] == "shutting_down"


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_of_a_supervisor_beside_that_of_a_terminal_cuts_nothing_off(
    settings: dict[str, str], dify: Simulator, user: str, first: signal.Signals
) -> None:
    with running_gateway(SHUTDOWN_SECONDS="20", **settings) as gateway:
        body = question("[[slow:10:0.1]]", user, stream=True)
        with connected(gateway, 10) as connection:
            connection.sendall(head(len(body)) + body)
            eventually(lambda: dify.counts().running == 1)
            gateway.process.send_signal(first)
            time.sleep(0.1)
            gateway.process.send_signal(signal.SIGTERM)
            reply = rest(connection)
        assert b"shutting_down" not in reply
        assert b"data: [DONE]" in reply
        assert gateway.process.wait(15) == 0


def test_a_second_interrupt_ends_answers_at_once_and_stops_them_in_dify(
    settings: dict[str, str], dify: Simulator, user: str
) -> None:
    with running_gateway(SHUTDOWN_SECONDS="60", **settings) as gateway:
        body = question("[[slow:600:0.1]]", user, stream=True)
        with connected(gateway, 10) as connection:
            connection.sendall(head(len(body)) + body)
            eventually(lambda: dify.counts().running == 1)
            time.sleep(0.2)
            for _ in range(2):
                gateway.process.send_signal(signal.SIGINT)
                time.sleep(0.1)
            assert b"shutting_down" in rest(connection)
        assert gateway.process.wait(15) == 0
        eventually(lambda: dify.counts().running == 0)


def test_an_idle_gateway_ends_at_once(settings: dict[str, str]) -> None:
    with running_gateway(**settings) as gateway, connected(gateway) as connection:
        connection.sendall(head(None, line="GET /health/live HTTP/1.1"))
        while not (reply := connection.recv(1000)).endswith(b"}"):
            assert reply
        gateway.process.terminate()
        assert gateway.process.wait(5) == 0
        assert rest(connection) == b""


def started_at(port: int, directory: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A gateway that can't start at this port, at its end."""
    environment = {"PATH": os.environ["PATH"], "DIFY_API_KEYS": "app-x", "SERVER_PORT": str(port)}
    return subprocess.run(
        [sys.executable, "-m", "opendify.cli", "serve"],
        cwd=directory,
        env=environment | settings,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_port_that_is_taken_is_told_in_one_sentence(gateway: Gateway, tmp_path: Path) -> None:
    port = gateway.address[1]
    ended = started_at(port, tmp_path)
    assert ended.returncode == 2
    assert f"127.0.0.1:{port}" in ended.stderr
    assert "SERVER_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


# ── Several workers ──────────────────────────────────────────────────────────────────────────────────


def children(gateway: Gateway) -> set[int]:
    """The processes that a gateway has started (where Linux tells them) that serve requests."""
    started = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split()
    commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in started}
    return {pid for pid, command in commands.items() if "spawn_main" in command}


def asked_anew(gateway: Gateway, turns: list[dict[str, Any]], user: str) -> dict[str, Any]:
    """A plain answer over a new connection, which any worker may take."""
    body = {"model": CHAT, "messages": turns, "user": user}
    headers = {"Authorization": f"Bearer {ADA}"}
    reply = http("POST", f"{gateway.base_url}/chat/completions", json=body, headers=headers)
    assert reply.status_code == 200
    return dict(reply.json())


def sockets(pid: int) -> int:
    """How many a process holds (where Linux tells)."""
    count = 0
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            count += os.readlink(file).startswith("socket:")
    return count


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the workers share a socket")
def test_connections_of_one_moment_are_shared_out_among_workers(settings: dict[str, str]) -> None:
    with running_gateway(WORKERS="2", **settings) as gateway, ExitStack() as stack:
        eventually(lambda: len([line for line in gateway.lines if line["event"] == "ready"]) == 2, 15)
        workers = children(gateway)
        before = {worker: sockets(worker) for worker in workers}
        for _ in range(64):
            stack.enter_context(connected(gateway))

        def taken() -> list[int]:
            return [sockets(worker) - before[worker] for worker in workers]

        eventually(lambda: sum(taken()) >= 56)  # idle ones to Dify may have been closed meanwhile
        assert min(taken()) >= 8


def test_several_workers_share_no_port_with_another_gateway(settings: dict[str, str], tmp_path: Path) -> None:
    with running_gateway(WORKERS="2", **settings) as first:
        ended = started_at(first.address[1], tmp_path, WORKERS="2")
        assert ended.returncode == 2
        assert f"127.0.0.1:{first.address[1]}" in ended.stderr


def test_several_workers_told_to_end_take_nothing_new(settings: dict[str, str], user: str) -> None:
    with running_gateway(WORKERS="2", **settings) as gateway:
        body = question("[[slow:10:0.2]]", user, stream=True)
        with connected(gateway) as connection:
            connection.sendall(head(len(body), CLOSE) + body)
            received = connection.recv(1)
            gateway.process.terminate()
            eventually(lambda: refuses(gateway))
            assert gateway.process.poll() is None
            received += rest(connection)
        assert b"tick9" in received
        assert gateway.process.wait(10) == 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are listed by Linux alone")
def test_several_workers_share_conversations_and_end_together(settings: dict[str, str], user: str) -> None:
    with running_gateway(WORKERS="2", **settings) as gateway:
        eventually(lambda: len([line for line in gateway.lines if line["event"] == "ready"]) == 2, 15)
        workers = children(gateway)
        assert len(workers) == 2
        turns: list[dict[str, Any]] = [{"role": "user", "content": "[[reply:Hello]]"}]
        conversations = set()
        for _ in range(12):
            answer = asked_anew(gateway, turns, user)
            conversations.add(answer["dify"]["conversation_id"])
            turns += [answer["choices"][0]["message"], {"role": "user", "content": "Go on"}]
        assert len(conversations) == 1
        os.kill(min(workers), signal.SIGKILL)
        eventually(lambda: len(children(gateway) - workers) == 1, 15)
        eventually(lambda: len([line for line in gateway.lines if line["event"] == "ready"]) == 3, 15)
        assert asked_anew(gateway, turns, user)["choices"]
        gateway.process.terminate()
        assert gateway.process.wait(15) == 0
        assert refuses(gateway)
