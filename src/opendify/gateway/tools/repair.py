"""Calls out of JSON that is damaged: mended by a library, inside of a recognised call only. Pure."""

from __future__ import annotations

import re
from typing import cast

import json_repair

from opendify.gateway.tools.fitting import loads

NAMES = frozenset({"name", "function", "function_name", "tool", "tool_name"})
ARGUMENTS = frozenset({"arguments", "parameters", "args", "input", "arguments_json", "params"})
WRAPPERS = frozenset({"tool_calls", "tool_call", "function_calls", "function_call", "calls"})
BESIDE = frozenset({"id", "type", "index", "call_id", "tool_call_id", "role", "content", "refusal"})
"""What else may stand beside a name; without arguments of their own, all other members are them."""
_DEEPEST = 4
_EACH = 20
_SIGNS = re.compile(r'\\.|["\[\]{}]', re.DOTALL)
_CLOSERS = re.compile(r"[}\]\s]*\Z")


def calls_in(value: object, depth: int = 0) -> list[tuple[str, object]]:
    """The calls in a JSON value, as (name, arguments), in order; arguments as they stand there.

    >>> calls_in({"tool_calls": [{"function": {"name": "add", "arguments": "{}"}}, {"tool": "now"}]})
    [('add', '{}'), ('now', None)]
    """
    if depth > _DEEPEST:
        return []
    if isinstance(value, list):
        return [call for part in cast("list[object]", value) for call in calls_in(part, depth + 1)]
    if not isinstance(value, dict):
        return []
    name = ""
    arguments: object = None
    flat: dict[str, object] = {}
    inner: list[tuple[str, object]] = []
    for key, member in cast("dict[str, object]", value).items():
        if key in NAMES and isinstance(member, str):
            name = name or member
        elif key in WRAPPERS or key in NAMES:
            inner += calls_in(member, depth + 1)
        elif key in ARGUMENTS:
            arguments = member
        elif key not in BESIDE:
            flat[key] = member
    return [*inner, (name, arguments if arguments is not None else flat or None)] if name else inner


def repaired(raw: str, *, library: bool = True) -> object:
    """The value that damaged JSON was meant to be; None if nothing can be made of it.

    Args:
        library: What closing brackets does not mend is given to one that knows more.

    >>> repaired('{"name": "add", "arguments": {"a": 1, "note": "say "hi" now"')
    {'name': 'add', 'arguments': {'a': 1, 'note': 'say "hi" now'}}
    """
    for text in (raw, completed(raw)):
        try:
            return loads(text)
        except ValueError:
            continue
    if not library:
        return None
    try:
        return cast("object", json_repair.loads(raw, skip_json_loads=True))
    except (RecursionError, ValueError):
        return None


def effort(raw: str) -> int:
    """What the library may spend on a text: at each quote and bracket it may look through all of the rest."""
    return len(raw) * (_EACH + sum(map(raw.count, "\"'{[")))


def completed(raw: str) -> str:
    """The text with all closed that is open. Brackets that would close it, behind an open quote, do so.

    >>> completed('{"city": "Paris}')
    '{"city": "Paris"}'
    """
    closers, quoted, _ = _open(raw)
    if not quoted:
        return raw.rstrip().removesuffix(",") + closers
    tail = _CLOSERS.search(raw, max(0, len(raw) - 200))
    if tail and "".join(tail[0].split()) == closers:
        raw = raw[: tail.start()]
    return f'{raw}"{closers}'


def closed(written: str) -> str:
    """What makes canonical JSON whole that was written up to any point.

    >>> closed('{"a":[{"b":"x')
    '"}]}'
    """
    if not written:
        return "{}"
    closers, quoted, _ = _open(written)
    return f'"{closers}' if quoted else closers


def balanced(raw: str) -> int:
    """Where the first JSON value of a text ends, as far as brackets tell; its length if they don't."""
    return _open(raw)[2]


def _open(raw: str) -> tuple[str, bool, int]:
    """What would close all that is open, whether a string is, and where brackets first came out even."""
    closers: list[str] = []
    quoted = False
    even = len(raw)
    for sign in _SIGNS.finditer(raw):
        mark = sign[0]
        if mark == '"':
            quoted = not quoted
        elif quoted or mark[0] == "\\":
            continue
        elif mark in "{[":
            closers.append("}" if mark == "{" else "]")
        elif closers:
            closers.pop()
            if not closers:
                even = sign.end()
                break
    return "".join(reversed(closers)), quoted, even
