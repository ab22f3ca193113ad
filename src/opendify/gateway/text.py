"""What happens to an answer's text on its way: links made whole, stop strings cut. Pure.

Each filter takes text in pieces of any size and gives the same result however it was split. What could
still turn out to be a marker is held back, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urljoin


def partial_end(text: str, marker: str) -> int:
    """How many characters at the end of ``text`` could be the beginning of ``marker``, but not all of it.

    >>> partial_end("a </thi", "</think>")
    5
    """
    for size in range(min(len(text), len(marker) - 1), 0, -1):
        if text.endswith(marker[:size]):
            return size
    return 0


@lru_cache
def _files_of(base_url: str) -> str:
    """What a link to a file begins with when it is whole: worked out once a Dify, not once an answer."""
    return "](" + urljoin(base_url, "/files/")


class Links:
    """Makes Dify's relative file links absolute: ``](/files/…`` becomes ``](https://dify.example/files/…``.

    A Dify without FILES_URL writes them relative, and a client elsewhere could not follow them.

    Attributes:
        held: What could still become such a link.

    >>> Links("https://dify.example/v1").feed("![cat](/files/tools/1.png)")
    '![cat](https://dify.example/files/tools/1.png)'
    """

    __slots__ = ("_absolute", "_base", "held")
    _MARKER = "](/files/"

    def __init__(self, base_url: str) -> None:
        self._base = base_url
        self._absolute = _files_of(base_url)
        self.held: str = ""

    def feed(self, text: str) -> str:
        """One piece in; what can go out."""
        if not self.held and "]" not in text:
            return text
        text = (self.held + text).replace(self._MARKER, self._absolute)
        keep = partial_end(text, self._MARKER)
        self.held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """The text ended: what was held back."""
        held, self.held = self.held, ""
        return held

    def absolute(self, url: str) -> str:
        """The address of a file as a client elsewhere can follow it."""
        return urljoin(self._base, url)


class Stop:
    """Cuts the text before the first of the ``stop`` strings.

    >>> stop = Stop(["END"])
    >>> stop.feed("one E"), stop.feed("ND two"), stop.hit
    ('one ', '', True)
    """

    __slots__ = ("_held", "_markers", "hit")

    def __init__(self, markers: Sequence[str]) -> None:
        self._markers = markers
        self._held: str = ""
        self.hit = False

    def feed(self, text: str) -> str:
        """One piece in; what can go out. Nothing any more once ``hit`` is true."""
        if self.hit:
            return ""
        if not self._markers:
            return text
        text = self._held + text
        found = [
            (start + len(marker), start) for marker in self._markers if (start := text.find(marker)) >= 0
        ]
        if found:
            # the one that is complete first, as for a model that is stopped while it writes
            self.hit, self._held = True, ""
            return text[: min(found)[1]]
        keep = max(partial_end(text, marker) for marker in self._markers)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """The text ended: what was held back."""
        held, self._held = self._held, ""
        return held
