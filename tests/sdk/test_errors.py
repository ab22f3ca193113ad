"""Dify's refusals become exceptions that tell what happened and what to do next."""

from __future__ import annotations

import json
import pickle
import re

import httpx2
import pytest

import opendify
from opendify import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    MethodNotAllowedError,
    ModelError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    PreconditionFailedError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    UnsupportedMediaTypeError,
)
from opendify._advice import ADVICE
from opendify._call import Call, nothing, read_as
from opendify._errors import refusal, refusal_from_reply
from opendify._operations import OPERATIONS
from opendify.types import AppInfo

from .conftest import Connect
from .wire_server import RECORDINGS, Close, WireServer, answer


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (400, "invalid_param", "name is required in input form", BadRequestError),
        (400, "bad_request", "", BadRequestError),
        (400, "not_chat_app", "", BadRequestError),
        (400, "invalid_param", "Too many requests. Please try again later. The current …", RateLimitError),
        (400, "invalid_param", "The word 'Too many requests' in the middle", BadRequestError),
        (429, "too_many_requests", "", RateLimitError),
        (429, "rate_limit_error", "", RateLimitError),
        (429, "unknown", "", RateLimitError),
        (
            403,
            "forbidden",
            "Sorry, you have reached the knowledge base request rate limit of …",
            RateLimitError,
        ),
        (403, "forbidden", "The API is disabled", PermissionDeniedError),
        (400, "provider_quota_exceeded", "", QuotaExceededError),
        (400, "provider_not_initialize", "", ProviderUnavailableError),
        (400, "model_currently_not_support", "", ProviderUnavailableError),
        (400, "app_unavailable", "", ProviderUnavailableError),
        (400, "completion_request_error", "Rate limit of the model", ModelError),
        (401, "unauthorized", "", AuthenticationError),
        (404, "not_found", "", NotFoundError),
        (405, "method_not_allowed", "", MethodNotAllowedError),
        (409, "dataset_name_duplicate", "", ConflictError),
        (412, "human_input_form_expired", "", PreconditionFailedError),
        (413, "file_too_large", "", PayloadTooLargeError),
        (415, "unsupported_file_type", "", UnsupportedMediaTypeError),
        (500, "internal_server_error", "", ServerError),
        (524, "unknown", "", ServerError),
        (418, "teapot", "", APIStatusError),
    ],
)
def test_status_and_code_decide_the_exception(
    status: int, code: str, message: str, kind: type[APIStatusError]
) -> None:
    error = refusal(status, code, message)
    assert type(error) is kind
    assert (error.status, error.code, error.message) == (status, code, message)
    assert not error.in_stream
    assert refusal(status, code, message, in_stream=True).in_stream


def refused() -> list[str]:
    """The names of all recordings of a refusal."""
    return [
        path.stem
        for path in sorted(RECORDINGS.glob("*.json"))
        if json.loads(path.read_text())["status"] >= 400
    ]


@pytest.mark.parametrize("name", refused())
def test_every_recorded_refusal_is_told_in_a_sentence_without_the_servers_routes(name: str) -> None:
    recorded = json.loads((RECORDINGS / f"{name}.json").read_text())
    body = (RECORDINGS / f"{name}.body").read_bytes()
    error = refusal_from_reply(recorded["status"], httpx2.Headers(recorded["headers"]), body)
    assert error.status == recorded["status"]
    assert "requested this URI" not in str(error)
    assert "<" not in error.message or body.startswith(b"{")
    assert str(error).startswith(f"{error.status} {error.code}: ")
    if error.status == 400:
        limited = error.message.startswith("Too many requests")
        assert isinstance(error, RateLimitError) == limited


def headers(**given: str) -> httpx2.Headers:
    return httpx2.Headers({name.replace("_", "-"): value for name, value in given.items()})


def test_a_web_page_in_place_of_json_is_named_with_its_title_and_server() -> None:
    page = b"<html>\n<head><title>502 Bad Gateway</title></head><body>...</body></html>"
    error = refusal_from_reply(502, headers(server="nginx/1.22.1", content_type="text/html"), page)
    assert isinstance(error, ServerError)
    assert "502 Bad Gateway" in error.message
    assert "nginx/1.22.1" in error.message
    assert error.code == "unknown"


@pytest.mark.parametrize(
    "body", [b"", b" \n", b"[1]", b"null", b"{", b"plain text", b"\xff\xfe", b'{"code": 5}']
)
def test_any_body_of_a_refusal_gives_an_error_that_can_be_read(body: bytes) -> None:
    error = refusal_from_reply(500, headers(), body)
    assert isinstance(error, ServerError)
    assert str(error).startswith("500 unknown: ")
    assert "If it stays" in str(error)


def test_another_envelope_is_understood() -> None:
    error = refusal_from_reply(400, headers(), b'{"error": "Segments is required"}')
    assert error.message == "Segments is required"


def test_the_field_that_dify_names_is_kept() -> None:
    error = refusal_from_reply(
        400, headers(), b'{"code": "invalid_param", "message": "m", "params": "query", "status": 400}'
    )
    assert error.params == "query"


def test_retry_after_is_read_in_seconds_and_its_date_form_is_left() -> None:
    assert refusal_from_reply(429, headers(retry_after="3"), b"").retry_after == 3.0
    assert (
        refusal_from_reply(429, headers(retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), b"").retry_after is None
    )
    assert refusal_from_reply(429, headers(), b"").retry_after is None


def test_a_redirect_says_where_to_and_what_to_set() -> None:
    error = refusal_from_reply(301, headers(location="https://dify.example.com/v1/info?token=x"), b"")
    assert "https://dify.example.com/v1/info" in str(error)
    assert "token" not in str(error)
    assert "base_url" in str(error)


def test_only_headers_that_help_are_kept() -> None:
    error = refusal_from_reply(401, headers(x_version="1.12.1", set_cookie="session=secret"), b"{}")
    assert error.headers == {"x-version": "1.12.1"}


def test_messages_tell_what_to_do_next() -> None:
    assert "page API Access" in str(refusal(401, "unauthorized", "Access token is invalid"))
    assert "Knowledge, Service API" in str(refusal(401, "unauthorized", "Access token is invalid"))
    assert "a dataset key what is of its workspace" in str(refusal(404, "not_found", "Dataset not found."))
    assert "the workspace's plan" in str(
        refusal(403, "forbidden", "… the knowledge base request rate limit …")
    )
    assert "Leave conversation_id out" in str(refusal(400, "conversation_completed", ""))
    assert "client.workflows" in str(refusal(400, "not_chat_app", ""))
    assert "parameters()" in str(refusal(413, "file_too_large", "File size exceeded. {message}"))


@pytest.mark.parametrize("code", ADVICE)
def test_what_to_do_next_is_a_sentence_and_at_hand_for_programs_too(code: str) -> None:
    error = refusal(400, code, "It is so")
    assert error.advice == ADVICE[code]
    assert error.advice[0].isupper() or error.advice.startswith(("human_input.", "metadata."))
    assert str(error) == f"400 {code}: It is so. {error.advice}"
    assert error.advice.endswith(".")


@pytest.mark.parametrize("code", ADVICE)
def test_the_methods_that_advice_names_exist(code: str) -> None:
    named = re.findall(r"\b(\w+)\.(\w+)(?=\(|,| tells| makes)", ADVICE[code])
    served = {method for row in OPERATIONS for method in row.methods}
    assert {f"{noun}.{verb}" for noun, verb in named if noun not in ("client", "app")} <= served


@pytest.mark.parametrize("name", ["X-Request-ID", "X-Trace-Id", "CF-RAY"])
def test_the_id_of_the_request_is_at_hand_where_a_server_gives_one(name: str) -> None:
    assert refusal_from_reply(500, httpx2.Headers({name: "8f3a"}), b"").request_id == "8f3a"
    assert refusal_from_reply(500, headers(), b"").request_id is None


def test_a_dump_of_pydantic_is_told_without_the_value_that_it_quotes() -> None:
    for name in ("conversations-list-limit0", "annotation-create-missing", "chat-file-files-not-list"):
        body = (RECORDINGS / f"{name}.body").read_bytes()
        error = refusal_from_reply(400, headers(), body)
        assert "input_value" in body.decode()
        assert "input_value" not in error.message
        assert "pydantic.dev" not in str(error)
    assert (
        "limit\n  Input should be greater"
        in refusal_from_reply(
            400, headers(), (RECORDINGS / "conversations-list-limit0.body").read_bytes()
        ).message
    )


UNKNOWN_ADDRESS = b"<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>"


async def test_an_operation_that_is_newer_than_the_server_is_told_as_that(connect: Connect) -> None:
    unknown = answer(UNKNOWN_ADDRESS, status=404, content_type="text/html", x_version="1.12.1")
    with WireServer(unknown) as server:
        dify = connect(server)
        with pytest.raises(NotFoundError) as caught:
            await dify.request("GET", "/form/human_input/secret-token", query={"user": "ada"})
        assert str(caught.value) == (
            "404 unknown: This Dify is 1.12.1; GET /form/human_input/{form_token} needs 1.14 or later. "
            "Update Dify, or do without it."
        )
        with pytest.raises(NotFoundError, match="of the web server") as caught:
            await dify.request("GET", "/info")
        assert "needs" not in str(caught.value)
    not_allowed = answer(b'{"code":"method_not_allowed","message":"No.","status":405}', status=405)
    with WireServer(not_allowed) as server:
        with pytest.raises(MethodNotAllowedError, match=r"does not tell its version; PATCH .* needs 1\.16"):
            await connect(server).request("PATCH", "/datasets/d/documents/e")
        with pytest.raises(MethodNotAllowedError, match="No"):
            await connect(server).request("PATCH", "/info")


async def test_what_a_new_server_does_not_find_is_not_blamed_on_its_age(connect: Connect) -> None:
    gone = answer(b'{"code":"not_found","message":"Form not found.","status":404}', status=404)
    unknown = answer(UNKNOWN_ADDRESS, status=404, content_type="text/html", x_version="1.16.0")
    for said in (gone, unknown):
        with WireServer(said) as server, pytest.raises(NotFoundError) as caught:
            await connect(server).request("GET", "/form/human_input/token")
        assert "needs" not in str(caught.value)


@pytest.mark.parametrize("body", [b"204", b"", b"null", b'{"result":"success"}', b"<html>"])
async def test_an_answer_that_says_no_more_than_done_may_be_anything(connect: Connect, body: bytes) -> None:
    """Eight endpoints of Dify 1.12.1 answer 200 with the number 204."""
    with WireServer(answer(body)) as server:
        call = Call(method="DELETE", path="/datasets/d", read=nothing)
        assert await connect(server)._caller.send(call) is None


@pytest.mark.parametrize("body", [b"204", b"", b"null", b"[]", b'{"name":', b'{"mode": 5}'])
async def test_an_answer_that_says_less_than_was_promised_is_an_error(connect: Connect, body: bytes) -> None:
    with WireServer(answer(body)) as server:
        call = Call(method="GET", path="/info", read=read_as(AppInfo))
        with pytest.raises(opendify.ResponseError, match="is not AppInfo"):
            await connect(server)._caller.send(call)


async def test_an_answer_that_is_cut_is_an_error_and_no_half_an_object(connect: Connect) -> None:
    cut = [b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"name":"App","mode":"chat"}', Close()]
    with WireServer(cut) as server, pytest.raises(APIConnectionError) as caught:
        await connect(server, max_retries=0).app.info()
    assert caught.value.sent


def test_the_tree_is_as_its_documentation_draws_it() -> None:
    drawn = opendify._errors.__doc__ or ""
    for name in opendify._errors.__all__:
        if name[0].isupper():
            assert name in drawn
            assert issubclass(getattr(opendify, name), opendify.DifyError)
    assert issubclass(APITimeoutError, APIConnectionError)
    assert not issubclass(APIConnectionError, APIStatusError)


def test_errors_survive_pickling_so_that_process_pools_can_tell_them() -> None:
    for error in (
        refusal(400, "invalid_param", "Too many requests"),
        APIConnectionError("no", url="http://dify", sent=False),
        APITimeoutError("no", url="http://dify", sent=True, phase="silence"),
        opendify.ResponseError("no", status=200),
        opendify.TruncatedStreamError("cut"),
        opendify.IndexingFailedError("no", documents=[]),
        opendify.IndexingTimeoutError("not yet", documents=[], timeout=1),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_a_sentence_of_somebody_else_ends_once() -> None:
    error = opendify._errors.broken("http://dify/v1", "Server disconnected.", None)
    assert str(error) == "The connection to http://dify/v1 broke: Server disconnected."
