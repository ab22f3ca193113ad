"""Calls of tools in a model's text, told from it as it comes. Pure.

The text is read as by someone who waits: what gives `Steps` reads on, and stops where the text does not yet
tell what it is. So nothing depends on how the text was split.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal, cast

from opendify.gateway.tools import announced
from opendify.gateway.tools.arguments import CONSTANTS, canonical, closed
from opendify.gateway.tools.definitions import Tool, Toolset
from opendify.gateway.tools.fitting import Place, dumps, escaped, fit, kind_of, loads, place, unfit
from opendify.gateway.tools.formats import (
    BRACKET,
    CALL_FENCES,
    EVENT,
    FENCE,
    FENCE_END,
    FENCES,
    HELD,
    JSON_FENCES,
    LANGUAGE,
    LONGEST_HELD,
    LONGEST_MARK,
    MARK_BEGUN,
    MARKS,
    MEMBER_END,
    MEMBER_ENDS,
    MEMBER_TAIL,
    OTHER_FENCES,
    TAG,
    TAG_BEGUN,
    TRIGGERS,
    Tag,
    tag,
)
from opendify.gateway.tools.pythonic import keywords
from opendify.gateway.tools.repair import ARGUMENTS, NAMES, WRAPPERS, balanced, calls_in, effort, repaired
from opendify.gateway.tools.tape import Broken, Steps, Tape, skip, string, text_of

Kind = Literal["text", "call", "arguments", "end", "stray", "over"]
Piece = tuple[Kind, str]
"""What was read: ``("text", s)`` for the client; ``("call", name)``, then ``("arguments", s)`` that joined
are one object of canonical JSON, then ``("end", fault)``, empty if they fit the tool's schema; ``("stray",
name)``, a call of no tool that may be called; ``("over", "")``: nothing after this is wanted."""

_Gate = Literal["go", "wait", "whole", "last", "example"]
"""Whether what is read is a call: for sure, if what follows lets it, if it is the whole answer or says itself
that it has calls, if it is the last of the answer, never."""

_MOST_CALLS = 128
"""A model that calls so often has lost itself; nothing more is read."""
_MOST_FAILED = 1000
"""A text with so many marks that no call belongs to speaks of them; all the rest of it is text."""
_REMEMBERED = 1000
"""Characters of text before a mark that may tell what it is."""
_DEEPEST = 4
_MOST_WRAPPED = 2
"""How often arguments may be put into a string: some models do it to the string, too."""
_IDENTIFIER = re.compile(r"[^\s\"'`<>()\[\]{}|｜\\,;]{1,140}")
_CALL_ID = re.compile(r"[\w-]{0,64}")
_NUMBERED = re.compile(r"^functions\.|:\d{1,6}$")
_BRACKETED = re.compile(r"\[(?:/?[A-Z_]{0,12}\]?)?")
_BLANKS = re.compile(r"[ \t]{0,20}")
_SPACES = re.compile(r"\s{0,30}")
_LINE_BREAK = re.compile(r"(?:\r?\n)?")
_TEXT = frozenset({"string"})
_EFFORT = 1_000_000
"""What is spent on mending the JSON of an answer, all in all, by the measure of `effort`."""
_TO_PARENTHESIS = re.compile(r"""[^"'()\\]+""")
_OTHER_KEYS = frozenset({"id", "type", "index", "call_id", "tool_call_id", "role", "content", "refusal"})


class _Over(Exception):
    """Nothing that follows is wanted."""


class _NoCall(Exception):
    """What was read as a whole answer is none of a call."""


class _Call:
    """A call that is being read."""

    def __init__(
        self,
        tape: Tape,
        name: str,
        tool: Tool | None,
        emit: Callable[[Kind, str], None],
        repaired: Callable[[str], object],
    ) -> None:
        self.known = tool is not None
        self.where: Place = place(tool.parameters if tool else {})
        self._tape = tape
        self._name = name
        self._tool = tool
        self._emit = emit
        self._repaired = repaired
        self._written: list[str] = []
        self._doubtful: list[str] = []
        self._no_object = False

    def begin(self) -> None:
        """The name is known."""
        if self._tool:
            self._emit("call", self._name)

    def write(self, text: str) -> None:
        """A bit of canonical JSON; it waits while it is not sure that the call has not ended."""
        if self._tape.doubt is not None:
            self._doubtful.append(text)
            return
        if self._doubtful:
            self._settle()
        self._written.append(text)
        if self._tool:
            self._emit("arguments", text)

    def _settle(self) -> None:
        if self._doubtful:
            text = "".join(self._doubtful)
            self._doubtful.clear()
            self._written.append(text)
            if self._tool:
                self._emit("arguments", text)

    def complete(self, value: object) -> None:
        """The whole arguments are known now: what is not yet written of them."""
        self._doubtful.clear()
        written = "".join(self._written)
        for _ in range(_MOST_WRAPPED):
            if isinstance(value, str):
                value = self._repaired(value) if value.strip() else {}
        self._no_object = value is not None and kind_of(value) != "object"
        try:
            text = "" if self._no_object or value is None else dumps(fit(value, self.where))
        except RecursionError:
            text = ""
        self.write(text.removeprefix(written) if text.startswith(written) and text else closed(written))

    def end(self) -> None:
        """The call is read, and its arguments are checked."""
        self._settle()
        if not self._written:
            self.write("{}")
        if self._tool is None:
            self._emit("stray", self._name)
        elif self._no_object:
            self._emit("end", "$: it is no object")
        else:
            self._emit("end", unfit("".join(self._written), self._tool.parameters))


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
        self._tools = toolset
        self._tape = Tape(MARKS)
        self._out: list[Piece] = []
        self._held: list[Piece] = []
        self._gate: _Gate = "go"
        self._alone = True  # nothing stands before what is read
        self._space: list[str] = []
        self._before = ""  # the last of the text, as far as it may tell what a mark is
        self._fence = ""
        self._fence_begins = False
        self._shown = False  # some text went out
        self._made = 0  # calls, strays among them
        self._called = False  # one of them of a tool that may be called
        self._done = 0  # calls of the JSON value that is being read
        self._call: _Call | None = None
        self._gap = ""  # white space behind the last call
        self._effort = _EFFORT
        self._failed = 0  # what began as calls and was none
        self._plain = False
        self._over = False
        self._steps = self._read()
        next(self._steps)

    def feed(self, text: str) -> list[Piece]:
        """One piece of the answer in; what is certain out."""
        if self._over:
            return []
        if self._plain and (self._failed == _MOST_FAILED or not TRIGGERS.search(text)):
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
            if self._space and not self._made:
                self._out.append(("text", "".join(self._space)))
            self._over = True
        return self._taken()

    def _resume(self) -> None:
        try:
            next(self._steps)
        except StopIteration:
            self._over = True

    def _taken(self) -> list[Piece]:
        """What is to go out, neighbours of one kind joined."""
        out, self._out = self._out, []
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

    def _emit(self, kind: Kind, text: str) -> None:
        (self._out if self._gate == "go" else self._held).append((kind, text))

    # text

    def _read(self) -> Steps[None]:
        try:
            yield
            yield from self._begin_answer()
            yield from self._text()
        except _Over:
            self._out.append(("over", ""))

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
            if not (yield from self._candidate("whole", self._bare())):
                self._pass(tape.since(0))

    def _text(self) -> Steps[None]:
        tape = self._tape
        while self._failed < _MOST_FAILED:
            found = EVENT.search(tape.text, tape.at)
            if found:
                self._pass(tape.text[tape.at : found.start()])
                tape.at = found.start()
                yield from self._event(found)
                continue
            upto = len(tape.text) if tape.ended else self._unsure()
            self._pass(tape.text[tape.at : upto])
            tape.at = upto
            self._plain = upto == len(tape.text) and not self._made and not self._fence
            if not (yield from tape.more()):
                return
            self._plain = False
        self._plain = True
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
                begins = self._begins_line(at)
            elif sign == "[" and tape.text[at : at + 2] not in ("[", "[T", "[/"):
                name = tape.text[at + 1 :].strip("( \t\r\n")
                begins = self._python_name(name, begun=True) and self._begins_line(at)
            else:
                begins = True
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
            self._out.append(("text", lead if self._shown or not self._made else lead.lstrip()))
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

    def _event(self, found: re.Match[str]) -> Steps[None]:
        """The tape is at what may be a mark: a call is read, or some of it is text."""
        tape = self._tape
        tape.forget()
        kind = next(name for name, text in found.groupdict().items() if text is not None)
        if kind == "fence":
            called = yield from self._fenced()
        elif self._fence or announced.in_code(self._line(tape.at)):
            called = self._pass_sign()
        elif kind in ("results", "observed"):
            if self._made and (kind == "results" or self._begins_line(tape.at)):
                raise _Over
            called = self._pass_sign()
        elif kind == "tag":
            called = yield from self._tagged()
        else:
            called = yield from self._begun(kind, found[0])
        self._failed += not called

    def _tagged(self) -> Steps[bool]:
        tape = self._tape
        start = tape.position
        mark = yield from self._tag()
        if mark and self._made and mark.role == "result":
            raise _Over
        if mark and self._made and (mark.closing or mark.role in ("member", "separator")):
            return False
        if mark is None or mark.closing or mark.role not in ("open", "named"):
            tape.back(start)
            return self._pass_sign()
        return (yield from self._calls(start, self._section(mark)))

    def _begun(self, kind: str, text: str) -> Steps[bool]:
        tape = self._tape
        start = tape.position
        if kind == "list":
            tape.at += len(text)
            return (yield from self._calls(start, self._section(None)))
        if kind == "json":
            return (yield from self._calls(start, self._bare()))
        if self._begins_line(tape.at) and self._python_name(text.strip("[( \t\r\n")):
            return (yield from self._calls(start, self._python_list()))
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
        begins = self._begins_line(tape.at)
        marks = yield from tape.span(FENCE)
        if not begins or len(marks) < 3:
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
                inner: _Gate = "last" if announced.meant(self._before) else "example"
            else:
                inner = "go" if language in CALL_FENCES else "whole"
            if inner != "example" and (yield from self._candidate(inner, self._in_fence())):
                self._fence = ""
                return True
        tape.back(inside)
        self._pass(marks)
        self._fence, self._fence_begins = marks, True
        return False

    # calls

    def _candidate(self, gate: _Gate, reader: Steps[bool]) -> Steps[bool]:
        """Reads what may be calls; whether it is. If so they went out, else nothing did."""
        before = self._made, self._called
        self._gate, self._alone = gate, not self._made and not self._before.strip()
        try:
            found = yield from reader
        except _NoCall:
            found = False
        gate, self._gate = self._gate, "go"
        if found and gate == "wait":
            found = "\n" in self._gap or not announced.goes_on((yield from self._tape.peek()))
        elif found and gate in ("whole", "last"):
            found = not (yield from self._tape.peek())
        elif gate == "example":
            found = False
        held, self._held = self._held, []
        if not found:
            self._made, self._called = before
            return False
        self._out += held
        self._before = ""
        if self._gap:
            self._space = [self._gap]
        if self._made >= _MOST_CALLS or (self._called and not self._tools.parallel):
            raise _Over
        return True

    def _section(self, mark: Tag | None) -> Steps[bool]:
        """Calls behind a mark, up to what is neither a call nor a mark."""
        tape = self._tape
        made = self._made
        fresh, closed_ = True, False
        if mark and mark.role == "named" and mark.name:
            if not (yield from self._element(mark.name, mark.word)):
                return False
            fresh = False
        while True:
            first = yield from self._behind()
            start = tape.position
            found = True
            if first == "<":
                mark = yield from self._tag()
                if mark is None and self._made > made and TAG_BEGUN.match(tape.text, tape.at):
                    tape.at = len(tape.text)  # the answer ended within a mark
                elif mark is None or mark.role == "result":
                    found = False
                elif mark.closing:
                    fresh, closed_ = False, True
                elif mark.role == "named" and mark.name:
                    found = yield from self._element(mark.name, mark.word)
                    fresh, closed_ = False, False
                else:
                    found = fresh = mark.role != "member"
            elif first == "[" and (bracket := (yield from self._bracket())):
                found = fresh = "RESULTS" not in bracket
            elif first and first in "{[" and (fresh or not closed_):
                found = yield from (self._python_list() if (yield from self._names()) else self._json())
                fresh, closed_ = False, False
            elif first and first in "`~":
                found = yield from self._fence_mark()
            elif first and first in ",;" and self._made > made:
                tape.at += 1
                fresh = True
            elif first and first in "}])\"'" and self._made > made and not closed_:
                tape.at += 1
            elif fresh and first:
                found = yield from self._name_first()
                fresh, closed_ = False, False
            else:
                found = False
            if not found:
                if self._made > made:
                    tape.back(start)
                return self._made > made
            if self._made > made and self._gate == "go":
                tape.forget()

    def _bare(self) -> Steps[bool]:
        """A JSON value without a mark."""
        tape = self._tape
        made = yield from self._json()
        while (yield from self._behind()) in ("}", "]") and made:
            tape.at += 1
        return made

    def _in_fence(self) -> Steps[bool]:
        """Calls, and the end of their fence."""
        tape = self._tape
        if tape.text[tape.at] == "<":
            mark = yield from self._tag()
            if mark is None or mark.closing or mark.role not in ("open", "named"):
                return False
            made = yield from self._section(mark)
        else:
            tape.marks = FENCE_END
            made = yield from self._json()
            tape.marks = MARKS
        while (first := (yield from self._behind())) and first in "}],;":
            tape.at += 1
        if first and first in "`~" and (yield from self._fence_mark()):
            yield from self._behind()
        return made

    def _behind(self) -> Steps[str]:
        """The next character; the white space before it stands behind a call."""
        end = self._tape.position
        first = yield from self._tape.peek()
        self._gap = self._tape.since(end)
        return first

    def _tag(self) -> Steps[Tag | None]:
        """The tag that stands here, read over; None if there is none."""
        tape = self._tape
        while True:
            found = TAG.match(tape.text, tape.at)
            if found:
                tape.at = found.end()
                return tag(found)
            if not TAG_BEGUN.match(tape.text, tape.at) or not (yield from tape.more()):
                return None

    def _fence_mark(self) -> Steps[bool]:
        """A fence inside a call, read over with its language; whether there is one."""
        tape = self._tape
        start = tape.position
        if len((yield from tape.span(FENCE))) < 3:
            tape.back(start)
            return False
        yield from tape.span(LANGUAGE)
        return True

    def _names(self) -> Steps[bool]:
        """Whether a name stands behind a bracket."""
        tape = self._tape
        start = tape.position
        if tape.text[tape.at] == "[":
            tape.at += 1
            first = yield from tape.peek()
            tape.back(start)
            return first.isalpha()
        return False

    def _bracket(self) -> Steps[str]:
        """The mark in brackets that stands here, read over; empty if there is none."""
        tape = self._tape
        start = tape.position
        word = yield from tape.span(_BRACKETED)
        if BRACKET.fullmatch(word):
            return word
        tape.back(start)
        return ""

    def _name_first(self) -> Steps[bool]:
        """A call that begins with the name of its tool: ``name{…}``, ``name[ARGS]{…}``, ``name(…)``."""
        tape = self._tape
        name = yield from tape.span(_IDENTIFIER)
        end = tape.position
        if not name:
            return False
        separated = False
        while True:
            first = yield from tape.peek()
            if name in JSON_FENCES and first and first in "{[":
                return (yield from self._json())
            sure = separated or tape.position == end or self._known(name)
            if first == "{" or (separated and first in ('"', "'")):
                if sure:
                    yield from self._object(name, first)
                return sure
            if first == "(":
                name = name.removesuffix(".call")
                if not self._known(name):
                    return False
                given = yield from self._parentheses(name)
                if given is None:
                    return False
                self._whole_call(name, given)
                return True
            if first == "`" and sure:
                if not (yield from self._fence_mark()):
                    return False
                continue
            if first == "[":
                bracket = yield from self._bracket()
                if bracket == "[CALL_ID]":
                    yield from tape.span(_CALL_ID)
                if bracket in ("[ARGS]", "[CALL_ID]"):
                    separated = True
                    continue
                return False
            if first != "<":
                return False
            start = tape.position
            mark = yield from self._tag()
            if mark and mark.role == "separator":
                separated = True
                if name == "function":
                    yield from tape.peek()
                    name = (yield from tape.span(_IDENTIFIER)) or name
                continue
            tape.back(start)
            return bool(mark and (mark.role == "member" or self._known(name))) and (
                yield from self._element(name)
            )

    def _object(self, name: str, first: str) -> Steps[None]:
        """The arguments of a call whose name is known: an object of their own, or a string with one in it."""
        tape = self._tape
        call = self._begin(name)
        start = tape.position
        try:
            yield from self._arguments(call, first)
        except Broken:
            call.complete(self._repaired((yield from self._broken(start))))
        self._end(call)

    def _element(self, name: str, word: str = "") -> Steps[bool]:
        """The arguments of a call whose name is known, as elements or as an object; False if it is none."""
        tape = self._tape
        ends = MEMBER_ENDS.get(word, MEMBER_END)
        call: _Call | None = None
        keys: set[str] = set()
        key = ""
        while True:
            start = tape.position
            first = yield from tape.peek()
            if first and first in "`~" and (yield from self._fence_mark()):
                continue
            if first and first in "{\"'" and not keys:
                yield from self._object(name, first)
                return True
            mark = (yield from self._tag()) if first == "<" else None
            if call is None:
                if not mark and (first or not self._known(name)):
                    return False
                call = self._begin(name)
            if mark is None or mark.role != "member":
                tape.back(start)
                break
            if mark.closing:
                continue
            if mark.word == "arg_key":
                key = (yield from self._member_text(ends)).strip()
                continue
            key = mark.name or key
            if key and key not in keys:
                call.write(("," if keys else "{") + f'"{escaped(key)}":')
                keys.add(key)
                yield from self._member(call, call.where.property(key), ends, exact=mark.exact)
            else:
                yield from self._member_text(ends)
        if keys:
            call.write("}")
        self._end(call)
        return True

    def _member(self, call: _Call, where: Place, ends: re.Pattern[str], *, exact: bool) -> Steps[None]:
        """An argument that is written as an element; goes out as it comes where only text is taken."""
        if where.types == _TEXT or (exact and where.takes("string")):
            call.write('"')
            yield from self._until_member_ends(ends, lambda text: call.write(escaped(text)), exact=exact)
            call.write('"')
            return
        text = yield from self._member_text(ends)
        call.write(dumps(self._valued(text, where)))

    def _member_text(self, ends: re.Pattern[str]) -> Steps[str]:
        parts: list[str] = []
        yield from self._until_member_ends(ends, parts.append)
        return "".join(parts)

    def _until_member_ends(
        self, ends: re.Pattern[str], write: Callable[[str], object], *, exact: bool = False
    ) -> Steps[None]:
        """An element's text; if not exact, without the line break behind its tag and before the next."""
        tape = self._tape
        if not exact:
            yield from tape.span(_LINE_BREAK)
        while True:
            end = ends.search(tape.text, tape.at)
            if end and (end.end() < len(tape.text) or tape.ended):
                text = tape.text[tape.at : end.start()]
                write(text if exact else text.removesuffix("\n").removesuffix("\r"))
                tape.at = end.start()
                start = tape.position
                mark = yield from self._tag()
                if mark is None or mark.role != "member" or not mark.closing:
                    tape.back(start)
                return
            tail = MEMBER_TAIL.search(tape.text, max(tape.at, len(tape.text) - LONGEST_MARK))
            upto = tail.start() if tail else len(tape.text)
            write(tape.text[tape.at : upto])
            tape.at = upto
            if not (yield from tape.more()):
                write(tape.text[tape.at :].rstrip())
                tape.at = len(tape.text)
                return

    def _python_list(self) -> Steps[bool]:
        """Calls as Python writes them, in brackets."""
        tape = self._tape
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
            given = yield from self._parentheses(name)
            if given is None:
                return False
            calls.append((name, given))
        if (yield from self._behind()) == "(":
            return False
        for name, arguments in calls:
            self._whole_call(name, arguments)
        return bool(calls)

    def _parentheses(self, name: str) -> Steps[dict[str, object] | None]:
        """The arguments in parentheses; None if they are none."""
        tape = self._tape
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
        tool = self._tools.get(self._resolved(name))
        properties = tool.parameters.get("properties") if tool else None
        names = list(cast("Mapping[str, object]", properties)) if isinstance(properties, Mapping) else []
        try:
            return keywords(text, names)
        except Broken:
            return None

    # calls in JSON

    def _json(self) -> Steps[bool]:
        """One JSON value with calls in it; whether there were any."""
        tape = self._tape
        tape.doubt = None
        start = tape.position
        self._done, self._call = 0, None
        try:
            yield from self._value(0)
        except Broken:
            raw = yield from self._broken(start)
            current = self._call
            for name, arguments in calls_in(self._repaired(raw))[self._done :]:
                if current is None:
                    self._whole_call(name, arguments)
                else:
                    current.complete(arguments)
                    self._end(current)
                    current = None
            if current:
                current.complete(None)
                self._end(current)
        return self._done > 0

    def _value(self, depth: int) -> Steps[None]:
        tape = self._tape
        first = yield from tape.peek()
        if first not in ("{", "["):
            raise Broken
        if depth > _DEEPEST:
            yield from skip(tape)
            return
        tape.at += 1
        if first == "{":
            yield from self._envelope(depth)
            return
        while True:
            first = yield from tape.peek()
            if first in ("]", ","):
                tape.at += 1
                if first == "]":
                    return
            elif self._gate == "whole" and first != "{":
                raise _NoCall
            else:
                yield from self._value(depth + 1)

    def _envelope(self, depth: int) -> Steps[None]:
        """An object that is a call, or has calls in it; the tape is behind its ``{``."""
        tape = self._tape
        call: _Call | None = None
        arguments: str | None = None
        whole = False
        while True:
            first = yield from tape.peek()
            if first == "}":
                tape.at += 1
                break
            if first == ",":
                tape.at += 1
                continue
            if first not in ("'", '"'):
                raise Broken
            key = yield from text_of(tape)
            if (yield from tape.peek()) != ":":
                raise Broken
            tape.at += 1
            first = yield from tape.peek()
            self._judge(key, first)
            if first in ("{", "[") and (key in WRAPPERS or key in NAMES):
                yield from self._value(depth + 1)
            elif key in NAMES and first in ("'", '"') and call is None:
                call = self._begin((yield from text_of(tape)))
                self._call = call
                if arguments is not None:
                    call.complete(_loaded(arguments))
            elif key in ARGUMENTS and not whole:
                whole = True
                if call:
                    yield from self._arguments(call, first)
                else:
                    arguments = yield from skip(tape)
            else:
                yield from skip(tape)
        if call:
            if self._gate == "whole" and not whole:
                raise _NoCall
            self._end(call)

    def _judge(self, key: str, first: str) -> None:
        """What is no call but for its being the whole answer must look like one from the first key on."""
        if self._gate != "whole":
            return
        if key in WRAPPERS and first in ("{", "["):
            self._gate = "go"
        elif not self._alone or not (key in NAMES or key in ARGUMENTS or key in _OTHER_KEYS):
            raise _NoCall

    def _arguments(self, call: _Call, first: str) -> Steps[None]:
        """The arguments in an envelope: an object, or a string that has one in it."""
        tape = self._tape
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

    def _broken(self, start: int) -> Steps[str]:
        """The text from there to where the damaged value ends: a mark, or the end of the text."""
        tape = self._tape
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

    def _repaired(self, raw: str) -> object:
        self._effort -= effort(raw)
        return repaired(raw, library=self._effort >= 0)

    def _valued(self, text: str, where: Place) -> object:
        """The value of an element's text: what JSON reads there, if that is taken, else the text itself."""
        if text.strip() in CONSTANTS:
            value = CONSTANTS[text.strip()]
        else:
            try:
                value = loads(text)
            except ValueError:
                broken = text.lstrip()[:1] in ("{", "[") and not where.takes("string")
                value = self._repaired(text) if broken else text
        if isinstance(value, str) or not where.takes(kind_of(value)):
            return fit(text, where)
        return fit(value, where)

    # one call

    def _resolved(self, name: str) -> str:
        """The name of the tool that a model means: ``functions.get_weather:0`` is `get_weather`."""
        for candidate in (name, name.removeprefix("functions."), _NUMBERED.sub("", name)):
            if candidate in self._tools.allowed:
                return candidate
        return name

    def _known(self, name: str) -> bool:
        return self._resolved(name) in self._tools.allowed

    def _python_name(self, name: str, *, begun: bool = False) -> bool:
        if not begun:
            return self._known(name)
        return any(known.startswith(name.removeprefix("functions.")) for known in self._tools.allowed) or (
            "functions.".startswith(name)
        )

    def _begin(self, name: str) -> _Call:
        name = self._resolved(name)
        tool = self._tools.get(name)
        if tool is None and self._gate == "whole":
            raise _NoCall
        only = self._called and not self._tools.parallel
        call = _Call(
            self._tape, name, None if only else tool, self._ignore if only else self._emit, self._repaired
        )
        call.begin()
        return call

    def _ignore(self, kind: Kind, text: str) -> None:
        """A call too many, where only one is taken."""

    def _end(self, call: _Call) -> None:
        call.end()
        self._done += 1
        self._call = None
        self._made += 1
        self._called = self._called or call.known
        if self._gate == "go" and (self._made >= _MOST_CALLS or (self._called and not self._tools.parallel)):
            raise _Over

    def _whole_call(self, name: str, arguments: object) -> None:
        if self._gate == "whole" and arguments is None:
            raise _NoCall
        call = self._begin(name)
        call.complete(arguments)
        self._end(call)


def _object_in(tape: Tape, call: _Call) -> Steps[None]:
    """Arguments in a string: one object, and white space."""
    if (yield from tape.peek()) != "{":
        raise Broken
    yield from canonical(tape, call.where, call.write)


def _loaded(raw: str) -> object:
    try:
        return loads(raw)
    except ValueError:
        raise Broken from None
