"""JSON that stands in a text: among words, in code fences, broken. Pure."""

from __future__ import annotations

import re

import msgspec

_SIGNS = re.compile(r'\\.|["\[\]{}]', re.DOTALL)


def decoded(text: str) -> object:
    """A text that is JSON, as its value.

    Raises:
        ValueError: It is none: what is wrong, and at which byte.

    >>> decoded('{"a": 1}')
    {'a': 1}
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
    except UnicodeEncodeError:
        raise ValueError("it has half a character") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def is_json(text: str) -> bool:
    """Whether a text is JSON and nothing else."""
    try:
        decoded(text)
    except ValueError:
        return False
    return True


def spans(text: str) -> list[str]:
    """What looks like JSON objects and lists in a text, from the outside and in order; some may be broken.

    A bracket that is never closed may be a word's; what is closed behind it counts. What is open to the end
    comes last, for that can be mended.

    >>> spans('Use {braces}: {"a": "}"} and [1')
    ['{braces}', '{"a": "}"}', '[1']
    """
    opened: list[int] = []
    closed: list[tuple[int, int]] = []
    quoted = False
    for sign in _SIGNS.finditer(text):
        mark = sign[0]
        if mark == '"':
            quoted = not quoted and bool(opened)
        elif quoted or mark[0] == "\\":
            continue
        elif mark in "{[":
            opened.append(sign.start())
        elif opened:
            begin = opened.pop()
            while closed and closed[-1][0] > begin:
                closed.pop()
            closed.append((begin, sign.end()))
    return [text[begin:end] for begin, end in closed] + [text[begin:] for begin in opened[:1]]
