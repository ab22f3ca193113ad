"""A call's arguments: JSON as it comes, written on in canonical form as soon as it is certain. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from opendify.gateway.schemas import MAX_LEVELS
from opendify.gateway.tools.fitting import Place, begun, dumps, escaped, fit, loads, number
from opendify.gateway.tools.tape import Broken, Steps, Tape, skip, string, text_of, word

CONSTANTS: dict[str, object] = {
    "true": True,
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
    "NaN": None,
    "Infinity": None,
    "-Infinity": None,
    "undefined": None,
}
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")


@dataclass(slots=True)
class _Level:
    """An object or an array that is open."""

    closer: str
    where: Place
    keys: set[str] = field(default_factory=set[str])
    count: int = 0

    @property
    def comma(self) -> str:
        return "," if self.count else ""


def canonical(tape: Tape, where: Place, write: Callable[[str], object]) -> Steps[None]:
    """Reads an object and writes it again, compact and fitted to its schema; the tape is at its ``{``.

    Strings go out while they are open where a string is taken; all else when it is complete. Single quotes,
    Python's constants and a comma too many are taken as what they mean. What is written can be made whole at
    any time by closing what is open.

    Raises:
        Broken: The text is no such JSON, or ends.
    """
    if where.takes("object") and (whole := begun(tape.text, tape.at)):
        value, tape.at = whole
        write(dumps(fit(value, where)))
        return
    tape.at += 1
    write("{")
    levels = [_Level("}", where)]
    while levels:
        level = levels[-1]
        first = tape.here or (yield from tape.peek())
        if first == level.closer:
            tape.at += 1
            write(levels.pop().closer)
            continue
        if first == ",":
            tape.at += 1
            continue
        lead = level.comma
        if level.closer == "}":
            if first not in ("'", '"'):
                raise Broken
            key = yield from text_of(tape)
            if (tape.here or (yield from tape.peek())) != ":":
                raise Broken
            tape.at += 1
            first = tape.here or (yield from tape.peek())
            inner = level.where.property(key)
            if key in level.keys:
                yield from skip(tape)
                continue
            level.keys.add(key)
            lead += f'"{escaped(key)}":'
        else:
            inner = level.where.item(level.count)
        if first == "":
            raise Broken
        if first in "{[" and inner.takes("object" if first == "{" else "array"):
            tape.at += 1
            level.count += 1
            if len(levels) == MAX_LEVELS:
                raise Broken
            write(lead + first)
            levels.append(_Level("}" if first == "{" else "]", inner))
            continue
        if first in "\"'" and inner.takes("string"):
            write(f'{lead}"')
            yield from string(tape, lambda run: write(escaped(run)))
            write('"')
        else:
            write(lead + dumps(fit((yield from _value(tape, first)), inner)))
        level.count += 1
        if (tape.here or (yield from tape.peek())) not in (",", level.closer):
            raise Broken


def _value(tape: Tape, first: str) -> Steps[object]:
    """One value as a whole."""
    if first in "\"'":
        return (yield from text_of(tape))
    if first in "{[":
        try:
            return loads((yield from skip(tape)))
        except ValueError:
            raise Broken from None
    token = yield from word(tape)
    if token in CONSTANTS:
        return CONSTANTS[token]
    if not _NUMBER.fullmatch(token):
        raise Broken
    return number(token)
