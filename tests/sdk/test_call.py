"""Requests as data: addresses, queries, bodies, and how answers are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given as given_by_hypothesis
from hypothesis import strategies as st
from pydantic_core import from_json

from opendify import ResponseError, Timeout
from opendify._call import (
    Call,
    FilePart,
    Form,
    Operation,
    Reply,
    api_url,
    attached,
    encode_json,
    frame,
    given,
    nothing,
    path,
    query_string,
    read_as,
    whole_body,
)
from opendify.types import AppInfo, UploadedFile


def reply(body: bytes, status: int = 200, content_type: str = "application/json") -> Reply:
    return Reply(status, httpx2.Headers({"Content-Type": content_type}), body)


@pytest.mark.parametrize(
    ("given_url", "url"),
    [
        ("https://api.dify.ai/v1", "https://api.dify.ai/v1"),
        ("https://api.dify.ai/v1/", "https://api.dify.ai/v1"),
        ("https://api.dify.ai", "https://api.dify.ai/v1"),
        (" http://localhost:5001/ \n", "http://localhost:5001/v1"),
        ("http://[::1]:5001", "http://[::1]:5001/v1"),
        ("https://example.com/dify", "https://example.com/dify/v1"),
        ("https://example.com/dify/v1//", "https://example.com/dify/v1"),
    ],
)
def test_the_base_url_may_come_with_or_without_v1_and_slash(given_url: str, url: str) -> None:
    assert api_url(given_url) == url


@pytest.mark.parametrize(
    "url",
    ["", "dify.example.com", "ftp://example.com", "https://", "https://a:99999", "https://u:secret@example.com",
     "https://example.com?key=secret", "https://example.com/#secret", "http://[::1"],
)  # fmt: skip
def test_a_bad_base_url_is_refused_in_a_sentence_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(ValueError, match="base_url") as caught:
        api_url(url)
    assert "secret" not in str(caught.value)


def test_ids_in_a_path_are_quoted_and_may_not_be_empty() -> None:
    assert path("/datasets/{}/documents/{}", "a b", "c/d?e") == "/datasets/a%20b/documents/c%2Fd%3Fe"
    for part in ("", ".", ".."):
        with pytest.raises(ValueError, match="needs an id"):
            path("/datasets/{}", part)


@given_by_hypothesis(st.text(min_size=1).filter(lambda part: part not in (".", "..")))
def test_no_id_can_lead_to_another_address(part: str) -> None:
    try:
        made = path("/chat-messages/{}/stop", part)
    except UnicodeEncodeError:
        return  # half a surrogate pair has no place in a URL
    assert httpx2.URL(f"http://dify{made}").path.startswith("/chat-messages/")
    assert made.isascii()
    assert made.count("/") == 3


def test_queries_are_quoted_booleans_are_difys_and_lists_repeat() -> None:
    query = {"user": "ä&b", "limit": 5, "pinned": True, "last_id": None, "ids": ["1", "2"]}
    assert query_string(query) == "?user=%C3%A4%26b&limit=5&pinned=true&ids=1&ids=2"
    assert query_string({}) == ""
    assert query_string({"a": None}) == ""


def test_fields_that_nobody_gave_are_left_out_and_empty_ones_are_not() -> None:
    assert given(a=None, b="", c=0, d=False, e={}) == {"b": "", "c": 0, "d": False, "e": {}}


def test_a_value_that_is_no_json_is_refused_without_repeating_it() -> None:
    for value in ({"query": "private \ud800"}, {"query": object()}):
        with pytest.raises(ValueError, match="cannot be written as JSON") as caught:
            encode_json(value)
        assert "private" not in str(caught.value)
        assert caught.value.__cause__ is None
    assert encode_json({"query": "日本"}) == '{"query":"日本"}'.encode()


def test_an_answer_is_read_as_what_it_should_be() -> None:
    assert read_as(AppInfo)(reply(b'{"name":"A","mode":"chat","tags":null,"new":1}')).tags == []
    assert read_as(list[int])(reply(b"[1,2]")) == [1, 2]
    assert whole_body(reply(b"\x00\x01")) == b"\x00\x01"
    assert nothing(reply(b"204")) is None
    assert nothing(reply(b"", status=204)) is None
    assert reply(b'{"a":[1]}').json() == {"a": [1]}


@pytest.mark.parametrize(
    "body", [b"<html>secret</html>", b"", b'{"nam', b'{"mode":"secret"}', b"[]", b"\xff"]
)
def test_a_success_that_is_not_what_dify_promises_is_an_error_that_keeps_the_content_to_itself(
    body: bytes,
) -> None:
    with pytest.raises(ResponseError, match="base_url") as caught:
        read_as(AppInfo)(reply(body, content_type="text/html"))
    assert caught.value.status == 200
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_download_that_is_no_json_says_so() -> None:
    with pytest.raises(ResponseError, match="not JSON"):
        reply(b"\x89PNG").json()


def test_a_form_may_hold_json_beside_its_file_as_the_knowledge_api_wants_it() -> None:
    file = FilePart('na"me\r\n.txt', "text/plain", b"content", 7, again=True)
    content_type, before, after = frame(Form({"data": '{"indexing_technique":"economy"}'}, file))
    body = before + b"content" + after
    boundary = content_type.partition("boundary=")[2].encode()
    assert body.count(b"--" + boundary) == 3
    assert body.endswith(b"--" + boundary + b"--\r\n")
    assert b'name="data"\r\n\r\n{"indexing_technique":"economy"}\r\n' in body
    assert b'filename="na%22me%0D%0A.txt"\r\nContent-Type: text/plain\r\n\r\ncontent\r\n--' in body


def test_a_form_may_be_without_a_file() -> None:
    content_type, before, after = frame(Form({"user": "ada"}))
    boundary = content_type.partition("boundary=")[2]
    assert (
        before + after
        == (
            f'--{boundary}\r\nContent-Disposition: form-data; name="user"\r\n\r\nada\r\n--{boundary}--\r\n'
        ).encode()
    )


def test_an_operation_knows_whether_it_may_be_done_twice() -> None:
    once = FilePart("a", "text/plain", iter([b"x"]), None, again=False)
    assert Operation(method="GET", path="/info").reads_only
    assert not Operation(method="POST", path="/chat-messages").reads_only
    assert Operation(method="POST", path="/x", json={}).again
    assert not Operation(method="POST", path="/x", form=Form({}, once)).again


def test_a_delete_may_have_a_body() -> None:
    call = Call(method="DELETE", path=path("/conversations/{}", "c"), json={"user": "ada"}, read=nothing)
    assert from_json(encode_json(call.json)) == {"user": "ada"}


def test_timeouts_have_defaults_that_live_through_difys_silence() -> None:
    assert Timeout() == Timeout(connect=10.0, silence=120.0)


@pytest.mark.parametrize(
    "files",
    [[UploadedFile(id="f")], UploadedFile(id="f"), UploadedFile(id="f").attachment, ["f"], [Path("f")]],
)
def test_what_is_no_attachment_is_refused_and_not_passed_over(files: Any) -> None:
    with pytest.raises(TypeError, match=r"of a file that was uploaded its `attachment`"):
        attached(files)
    assert attached([UploadedFile(id="f").attachment]) == [UploadedFile(id="f").attachment]
    assert attached(None) is None


def test_a_timeout_of_another_library_is_refused_in_a_sentence() -> None:
    with pytest.raises(
        TypeError, match=r"^timeout is an opendify\.Timeout or a number of seconds, not a \w+\.Timeout\.$"
    ):
        Timeout.of(httpx2.Timeout(5))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] what people try


def test_an_operation_shown_by_a_debugger_or_a_log_keeps_what_was_asked_to_itself() -> None:
    asked = Operation("POST", path("/form/human_input/{}", "s3cret"), json={"query": "s3cret"})
    assert repr(asked) == "Operation(method='POST')"
