"""Text that comes in pieces, read as if it were all there: whoever needs more than there is waits. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]
"""A reader: it stops wherever the text does not yet tell how to go on, and is resumed with more of it."""

_SPACE = re.compile(r"\s*")
_PLAIN = {'"': re.compile(r'[^"\\]+'), "'": re.compile(r"[^'\\]+")}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})(?:\\u([0-9a-fA-F]{4}))?|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\", "/": "/", "'": "'"}
_LONGEST_ESCAPE = 12


class Broken(Exception):
    """The text is not what it was read as, from here on."""


class Tape:
    """The text so far, and a place in it.

    Attributes:
        text: What may still be read, and some of what was.
        at: The place in ``text`` where reading goes on.
        ended: No more will come.
        doubt: The position of a marker inside a string, where the text that was read may in truth have ended;
            None while there is no doubt.
        marks: What ends a call everywhere else, looked for in strings; None where nothing does.
    """

    __slots__ = ("_log", "_origin", "at", "doubt", "ended", "marks", "text")

    def __init__(self, marks: re.Pattern[str] | None = None) -> None:
        self.marks = marks
        self.text = ""
        self.at = 0
        self.ended = False
        self.doubt: int | None = None
        self._origin = 0
        self._log: list[str] = []

    def append(self, text: str) -> None:
        """One more piece; what was read is laid aside, so that the cost does not grow with it."""
        if self.at:
            self._log.append(self.text[: self.at])
            self._origin += self.at
            self.text = self.text[self.at :] + text
            self.at = 0
        else:
            self.text += text

    @property
    def position(self) -> int:
        """How many characters were read since the beginning."""
        return self._origin + self.at

    def forget(self) -> None:
        """Nobody will ask for what was read until now."""
        self._log.clear()

    def since(self, position: int) -> str:
        """What was read from there to here."""
        if position >= self._origin:
            return self.text[position - self._origin : self.at]
        parts = [self.text[: self.at]]
        missing = self._origin - position
        for part in reversed(self._log):
            parts.append(part[-missing:] if missing < len(part) else part)
            missing -= len(part)
            if missing <= 0:
                break
        return "".join(reversed(parts))

    def back(self, position: int) -> None:
        """Read on from there once more."""
        if position >= self._origin:
            self.at = position - self._origin
            return
        self.text = self.since(position) + self.text[self.at :]
        self.at = 0
        while self._log and self._origin > position:
            part = self._log.pop()
            self._origin -= len(part)
            if self._origin < position:
                self._log.append(part[: position - self._origin])
                self._origin = position

    def more(self) -> Steps[bool]:
        """Waits for more text; False if none will come."""
        if self.ended:
            return False
        yield
        return True

    @property
    def here(self) -> str:
        """The next character, if it is there and no white space: `peek` without a wait, which is dear."""
        first = self.text[self.at : self.at + 1]
        return "" if first.isspace() else first

    def peek(self) -> Steps[str]:
        """The next character that is no white space, and the tape is there; empty at the end."""
        while True:
            space = _SPACE.match(self.text, self.at)
            self.at = space.end() if space else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not (yield from self.more()):
                return ""

    def span(self, pattern: re.Pattern[str]) -> Steps[str]:
        """Reads what a pattern takes here; waits while it could take more."""
        while True:
            found = pattern.match(self.text, self.at)
            end = found.end() if found else self.at
            if end < len(self.text) or not (yield from self.more()):
                span = self.text[self.at : end]
                self.at = end
                return span


_MARK_BEGUN = re.compile(r"(?:<[^\s<>]{0,60}|\[[A-Z_/]{0,20}|`{1,3})\Z")
_BEGINS_MARK = re.compile(r"[<\[`~]")
_CLOSING = "}] \t\r\n"
_MOST_CLOSING = 32


def _sure(run: str) -> int:
    """How much of a string's text is its own, even if it ended here unclosed.

    Behind that stand brackets that would close what is open, and the beginning of a mark.
    """
    end = len(run)
    if _BEGINS_MARK.search(run, max(0, end - 61)) and (begun := _MARK_BEGUN.search(run, max(0, end - 61))):
        end = begun.start()
    if end and run[end - 1] in _CLOSING:
        start = max(0, end - _MOST_CLOSING)
        return start + len(run[start:end].rstrip(_CLOSING))
    return end


def string(tape: Tape, write: Callable[[str], object]) -> Steps[None]:
    """Reads a JSON string, the tape being at its opening quote, and writes its text piece by piece.

    Its closing quote counts when what follows may follow a string: models forget to escape quotes.

    From the first of the tape's ``marks`` on, nothing is sure until the string ends.

    Raises:
        Broken: The text ends, or goes on as it can't after a string.
    """
    quote = tape.text[tape.at]
    tape.at += 1
    while True:
        if tape.at >= len(tape.text):
            if not (yield from tape.more()):
                raise Broken
            continue
        first = tape.text[tape.at]
        if first == quote:
            tape.at += 1
            break
        if first == "\\":
            second = tape.text[tape.at + 1 : tape.at + 2]
            if second and second != "u":
                write(_ESCAPED.get(second, f"\\{second}"))
                tape.at += 2
            else:
                write((yield from _escape(tape)))
            continue
        plain = _PLAIN[quote].match(tape.text, tape.at)
        assert plain, "neither quote nor backslash"
        run, end = plain[0], plain.end()
        if tape.marks is not None and tape.doubt is None:
            mark = tape.marks.search(run) if _BEGINS_MARK.search(run) else None
            if mark or end == len(tape.text):
                upto = mark.start() if mark else len(run)
                sure = _sure(run[:upto])
                if sure:
                    write(run[:sure])
                    tape.at += sure
                if mark:
                    tape.doubt = tape.position + upto - sure
                elif not (yield from tape.more()):
                    raise Broken
                continue
        write(run)
        tape.at = end
    if (tape.here or (yield from tape.peek())) not in ",:]}":
        raise Broken
    if not (tape.ended and tape.at >= len(tape.text)):
        tape.doubt = None


def _escape(tape: Tape) -> Steps[str]:
    """The character that an escape stands for; one that JSON does not know stands for itself."""
    while len(tape.text) - tape.at < _LONGEST_ESCAPE and not _settled(tape):
        if not (yield from tape.more()):
            break
    found = _ESCAPE.match(tape.text, tape.at)
    if not found:
        raise Broken
    first, second, plain = found.groups()
    if plain is not None:
        tape.at = found.end()
        return _ESCAPED.get(plain, f"\\{plain}")
    high, low = int(first, 16), int(second or "0", 16)
    if 0xD800 <= high < 0xDC00 <= low < 0xE000:
        tape.at = found.end()
        return chr(0x10000 + (high - 0xD800) * 0x400 + low - 0xDC00)
    tape.at += 6
    return chr(high)


def _settled(tape: Tape) -> bool:
    """Whether an escape is there as a whole: a high half may have a low one after it."""
    rest = tape.text[tape.at : tape.at + 8]
    if len(rest) < 2:
        return False
    if rest[1] != "u":
        return True
    if len(rest) < 6:
        return False
    return rest[2:4].lower() not in ("d8", "d9", "da", "db") or (
        len(rest) > 6 and rest[6:] not in ("\\", "\\u")
    )


def text_of(tape: Tape) -> Steps[str]:
    """Reads a JSON string as a whole."""
    parts: list[str] = []
    yield from string(tape, parts.append)
    return "".join(parts)


def skip(tape: Tape) -> Steps[str]:
    """Reads over one JSON value, of any depth, and gives its text.

    Raises:
        Broken: The text ends, or brackets don't match.
    """
    start = tape.position
    closers: list[str] = []
    while True:
        first = yield from tape.peek()
        if not first:
            raise Broken
        if first in "\"'":
            yield from string(tape, len)
        elif first in "[{":
            closers.append("]" if first == "[" else "}")
            tape.at += 1
            continue
        elif first in "]}":
            if not closers or closers.pop() != first:
                raise Broken
            tape.at += 1
        elif first in ",:":
            if not closers:
                raise Broken
            tape.at += 1
            continue
        else:
            yield from word(tape)
        if not closers:
            return tape.since(start)


_WORD = re.compile(r"""[^\s,:\[\]{}"'<`]+""")
_LONGEST_WORD = 5000


def word(tape: Tape) -> Steps[str]:
    """Reads a number or a constant, up to what can't belong to it.

    Raises:
        Broken: The text ends, or there is none, or it is endless.
    """
    while True:
        found = _WORD.match(tape.text, tape.at)
        if found is None or len(found[0]) > _LONGEST_WORD:
            raise Broken
        if found.end() < len(tape.text):
            tape.at = found.end()
            return found[0]
        if not (yield from tape.more()):
            raise Broken
