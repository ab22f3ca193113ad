"""What becomes of a call on its way: streamed, fitted, mended, refused; any text is read, split anywhere."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opendify.gateway.tools.definitions import Toolset
from opendify.gateway.tools.parser import CallParser

from .tool_texts import TOOLS, calls, joined, of, pieces, splits

PARIS = '{"city": "Paris"}'


def tagged(arguments: str, name: str = "get_weather") -> str:
    return f'<tool_call>{{"name": "{name}", "arguments": {arguments}}}</tool_call>'


def test_a_name_goes_out_as_soon_as_it_is_known_and_a_string_while_it_is_open() -> None:
    parser = CallParser(TOOLS)
    assert parser.feed('Well. <tool_call>{"name": "get_weather"') == [("text", "Well.")]
    assert parser.feed(', "arguments": {"city": "Par') == [
        ("call", "get_weather"),
        ("arguments", '{"city":"Par'),
    ]
    assert parser.feed("is and") == [("arguments", "is and")]
    assert parser.feed(' more", "days": "1') == [("arguments", ' more"')]
    assert parser.feed('2"}}') == [("arguments", ',"days":12}'), ("end", "")]


def test_plain_text_is_not_held() -> None:
    parser = CallParser(TOOLS)
    for text in ("a", " < b", " {x}", " [1]", "`c`", " <3", "\n- d"):
        assert "".join(of("text", parser.feed(text))).strip() == text.strip()


def test_only_what_may_become_a_mark_is_held() -> None:
    parser = CallParser(TOOLS)
    assert parser.feed("x <tool") == [("text", "x")]
    assert parser.feed("s are") == [("text", " <tools are")]
    assert parser.feed("\n[get_") == []
    assert parser.feed("up](x)") == [("text", "\n[get_up](x)")]


@pytest.mark.parametrize(
    ("given", "taken"),
    {
        '{"days": "3"}': '{"days":3}',
        '{"days": 3.0}': '{"days":3}',
        '{"days": "three"}': '{"days":"three"}',
        '{"share": "0.5"}': '{"share":0.5}',
        '{"exact": "true"}': '{"exact":true}',
        '{"exact": True}': '{"exact":true}',
        '{"tags": "[\\"a\\", \\"b\\"]"}': '{"tags":["a","b"]}',
        '{"tags": [1, "b"]}': '{"tags":["1","b"]}',
        '{"near": {"lat": "1.5", "zip": 8000}}': '{"near":{"lat":1.5,"zip":"8000"}}',
        '{"near": "null"}': '{"near":null}',
        '{"near": None}': '{"near":null}',
        '{"city": 3}': '{"city":"3"}',
        '{"note": "null"}': '{"note":"null"}',
        '{"share": NaN}': '{"share":null}',
        '{"city": "a", "city": "b"}': '{"city":"a"}',
        '{"other": "3"}': '{"other":"3"}',
        '{"city": "\\ud83d\\ude00 \\u00e9 \\ud83d!"}': '{"city":"😀 é \\ud83d!"}',
        "{'city': 'l\\'été', 'tags': ['x',],}": '{"city":"l\'été","tags":["x"]}',
        '{"city": "a\nb\tc"}': '{"city":"a\\nb\\tc"}',
        "{}": "{}",
        "null": "{}",
        '""': "{}",
    }.items(),
)
def test_arguments_are_fitted_to_the_schema_without_loss(given: str, taken: str) -> None:
    for cuts in splits(tagged(given)):
        assert calls(pieces(tagged(given), cuts)) == [("get_weather", taken)]


@pytest.mark.parametrize(
    ("text", "arguments"),
    {
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris': '{"city":"Paris"}',
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris}}</tool_call>': '{"city":"Paris"}',
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}</tool_call>': '{"city":"Paris"}',
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}}</tool_call>': '{"city":"Paris"}',
        '<tool_call>{name: "get_weather", arguments: {city: "Paris"}}</tool_call>': '{"city":"Paris"}',
        tagged('{"city": "the "big" one", "days": 2}'): '{"city":"the \\"big\\" one","days":2}',
        tagged('{"city": "Paris" "days": 2}'): '{"city":"Paris","days":2}',
        tagged('{"city": "Paris", // there\n "days": 2}'): '{"city":"Paris","days":2}',
        tagged('{"city": "ends </tool_call> here"}'): '{"city":"ends </tool_call> here"}',
        '<invoke name="get_weather"><parameter name="city">Paris</invoke>': '{"city":"Paris"}',
        '<invoke name="get_weather"><parameter name="city">Paris': '{"city":"Paris"}',
    }.items(),
)
def test_damaged_calls_are_mended_and_nothing_of_them_is_shown(text: str, arguments: str) -> None:
    for cuts in ([], *splits(text)):
        found = pieces(text, cuts)
        assert calls(found) == [("get_weather", arguments)], cuts
        assert of("text", found) == []


def test_what_does_not_fit_is_said_without_its_value() -> None:
    [fault] = of("end", pieces(tagged('{"city": "x", "days": "secret"}')))
    assert fault.startswith("$.days: ")
    assert "secret" not in fault
    [missing] = of("end", pieces(tagged("{}")))
    assert "city" in missing


def test_a_call_of_an_unknown_tool_is_told_and_nothing_of_it_is_shown() -> None:
    assert pieces(tagged('{"a": 1}', "nope") + "\nBye.") == [("stray", "nope"), ("text", "Bye.")]


def test_a_tool_that_is_not_allowed_now_is_as_good_as_unknown() -> None:
    narrow = Toolset(TOOLS.tools, frozenset({"get_time"}))
    assert pieces(tagged("{}"), toolset=narrow) == [("stray", "get_weather")]


@pytest.mark.parametrize(
    "result",
    [
        "<tool_response>18</tool_response>",
        "Observation: 18",
        "<function_results>18",
        "<｜tool▁outputs▁begin｜>18",
    ],
)
def test_a_result_that_the_model_invents_ends_the_answer(result: str) -> None:
    text = f"{tagged(PARIS)}\n{result} It is warm."
    for cuts in ([], *splits(text)):
        found = pieces(text, cuts)
        assert [kind for kind, _ in found] == ["call", "arguments", "end", "over"]


_MARKS = [
    "<tool_call>", "</tool_call>", "<tool_calls>", '{"name": "get_weather", "arguments": {"city": "P"}}',
    '{"tool_calls": [', '{"name": "', "get_weather", '"arguments": {', '"city": "', '"}}', "]}", "```",
    "```json\n", "\n", "`", "~~~", " ", '<invoke name="get_weather">', '<parameter name="city">',
    "</parameter>", "</invoke>", "<function=get_weather>", "</function>", "[TOOL_CALLS]", "[ARGS]",
    "<|python_tag|>", '(city="x")', "[get_weather(", ")]", "<｜tool▁calls▁begin｜>", "<｜tool▁sep｜>",
    "<tool_response>", "Observation:", "For example: ", "A. ", "a b", "<", "{", "[", '"', "'", "\\", "}",
    "\\ud83d", "\ud83d", "null", "1e999", "é", "，", "<arg_key>city</arg_key>", "<arg_value>", ",", ";", ":",
    "\r\n", "\r", "</arg_value>",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_MARKS) | st.text(max_size=5), max_size=14))
@example(["<function=get_weather>", "</function>", "Observation:", "18"])
@example(['<invoke name="get_weather">', '<parameter name="city">', "\r\n", "Rome", "\r\n", "</parameter>"])
@example(['<invoke name="get_weather">', '<parameter name="city">', "Rome", " ", " "])
@example(["<function=get_weather>", "</parameter>", '{"name": "get_weather", "arguments": {"city": "P"}}'])
def test_any_text_is_read_the_same_however_it_is_split(parts: list[str]) -> None:
    text = "".join(parts)
    whole = pieces(text)
    assert pieces(text, range(1, len(text))) == whole
    assert pieces(text, sorted(len("".join(parts[:index])) for index in range(len(parts)))) == whole
    for name, arguments in calls(whole):
        assert name in TOOLS.allowed
        assert isinstance(json.loads(arguments), dict)


@settings(max_examples=300, deadline=None)
@given(st.text())
@example("a <b> c  ")
def test_text_without_a_call_comes_back_as_it_was(text: str) -> None:
    assert "".join(of("text", pieces(text))) == text


@pytest.mark.parametrize(
    "arguments",
    [
        '{"x": ' + "[" * 10_000 + "]" * 10_000 + "}",
        '{"x": ' + '{"a":' * 10_000 + "1" + "}" * 10_000 + "}",
        "[" * 10_000,
        '{"x": ' + "9" * 5_000 + "}",
        '{"city": "' + "x" * 1_000_000 + '"}',
        '{"city": "' + "\\u0041" * 50_000,
    ],
)
def test_extreme_arguments_are_still_one_object(arguments: str) -> None:
    [(name, taken)] = calls(pieces(tagged(arguments)))
    assert name == "get_weather"
    assert taken.startswith("{")
    assert taken.endswith("}")


ADVERSE = [
    "<", "<tool_call>", '<tool_call>{"', "{", "[", "\n[get_weather(", "```\n", "`", "}", " \n", '{"', "('",
    '<tool_call>{"name":"get_weather","arguments":{"city":"', "```json\n{", "[TOOL_CALLS] [",
    "<｜tool▁sep｜>", '{"tool_calls":[', '<invoke name="get_weather"><parameter name="city">',
    "<|python_tag|>get_weather('",
]  # fmt: skip


@pytest.mark.parametrize("unit", ADVERSE)
def test_four_times_the_text_takes_about_four_times_the_work(unit: str) -> None:
    """Where all limits have been met; a quadratic reader takes sixteen times as much."""

    def work(size: int) -> float:
        return seconds((unit * (size // len(unit) + 1))[:size], 16)

    assert work(120_000) < 10 * (work(30_000) + 0.02)


def test_brackets_in_python_cost_the_same_however_deep_they_are() -> None:
    def work(depth: int) -> float:
        return seconds("[get_weather(city=" + "[" * depth + "]" * depth + ")]", depth)

    assert work(160_000) < 10 * (work(40_000) + 0.02)


def seconds(text: str, step: int) -> float:
    """What reading a text costs, of the processor's time."""
    best = float("inf")
    for _ in range(2):
        begun = time.process_time()
        parser = CallParser(TOOLS)
        for at in range(0, len(text), step):
            parser.feed(text[at : at + step])
        parser.flush()
        best = min(best, time.process_time() - begun)
    return best


def test_pieces_of_one_kind_come_joined() -> None:
    found = CallParser(TOOLS).feed(f"Well.\n{tagged(PARIS)}\nSo {tagged(PARIS)}")
    assert found == joined(found)
