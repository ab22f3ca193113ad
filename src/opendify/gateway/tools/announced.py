"""What the words before a mark say of it: a call, an example of one, or a bit of code. Pure."""

from __future__ import annotations

import re
from typing import Literal

_EXAMPLE = re.compile(
    r"\b(?:for example|for instance|e\.g\.|such as|looks? like|examples?"
    r"|would (?:be|emit|write|return|produce|output))"
    r"|例如|比如|示例|举例|样例|例子|格式(?:如下|为|是)|譬如",
    re.IGNORECASE,
)
"""Whatever stands after these words is no call."""
_DESCRIBED = re.compile(
    r"\b(?:syntax|samples?|formats?|formatted|documentation|docs|returns?|schema|template|placeholder|tags?|markup)\b"
    r"|like (?:this|so)|\b(?:don't|do not|never) (?:do|write|use|send|emit)\b|语法|格式|文档|返回|模板|标签",
    re.IGNORECASE,
)
"""The same where they lead over to it, with a colon or in the same sentence."""
_MEANT = re.compile(r"\b(?:I|I'll|I'm|let me|let's|we|now|one moment)\b|我|让我|现在|稍", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|(?<=[。！？])")
_ENDS = ".!?:;。！？：；…"
_DECORATION = " \t\r*_#>-•"
_BACKTICKS = re.compile("`+")


def gate(before: str) -> Literal["go", "wait", "example"]:
    """What a mark is after this text: a call, a call unless the sentence goes on behind it, an example.

    >>> gate("Let me look.\\n"), gate("You may use "), gate("For example:\\n")
    ('go', 'wait', 'example')
    """
    line = before[before.rfind("\n") + 1 :].strip(_DECORATION)
    above = "" if line else before.rstrip()
    text = line or above[above.rfind("\n") + 1 :].strip(_DECORATION)
    if not text:
        return "go"
    sentence = _SENTENCE.split(text)[-1]
    if _EXAMPLE.search(sentence):
        return "example"
    leads_over = text.endswith((":", "：")) or (line and line[-1] not in _ENDS)
    if leads_over and _DESCRIBED.search(sentence):
        return "example"
    return "wait" if line and line[-1] not in _ENDS else "go"


def meant(before: str) -> bool:
    """Whether the words before a fence say that what stands in it is done, not shown; or there are none.

    >>> meant("I'll look it up:\n"), meant("The tags:\n")
    (True, False)
    """
    text = before.strip()
    return not text or bool(_MEANT.search(_SENTENCE.split(text[text.rfind("\n") + 1 :])[-1]))


def in_code(line: str) -> bool:
    """Whether the end of a line stands between backticks.

    >>> in_code("Write `<b>` or `"), in_code("Write `<b>` or ")
    (True, False)
    """
    opened = ""
    for run in _BACKTICKS.finditer(line):
        if not opened:
            opened = run[0]
        elif opened == run[0]:
            opened = ""
    return bool(opened)


def goes_on(after: str) -> bool:
    """Whether a sentence goes on with this character."""
    return bool(after) and not (after.isupper() or after.isdigit() or after in "*_#<[{")
