"""What a model thinks, told apart from what it answers, in text that comes in pieces. Pure.

Models write their thinking into the text before the answer, each family between marks of its own. It is found
where a text begins, and nowhere else: an answer may speak about the marks, or show them in code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from opendify.gateway.text import partial_end

TAGS = ("think", "thinking", "thought", "reasoning", "antthinking", "seed:think", "longcat_think")
"""Tags around thinking, in any case and with any attributes: DeepSeek-R1, Qwen, GLM, MiniMax and Dify's own
model plugins write `<think>`, Claude `<thinking>` when it is asked to think aloud, Gemini and EXAONE
`<thought>`, tuned models `<reasoning>`, Seed-OSS and LongCat tags with a prefix."""

MARKS: Mapping[str, str] = {
    "[think]": "[/think]",  # Magistral
    "◁think▷": "◁/think▷",  # Kimi-VL, Kimi-Dev
    "<|begin_of_thought|>": "<|end_of_thought|>",  # Sky-T1, OpenThinker
    "<|start_thinking|>": "<|end_thinking|>",  # Command A
    "<|channel>thought": "<channel|>",  # Gemma 4
    "<|channel|>analysis<|message|>": "<|end|>",  # gpt-oss, where its server reads no harmony
}
"""Marks around thinking that are no tags, in lower case: how they begin, and how they end."""

IDLE = (
    *(f"</{tag}>" for tag in TAGS),
    *MARKS.values(),
    "<|start|>assistant",
    "<|channel|>final<|message|>",
)
"""Marks that say nothing where a block could begin: an end that comes twice, or whose beginning the model's
template wrote; the head of a harmony message."""

_HEADS = (*(f"<{tag}" for tag in TAGS), "<details", *MARKS, *IDLE)
MARKS_BEGIN = frozenset(head[0] for head in _HEADS)
"""Characters that a mark begins with. A stripped text that begins with another one holds no thinking."""

_LONGEST = max(map(len, _HEADS))

_ANY_CASE = re.IGNORECASE | re.ASCII
_TAG = re.compile(rf"<({'|'.join(TAGS)})(?:\s[^<>]{{0,300}})?>", _ANY_CASE)
_OPEN_TAG = re.compile(rf"<(?:{'|'.join(TAGS)})(?:\s[^<>]{{0,300}})?\Z", _ANY_CASE)
_MARK = re.compile("|".join(re.escape(mark) for mark in (*MARKS, *IDLE)), _ANY_CASE)
_FOLDED = re.compile(
    r"<details(?P<kind>\s[^<>]{0,300})?>\s{0,50}<summary(?:\s[^<>]{0,100})?>(?P<label>[^<>]{0,80})</summary>",
    _ANY_CASE,
)
_OPEN_FOLDED = re.compile(r"<details(?![^\s>])(?:(?!</summary>).){0,600}\Z", _ANY_CASE | re.DOTALL)
_LABEL = re.compile(
    r"\W*(?:deep )?(?:thinking|thoughts?|thought for .{1,40}|reasoning)(?: process)?\W*(?:\d[\d.]* ?s\W*)?"
    r"|\W*已?(?:深度)?(?:思考|推理)(?:中|过程|内容|完成|结束)?\W*(?:(?:用时)?\W*\d[\d.]* ?(?:s|秒)\W*)?",
    re.IGNORECASE,
)
"""What a summary says of thinking that is folded away: `Thinking...` as Dify 0.15 wrote it, what people write
into an Answer node, `Thought for 5 seconds` in what Open WebUI sends back."""

_EDGE = 1000
"""So many characters of white space may belong to a mark, so that what is held back stays short."""
_NEWLINES = re.compile(r"\n*")
_BLANK = re.compile(r"\s*")


def answer_in(text: str) -> str:
    """A whole text without the thinking at its start.

    >>> answer_in("<think>hm</think>\\n\\nYes")
    'Yes'
    """
    if not _may_begin(text.lstrip()):
        return text
    thinking = Thinking()
    return thinking.feed(text)[1] + thinking.flush()[1]


class Thinking:
    """Splits the thinking at the start of a text from the answer, however both are cut into pieces.

    Several blocks may follow each other; they are joined by a blank line. A block that nobody closes goes on
    to the end. What could still turn out to be a mark is held back, and nothing else.

    Attributes:
        over: No more thinking can come: from here on, text passes as it is.

    >>> thinking = Thinking()
    >>> thinking.feed("<thi"), thinking.feed("nk>hm</think>\\n\\nYes"), thinking.flush()
    (('', ''), ('hm', 'Yes'), ('', ''))
    """

    __slots__ = ("_end", "_gap", "_held", "_marked", "_new", "_told", "over")

    def __init__(self) -> None:
        self.over = False
        self._held = ""
        self._end = ""  # how the block that is open ends
        self._new = False  # it has said nothing yet
        self._marked = False  # a mark was read, and newlines after it belong to it
        self._told = False  # thinking was given out
        self._gap = False  # a block ended, and the next one begins after a blank line

    @property
    def open(self) -> bool:
        """True within a block of thinking."""
        return bool(self._end)

    def feed(self, text: str) -> tuple[str, str]:
        """One piece in; what of it is (thinking, answer) out."""
        if not (self.over or self._held or self._marked or _may_begin(text)):
            self.over = True  # most answers, decided by their first character
        if self.over:
            return "", text
        text, at = self._held + text, 0
        thoughts: list[str] = []
        waits = False
        while at < len(text) and not self.over and not waits:
            if self._end and not self._new:
                at, waits = self._think(text, at, thoughts)
            else:
                at, waits = self._look(text, at)
        rest = text[at:]
        self._held = "" if self.over else rest
        return "".join(thoughts), rest if self.over else ""

    def flush(self) -> tuple[str, str]:
        """The text ended: what was held back, as (thinking, answer)."""
        held, self._held = self._held, ""
        return (self._tell(held), "") if self._end else ("", held)

    def _look(self, text: str, at: int) -> tuple[int, bool]:
        """Read the mark that may begin at ``at``: where to go on, and whether that waits for more text."""
        if self._marked:
            at = _ends(_NEWLINES, text, at)
        start = _ends(_BLANK, text, at)
        mark = _mark(text, start) if start - at <= _EDGE else None
        if mark == "unknown":
            return at, True
        if self._new:
            if mark and mark[1] == self._end:
                return mark[0], False  # a beginning that comes twice
            self._new = False
        elif mark:
            at, self._end = mark
            self._new, self._marked = bool(self._end), True
        else:
            self.over = True
        return at, False

    def _think(self, text: str, at: int, thoughts: list[str]) -> tuple[int, bool]:
        """Give out what is thinking: where to go on, and whether that waits for more text."""
        end = _ending(self._end).search(text, at)
        if end:
            thoughts.append(self._tell(_bare(text[at : end.start()])))
            self._end, self._gap = "", self._told
            return end.end(), False
        # the newlines before the end belong to it, so they wait for it with its beginning
        keep = partial_end(text[max(at, len(text) - len(self._end)) :].lower(), self._end)
        thought = _bare(text[at : len(text) - keep])
        thoughts.append(self._tell(thought))
        return at + len(thought), True

    def _tell(self, thought: str) -> str:
        if not thought:
            return ""
        gap, self._gap, self._told = self._gap, False, True
        return f"\n\n{thought}" if gap else thought


def _may_begin(text: str) -> bool:
    """Whether a text may begin with a mark, or with white space before one; so may a text without any."""
    first = text[:1]
    return first in MARKS_BEGIN or not first or first.isspace()


def _mark(text: str, at: int) -> tuple[int, str] | Literal["unknown"] | None:
    """The mark at a place: where it ends, and how the thinking ends that it begins, empty if it begins none.

    "unknown" while it could still become one.
    """
    if at == len(text):
        return "unknown"
    if text[at] not in MARKS_BEGIN:
        return None
    if found := _TAG.match(text, at):
        return found.end(), f"</{found[1].lower()}>"
    if found := _MARK.match(text, at):
        return found.end(), MARKS.get(found[0].lower(), "")
    if found := _FOLDED.match(text, at):
        thinking = 'type="reasoning"' in (found["kind"] or "") or _LABEL.fullmatch(found["label"])
        return (found.end(), "</details>") if thinking else None
    head = text[at : at + _LONGEST].lower()
    if any(known.startswith(head) for known in _HEADS):
        return "unknown"
    return "unknown" if _OPEN_TAG.match(text, at) or _OPEN_FOLDED.match(text, at) else None


@lru_cache
def _ending(mark: str) -> re.Pattern[str]:
    return re.compile(re.escape(mark), _ANY_CASE)


def _ends(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _bare(text: str) -> str:
    """Text without the newlines at its end."""
    return text[: max(len(text.rstrip("\n")), len(text) - _EDGE)]
