"""Calls of tools in a model's text, told from it as it comes. Pure.

The text is read as by someone who waits: what gives `Steps` reads on, and stops where the text does not yet
tell what it is. So nothing depends on how the text was split.
"""

from __future__ import annotations

import re

from opendify.gateway.tools import announced
from opendify.gateway.tools.call import Piece
from opendify.gateway.tools.definitions import Toolset
from opendify.gateway.tools.formats import (
    CALL_FENCES,
    EVENT,
    FENCE,
    FENCES,
    HELD,
    LANGUAGE,
    LONGEST_HELD,
    OTHER_FENCES,
    TRIGGERS,
)
from opendify.gateway.tools.reading import Gate, Over, Reading
from opendify.gateway.tools.sections import bare, in_fence, python_list, section
from opendify.gateway.tools.tape import Steps

_MOST_FAILED = 1000
"""A text with so many marks that no call belongs to speaks of them; all the rest of it is text."""
_REMEMBERED = 1000
"""Characters of text before a mark that may tell what it is."""
_BLANKS = re.compile(r"[ \t]{0,20}")
_SPACES = re.compile(r"\s{0,30}")


class CallParser:
    """Tells calls from text.

    Args:
        toolset: The tools of the request; only those that may be called are.

    >>> from opendify.gateway.tools.definitions import Tool, Toolset
    >>> parser = CallParser(Toolset([Tool("get_weather")], frozenset({"get_weather"})))
    >>> parser.feed('Let me look. <tool_ca'), parser.feed('ll>{"name": "get_weather", "argum')
    ([('text', 'Let me look.')], [('call', 'get_weather')])
    >>> parser.feed('ents": {"city": "Par'), parser.feed("is'}}</tool_call>".replace("'", '"'))
    ([('arguments', '{"city":"Par')], [('arguments', 'is"}'), ('end', '')])
    >>> parser.flush()
    []
    """

    def __init__(self, toolset: Toolset) -> None:
        self._reading = Reading(toolset)
        self._tape = self._reading.tape
        self._space: list[str] = []
        self._before = ""  # the last of the text, as far as it may tell what a mark is
        self._fence = ""
        self._fence_begins = False
        self._shown = False  # some text went out
        self._failed = 0  # what began as calls and was none
        self._gave_up = False  # there are too many marks for it to be anything but text
        self._plain = False  # what comes without any sign of a mark is text
        self._over = False
        self._steps = self._read()
        next(self._steps)

    def feed(self, text: str) -> list[Piece]:
        """One piece of the answer in; what is certain out."""
        if self._over:
            return []
        if self._plain and (self._gave_up or not TRIGGERS.search(text)):
            self._pass(text)
        else:
            self._tape.append(text)
            self._resume()
        return self._taken()

    def flush(self) -> list[Piece]:
        """The answer ended: all that is left."""
        if not self._over:
            self._tape.ended = True
            self._resume()
            if self._space and not self._reading.made:
                self._reading.out.append(("text", "".join(self._space)))
            self._over = True
        return self._taken()

    def _resume(self) -> None:
        try:
            next(self._steps)
        except StopIteration:
            self._over = True

    def _taken(self) -> list[Piece]:
        """What is to go out, neighbours of one kind joined."""
        out, self._reading.out = self._reading.out, []
        if len(out) < 2:
            return out
        joined: list[Piece] = []
        parts: list[str] = []
        for kind, text in out:
            if kind in ("text", "arguments"):
                if joined and joined[-1][0] == kind:
                    parts.append(text)
                    continue
                if parts:
                    joined[-1] = (joined[-1][0], "".join(parts))
                parts = [text]
            elif parts:
                joined[-1] = (joined[-1][0], "".join(parts))
                parts = []
            joined.append((kind, text))
        if parts:
            joined[-1] = (joined[-1][0], "".join(parts))
        return joined

    def _read(self) -> Steps[None]:
        try:
            yield
            yield from self._begin_answer()
            yield from self._text()
        except Over:
            self._reading.out.append(("over", ""))

    def _begin_answer(self) -> Steps[None]:
        """An answer that is nothing but JSON may be a call without any mark."""
        tape = self._tape
        first = yield from tape.peek()
        self._space.append(tape.since(0))
        start = tape.position
        if first == "[":
            tape.at += 1
            is_list = (yield from tape.peek()) == "{"
            tape.back(start)
            first = "{" if is_list else first
        if first == "{":
            self._space.clear()
            if not (yield from self._candidate("whole", bare(self._reading))):
                self._pass(tape.since(0))

    def _text(self) -> Steps[None]:
        tape = self._tape
        while self._failed < _MOST_FAILED and not self._reading.full:
            found = EVENT.search(tape.text, tape.at)
            if found:
                self._pass(tape.text[tape.at : found.start()])
                tape.at = found.start()
                yield from self._event(found)
                continue
            upto = len(tape.text) if tape.ended else self._unsure()
            self._pass(tape.text[tape.at : upto])
            tape.at = upto
            self._plain = upto == len(tape.text) and not self._reading.made and not self._fence
            if not (yield from tape.more()):
                return
            self._plain = False
        self._plain = self._gave_up = True
        while tape.at < len(tape.text) or (yield from tape.more()):
            self._pass(tape.text[tape.at :])
            tape.at = len(tape.text)

    def _unsure(self) -> int:
        """Where the end of the text begins that may still become a mark."""
        tape = self._tape
        at = max(tape.at, len(tape.text) - LONGEST_HELD)
        while found := HELD.search(tape.text, at):
            at = found.start()
            sign = tape.text[at]
            if sign in "`~":
                begins = self._takes_fence(at)
            elif sign == "[" and tape.text[at : at + 2] not in ("[", "[T", "[/"):
                name = tape.text[at + 1 :].strip("( \t\r\n")
                begins = self._python_name(name, begun=True) and self._takes_list(at)
            else:
                begins = sign != "O" or (self._reading.made > 0 and self._begins_line(at))
            if begins:
                return at
            at = found.end() if sign in "`~" else at + 1
        return len(tape.text)

    def _pass(self, text: str) -> None:
        """Text for the client; white space at its end waits, for it is dropped before a call."""
        if not text:
            return
        self._before = (self._before + text)[-_REMEMBERED:]
        if self._fence_begins:
            self._info(text)
        body = text.rstrip()
        if body:
            lead = "".join(self._space) + body
            self._space.clear()
            self._reading.out.append(
                ("text", lead if self._shown or not self._reading.made else lead.lstrip())
            )
            self._shown = True
        if len(body) < len(text):
            self._space.append(text[len(body) :])

    def _info(self, text: str) -> None:
        """The rest of the line that a fence begins with; a backtick in it makes the fence a bit of code."""
        line, end, _ = text.partition("\n")
        if self._fence[0] == "`" and "`" in line:
            self._fence = ""
        self._fence_begins = bool(self._fence) and not end

    def _line(self, at: int) -> str:
        """The text of the line before a place."""
        before = self._before + self._tape.text[self._tape.at : at]
        return before[before.rfind("\n") + 1 :]

    def _begins_line(self, at: int) -> bool:
        return not self._line(at).strip()

    def _takes_list(self, at: int) -> bool:
        """Whether calls in Python's form may stand here: on a line, or behind words that mean them."""
        line = self._line(at).strip()
        return not line or announced.announces(line)

    def _candidate(self, gate: Gate, reader: Steps[bool]) -> Steps[bool]:
        """Reads what may be calls; whether it is. White space before them is dropped then."""
        reading = self._reading
        alone = not reading.made and not self._before.strip()
        found = yield from reading.attempt(gate, reader, alone=alone)
        if found:
            self._before = ""
            if reading.gap:
                self._space = [reading.gap]
        return found

    def _takes_fence(self, at: int) -> bool:
        """Whether a fence may stand here: on its own line, or with a call in it behind a plain sentence."""
        line = self._line(at).strip()
        return not line or (not self._fence and announced.ends(line) and "`" not in line)

    def _event(self, found: re.Match[str]) -> Steps[None]:
        """The tape is at what may be a mark: a call is read, or some of it is text."""
        tape = self._tape
        tape.forget()
        kind = found.lastgroup
        assert kind is not None, "each alternative has a name"
        if kind == "fence":
            called = yield from self._fenced()
        elif self._fence or announced.in_code(self._line(tape.at)):
            called = self._pass_sign()
        elif kind in ("results", "observed"):
            if self._reading.made and (kind == "results" or self._begins_line(tape.at)):
                raise Over
            called = self._pass_sign()
        elif kind == "tag":
            called = yield from self._tagged()
        else:
            called = yield from self._begun(kind, found[0])
        self._failed += not called

    def _tagged(self) -> Steps[bool]:
        tape = self._tape
        start = tape.position
        mark = yield from self._reading.tag()
        if mark and self._reading.made and mark.role == "result":
            raise Over
        if mark and self._reading.made and (mark.closing or mark.role in ("member", "separator")):
            return False
        if mark is None or mark.closing or mark.role not in ("open", "named"):
            tape.back(start)
            return self._pass_sign()
        return (yield from self._calls(start, section(self._reading, mark)))

    def _begun(self, kind: str, text: str) -> Steps[bool]:
        tape = self._tape
        start = tape.position
        if kind == "list":
            tape.at += len(text)
            return (yield from self._calls(start, section(self._reading, None)))
        if kind == "json":
            return (yield from self._calls(start, bare(self._reading)))
        if self._takes_list(tape.at) and self._python_name(text.strip("[( \t\r\n")):
            return (yield from self._calls(start, python_list(self._reading)))
        return self._pass_sign()

    def _calls(self, start: int, reader: Steps[bool]) -> Steps[bool]:
        """Reads what begins with a mark, which is text if it has no call in it."""
        found = yield from self._candidate(announced.gate(self._before), reader)
        if not found:
            self._pass(self._tape.since(start))
        return found

    def _pass_sign(self) -> bool:
        """What looked like a mark is none: its first character is text, and reading goes on behind it."""
        self._pass(self._tape.text[self._tape.at])
        self._tape.at += 1
        return False

    def _fenced(self) -> Steps[bool]:
        """The tape is at three backticks or more: a fence around a call, one around code, or its end."""
        tape = self._tape
        begins, takes = self._begins_line(tape.at), self._takes_fence(tape.at)
        marks = yield from tape.span(FENCE)
        if not takes or len(marks) < 3:
            self._pass(marks)
            return False
        if self._fence:
            space = yield from tape.span(_BLANKS)
            if marks.startswith(self._fence) and tape.text[tape.at : tape.at + 1] in ("", "\n", "\r"):
                self._fence = ""
            self._pass(marks + space)
            return False
        inside = tape.position
        language = (yield from tape.span(LANGUAGE)).strip().lower()
        yield from tape.span(_SPACES)
        first = tape.text[tape.at : tape.at + 1]
        if (
            language in FENCES
            and first
            and first in "{[<"
            and (language in CALL_FENCES or announced.gate(self._before, fenced=True) != "example")
        ):
            self._fence = marks
            if first == "<" or language in OTHER_FENCES:
                inner: Gate = "last" if announced.meant(self._before) else "example"
            else:
                inner = "go" if language in CALL_FENCES else "whole"
            if inner != "example" and (yield from self._candidate(inner, in_fence(self._reading))):
                self._fence = ""
                return True
        tape.back(inside)
        self._pass(marks)
        self._fence, self._fence_begins = (marks, True) if begins else ("", False)
        return False

    def _python_name(self, name: str, *, begun: bool = False) -> bool:
        if not begun:
            return self._reading.known(name)
        return any(
            known.startswith(name.removeprefix("functions.")) for known in self._reading.tools.allowed
        ) or ("functions.".startswith(name))
