"""What an app's key can ask beside answers: every operation's refusals, and what Dify 1.16 says newly."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from opendify import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ModelError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    ProviderUnavailableError,
    QuotaExceededError,
    ServerError,
    UnsupportedMediaTypeError,
)
from opendify.types import ConversationVariable, Message

from ..conftest import Connect
from ..wire_server import WireServer, answer
from .recorded import asked, check_says

ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
MP3 = b"ID3\x04" + bytes(60)
MODEL: dict[str, Any] = {"embedding_provider_name": "p", "embedding_model_name": "m", "score_threshold": 0.9}

Ask = Callable[[Any], Any]

CALLS: dict[str, Ask] = {
    "annotations.create": lambda dify: dify.annotations.create(question="Q", answer="A"),
    "annotations.delete": lambda dify: dify.annotations.delete(ID),
    "annotations.disable_reply": lambda dify: dify.annotations.disable_reply(),
    "annotations.enable_reply": lambda dify: dify.annotations.enable_reply(**MODEL),
    "annotations.list": lambda dify: dify.annotations.list().first(),
    "annotations.reply_status": lambda dify: dify.annotations.reply_status(ID, action="enable"),
    "annotations.update": lambda dify: dify.annotations.update(ID, question="Q", answer="A"),
    "annotations.wait": lambda dify: dify.annotations.wait(ID, action="enable"),
    "app.info": lambda dify: dify.app.info(),
    "app.meta": lambda dify: dify.app.meta(),
    "app.parameters": lambda dify: dify.app.parameters(),
    "app.site": lambda dify: dify.app.site(),
    "audio.from_text": lambda dify: dify.audio.from_text(text="Hello").read(),
    "audio.to_text": lambda dify: dify.audio.to_text(MP3),
    "conversations.delete": lambda dify: dify.conversations.delete(ID),
    "conversations.list": lambda dify: dify.conversations.list().first(),
    "conversations.rename": lambda dify: dify.conversations.rename(ID, auto_generate=True),
    "conversations.update_variable": lambda dify: dify.conversations.update_variable(ID, ID, value=None),
    "conversations.variables": lambda dify: dify.conversations.variables(ID).first(),
    "end_users.get": lambda dify: dify.end_users.get(ID),
    "feedback.list": lambda dify: dify.feedback.list().first(),
    "feedback.send": lambda dify: dify.feedback.send(ID, rating=None),
    "files.preview": lambda dify: dify.files.preview(ID).read(),
    "messages.list": lambda dify: dify.messages.list(ID).first(),
    "messages.suggested": lambda dify: dify.messages.suggested(ID),
    "server.info": lambda dify: dify.server.info(),
}

BAD, OFF = BadRequestError, ProviderUnavailableError
MODEL_REFUSALS: list[tuple[int, str, type[APIStatusError]]] = [
    (400, "app_unavailable", OFF),
    (400, "provider_not_initialize", OFF),
    (400, "provider_quota_exceeded", QuotaExceededError),
    (400, "model_currently_not_support", OFF),
    (400, "completion_request_error", ModelError),
    (500, "internal_server_error", ServerError),
]
NOT_FOUND: list[tuple[int, str, type[APIStatusError]]] = [(404, "not_found", NotFoundError)]
NOT_CHAT: list[tuple[int, str, type[APIStatusError]]] = [(400, "not_chat_app", BAD), *NOT_FOUND]

# As Dify documents them, operation by operation.
REFUSALS: dict[str, list[tuple[int, str, type[APIStatusError]]]] = {
    "annotations.create": [(400, "invalid_param", BAD)],
    "annotations.delete": NOT_FOUND,
    "annotations.disable_reply": [(400, "invalid_param", BAD)],
    "annotations.enable_reply": [(400, "invalid_param", BAD)],
    "annotations.list": [(401, "unauthorized", AuthenticationError)],
    "annotations.reply_status": [(400, "invalid_param", BAD)],
    "annotations.update": NOT_FOUND,
    "annotations.wait": [(400, "invalid_param", BAD)],
    "app.info": [(403, "forbidden", PermissionDeniedError)],
    "app.meta": [(403, "forbidden", PermissionDeniedError)],
    "app.parameters": [(400, "agent_not_published", BAD), (400, "app_unavailable", OFF)],
    "app.site": [(403, "forbidden", PermissionDeniedError)],
    "audio.from_text": [(400, "invalid_param", BAD), *MODEL_REFUSALS],
    "audio.to_text": [
        (400, "speech_to_text_disabled", BAD),
        (400, "provider_not_support_speech_to_text", BAD),
        (413, "audio_too_large", PayloadTooLargeError),
        (415, "unsupported_audio_type", UnsupportedMediaTypeError),
        *MODEL_REFUSALS,
    ],
    "conversations.delete": NOT_CHAT,
    "conversations.list": NOT_CHAT,
    "conversations.rename": [(400, "invalid_param", BAD), *NOT_CHAT],
    "conversations.update_variable": [(400, "bad_request", BAD), *NOT_CHAT],
    "conversations.variables": [(400, "invalid_param", BAD), *NOT_CHAT],
    "end_users.get": [(404, "end_user_not_found", NotFoundError)],
    "feedback.list": [(400, "invalid_param", BAD)],
    "feedback.send": [(400, "invalid_param", BAD), *NOT_FOUND],
    "files.preview": [
        (403, "file_access_denied", PermissionDeniedError),
        (404, "file_not_found", NotFoundError),
    ],
    "messages.list": NOT_CHAT,
    "messages.suggested": [(400, "bad_request", BAD), *NOT_CHAT, (500, "internal_server_error", ServerError)],
    "server.info": [(500, "internal_server_error", ServerError)],
}


@pytest.mark.parametrize(
    ("method", "status", "code", "kind"),
    [(method, *refusal) for method, refusals in REFUSALS.items() for refusal in refusals],
)
async def test_a_documented_refusal_raises_its_own_exception(
    connect: Connect, method: str, status: int, code: str, kind: type[APIStatusError]
) -> None:
    body = json.dumps({"code": code, "message": f"No: {code}", "status": status}).encode()
    with WireServer(answer(body, status=status)) as server, pytest.raises(kind) as caught:
        await CALLS[method](connect(server, max_retries=0))
    assert (caught.value.status, caught.value.code, caught.value.message) == (status, code, f"No: {code}")


def test_every_operation_is_asked_and_refused_here() -> None:
    assert CALLS.keys() == REFUSALS.keys()


# What Dify 1.16 says newly, or in another way than 1.12; bodies by its specification.
NEWER: dict[str, tuple[int, Any]] = {
    "annotations.create": (
        201,
        {"id": ID, "question": "Q", "answer": "A", "hit_count": None, "created_at": None},
    ),
    "annotations.reply_status": (200, {"job_id": ID, "job_status": "error", "error_msg": "No such model."}),
    "audio.to_text": (200, {"text": "Good morning."}),
    "conversations.variables": (
        200,
        {
            "limit": 20,
            "has_more": False,
            "data": [
                {
                    "id": ID,
                    "name": "seen",
                    "value_type": "string",
                    "value": "[1]",
                    "description": None,
                    "created_at": 1795230814,
                    "updated_at": 1795230816,
                }
            ],
        },
    ),
    "end_users.get": (
        200,
        {
            "id": ID,
            "tenant_id": ID,
            "app_id": None,
            "type": "service-api",
            "external_user_id": "ada",
            "name": None,
            "is_anonymous": False,
            "session_id": "ada",
            "created_at": "2026-07-22T09:15:00.123456",
            "updated_at": "2026-07-22T09:15:00",
        },
    ),
    "messages.list": (
        200,
        {
            "limit": 20,
            "has_more": False,
            "data": [
                {
                    "id": ID,
                    "conversation_id": ID,
                    "parent_message_id": None,
                    "inputs": {"city": "Paris"},
                    "query": "Hi",
                    "answer": "Hello",
                    "status": "normal",
                    "error": None,
                    "message_files": [],
                    "feedback": {"rating": "like"},
                    "retriever_resources": [
                        {
                            "id": ID,
                            "message_id": ID,
                            "position": 1,
                            "score": 0.5,
                            "summary": None,
                            "created_at": 5,
                        }
                    ],
                    "agent_thoughts": [],
                    "created_at": 1795230814,
                    "extra_contents": [{"type": "human_input", "submitted": True}],
                    "message_tokens": 7,
                    "answer_tokens": 2,
                    "total_tokens": 9,
                    "provider_response_latency": 0.75,
                    "total_price": "0.0000140",
                    "currency": "USD",
                }
            ],
        },
    ),
    "server.info": (200, {"welcome": "Dify OpenAPI", "api_version": "v1", "server_version": "1.16.0"}),
}


@pytest.mark.parametrize("method", NEWER)
async def test_a_reply_of_dify_1_16_is_understood_whole(connect: Connect, method: str) -> None:
    status, body = NEWER[method]
    with WireServer(answer(json.dumps(body).encode(), status=status)) as server:
        check_says(await CALLS[method](connect(server)), body)


@pytest.mark.parametrize(
    ("value_type", "text", "value"),
    [
        ("string", "5", "5"),
        ("string", "", ""),
        ("secret", "[1]", "[1]"),
        ("number", "5", 5),
        ("number", "-0.5", -0.5),
        ("boolean", "True", True),
        ("boolean", "false", False),
        ("object", "{'name': 'Ada', 'seen': None, 'ok': True}", {"name": "Ada", "seen": None, "ok": True}),
        ("object", '{"name": "Ada", "seen": null}', {"name": "Ada", "seen": None}),
        ("array[string]", "['it\\'s', \"so\"]", ["it's", "so"]),
        ("array[number]", "[1, 2.5]", [1, 2.5]),
        ("array[object]", '[{"a": [1]}]', [{"a": [1]}]),
        ("object", "no object at all", "no object at all"),
        ("object", "__import__('os').getcwd()", "__import__('os').getcwd()"),
        ("object", "{1, 2}", "{1, 2}"),
        ("object", "[" * 100_000, "[" * 100_000),
        ("number", "", ""),
        ("object", None, None),
    ],
)
def test_a_variables_value_is_of_the_variables_type(value_type: str, text: str | None, value: object) -> None:
    variable = ConversationVariable(id="1", name="v", value_type=value_type, value=text)
    assert variable.value == value
    assert type(variable.value) is type(value)


def test_a_message_tells_its_price_exactly_and_leaves_open_what_an_older_dify_does_not_tell() -> None:
    assert Message(id="m", total_price=Decimal("0.0000140")).total_price == Decimal("0.0000140")
    old = Message.model_validate({"id": "m", "retriever_resources": None, "inputs": None})
    assert (old.total_price, old.total_tokens, old.retriever_resources, old.inputs) == (None, None, [], {})


async def test_times_that_dify_writes_as_text_are_utc(connect: Connect) -> None:
    _, body = NEWER["end_users.get"]
    with WireServer(answer(json.dumps(body).encode())) as server:
        told = await connect(server).end_users.get(ID)
    assert told.updated_at == datetime(2026, 7, 22, 9, 15, tzinfo=UTC)


async def test_a_variable_that_is_to_be_null_is_sent_as_null(connect: Connect) -> None:
    body = {"id": ID, "name": "v", "value_type": "string", "value": None}
    with WireServer(answer(json.dumps(body).encode())) as server:
        assert (await CALLS["conversations.update_variable"](connect(server))).value is None
    assert asked(server.requests[0]) == {"value": None, "user": "ada"}


async def test_who_asks_is_the_callers_user_unless_the_call_names_another(connect: Connect) -> None:
    with WireServer(answer(b'{"data": [], "has_more": false}')) as server:
        dify = connect(server)
        await dify.conversations.list().first()
        await dify.conversations.list(user="grace").first()
        with pytest.raises(ValueError, match="user"):
            await connect(server, user=None).conversations.list().first()
    assert [asked(request)["user"] for request in server.requests] == ["ada", "grace"]


async def test_speech_and_files_need_no_user(connect: Connect) -> None:
    with WireServer(answer(b'{"text": ""}'), answer(MP3, content_type="audio/mpeg")) as server:
        dify = connect(server, user=None)
        await dify.audio.to_text(MP3)
        assert await dify.audio.from_text(message_id=ID).read() == MP3
        assert await dify.files.preview(ID).read() == MP3
    heard, spoken, seen = server.requests
    assert heard.parts.keys() == {"file"}
    assert asked(spoken) == {"message_id": ID}
    assert seen.path == f"/v1/files/{ID}/preview"


def job(status: str) -> bytes:
    return json.dumps({"job_id": ID, "job_status": status, "error_msg": ""}).encode()


@pytest.mark.parametrize("end", ["completed", "error"])
async def test_a_job_is_waited_for_until_it_ends_well_or_badly(connect: Connect, end: str) -> None:
    with WireServer(*(answer(job(status)) for status in ("waiting", "processing", end))) as server:
        done = await CALLS["annotations.wait"](connect(server))
    assert (done.done, done.job_status) == (True, end)
    assert len(server.requests) == 3


async def test_a_job_that_does_not_end_is_not_waited_for_for_ever(connect: Connect) -> None:
    with WireServer(answer(job("waiting"))) as server, pytest.raises(TimeoutError, match="goes on"):
        await connect(server).annotations.wait(ID, action="disable", timeout=0.3)
    assert 2 <= len(server.requests) <= 5
