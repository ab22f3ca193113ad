"""What a model is told of tools, and how calls and their results are written for it. Pure.

There is one row of `STYLES` for each way of writing that models were trained on. What is said around it is
the same for all, in English or Chinese.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast
from xml.sax.saxutils import quoteattr

import msgspec

from opendify.gateway.conversation import told
from opendify.gateway.errors import OpenAIError, invalid
from opendify.gateway.settings import ToolPrompt
from opendify.gateway.settings.values import digest as digest_of
from opendify.gateway.tools.compact import compact
from opendify.gateway.tools.definitions import Tool, Toolset
from opendify.gateway.tools.kept import MOST, MOST_BYTES, Keyed
from opendify.gateway.wire import Message, ToolCall

Mistake = Literal["no_call", "unknown_tool", "arguments"]
"""Why a model is asked again: it called nothing, or what is not there, or with arguments that don't fit."""

# ── How it is written ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Style:
    """How a family of models writes calls, and reads tools and results.

    Attributes:
        one: A call, from its tool's name and its arguments as JSON.
        calls: What stands before all calls, between two of them, and behind them.
        tools: What stands around the definitions.
        result: What stands around a result, which is JSON.
    """

    one: Callable[[str, str], str]
    calls: tuple[str, str, str]
    tools: tuple[str, str]
    result: tuple[str, str]

    def write(self, written: Sequence[str]) -> str:
        """Calls of `one`, with what stands around them."""
        before, between, after = self.calls
        return f"{before}{between.join(written)}{after}"


def _form(before: str, between: str, after: str) -> Callable[[str, str], str]:
    return lambda name, arguments: f"{before}{name}{between}{arguments}{after}"


def _invoke(name: str, arguments: str) -> str:
    """Each argument stands for itself: strings as they are, all else as JSON."""
    lines = [f"<invoke name={quoteattr(name)}>"]
    for parameter, value in _members(arguments):
        lines.append(f"<parameter name={quoteattr(parameter)}>{value}</parameter>")
    return "\n".join([*lines, "</invoke>"])


def _members(arguments: str) -> list[tuple[str, str]]:
    try:
        parsed: object = json.loads(arguments)
    except (ValueError, RecursionError):
        parsed = arguments
    if not isinstance(parsed, dict):
        return [("arguments", arguments)]
    members = cast("Mapping[str, object]", parsed)  # isinstance can't tell of what
    return [(name, value if isinstance(value, str) else _json(value)) for name, value in members.items()]


_TOOLS = ("<tools>\n", "\n</tools>")
_TOOL_RESPONSE = ("<tool_response>\n", "\n</tool_response>")

STYLES: Mapping[ToolPrompt, Style] = {
    # Hermes, Qwen, and most models that are trained on neither
    "tagged": Style(
        _form('<tool_call>\n{"name": "', '", "arguments": ', "}\n</tool_call>"),
        ("", "\n", ""),
        _TOOLS,
        _TOOL_RESPONSE,
    ),
    "fenced": Style(
        _form('```json\n{"function_call": {"name": "', '", "arguments": ', "}}\n```"),
        ("", "\n", ""),
        _TOOLS,
        ('```json\n{"function_result": ', "}\n```"),
    ),
    # Claude
    "invoke": Style(
        _invoke,
        ("<function_calls>\n", "\n", "\n</function_calls>"),
        ("<functions>\n", "\n</functions>"),
        ("<function_results>\n", "\n</function_results>"),
    ),
    # Llama's own form for a user's tools: servers often drop its <|python_tag|>, which is no text to them
    "llama": Style(_form("<function=", ">", "</function>"), ("", "\n", ""), _TOOLS, _TOOL_RESPONSE),
    "mistral": Style(
        _form('{"name": "', '", "arguments": ', "}"),
        ("[TOOL_CALLS] [", ", ", "]"),
        ("[AVAILABLE_TOOLS]\n", "\n[/AVAILABLE_TOOLS]"),
        ("[TOOL_RESULTS] ", " [/TOOL_RESULTS]"),
    ),
}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _sealed(text: str) -> str:
    """JSON in which nothing can be taken for the end of what stands around it; it says the same.

    >>> _sealed('{"page": "</tool_response>"}')
    '{"page": "<\\\\/tool_response>"}'
    """
    return text.replace("</", "<\\/").replace("[/", "[\\/").replace("```", "\\u0060``")


# ── What is said around it ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Words:
    """The sentences of one language. Names in braces are filled in."""

    tools: str
    call: str
    rules: str
    values: Mapping[ToolPrompt, str]
    one: str
    several: Mapping[ToolPrompt, str]
    strict: str
    choose_none: str
    choose_any: str
    choose_one: str
    choose_among: str
    only: str
    no_call: str
    nothing_allowed: str
    unknown_tool: str
    or_text: str
    arguments: str
    others: str
    comma: str


ENGLISH = Words(
    tools=(
        "# Tools\n\nYou can call the tools below. Each line is one tool: its name, what it does, and the "
        "JSON Schema of its arguments."
    ),
    call="To call a tool, write exactly this form, with the tool's name and your arguments:",
    rules=(
        "Arguments must fit the tool's schema: leave out nothing that is required, make up no values. "
        "Call a tool whenever it helps; otherwise answer in plain text and don't mention this form. "
        "After a call, stop writing: the results come in the next message. Never write a result yourself."
    ),
    values={"invoke": "Strings stand as they are, all other values as JSON."},
    one="Make at most one call in a reply.",
    several={
        "tagged": "For several calls at once, write several <tool_call> blocks, one after another.",
        "fenced": "For several calls at once, write several such code blocks, one after another.",
        "invoke": "For several calls at once, write several <invoke> blocks inside <function_calls>.",
        "llama": "For several calls at once, write several such lines, one after another.",
        "mistral": "For several calls at once, put several objects into the one list.",
    },
    strict=(
        "Follow the schema of {names} to the letter: every required argument, no other ones, exactly the "
        "types and the values that it lists."
    ),
    choose_none="Don't call a tool in your next reply: answer in text.",
    choose_any="Your next reply must call a tool.",
    choose_one="Your next reply must call the tool {names}.",
    choose_among="Your next reply must call one of these tools, and no other: {names}.",
    only="In your next reply you may call these tools only: {names}.",
    no_call="Your last reply called no tool. {choice} Write the call, in this form, and nothing else:",
    nothing_allowed="Your last reply called a tool; none may be called now. Answer in text, without a call.",
    unknown_tool=(
        "Your last reply called '{name}', which is none of the tools that may be called now: {names}. "
        "Call one of those in this form{or_text}:"
    ),
    or_text=", or answer in text without a call",
    arguments=(
        "The arguments of your last call of {name} don't fit its schema, at {what}. "
        "Write the whole call again, in this form, with arguments that fit, and nothing else:"
    ),
    others="Your other calls are being made: don't write them again.",
    comma=", ",
)

CHINESE = Words(
    tools="# 工具\n\n你可以调用下列工具。每行定义一个工具：名称、用途，以及参数的 JSON Schema。",
    call="需要调用工具时，严格按以下格式书写，填入工具名称和你的参数：",
    rules=(
        "参数必须符合该工具的 schema：必填参数不可缺少，不要编造参数值。"
        "工具有帮助时就调用；否则直接用文字回答，不要提及此格式。"
        "写完调用后立即停止：结果会在下一条消息中给出。绝不要自己编写结果。"
    ),
    values={"invoke": "字符串直接书写，其他值用 JSON。"},
    one="每次回复最多调用一次工具。",
    several={
        "tagged": "需要同时调用多次时，依次书写多个 <tool_call> 块。",
        "fenced": "需要同时调用多次时，依次书写多个这样的代码块。",
        "invoke": "需要同时调用多次时，在 <function_calls> 内书写多个 <invoke> 块。",
        "llama": "需要同时调用多次时，依次书写多行。",
        "mistral": "需要同时调用多次时，把多个对象放进同一个列表。",
    },
    strict=(
        "{names} 的参数必须严格遵守其 schema："
        "包含全部必填参数，不得有其他参数，类型和取值必须与 schema 完全一致。"
    ),
    choose_none="下一次回复不要调用工具：直接用文字回答。",
    choose_any="下一次回复必须调用工具。",
    choose_one="下一次回复必须调用工具 {names}。",
    choose_among="下一次回复必须调用以下工具之一，不得调用其他工具：{names}。",
    only="下一次回复只允许调用以下工具：{names}。",
    no_call="你上一次回复没有调用工具。{choice}请按以下格式只写出调用：",
    nothing_allowed="你上一次回复调用了工具，但现在不允许调用任何工具。请直接用文字回答，不要调用。",
    unknown_tool=(
        "你上一次回复调用了“{name}”，它不在现在可以调用的工具之中：{names}。请按以下格式调用其中之一{or_text}："
    ),
    or_text="，或者不调用而直接用文字回答",
    arguments=(
        "你上一次调用 {name} 的参数不符合其 schema，位置：{what}。"
        "请按以下格式，用符合要求的参数重新写出完整的调用，不要写其他内容："
    ),
    others="你的其他调用正在执行，不要重复书写。",
    comma="、",
)

_EXAMPLE = '{"ARGUMENT": "value"}'


def definitions(toolset: Toolset, style: ToolPrompt, *, chinese: bool) -> str:
    """Which tools there are and how they are called: what a model needs to be told once.

    Raises:
        OpenAIError: 400 if a schema is nested so deeply that it can't be read.

    >>> weather = Tool("get_weather", "The weather now.", {"type": "object", "title": "GetWeather"})
    >>> text = definitions(Toolset([weather], frozenset({"get_weather"})), "tagged", chinese=False)
    >>> '{"name":"get_weather","description":"The weather now.","parameters":{"type":"object"}}' in text
    True
    """
    known = tuple(_identity(toolset, style))
    if sum(map(len, known)) > MOST_BYTES:
        return _written(toolset, style, chinese)
    return _kept(Keyed(known, toolset), style, chinese)


@lru_cache(MOST)
def _kept(toolset: Keyed[Toolset], style: ToolPrompt, chinese: bool) -> str:
    return _written(toolset.value, style, chinese)


def _written(toolset: Toolset, style: ToolPrompt, chinese: bool) -> str:
    words, form = CHINESE if chinese else ENGLISH, STYLES[style]
    before, after = form.tools
    lines = "\n".join(_sealed(_definition(tool)) for tool in toolset.tools)
    strict = [tool.name for tool in toolset.tools if tool.strict]
    rules = [
        words.values.get(style, ""),
        words.several[style] if toolset.parallel else words.one,
        words.rules,
        words.strict.format(names=words.comma.join(strict)) if strict else "",
    ]
    return "\n\n".join(
        [
            f"{words.tools}\n{before}{lines}{after}",
            f"{words.call}\n{form.write([form.one('TOOL_NAME', _EXAMPLE)])}",
            "\n".join(filter(None, rules)),
        ]
    )


def _definition(tool: Tool) -> str:
    description = {"description": tool.description} if tool.description else {}
    try:
        parameters = compact(tool.parameters, tool.name)
        return _json({"name": tool.name, **description, "parameters": parameters})
    except RecursionError:
        raise _too_deep(tool) from None


def _too_deep(tool: Tool) -> OpenAIError:
    return invalid(f"The schema of the tool '{tool.name}' is nested too deeply.", "tools")


def instructions(toolset: Toolset, style: ToolPrompt, *, chinese: bool) -> str:
    """All that a model is told that has heard nothing of these tools: `definitions`, and the `reminder`.

    Raises:
        OpenAIError: as `definitions`.
    """
    asked = reminder(toolset, chinese=chinese)
    told_once = definitions(toolset, style, chinese=chinese)
    return f"{told_once}\n\n{asked}" if asked else told_once


def reminder(toolset: Toolset, *, chinese: bool) -> str:
    """What this request asks of a model that knows the tools: must it call, may it, and which? Else empty.

    >>> reminder(Toolset([Tool("a"), Tool("b")], frozenset({"b"}), required=True), chinese=False)
    'Your next reply must call the tool b.'
    """
    words = CHINESE if chinese else ENGLISH
    some = len(toolset.allowed) < len(toolset.tools)
    if not toolset.allowed:
        sentence = words.choose_none
    elif not toolset.required:
        sentence = words.only if some else ""
    elif len(toolset.allowed) == 1:
        sentence = words.choose_one
    else:
        sentence = words.choose_among if some else words.choose_any
    return sentence.format(names=words.comma.join(_allowed(toolset)))


def _allowed(toolset: Toolset) -> list[str]:
    return [tool.name for tool in toolset.tools if tool.name in toolset.allowed]


def digest(toolset: Toolset, style: ToolPrompt) -> str:
    """The identity of what `definitions` says: who was told this before needs no more than `reminder`.

    The language does not count.

    Raises:
        OpenAIError: as `definitions`.
    """
    return digest_of(*_identity(toolset, style))


def _identity(toolset: Toolset, style: ToolPrompt) -> list[str]:
    parts = [style, str(toolset.parallel)]
    for tool in toolset.tools:
        try:
            schema = msgspec.json.encode(dict(tool.parameters)).decode()
            parts += [tool.name, tool.description, str(tool.strict), schema]
        except RecursionError:
            raise _too_deep(tool) from None
    return parts


# ── Calls and results ────────────────────────────────────────────────────────────────────────────────


def calls(message_calls: Sequence[ToolCall], style: ToolPrompt) -> str:
    """An assistant's calls as the model would have written them.

    >>> from opendify.gateway.wire import FunctionCall
    >>> print(calls([ToolCall("call_1", FunctionCall("get_weather", '{"city": "Rome"}'))], "llama"))
    <function=get_weather>{"city": "Rome"}</function>
    """
    form = STYLES[style]
    return form.write(
        [form.one(call.function.name, call.function.arguments.strip() or "{}") for call in message_calls]
    )


def results(messages: Sequence[Message], calls_by_id: Mapping[str, ToolCall], style: ToolPrompt) -> str:
    """What came of calls, each with its tool's name.

    Args:
        messages: Those of role ``tool`` or ``function`` that came together.
        calls_by_id: The calls that they may belong to, by id, in the older form by the function's name. A
            result that belongs to none of them keeps its id. Where a tool was called several times, the
            arguments tell the results apart: models never see the ids of their calls.

    >>> print(results([Message("tool", "22 degrees", tool_call_id="call_1")], {}, "tagged"))
    <tool_response>
    {"id": "call_1", "content": "22 degrees"}
    </tool_response>
    """
    before, after = STYLES[style].result
    asked = [calls_by_id.get(message.tool_call_id or message.name or "") for message in messages]
    times = Counter(call.function.name for call in asked if call)
    return "\n".join(
        f"{before}{_sealed(_result(message, call, times))}{after}"
        for message, call in zip(messages, asked, strict=True)
    )


def _result(message: Message, call: ToolCall | None, times: Mapping[str, int]) -> str:
    members: dict[str, str] = {}
    if call is not None:
        members["name"] = json.dumps(call.function.name, ensure_ascii=False)
        if times[call.function.name] > 1:
            members["arguments"] = _as_json(call.function.arguments)
    elif message.tool_call_id:
        members["id"] = json.dumps(message.tool_call_id, ensure_ascii=False)
    elif message.name:
        members["name"] = json.dumps(message.name, ensure_ascii=False)
    members["content"] = _as_json(told(message))
    return "{" + ", ".join(f'"{name}": {value}' for name, value in members.items()) + "}"


def _as_json(text: str) -> str:
    """A text that is a JSON object or list as it is, any other one as a JSON string."""
    if text.startswith(("{", "[")):
        try:
            msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return json.dumps(text, ensure_ascii=False)
        return text
    return json.dumps(text, ensure_ascii=False)


# ── When it went wrong ───────────────────────────────────────────────────────────────────────────────


def correction(
    mistake: Mistake,
    toolset: Toolset,
    style: ToolPrompt,
    *,
    name: str = "",
    what: str = "",
    others: bool = False,
    chinese: bool,
) -> str:
    """The one more turn that a model gets after an answer that can't be passed on.

    Args:
        mistake: What is wrong with the answer.
        name: The tool that was called.
        what: For ``arguments``, what doesn't fit and where, as the parser says it: ``path: what``.
        others: The same answer has calls that are passed on: written again, they would be made twice.

    >>> tools = Toolset([Tool("get_weather")], frozenset({"get_weather"}), required=True)
    >>> print(correction("no_call", tools, "llama", chinese=False))
    Your last reply called no tool. Your next reply must call the tool get_weather. Write the call, ...
    <function=get_weather>{"ARGUMENT": "value"}</function>
    """
    words, form = CHINESE if chinese else ENGLISH, STYLES[style]
    names = _allowed(toolset)
    if not names:
        return words.nothing_allowed
    said = {
        "no_call": words.no_call,
        "unknown_tool": words.unknown_tool,
        "arguments": words.arguments,
    }[mistake].format(
        choice=reminder(toolset, chinese=chinese),
        name=name[:_LONGEST_NAME],
        names=words.comma.join(names),
        what=what,
        or_text="" if toolset.required and not others else words.or_text,
    )
    shown = name if mistake == "arguments" else names[0] if len(names) == 1 else "TOOL_NAME"
    stand = f"{words.others} " if others else ""
    return f"{stand}{said}\n{form.write([form.one(shown, _EXAMPLE)])}"


_LONGEST_NAME = 64
