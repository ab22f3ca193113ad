"""A text cut into segments, and these into child chunks, by a process rule. Pure.

Tokens are the simulator's: one per word, and one per Chinese, Japanese or Korean character.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opendify.simulator.knowledge.rules import ProcessRule, Segmentation
from opendify.simulator.model import count

_AUTOMATIC = Segmentation(separator="", max_tokens=500, chunk_overlap=50)
_SEPARATORS = ("\n\n", "\n", "。", ". ", " ", "")
_SHORTEST, _LONGEST = 50, 4000  # tokens that a custom segment may be allowed
_ADDRESSES = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+|https?://\S+")
_BLANKS = re.compile(r"[\t\f\r \u00a0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000]{2,}")


class Unsplittable(Exception):
    """The rule cannot be followed: the document ends in an error."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One segment to be, and its child chunks."""

    content: str
    children: tuple[str, ...] = ()


def pieces(text: str, rule: ProcessRule, doc_form: str) -> list[Piece]:
    """Cut a text.

    Raises:
        Unsplittable: the rule wants segments of fewer than 50 or more than 4,000 tokens.

    >>> rule = ProcessRule.model_validate({"mode": "custom", "rules": {"segmentation": {"max_tokens": 50}}})
    >>> [piece.content for piece in pieces("One.\\nTwo.", rule, "text_model")]
    ['One.', 'Two.']
    """
    text = cleaned(text, rule)
    rules = rule.rules
    if rule.mode == "automatic" or rules is None:
        parents = _recursive(text, _SEPARATORS, _AUTOMATIC)
    elif rules.parent_mode == "full-doc":
        parents = [text]
    else:
        parents = _fixed(text, rules.segmentation)
    if doc_form != "hierarchical_model":
        return [Piece(parent) for parent in _stripped(parents)]
    sub = rules.subchunk_segmentation if rules is not None else None
    return [Piece(parent, tuple(_stripped(_fixed(parent, sub)))) for parent in _stripped(parents)]


def cleaned(text: str, rule: ProcessRule) -> str:
    """The text without what the rule wants removed."""
    text = re.sub(r"<\||\|>|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe]", "", text.replace("\r\n", "\n"))
    if rule.cleans("remove_extra_spaces"):
        text = _BLANKS.sub(" ", re.sub(r"\n{3,}", "\n\n", text))
    if rule.cleans("remove_urls_emails"):
        text = _ADDRESSES.sub("", text)
    return text


def _fixed(text: str, segmentation: Segmentation | None) -> list[str]:
    """Cut at every separator; what is too long then, further."""
    asked = segmentation or _AUTOMATIC
    if not _SHORTEST <= asked.max_tokens <= _LONGEST:
        raise Unsplittable(f"Custom segment length should be between {_SHORTEST} and {_LONGEST}.")
    separator = asked.separator.replace("\\n", "\n")
    parts = text.split(separator) if separator else [text]
    return [piece for part in parts for piece in _recursive(part, _SEPARATORS, asked)]


def _recursive(text: str, separators: Sequence[str], asked: Segmentation) -> list[str]:
    """Cut at the coarsest separator that helps, and put small parts together again."""
    if count(text) <= asked.max_tokens:
        return [text]
    at = next(at for at, separator in enumerate(separators) if separator in text)
    separator, finer = separators[at], separators[at + 1 :]
    parts = text.split(separator) if separator else list(text)
    found: list[str] = []
    small: list[str] = []
    for part in parts:
        if count(part) <= asked.max_tokens:
            small.append(part)
            continue
        found += _together(small, separator, asked)
        small = []
        found += _recursive(part, finer, asked)
    return [*found, *_together(small, separator, asked)]


def _together(parts: Iterable[str], separator: str, asked: Segmentation) -> list[str]:
    """Parts joined to pieces as large as may be, each begun with the last tokens of the one before."""
    found: list[str] = []
    piece: deque[tuple[str, int]] = deque()
    size = 0
    for part in parts:
        tokens = count(part)
        if piece and size + tokens > asked.max_tokens:
            found.append(separator.join(text for text, _ in piece))
            while piece and (size > asked.chunk_overlap or size + tokens > asked.max_tokens):
                size -= piece.popleft()[1]
        piece.append((part, tokens))
        size += tokens
    return [*found, separator.join(text for text, _ in piece)] if piece else found


def _stripped(texts: Iterable[str]) -> list[str]:
    """Without the blanks around, without a stop that begins a text, and without what is empty then."""
    found = (text.strip().removeprefix("。").removeprefix(".").strip() for text in texts)
    return [text for text in found if text]
