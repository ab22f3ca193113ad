"""What a client can be told, and how it gets to Dify then."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from opendify import (
    APIConnectionError,
    APITimeoutError,
    AsyncDify,
    AsyncHttpxTransport,
    AsyncKnowledge,
    Dify,
    HttpxTransport,
    Knowledge,
    NotFoundError,
    RequestInfo,
    ResponseInfo,
    Timeout,
)
from opendify.httptools import HttptoolsTransport

from .conftest import Connect
from .wire_server import WaitForClient, WireServer, answer, event, events

INFO = answer(b'{"name":"App","mode":"chat"}')
HELLO = events(event(event="message", answer="Hello"), event(event="message_end"))
HANGING = events(event(event="message", answer="Hello"), WaitForClient())


# Options of one client, and of copies of it


async def test_a_copy_serves_another_app_and_user_over_the_same_connection(connect: Connect) -> None:
    with WireServer(INFO, INFO, HELLO) as server:
        dify = connect(server, idle_seconds=30, headers={"X-Tenant": "7", "X-Kept": "k"})
        await dify.app.info()
        other = dify.with_options(api_key="app-other", user="bob", headers={"x-tenant": "8"})
        await other.app.info()
        await other.aclose()  # closes nothing: the connections are the first one's
        await dify.chat.send(query="Hi")
    first, second, third = server.requests
    assert server.connections == 1
    assert [first.headers["authorization"], second.headers["authorization"]] == [
        "Bearer app-secret-key",
        "Bearer app-other",
    ]
    assert [r.headers["x-tenant"] for r in (first, second, third)] == ["7", "8", "7"]
    assert second.headers["x-kept"] == "k"
    assert b'"user":"ada"' in third.body


async def test_timeout_and_tries_hold_for_one_call_alone(connect: Connect) -> None:
    refused = answer(b'{"code":"too_many_requests"}', status=429)
    with WireServer(refused, refused, INFO) as server:
        dify = connect(server)
        with pytest.raises(Exception, match="429"):
            await dify.with_options(max_retries=0).app.info()
        await dify.app.info()
    assert len(server.requests) == 3
    with WireServer([WaitForClient()]) as server, pytest.raises(APITimeoutError, match=r"nothing for 0\.2 s"):
        await connect(server).with_options(timeout=0.2).app.info()


def test_a_number_of_seconds_is_the_silence_that_is_borne() -> None:
    assert Timeout.of(3) == Timeout(connect=3, silence=3)
    assert Timeout.of(600) == Timeout(connect=10, silence=600)
    assert Timeout.of(Timeout(silence=None)) == Timeout(silence=None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": 0}, "more than 0"),
        ({"timeout": -1}, "more than 0"),
        ({"max_retries": -1}, "0 or more"),
        ({"base_url": "dify.example.com"}, "must be a URL"),
        ({"api_key": "app-a b"}, "API key"),
        ({"headers": {"X-Key": "a\nb"}}, "header 'X-Key' holds"),
    ],
)
@pytest.mark.parametrize("kind", [Dify, AsyncDify, Knowledge, AsyncKnowledge])
def test_an_option_that_cannot_be_meant_is_refused_at_once(
    kind: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        kind(**{"api_key": "app-x", **options})
    with pytest.raises(ValueError, match=said):
        kind("app-x").with_options(**options)


async def test_a_header_of_the_user_takes_the_place_of_ours_whatever_its_case(connect: Connect) -> None:
    with WireServer(INFO) as server:
        await connect(server, headers={"USER-AGENT": "mine/1", "Accept-language": "de"}).app.info()
    [request] = server.requests
    assert request.headers["user-agent"] == "mine/1"
    assert request.headers["accept-language"] == "de"


# Any call


async def test_any_call_takes_json_a_query_headers_or_a_form_with_a_file(
    connect: Connect, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_bytes(b"text of a file")
    with WireServer(answer(b"{}")) as server:
        dify = connect(server)
        await dify.request("patch", "/a", json={"b": 1}, headers={"X-One": "1"})
        await dify.request("GET", "/a", query={"tag_ids": ["x", "y"], "all": True, "none": None})
        await dify.request("POST", "/a", form={"data": "{}"}, file=tmp_path / "a.txt")
        await dify.request("POST", "/a", form={"only": "fields"})
        await dify.request("GET", "/ä b/c?d=e")
    patch, get, upload, fields, odd = server.requests
    assert odd.path == "/v1/%C3%A4%20b/c?d=e"
    assert (patch.method, patch.body, patch.headers["x-one"]) == ("PATCH", b'{"b":1}', "1")
    assert get.path == "/v1/a?tag_ids=x&tag_ids=y&all=true"
    assert upload.parts["data"].get_content() == "{}"
    assert upload.parts["file"].get_content() == "text of a file"
    assert upload.parts["file"].get_filename() == "a.txt"
    assert fields.parts["only"].get_content() == "fields"


async def test_a_call_that_cannot_be_meant_is_refused_before_it_is_sent(connect: Connect) -> None:
    with WireServer(answer(b"{}")) as server:
        dify = connect(server)
        with pytest.raises(ValueError, match="begin with a slash, as in /workflows/logs; it is 'info'"):
            await dify.request("GET", "info")
        with pytest.raises(ValueError, match="not both"):
            await dify.request("POST", "/a", json={}, form={"a": "b"})
        with pytest.raises(ValueError, match="put all of it into query"):
            await dify.request("GET", "/a?b=c", query={"d": "e"})
        for value in ("secret\r\nX: 1", "sécret"):
            with pytest.raises(ValueError, match="header 'X-Key' holds what HTTP cannot carry") as refused:
                await dify.request("GET", "/a", headers={"X-Key": value})
            assert "cret" not in str(refused.value)
    assert server.requests == []


# Hooks


async def test_hooks_see_each_request_and_answer_without_the_key(connect: Connect) -> None:
    asked: list[RequestInfo] = []
    answered: list[ResponseInfo] = []
    refused = answer(b'{"code":"too_many_requests"}', status=429)
    with WireServer(refused, HELLO, answer(b"{}", status=404)) as server:
        dify = connect(
            server, on_request=asked.append, on_response=answered.append, headers={"X-Tenant": "7"}
        )
        await dify.chat.send(query="private question")
        with pytest.raises(NotFoundError):
            await dify.with_options(user="bob").request(
                "GET", "/form/human_input/token", query={"user": "private"}
            )
    assert [(info.method, info.attempt) for info in asked] == [("POST", 1), ("POST", 2), ("GET", 1)]
    assert asked[0].address == f"{server.url}/v1/chat-messages"
    assert asked[2].address == f"{server.url}/v1/form/human_input/…"
    assert asked[0].headers["x-tenant"] == "7"
    assert [info.status for info in answered] == [429, 200, 404]
    assert [info.request for info in answered] == asked
    assert answered[0].headers["Content-Type"] == "application/json"
    assert all(info.seconds > 0 for info in answered)
    told = repr([(info, dict(info.headers)) for info in asked]) + repr(answered)
    assert "secret-key" not in told
    assert "private" not in told
    assert "authorization" not in {name.lower() for info in asked for name in info.headers}


async def test_what_a_hook_raises_is_raised_by_the_call(connect: Connect) -> None:
    def refuse(info: object) -> None:
        raise LookupError("not today")

    with WireServer(INFO) as server:
        with pytest.raises(LookupError, match="not today"):
            await connect(server, on_request=refuse).app.info()
        assert server.requests == []
        with pytest.raises(LookupError, match="not today"):
            await connect(server, on_response=refuse).app.info()
        assert len(server.requests) == 1
    with WireServer(events(WaitForClient())) as server:
        dify = connect(server, on_response=refuse)
        with pytest.raises(LookupError):
            async with dify.chat.stream(query="Hi"):
                pytest.fail("entered")
        assert await server.client_closed()


# The way there. By a proxy, or by a limited number of connections, only the default transports go.

OVER_HTTPX2 = ["sync", "httpx2"]


def made_over(connect: Connect, http_client: Any, server: WireServer) -> Any:
    from .conftest import InThread

    options: dict[str, Any] = {"base_url": server.url, "user": "ada", "http_client": http_client}
    return InThread(Dify("app-x", **options)) if connect.__name__ == "sync" else AsyncDify("app-x", **options)


async def test_a_client_of_httpx2_that_you_bring_is_used_as_it_is_and_stays_open(connect: Connect) -> None:
    seen: list[str] = []

    async def hook(request: httpx2.Request) -> None:
        seen.append(str(request.url))

    http_client: Any
    if connect.__name__ == "sync":
        hooks = {"request": [lambda request: seen.append(str(request.url))]}
        http_client = httpx2.Client(headers={"X-Mine": "1"}, event_hooks=hooks, trust_env=False)
    else:
        http_client = httpx2.AsyncClient(
            headers={"X-Mine": "1"}, event_hooks={"request": [hook]}, trust_env=False
        )
    with WireServer(INFO, HELLO) as server:
        dify = made_over(connect, http_client, server)
        assert (await dify.app.info()).name == "App"
        assert (await dify.chat.send(query="Hi")).answer == "Hello"
        await dify.request("GET", "/a", query={"b": "c"})
        await dify.aclose()
        assert not http_client.is_closed
    assert seen[2] == f"{server.url}/v1/a?b=c"
    assert server.requests[0].headers["x-mine"] == "1"
    assert server.requests[0].headers["authorization"] == "Bearer app-x"
    await asyncio.to_thread(http_client.close) if connect.__name__ == "sync" else await http_client.aclose()


def test_an_http_client_of_the_wrong_kind_or_beside_a_transport_is_refused() -> None:
    with httpx2.Client() as http_client, HttpxTransport() as transport:
        with pytest.raises(TypeError, match=r"an httpx2\.AsyncClient, not a httpx2\.Client"):
            AsyncDify("app-x", http_client=http_client)  # type: ignore[arg-type]  # that is what is tested
        with pytest.raises(ValueError, match="not both"):
            Dify("app-x", http_client=http_client, transport=transport)


async def test_a_transport_of_the_other_kind_or_none_at_all_is_refused_at_once() -> None:
    sync, over_httpx2, over_httptools = HttpxTransport(), AsyncHttpxTransport(), HttptoolsTransport()
    refused: list[tuple[list[Any], list[Any], str]] = [
        ([Dify, Knowledge], [over_httpx2, over_httptools], "open and close, such as an HttpxTransport"),
        ([AsyncDify, AsyncKnowledge], [sync], "open and aclose, such as an AsyncHttpxTransport"),
        ([Dify, AsyncDify], [httpx2.HTTPTransport()], "HTTPTransport has no open"),
    ]
    for clients, transports, said in refused:
        for client, transport in itertools.product(clients, transports):
            with pytest.raises(TypeError, match=f"^{client.__name__} needs a transport with .*{said}"):
                client("app-x", transport=transport)
    sync.close()
    await over_httpx2.aclose()
    await over_httptools.aclose()


@pytest.mark.parametrize("connect", OVER_HTTPX2, indirect=True)
async def test_requests_go_by_the_proxy_and_its_password_is_in_no_error(connect: Connect) -> None:
    with WireServer(INFO, answer(b"", status=407)) as proxy:
        over = {"proxy": proxy.url.replace("://", "://ada:pass-word@")}
        dify = connect("http://dify.invalid", over=over, max_retries=0)
        assert (await dify.app.info()).name == "App"
        await_error = dify.request("GET", "/a", query={"user": "ada"})
        with pytest.raises(Exception, match="407") as caught:
            await await_error
    assert proxy.requests[0].path == "http://dify.invalid/v1/info"
    assert proxy.requests[1].path == "http://dify.invalid/v1/a?user=ada"
    assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")
    assert "pass-word" not in f"{caught.value!r}"
    with pytest.raises(APIConnectionError) as refused:
        await connect(
            "http://dify.invalid", over={"proxy": "http://ada:pass-word@127.0.0.1:1"}, max_retries=0
        ).app.info()
    assert not refused.value.sent
    assert "pass-word" not in f"{refused.value!r} {refused.value}"


@pytest.mark.parametrize("connect", OVER_HTTPX2, indirect=True)
async def test_no_more_connections_than_allowed_and_waiting_for_one_has_an_end(connect: Connect) -> None:
    with WireServer(HANGING, INFO) as server:
        dify = connect(server, over={"max_connections": 1}, timeout=Timeout(silence=0.5), max_retries=0)
        async with dify.chat.stream(query="Hi") as stream:
            await stream.__anext__()
            with pytest.raises(APITimeoutError, match="max_connections") as caught:
                await dify.app.info()
            assert (caught.value.phase, caught.value.sent) == ("connect", False)
        assert (await dify.app.info()).name == "App"
    assert len(server.requests) == 2


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, of a server or of a client, and its key."""
    folder = tmp_path_factory.mktemp("certificates")
    command = [
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
        *(
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            folder / "key.pem",
            "-out",
            folder / "cert.pem",
        ),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl on this machine")
    return folder


@pytest.fixture
def tls_server(certificates: Path) -> Iterator[WireServer]:
    """A server that wants to see a client's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    context.load_verify_locations(certificates / "cert.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with WireServer(INFO, tls=context) as server:
        yield server


async def test_certificates_are_checked_shown_and_trusted_as_told(
    connect: Connect, tls_server: WireServer, certificates: Path
) -> None:
    trusting = ssl.create_default_context(cafile=certificates / "cert.pem")
    with pytest.raises(APIConnectionError) as caught:
        await connect(tls_server, max_retries=0).app.info()
    assert not caught.value.sent
    with pytest.raises(APIConnectionError):
        await connect(tls_server, over={"verify": trusting}, max_retries=0).app.info()
    assert tls_server.requests == []
    trusting.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    assert (await connect(tls_server, over={"verify": trusting}).app.info()).name == "App"
    unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    unchecked.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    assert (await connect(tls_server, over={"verify": unchecked}).app.info()).name == "App"
