"""Any call of any tool, written in any of the formats, is read as it was meant."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .corpus import Call, definitions
from .test_tool_corpus import Reading, read

Calls = Sequence[tuple[str, dict[str, Any]]]
Dumps = Callable[[object], str]

MARKERS = (
    *("<tool_call>", "<tool_calls>", "</tool-calls>", "[TOOL_CALLS]", "[ARGS]"),
    *("<|python_tag|>", "<|eom_id|>", "</s>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"),
    *("```", "```json", '"tool_calls":[', "<p>", "</p>"),
)
"""What begins or ends a call elsewhere, and is mere text inside of a string."""
CLOSERS = [
    "</parameter>",
    "</invoke>",
    "</function_calls>",
    "</function>",
    "</tool_call>",
    "</｜DSML｜parameter>",
]
LETTERS = [*"ab Z019\"'\\{}[]()<>,:;=&#/|-_.", *"\n\té中文，🎉", "\\n", "True", "null", "None", '"}', "}}"]


def strings(*more: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from((*LETTERS, *MARKERS, *more)), max_size=12).map("".join)


ESCAPED = strings(*CLOSERS, "\r\n", "\x07", "\u2028")
"""Where JSON or Python quotes it, a string may hold anything."""
RAW = strings().map(str.strip).filter(lambda text: text.lower() not in {"null", "none"})
"""Between tags nothing is quoted: neither white space at the ends nor null nor the closing tag is text."""


def values(schema: dict[str, Any], text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """What fits a schema."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    strategies: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
        "string": lambda: text,
        "integer": lambda: st.integers(lowest, highest),
        "number": lambda: st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**12), 10**12),
        "boolean": st.booleans,
        "null": st.none,
        "array": lambda: st.lists(values(schema["items"], text), max_size=3),
        "object": lambda: objects(schema, text),
    }
    return st.one_of(*(strategies[kind]() for kind in kinds))


def objects(schema: dict[str, Any], text: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that fit a schema: all required properties, any others, in any order."""
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        return st.dictionaries(st.sampled_from(["a", "b-c", "键"]), values(extra, text), max_size=2)
    properties = {name: values(found, text) for name, found in schema["properties"].items()}
    required = {name: properties.pop(name) for name in schema.get("required", [])}
    return st.fixed_dictionaries(required, optional=properties).flatmap(
        lambda drawn: st.permutations(list(drawn.items())).map(dict)
    )


def calls(text: st.SearchStrategy[str], fits: Callable[[str], bool] = bool) -> st.SearchStrategy[Calls]:
    """One to three calls of the tools whose names fit."""
    one = [
        st.tuples(st.just(tool["name"]), objects(tool["parameters"], text))
        for tool in definitions()
        if fits(tool["name"])
    ]
    return st.lists(st.one_of(one), min_size=1, max_size=3)


# ── The formats: how each writes calls ───────────────────────────────────────────────────────────────


def flat(calls: Calls, key: str = "arguments") -> list[dict[str, Any]]:
    return [{"name": name, key: arguments} for name, arguments in calls]


def nested(calls: Calls, dumps: Dumps) -> list[dict[str, Any]]:
    return [
        {"id": f"c{index}", "type": "function", "function": {"name": name, "arguments": dumps(arguments)}}
        for index, (name, arguments) in enumerate(calls)
    ]


def between_tags(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def invoke(calls: Calls, prefix: str = "", outer: str = "function_calls", typed: bool = False) -> str:
    lines = [f"<{prefix}{outer}>"]
    for name, arguments in calls:
        lines.append(f'<{prefix}invoke name="{name}">')
        for key, value in arguments.items():
            kind = f' string="{str(isinstance(value, str)).lower()}"' if typed else ""
            lines.append(f'<{prefix}parameter name="{key}"{kind}>{between_tags(value)}</{prefix}parameter>')
        lines.append(f"</{prefix}invoke>")
    return "\n".join([*lines, f"</{prefix}{outer}>"])


def coder(name: str, arguments: dict[str, Any]) -> str:
    given = "".join(
        f"<parameter={key}>\n{between_tags(value)}\n</parameter>\n" for key, value in arguments.items()
    )
    return f"<tool_call>\n<function={name}>\n{given}</function>\n</tool_call>"


def deepseek(entries: Sequence[str]) -> str:
    inner = "\n".join(f"<｜tool▁call▁begin｜>{entry}<｜tool▁call▁end｜>" for entry in entries)
    return f"<｜tool▁calls▁begin｜>{inner}<｜tool▁calls▁end｜>"


def pythonic(name: str, arguments: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


IN_JSON: dict[str, Callable[[Calls, Dumps], str]] = {
    "tagged": lambda calls, dumps: "\n".join(
        f"<tool_call>\n{dumps(call)}\n</tool_call>" for call in flat(calls)
    ),
    "a tagged list": lambda calls, dumps: f"<tool_call>\n{dumps(flat(calls))}\n</tool_call>",
    "tool-calls": lambda calls, dumps: f"<tool-calls>{dumps(flat(calls))}</tool-calls>",
    "tool_calls": lambda calls, dumps: f"<tool_calls>\n{dumps(nested(calls, dumps))}\n</tool_calls>",
    "tool_calls, bare": lambda calls, dumps: dumps({"tool_calls": nested(calls, dumps)}),
    "tool_calls, bare and flat": lambda calls, dumps: dumps({"tool_calls": flat(calls)}),
    "tool_calls, fenced": lambda calls, dumps: f"```json\n{dumps({'tool_calls': nested(calls, dumps)})}\n```",
    "function_call, bare": lambda calls, dumps: "\n".join(
        dumps({"function_call": call}) for call in flat(calls)
    ),
    "function_call, fenced": lambda calls, dumps: "\n".join(
        f"```json\n{dumps({'function_call': call})}\n```" for call in flat(calls)
    ),
    "a function tag": lambda calls, dumps: "\n".join(
        f"<function={name}>{dumps(arguments)}</function>" for name, arguments in calls
    ),
    "[TOOL_CALLS]": lambda calls, dumps: f"[TOOL_CALLS] {dumps(flat(calls))}",
    "[TOOL_CALLS] and [ARGS]": lambda calls, dumps: "".join(
        f"[TOOL_CALLS]{name}[ARGS]{dumps(arguments)}" for name, arguments in calls
    ),
    "python_tag": lambda calls, dumps: (
        "<|python_tag|>" + "; ".join(dumps(call) for call in flat(calls, "parameters"))
    ),
    "DeepSeek V3": lambda calls, dumps: deepseek(
        [f"function<｜tool▁sep｜>{name}\n```json\n{dumps(arguments)}\n```" for name, arguments in calls]
    ),
    "DeepSeek V3.1": lambda calls, dumps: deepseek(
        [f"{name}<｜tool▁sep｜>{dumps(arguments)}" for name, arguments in calls]
    ),
}
BETWEEN_TAGS: dict[str, Callable[[Calls], str]] = {
    "invoke": invoke,
    "invoke with a prefix": lambda calls: invoke(calls, "antml:"),
    "DSML": lambda calls: invoke(calls, "｜DSML｜", typed=True),
    "DSML's tool_calls": lambda calls: invoke(calls, "｜DSML｜", "tool_calls", typed=True),
    "Qwen's coders": lambda calls: "\n".join(coder(*call) for call in calls),
}


# ── What is drawn beside the calls ───────────────────────────────────────────────────────────────────

DUMPS: st.SearchStrategy[Dumps] = st.sampled_from(
    [
        json.dumps,
        lambda value: json.dumps(value, ensure_ascii=False),
        lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
        lambda value: json.dumps(value, ensure_ascii=False, indent=2),
    ]
)
WORDS = st.sampled_from(["", "I'll look at that.", "好的,我来查一下。", "Sure, a < b and [1] says so!"])
SIZES = st.integers(1, 40)


def agree(words: str, text: str, calls: Calls, size: int) -> None:
    """A text with words before it and cut into pieces of a size has these calls."""
    whole = f"{words}\n\n{text}" if words else text
    reading = read(whole[start : start + size] for start in range(0, len(whole), size))
    expected = tuple(Call.of(name, arguments) for name, arguments in calls)
    faults = tuple("" for _ in calls)
    assert reading == Reading(reading.text, expected, faults)
    assert reading.text.strip() == words


@pytest.mark.parametrize("written", IN_JSON)
@settings(max_examples=60, deadline=None)
@given(calls=calls(ESCAPED), dumps=DUMPS, words=WORDS, size=SIZES)
def test_arguments_in_json_are_read_exactly(
    written: str, calls: Calls, dumps: Dumps, words: str, size: int
) -> None:
    agree(words, IN_JSON[written](calls, dumps), calls, size)


@pytest.mark.parametrize("written", BETWEEN_TAGS)
@settings(max_examples=60, deadline=None)
@given(calls=calls(RAW), words=WORDS, size=SIZES)
def test_arguments_between_tags_are_read_exactly(written: str, calls: Calls, words: str, size: int) -> None:
    agree(words, BETWEEN_TAGS[written](calls), calls, size)


@settings(max_examples=200, deadline=None)
@given(calls=calls(ESCAPED, str.isidentifier), words=WORDS, size=SIZES)
def test_arguments_in_python_are_read_exactly(calls: Calls, words: str, size: int) -> None:
    text = f"[{', '.join(pythonic(name, arguments) for name, arguments in calls)}]"
    agree(words, text, calls, size)
