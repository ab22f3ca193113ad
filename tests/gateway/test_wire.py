"""What a chat completion request may say, and how its answers look on the wire."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendify.gateway.errors import OpenAIError
from opendify.gateway.wire import SETTINGS, Frames, UrlCitation, parse

MESSAGES = [{"role": "user", "content": "Hi"}]


def body(**fields: object) -> bytes:
    return json.dumps({"model": "Support", "messages": MESSAGES} | fields).encode()


def test_a_minimal_request_is_enough() -> None:
    request = parse(body())
    assert (request.model, request.stream, request.n, request.messages[0].text) == ("Support", False, 1, "Hi")


def test_settings_that_dify_has_no_place_for_are_named_not_refused() -> None:
    request = parse(body(temperature=0.2, top_p=1, seed=7, made_up={"deep": [1]}, stream=True))
    assert list(request.ignored) == ["temperature", "top_p", "seed", "made_up"]
    known: dict[str, object] = dict.fromkeys(SETTINGS)
    assert sorted(parse(body(**known, stream=True)).ignored) == sorted(SETTINGS)
    assert list(parse(body(stream=True, n=1)).ignored) == []


FUNCTION = {"name": "look"}


@pytest.mark.parametrize(
    ("fields", "ignored"),
    [
        (
            {"tools": [{"type": "function", "function": FUNCTION}], "functions": [FUNCTION]},
            ["functions"],
        ),
        (
            {"tools": [{"type": "function", "function": FUNCTION}], "function_call": "none"},
            ["function_call"],
        ),
        (
            {"functions": [FUNCTION], "tool_choice": "required", "parallel_tool_calls": False},
            ["tool_choice", "parallel_tool_calls"],
        ),
        ({"functions": [FUNCTION], "function_call": "auto"}, []),
    ],
)
def test_what_belongs_to_the_other_form_of_tools_is_named_as_ignored(
    fields: dict[str, object], ignored: list[str]
) -> None:
    assert list(parse(body(**fields)).ignored) == ignored


def test_a_response_format_that_says_nothing_is_refused() -> None:
    with pytest.raises(OpenAIError) as refused:
        parse(body(response_format={}))
    assert (refused.value.param, refused.value.message) == (
        "response_format.type",
        "'response_format.type' is missing.",
    )


def test_a_field_that_is_missing_is_named_once() -> None:
    with pytest.raises(OpenAIError) as refused:
        parse(b'{"model": "Support"}')
    assert (refused.value.param, refused.value.message) == ("messages", "'messages' is missing.")


def test_null_means_that_a_field_was_left_out() -> None:
    request = parse(
        body(stream=None, n=None, stop=None, user=None, stream_options=None, metadata=None, inputs=None)
    )
    assert (request.n, list(request.stop), request.inputs) == (1, [], None)


@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": {"city": "Rome"}},
        {"metadata": {"inputs": '{"city": "Rome"}'}},
        {"metadata": {"inputs": {"city": "Rome"}}},
        {"inputs": {"city": "Rome"}, "metadata": {"inputs": '{"city": "Oslo"}'}},
    ],
)
def test_inputs_come_in_the_body_or_as_json_in_metadata(fields: dict[str, object]) -> None:
    assert parse(body(**fields)).inputs == {"city": "Rome"}


def test_a_conversation_is_named_in_the_body_or_in_metadata() -> None:
    assert parse(body(conversation_id="a", metadata={"conversation_id": "b"})).conversation_id == "a"
    assert parse(body(metadata={"conversation_id": "b"})).conversation_id == "b"


def test_the_safety_identifier_wins_over_the_older_user() -> None:
    assert parse(body(user="old", safety_identifier="new")).user == "new"


def test_text_parts_are_joined_by_newlines() -> None:
    content = [
        {"type": "text", "text": "one"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
    ]
    message = {"role": "user", "content": [*content, {"type": "text", "text": "two"}]}
    assert parse(body(messages=[message])).messages[0].text == "one\ntwo"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": 3}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}, "messages[0].content[0].type"),
        ({"n": 0}, "n"),
        ({"n": 1000000}, "n"),
        ({"n": "two"}, "n"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stop": "x" * 1001}, "stop"),
        ({"inputs": json.loads('{"a":' * 300 + "1" + "}" * 300)}, "inputs"),
        ({"metadata": {"inputs": '{"a":' * 300 + "1" + "}" * 300}}, "inputs"),
        ({"stream": "yes"}, "stream"),
        ({"stop": [1]}, "stop[0]"),
        ({"inputs": [1]}, "inputs"),
        ({"metadata": {"inputs": "not json"}}, "metadata.inputs"),
        ({"metadata": {"inputs": "[1]"}}, "metadata.inputs"),
        ({"metadata": {"conversation_id": 3}}, "metadata.conversation_id"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, object], param: str) -> None:
    with pytest.raises(OpenAIError) as refused:
        parse(body(**fields))
    assert (refused.value.status, refused.value.param) == (400, param)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"model": NaN}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"model": "\\ud800"}',
    ],
)
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(OpenAIError) as refused:
        parse(data)
    assert refused.value.status == 400


@given(st.text())
def test_any_text_survives_its_frame(text: str) -> None:
    frames = Frames("chatcmpl-1", 1_700_000_000, '名 "x"', 2)
    for frame, field in ((frames.content(text), "content"), (frames.reasoning(text), "reasoning_content")):
        assert frame.startswith(b"data: ")
        assert frame.endswith(b"\n\n")
        assert b"\n" not in frame[:-2]
        chunk = json.loads(frame.removeprefix(b"data: "))
        assert chunk["choices"] == [
            {"index": 2, "delta": {field: text}, "logprobs": None, "finish_reason": None}
        ]
        assert chunk["model"] == '名 "x"'


def test_the_last_chunks_carry_reason_sources_usage_and_difys_names() -> None:
    frames = Frames("chatcmpl-1", 1_700_000_000, "Support")
    source: UrlCitation = {"url": "https://x", "title": "X", "start_index": 0, "end_index": 2}
    finish = json.loads(
        frames.finish("stop", [{"type": "url_citation", "url_citation": source}], {"message_id": "m"})[6:]
    )
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert finish["choices"][0]["delta"]["annotations"][0]["url_citation"] == source
    assert finish["dify"] == {"message_id": "m"}
    usage = json.loads(frames.usage({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}, {})[6:])
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
