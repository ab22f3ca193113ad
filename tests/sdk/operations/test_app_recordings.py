"""The SDK asks what a real Dify 1.12.1 was asked with an app's key, and understands what it answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from opendify import APIStatusError, NotFoundError, ResponseError

from ..conftest import Connect
from ..wire_server import WireServer, answer
from .recorded import Exchange, asked, check_error, check_says, exchanges

NOUNS = ("annotations", "app", "audio", "conversations", "feedback", "messages")
EXCHANGES = {
    **exchanges(*NOUNS),
    **{name: one for name, one in exchanges("files").items() if one.row.methods == ["files.preview"]},
}

MP3 = b"ID3\x04" + bytes(60)
RECORDED_FILES = {"mp3": MP3, "wav": b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40), "txt": b"No sound at all."}


def heard(dify: Any, exchange: Exchange) -> Any:
    """Hand in a file of the recorded kind."""
    path, _, _ = exchange.asked.get("file", "@speech.wav").partition(";")
    return dify.audio.to_text(
        RECORDED_FILES[path.rpartition(".")[2]], name=path.rpartition("/")[2], **exchange.take("user")
    )


def settings(exchange: Exchange) -> dict[str, Any]:
    return exchange.take("embedding_provider_name", "embedding_model_name", "score_threshold")


CALLS: dict[tuple[str, str], Callable[[Any, Exchange], Any]] = {
    ("GET", "/messages/{message_id}/suggested"): lambda dify, e: dify.messages.suggested(
        *e.ids, **e.take("user")
    ),
    ("GET", "/files/{file_id}/preview"): lambda dify, e: dify.files.preview(
        *e.ids, **e.take("as_attachment", "user")
    ).read(),
    ("POST", "/messages/{message_id}/feedbacks"): lambda dify, e: dify.feedback.send(
        *e.ids, **e.take("rating", "content", "user")
    ),
    ("GET", "/app/feedbacks"): lambda dify, e: dify.feedback.list(**e.take("limit")).first(),
    ("GET", "/conversations"): lambda dify, e: dify.conversations.list(
        **e.take("sort_by", "limit", "user")
    ).first(),
    ("GET", "/messages"): lambda dify, e: dify.messages.list(
        e.asked.get("conversation_id", "none"), **e.take("limit", "user")
    ).first(),
    ("GET", "/conversations/{conversation_id}/variables"): lambda dify, e: dify.conversations.variables(
        *e.ids, **e.take("variable_name", "limit", "user")
    ).first(),
    ("POST", "/conversations/{conversation_id}/name"): lambda dify, e: dify.conversations.rename(
        *e.ids, **e.take("name", "auto_generate", "user")
    ),
    ("PUT", "/conversations/{conversation_id}/variables/{variable_id}"): (
        lambda dify, e: dify.conversations.update_variable(*e.ids, **e.take("value", "user"))
    ),
    ("DELETE", "/conversations/{conversation_id}"): lambda dify, e: dify.conversations.delete(
        *e.ids, **e.take("user")
    ),
    ("GET", "/info"): lambda dify, e: dify.app.info(),
    ("GET", "/parameters"): lambda dify, e: dify.app.parameters(),
    ("GET", "/meta"): lambda dify, e: dify.app.meta(),
    ("GET", "/site"): lambda dify, e: dify.app.site(),
    ("POST", "/audio-to-text"): heard,
    ("POST", "/text-to-audio"): lambda dify, e: dify.audio.from_text(
        **e.take("text", "message_id", "voice", "user")
    ).read(),
    ("POST", "/apps/annotations"): lambda dify, e: dify.annotations.create(
        **{"answer": ""} | e.take("question", "answer")
    ),
    ("GET", "/apps/annotations"): lambda dify, e: dify.annotations.list(**e.take("keyword", "limit")).first(),
    ("PUT", "/apps/annotations/{annotation_id}"): lambda dify, e: dify.annotations.update(
        *e.ids, **e.take("question", "answer")
    ),
    ("DELETE", "/apps/annotations/{annotation_id}"): lambda dify, e: dify.annotations.delete(*e.ids),
    ("POST", "/apps/annotation-reply/{action}"): lambda dify, e: (
        dify.annotations.disable_reply()
        if e.ids == ("disable",)
        else dify.annotations.enable_reply(**settings(e))
    ),
    ("GET", "/apps/annotation-reply/{action}/status/{job_id}"): lambda dify, e: dify.annotations.reply_status(
        e.ids[1], action=e.ids[0]
    ),
}

# What the SDK does not ask, and what it asks with in place of nothing.
OTHERWISE = {
    "annotation-create-missing": {"answer": ""},
    "annotation-reply-bad-action": None,
    "annotation-reply-disable": None,
    "conversation-delete-no-body": {"user": "ada"},
    "feedback-no-user": {"user": "ada"},
    "messages-list-no-conv": {"conversation_id": "none"},
    "conversations-list-no-user": {"user": "ada"},
    "suggested-no-user": {"user": "ada"},
}
PAGING = {
    "page",
    "last_id",
    "first_id",
}  # asked with from the second page on, which the simulator's tests see
UNUSED = {"streaming"}  # Dify looks at it nowhere
ABOUT_APPS = {"/info", "/parameters", "/meta", "/site"}  # the same for every user


def test_there_are_recordings_of_every_operation_but_those_that_came_later() -> None:
    assert {(one.row.method, one.row.path) for one in EXCHANGES.values()} == CALLS.keys()
    assert len(EXCHANGES) > 60


@pytest.mark.parametrize("name", EXCHANGES)
async def test_a_recorded_call_is_made_and_its_answer_understood(connect: Connect, name: str) -> None:
    exchange = EXCHANGES[name]
    with WireServer(exchange.answer) as server:
        dify = connect(server, max_retries=0)
        try:
            said: Any = await CALLS[exchange.row.method, exchange.row.path](dify, exchange)
        except (APIStatusError, ResponseError) as error:
            said = error
    check_asked(server, exchange)
    check_said(said, exchange)


def check_asked(server: WireServer, exchange: Exchange) -> None:
    (request,) = server.requests
    assert request.method == exchange.row.method
    if exchange.row.path == "/audio-to-text":
        parts = request.parts
        assert parts["user"].get_content() == exchange.asked["user"]
        kind = exchange.asked.get("file", "audio/wav").rpartition("type=")[2]
        assert parts["file"].get_content_type() == {
            "audio/mpeg": "audio/mp3",
            "audio/x-wav": "audio/wav",
        }.get(kind, kind)
        return
    otherwise = OTHERWISE.get(exchange.name, {})
    if otherwise is not None:
        assert request.path.partition("?")[0] == f"/v1{exchange.path}"
        left_out = PAGING | UNUSED | ({"user"} if exchange.path in ABOUT_APPS else set())
        recorded = {key: value for key, value in exchange.asked.items() if key not in left_out}
        assert asked(request) == recorded | otherwise


def check_said(said: Any, exchange: Exchange) -> None:
    if exchange.status >= 400:
        check_error(said, exchange)
    elif exchange.row.path == "/text-to-audio" and exchange.body == b"null\n":
        assert isinstance(said, ResponseError)
        assert "message_id" in str(said)
    elif isinstance(said, bytes):
        assert said == exchange.body
    elif said is None:
        assert exchange.status == 204 or json.loads(exchange.body) == {"result": "success"}
    elif exchange.row.path.endswith("/suggested"):
        assert said == json.loads(exchange.body)["data"]
    else:
        told = json.loads(exchange.body)
        for wrapped in told.get("user_input_form", []):
            ((kind, field),) = wrapped.items()  # each field stands in its type
            wrapped.update(field, type=kind)
            del wrapped[kind]
        check_says(said, told)


async def test_a_dify_of_1_12_tells_its_version_though_it_has_no_such_address(connect: Connect) -> None:
    (exchange,) = exchanges("server").values()
    with WireServer(exchange.answer) as server:
        assert (await connect(server).server.info()).server_version == "1.12.1"
    assert [request.path for request in server.requests] == ["/v1/"]


async def test_a_server_that_is_no_dify_has_no_version(connect: Connect) -> None:
    page = answer(b"<h1>Not here</h1>", status=404, content_type="text/html")
    with WireServer(page) as server, pytest.raises(NotFoundError):
        await connect(server).server.info()
