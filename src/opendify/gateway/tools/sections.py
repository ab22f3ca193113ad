"""Calls behind a mark, in a fence, without any mark, and as Python writes them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from opendify.gateway.tools.elements import element, object_of
from opendify.gateway.tools.formats import (
    FENCE_END,
    JSON_FENCES,
    MARKS,
    TAG_BEGUN,
    Tag,
)
from opendify.gateway.tools.json_calls import json_calls
from opendify.gateway.tools.pythonic import keywords
from opendify.gateway.tools.reading import Reading
from opendify.gateway.tools.tape import Broken, Steps

_IDENTIFIER = re.compile(r"[^\s\"'`<>()\[\]{}|｜\\,;]{1,140}")
_CALL_ID = re.compile(r"[\w-]{0,64}")
_TO_PARENTHESIS = re.compile(r"""[^"'()\\]+""")


def section(reading: Reading, mark: Tag | None) -> Steps[bool]:
    """Calls behind a mark, up to what is neither a call nor a mark."""
    tape = reading.tape
    made = reading.made
    fresh, closed_ = True, False
    if mark and mark.role == "named" and mark.name:
        if not (yield from element(reading, mark.name, mark.word)):
            return False
        fresh = False
    while True:
        first = yield from reading.behind()
        start = tape.position
        found = True
        if first == "<":
            mark = yield from reading.tag()
            if mark is None and reading.made > made and TAG_BEGUN.match(tape.text, tape.at):
                tape.at = len(tape.text)  # the answer ended within a mark
            elif mark is None or mark.role == "result":
                found = False
            elif mark.closing:
                fresh, closed_ = False, True
            elif mark.role == "named" and mark.name:
                found = yield from element(reading, mark.name, mark.word)
                fresh, closed_ = False, False
            else:
                found = fresh = mark.role != "member"
        elif first == "[" and (bracket := (yield from reading.bracket())):
            found = fresh = "RESULTS" not in bracket
        elif first and first in "{[" and (fresh or not closed_):
            found = yield from (
                python_list(reading) if (yield from _names_follow(reading)) else json_calls(reading)
            )
            fresh, closed_ = False, False
        elif first and first in "`~":
            found = yield from reading.fence_mark()
        elif first and first in ",;" and reading.made > made:
            tape.at += 1
            fresh = True
        elif first and first in "}])\"'" and reading.made > made and not closed_:
            tape.at += 1
        elif fresh and first:
            found = yield from _name_first(reading)
            fresh, closed_ = False, False
        else:
            found = False
        if not found:
            if reading.made > made:
                tape.back(start)
            return reading.made > made
        if reading.made > made and reading.gate == "go":
            tape.forget()


def bare(reading: Reading) -> Steps[bool]:
    """A JSON value without a mark."""
    tape = reading.tape
    made = yield from json_calls(reading)
    while made and (first := (yield from reading.behind())) and first in "}],;{":
        if first == "{" and (reading.gate != "whole" or not (yield from json_calls(reading))):
            break
        tape.at += first != "{"
    return made


def in_fence(reading: Reading) -> Steps[bool]:
    """Calls, and the end of their fence."""
    tape = reading.tape
    if tape.text[tape.at] == "<":
        mark = yield from reading.tag()
        if mark is None or mark.closing or mark.role not in ("open", "named"):
            return False
        made = yield from section(reading, mark)
    else:
        tape.marks = FENCE_END
        try:
            made = yield from json_calls(reading)
        finally:
            tape.marks = MARKS
    while (first := (yield from reading.behind())) and first in "}],;":
        tape.at += 1
    if first and first in "`~" and (yield from reading.fence_mark()):
        yield from reading.behind()
    return made


def _names_follow(reading: Reading) -> Steps[bool]:
    """Whether a name stands behind a bracket."""
    tape = reading.tape
    start = tape.position
    if tape.text[tape.at] == "[":
        tape.at += 1
        first = yield from tape.peek()
        tape.back(start)
        return first.isalpha()
    return False


def _name_first(reading: Reading) -> Steps[bool]:
    """A call that begins with the name of its tool: ``name{…}``, ``name[ARGS]{…}``, ``name(…)``."""
    tape = reading.tape
    name = yield from tape.span(_IDENTIFIER)
    end = tape.position
    if not name:
        return False
    separated = False
    while True:
        first = yield from tape.peek()
        if name in JSON_FENCES and first and first in "{[":
            return (yield from json_calls(reading))
        sure = separated or tape.position == end or reading.known(name)
        if first == "{" or (separated and first in ('"', "'")):
            if sure:
                yield from object_of(reading, name, first)
            return sure
        if first == "(":
            name = name.removesuffix(".call")
            if not reading.known(name):
                return False
            given = yield from _parentheses(reading, name)
            if given is None:
                return False
            reading.whole_call(name, given)
            return True
        if first == "`" and sure:
            if not (yield from reading.fence_mark()):
                return False
            continue
        if first == "[":
            bracket = yield from reading.bracket()
            if bracket == "[CALL_ID]":
                yield from tape.span(_CALL_ID)
            if bracket in ("[ARGS]", "[CALL_ID]"):
                separated = True
                continue
            return False
        if first != "<":
            return False
        start = tape.position
        mark = yield from reading.tag()
        if mark and mark.role == "separator":
            separated = True
            if name == "function":
                yield from tape.peek()
                name = (yield from tape.span(_IDENTIFIER)) or name
            continue
        tape.back(start)
        return bool(mark and (mark.role == "member" or reading.known(name))) and (
            yield from element(reading, name)
        )


def python_list(reading: Reading) -> Steps[bool]:
    """Calls as Python writes them, in brackets."""
    tape = reading.tape
    calls: list[tuple[str, object]] = []
    tape.at += 1
    while True:
        first = yield from tape.peek()
        if first == "" and calls:
            break
        if first in ("]", ",", ";"):
            tape.at += 1
            if first == "]":
                break
            continue
        name = yield from tape.span(_IDENTIFIER)
        if not name or (yield from tape.peek()) != "(":
            return False
        given = yield from _parentheses(reading, name)
        if given is None:
            return False
        calls.append((name, given))
    if (yield from reading.behind()) == "(":
        return False
    for name, arguments in calls:
        reading.whole_call(name, arguments)
    return bool(calls)


def _parentheses(reading: Reading, name: str) -> Steps[dict[str, object] | None]:
    """The arguments in parentheses; None if they are none."""
    tape = reading.tape
    tape.at += 1
    start = tape.position
    depth, quote = 1, ""
    while True:
        plain = _TO_PARENTHESIS.match(tape.text, tape.at)
        tape.at = plain.end() if plain else tape.at
        if tape.at == len(tape.text) and (yield from tape.more()):
            continue
        sign = tape.text[tape.at : tape.at + 1]
        if not sign or (sign == "\\" and len(tape.text) - tape.at < 2 and (yield from tape.more())):
            if sign:
                continue
            text = tape.since(start) + quote
            break
        if sign == "\\":
            tape.at += 2
            continue
        if sign in "\"'":
            quote = "" if quote == sign else quote or sign
        elif not quote:
            depth += 1 if sign == "(" else -1
            if not depth:
                text = tape.since(start)
                tape.at += 1
                break
        tape.at += 1
    tool = reading.tools.get(reading.resolved(name))
    properties = tool.parameters.get("properties") if tool else None
    names = list(cast("Mapping[str, object]", properties)) if isinstance(properties, Mapping) else []
    try:
        return keywords(text, names)
    except Broken:
        return None
