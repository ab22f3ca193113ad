"""The transport over httptools, in asyncio's own event loop and in uvloop: what it makes of connections."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from opendify import APIConnectionError, APITimeoutError, AsyncRequest, AsyncResponse, Timeout
from opendify.httptools import HttptoolsTransport

from .wire_server import Answer, Close, Pause, WaitForClient, WireServer, answer, events

TLS = Path(__file__).parents[1] / "gateway" / "tls"
MEGABYTE = 1024 * 1024


@pytest.fixture
async def transport() -> AsyncIterator[HttptoolsTransport]:
    async with HttptoolsTransport(idle_seconds=30) as transport:
        yield transport


def asked(
    url: str,
    content: bytes | AsyncIterator[bytes] | None = None,
    *,
    method: str = "GET",
    silence: float | None = 10,
) -> AsyncRequest:
    return AsyncRequest(method, url, {"accept": "*/*"}, content, Timeout(connect=10, silence=silence))


async def got(transport: HttptoolsTransport, request: AsyncRequest) -> bytes:
    """The whole body of an answer."""
    response = await transport.open(request)
    try:
        return await response.read()
    finally:
        await response.aclose()


async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> None:
    """Answer one request with that, and close the connection."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body))
    await writer.drain()


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[str]:
    """The address of a server that does that with each of its connections."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client went away
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


# Which connection a request goes by


@pytest.mark.parametrize(
    ("first", "connections"),
    [
        (answer(b"Hi"), 1),
        (events(b"Hi"), 1),
        ([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHi"], 1),
        ([b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nHi"], 1),
        ([b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nHi"], 2),
        (answer(b"Hi", connection="close"), 2),
        ([b"HTTP/1.1 200 OK\r\n\r\nH", Pause(0.05), b"i", Close()], 2),
        ([*answer(b"Hi"), Close()], 2),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHi, and more"], 2),
        ([*answer(b"Hi"), Pause(0.05), b"HTTP/1.1 408 Request Timeout\r\n\r\n"], 2),
    ],
    ids=["length", "chunks", "continue", "1.0 that keeps", "1.0", "close", "until closed", "closed",
         "more than asked", "more later"],
)  # fmt: skip
async def test_a_connection_is_used_again_only_if_the_answer_left_it_clean(
    transport: HttptoolsTransport, first: Answer, connections: int
) -> None:
    with WireServer(first, answer(b"again")) as server:
        assert await got(transport, asked(server.url)) == b"Hi"
        await asyncio.sleep(0.2)
        assert await got(transport, asked(server.url)) == b"again"
    assert server.connections == connections


async def test_a_connection_that_nobody_uses_is_closed_without_waiting_for_the_next_request() -> None:
    with WireServer([*answer(b"Hi"), WaitForClient()]) as server:
        async with HttptoolsTransport(idle_seconds=0.2) as transport:
            assert await got(transport, asked(server.url)) == b"Hi"
            assert await server.client_closed()


async def test_closing_ends_what_is_under_way_and_says_so(transport: HttptoolsTransport) -> None:
    with WireServer(events(b"Hi", WaitForClient())) as server:
        response = await transport.open(asked(server.url))
        assert await response.chunk() == b"Hi"
        waiting = asyncio.create_task(response.chunk())
        await asyncio.sleep(0.05)
        await transport.aclose()
        with pytest.raises(APIConnectionError, match="it was closed on this side"):
            await waiting
        assert await server.client_closed()
        assert not response.ended


async def test_closing_while_a_connection_is_made_leaves_none_open() -> None:
    gone = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        try:
            assert await reader.read() == b""
        finally:
            gone.set()

    async with serving(listen) as url:
        async with HttptoolsTransport() as transport:
            opening = asyncio.create_task(transport.open(asked(url)))
            await asyncio.sleep(0)  # in which it begins
        with pytest.raises(RuntimeError, match="was closed, and opens no connections any more"):
            await opening
        await asyncio.wait_for(gone.wait(), 10)


async def test_answers_never_get_mixed_up_though_calls_are_cancelled_at_any_moment(
    transport: HttptoolsTransport,
) -> None:
    """A cancelled call must not close, or read from, the connection that the next one has by then."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (length, body[:3]))
            if random.random() < 0.5:
                await asyncio.sleep(0)
            writer.write(body[3:])

    async def call(number: int) -> bool:
        content = b"%06d" % number
        calling = asyncio.create_task(got(transport, asked(url, content, method="POST")))
        for _ in range(random.randrange(12)):
            await asyncio.sleep(0)
        if random.random() < 0.5:
            calling.cancel()
        await asyncio.wait([calling])
        if calling.cancelled():
            return False
        assert calling.result() == content
        return True

    async def caller(first: int) -> int:
        return sum([await call(number) for number in range(first, first + 100)])

    async with serving(echo) as url:
        answered = await asyncio.gather(*(caller(100 * one) for one in range(8)))
        assert 0 < sum(answered) < 800
        assert await got(transport, asked(url, b"123456", method="POST")) == b"123456"


# What goes out


async def test_a_url_is_sent_as_it_is_and_made_fit_for_a_request_where_it_is_not(
    transport: HttptoolsTransport,
) -> None:
    with WireServer(answer(b"Hi")) as server:
        for way in ("/a%20b/%C3%A4?c=d%26e", "/a b/ä?c=d\r\nX: 1#private", "?a=b", "", "/#private"):
            await got(transport, asked(server.url + way))
        await got(transport, asked(server.url.replace("http", "HTTP") + "/a"))
    assert [request.path for request in server.requests] == [
        "/a%20b/%C3%A4?c=d%26e", "/a%20b/%C3%A4?c=d%0D%0AX:%201", "/?a=b", "/", "/", "/a",
    ]  # fmt: skip
    for request in server.requests:
        assert request.headers == {
            "host": server.url.removeprefix("http://"),
            "accept-encoding": "identity",
            "accept": "*/*",
        }


async def test_ipv6_has_its_brackets_in_the_name_of_the_host_alone(transport: HttptoolsTransport) -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("there is no IPv6 on this machine")
    said: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 \r\n\r\n")
        writer.close()

    port = listener.getsockname()[1]
    async with await asyncio.start_server(talk, sock=listener):
        assert await got(transport, asked(f"http://[::1]:{port}/a")) == b""
    assert b"\r\nhost: [::1]:%d\r\n" % port in said[0]


class Names:
    """Looks up the addresses of one name, and counts how often it was asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked = 0
        self._look_up = asyncio.get_running_loop().getaddrinfo

    async def getaddrinfo(self, host: str, port: int, **more: Any) -> object:
        if host != "dify.test":
            return await self._look_up(host, port, **more)
        self.asked += 1
        await asyncio.sleep(0)
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in self.addresses
        ]


async def test_where_one_address_of_a_name_can_not_be_reached_another_one_is_taken(
    transport: HttptoolsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(lambda reader, writer: say(reader, writer, b"Hello")) as url:
        names = Names("::1", "127.0.0.2", "127.0.0.1")
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names.getaddrinfo)
        named = url.replace("127.0.0.1", "dify.test")
        assert await got(transport, asked(named)) == b"Hello"


async def test_many_who_ask_at_once_have_a_name_looked_up_once(
    transport: HttptoolsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names("127.0.0.1")
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names.getaddrinfo)
    async with serving(lambda reader, writer: say(reader, writer, b"Hello")) as url:
        named = url.replace("127.0.0.1", "dify.test")
        answers = await asyncio.gather(*(got(transport, asked(named)) for _ in range(20)))
    assert answers == [b"Hello"] * 20
    assert names.asked == 1


async def test_a_name_is_looked_up_once_in_a_while_and_again_when_nothing_answers(
    transport: HttptoolsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names("127.0.0.1")
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names.getaddrinfo)
    async with serving(lambda reader, writer: say(reader, writer, b"Hello")) as url:
        named = url.replace("127.0.0.1", "dify.test")
        for _ in range(3):
            assert await got(transport, asked(named)) == b"Hello"
    assert names.asked == 1
    for _ in range(2):
        with pytest.raises(APIConnectionError):
            await got(transport, asked(named))
    assert names.asked == 2


@pytest.mark.parametrize(
    "url",
    ["ftp://dify.test/a", "http:///a", "http://:80/a", "http://ada:private@dify.test/a", "http://dify.test:99999/a",
     f"http://{'a' * 70}.test/a", f"http://{'ä' * 70}.test/a", "http://[::1/a"],
)  # fmt: skip
async def test_what_is_no_address_is_told_as_not_sent(transport: HttptoolsTransport, url: str) -> None:
    with pytest.raises(APIConnectionError, match=r"^No connection to .+: .+ address right\?$") as caught:
        await transport.open(asked(url))
    assert not caught.value.sent


async def test_an_upload_goes_on_though_the_head_of_its_answer_is_there_but_not_after_a_refusal(
    transport: HttptoolsTransport,
) -> None:
    size, taken = 20 * MEGABYTE, 0

    async def content() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(MEGABYTE)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %b OK\r\nConnection: close\r\n" % head.split()[1][1:])
        writer.write(b"Content-Length: 2\r\n\r\n")
        if b"413" in head:
            writer.write(b"No")  # and nothing of the body is read
            await reader.read(1)
            return
        while taken < size:
            taken += len(await reader.read(MEGABYTE))
            assert taken
        writer.write(b"Hi")

    async with serving(talk) as url:
        whole = AsyncRequest("POST", f"{url}/200", {"content-length": str(size)}, content(), Timeout())
        assert await got(transport, whole) == b"Hi"
        assert taken == size
        response = await transport.open(asked(f"{url}/413", content(), method="POST"))
        assert response.status == 413
        assert await response.read() == b"No"


# What comes in


async def test_a_slow_reader_slows_the_server_down_and_is_no_silence(transport: HttptoolsTransport) -> None:
    size, given = 64 * MEGABYTE, 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal given
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while given < size:
            writer.write(bytes(MEGABYTE))
            given += MEGABYTE
            await writer.drain()

    async with serving(talk) as url:
        response = await transport.open(asked(url, silence=0.5))
        taken = len(await response.chunk())
        await asyncio.sleep(1)
        assert given < size / 2  # what the system's own buffers take
        while chunk := await response.chunk():
            assert len(chunk) < MEGABYTE
            taken += len(chunk)
        assert taken == size
        assert response.ended


async def test_time_in_which_nobody_reads_is_no_silence(transport: HttptoolsTransport) -> None:
    with WireServer(events(b"1", Pause(1), b"2")) as server:
        response = await transport.open(asked(server.url, silence=0.5))
        assert await response.chunk() == b"1"
        await asyncio.sleep(0.8)
        assert await response.chunk() == b"2"
        await response.aclose()


async def test_what_came_in_between_is_one_chunk(transport: HttptoolsTransport) -> None:
    with WireServer(events(b"1", b"2", Pause(0.1), b"3", b"4", Pause(0.1), b"5")) as server:
        response = await transport.open(asked(server.url))
        await asyncio.sleep(0.5)
        assert not response.ended
        assert await response.chunk() == b"12345"
        assert response.ended
        assert await response.chunk() == b""
        await response.aclose()


async def test_each_request_has_the_silence_that_it_asks_for(transport: HttptoolsTransport) -> None:
    """Though they come one after the other on the same connection, whose timer is set once."""
    late = [Pause(0.4), *answer(b"Hi")]
    with WireServer(answer(b"Hi"), late, late, late, [WaitForClient()]) as server:
        for silence in (100, 100, None, 2):
            assert await got(transport, asked(server.url, silence=silence)) == b"Hi"
        with pytest.raises(APITimeoutError, match=r"nothing for 0\.3 s"):
            await got(transport, asked(server.url, silence=0.3))
        assert await server.client_closed()
    assert server.connections == 1


@pytest.mark.parametrize("silence", [0.5, None])
async def test_silence_counts_from_the_last_byte(
    transport: HttptoolsTransport, silence: float | None
) -> None:
    with WireServer(events(b"1", *[Pause(0.3), b"2"] * 3)) as server:
        assert await got(transport, asked(server.url, silence=silence)) == b"1222"


@pytest.mark.parametrize(
    "chunked", [b"", b"transfer-encoding: chunked\r\n\r\n0\r\n"], ids=["head", "trailer"]
)
async def test_headers_without_end_are_not_read_for_ever(
    transport: HttptoolsTransport, chunked: bytes
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + chunked)
        while True:
            writer.write(b"X-More: %b\r\n" % (b"private" * 1000))
            await writer.drain()

    async with serving(talk) as url:
        with pytest.raises(APIConnectionError, match="the head of its answer has no end"):
            await got(transport, asked(url))


async def test_an_answer_to_head_has_no_body(transport: HttptoolsTransport) -> None:
    with WireServer([b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"], answer(b"Hi")) as server:
        response = await transport.open(asked(server.url, method="HEAD"))
        assert response.headers["Content-Length"] == "900"
        assert await response.read() == b""
        assert await got(transport, asked(server.url)) == b"Hi"


async def test_a_way_to_compress_that_nobody_asked_for_is_an_error_that_names_it(
    transport: HttptoolsTransport,
) -> None:
    with WireServer(answer(b"Hi", content_encoding="br"), answer(b"", content_encoding="br")) as server:
        with pytest.raises(APIConnectionError, match="compressed as 'br', which nobody asked for"):
            await got(transport, asked(server.url))
        response: AsyncResponse = await transport.open(asked(server.url))
        assert await response.read() == b""  # that is empty, however it is compressed
        assert response.ended


async def test_over_tls_much_goes_both_ways_and_certificates_are_checked_unless_told_otherwise() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sorted(TLS.glob("*.pem"))[0])
    much = bytes(range(256)) * 20_000
    with WireServer(answer(much), tls=context) as server:
        async with HttptoolsTransport(verify=False) as transport:
            for _ in range(2):
                response = await transport.open(asked(server.url, much, method="POST"))
                await asyncio.sleep(0.2)  # in which more comes than is let in
                assert await response.read() == much
        assert [request.body == much for request in server.requests] == [True, True]
        assert server.connections == 1
        async with HttptoolsTransport() as transport:
            with pytest.raises(APIConnectionError, match="certificate verify failed") as caught:
                await transport.open(asked(server.url))
        assert not caught.value.sent
