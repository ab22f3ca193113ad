"""How the scripted model writes calls of tools and JSON, well and badly."""

from __future__ import annotations

import json

import pytest

from opendify.simulator.calls import DEFECTS, FORMATS, Call, write_calls, write_json
from opendify.simulator.model import Prompt, Said, directed, write

_CALLS = (Call("f", {"city": "Oslo", "n": 3, "on": True}), Call("g", {}))

_PREFIX = "antml" + ":"

_WRITTEN = {
    "tagged": """
<tool_call>
{"name": "f", "arguments": {"city": "Oslo", "n": 3, "on": true}}
</tool_call>
<tool_call>
{"name": "g", "arguments": {}}
</tool_call>""",
    "tagged_list": """
<tool_call>
[{"name": "f", "arguments": {"city": "Oslo", "n": 3, "on": true}}, {"name": "g", "arguments": {}}]
</tool_call>""",
    "tool_calls_tag": """
<tool-calls>
[{"name": "f", "arguments": {"city": "Oslo", "n": 3, "on": true}}, {"name": "g", "arguments": {}}]
</tool-calls>""",
    "tool_calls": """
{"tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": {"city": "Oslo", \
"n": 3, "on": true}}}, {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": {}}}]}""",
    "tool_calls_fenced": """
```json
{"tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": {"city": "Oslo", \
"n": 3, "on": true}}}, {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": {}}}]}
```""",
    "function_call": """
{"function_call": {"name": "f", "arguments": {"city": "Oslo", "n": 3, "on": true}}}
{"function_call": {"name": "g", "arguments": {}}}""",
    "function_call_fenced": """
```json
{"function_call": {"name": "f", "arguments": {"city": "Oslo", "n": 3, "on": true}}}
```

```json
{"function_call": {"name": "g", "arguments": {}}}
```""",
    "invoke": """
<function_calls>
<invoke name="f">
<parameter name="city">Oslo</parameter>
<parameter name="n">3</parameter>
<parameter name="on">true</parameter>
</invoke>
<invoke name="g">
</invoke>
</function_calls>""",
    "invoke_prefixed": f"""
<{_PREFIX}function_calls>
<{_PREFIX}invoke name="f">
<{_PREFIX}parameter name="city">Oslo</{_PREFIX}parameter>
<{_PREFIX}parameter name="n">3</{_PREFIX}parameter>
<{_PREFIX}parameter name="on">true</{_PREFIX}parameter>
</{_PREFIX}invoke>
<{_PREFIX}invoke name="g">
</{_PREFIX}invoke>
</{_PREFIX}function_calls>""",
    "function_tag": """
<function=f>{"city": "Oslo", "n": 3, "on": true}</function>
<function=g>{}</function>""",
    "mistral": """
[TOOL_CALLS] [{"name": "f", "arguments": {"city": "Oslo", "n": 3, "on": true}}, \
{"name": "g", "arguments": {}}]""",
    "mistral_named": """
[TOOL_CALLS]f[ARGS]{"city": "Oslo", "n": 3, "on": true}[TOOL_CALLS]g[ARGS]{}""",
    "python_tag": """
<|python_tag|>{"name": "f", "parameters": {"city": "Oslo", "n": 3, "on": true}}; \
{"name": "g", "parameters": {}}""",
    "deepseek_v3": """
<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f
```json
{"city": "Oslo", "n": 3, "on": true}
```<｜tool▁call▁end｜>
<｜tool▁call▁begin｜>function<｜tool▁sep｜>g
```json
{}
```<｜tool▁call▁end｜><｜tool▁calls▁end｜>""",
    "deepseek_v3_1": """
<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>\
{"city": "Oslo", "n": 3, "on": true}<｜tool▁call▁end｜>
<｜tool▁call▁begin｜>g<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>""",
    "dsml": """
<｜DSML｜function_calls>
<｜DSML｜invoke name="f">
<｜DSML｜parameter name="city" string="true">Oslo</｜DSML｜parameter>
<｜DSML｜parameter name="n" string="false">3</｜DSML｜parameter>
<｜DSML｜parameter name="on" string="false">true</｜DSML｜parameter>
</｜DSML｜invoke>
<｜DSML｜invoke name="g">
</｜DSML｜invoke>
</｜DSML｜function_calls>""",
    "pythonic": """
[f(city="Oslo", n=3, on=True), g()]""",
}
"""What each format makes of the calls above, after a line break."""


def test_every_format_is_in_the_table() -> None:
    assert list(_WRITTEN) == list(FORMATS)


@pytest.mark.parametrize("format_", FORMATS)
def test_each_format_is_written_as_models_write_it(format_: str) -> None:
    assert "\n" + write_calls(_CALLS, format_) == _WRITTEN[format_]


_BAD = {
    "no_closer": """<tool_call>
{"name": "f", "arguments": {"city": "Oslo", "n": 3, "on": true}}""",
    "no_closers": """<tool_call>
{"name": "f", "arguments": {"city": "Oslo", "n": 3, "on": true""",
    "trailing_comma": """<tool_call>
{"name": "f", "arguments": {"city": "Oslo", "n": 3, "on": true,},}
</tool_call>""",
    "single_quotes": """<tool_call>
{'name': 'f', 'arguments': {'city': 'Oslo', 'n': 3, 'on': true}}
</tool_call>""",
    "python_literals": """<tool_call>
{"name": "f", "arguments": {"city": "Oslo", "n": 3, "on": True}}
</tool_call>""",
    "string_arguments": r"""<tool_call>
{"name": "f", "arguments": "{\"city\": \"Oslo\", \"n\": 3, \"on\": true}"}
</tool_call>""",
    "numbers_as_text": """<tool_call>
{"name": "f", "arguments": {"city": "Oslo", "n": "3", "on": "true"}}
</tool_call>""",
    "wrong_type": """<tool_call>
{"name": "f", "arguments": {"city": "Oslo", "n": {"of": "no use"}, "on": {"of": "no use"}}}
</tool_call>""",
    "unknown_name": """<tool_call>
{"name": "f_of_nowhere", "arguments": {"city": "Oslo", "n": 3, "on": true}}
</tool_call>""",
    "chatter_before": """Let me look that up.

<tool_call>
{"name": "f", "arguments": {"city": "Oslo", "n": 3, "on": true}}
</tool_call>""",
    "chatter_after": """<tool_call>
{"name": "f", "arguments": {"city": "Oslo", "n": 3, "on": true}}
</tool_call>

I will tell you as soon as I know.""",
    "chatter_around": """Let me look that up.

<tool_call>
{"name": "f", "arguments": {"city": "Oslo", "n": 3, "on": true}}
</tool_call>

I will tell you as soon as I know.""",
    "no_call": "I would call f for that.",
    "invented_result": """<tool_call>
{"name": "f", "arguments": {"city": "Oslo", "n": 3, "on": true}}
</tool_call>
<tool_response>
{"ok": true}
</tool_response>
It worked: all is well.""",
}


def test_every_defect_is_in_the_table() -> None:
    assert list(_BAD) == list(DEFECTS)


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_spoils_a_call(defect: str) -> None:
    assert write_calls(_CALLS[:1], "tagged", [defect]) == _BAD[defect]


_UNSPOILT = {
    "trailing_comma": ("invoke", "invoke_prefixed", "dsml", "pythonic"),
    "single_quotes": ("invoke", "invoke_prefixed", "dsml"),
    "python_literals": ("pythonic",),
    "string_arguments": ("invoke", "invoke_prefixed", "dsml", "pythonic"),
    "numbers_as_text": ("invoke", "invoke_prefixed"),
}
"""Defects, and the formats that have no room for them."""


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_shows_in_every_format_that_has_room_for_it(defect: str) -> None:
    same = [name for name in FORMATS if write_calls(_CALLS, name, [defect]) == write_calls(_CALLS, name)]
    assert tuple(same) == _UNSPOILT.get(defect, ())


def test_a_bracket_at_the_end_of_a_text_stays_where_tags_are_missing() -> None:
    written = write_calls([Call("f", {"city": "Oslo (north)"})], "invoke", ["no_closers"])
    assert written.endswith("Oslo (north)")


@pytest.mark.parametrize(
    ("ways", "text"),
    [
        ([], '{"a":1.0, "b": null}'),
        (["fenced"], '```json\n{"a":1.0, "b": null}\n```'),
        (
            ["chatter_around"],
            'Let me look that up.\n\n{"a":1.0, "b": null}\n\nI will tell you as soon as I know.',
        ),
        (["no_closer"], '{"a":1.0, "b": null'),
        (["single_quotes", "python_literals"], "{'a': 1.0, 'b': None}"),
        (["trailing_comma", "fenced", "no_closer"], '```json\n{"a": 1.0, "b": null,}'),
        (["wrong_type"], '{"a": {"of": "no use"}, "b": null}'),
    ],
)
def test_json_is_written_well_and_badly(ways: list[str], text: str) -> None:
    assert write_json('{"a":1.0, "b": null}', ways) == text


def _said(query: str, *history: Said) -> str:
    script = write(Prompt("chat", "ada", query, history=history), pace=0, directives=directed(query, history))
    return script.text


def test_the_model_calls_what_it_is_told_to_call() -> None:
    assert json.loads(_said('[[call:f:{"a": 1}]]').split("\n")[1]) == {"name": "f", "arguments": {"a": 1}}
    assert _said("[[call:f]] [[call:g]] [[as:pythonic]]") == "[f(), g()]"
    assert _said("[[call:mcp:files/read]] [[as:pythonic]]") == "[mcp:files/read()]"


def test_brackets_inside_of_arguments_end_no_directive() -> None:
    said = _said('Call [[call:f:{"a": [[1, 2]], "b": "x]] y"}]] [[as:function_tag]] now.')
    assert said == '<function=f>{"a": [[1, 2]], "b": "x]] y"}</function>'


def test_any_text_can_be_said() -> None:
    text = '[[x]] ]] <tool_call> "\n\\ 你好 {~}'
    assert _said(f"[[text:{json.dumps(text)}]]") == text


def test_a_reply_stands_before_the_calls() -> None:
    assert _said("[[reply:Let me see.]] [[call:f]] [[as:pythonic]]") == "Let me see.\n\n[f()]"


def test_thinking_stands_before_the_calls() -> None:
    assert _said("[[think:Hm]] [[call:f]] [[as:pythonic]]") == "<think>\nHm\n</think>\n[f()]"


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (
            "Answer with <tool_call>{…}</tool_call>.",
            '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>',
        ),
        ("Answer with [TOOL_CALLS] […].", '[TOOL_CALLS] [{"name": "f", "arguments": {}}]'),
        ('Answer with <function=name>{"a": 1}</function>', "<function=f>{}</function>"),
        ("Answer.", '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'),
    ],
)
def test_calls_are_written_as_the_prompt_asks(prompt: str, said: str) -> None:
    assert _said(f"{prompt}\n\n[[call:f]]") == said
    assert _said("[[call:f]]", Said("user", prompt), Said("assistant", "Well.")) == said


def test_a_script_goes_on_turn_by_turn() -> None:
    first = Said(
        "user", "[[call:f]] [[as:pythonic]] [[then]] [[call:g]] [[as:pythonic]] [[then]] [[reply:Done.]]"
    )
    said = [_said(first.content)]
    history = [first, Said("assistant", said[0])]
    for result in ("One.", "Two.", "Three."):
        said.append(_said(result, *history))
        history += [Said("user", result), Said("assistant", said[-1])]
    assert said[:3] == ["[f()]", "[g()]", "Done."]
    assert said[3].endswith("You said: “Three.”")


def test_a_new_question_with_directives_begins_a_new_script() -> None:
    history = (Said("user", "[[call:f]] [[then]] [[reply:old]]"), Said("assistant", "…"))
    assert _said("[[reply:new]]", *history) == "new"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("<tool_response>\n21 degrees\n</tool_response>", "The tool said: 21 degrees"),
        (
            '<tool_response>\n{"name": "f", "content": "21 degrees"}\n</tool_response>',
            "The tool f said: 21 degrees",
        ),
        (
            '<function_results>\n{"id": "call_1", "content": {"a": [1]}}\n</function_results>',
            'The tool call_1 said: {"a": [1]}',
        ),
        ('[TOOL_RESULTS] {"name": "f", "content": []} [/TOOL_RESULTS]', "The tool f said: []"),
        (
            '```json\n{"function_result": {"name": "f", "arguments": {"n": 1}, "content": "一"}}\n```\n'
            '```json\n{"function_result": {"name": "f", "arguments": {"n": 2}, "content": "二"}}\n```',
            'The tool f({"n": 1}) said: 一\nThe tool f({"n": 2}) said: 二',
        ),
    ],
)
def test_results_are_quoted_when_nothing_else_is_scripted(told: str, said: str) -> None:
    assert _said(told, Said("user", "[[call:f]]"), Said("assistant", "…")) == said


_ASKED = "[[call:f]] [[as:pythonic]] [[then]] [[call:g]] [[as:pythonic]] [[then]] [[reply:Done.]]"
_RESULT = "<tool_response>\n1\n</tool_response>"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (f"<history>\nuser: Hi\n\nassistant: Hello\n</history>\n\nCurrent question: {_ASKED}", "[f()]"),
        (f"<history>\nuser: {_ASKED}\n\nassistant: [f()]\n</history>\n\n{_RESULT}", "[g()]"),
        (
            f"<history>\nuser: {_ASKED}\n\nassistant: [f()]\n\ntool: {_RESULT}\n\nassistant: [g()]\n"
            f"</history>\n\n{_RESULT}",
            "Done.",
        ),
        (
            f"<history>\nuser: {_ASKED}\n\nassistant: [f()]\n\nuser: [[call:h]]\n\nassistant: [h()]\n"
            f"</history>\n\n{_RESULT}",
            "The tool said: 1",
        ),
        (
            f"<history>\nuser: {_ASKED}\n\nassistant: [f()]\n</history>\n\n{_RESULT}\n\n"
            "<reply>\n[g()]\n</reply>\n\nWrong.",
            "Done.",
        ),
        (f"{_ASKED}\n\n<reply>\n[f()]\n</reply>\n\nYour last reply was wrong.", "[g()]"),
    ],
)
def test_a_script_goes_on_in_apps_that_are_told_all_in_one_question(query: str, said: str) -> None:
    assert _said(query) == said


def test_a_script_in_a_history_goes_on_in_later_turns_of_the_conversation() -> None:
    told = f"<history>\nuser: {_ASKED}\n\nassistant: [f()]\n</history>\n\n{_RESULT}"
    assert _said("Once more.", Said("user", told), Said("assistant", "[g()]")) == "Done."


def test_a_script_in_a_history_means_nothing_to_another_question() -> None:
    said = _said(f"<history>\nuser: {_ASKED}\n\nassistant: [f()]\n</history>\n\nCurrent question: Hi")
    assert said.endswith("Current question: Hi”")


@pytest.mark.parametrize(
    "told",
    ['Call f by <tool_call>{"name": "f"}</tool_call>.', 'Answer in JSON that fits {"type": "object"}.'],
)
def test_tools_and_schemas_are_not_repeated(told: str) -> None:
    said = _said(f"{told}\n\nWhat is new?")
    assert said == "This is a simulated answer; no model was asked. You said: “What is new?”"


def test_the_form_that_a_correction_shows_is_not_repeated() -> None:
    said = _said('Write the call in this form:\n<tool_call>\n{"name": "f"}\n</tool_call>')
    assert said.endswith("You said: “Write the call in this form:”")
