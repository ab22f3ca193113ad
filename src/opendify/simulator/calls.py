"""How models that only speak text call tools: the formats of calls, and what models get wrong. Pure.

The formats are those that models were trained on, or are asked for in prompts. A new one is a function and a
line in `FORMATS`; a new mistake is a line in `DEFECTS` and what `Writer` or `write` does about it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from opendify.simulator.wire import array, mapping

DEFECTS: Final[Mapping[str, str]] = {
    "no_closer": "the last closing tag or bracket is missing",
    "no_closers": "all closing tags and brackets at the end are missing, as in an answer that was cut off",
    "trailing_comma": "a comma before every closing bracket of the JSON",
    "single_quotes": "single quotes instead of double ones",
    "python_literals": "`True`, `False` and `None` in the JSON",
    "string_arguments": "the arguments are JSON inside a string",
    "numbers_as_text": 'every number, `true` and `false` is a text: `"3"` for `3`',
    "wrong_type": "every number, `true` and `false` is an object",
    "unknown_name": "`_of_nowhere` is added to the names",
    "chatter_before": "a sentence before",
    "chatter_after": "a sentence after",
    "chatter_around": "both",
    "no_call": "the model only says that it would call",
    "invented_result": "the model goes on after the calls with results that it makes up",
}
"""What can be wrong, by name."""

_DEFECTS_OF_JSON: Final = frozenset(
    ("trailing_comma", "single_quotes", "python_literals", "numbers_as_text", "wrong_type")
)
BEFORE: Final = "Let me look that up.\n\n"
AFTER: Final = "\n\nI will tell you as soon as I know."
_NO_NUMBER: Final = {"of": "no use"}
_INVENTED: Final = "It worked: all is well."


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool that the model means."""

    name: str
    arguments: Mapping[str, object]


class Writer:
    """Writes JSON, well or badly.

    >>> Writer(["single_quotes", "python_literals", "trailing_comma"]).json({"a": [True, "it's"]})
    "{'a': [True, 'it\\\\'s',],}"
    >>> Writer([]).json({"a": [True, "它"]})
    '{"a": [true, "它"]}'
    """

    def __init__(self, defects: Iterable[str]) -> None:
        self.defects = frozenset(defects)
        self._comma = "," if "trailing_comma" in self.defects else ""
        self._literal: Callable[[object], str] = str if "python_literals" in self.defects else json.dumps

    def json(self, value: object) -> str:
        """A value as JSON text."""
        if (pairs := mapping(value)) is not None:
            return self._group("{}", [f"{self.json(name)}: {self.json(one)}" for name, one in pairs.items()])
        if (items := array(value)) is not None:
            return self._group("[]", [self.json(item) for item in items])
        return self._quoted(value) if isinstance(value, str) else self._literal(value)

    def arguments(self, call: Call) -> object:
        """The arguments as they stand in the JSON of a call."""
        text = "string_arguments" in self.defects
        return json.dumps(call.arguments, ensure_ascii=False) if text else call.arguments

    def call(self, call: Call, arguments: str = "arguments") -> dict[str, object]:
        """A call as an object of a name and arguments."""
        return {"name": call.name, arguments: self.arguments(call)}

    def _quoted(self, text: str) -> str:
        quoted = json.dumps(text, ensure_ascii=False)
        if "single_quotes" not in self.defects:
            return quoted
        return "'" + quoted[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"

    def _group(self, brackets: str, items: Sequence[str]) -> str:
        return brackets[0] + ", ".join(items) + (self._comma if items else "") + brackets[1]


# The formats


def _tagged(calls: Sequence[Call], to: Writer) -> str:
    return "\n".join(f"<tool_call>\n{to.json(to.call(call))}\n</tool_call>" for call in calls)


def _tagged_list(calls: Sequence[Call], to: Writer) -> str:
    return f"<tool_call>\n{_array(calls, to)}\n</tool_call>"


def _tool_calls_tag(calls: Sequence[Call], to: Writer) -> str:
    return f"<tool-calls>\n{_array(calls, to)}\n</tool-calls>"


def _tool_calls(calls: Sequence[Call], to: Writer) -> str:
    listed = [
        {"id": f"call_{at}", "type": "function", "function": to.call(call)}
        for at, call in enumerate(calls, start=1)
    ]
    return to.json({"tool_calls": listed})


def _function_call(calls: Sequence[Call], to: Writer) -> str:
    return "\n".join(to.json({"function_call": to.call(call)}) for call in calls)


def _tool_calls_fenced(calls: Sequence[Call], to: Writer) -> str:
    return fenced(_tool_calls(calls, to))


def _function_call_fenced(calls: Sequence[Call], to: Writer) -> str:
    return "\n\n".join(fenced(_function_call([call], to)) for call in calls)


def _invoke(calls: Sequence[Call], to: Writer, prefix: str = "") -> str:
    lines = [f"<{prefix}function_calls>"]
    for call in calls:
        lines.append(f'<{prefix}invoke name="{call.name}">')
        for name, value in call.arguments.items():
            lines.append(f'<{prefix}parameter name="{name}">{_raw(value, to)}</{prefix}parameter>')
        lines.append(f"</{prefix}invoke>")
    return "\n".join([*lines, f"</{prefix}function_calls>"])


def _invoke_prefixed(calls: Sequence[Call], to: Writer) -> str:
    return _invoke(calls, to, "antml" + ":")


def _function_tag(calls: Sequence[Call], to: Writer) -> str:
    return "\n".join(f"<function={call.name}>{to.json(to.arguments(call))}</function>" for call in calls)


def _mistral(calls: Sequence[Call], to: Writer) -> str:
    return f"[TOOL_CALLS] {_array(calls, to)}"


def _mistral_named(calls: Sequence[Call], to: Writer) -> str:
    return "".join(f"[TOOL_CALLS]{call.name}[ARGS]{to.json(to.arguments(call))}" for call in calls)


def _python_tag(calls: Sequence[Call], to: Writer) -> str:
    return "<|python_tag|>" + "; ".join(to.json(to.call(call, "parameters")) for call in calls)


def _deepseek_v3(calls: Sequence[Call], to: Writer) -> str:
    return _deepseek(
        f"function<｜tool▁sep｜>{call.name}\n{fenced(to.json(to.arguments(call)))}" for call in calls
    )


def _deepseek_v3_1(calls: Sequence[Call], to: Writer) -> str:
    return _deepseek(f"{call.name}<｜tool▁sep｜>{to.json(to.arguments(call))}" for call in calls)


def _deepseek(calls: Iterable[str]) -> str:
    each = "\n".join(f"<｜tool▁call▁begin｜>{call}<｜tool▁call▁end｜>" for call in calls)
    return f"<｜tool▁calls▁begin｜>{each}<｜tool▁calls▁end｜>"


def _dsml(calls: Sequence[Call], to: Writer) -> str:
    lines = ["<｜DSML｜function_calls>"]
    for call in calls:
        lines.append(f'<｜DSML｜invoke name="{call.name}">')
        for name, value in call.arguments.items():
            string = "true" if isinstance(value, str) else "false"
            opening = f'<｜DSML｜parameter name="{name}" string="{string}">'
            lines.append(f"{opening}{_raw(value, to)}</｜DSML｜parameter>")
        lines.append("</｜DSML｜invoke>")
    return "\n".join([*lines, "</｜DSML｜function_calls>"])


def _pythonic(calls: Sequence[Call], to: Writer) -> str:
    python = Writer([*to.defects, "python_literals"])
    written = [
        f"{call.name}({', '.join(f'{name}={python.json(value)}' for name, value in call.arguments.items())})"
        for call in calls
    ]
    return f"[{', '.join(written)}]"


def _array(calls: Sequence[Call], to: Writer) -> str:
    return to.json([to.call(call) for call in calls])


def _raw(value: object, to: Writer) -> str:
    return value if isinstance(value, str) else to.json(value)


def fenced(text: str) -> str:
    """A text in a code fence.

    >>> fenced("{}")
    '```json\\n{}\\n```'
    """
    return f"```json\n{text}\n```"


FORMATS: Final[Mapping[str, Callable[[Sequence[Call], Writer], str]]] = {
    "tagged": _tagged,
    "tagged_list": _tagged_list,
    "tool_calls_tag": _tool_calls_tag,
    "tool_calls": _tool_calls,
    "tool_calls_fenced": _tool_calls_fenced,
    "function_call": _function_call,
    "function_call_fenced": _function_call_fenced,
    "invoke": _invoke,
    "invoke_prefixed": _invoke_prefixed,
    "function_tag": _function_tag,
    "mistral": _mistral,
    "mistral_named": _mistral_named,
    "python_tag": _python_tag,
    "deepseek_v3": _deepseek_v3,
    "deepseek_v3_1": _deepseek_v3_1,
    "dsml": _dsml,
    "pythonic": _pythonic,
}
"""How calls are written, by name."""

MARKS: Final[Mapping[str, str]] = {
    "<tool_call>": "tagged",
    "[TOOL_CALLS]": "mistral",
    "<|python_tag|>": "python_tag",
    "<invoke name=": "invoke",
    "<function=": "function_tag",
    '"function_call"': "function_call_fenced",
    '"tool_calls"': "tool_calls_fenced",
}
"""By what stands in a prompt that asks for calls, the format that it asks for."""


def asked_format(prompt: str) -> str | None:
    """The format in which a prompt asks for calls: that of the first mark in `MARKS` that stands in it.

    >>> asked_format('Write [TOOL_CALLS] [{"name": "…"}]'), asked_format("Hello")
    ('mistral', None)
    """
    return next((format_ for mark, format_ in MARKS.items() if mark in prompt), None)


_HEARD: Final = re.compile(
    r"<tool_response>(.*?)</tool_response>|<function_results>(.*?)</function_results>"
    r"|\[TOOL_RESULTS\](.*?)\[/TOOL_RESULTS\]|```json\s*\{\"function_result\": (.*?)\}\s*```",
    re.DOTALL,
)


def results(prompt: str) -> list[str]:
    """The results of tools in a prompt, in the forms in which models are told them.

    >>> results("<tool_response>\\nIt is noon.\\n</tool_response>")
    ['It is noon.']
    """
    return ["".join(found).strip() for found in _HEARD.findall(prompt)]


def quoted(prompt: str) -> str:
    """What the model says to the results of tools in a prompt; empty if there are none.

    >>> quoted('<tool_response>{"name": "look", "content": "Rain"}</tool_response>')
    'The tool look said: Rain'
    """
    return "\n".join(map(_quoted, results(prompt)))


def _quoted(result: str) -> str:
    try:
        said = mapping(json.loads(result))
    except ValueError:
        said = None
    if said is None or "content" not in said:
        return f"The tool said: {result}"
    name, content = said.get("name") or said.get("id") or "", said["content"]
    call = f" {name}({_json(said['arguments'])})" if "arguments" in said else f" {name}" if name else ""
    return f"The tool{call} said: {content if isinstance(content, str) else _json(content)}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


_RESULTS: Final[Mapping[str, str]] = {
    "invoke": "<function_results>\n{}\n</function_results>",
    "mistral": "[TOOL_RESULTS] {}[/TOOL_RESULTS]",
    "mistral_named": "[TOOL_RESULTS] {}[/TOOL_RESULTS]",
    "python_tag": "<|start_header_id|>ipython<|end_header_id|>\n\n{}<|eot_id|>",
    "deepseek_v3": "<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>{}<｜tool▁output▁end｜>"
    "<｜tool▁outputs▁end｜>",
    "deepseek_v3_1": "<｜tool▁output▁begin｜>{}<｜tool▁output▁end｜>",
}
"""How a model that goes on by itself writes a result; all others write it as Hermes models do."""
_HERMES: Final = "<tool_response>\n{}\n</tool_response>"


def write_calls(calls: Sequence[Call], format_: str, defects: Sequence[str] = ()) -> str:
    """The calls as a model writes them.

    Args:
        calls: at least one.
        format_: one of `FORMATS`.
        defects: some of `DEFECTS`. One that a format has no room for changes nothing.

    >>> print(write_calls([Call("get_time", {"zone": "UTC"})], "tagged"))
    <tool_call>
    {"name": "get_time", "arguments": {"zone": "UTC"}}
    </tool_call>
    >>> write_calls([Call("get_time", {"zone": "UTC"})], "pythonic", ["no_closers"])
    '[get_time(zone="UTC"'
    """
    if "no_call" in defects:
        return f"I would call {' and '.join(call.name for call in calls)} for that."
    text = FORMATS[format_]([_mistaken(call, defects) for call in calls], Writer(defects))
    text = _ended(text, defects, _CLOSING_TAG if format_ in _RAW else _CLOSER)
    if "invented_result" in defects:
        text += "\n" + _RESULTS.get(format_, _HERMES).format('{"ok": true}') + "\n" + _INVENTED
    return _chatting(text, defects)


def write_json(text: str, ways: Sequence[str] = ()) -> str:
    """A JSON answer as a model writes it.

    Args:
        text: the JSON; it is left as it is if nothing is wrong with it.
        ways: `fenced`, and some of `DEFECTS`.

    >>> write_json('{"a":1.0}', ["fenced"]), write_json('{"a":1.0}', ["trailing_comma"])
    ('```json\\n{"a":1.0}\\n```', '{"a": 1.0,}')
    """
    if set(ways) & _DEFECTS_OF_JSON:
        value: object = json.loads(text)
        pairs = mapping(value)
        text = Writer(ways).json(value if pairs is None else _mistaken(Call("", pairs), ways).arguments)
    return _chatting(_ended(fenced(text) if "fenced" in ways else text, ways, _CLOSER), ways)


def _mistaken(call: Call, defects: Sequence[str]) -> Call:
    name, arguments = call.name, dict(call.arguments)
    if "unknown_name" in defects:
        name += "_of_nowhere"
    if "numbers_as_text" in defects:
        arguments = {key: _with_numbers(value, json.dumps) for key, value in arguments.items()}
    if "wrong_type" in defects:
        arguments = {key: _with_numbers(value, lambda _: _NO_NUMBER) for key, value in arguments.items()}
    return Call(name, arguments)


def _with_numbers(value: object, change: Callable[[object], object]) -> object:
    """The value with something else for each of its numbers, `true` and `false`."""
    if (pairs := mapping(value)) is not None:
        return {name: _with_numbers(one, change) for name, one in pairs.items()}
    if (items := array(value)) is not None:
        return [_with_numbers(item, change) for item in items]
    return change(value) if isinstance(value, int | float) else value


_CLOSING_TAG: Final = re.compile(r"\n?</[^<>]+>\Z")
_CLOSER: Final = re.compile(r"\n?(?:</[^<>]+>|<｜[^<>]+end｜>|```|[\])}])\Z")
_RAW: Final = ("invoke", "invoke_prefixed", "dsml")
"""Formats in which a bracket before the closing tag may be part of a text."""


def _ended(text: str, defects: Sequence[str], closer: re.Pattern[str]) -> str:
    """The text without what closes it, if that is a defect."""
    if "no_closer" in defects:
        return closer.sub("", text)
    if "no_closers" in defects:
        while closer.search(text):
            text = closer.sub("", text)
    return text


def _chatting(text: str, defects: Sequence[str]) -> str:
    before = BEFORE if {"chatter_before", "chatter_around"} & set(defects) else ""
    after = AFTER if {"chatter_after", "chatter_around"} & set(defects) else ""
    return before + text + after
