"""Smooth output: lumps of text leave bit by bit, small pieces as they are. Pure: no I/O, no clock.

Whoever feeds a `Pacer` says what time it is, in seconds, and calls `due` at `wake_at`.
"""

from collections import deque

from wcwidth import iter_graphemes

MAX_LAG = 0.3
"""No text leaves later than this many seconds after it came."""

STEP = 0.03
"""Seconds between two bits of a lump. The eye cannot tell them apart; more frames would bring nothing."""

LUMP = 32
"""A piece of more characters than this is no model's token. Those have four on average, and seldom 20."""

BURST = 120
"""More characters than this within one step come from a cache or a traffic jam, even if token by token."""

_SPREAD = MAX_LAG - STEP
"""The longest a lump is spread over. A step is left for the timer's lateness."""


class Pacer:
    """Holds back what came at once, and gives it bit by bit until the next lump is expected.

    A piece is split only between characters as the reader sees them (grapheme clusters). Text that goes in
    comes out in its order, once, and at the latest `MAX_LAG` seconds later.

    Attributes:
        wake_at: When `due` has something, by the clock that `feed` is given; None if nothing is held.

    Example:
        >>> pacer = Pacer()
        >>> pacer.feed("Hello", now=0.0), pacer.wake_at
        ('Hello', None)
        >>> pacer.feed(" there, all of you who came from far away", now=1.0), pacer.wake_at
        (' ther', 1.03)
        >>> pacer.due(now=1.03)
        'e, a'
        >>> pacer.flush()
        'll of you who came from far away'
    """

    __slots__ = ("_burst", "_burst_at", "_due_by", "_finish", "_gap", "_lump_at", "_text", "wake_at")

    def __init__(self) -> None:
        self.wake_at: float | None = None
        self._burst_at = float("-inf")
        self._burst = 0
        self._text: list[str] = []
        # What is held, as it came: by when it must leave, and how many characters.
        self._due_by: deque[tuple[float, int]] = deque()
        self._lump_at = float("-inf")
        self._gap = _SPREAD
        self._finish = 0.0

    @property
    def held(self) -> bool:
        """Some text has not been given back yet."""
        return self.wake_at is not None

    def feed(self, text: str, now: float) -> str:
        """Take a piece of text; give what leaves now: the piece itself, unless it is more than a token.

        Args:
            text: What came.
            now: Seconds by any clock that doesn't go backwards.
        """
        if self.wake_at is None and len(text) <= LUMP:
            if now - self._burst_at >= STEP:
                self._burst_at = now
                self._burst = 0
            self._burst += len(text)
            if self._burst <= BURST:
                return text
        return self._hold(text, now)

    def due(self, now: float) -> str:
        """What leaves now; empty before `wake_at`."""
        if self.wake_at is None or now < self.wake_at:
            return ""
        text = "".join(self._text)
        steps = 1 + max(0, round((self._finish - now) / STEP))
        cut = _cut(text, max(-(-len(text) // steps), self._overdue(now)))
        self._left(cut)
        self._text = [text[cut:]]
        self.wake_at = min(now + STEP, self._due_by[0][0]) if self._due_by else None
        return text[:cut]

    def flush(self) -> str:
        """All that is held: there is no more to come."""
        text = "".join(self._text)
        self._text = []
        self._due_by.clear()
        self.wake_at = None
        return text

    def _hold(self, text: str, now: float) -> str:
        if not text:
            return self.due(now)
        if self.wake_at is None or len(text) > LUMP:
            self._expect(now)
        if self.wake_at is None:
            self.wake_at = now
        self._text.append(text)
        self._due_by.append((now + MAX_LAG, len(text)))
        return self.due(now)

    def _expect(self, now: float) -> None:
        """A lump has come: by when it is to have left, which is when the next one should come."""
        gap = now - self._lump_at
        if gap < STEP:
            return  # more of the same lump
        self._gap = (self._gap + min(gap, _SPREAD)) / 2
        self._lump_at = now
        self._finish = now + self._gap

    def _overdue(self, now: float) -> int:
        """How many characters can wait no longer."""
        count = 0
        for due_by, length in self._due_by:
            if due_by > now:
                break
            count += length
        return count

    def _left(self, count: int) -> None:
        """The first `count` characters have left."""
        while count:
            due_by, length = self._due_by.popleft()
            if length > count:
                self._due_by.appendleft((due_by, length - count))
            count -= min(count, length)


def _cut(text: str, count: int) -> int:
    """The first place at or after `count` characters where no cluster is split."""
    end = 0
    for cluster in iter_graphemes(text):
        if end >= count:
            break
        end += len(cluster)
    return end
