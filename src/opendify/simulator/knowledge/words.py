"""The words of a text, in any script. Pure."""

from __future__ import annotations

import re
from itertools import pairwise

_WORD = re.compile(r"[぀-鿿가-힯]+|[^\W぀-鿿가-힯]+")
_IDEOGRAPHS = re.compile(r"[぀-鿿가-힯]")


def words(text: str) -> list[str]:
    """Words in lower case; of scripts that are written without blanks, all pairs of neighbours.

    >>> words("The Mars colony"), words("火星的首都"), words("天")
    (['the', 'mars', 'colony'], ['火星', '星的', '的首', '首都'], ['天'])
    """
    found: list[str] = []
    for run in _WORD.findall(text.lower()):
        if len(run) > 1 and _IDEOGRAPHS.match(run):
            found += [one + other for one, other in pairwise(run)]
        else:
            found.append(run)
    return found
