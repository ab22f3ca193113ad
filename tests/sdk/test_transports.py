"""What holds over the wire, for each way to call: sync and async over httpx2, async over httptools."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from opendify import (
    APIConnectionError,
    APITimeoutError,
    AsyncDify,
    AsyncHttpxTransport,
    AsyncTransport,
    AuthenticationError,
    BadRequestError,
    Dify,
    DifyError,
    HttpxTransport,
    NotFoundError,
    RateLimitError,
    ResponseError,
    ServerError,
    Timeout,
    TruncatedStreamError,
)
from opendify.httptools import HttptoolsTransport

from .conftest import Connect
from .wire_server import Close, Pause, Reset, WaitForClient, WireServer, answer, event, events, recording

INFO = b'{"name":"App","description":"","tags":[],"mode":"chat","author_name":"Ada"}'
HELLO_EVENT = event(event="message", answer="Hello")
HELLO = events(HELLO_EVENT, event(event="message_end"))


async def test_a_call_carries_the_key_the_agent_and_the_headers_of_the_client(
    connect: Connect,
) -> None:
    with WireServer(answer(INFO)) as server:
        dify = connect(server, headers={"X-Tenant": "7"})
        assert (await dify.app.info()).name == "App"
    [request] = server.requests
    assert (request.method, request.path) == ("GET", "/v1/info")
    assert request.headers["authorization"] == "Bearer app-secret-key"
    assert request.headers["user-agent"].startswith("opendify/")
    assert request.headers["x-tenant"] == "7"
    assert "cookie" not in request.headers


async def test_a_stream_is_asked_for_uncompressed(connect: Connect) -> None:
    with WireServer(HELLO) as server:
        assert (await connect(server).chat.send(query="Hi")).answer == "Hello"
    [request] = server.requests
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == str(len(request.body))


@pytest.mark.parametrize(
    "fault",
    [
        [*events(HELLO_EVENT, end=False), b"no chunk\r\n", WaitForClient()],
        [*events(HELLO_EVENT, end=False), b"5\r\nlonger than that\r\n", WaitForClient()],
        [*events(HELLO_EVENT, Pause(0.2), end=False), b"no chunk\r\n", WaitForClient()],
        events(b"\x1f\x8b\x08\x00no gzip" * 10, WaitForClient(), content_encoding="gzip"),
        events(gzip.compress(HELLO_EVENT * 99)[:-20], content_encoding="gzip"),
    ],
    ids=["no chunk", "a chunk too long", "no chunk later", "no gzip", "half a gzip"],
)
async def test_a_body_that_http_does_not_allow_is_an_error_and_leaves_nobody_waiting(
    connect: Connect, fault: Any
) -> None:
    with WireServer(fault) as server:
        dify = connect(server, timeout=Timeout(silence=20))
        # Which of the two depends on whether the fault came in one segment with the head.
        with pytest.raises((TruncatedStreamError, APIConnectionError)):
            await asyncio.wait_for(dify.chat.send(query="Hi"), 10)


async def test_a_compressed_answer_is_read_all_the_same(connect: Connect) -> None:
    stream = gzip.compress(event(event="message", answer="Hello") + event(event="message_end"))
    with WireServer(
        answer(gzip.compress(INFO), content_encoding="gzip"),
        events(stream[:20], Pause(0.05), stream[20:], content_encoding="gzip"),
    ) as server:
        dify = connect(server)
        assert (await dify.app.info()).name == "App"
        assert (await dify.chat.send(query="Hi")).answer == "Hello"


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("err-401-bad-key", 401, AuthenticationError),
        ("err-404-conversation-streaming", 404, NotFoundError),
        ("chat-form-missing-streaming", 400, BadRequestError),
        ("nginx-502", 502, ServerError),
    ],
)
async def test_a_refusal_is_an_error_on_entering_not_a_broken_stream(
    connect: Connect, name: str, status: int, kind: type[DifyError]
) -> None:
    with WireServer(answer(recording(name), status=status)) as server:
        dify = connect(server)
        with pytest.raises(kind):
            async with dify.chat.stream(query="Hi"):
                pytest.fail("entered")
        with pytest.raises(kind):
            await dify.chat.send(query="Hi")
        with pytest.raises(kind):
            await dify.files.upload(b"x")
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "refused",
    [
        answer(recording("err-429-app-limit-streaming"), status=400),
        answer(b'{"code":"too_many_requests","message":"","status":429}', status=429),
        answer(b"<html>slow down</html>", status=429, retry_after="0.1"),
    ],
    ids=["400 of Dify 1.12.1", "429", "429 of a proxy"],
)
async def test_too_many_requests_is_tried_again_in_all_its_forms(connect: Connect, refused: Any) -> None:
    with WireServer(refused, HELLO) as server:
        assert (await connect(server).chat.send(query="Hi")).answer == "Hello"
    assert len(server.requests) == 2
    assert server.requests[0].body == server.requests[1].body

    with WireServer(refused) as server:
        with pytest.raises(RateLimitError):
            await connect(server, max_retries=1).chat.send(query="Hi")
        with pytest.raises(RateLimitError):
            await connect(server, max_retries=0).chat.send(query="Hi")
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "fault",
    [
        [Close()],
        [Reset()],
        [b"HTTP/1.1 200 OK\r\nContent-", Close()],
        answer(b"{}", status=500),
        answer(b"", status=504),
    ],
    ids=["closed", "reset", "half a head", "500", "504"],
)
async def test_a_generation_is_never_sent_twice_and_a_question_is(connect: Connect, fault: Any) -> None:
    with WireServer(fault, answer(INFO)) as server:
        with pytest.raises((APIConnectionError, ServerError)) as caught:
            await connect(server).chat.send(query="Hi")
        assert len(server.requests) == 1
        if isinstance(caught.value, APIConnectionError):
            assert caught.value.sent
            assert caught.value.url == f"{server.url}/v1/chat-messages"
    with WireServer(fault, answer(INFO)) as server:
        assert (await connect(server).app.info()).name == "App"
    assert len(server.requests) == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_what_changes_something_is_sent_again_only_if_it_was_refused_unread(
    connect: Connect, method: str
) -> None:
    limited = answer(b'{"code":"too_many_requests"}', status=429)
    for fault, times in (([Close()], 1), (answer(b"", status=503, retry_after="0"), 1), (limited, 2)):
        with WireServer(fault, answer(b"{}")) as server:
            try:
                await connect(server).request(method, "/anything", json={"a": 1})
            except DifyError:
                assert times == 1
        assert len(server.requests) == times


async def test_a_server_that_names_the_time_to_come_again_is_obeyed(connect: Connect) -> None:
    limited = answer(b"", status=429, retry_after="0.4")
    with WireServer(limited, answer(INFO)) as server:
        begun = time.monotonic()
        await connect(server).app.info()
        assert time.monotonic() - begun >= 0.4
    for status in (429, 503):
        with WireServer(answer(b"", status=status, retry_after="3600"), answer(INFO)) as server:
            with pytest.raises((RateLimitError, ServerError)) as caught:
                await connect(server).app.info()
            assert caught.value.retry_after == 3600
        assert len(server.requests) == 1


async def test_a_question_whose_answer_breaks_off_is_asked_again(connect: Connect) -> None:
    [whole] = answer(INFO)
    assert isinstance(whole, bytes)
    with WireServer([whole[:-9], Close()], answer(INFO)) as server:
        assert (await connect(server).app.info()).name == "App"
    assert len(server.requests) == 2


@contextlib.contextmanager
def nobody_listens() -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


async def test_a_refused_connection_is_told_as_not_sent_with_address_and_advice(connect: Connect) -> None:
    with nobody_listens() as url:
        with pytest.raises(APIConnectionError, match="address right") as caught:
            await connect(url, max_retries=0).chat.send(query="Hi")
        assert not caught.value.sent
        assert caught.value.url == f"{url}/v1/chat-messages"
        assert not isinstance(caught.value, APITimeoutError)


async def test_a_connection_that_failed_before_anything_was_sent_is_tried_again(connect: Connect) -> None:
    """The port is free for the first try, and taken by a server before the second."""
    with nobody_listens() as url:
        port = int(url.rpartition(":")[2])
        trying = asyncio.create_task(connect(url, max_retries=2).app.info())
        await asyncio.sleep(0.1)
    server = WireServer(answer(INFO))
    server.listen(port)
    with server:
        assert (await trying).name == "App"


async def test_a_name_that_nobody_has_is_told_as_not_sent(connect: Connect) -> None:
    with pytest.raises(APIConnectionError) as caught:
        await connect("http://no-such-host.invalid", max_retries=0).app.info()
    assert not caught.value.sent


async def test_a_server_that_speaks_no_tls_is_told_as_not_sent(connect: Connect) -> None:
    with WireServer([b"HTTP/1.1 400 Bad\r\n\r\n", Close()]) as server:
        with pytest.raises(APIConnectionError) as caught:
            await connect(server.url.replace("http:", "https:"), max_retries=0).app.info()
        assert not caught.value.sent


async def test_a_server_that_does_not_take_the_connection_times_out_as_connect(connect: Connect) -> None:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # more than the queue holds, so that the next one waits
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        with pytest.raises(APITimeoutError, match=r"within 0\.3 s") as caught:
            await connect(url, max_retries=0, timeout=Timeout(connect=0.3)).chat.send(query="Hi")
    assert caught.value.phase == "connect"
    assert not caught.value.sent


async def test_silence_before_an_answer_and_within_it_times_out_and_is_not_tried_again(
    connect: Connect,
) -> None:
    for said in ([WaitForClient()], events(event(event="message", answer="Hel"), WaitForClient())):
        with WireServer(said) as server:
            dify = connect(server, timeout=Timeout(silence=0.3))
            with pytest.raises(APITimeoutError, match=r"nothing for 0\.3 s") as caught:
                await dify.chat.send(query="Hi")
            assert caught.value.phase == "silence"
            assert caught.value.sent
            assert await server.client_closed()
        assert len(server.requests) == 1
    with WireServer([WaitForClient()]) as server, pytest.raises(APITimeoutError):
        await connect(server, timeout=Timeout(silence=0.3)).app.info()
    assert len(server.requests) == 1


async def test_a_stream_that_lives_by_pings_never_times_out(connect: Connect) -> None:
    ping = b"event: ping\n\n"
    lives = events(
        *[Pause(0.3), ping] * 5, event(event="message", answer="Hello"), event(event="message_end")
    )
    with WireServer(lives) as server:
        reply = await connect(server, timeout=Timeout(silence=1.2)).chat.send(query="Hi")
    assert reply.answer == "Hello"


async def test_a_connection_is_used_again(connect: Connect) -> None:
    with WireServer(answer(INFO), HELLO, HELLO, answer(b"{}", status=404), answer(INFO)) as server:
        dify = connect(server, idle_seconds=30)
        await dify.app.info()
        await dify.chat.send(query="Hi")
        async with dify.chat.stream(query="Hi") as stream:
            async for _ in stream:
                pass
        with pytest.raises(NotFoundError):
            await dify.app.site()
        await dify.app.info()
    assert len(server.requests) == 5
    assert server.connections == 1


async def test_a_connection_that_idled_too_long_is_not_used_again(connect: Connect) -> None:
    with WireServer(answer(INFO)) as server:
        dify = connect(server, idle_seconds=0.2)
        await dify.app.info()
        await asyncio.sleep(0.5)
        await dify.app.info()
    assert server.connections == 2


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again(connect: Connect) -> None:
    with WireServer([*answer(INFO), Close()], HELLO) as server:
        dify = connect(server, idle_seconds=30, max_retries=0)
        await dify.app.info()
        await asyncio.sleep(0.2)
        assert (await dify.chat.send(query="Hi")).answer == "Hello"
    assert server.connections == 2


async def test_leaving_a_stream_early_closes_its_connection(connect: Connect) -> None:
    with WireServer(events(event(event="message", answer="Hello"), WaitForClient())) as server:
        async with connect(server).chat.stream(query="Hi") as stream:
            async for _ in stream:
                break
        assert await server.client_closed()


async def test_many_streams_run_at_once_without_waiting_for_each_other(transport: AsyncTransport) -> None:
    many = 150  # httpx2 would queue beyond 100 by itself
    with WireServer(events(event(event="message", answer="Hello"), Pause(30), end=False)) as server:
        dify = AsyncDify("app-x", base_url=server.url, user="ada", transport=transport, max_retries=0)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(many):
                stream = await stack.enter_async_context(dify.chat.stream(query="Hi"))
                assert (await anext(stream)).text == "Hello"
            assert server.connections == many


def test_a_client_may_be_shared_by_threads() -> None:
    with (
        WireServer(HELLO) as server,
        HttpxTransport(trust_env=False) as transport,
        ThreadPoolExecutor(8) as threads,
    ):
        dify = Dify("app-x", base_url=server.url, user="ada", transport=transport)
        replies = threads.map(lambda n: dify.chat.send(query=str(n)).answer, range(80))
        assert list(replies) == ["Hello"] * 80
    assert len(server.requests) == 80


@pytest.mark.parametrize("kind", [AsyncHttpxTransport, HttptoolsTransport])
def test_a_client_that_is_used_in_a_second_event_loop_says_so(kind: Any) -> None:
    async def ask(dify: AsyncDify) -> str:
        return (await dify.app.info()).name

    with WireServer(answer(b'{"name":"App","mode":"chat"}', connection="close")) as server:
        transport = kind()
        dify = AsyncDify("app-x", base_url=server.url, transport=transport)
        assert asyncio.run(ask(dify)) == "App"
        with pytest.raises(RuntimeError, match="belong to another event loop: make a client in each"):
            asyncio.run(ask(dify))
        asyncio.run(transport.aclose())
    assert len(server.requests) == 1


def test_a_client_belongs_to_one_event_loop_even_if_the_first_is_only_at_rest() -> None:
    async def ask(dify: AsyncDify) -> str:
        return (await dify.app.info()).name

    transport = HttptoolsTransport()
    with (
        WireServer(answer(INFO)) as server,
        contextlib.closing(asyncio.new_event_loop()) as first,
        contextlib.closing(asyncio.new_event_loop()) as second,
    ):
        dify = AsyncDify("app-x", base_url=server.url, transport=transport)
        assert first.run_until_complete(ask(dify)) == "App"
        with pytest.raises(RuntimeError, match="belong to another event loop: make a client in each"):
            second.run_until_complete(ask(dify))
        assert first.run_until_complete(ask(dify)) == "App"
        first.run_until_complete(transport.aclose())
    assert server.connections == 1


async def test_a_call_after_its_transport_was_closed_says_so_and_opens_nothing(
    transport: AsyncTransport,
) -> None:
    with WireServer(answer(INFO)) as server:
        dify = AsyncDify("app-x", base_url=server.url, user="ada", transport=transport)
        assert (await dify.app.info()).name == "App"
        await transport.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await dify.app.info()
        with pytest.raises(RuntimeError, match="closed"):
            async with dify.chat.stream(query="Hi"):
                pytest.fail("entered")
    assert server.connections == 1


def test_a_call_after_its_client_was_closed_says_so() -> None:
    with WireServer(answer(INFO)) as server:
        with Dify("app-x", base_url=server.url) as dify:
            assert dify.app.info().name == "App"
        with pytest.raises(RuntimeError, match="closed"):
            dify.app.info()
    assert server.connections == 1


async def test_segments_are_not_held_back(connect: Connect) -> None:
    with WireServer(events(event(event="message", answer="Hello"), WaitForClient())) as server:
        async with connect(server).chat.stream(query="Hi") as stream:
            assert socket_of(stream.response).getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def socket_of(response: Any) -> Any:
    """The socket of an answer, wherever its library keeps it."""
    if hasattr(response, "_connection"):
        return response._connection.transport.get_extra_info("socket")
    return response._response.extensions["network_stream"].get_extra_info("socket")


async def test_an_answer_that_is_no_stream_of_events_is_an_error(connect: Connect) -> None:
    page = b"<html><title>Welcome to nginx!</title></html>"
    for content_type in ("text/html", "application/json"):
        with (
            WireServer(answer(page, content_type=content_type)) as server,
            pytest.raises(ResponseError, match=content_type),
        ):
            await connect(server).chat.send(query="Hi")


async def test_a_stream_without_a_content_type_is_read(connect: Connect) -> None:
    body = event(event="message", answer="Hello") + event(event="message_end")
    with WireServer(answer(body, content_type=None)) as server:
        assert (await connect(server).chat.send(query="Hi")).answer == "Hello"


async def test_a_web_page_in_place_of_an_answer_is_an_error(connect: Connect) -> None:
    with (
        WireServer(answer(b"<html>secret</html>", content_type="text/html")) as server,
        pytest.raises(ResponseError, match="not AppInfo") as caught,
    ):
        await connect(server).app.info()
    assert "secret" not in str(caught.value)


async def test_a_redirect_is_not_followed_because_the_key_would_go_along(connect: Connect) -> None:
    with (
        WireServer(answer(b"", status=301, location="https://elsewhere.example.com/v1/info")) as server,
        pytest.raises(DifyError, match=r"redirects to https://elsewhere.*base_url"),
    ):
        await connect(server).app.info()
    assert len(server.requests) == 1


async def test_cookies_of_one_answer_do_not_go_with_another_request(connect: Connect) -> None:
    with WireServer(answer(INFO, set_cookie="session=of-somebody; Path=/")) as server:
        dify = connect(server)
        await dify.app.info()
        await dify.app.info()
    assert ["cookie" in request.headers for request in server.requests] == [False, False]


async def test_options_make_another_client_over_the_same_connections(connect: Connect) -> None:
    with WireServer(answer(INFO)) as server:
        dify = connect(server, idle_seconds=30)
        other = dify.with_options(api_key=" app-other-key\n", user="bob", headers={"X-Tenant": "8"})
        await dify.app.info()
        await other.app.info()
        await other.aclose()
        await dify.app.info()
    assert [r.headers["authorization"] for r in server.requests] == [
        "Bearer app-secret-key", "Bearer app-other-key", "Bearer app-secret-key",
    ]  # fmt: skip
    assert server.connections == 1


async def test_any_path_of_the_api_can_be_asked(connect: Connect) -> None:
    with WireServer(answer(b'{"data":[]}'), answer(b"204"), answer(b'{"code":"x"}', status=404)) as server:
        dify = connect(server)
        reply = await dify.request("get", "/workflows/logs", query={"limit": 5, "keyword": "a b"})
        assert reply.json() == {"data": []}
        deleted = await dify.request("DELETE", "/conversations/c", json={"user": "ada"})
        assert (deleted.status, deleted.body) == (200, b"204")
        with pytest.raises(NotFoundError):
            await dify.request("GET", "/nonsense")
        with pytest.raises(ValueError, match="begin with a slash"):
            await dify.request("GET", "nonsense")
    assert server.requests[0].path == "/v1/workflows/logs?limit=5&keyword=a%20b"
    assert (server.requests[1].method, server.requests[1].body) == ("DELETE", b'{"user":"ada"}')
    assert server.requests[1].headers["content-type"] == "application/json"


async def test_no_error_log_line_or_repr_holds_the_key_or_what_was_asked(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    faults: list[Any] = [
        answer(b'{"code":"unauthorized","message":"Access token is invalid"}', status=401),
        [Close()],
        [Reset()],
        [b"nonsense with private parts\r\n\r\n", Close()],
        [*events(HELLO_EVENT, end=False), b"private, and no chunk\r\n", WaitForClient()],
        events(b"data: {broken private answer\n\n"),
        events(event(event="message", answer="private answer"), end=False),
        events(event(event="message", answer="private answer", created_at="not a number"), end=False),
    ]
    for fault in faults:
        with WireServer([*fault, Close()]) as server:
            dify = connect(server, max_retries=0)
            with pytest.raises(DifyError) as caught:
                await dify.chat.send(query="private question")
            error: BaseException | None = caught.value
            while error is not None:
                assert "secret-key" not in f"{error!r} {error} {vars(error)}"
                assert "private" not in f"{error!r} {error}"
                error = error.__cause__ or error.__context__
            assert "secret" not in repr(dify)
            assert "secret" not in repr(vars(dify))
    assert "secret-key" not in caplog.text
    # At DEBUG, httpx2's own log shows bytes that are no HTTP.
    assert not [r for r in caplog.records if r.levelno > logging.DEBUG and "private" in r.getMessage()]


async def test_a_text_larger_than_a_megabyte_is_sent_whole(connect: Connect) -> None:
    with WireServer(HELLO) as server:
        await connect(server).chat.send(query="ä" * 3_000_000)
    assert len(server.requests[0].body) > 6_000_000


async def test_a_client_without_a_user_asks_for_one_before_anything_is_sent(connect: Connect) -> None:
    with WireServer(HELLO) as server:
        dify = connect(server, user=None)
        for ask in (
            lambda: dify.chat.send(query="Hi"),
            lambda: dify.completion.send(inputs={}),
            lambda: dify.workflows.run(),
            lambda: dify.chat.stop("task"),
            lambda: dify.files.upload(b"x"),
        ):
            with pytest.raises(ValueError, match="pass user="):
                await ask()
    assert server.requests == []


def test_where_a_proxy_is_set_a_failure_to_connect_says_that_it_may_be_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with HttpxTransport(proxy="http://ada:secret@127.0.0.1:1") as transport:
        dify = Dify("app-key", base_url="http://dify.invalid", max_retries=0, transport=transport)
        with pytest.raises(APIConnectionError, match="proxy's: one is set") as caught:
            dify.app.info()
    assert "secret" not in str(caught.value)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    direct = Dify("app-key", base_url="http://127.0.0.1:1", max_retries=0)
    with direct, pytest.raises(APIConnectionError, match=r"address right\?$"):
        direct.app.info()
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    by_proxy = Dify("app-key", base_url="http://dify.invalid", max_retries=0)
    with by_proxy, pytest.raises(APIConnectionError, match="proxy's: one is set"):
        by_proxy.app.info()
