"""Whatever goes wrong at Dify, or on the way to it: clients get one clear error, and nothing is left behind.

The contract's rule: a real status before the first byte, an error frame and `[DONE]` after it, OpenAI's shape
in both; a generation that Dify may have begun is never sent twice.
"""

import asyncio
import json
import re
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
import uvicorn
from openai import APIError, APIStatusError, OpenAI
from openai.types.chat import ChatCompletionUserMessageParam

from faulty_dify import KEYS, NAMES, FaultyDify
from opendify import _connections
from opendify.gateway.app import Gateway as Application
from opendify.gateway.server import protocol
from opendify.gateway.settings import Settings
from servers import Gateway, running_gateway

from .clients import PIXEL
from .measures import megabytes, sockets, until

CLIENT_KEY = "sk-canary-client"
PROMPT = "canary prompt"
SILENCE = 1.0
"""The gateway's TIMEOUT: every silence is longer than that."""

TLS = Path(__file__).parent / "tls"
"""Two self-signed certificates for 127.0.0.1, made for these tests alone, with their keys."""


@dataclass(frozen=True)
class Fault:
    """A course that a call takes, and what the client is told.

    Attributes:
        status: Of a plain answer, and of a stream that is not open yet.
        midway: Some text came before: a stream is open by then.
        calls: How often Dify is asked.
        stopped: Dify is told to stop: the run may be going on.
        says: Words in the message.
    """

    course: str
    status: int
    code: str
    midway: bool = False
    calls: int = 1
    stopped: bool = False
    mode: str = "chat"
    says: str = ""
    type: str = "api_error"

    def __str__(self) -> str:
        return f"{self.mode}-{self.course}"


def _broken(course: str, **more: object) -> Fault:
    return Fault(course, 502, "upstream_error", **more)  # type: ignore[arg-type]


def _mistake(status: int, code: str) -> Fault:
    return Fault(
        f"refused:{status}:{code}", status, code, type="invalid_request_error", says=f"Refused: {code}."
    )


def _rate_limit(course: str, calls: int = 3) -> Fault:
    return Fault(course, 429, "rate_limit_exceeded", calls=calls, type="rate_limit_error")


def _quota(course: str) -> Fault:
    return Fault(course, 429, "insufficient_quota", type="insufficient_quota")


REFUSALS = (
    _mistake(400, "invalid_param"),
    _mistake(400, "bad_request"),
    _mistake(403, "forbidden"),
    _mistake(404, "not_found"),
    _mistake(413, "file_too_large"),
    _mistake(415, "unsupported_file_type"),
    Fault("page:413", 413, "request_too_large", type="invalid_request_error"),
    Fault("refused:401:unauthorized", 502, "upstream_auth"),
    Fault("page:401", 502, "upstream_auth"),
    _quota("refused:400:provider_quota_exceeded"),
    Fault("refused:400:provider_not_initialize", 503, "upstream_unavailable", says="provider_not_initialize"),
    Fault("refused:400:model_currently_not_support", 503, "upstream_unavailable"),
    Fault("refused:400:app_unavailable", 503, "upstream_unavailable"),
    _broken("refused:400:completion_request_error"),
    _broken("refused:500:unknown"),
    _broken("refused:500:internal_server_error"),
    _broken("page:404"),
    _broken("page:500"),
    _broken("page:502"),
    _broken("page:504"),
    _broken("page:200"),
    _broken("redirect"),
    _broken("json-for-a-stream"),
    _rate_limit("too-many:400"),
    _rate_limit("too-many:429"),
    _rate_limit("too-many-for:0.2"),
    _rate_limit("too-many-for:100", calls=1),  # nobody waits that long
    _rate_limit("knowledge-limit"),
)
"""Dify says no, or somebody else in its stead: nothing has run."""

MALFORMED = ("json", "utf8", "html", "number", "list", "null", "types", "surrogate", "deep", "error", "end")

BREAKS = (
    _broken("hang-up-before-headers"),
    _broken("reset-before-headers"),
    _broken("reset-within-headers"),
    _broken("not-http"),
    _broken("reset-before-first-event"),
    _broken("empty-stream"),
    Fault("silence-before-headers", 504, "upstream_timeout"),
    Fault("silence-before-first-event", 504, "upstream_timeout"),
    *(_broken(f"malformed:{kind}") for kind in MALFORMED),
)
"""Dify may have begun, but not a word of its answer came."""

FAILURES = (
    _broken("error-first:400:completion_request_error", says="Failed: completion_request_error."),
    _broken("error-first:500:internal_server_error"),
    _quota("error-first:400:provider_quota_exceeded"),
    _rate_limit("error-first:429:too_many_requests", calls=1),  # as a refusal it would be tried again
    Fault("error-first:400:provider_not_initialize", 503, "upstream_unavailable"),
    Fault("error-first:400:invalid_param", 400, "invalid_param", type="invalid_request_error"),
)
"""Dify's first word is that the run failed."""

MIDWAY = (
    _broken("reset-midway", midway=True, stopped=True),
    _broken("hang-up-midway", midway=True, stopped=True),
    _broken("bad-chunk-midway", midway=True, stopped=True),
    _broken("truncated", midway=True, stopped=True),
    _broken("truncated-event", midway=True, stopped=True),
    _broken("truncated-until-closed", midway=True, stopped=True),
    Fault("silence-midway", 504, "upstream_timeout", midway=True, stopped=True),
    *(_broken(f"malformed-midway:{kind}", midway=True, stopped=True) for kind in MALFORMED),
    _broken("error-midway:400:completion_request_error", midway=True),
    _broken("error-midway:500:internal_server_error", midway=True),
    Fault(
        "error-midway:400:provider_quota_exceeded",
        429,
        "insufficient_quota",
        midway=True,
        type="insufficient_quota",
    ),
    _broken("workflow-fails:late", midway=True, mode="workflow", says="in node 'Count Beans': no beans"),
    _broken("workflow-fails:late", midway=True, mode="advanced-chat", says="in node 'Count Beans': no beans"),
    _broken("reset-midway", midway=True, stopped=True, mode="workflow"),
    _broken("truncated", midway=True, stopped=True, mode="completion"),
    _broken("reset-midway", midway=True, stopped=True, mode="agent-chat"),
)
"""A piece of the answer came, and then no more."""

AT_ONCE = (*REFUSALS, *BREAKS, *FAILURES)
FAULTS = (*AT_ONCE, *MIDWAY)


@dataclass
class Outcome:
    """What a client got."""

    status: int
    headers: httpx2.Headers
    body: str
    events: list[str] = field(default_factory=list)

    @property
    def error(self) -> dict[str, object]:
        """The error: the whole body, or the last event but `[DONE]`."""
        text = self.events[-2] if self.events else self.body
        body = json.loads(text)
        assert list(body) == ["error"]
        assert list(body["error"]) == ["message", "type", "param", "code"]
        return body["error"]

    @property
    def text(self) -> str:
        chunks = [json.loads(event) for event in self.events if event != "[DONE]"]
        deltas = [choice["delta"] for chunk in chunks for choice in chunk.get("choices", ())]
        return "".join(delta.get("content") or "" for delta in deltas)


def _messages(course: str) -> list[ChatCompletionUserMessageParam]:
    return [{"role": "user", "content": f"{course} {PROMPT}"}]


def _request(course: str, *, mode: str = "chat", stream: bool) -> dict[str, object]:
    return {"model": NAMES[mode], "messages": _messages(course), "stream": stream}


def _outcome(reply: httpx2.Response) -> Outcome:
    outcome = Outcome(reply.status_code, reply.headers, reply.text)
    if reply.headers["content-type"].startswith("text/event-stream"):
        parts = reply.text.split("\n\n")
        assert parts.pop() == ""
        outcome.events = [part.removeprefix("data: ") for part in parts if not part.startswith(":")]
    return outcome


class Client:
    """Asks without any SDK: what counts is the bytes."""

    def __init__(self, gateway: Gateway) -> None:
        self.base_url = gateway.base_url
        self._http = httpx2.Client(
            base_url=gateway.base_url, headers={"authorization": f"Bearer {CLIENT_KEY}"}, timeout=20
        )
        self.close = self._http.close

    def ask(self, course: str, *, mode: str = "chat", stream: bool) -> Outcome:
        return _outcome(self._http.post("/chat/completions", json=_request(course, mode=mode, stream=stream)))

    def send(self, request: object) -> Outcome:
        return _outcome(self._http.post("/chat/completions", json=request))


@pytest.fixture(scope="module")
def dify() -> Iterator[FaultyDify]:
    with FaultyDify() as dify:
        yield dify


def _settings(dify: FaultyDify) -> dict[str, str]:
    return {
        "DIFY_API_BASE": dify.base_url,
        "DIFY_API_KEYS": ",".join(KEYS.values()),
        "VALID_API_KEYS": CLIENT_KEY,
        "TIMEOUT": str(SILENCE),
    }


@pytest.fixture(scope="module")
def gateway(dify: FaultyDify) -> Iterator[Gateway]:
    with running_gateway(**_settings(dify)) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[Client]:
    with closing(Client(gateway)) as client:
        yield client


@pytest.fixture(scope="module")
def openai(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=CLIENT_KEY, max_retries=0) as openai:
        yield openai


@pytest.fixture(autouse=True)
def forget(request: pytest.FixtureRequest) -> None:
    """Each test counts from zero."""
    if "dify" in request.fixturenames:
        request.getfixturevalue("dify").forget()


def _check_error(error: dict[str, object], fault: Fault) -> None:
    assert (error["code"], error["type"]) == (fault.code, fault.type)
    assert fault.says in str(error["message"])
    assert "secret" not in str(error["message"])


def _check_calls(outcome: Outcome, gateway: Gateway, dify: FaultyDify, fault: Fault) -> None:
    """Asked as often as is right, and told to stop if the run may go on."""
    line = gateway.request(outcome.headers["x-request-id"])  # after that line nothing happens
    assert line["error"] == fault.code
    assert len(dify.calls) == fault.calls
    assert dify.stopped == (dify.calls if fault.stopped else [])


# ── the contract's status and shape ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_plain_call_hears_by_its_status_what_went_wrong(
    fault: Fault, client: Client, gateway: Gateway, dify: FaultyDify
) -> None:
    outcome = client.ask(fault.course, mode=fault.mode, stream=False)
    assert outcome.status == fault.status
    assert outcome.headers["content-type"] == "application/json"
    _check_error(outcome.error, fault)
    _check_calls(outcome, gateway, dify, fault)


@pytest.mark.parametrize("fault", AT_ONCE, ids=str)
def test_a_stream_that_has_not_begun_is_refused_by_a_status(
    fault: Fault, client: Client, gateway: Gateway, dify: FaultyDify
) -> None:
    outcome = client.ask(fault.course, mode=fault.mode, stream=True)
    assert outcome.status == fault.status
    assert outcome.headers["content-type"] == "application/json"
    _check_error(outcome.error, fault)
    _check_calls(outcome, gateway, dify, fault)


@pytest.mark.parametrize("fault", MIDWAY, ids=str)
def test_a_stream_that_breaks_ends_in_an_error_and_done_and_keeps_its_text(
    fault: Fault, client: Client, gateway: Gateway, dify: FaultyDify
) -> None:
    outcome = client.ask(fault.course, mode=fault.mode, stream=True)
    assert outcome.status == 200
    assert outcome.text == "Half an "
    assert outcome.events[-1] == "[DONE]"
    _check_error(outcome.error, fault)
    _check_calls(outcome, gateway, dify, fault)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.calls == 1], ids=str)
def test_the_openai_package_raises_the_error_of_a_plain_call(fault: Fault, openai: OpenAI) -> None:
    with pytest.raises(APIStatusError) as raised:
        openai.chat.completions.create(model=NAMES[fault.mode], messages=_messages(fault.course))
    assert (raised.value.status_code, raised.value.code) == (fault.status, fault.code)
    assert fault.says in raised.value.message


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.calls == 1], ids=str)
def test_the_openai_package_raises_the_error_of_a_stream(fault: Fault, openai: OpenAI) -> None:
    pieces: list[str] = []
    with pytest.raises(APIError) as raised:
        pieces.extend(_pieces(openai, fault.course, fault.mode))
    assert raised.value.code == fault.code
    assert fault.says in raised.value.message
    assert "".join(pieces) == ("Half an " if fault.midway else "")
    assert isinstance(raised.value, APIStatusError) is not fault.midway


def _pieces(openai: OpenAI, course: str, mode: str = "chat") -> Iterator[str]:
    """The text of a stream, as it comes."""
    messages = _messages(course)
    for chunk in openai.chat.completions.create(model=NAMES[mode], messages=messages, stream=True):
        yield chunk.choices[0].delta.content or ""


def test_the_client_need_not_wait_until_a_failing_dify_has_heard_that_it_must_stop(
    client: Client, gateway: Gateway, dify: FaultyDify
) -> None:
    dify.stop_course = "silence-before-headers"
    try:
        for stream in (False, True):
            outcome = client.ask("reset-midway", stream=stream)
            assert outcome.error["code"] == "upstream_error"
            request_id = outcome.headers["x-request-id"]
            assert not [line for line in gateway.requests() if line["request_id"] == request_id]
            gateway.request(request_id)  # its line comes when the stop has come to its end too
    finally:
        dify.stop_course = ""
    assert dify.stopped == dify.calls


def test_a_workflow_that_fails_before_its_first_word_names_its_node(client: Client, dify: FaultyDify) -> None:
    # Its first event is not a failure, so a stream is open by then.
    for mode in ("workflow", "advanced-chat"):
        plain = client.ask("workflow-fails", mode=mode, stream=False)
        streamed = client.ask("workflow-fails", mode=mode, stream=True)
        assert plain.status == 502
        assert plain.error == {
            "message": "The workflow failed in node 'Count Beans': no beans",
            "type": "api_error",
            "param": None,
            "code": "upstream_error",
        }
        assert streamed.error == plain.error
    assert len(dify.calls) == 4
    assert not dify.stopped


@pytest.mark.parametrize("course", ["too-many:400", "too-many:429", "knowledge-limit"])
def test_a_rate_limit_says_when_to_come_back(course: str, client: Client) -> None:
    assert int(client.ask(course, stream=False).headers["retry-after"]) >= 1


def test_a_rate_limit_that_names_its_time_is_passed_on(client: Client) -> None:
    assert client.ask("too-many-for:100", stream=True).headers["retry-after"] == "100"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_conversation_that_dify_does_not_know_is_404(
    stream: bool, client: Client, dify: FaultyDify
) -> None:
    conversation_id = "9dd7cf2e-97fd-4a4f-9a4f-0d1a3f0f5b0c"
    request = _request("refused:404:not_found", stream=stream) | {"conversation_id": conversation_id}
    outcome = client.send(request)
    assert outcome.status == 404
    assert (outcome.error["code"], outcome.error["param"]) == ("conversation_not_found", "conversation_id")
    assert conversation_id in str(outcome.error["message"])
    assert len(dify.calls) == 1


def test_the_status_waits_for_the_first_event_so_that_an_error_is_not_hidden(client: Client) -> None:
    outcome = client.ask("late-error:0.3", stream=True)
    assert outcome.status == 429
    assert outcome.error["code"] == "insufficient_quota"


# ── what is strange but right ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("course", "text"),
    [
        ("fine", "All is well."),
        ("fine-until-closed", "All is well."),
        ("byte-by-byte", "Slow 🐌."),
        ("large-event", "x" * 5_000_000),
        ("unknown-events", "Known words."),
        ("events-after-the-end", "The answer."),
        ("endless-speech", "The answer."),
        ("pings-for-ever:0.4:4", "Still here."),
        ("strange-ids", "All is well."),
    ],
)
def test_an_unusual_answer_arrives_whole(
    course: str, text: str, stream: bool, client: Client, dify: FaultyDify
) -> None:
    outcome = client.ask(course, stream=stream)
    assert outcome.status == 200
    said = outcome.text if stream else json.loads(outcome.body)["choices"][0]["message"]["content"]
    assert said == text
    assert "set-cookie" not in outcome.headers
    assert len(dify.calls) == 1
    assert not dify.stopped


# ── Dify can't be reached ────────────────────────────────────────────────────────────────────────────


def _unreachable(outcome: Outcome) -> None:
    assert outcome.status == 503
    assert outcome.error["code"] == "upstream_unreachable"
    assert "127.0.0.1" not in outcome.body


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_refused_connection_is_503(stream: bool) -> None:
    with ExitStack() as up:
        dify = up.enter_context(FaultyDify())
        with running_gateway(**_settings(dify)) as gateway, closing(Client(gateway)) as client:
            assert client.ask("fine", stream=stream).status == 200
            up.close()
            _unreachable(client.ask("fine", stream=stream))
            with FaultyDify(port=dify.port) as back:
                assert client.ask("fine", stream=stream).status == 200
                assert len(back.calls) == 1


@pytest.mark.parametrize("now", ["unknown.pem", None], ids=["a certificate of nobody's", "no TLS at all"])
def test_a_tls_failure_is_503(now: str | None) -> None:
    settings = {"SSL_CERT_FILE": str(TLS / "known.pem")}
    with ExitStack() as up:
        dify = up.enter_context(FaultyDify(tls=_certificate("known.pem")))
        with running_gateway(**_settings(dify), **settings) as gateway, closing(Client(gateway)) as client:
            assert client.ask("fine", stream=False).status == 200
            up.close()
            with FaultyDify(port=dify.port, tls=_certificate(now) if now else None) as impostor:
                _unreachable(client.ask("fine", stream=False))
                _unreachable(client.ask("fine", stream=True))
                assert not impostor.calls


def _certificate(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / name)
    return context


async def test_a_name_that_is_no_longer_known_is_503(
    dify: FaultyDify, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = True
    resolve = socket.getaddrinfo

    def getaddrinfo(host: str, *rest: object, **more: object) -> object:
        if host == "dify.test":
            if not known:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            host = "127.0.0.1"
        return resolve(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(_connections, "NAME_SECONDS", 0)
    settings = Settings(
        dify_api_base=dify.base_url.replace("127.0.0.1", "dify.test"),
        dify_api_keys=(KEYS["chat"],),
        dify_idle_seconds=0,
        store_url="memory:",
    )
    async with _inside(settings) as http:
        reply = await http.post("/chat/completions", json=_request("fine", stream=False))
        assert reply.status_code == 200
        known = False
        for stream in (False, True):
            reply = await http.post("/chat/completions", json=_request("fine", stream=stream))
            outcome = _outcome(reply)
            assert (outcome.status, outcome.error["code"]) == (503, "upstream_unreachable")
            assert "dify.test" not in outcome.body


@asynccontextmanager
async def _inside(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a gateway that runs in this loop, for what can't be made to happen in another process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        application = Application(settings)
        server = uvicorn.Server(
            uvicorn.Config(application, http=protocol(65_536), log_config=None, access_log=False)
        )
        serving = asyncio.create_task(server.serve([listener]))
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        async with httpx2.AsyncClient(base_url=base_url, timeout=20) as http:
            while not server.started:
                await asyncio.sleep(0.01)
            yield http
        server.should_exit = True
        await serving


# ── uploads ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("course", "status", "code"),
    [
        ("refused:413:file_too_large", 413, "file_too_large"),
        ("page:413", 413, "request_too_large"),
        ("refused:415:unsupported_file_type", 415, "unsupported_file_type"),
        ("refused:401:unauthorized", 502, "upstream_auth"),
        ("page:502", 502, "upstream_error"),
        ("reset-before-headers", 502, "upstream_error"),
        ("silence-before-headers", 504, "upstream_timeout"),
        ("fine", 502, "upstream_error"),  # a stream is no answer to an upload
    ],
)
def test_an_upload_that_fails_fails_the_call_and_nothing_runs(
    course: str, status: int, code: str, stream: bool, client: Client, dify: FaultyDify
) -> None:
    dify.upload_course = course
    try:
        outcome = client.send(_with_picture("fine", stream=stream))
    finally:
        dify.upload_course = ""
    assert (outcome.status, outcome.error["code"]) == (status, code)
    assert dify.uploads == 1
    assert not dify.calls


def _with_picture(course: str, *, stream: bool) -> dict[str, object]:
    url = f"data:image/png;base64,{b64encode(PIXEL).decode()}"
    content = [
        {"type": "text", "text": f"{course} {PROMPT}"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    return {"model": NAMES["chat"], "messages": [{"role": "user", "content": content}], "stream": stream}


# ── long silences ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def talkative(dify: FaultyDify) -> Iterator[Client]:
    """A client of a gateway that pings after 0.2 seconds, not 15, and whose Dify may be silent for long."""
    first = "from opendify.gateway import reply\nreply.PING_SECONDS = 0.2"
    settings = _settings(dify) | {"TIMEOUT": "1.5"}
    with running_gateway(first=first, **settings) as gateway, closing(Client(gateway)) as client:
        yield client


def test_a_stream_opens_with_a_ping_when_dify_is_silent_for_long_and_pings_again(talkative: Client) -> None:
    outcome = talkative.ask("pauses:0.5:0.5", stream=True)
    assert outcome.status == 200
    before, _, after = outcome.body.partition('"One, "')
    assert re.match(r"(: ping\n\n){2,}data: ", before)
    assert after.count(": ping\n\n") >= 2
    assert outcome.text == "One, two."
    assert outcome.events[-1] == "[DONE]"


def test_what_goes_wrong_after_a_ping_is_an_error_frame(talkative: Client) -> None:
    outcome = talkative.ask("late-error:0.5", stream=True)
    assert outcome.status == 200
    assert outcome.body.startswith(": ping\n\n")
    assert outcome.error["code"] == "insufficient_quota"
    assert outcome.events[-1] == "[DONE]"


def test_a_silence_past_the_timeout_after_pings_is_an_error_frame(talkative: Client) -> None:
    outcome = talkative.ask("silence-before-headers", stream=True)
    assert outcome.status == 200
    assert outcome.error["code"] == "upstream_timeout"


def test_a_plain_answer_has_no_pings_and_keeps_its_status(talkative: Client) -> None:
    assert talkative.ask("late-error:0.5", stream=False).status == 429
    outcome = talkative.ask("pauses:0.3:0.3", stream=False)
    assert json.loads(outcome.body)["choices"][0]["message"]["content"] == "One, two."


def test_a_stream_that_speaks_in_time_has_no_pings(talkative: Client) -> None:
    assert ": ping" not in talkative.ask("numbers:20:0.02", stream=True).body


def test_the_openai_package_reads_a_stream_with_pings(talkative: Client) -> None:
    with OpenAI(base_url=talkative.base_url, api_key=CLIENT_KEY, max_retries=0) as openai:
        assert "".join(_pieces(openai, "pauses:0.5:0.5")) == "One, two."


# ── nothing leaks ────────────────────────────────────────────────────────────────────────────────────

STORM = [fault for fault in FAULTS if fault.calls == 1] * 16
"""A thousand faulty calls and more. Those that are tried again wait for seconds, and tell nothing new."""


async def _storm(gateway: Gateway, faults: Sequence[Fault], at_once: int = 40) -> list[str]:
    """All these calls, plain and streamed by turns, so many at a time. What came back."""
    slots = asyncio.Semaphore(at_once)
    limits = httpx2.Limits(max_connections=at_once)
    headers = {"authorization": f"Bearer {CLIENT_KEY}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60, limits=limits) as http:

        async def ask(number: int, fault: Fault) -> str:
            stream = bool(number % 2)
            request = _request(fault.course, mode=fault.mode, stream=stream)
            async with slots:
                reply = await http.post(f"{gateway.base_url}/chat/completions", json=request)
            outcome = _outcome(reply)
            # A gateway this busy may read the first piece and what goes wrong at once: nothing is open then.
            assert outcome.status in (fault.status, 200 if fault.midway and stream else None), fault
            assert outcome.error["code"] == fault.code, fault
            return outcome.body + str(dict(outcome.headers))

        return await asyncio.gather(*(ask(number, fault) for number, fault in enumerate(faults)))


async def test_a_thousand_faulty_calls_leave_nothing_behind(dify: FaultyDify) -> None:
    settings = _settings(dify) | {"TIMEOUT": "3"}  # so busy a machine may be silent for a moment
    with running_gateway(**settings) as gateway:
        await until(lambda: dify.open_connections == 0)
        before = sockets(gateway)
        await _storm(gateway, STORM[:400])  # what is made once is made now
        dify.forget()
        memory = megabytes(gateway)
        began = time.monotonic()
        answers = await _storm(gateway, STORM)
        seconds = time.monotonic() - began

        assert len(answers) == len(dify.calls) == len(STORM) >= 1000
        may_go_on = [call for call in dify.calls if call.course in _STOPPED]
        # A reset throws away what was not read yet, the run's name among it.
        named = [call for call in may_go_on if not call.course.startswith("reset")]
        await until(lambda: all(call.task_id in dify.stops for call in named))
        assert all(call in may_go_on for call in dify.stopped)
        await until(lambda: sockets(gateway) <= before)
        await until(lambda: dify.open_connections == 0)
        after = megabytes(gateway)
        assert after < memory * 1.1
        print(
            f"\n{len(STORM)} faulty calls in {seconds:.1f} s; "
            f"sockets {before} -> {sockets(gateway)}; memory {memory:.1f} -> {after:.1f} MB"
        )
        assert (await _storm(gateway, STORM[:10])) != []  # it still serves
    _check_secrets(gateway, answers)


_STOPPED = {fault.course for fault in FAULTS if fault.stopped}


def _check_secrets(gateway: Gateway, answers: Sequence[str]) -> None:
    """No key, prompt, address or traceback in any answer or line of the log."""
    log = "\n".join(json.dumps(line, ensure_ascii=False) for line in gateway.lines)
    for text in (log, *answers):
        for secret in (CLIENT_KEY, PROMPT, "secret", "Traceback", "exception", "Bearer ", *KEYS.values()):
            assert secret not in text, f"{secret!r} in {text[:2000]}"
    assert not any(line["event"] in ("text", "internal error") for line in gateway.lines)


async def test_faulty_calls_leave_no_task_behind(dify: FaultyDify) -> None:
    settings = Settings(
        dify_api_base=dify.base_url,
        dify_api_keys=tuple(KEYS.values()),
        timeout=3,
        store_url="memory:",
    )
    async with _inside(settings) as http:
        await http.post("/chat/completions", json=_request("fine", stream=False))
        before = len(asyncio.all_tasks())
        requests = [
            _request(fault.course, mode=fault.mode, stream=stream)
            for fault in FAULTS
            if fault.calls == 1
            for stream in (False, True)
        ]
        await asyncio.gather(*(http.post("/chat/completions", json=request) for request in requests))
        for _ in range(500):
            if len(asyncio.all_tasks()) <= before:
                break
            await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks()) <= before
