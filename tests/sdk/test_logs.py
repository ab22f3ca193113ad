"""What the log tells of each request, and what it never tells."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Any

import pytest

from opendify import DifyError, Timeout

from .conftest import Connect
from .wire_server import Close, Reset, WaitForClient, WireServer, answer, event, events

INFO = answer(b'{"name":"App","mode":"chat"}')
HELLO = events(event(event="message", answer="Hello"), event(event="message_end"))
REFUSED = answer(b'{"code":"too_many_requests","message":"Too many"}', status=429)

TOKEN, KEY, PRIVATE = "form-token-0f3c", "secret-key", "private"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "opendify"]


async def test_each_request_is_a_line_and_each_wait_before_another_try(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "opendify")
    with WireServer(REFUSED, INFO, [Close()], HELLO) as server:
        dify = connect(server)
        await dify.request("GET", "/info", query={"user": "private"})
        with pytest.raises(DifyError):
            await dify.chat.send(query="Hi")
    first, wait, second, broken = (line.replace(server.url, "") for line in lines(caplog))
    assert first.startswith("GET /v1/info: 429 after 0.")
    assert wait.startswith("GET /info: again in 0.")
    assert wait.endswith(" s, after 429 too_many_requests")
    assert second.startswith("GET /v1/info: 200 after 0.")
    assert second.endswith(" s (attempt 2)")
    assert broken.startswith("POST /v1/chat-messages: APIConnectionError after 0.")
    assert {record.levelname for record in caplog.records if record.name == "opendify"} == {"DEBUG"}


async def test_a_stream_that_is_closed_is_a_line_too(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "opendify")
    with WireServer(HELLO) as server:
        async with connect(server).chat.stream(query="Hi") as stream:
            assert len(lines(caplog)) == 1
            assert [event.text async for event in stream] == ["Hello", ""]
    assert lines(caplog)[1:] == ["POST /chat-messages: stream closed"]


async def test_nothing_is_logged_unless_it_is_asked_for(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with WireServer(INFO) as server:
        await connect(server).app.info()
    assert lines(caplog) == []


FAULTS: dict[str, Any] = {
    "fine": answer(b"{}"),
    "refused": answer(b'{"code":"invalid_param","message":"no"}', status=400),
    "repeated": answer(
        b'{"code":"not_found","message":"No. You have requested this URI [/v1/form/human_input/'
        + TOKEN.encode()
        + b'] but did you mean /v1/info ?"}',
        status=404,
    ),
    "dumped": answer(
        b'{"code":"invalid_param","message":"1 validation error for X\\nquery\\n  Bad '
        b"[type=string_type, input_value='private question', input_type=str]\\n    For further information"
        b' visit https://errors.example.com/x","status":400}',
        status=400,
    ),
    "web page": answer(b"<title>404</title>private", status=404, content_type="text/html"),
    "redirect": answer(b"", status=302, location=f"/v1/form/human_input/{TOKEN}?key={KEY}"),
    "limited": REFUSED,
    "broken json": answer(b'{"private": '),
    "closed": [Close()],
    "reset": [Reset()],
    "no http": [b"private and no http\r\n\r\n", Close()],
    "silent": [WaitForClient()],
    "no stream": events(b"data: private, and no event\n\n"),
    "half a stream": events(event(event="message", answer="private answer"), end=False),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_key_prompt_answer_query_or_form_token_is_logged_or_in_an_error(
    connect: Connect, caplog: pytest.LogCaptureFixture, tmp_path: Path, fault: str
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "a.txt").write_text("private file")
    told: list[str] = []
    with WireServer([*FAULTS[fault], Close()]) as server:
        dify = connect(server, timeout=Timeout(silence=0.3), max_retries=1 if fault == "closed" else 0)
        form = f"/form/human_input/{TOKEN}"
        for ask in (
            lambda: dify.request("GET", form, query={"user": "private user"}),
            lambda: dify.request("POST", form, json={"inputs": {"a": "private input"}, "user": "private"}),
            lambda: dify.chat.send(query="private question"),
            lambda: dify.files.upload(tmp_path / "a.txt", user="private user"),
        ):
            try:
                await ask()
            except DifyError as error:
                told += traceback.format_exception(error)
                told.append(f"{error!r} {vars(error)}")
        told += [repr(dify), repr(vars(dify))]
    # Of the libraries' own loggers, too; at DEBUG they show a server's headers, and what is no HTTP.
    told += [r.getMessage() for r in caplog.records if r.levelno > logging.DEBUG or r.name == "opendify"]
    if fault not in ("no http", "redirect"):
        told += [r.getMessage() for r in caplog.records]
    for said in told:
        lines = "\n".join(line for line in said.splitlines() if not _is_source(line))
        assert TOKEN not in lines
        assert KEY not in lines
        assert PRIVATE not in lines.replace("test_no_key_prompt", "").replace("reportPrivate", "")
    assert any(f"{server.url}/v1/form/human_input/…" in said for said in told)


def _is_source(line: str) -> bool:
    """Whether a line of a traceback quotes the program: this test's own lines hold what must not be told."""
    return line.startswith("    ")
