"""Calls whose name stands in a mark: their arguments as elements, or as an object of their own. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

from opendify.gateway.tools.arguments import CONSTANTS
from opendify.gateway.tools.call import Call
from opendify.gateway.tools.fitting import Place, dumps, escaped, fit, kind_of, loads, place
from opendify.gateway.tools.formats import (
    LONGEST_MARK,
    MEMBER_END,
    MEMBER_ENDS,
    MEMBER_TAIL,
)
from opendify.gateway.tools.json_calls import arguments_of
from opendify.gateway.tools.reading import Reading
from opendify.gateway.tools.repair import ARGUMENTS, NAMES, calls_in
from opendify.gateway.tools.tape import Broken, Steps, skip

_LINE_BREAK = re.compile(r"\r?\n?")
_TEXT = frozenset({"string"})
_FIRST_KEY = re.compile(r"\{\s{0,30}(?:[\"']\w{0,20}[\"']?)?")


def object_of(reading: Reading, name: str, first: str) -> Steps[None]:
    """The arguments of a call whose name is known: an object of their own, or a string with one in it."""
    tape = reading.tape
    start = tape.position
    if first == "{" and (yield from _is_envelope(reading, name)):
        try:
            value = loads((yield from skip(tape)))
        except (Broken, ValueError):
            value = reading.repaired((yield from reading.broken(start)))
        whole = cast("dict[str, object]", value) if isinstance(value, dict) else {}
        for _, arguments in calls_in({**whole, "name": name})[-1:]:
            reading.whole_call(name, arguments)
        return
    call = reading.begin(name)
    try:
        yield from arguments_of(reading, call, first)
    except Broken:
        call.complete(reading.repaired((yield from reading.broken(start))))
    reading.end(call)


def _is_envelope(reading: Reading, name: str) -> Steps[bool]:
    """Whether an object has the name once more, with the arguments inside, not the tool's properties."""
    tape = reading.tape
    start = tape.position
    key = (yield from tape.span(_FIRST_KEY)).lstrip("{ \t\r\n").strip("\"'")
    tape.back(start)
    tool = reading.tools.get(reading.resolved(name))
    names = place(tool.parameters).names if tool else frozenset[str]()
    return bool(names) and key not in names and (key in NAMES or key in ARGUMENTS)


def element(reading: Reading, name: str, word: str = "") -> Steps[bool]:
    """The arguments of a call whose name is known, as elements or as an object; False if it is none."""
    tape = reading.tape
    ends = MEMBER_ENDS.get(word, MEMBER_END)
    call: Call | None = None
    keys: set[str] = set()
    key = ""
    while True:
        start = tape.position
        first = yield from tape.peek()
        if first and first in "`~" and (yield from reading.fence_mark()):
            continue
        if first and first in "{\"'" and not keys:
            yield from object_of(reading, name, first)
            return True
        mark = (yield from reading.tag()) if first == "<" else None
        if mark and mark.role == "member" and mark.closing:
            continue  # whatever it closes, it begins nothing
        if call is None:
            if not mark and (first or not reading.known(name)):
                return False
            call = reading.begin(name)
        if mark is None or mark.role != "member":
            tape.back(start)
            break
        if mark.word == "arg_key":
            key = (yield from _member_text(reading, ends)).strip()
            continue
        key = mark.name or key
        if key and key not in keys:
            call.write(("," if keys else "{") + f'"{escaped(key)}":')
            keys.add(key)
            yield from _member(reading, call, call.where.property(key), ends, exact=mark.exact)
        else:
            yield from _member_text(reading, ends)
    if keys:
        call.write("}")
    reading.end(call)
    return True


def _member(reading: Reading, call: Call, where: Place, ends: re.Pattern[str], *, exact: bool) -> Steps[None]:
    """An argument that is written as an element; goes out as it comes where only text is taken."""
    if where.types == _TEXT or (exact and where.takes("string")):
        call.write('"')
        yield from _until_member_ends(reading, ends, lambda text: call.write(escaped(text)), exact=exact)
        call.write('"')
        return
    text = yield from _member_text(reading, ends)
    call.write(dumps(_valued(reading, text, where)))


def _member_text(reading: Reading, ends: re.Pattern[str]) -> Steps[str]:
    parts: list[str] = []
    yield from _until_member_ends(reading, ends, parts.append)
    return "".join(parts)


def _until_member_ends(
    reading: Reading, ends: re.Pattern[str], write: Callable[[str], object], *, exact: bool = False
) -> Steps[None]:
    """An element's text; if not exact, without the line break behind its tag and before the next."""
    tape = reading.tape
    if not exact:
        yield from tape.span(_LINE_BREAK)
    while True:
        end = ends.search(tape.text, tape.at)
        if end and (end.end() < len(tape.text) or tape.ended):
            text = tape.text[tape.at : end.start()]
            write(text if exact else _without_break(text))
            tape.at = end.start()
            start = tape.position
            mark = yield from reading.tag()
            if mark is None or mark.role != "member" or not mark.closing:
                tape.back(start)
            return
        tail = MEMBER_TAIL.search(tape.text, max(tape.at, len(tape.text) - LONGEST_MARK))
        upto = tail.start() if tail else len(tape.text)
        write(tape.text[tape.at : upto])
        tape.at = upto
        if not (yield from tape.more()):
            write(_without_break(tape.text[tape.at :]))
            tape.at = len(tape.text)
            return


def _without_break(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _valued(reading: Reading, text: str, where: Place) -> object:
    """The value of an element's text: what JSON reads there, if that is taken, else the text itself."""
    if text.strip() in CONSTANTS:
        value = CONSTANTS[text.strip()]
    else:
        try:
            value = loads(text)
        except ValueError:
            broken = text.lstrip()[:1] in ("{", "[") and not where.takes("string")
            value = reading.repaired(text) if broken else text
    if isinstance(value, str) or not where.takes(kind_of(value)):
        return fit(text, where)
    return fit(value, where)
