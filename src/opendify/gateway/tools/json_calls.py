"""Calls in JSON: an object with a name and arguments, a list of them, or one with them inside. Pure."""

from __future__ import annotations

from opendify.gateway.tools.arguments import canonical
from opendify.gateway.tools.call import Call
from opendify.gateway.tools.fitting import loads
from opendify.gateway.tools.reading import NoCall, Reading
from opendify.gateway.tools.repair import ARGUMENTS, BESIDE, NAMES, WRAPPERS, calls_in
from opendify.gateway.tools.tape import Broken, Steps, Tape, skip, string, text_of

_DEEPEST = 4


def json_calls(reading: Reading) -> Steps[bool]:
    """One JSON value with calls in it; whether there were any."""
    tape = reading.tape
    tape.doubt = None
    start = tape.position
    reading.done, reading.call = 0, None
    try:
        yield from _value(reading, 0)
    except Broken:
        raw = yield from reading.broken(start)
        current = reading.call
        for name, arguments in calls_in(reading.repaired(raw))[reading.done :]:
            if current is None:
                reading.whole_call(name, arguments)
            else:
                current.complete(arguments)
                reading.end(current)
                current = None
        if current:
            current.complete(None)
            reading.end(current)
    return reading.done > 0


def _value(reading: Reading, depth: int) -> Steps[None]:
    tape = reading.tape
    first = yield from tape.peek()
    if first not in ("{", "["):
        raise Broken
    if depth > _DEEPEST:
        yield from skip(tape)
        return
    tape.at += 1
    if first == "{":
        yield from _envelope(reading, depth)
        return
    while True:
        first = yield from tape.peek()
        if first in ("]", ","):
            tape.at += 1
            if first == "]":
                return
        elif reading.gate == "whole" and first != "{":
            raise NoCall
        else:
            yield from _value(reading, depth + 1)


def _envelope(reading: Reading, depth: int) -> Steps[None]:
    """An object that is a call, or has calls in it; the tape is behind its ``{``."""
    tape = reading.tape
    call: Call | None = None
    arguments: str | None = None
    flat: dict[str, object] = {}
    whole = False
    while True:
        first = tape.here or (yield from tape.peek())
        if first == "}":
            tape.at += 1
            break
        if first == ",":
            tape.at += 1
            continue
        if first not in ("'", '"'):
            raise Broken
        key = yield from text_of(tape)
        if (tape.here or (yield from tape.peek())) != ":":
            raise Broken
        tape.at += 1
        first = tape.here or (yield from tape.peek())
        _judge(reading, key, first)
        if first in ("{", "[") and (key in WRAPPERS or key in NAMES):
            yield from _value(reading, depth + 1)
        elif key in NAMES and first in ("'", '"') and call is None:
            call = reading.begin((yield from text_of(tape)))
            reading.call = call
            if arguments is not None:
                call.complete(_loaded(arguments))
        elif key in ARGUMENTS and not whole:
            whole = True
            if call:
                yield from arguments_of(reading, call, first)
            else:
                arguments = yield from skip(tape)
        elif key in BESIDE:
            yield from skip(tape)
        else:
            flat.setdefault(key, _loaded((yield from skip(tape))))
    if call:
        if flat and not whole:
            call.complete(flat)
        if reading.gate == "whole" and not whole:
            raise NoCall
        reading.end(call)


def _judge(reading: Reading, key: str, first: str) -> None:
    """What is no call but for its being the whole answer must look like one from the first key on."""
    if reading.gate != "whole":
        return
    if key in WRAPPERS and first in ("{", "["):
        reading.gate = "go"
    elif not reading.alone or not (key in NAMES or key in ARGUMENTS or key in BESIDE):
        raise NoCall


def arguments_of(reading: Reading, call: Call, first: str) -> Steps[None]:
    """The arguments in an envelope: an object, or a string that has one in it."""
    tape = reading.tape
    if first == "{":
        yield from canonical(tape, call.where, call.write)
        return
    if first not in ("'", '"'):
        call.complete(_loaded((yield from skip(tape))))
        return
    inner = Tape()
    parts: list[str] = []
    reader = _object_in(inner, call)
    alive = next(reader, True) is None
    broken = False

    def take(text: str) -> None:
        nonlocal alive, broken
        parts.append(text)
        if not alive:
            return
        inner.append(text)
        try:
            next(reader)
        except StopIteration:
            alive = False
        except Broken:
            alive, broken = False, True

    yield from string(tape, take)
    if alive or broken:
        call.complete("".join(parts))


def _object_in(tape: Tape, call: Call) -> Steps[None]:
    """Arguments in a string: one object, and white space."""
    if (yield from tape.peek()) != "{":
        raise Broken
    yield from canonical(tape, call.where, call.write)


def _loaded(raw: str) -> object:
    try:
        return loads(raw)
    except ValueError:
        raise Broken from None
