"""A call as Python writes it: the text between its parentheses as an object of JSON. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from opendify.gateway.tools.arguments import CONSTANTS
from opendify.gateway.tools.fitting import dumps, loads
from opendify.gateway.tools.tape import Broken

_TOKEN = re.compile(
    r"""\s+|(?P<string>[rRbBuUfF]{0,2}(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))"""
    r"""|(?P<key>[^\W\d]\w*)\s*=(?!=)|(?P<word>[\w.+-]+)|(?P<sign>[\[\](){},:])""",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(\n)|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "a": "\a", "v": "\v"}
_SIGNS = {"(": "[", ")": "]"}
_CLOSERS = {"[": "]", "{": "}"}


def keywords(text: str, positional: Sequence[str]) -> dict[str, object]:
    """The arguments of a call.

    Args:
        text: What stands between the parentheses.
        positional: The names of arguments that are given without theirs.

    Raises:
        Broken: It is no list of arguments.

    >>> keywords("'Paris', days=3, exact=True, among=[1, 2]", ["city"])
    {'city': 'Paris', 'days': 3, 'exact': True, 'among': [1, 2]}
    >>> keywords("days=[{'first': 1, ", [])
    {'days': [{'first': 1}]}
    """
    found: dict[str, object] = {}
    names = iter(positional)
    for key, parts in _arguments(text):
        name = key or next(names, None)
        if name is None:
            raise Broken
        try:
            found.setdefault(name, loads("".join(parts)))
        except ValueError:
            raise Broken from None
    return found


def _arguments(text: str) -> Iterator[tuple[str | None, list[str]]]:
    """Each argument with its name, and the JSON that its value is."""
    key: str | None = None
    parts: list[str] = []
    levels: list[str] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise Broken
        at = token.end()
        sign = token["sign"]
        if sign == "," and not levels:
            if parts:
                yield key, parts
            key, parts = None, []
        elif token["key"] is not None:
            if levels or parts:
                raise Broken
            key = token["key"]
        elif token["string"]:
            parts.append(dumps(_unquoted(token["string"])))
        elif word := token["word"]:
            parts.append(dumps(CONSTANTS[word]) if word in CONSTANTS else word)
        elif sign:
            sign = _SIGNS.get(sign, sign)
            if sign in "[{":
                levels.append(_CLOSERS[sign])
            elif sign in "]}":
                del levels[-1:]
                _drop_comma(parts)
            parts.append(sign)
    if parts:
        if levels:  # the end of the text closes what is open
            _drop_comma(parts)
        yield key, [*parts, *reversed(levels)]


def _drop_comma(parts: list[str]) -> None:
    if parts and parts[-1] == ",":
        parts.pop()


def _unquoted(literal: str) -> str:
    quote = literal.lstrip("rRbBuUfF")
    raw = "r" in literal[: len(literal) - len(quote)].lower()
    size = 3 if quote[:3] in ('"""', "'''") and len(quote) >= 6 else 1
    inner = quote[size:-size]
    return inner if raw else _ESCAPE.sub(_escape, inner)


def _escape(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    if code:
        return chr(int(code, 16)) if int(code, 16) < 0x110000 else found[0]
    if found[4]:
        return ""
    sign = found[5]
    return sign if sign in "\\'\"" else _ESCAPED.get(sign, found[0])
