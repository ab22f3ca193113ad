"""What is read of an answer: calls begun and ended, and whether they go out or wait. Pure."""

from __future__ import annotations

import re
from typing import Literal

from opendify.gateway.tools import announced
from opendify.gateway.tools.call import Call, Kind, Piece
from opendify.gateway.tools.definitions import Toolset
from opendify.gateway.tools.formats import (
    BRACKET,
    FENCE,
    LANGUAGE,
    LONGEST_MARK,
    MARK_BEGUN,
    MARKS,
    TAG,
    TAG_BEGUN,
    Tag,
    tag,
)
from opendify.gateway.tools.repair import balanced, effort, repaired
from opendify.gateway.tools.tape import Steps, Tape

Gate = Literal["go", "wait", "whole", "last", "example"]
"""Whether what is read is a call: for sure, if what follows lets it, if it is the whole answer or says itself
that it has calls, if the answer ends with it but for words of somebody who waits, never."""
_MOST_CALLS = 128
"""A model that calls so often has lost itself; nothing more is read."""
_MOST_READ = 512
"""The same, with those among them that were only examples."""
_NUMBERED = re.compile(r"^functions\.|:\d{1,6}$")
_BRACKETED = re.compile(r"\[(?:/?[A-Z_]{0,12}\]?)?")
_EFFORT = 1_000_000
"""What is spent on mending the JSON of an answer, all in all, by the measure of `effort`."""


class Over(Exception):
    """Nothing that follows is wanted."""


class NoCall(Exception):
    """What was read as a whole answer is none of a call."""


class Reading:
    """What the readers of all forms share.

    Attributes:
        tape: The text.
        tools: Those of the request.
        out: What goes out.
        held: What goes out if what is read turns out to be calls.
        gate: Whether it does.
        alone: Nothing stands before what is read.
        made: Calls so far, those of unknown tools among them.
        called: One of them was of a tool that may be called.
        done: Calls of the JSON value that is being read.
        call: The one of them that has begun.
        gap: White space behind the last call.
    """

    def __init__(self, toolset: Toolset) -> None:
        self.tape = Tape(MARKS)
        self.tools = toolset
        self.out: list[Piece] = []
        self.held: list[Piece] = []
        self.gate: Gate = "go"
        self.alone = True
        self.made = 0
        self.called = False
        self.done = 0
        self.call: Call | None = None
        self.gap = ""
        self._effort = _EFFORT
        self._ended = 0

    def attempt(self, gate: Gate, reader: Steps[bool], *, alone: bool) -> Steps[bool]:
        """Reads what may be calls; whether it is. If so they went out, else nothing did.

        Args:
            alone: Nothing stands before it.
        """
        before = self.made, self.called
        self.gate, self.alone = gate, alone
        try:
            found = yield from reader
        except NoCall:
            found = False
        gate, self.gate = self.gate, "go"
        if found and gate == "wait":
            found = "\n" in self.gap or not announced.goes_on((yield from self.tape.peek()))
        elif found and gate == "last":
            found = announced.waits((yield from self._line_behind()))
        elif found and gate == "whole":
            found = not (yield from self.tape.peek())
        elif gate == "example":
            found = False
        held, self.held = self.held, []
        if not found:
            self.made, self.called = before
            return False
        self.out += held
        self._limit()
        return True

    def _line_behind(self) -> Steps[str]:
        """The next line that has text, as far as it may tell what stands before it."""
        tape = self.tape
        yield from tape.peek()
        while True:
            line, end, _ = tape.text[tape.at : tape.at + announced.LONGEST_LINE].partition("\n")
            if end or len(line) == announced.LONGEST_LINE or not (yield from tape.more()):
                return line

    def _limit(self) -> None:
        if self.made >= _MOST_CALLS or (self.called and not self.tools.parallel):
            raise Over

    @property
    def full(self) -> bool:
        """So many calls were read, those that turned out to be text among them, that no more are."""
        return self._ended >= _MOST_READ

    def emit(self, kind: Kind, text: str) -> None:
        """A piece of a call."""
        (self.out if self.gate == "go" else self.held).append((kind, text))

    def behind(self) -> Steps[str]:
        """The next character; the white space before it stands behind a call."""
        end = self.tape.position
        first = yield from self.tape.peek()
        self.gap = self.tape.since(end)
        return first

    def tag(self) -> Steps[Tag | None]:
        """The tag that stands here, read over; None if there is none."""
        tape = self.tape
        while True:
            found = TAG.match(tape.text, tape.at)
            if found:
                tape.at = found.end()
                return tag(found)
            if not TAG_BEGUN.match(tape.text, tape.at) or not (yield from tape.more()):
                return None

    def fence_mark(self) -> Steps[bool]:
        """A fence inside a call, read over with its language; whether there is one."""
        tape = self.tape
        start = tape.position
        if len((yield from tape.span(FENCE))) < 3:
            tape.back(start)
            return False
        yield from tape.span(LANGUAGE)
        return True

    def bracket(self) -> Steps[str]:
        """The mark in brackets that stands here, read over; empty if there is none."""
        tape = self.tape
        start = tape.position
        word = yield from tape.span(_BRACKETED)
        if BRACKET.fullmatch(word):
            return word
        tape.back(start)
        return ""

    def resolved(self, name: str) -> str:
        """The name of the tool that a model means: ``functions.get_weather:0`` is `get_weather`."""
        for candidate in (name, name.removeprefix("functions."), _NUMBERED.sub("", name)):
            if candidate in self.tools.allowed:
                return candidate
        return name

    def known(self, name: str) -> bool:
        """Whether a tool of this name, in one of a model's spellings, may be called now."""
        return self.resolved(name) in self.tools.allowed

    def begin(self, name: str) -> Call:
        """A call of this name begins."""
        name = self.resolved(name)
        tool = self.tools.get(name)
        if tool is None and self.gate == "whole":
            raise NoCall
        only = self.called and not self.tools.parallel
        call = Call(
            self.tape, name, None if only else tool, self._ignore if only else self.emit, self.repaired
        )
        call.begin()
        return call

    def _ignore(self, kind: Kind, text: str) -> None:
        """A call too many, where only one is taken."""

    def end(self, call: Call) -> None:
        """A call is complete."""
        if self.gate == "whole" and not call.familiar():
            raise NoCall
        call.end()
        self.done += 1
        self._ended += 1
        self.call = None
        self.made += 1
        self.called = self.called or call.known
        if self.gate == "go":
            self._limit()
        elif self.full:
            raise NoCall

    def whole_call(self, name: str, arguments: object) -> None:
        """A call that is there as a whole; arguments of any kind, None where it has none."""
        if self.gate == "whole" and arguments is None:
            raise NoCall
        call = self.begin(name)
        call.complete(arguments)
        self.end(call)

    def broken(self, start: int) -> Steps[str]:
        """The text from there to where the damaged value ends: a mark, or the end of the text."""
        tape = self.tape
        if tape.doubt is not None:
            tape.back(tape.doubt)
            tape.doubt = None
            return tape.since(start)
        marks = tape.marks or MARKS
        while True:
            found = marks.search(tape.text, tape.at)
            if found:
                tape.at = found.start()
                return tape.since(start)
            if tape.ended:
                tape.at = len(tape.text)
                raw = tape.since(start)
                end = balanced(raw)
                rest = raw[end:].lstrip()
                if rest and rest[0] not in "}])\"',:":
                    tape.back(start + end)
                    return raw[:end]
                return raw
            begun = MARK_BEGUN.search(tape.text, max(tape.at, len(tape.text) - LONGEST_MARK))
            tape.at = begun.start() if begun else len(tape.text)
            yield from tape.more()

    def repaired(self, raw: str) -> object:
        """The value of damaged JSON, as long as mending has not cost too much in this answer."""
        self._effort -= effort(raw)
        return repaired(raw, library=self._effort >= 0)
