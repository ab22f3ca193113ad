"""Answers that are JSON: what a request asks for in `response_format`, and how it is got. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from opendify.gateway.errors import invalid, misfit
from opendify.gateway.json_text import decoded, is_json, spans
from opendify.gateway.schemas import SchemaError, check
from opendify.gateway.schemas import fault as schema_fault
from opendify.gateway.tools.compact import compact

# ── What is asked for ────────────────────────────────────────────────────────────────────────────────


class _Schema(msgspec.Struct, frozen=True):
    name: str | None = None
    description: str | None = None
    schema: dict[str, object] | None = None
    strict: bool | None = None


class _Field(msgspec.Struct, frozen=True):
    type: str
    json_schema: _Schema | None = None


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """What JSON the answer must be.

    Attributes:
        kind: Any object, or what fits a schema.
        schema: The JSON schema; None for any object.
        strict: Nothing that does not fit may reach the client.
    """

    kind: Literal["json_object", "json_schema"]
    name: str = ""
    description: str = ""
    schema: Mapping[str, object] | None = None
    strict: bool = False


def response_format(field: Mapping[str, object]) -> ResponseFormat | None:
    """The field of a request; None if it asks for plain text.

    Raises:
        OpenAIError: 400 for what is no format, and for a schema that can't be used.

    >>> response_format({"type": "json_object"}).kind
    'json_object'
    """
    try:
        asked = msgspec.convert(field, _Field)
    except msgspec.ValidationError as error:
        raise misfit(error, "response_format") from None
    match asked.type:
        case "text":
            return None
        case "json_object":
            return ResponseFormat("json_object")
        case "json_schema":
            return _of_schema(asked.json_schema)
        case _:
            raise invalid(
                f"'response_format.type' is '{asked.type[:64]}'; it takes 'text', 'json_object' or "
                "'json_schema'.",
                "response_format.type",
            )


def _of_schema(named: _Schema | None) -> ResponseFormat:
    if named is None:
        raise invalid("'response_format.json_schema' is missing.", "response_format.json_schema")
    if named.schema is None:
        raise invalid(
            "'response_format.json_schema.schema' is missing.", "response_format.json_schema.schema"
        )
    name = named.name or ""
    try:
        check(named.schema)
    except SchemaError as error:
        raise invalid(
            f"Invalid schema for response_format '{name[:64]}': {error}.",
            "response_format.json_schema.schema",
            code="invalid_schema",
        ) from None
    return ResponseFormat("json_schema", name, named.description or "", named.schema, named.strict is True)


# ── What the model is told ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Words:
    """The sentences of one language. Names in braces are filled in."""

    any_object: str
    fitting: str
    strict: str
    named: str
    described: str
    alone: str
    calls: str
    wrong: str


ENGLISH = Words(
    any_object="# Answer format\n\nAnswer with one JSON object. {alone}",
    fitting="# Answer format\n\nAnswer with one JSON value{named} that fits the JSON Schema below. {alone}",
    strict=(
        " Follow the schema to the letter: every required property, no other ones where it forbids them, "
        "exactly the types and the values that it lists."
    ),
    named=" ({name})",
    described="{name}: {description}",
    alone="Write nothing before or after it, and no code fence.",
    calls=" This is for your answer, not for calls: call tools as before whenever you need them.",
    wrong=(
        "Your last answer is not the JSON that was asked for, at {fault}. "
        "Write the whole JSON again so that it is right. {alone}"
    ),
)

CHINESE = Words(
    any_object="# 回答格式\n\n用一个 JSON 对象回答。{alone}",
    fitting="# 回答格式\n\n用一个符合下列 JSON Schema 的 JSON 值{named}回答。{alone}",
    strict=(
        "严格遵守 schema：包含全部必填属性，schema 禁止其他属性时不得添加，类型和取值必须与 schema 完全一致。"
    ),
    named="（{name}）",
    described="{name}：{description}",
    alone="前后不要写任何其他内容，也不要使用代码块。",
    calls="以上仅适用于最终回答；需要时仍可照常调用工具。",
    wrong="你上一次回答不是所要求的 JSON，位置：{fault}。请重新写出完整、正确的 JSON。{alone}",
)


def instructions(wanted: ResponseFormat, *, chinese: bool, calls: bool = False) -> str:
    """What the model is told of the form of its answer.

    Args:
        calls: It may call tools as well.

    >>> print(instructions(ResponseFormat("json_schema", schema={"type": "array"}), chinese=False))
    # Answer format
    <BLANKLINE>
    Answer with one JSON value that fits the JSON Schema below. Write nothing before or after it, ...
    {"type":"array"}
    """
    words = CHINESE if chinese else ENGLISH
    if wanted.schema is None:
        return words.any_object.format(alone=words.alone) + (words.calls if calls else "")
    called = wanted.name
    if wanted.description:
        called = words.described.format(name=called, description=wanted.description).strip(":： ")
    told = words.fitting.format(alone=words.alone, named=words.named.format(name=called) if called else "")
    schema = msgspec.json.encode(compact(wanted.schema, wanted.name)).decode()
    more = (words.strict if wanted.strict else "") + (words.calls if calls else "")
    return f"{told}{more}\n{schema}"


def correction(fault: str, wanted: ResponseFormat, *, chinese: bool) -> str:
    """What it is told of an answer that does not fit, in the same conversation.

    Args:
        fault: As `fault` says it.

    >>> print(correction('$.age: it is not of type "integer"', ResponseFormat("json_object"), chinese=False))
    Your last answer is not the JSON that was asked for, at $.age: it is not of type "integer". Write the ...
    """
    words = CHINESE if chinese else ENGLISH
    return words.wrong.format(fault=fault, alone=words.alone)


# ── What came ────────────────────────────────────────────────────────────────────────────────────────

MAX_CANDIDATES = 100
"""Values in one answer that are looked at."""

_FENCED = re.compile(r"```[^\n`]*\n(?P<inner>.*?)```", re.DOTALL)

NO_JSON = "$: there is no JSON in the answer"


def fault(wanted: ResponseFormat, text: str) -> str | None:
    """Where and why an answer is not what was asked for; None if it is.

    Args:
        text: The answer, with nothing around it: see `extract`.

    >>> fault(ResponseFormat("json_object"), "[1]")
    '$: it is not an object'
    >>> fault(ResponseFormat("json_object"), "I can't help with that.")
    '$: there is no JSON in the answer'
    """
    try:
        value = decoded(text)
    except ValueError as error:
        return f"$: it is not valid JSON: {error}" if text.startswith(("{", "[")) else NO_JSON
    if wanted.schema is not None:
        return schema_fault(wanted.schema, value)
    return None if isinstance(value, dict) else "$: it is not an object"


def extract(text: str, wanted: ResponseFormat) -> str:
    """The JSON in an answer, without fences and words around it.

    Of several values it is the first that fits, else the first object. It stays as the model wrote it,
    to the byte.

    Returns:
        What `fault` says nothing against, if there is any; else what `fault` can say most about.

    >>> extract('Here you are:\\n```json\\n{"a": 1}\\n```\\nAnything else?', ResponseFormat("json_object"))
    '{"a": 1}'
    """
    text = text.strip("\ufeff \n\r\t")
    if is_json(text):
        return text
    fenced = [fence["inner"].strip() for fence in _FENCED.finditer(text)]
    found = spans(text)
    valid = [span for span in (*fenced, *found) if is_json(span)]
    for span in valid[:MAX_CANDIDATES]:
        if fault(wanted, span) is None:
            return span
    return next((span for span in valid if span.startswith("{")), (valid or found or [text])[0])


def _written(value: object) -> str:
    return msgspec.json.encode(value).decode()


def workflow_json(outputs: Mapping[str, object], text: str, wanted: ResponseFormat) -> str:
    """The JSON that a workflow put out: what its one output says or is, if that fits, else all outputs.

    Args:
        outputs: The workflow's outputs; empty if it has none.
        text: What it said as text.

    >>> workflow_json({"result": '```json\\n{"a": 1}\\n```'}, "", ResponseFormat("json_object"))
    '{"a": 1}'
    >>> workflow_json({"a": 1, "b": [True]}, "", ResponseFormat("json_object"))
    '{"a":1,"b":[true]}'
    """
    if not outputs:
        return extract(text, wanted)
    only = next(iter(outputs.values())) if len(outputs) == 1 else outputs
    said = extract(only, wanted) if isinstance(only, str) else ""
    if wanted.schema is None and not _stands_alone(only):
        said = ""
    ways = [
        *filter(None, [said]),
        _written(outputs),
        *([_written(only)] if wanted.schema is not None else []),
    ]
    return next((way for way in ways if fault(wanted, way) is None), ways[0])


def _stands_alone(output: object) -> bool:
    """Whether an output is JSON itself, fenced or not, and no text that shows some."""
    return isinstance(output, str) and output.lstrip().startswith(("{", "```"))


_SPACE = r"[ \t\r\n]*"
_OBJECT = rf'\{{{_SPACE}(?=["}}]|\Z)'
_WORD = r"t(?:\Z|r(?:\Z|u(?:\Z|(?=e))))|f(?:\Z|a(?:\Z|l(?:\Z|s(?:\Z|(?=e)))))|n(?:\Z|u(?:\Z|l(?:\Z|(?=l))))"
_ARRAY = rf'\[{_SPACE}(?:(?=[\[\]{{"\-0-9]|\Z)|{_WORD})'
_BEGINNINGS = {"object": re.compile(_OBJECT), "array": re.compile(_ARRAY)}
_ANY_BEGINNING = re.compile(f"{_OBJECT}|{_ARRAY}")
_SIGNS = re.compile(r'\\(?:.|\Z)|["\[\]{}]', re.DOTALL)


class JsonFilter:
    """JSON in text that comes in pieces: passes it on as it comes, without fences and words around it.

    What it passes on ends with the value that began. An answer without JSON gives nothing.

    >>> json = JsonFilter(ResponseFormat("json_object"))
    >>> json.feed("Sure:\\n```json\\n{"), json.feed('"a": 1'), json.feed("}\\n``"), json.flush()
    ('', '{"a": 1', '}', '')
    """

    __slots__ = ("_beginning", "_depth", "_escaped", "_held", "_place", "_quoted", "_simple", "_wanted")

    def __init__(self, wanted: ResponseFormat) -> None:
        kind = "object" if wanted.schema is None else wanted.schema.get("type")
        self._wanted = wanted
        self._beginning = _BEGINNINGS.get(str(kind), _ANY_BEGINNING)
        self._simple: list[str] | None = None if str(kind) in _BEGINNINGS else []
        self._place: Literal["before", "inside", "behind"] = "before"
        self._held: list[str] = []
        self._depth = 0
        self._quoted = self._escaped = False

    def feed(self, text: str) -> str:
        """A piece in; what of it is JSON out."""
        match self._place:
            case "before":
                return self._begin(text)
            case "inside":
                return self._go_on(text)
            case "behind":
                return ""

    def flush(self) -> str:
        """The text is at its end: a number, a string or a word, which are nothing before they are whole."""
        if self._place != "before" or not self._simple:
            return ""
        found = extract("".join(self._simple), self._wanted)
        return found if fault(self._wanted, found) is None else ""

    def _begin(self, text: str) -> str:
        if self._simple is not None:
            self._simple.append(text)
        if self._held:  # a bracket, and as yet too little behind it
            self._held.append(text)
            if text.isspace():
                return ""
            text = "".join(self._held)
            self._held.clear()
        found = self._beginning.search(text)
        if found is None:
            return ""
        if found.end() == len(text):
            self._held.append(text[found.start() :])
            return ""
        self._place = "inside"
        return self._go_on(text[found.start() :])

    def _go_on(self, text: str) -> str:
        start, self._escaped = int(self._escaped and bool(text)), self._escaped and not text
        for sign in _SIGNS.finditer(text, start):
            mark = sign[0]
            if mark == '"':
                self._quoted = not self._quoted
            elif mark == "\\":
                self._escaped = True
            elif self._quoted or mark[0] == "\\":
                continue
            elif mark in "{[":
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == 0:
                    self._place = "behind"
                    return text[: sign.end()]
        return text
