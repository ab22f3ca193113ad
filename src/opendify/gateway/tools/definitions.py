"""The tools that a request brings, and which of them may be called. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import msgspec

from opendify.gateway import schemas
from opendify.gateway.errors import invalid, misfit

_NAME = re.compile(r"[^\s\"'`<>()\[\]{}|\\]{1,128}")
"""OpenAI takes 64 letters, digits, _ and -. Names of MCP servers' tools have dots and slashes, too."""


class FunctionDefinition(msgspec.Struct, frozen=True):
    """A function as a client defines it."""

    name: str
    description: str | None = None
    parameters: dict[str, object] | None = None
    strict: bool | None = None


class ToolDefinition(msgspec.Struct, frozen=True):
    """An entry of ``tools``."""

    type: str
    function: FunctionDefinition | None = None


class _Function(msgspec.Struct, frozen=True):
    name: str = ""


class _Entry(msgspec.Struct, frozen=True):
    """``{"type": "function", "function": {"name": …}}``, or in the older form ``{"name": …}``."""

    name: str = ""
    function: _Function | None = None

    @property
    def called(self) -> str:
        return self.function.name if self.function else self.name


class _Subset(msgspec.Struct, frozen=True):
    mode: Literal["auto", "required"] = "auto"
    tools: list[_Entry] = []


class _Choice(_Entry, frozen=True):
    """``tool_choice`` as an object: one tool, or ``allowed_tools``, with or without a level of its own."""

    type: str = ""
    allowed_tools: _Subset | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: list[_Entry] = []


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the client can call for the model.

    Attributes:
        parameters: The JSON schema of its arguments; empty where it takes anything.
        strict: Arguments that don't fit the schema must not reach the client.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, object] = field(default_factory=lambda: MappingProxyType[str, object]({}))
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Toolset:
    """All tools of a request, and what it asks for.

    Attributes:
        tools: All that were given, in order.
        allowed: Names of those that may be called now.
        required: At least one must be called.
        parallel: Several may be called at once.
        legacy: The client speaks of `functions` and `function_call`, one call an answer.
    """

    tools: Sequence[Tool]
    allowed: frozenset[str]
    required: bool = False
    parallel: bool = True
    legacy: bool = False

    def get(self, name: str) -> Tool | None:
        """The tool of this name, if it may be called now."""
        if name not in self.allowed:
            return None
        return next((tool for tool in self.tools if tool.name == name), None)


def toolset(
    tools: Sequence[ToolDefinition] | None,
    tool_choice: object,
    parallel_tool_calls: bool | None,
    functions: Sequence[FunctionDefinition] | None,
    function_call: object,
) -> Toolset | None:
    """The tools of a request; None if it has none.

    Args:
        tools: As in the request, as is everything here.
        tool_choice: ``"none"``, ``"auto"``, ``"required"``, or an object that names one tool or several.
        function_call: The same for ``functions``: ``"none"``, ``"auto"`` or ``{"name": …}``.

    Raises:
        OpenAIError: 400 for tools that are no functions, for names that can't be used or stand twice, for a
            strict tool's schema that is none, and for a choice that can't be read or names a tool that is not
            there.

    >>> weather = ToolDefinition("function", FunctionDefinition("get_weather"))
    >>> toolset([weather], "required", None, None, None).required
    True
    """
    legacy = bool(functions) and not tools
    choice, param = (function_call, "function_call") if legacy else (tool_choice, "tool_choice")
    if not tools and not functions:
        if choice in (None, "none", "auto"):
            return None
        raise invalid("'tool_choice' asks for a call, but 'tools' is empty.", "tool_choice")
    defined = [
        _tool(definition, place) for definition, place in _definitions(tools or (), functions or (), legacy)
    ]
    names = [tool.name for tool in defined]
    known: set[str] = set()
    for index, name in enumerate(names):
        if name in known:
            raise invalid(f"'{_param(legacy)}' has the name '{name}' twice.", f"{_param(legacy)}[{index}]")
        known.add(name)
    allowed, required = _choice(choice, names, param)
    return Toolset(defined, allowed, required, parallel_tool_calls is not False and not legacy, legacy)


def _param(legacy: bool) -> str:
    return "functions" if legacy else "tools"


def _definitions(
    tools: Sequence[ToolDefinition], functions: Sequence[FunctionDefinition], legacy: bool
) -> Iterable[tuple[FunctionDefinition, str]]:
    if legacy:
        for index, function in enumerate(functions):
            yield function, f"functions[{index}]"
        return
    for index, tool in enumerate(tools):
        place = f"tools[{index}]"
        if tool.type != "function":
            raise invalid(
                f"'{place}.type' is '{tool.type[:64]}'; this gateway takes tools of the type 'function'.",
                f"{place}.type",
            )
        if tool.function is None:
            raise invalid(f"'{place}.function' is missing.", f"{place}.function")
        yield tool.function, f"{place}.function"


def _tool(definition: FunctionDefinition, place: str) -> Tool:
    name = definition.name
    if not _NAME.fullmatch(name):
        raise invalid(
            f"'{place}.name' is '{name[:64]}'; it takes 1 to 128 characters without spaces, quotes and "
            "brackets.",
            f"{place}.name",
        )
    parameters = definition.parameters or {}
    if definition.strict:
        _check(parameters, name, place)
    return Tool(name, definition.description or "", parameters, bool(definition.strict))


def _check(parameters: Mapping[str, object], name: str, place: str) -> None:
    """What a strict tool is called with must fit its schema, so that has to be one."""
    try:
        schemas.check(parameters)
    except schemas.SchemaError as error:
        raise invalid(
            f"The schema of the function '{name}' can't be used: {error}.",
            f"{place}.parameters",
            code="invalid_function_parameters",
        ) from None


def _choice(choice: object, names: Sequence[str], param: str) -> tuple[frozenset[str], bool]:
    """Which tools may be called, and whether one must be."""
    if choice is None or choice == "auto":
        return frozenset(names), False
    if choice == "none":
        return frozenset[str](), False
    if choice == "required" and param == "tool_choice":
        return frozenset(names), True
    if isinstance(choice, dict):
        try:
            named = msgspec.convert(choice, _Choice)
        except msgspec.ValidationError as error:
            raise misfit(error, param) from None
        return _named(named, names, param)
    takes = "'none', 'auto'" + (", 'required'" if param == "tool_choice" else "")
    raise invalid(f"'{param}' takes {takes} or an object that names a tool.", param)


def _named(choice: _Choice, names: Sequence[str], param: str) -> tuple[frozenset[str], bool]:
    subset = choice.allowed_tools or (choice if choice.type == "allowed_tools" else None)
    chosen = [entry.called for entry in subset.tools] if subset else [choice.called]
    if not chosen:
        raise invalid(f"'{param}' allows a list of tools that is empty.", param)
    known = frozenset(names)
    for name in chosen:
        if name not in known:
            shown = f"names '{name[:64]}', which" if name else "names no tool that"
            raise invalid(f"'{param}' {shown} is not among the tools: {', '.join(names[:50])}.", param)
    return frozenset(chosen), subset is None or subset.mode == "required"
