"""The clients: raw sockets that cost little themselves, and read every answer to its end."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
from array import array
from collections.abc import Callable
from time import perf_counter
from types import TracebackType
from typing import Self

from benchmarks.dialects import Dialect, body_of, requests
from benchmarks.work import FIRST, MODEL, Work

LONGEST_CALL = 30.0
"""Seconds after which a call that has not ended is a fault."""

LONGEST_STEP = 5.0
"""Seconds after which a stream of a climb that has not ended is lost."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_EVENT = b"data: {"
_FIRST = FIRST.encode()
_CARRY = len(_LAST_CHUNK) - 1
"""Bytes of a read that are looked at again with the next: a mark may be cut."""


class WrongAnswer(Exception):
    """A peer did not say what it was asked for: there is nothing to measure."""


class Tally:
    """What has come so far, on all connections.

    Attributes:
        calls: Answers that ended.
        chunks: Events that came.
        seconds: How long each answer took, from the request to its end.
        firsts: How long the first token of each took.
        gaps: How long each read of a paced stream came after the one before.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.chunks = 0
        self.seconds: list[float] = []
        self.firsts: list[float] = []
        self.gaps = array("d")


class Load:
    """A work being done to a peer: connects, asks, and at the end waits for the answers still to come.

    Args:
        port: The peer's, on 127.0.0.1.
        dialect: What the peer speaks.
        work: What is asked.

    Attributes:
        tally: What has come so far.
        lost: What was wrong with the streams of a climb that failed, one sentence each. Known at the end.

    Raises:
        WrongAnswer: At the end, if a call failed, or the last answer of a connection is not as expected. Not
            in a climb, which is there to find out how many streams it takes.
    """

    _numbers = itertools.count()

    def __init__(self, port: int, dialect: Dialect, work: Work) -> None:
        self._port = port
        self._dialect = dialect
        self._work = work
        self.tally = Tally()
        self.lost: list[str] = []
        self._connections: list[_Connection] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        request = requests(self._dialect, self._work)

        def make() -> _Connection:
            return _Connection(
                self.tally,
                lambda: request(next(self._numbers)),
                paced=self._work.kind == "paced",
                every=self._work.every,
            )

        chance = random.Random(1)  # the same moments for every peer
        try:
            for _ in range(self._work.connections):
                _, connection = await loop.create_connection(make, "127.0.0.1", self._port)
                self._connections.append(connection)
        except BaseException:  # a cancelled task, too, leaves no socket behind
            self._close()
            raise
        for connection in self._connections:
            loop.call_later(chance.uniform(0, 0.8 * self._work.warm), connection.ask)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.lost = await self._faults()
                if self.lost and not self._work.climbs:
                    raise WrongAnswer(self.lost[0])
        finally:
            self._close()

    async def _faults(self) -> list[str]:
        longest = LONGEST_STEP if self._work.climbs else LONGEST_CALL
        ends = [asyncio.ensure_future(connection.end()) for connection in self._connections]
        await asyncio.wait(ends, timeout=longest)
        faults: list[str] = []
        for end, connection in zip(ends, self._connections, strict=True):
            if not end.done():
                end.cancel()
                faults.append(f"a call had no end within {longest:g} s")
            elif error := end.exception():
                faults.append(str(error))
            elif wrong := self._wrong(connection.answer):
                faults.append(wrong)
        await asyncio.gather(*ends, return_exceptions=True)
        return faults

    def _close(self) -> None:
        for connection in self._connections:
            connection.close()

    def _wrong(self, answer: bytes) -> str:
        """What is wrong with an answer; empty if nothing is."""
        body = body_of(answer)
        if self._work.path:
            return "" if MODEL.encode() in body else f"{MODEL!r} is not in {body[:400]!r}"
        expected = self._work.expected
        try:
            text = self._dialect.text(body, self._work.stream)
        except (ValueError, LookupError, TypeError) as error:
            return f"this is no answer ({error}): {answer[:400]!r}"
        return "" if text == expected else f"expected {expected[:60]!r}…, got {text[:200]!r}"


class _Connection(asyncio.Protocol):
    def __init__(self, tally: Tally, request: Callable[[], bytes], *, paced: bool, every: float) -> None:
        self._tally = tally
        self._paced = paced
        self._every = every
        self._before = 0.0  # when the read before came, of an answer that has begun
        self._request = request
        self._ended = asyncio.get_running_loop().create_future()
        self._ending = False
        self._closed = False
        self._asked = 0.0
        self._reads: list[bytes] = []
        self._fresh()
        self.answer = b""
        """The last whole one, head and all."""

    def _fresh(self) -> None:
        self._carry = b""
        self._begun = False
        self._missing: int | None = None  # bytes of a body with a length
        self._first_seen = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it is TCP
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closed and not self._ended.done():
            self._ended.set_exception(WrongAnswer(f"the connection was closed: {exc or 'without an error'}"))

    def ask(self) -> None:
        if self._transport.is_closing():
            return
        self._reads.clear()
        self._asked = perf_counter()
        self._transport.write(self._request())

    async def end(self) -> None:
        """Ask no more; wait for the answer that is on its way."""
        self._ending = True
        await self._ended

    def close(self) -> None:
        self._closed = True
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        self._reads.append(data)
        view = self._carry + data
        if not self._begun:
            if b"\r\n\r\n" not in view:
                self._carry = view
                return
            self._begin(view)
        elif self._missing is not None:
            self._missing -= len(data)
        self._tally.chunks += view.count(_EVENT)
        if not self._first_seen:
            if _FIRST in view:
                self._first_seen = True
                self._tally.firsts.append(now - self._asked)
        elif self._paced:
            self._tally.gaps.append(now - self._before)
        self._before = now
        self._carry = view[-_CARRY:]
        if self._missing == 0 or (self._missing is None and view.endswith(_LAST_CHUNK)):
            self._finish(now)

    def _begin(self, view: bytes) -> None:
        self._begun = True
        head, _, body = view.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            self._fail(f"{view[:400]!r}")
        elif length := _LENGTH.search(head):
            self._missing = int(length[1]) - len(body)

    def _finish(self, now: float) -> None:
        self._tally.calls += 1
        self._tally.seconds.append(now - self._asked)
        self.answer = b"".join(self._reads)
        self._fresh()
        if self._every and not self._ending:
            asyncio.get_running_loop().call_later(self._asked + self._every - now, self.ask)
        elif not self._ending:
            self.ask()
        elif not self._ended.done():
            self._ended.set_result(None)

    def _fail(self, said: str) -> None:
        if not self._ended.done():
            self._ended.set_exception(WrongAnswer(f"answered with {said}"))
        self._transport.close()
