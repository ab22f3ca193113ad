"""Calls are found in whatever form a model writes them, and nowhere else."""

from __future__ import annotations

import pytest

from opendify.gateway.tools.definitions import Toolset

from .tool_texts import TOOLS, calls, of, pieces, splits

_PREFIX = "ant" + "ml:"
PARIS = '{"city": "Paris"}'
_ENVELOPE = f'{{"name": "get_weather", "arguments": {PARIS}}}'
_STRING = '{"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\"}"}'
_BOTH = [("get_weather", '{"city":"Paris"}'), ("get_time", '{"zone":"CET"}')]
_TIME = '{"name": "get_time", "arguments": {"zone": "CET"}}'

ONE_CALL = {
    "tagged": f"<tool_call>{_ENVELOPE}</tool_call>",
    "tagged, over lines": f"<tool_call>\n{_ENVELOPE}\n</tool_call>",
    "tagged, arguments as a string": f"<tool_call>{_STRING}</tool_call>",
    "tagged, arguments first": f'<tool_call>{{"arguments": {PARIS}, "name": "get_weather"}}</tool_call>',
    "tagged, other words": f'<tool_call>{{"tool": "get_weather", "input": {PARIS}}}</tool_call>',
    "tagged, as OpenAI": f'<tool_call>{{"id": "1", "type": "function", "function": {_ENVELOPE}}}</tool_call>',
    "tagged, with a fence": f"<tool_call>\n```json\n{_ENVELOPE}\n```\n</tool_call>",
    "tool_calls, one": f"<tool_calls>{_ENVELOPE}</tool_calls>",
    "tool-calls, a list": f"<tool-calls>[{_ENVELOPE}]</tool-calls>",
    "function_call": f"<function_call>{_ENVELOPE}</function_call>",
    "bare tool_calls": f'{{"tool_calls": [{_ENVELOPE}]}}',
    "bare tool_calls, as OpenAI": f'{{"tool_calls": [{{"type": "function", "function": {_STRING}}}]}}',
    "bare function_call": f'{{"function_call": {_ENVELOPE}}}',
    "bare call": _ENVELOPE,
    "fenced tool_calls": f'```json\n{{"tool_calls": [{_ENVELOPE}]}}\n```',
    "fenced function_call": f'```json\n{{"function_call": {_ENVELOPE}}}\n```',
    "fenced, no language, one line": f'``` {{"function_call": {_ENVELOPE}}} ```',
    "fenced call": f"```json\n{_ENVELOPE}\n```",
    "fenced as tool_call": f"```tool_call\n{_ENVELOPE}\n```",
    "invoke": '<function_calls>\n<invoke name="get_weather">\n<parameter name="city">Paris</parameter>\n'
    "</invoke>\n</function_calls>",
    "invoke, alone": '<invoke name="get_weather"><parameter name="city">Paris</parameter></invoke>',
    "invoke, with a prefix": f'<{_PREFIX}function_calls>\n<{_PREFIX}invoke name="get_weather">\n'
    f'<{_PREFIX}parameter name="city">Paris</{_PREFIX}parameter>\n</{_PREFIX}invoke>\n'
    f"</{_PREFIX}function_calls>",
    "invoke, over lines": '<invoke name="get_weather">\n<parameter name="city">\nParis\n</parameter>'
    "\n</invoke>",
    "function=": f"<function=get_weather>{PARIS}</function>",
    "tagged, with bars": f"<|tool_call|>[{_ENVELOPE}]<|/tool_call|>",
    "function=, with an envelope": f"<function=get_weather>{_ENVELOPE}</function>",
    "tagged, arguments beside the name": '<tool_call>{"name": "get_weather", "city": "Paris"}</tool_call>',
    "DSML, with spaces": '< ｜DSML｜ function_calls>< ｜DSML｜ invoke name="get_weather">'
    '< ｜DSML｜ parameter name="city" string="true">Paris</ ｜DSML｜ parameter></ ｜DSML｜ invoke>'
    "</ ｜DSML｜ function_calls>",
    "function name=": f'<function name="get_weather">{PARIS}</function>',
    "Qwen3-coder": "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n"
    "</function>\n</tool_call>",
    "Mistral, a list": f"[TOOL_CALLS] [{_ENVELOPE}]",
    "Mistral, a name": f"[TOOL_CALLS]get_weather{PARIS}",
    "Mistral, a name and ARGS": f"[TOOL_CALLS]get_weather[ARGS]{PARIS}",
    "Mistral, with an id": f"[TOOL_CALLS]get_weather[CALL_ID]a1B2c3D4e[ARGS]{PARIS}",
    "Llama": f'<|python_tag|>{{"type": "function", "name": "get_weather", "parameters": {PARIS}}}<|eom_id|>',
    "Llama, built in": '<|python_tag|>get_weather.call(city="Paris")',
    "Llama, Python": "<|python_tag|>get_weather(city='Paris')",
    "DeepSeek V3": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n"
    f"```json\n{PARIS}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    "DeepSeek V3.1": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>"
    f"{PARIS}<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>",
    "DeepSeek, ASCII": "<|tool_calls_begin|><|tool_call_begin|>get_weather<|tool_sep|>"
    f"{PARIS}<|tool_call_end|><|tool_calls_end|>",
    "DSML": '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n'
    '<｜DSML｜parameter name="city" string="true">Paris</｜DSML｜parameter>\n'
    "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
    "DSML, ASCII": '<|DSML|function_calls><|DSML|invoke name="get_weather">'
    '<|DSML|parameter name="city" string="true">Paris</|DSML|parameter></|DSML|invoke>'
    "</|DSML|function_calls>",
    "Python": '[get_weather(city="Paris")]',
    "Python, no name": "[get_weather('Paris')]",
    "Kimi": "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0"
    f"<|tool_call_argument_begin|>{PARIS}<|tool_call_end|><|tool_calls_section_end|>",
    "GLM": "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>",
}

TWO_CALLS = {
    "tagged": f"<tool_call>{_ENVELOPE}</tool_call>\n<tool_call>{_TIME}</tool_call>",
    "tagged, a list": f"<tool_call>[{_ENVELOPE}, {_TIME}]</tool_call>",
    "tagged, without closers": f"<tool_call>{_ENVELOPE}\n<tool_call>{_TIME}",
    "tool_calls": f"<tool_calls>\n<tool_call>{_ENVELOPE}</tool_call>\n"
    f"<tool_call>{_TIME}</tool_call>\n</tool_calls>",
    "bare": f'{{"tool_calls": [{_ENVELOPE}, {_TIME}]}}',
    "bare, one behind the other": f"{_ENVELOPE}\n{_TIME}",
    "bare list": f"[{_ENVELOPE}, {_TIME}]",
    "invoke": '<function_calls><invoke name="get_weather"><parameter name="city">Paris</parameter></invoke>'
    '<invoke name="get_time"><parameter name="zone">CET</parameter></invoke></function_calls>',
    "function=": f'<function=get_weather>{PARIS}</function><function=get_time>{{"zone": "CET"}}</function>',
    "Mistral": f"[TOOL_CALLS] [{_ENVELOPE}, {_TIME}]",
    "Mistral, names": f'[TOOL_CALLS]get_weather{PARIS}[TOOL_CALLS]get_time{{"zone": "CET"}}',
    "Llama": f"<|python_tag|>{_ENVELOPE}; {_TIME}",
    "Python": '[get_weather(city="Paris"), get_time(zone="CET")]',
    "DeepSeek": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>"
    f"{PARIS}<｜tool▁call▁end｜>\n"
    '<｜tool▁call▁begin｜>get_time<｜tool▁sep｜>{"zone": "CET"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
}


@pytest.mark.parametrize("form", ONE_CALL)
def test_a_call_is_read_in_the_form(form: str) -> None:
    assert pieces(ONE_CALL[form]) == [("call", "get_weather"), ("arguments", '{"city":"Paris"}'), ("end", "")]


@pytest.mark.parametrize("form", TWO_CALLS)
def test_several_calls_are_read_in_the_form(form: str) -> None:
    found = pieces(TWO_CALLS[form])
    assert calls(found) == _BOTH
    assert of("text", found) == []


@pytest.mark.parametrize(
    "form", [f"{form}" for form in ONE_CALL if "bare call" not in form and form != "fenced call"]
)
def test_text_before_and_after_a_call_stays_and_no_mark_of_it(form: str) -> None:
    found = pieces(f"Let me look.\n{ONE_CALL[form]}\nOne moment.")
    assert calls(found) == _BOTH[:1]
    assert "".join(of("text", found)) == "Let me look.\nOne moment."


@pytest.mark.parametrize("form", [*ONE_CALL, *(f"two: {form}" for form in TWO_CALLS)])
def test_however_a_text_is_split_it_is_read_the_same(form: str) -> None:
    call = ONE_CALL[form] if form in ONE_CALL else TWO_CALLS[form.removeprefix("two: ")]
    for text in (call, f"Well. {call} Wait."):
        whole = pieces(text)
        for cuts in splits(text):
            assert pieces(text, cuts) == whole, cuts


def test_where_only_one_call_is_taken_the_first_one_ends_the_answer() -> None:
    single = Toolset(TOOLS.tools, TOOLS.allowed, parallel=False)
    for form in sorted(TWO_CALLS.keys() - {"bare list", "bare, one behind the other"}):
        text = TWO_CALLS[form]
        found = pieces(f"{text} More.", toolset=single)
        assert calls(found) == _BOTH[:1]
        assert found[-1] == ("over", "")


@pytest.mark.parametrize("fence", ["```json\n{}\n```", "```json {} ```", "~~~\n{}\n~~~"])
def test_a_fence_around_a_call_may_stand_behind_a_sentence_and_before_one(fence: str) -> None:
    call = f'{{"function_call": {_ENVELOPE}}}'
    text = f"Sure. {fence.replace('{}', call)} One moment."
    whole = pieces(text)
    assert calls(whole) == _BOTH[:1]
    assert "".join(of("text", whole)) == "Sure. One moment."
    for cuts in splits(text):
        assert pieces(text, cuts) == whole


@pytest.mark.parametrize(
    "arguments",
    [
        '{"city": "Rome", "city": "Oslo", "days": "3"}',
        '{"city": "a </tool_call> b", "note": "<think>", "tags": [1, true, null]}',
        '{"city": "\\ud83d\\ude00 \\ud83d \\n", "share": 1e999, "days": 1.0}',
        '{"city": "line\nbreak", "share": -0.0, "near": {"lat": "1.5", "zip": 8000}}',
        '{"city": 12, "exact": "true", "near": null, "other": {"a": {"b": []}}}',
        '{"city": "x", "share": NaN, "days": 123456789012345678901234567890}',
    ],
)
def test_arguments_that_come_whole_are_those_that_come_in_pieces(arguments: str) -> None:
    text = f'<tool_call>{{"name": "get_weather", "arguments": {arguments}}}</tool_call>'
    assert pieces(text) == pieces(text, range(1, len(text)))
