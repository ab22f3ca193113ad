"""What surrounds the answers: health, browsers, request ids, the log, and paths that lead nowhere."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from opendify.simulator import Simulator
from servers import Gateway, eventually, running_gateway

from .clients import ADA, http, plain, streamed

CHAT = "Simulated Chat"
PAGE = "https://chat.example.com"
AUTHORIZED = {"Authorization": f"Bearer {ADA}"}


def ask(gateway: Gateway, text: str, **headers: str) -> httpx2.Response:
    return http(
        "POST",
        f"{gateway.base_url}/chat/completions",
        json={"model": CHAT, "messages": [{"role": "user", "content": text}]},
        headers={**AUTHORIZED, **headers},
    )


# ── Health ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_needs_no_key(gateway: Gateway, path: str) -> None:
    reply = http("GET", gateway.root + path)
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})
    assert http("HEAD", gateway.root + path).status_code == 200


def test_the_root_says_what_this_is(gateway: Gateway) -> None:
    reply = http("GET", gateway.root).json()
    assert reply["name"] == "opendify"
    assert "/v1/chat/completions" in reply["endpoints"]


# ── Browsers ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def for_pages(dify: Simulator) -> Iterator[Gateway]:
    """A gateway that pages of one web site may call."""
    settings = {"DIFY_API_BASE": dify.base_url, "DIFY_API_KEYS": dify.keys["chat"], "VALID_API_KEYS": ADA}
    with running_gateway(CORS_ORIGINS=f"{PAGE},http://localhost:3000", **settings) as gateway:
        yield gateway


def preflight(gateway: Gateway, origin: str, path: str = "/chat/completions") -> httpx2.Response:
    return http(
        "OPTIONS",
        gateway.base_url + path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type, x-stainless-lang",
        },
    )


def allowed_origin(reply: httpx2.Response) -> str | None:
    return reply.headers.get("access-control-allow-origin")


def test_no_page_may_call_unless_a_setting_lets_it(gateway: Gateway) -> None:
    assert preflight(gateway, PAGE).status_code == 405
    assert allowed_origin(preflight(gateway, PAGE)) is None
    assert allowed_origin(ask(gateway, "Hello", Origin=PAGE)) is None


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000"])
def test_a_page_that_a_setting_names_may_call(for_pages: Gateway, origin: str) -> None:
    asked = preflight(for_pages, origin)
    assert asked.status_code == 200
    assert allowed_origin(asked) == origin
    assert "POST" in asked.headers["access-control-allow-methods"]
    for name in ("authorization", "content-type", "x-stainless-lang"):
        assert name in asked.headers["access-control-allow-headers"].lower()
    assert preflight(for_pages, origin, "/models").status_code == 200


def test_a_page_can_read_answers_refusals_and_their_headers(for_pages: Gateway) -> None:
    answer = ask(for_pages, "[[reply:Hello]]", Origin=PAGE)
    assert answer.status_code == 200
    refusal = ask(for_pages, "Hello", Origin=PAGE, Authorization="Bearer wrong")
    assert refusal.status_code == 401
    models = http("GET", f"{for_pages.base_url}/models", headers={**AUTHORIZED, "Origin": PAGE})
    for reply in (answer, refusal, models):
        assert allowed_origin(reply) == PAGE
        exposed = reply.headers["access-control-expose-headers"].lower()
        assert "x-request-id" in exposed
        assert "conversation-id" in exposed
        assert "retry-after" in exposed


def test_a_page_can_follow_a_stream(for_pages: Gateway) -> None:
    with httpx2.stream(
        "POST",
        f"{for_pages.base_url}/chat/completions",
        verify=False,
        json={"model": CHAT, "messages": [{"role": "user", "content": "[[reply:Hello]]"}], "stream": True},
        headers={**AUTHORIZED, "Origin": PAGE},
    ) as reply:
        assert allowed_origin(reply) == PAGE
        assert reply.read().endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", f"{PAGE}.evil.example", "null", "http://localhost"]
)
def test_no_other_page_may_call(for_pages: Gateway, origin: str) -> None:
    assert preflight(for_pages, origin).status_code == 400
    assert allowed_origin(preflight(for_pages, origin)) is None
    assert allowed_origin(ask(for_pages, "Hello", Origin=origin)) is None


# ── Request ids ──────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_carries_the_id_that_the_client_gave_its_request(gateway: Gateway) -> None:
    for reply in (
        ask(gateway, "Hello", **{"X-Request-Id": "mine-1"}),
        ask(gateway, "", **{"X-Request-Id": "mine-1"}),
        http("GET", f"{gateway.base_url}/models", headers={"X-Request-Id": "mine-1"}),
        http("GET", f"{gateway.root}/nowhere", headers={"X-Request-Id": "mine-1"}),
    ):
        assert reply.headers["x-request-id"] == "mine-1"


@pytest.mark.parametrize("given", [None, "", "a b", "x" * 129, "a;b", '"'])
def test_a_request_without_a_fit_id_gets_one(gateway: Gateway, given: str | None) -> None:
    headers = {} if given is None else {"X-Request-Id": given}
    ids = {ask(gateway, "Hello", **headers).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert given not in ids


def test_the_openai_package_finds_the_id(openai: OpenAI, user: str) -> None:
    answer = openai.chat.completions.create(
        model=CHAT,
        messages=[{"role": "user", "content": "Hello"}],
        user=user,
        extra_headers={"X-Request-Id": "mine-2"},
    )
    assert answer._request_id == "mine-2"


# ── The log ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [True, False])
def test_each_request_is_one_line_that_says_who_what_and_how_long(
    gateway: Gateway, openai: OpenAI, user: str, stream: bool
) -> None:
    name = f"line-{user}"
    send = streamed if stream else plain
    answer = send(openai, CHAT, "[[reply:Hello]]", user=user, extra_headers={"X-Request-Id": name})
    line = gateway.request(name)
    assert line["client"] == "ada"
    assert (line["model"], line["mode"], line["stream"]) == (CHAT, "chat", stream)
    assert (line["status"], line["error"], line["level"]) == (200, None, "info")
    assert line["prompt_tokens"] == answer.usage.prompt_tokens
    assert line["completion_tokens"] == answer.usage.completion_tokens
    first, total = line["first_token_ms"], line["total_ms"]
    assert isinstance(first, float)
    assert isinstance(total, float)
    assert 0 < first <= total
    assert str(line["timestamp"]).startswith("2")


REFUSALS: dict[str, tuple[dict[str, Any], dict[str, str], int, str]] = {
    "no key": ({"model": CHAT}, {"Authorization": ""}, 401, "invalid_api_key"),
    "no model": ({"model": "nothing"}, {}, 404, "model_not_found"),
    "bad request": ({"model": CHAT, "n": 0}, {}, 400, "invalid_request_error"),
    "no input": ({"model": "Simulated Form"}, {}, 400, "missing_input"),
    "Dify's no": ({"model": "Simulated Broke"}, {}, 429, "insufficient_quota"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_one_line_too(gateway: Gateway, user: str, name: str) -> None:
    body, headers, status, error = REFUSALS[name]
    reply = http(
        "POST",
        f"{gateway.base_url}/chat/completions",
        json={"messages": [{"role": "user", "content": "Hello"}], "user": user, **body},
        headers={**AUTHORIZED, "X-Request-Id": f"line-{user}", **headers},
    )
    assert reply.status_code == status
    line = gateway.request(f"line-{user}")
    assert (line["status"], line["error"]) == (status, error)
    assert line["first_token_ms"] is None


@pytest.mark.parametrize(
    ("path", "status"), [("/models", 401), ("/models/nothing%0Aelse", 404), ("/nowhere?key=x", 404)]
)
def test_what_is_refused_of_other_requests_is_a_line_that_quotes_no_key(
    gateway: Gateway, user: str, path: str, status: int
) -> None:
    name = f"refused-{user}"
    headers = {"Authorization": f"Bearer not-a-key-{user}", "X-Request-Id": name}
    assert http("GET", f"{gateway.base_url}{path}", headers=headers).status_code == status
    (line,) = eventually(lambda: [line for line in gateway.lines if line.get("request_id") == name])
    assert (line["event"], line["status"]) == ("refused", status)
    assert line["path"] == f"/v1{path.partition('?')[0]}"
    assert f"not-a-key-{user}" not in json.dumps(line)


def test_no_client_can_make_a_line_long(gateway: Gateway, user: str) -> None:
    body = {"model": "x" * 100_000, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {**AUTHORIZED, "X-Request-Id": f"line-{user}"}
    assert http("POST", f"{gateway.base_url}/chat/completions", json=body, headers=headers).status_code == 404
    assert len(json.dumps(gateway.request(f"line-{user}"))) < 1000


def test_a_client_that_goes_away_is_a_line_too(gateway: Gateway, openai: OpenAI, user: str) -> None:
    messages: Any = [{"role": "user", "content": "[[slow:100:0.05]]"}]
    headers = {"X-Request-Id": f"line-{user}"}
    with openai.chat.completions.create(
        model=CHAT, messages=messages, user=user, stream=True, extra_headers=headers
    ) as stream:
        next(iter(stream))
    line = gateway.request(f"line-{user}")
    assert (line["status"], line["error"]) == (499, "client_gone")


def test_the_log_never_has_a_key_or_what_was_said(gateway: Gateway, openai: OpenAI, user: str) -> None:
    secret = f"secret-{user}"
    name = {"X-Request-Id": f"last-{user}"}
    for fault in (f"[[reply:{secret}]]", "[[http:500]]", "[[error]]", "[[malformed]]", "[[cut]]"):
        for send in (plain, streamed):
            try:
                send(openai, CHAT, f"{fault} {secret}", user=user)
            except Exception:  # noqa: BLE001 - whatever it is, the log is what counts here
                continue
    ask(gateway, secret, Authorization=f"Bearer {secret}")
    http("POST", f"{gateway.base_url}/chat/completions", content=f'{{"x": "{secret}', headers=AUTHORIZED)
    plain(openai, CHAT, secret, user=user, extra_headers=name)
    gateway.request(name["X-Request-Id"])
    written = json.dumps(gateway.lines)
    assert secret not in written
    assert ADA not in written
    assert "app-sim-" not in written


# ── Paths that lead nowhere ──────────────────────────────────────────────────────────────────────────


NOWHERE = ("/nowhere", "/v1", "/v1/", "/v2", "/v1/embeddings", "/v1/chat", "//v1/models", "/v1/%2e%2e/x")


@pytest.mark.parametrize("path", NOWHERE)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_path_is_not_found_in_openais_shape(gateway: Gateway, method: str, path: str) -> None:
    reply = http(method, gateway.root + path, headers=AUTHORIZED)
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "not_found"
    assert "POST /v1/chat/completions" in reply.json()["error"]["message"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_completions_are_posted(gateway: Gateway, method: str) -> None:
    reply = http(method, f"{gateway.base_url}/chat/completions", headers=AUTHORIZED)
    assert reply.status_code == 405
    assert reply.headers["allow"] == "POST"
    if method != "HEAD":
        assert reply.json()["error"]["code"] == "method_not_allowed"


def test_a_slash_at_the_end_is_no_other_endpoint(gateway: Gateway, openai: OpenAI) -> None:
    """Base URLs are often written with one."""
    with OpenAI(base_url=f"{gateway.base_url}/", api_key=ADA) as client:
        assert plain(client, CHAT, "[[reply:Hello]]").content == "Hello"
        assert len(list(client.models.list())) == len(list(openai.models.list()))
