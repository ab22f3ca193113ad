"""Every format in which models write calls, well and badly, plain and streamed, in any pieces."""

import re
from typing import Any

import pytest
from openai import OpenAI

from opendify.simulator.calls import AFTER, BEFORE, DEFECTS, FORMATS

from .clients import Answer, plain, streamed
from .test_tools import ARGUMENTS, CALL, CALLED, TOOLS

MARKUP = re.compile(r"[<>\[\]{}|｜`▁]|get_weather|TOOL|function")
"""What no text of a client may hold."""

CHATTER = {
    "chatter_before": [BEFORE.strip()],
    "chatter_after": [AFTER.strip()],
    "chatter_around": [BEFORE.strip(), AFTER.strip()],
    "no_call": ["I would call get_weather for that."],
}
"""Defects that leave text, and its lines. All others leave none."""

CALLS: dict[str, Any] = {
    "no_call": [],
    "wrong_type": [("get_weather", {**ARGUMENTS, "days": {"of": "no use"}})],
}
"""Defects that leave other calls than those that were meant."""

TEXTS = ("invoke", "invoke_prefixed", "dsml")
"""Formats in which an argument is a text that only the schema makes something else of."""

UNKNOWN = [name for name in FORMATS if name != "pythonic"]
"""Formats in which a call is one though nobody knows its tool. Words before a parenthesis are just words."""


def answers(openai: OpenAI, user: str, script: str) -> list[Answer]:
    """The same answer plainly, and as a stream out of single characters, of lumps, and of one."""
    asked = "Simulated Chat", f"How is it? {script}"
    pieces = [f"{asked[1]} [[lump{size}]]" for size in (":1", ":7", "")]
    return [
        plain(openai, *asked, tools=TOOLS, user=user),
        *(streamed(openai, asked[0], question, tools=TOOLS, user=user) for question in pieces),
    ]


def lines(answer: Answer) -> list[str]:
    return [line for line in answer.content.splitlines() if line]


@pytest.mark.parametrize("format_", FORMATS)
def test_calls_are_read_in_every_format(openai: OpenAI, user: str, format_: str) -> None:
    for answer in answers(openai, user, f"{CALL} [[call:get_time]] [[as:{format_}]]"):
        assert answer.calls == [*CALLED, ("get_time", {})]
        assert (answer.content, answer.finish_reason) == ("", "tool_calls")


@pytest.mark.parametrize("defect", [name for name in DEFECTS if name != "unknown_name"])
@pytest.mark.parametrize("format_", FORMATS)
def test_calls_are_read_though_they_are_written_badly(
    openai: OpenAI, user: str, format_: str, defect: str
) -> None:
    expected = CALLS.get(defect, CALLED)
    if defect == "wrong_type" and format_ in TEXTS:
        expected = [("get_weather", {**ARGUMENTS, "days": '{"of": "no use"}'})]
    for answer in answers(openai, user, f"{CALL} [[as:{format_}:{defect}]]"):
        assert answer.calls == expected
        assert lines(answer) == CHATTER.get(defect, [])
        assert answer.finish_reason == ("tool_calls" if answer.calls else "stop")


@pytest.mark.parametrize("format_", UNKNOWN)
def test_no_markup_of_a_call_that_is_corrected_is_seen(openai: OpenAI, user: str, format_: str) -> None:
    script = f"[[reply:Let me see.]] {CALL} [[as:{format_}:unknown_name]] [[then]] {CALL} [[as:{format_}]]"
    for answer in answers(openai, user, script):
        assert answer.calls == CALLED
        assert not MARKUP.search(answer.content)


@pytest.mark.parametrize("format_", FORMATS)
def test_without_tools_every_format_is_text(openai: OpenAI, user: str, format_: str) -> None:
    answer = plain(openai, "Simulated Chat", f"{CALL} [[as:{format_}]]", user=user)
    assert (answer.calls, answer.finish_reason) == ([], "stop")
    assert MARKUP.search(answer.content)
