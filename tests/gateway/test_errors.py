"""What a client is told of each of Dify's refusals."""

import json

import pytest

from opendify import (
    APIConnectionError,
    APITimeoutError,
    DifyError,
    MalformedStreamError,
    ResponseError,
    TruncatedStreamError,
)
from opendify._errors import refusal
from opendify.gateway.errors import from_dify

URL = "http://dify.example/v1/chat-messages"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (refusal(400, "invalid_param", "x"), 400, "invalid_param"),
        (refusal(400, "bad_request", "x"), 400, "bad_request"),
        (refusal(404, "not_found", "x"), 404, "not_found"),
        (refusal(413, "file_too_large", "x"), 413, "file_too_large"),
        (refusal(415, "unsupported_file_type", "x"), 415, "unsupported_file_type"),
        (
            refusal(400, "invalid_param", "Too many requests. Please try again later."),
            429,
            "rate_limit_exceeded",
        ),
        (refusal(429, "too_many_requests", "x"), 429, "rate_limit_exceeded"),
        (
            refusal(403, "forbidden", "Sorry, you have reached the knowledge base request rate limit."),
            429,
            "rate_limit_exceeded",
        ),
        (refusal(400, "provider_quota_exceeded", "x"), 429, "insufficient_quota"),
        (refusal(401, "unauthorized", "Access token is invalid"), 502, "upstream_auth"),
        (refusal(400, "provider_not_initialize", "x"), 503, "upstream_unavailable"),
        (refusal(400, "model_currently_not_support", "x"), 503, "upstream_unavailable"),
        (refusal(400, "app_unavailable", "x"), 503, "upstream_unavailable"),
        (refusal(400, "completion_request_error", "x"), 502, "upstream_error"),
        (refusal(500, "unknown", "x"), 502, "upstream_error"),
        (refusal(502, "unknown", "<html>"), 502, "upstream_error"),
        (MalformedStreamError("x"), 502, "upstream_error"),
        (TruncatedStreamError("x"), 502, "upstream_error"),
        (ResponseError("x", status=200), 502, "upstream_error"),
        (APIConnectionError("x", url=URL, sent=True), 502, "upstream_error"),
        (APIConnectionError("x", url=URL, sent=False), 503, "upstream_unreachable"),
        (APITimeoutError("x", url=URL, sent=False, phase="connect"), 503, "upstream_unreachable"),
        (APITimeoutError("x", url=URL, sent=True, phase="silence"), 504, "upstream_timeout"),
    ],
)
def test_every_refusal_has_its_place_in_openais_errors(error: DifyError, status: int, code: str) -> None:
    told = from_dify(error, "Support")
    assert (told.status, told.code) == (status, code)
    body = json.loads(told.body())["error"]
    assert set(body) == {"message", "type", "param", "code"}
    assert body["message"]
    assert ("retry-after" in told.headers) == (code == "rate_limit_exceeded")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "invalid_param"),
        (400, "completion_request_error"),
        (400, "provider_quota_exceeded"),
        (413, "file_too_large"),
        (429, "too_many_requests"),
        (500, "unknown"),
    ],
)
def test_a_refusal_without_a_word_still_has_a_message(status: int, code: str) -> None:
    assert "no reason" in from_dify(refusal(status, code, ""), "Support").message


def test_nothing_of_the_operators_key_is_told_to_a_client() -> None:
    assert (
        "Access token"
        not in from_dify(refusal(401, "unauthorized", "Access token is invalid"), "Support").message
    )


def test_an_address_of_the_inside_is_not_told_to_a_client() -> None:
    for sent in (True, False):
        error = APIConnectionError(f"No connection to {URL}: refused", url=URL, sent=sent)
        assert "dify.example" not in from_dify(error, "Support").message
