"""A run: the steps of a turn, played in real time to whoever listens, until they end or are stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from opendify.simulator.turns import Steps, Stopped, Turn
from opendify.simulator.wire import PING, Signal

_AT_ONCE = 64  # steps that a run takes before the other runs get their turn
_BREATH = 0.005  # seconds to wait for a slow reader


class Listener(Protocol):
    """Who gets the bytes of a run."""

    def write(self, data: bytes) -> None:
        """Send one event."""
        ...

    def signal(self, signal: Signal) -> None:
        """Open the reply, or end it or its connection, in this way."""
        ...

    def full(self) -> bool:
        """Is the reader so slow that it must be waited for?"""
        ...


class Run:
    """One generation under way.

    It is driven by timers, not by a task: a token costs a timer and a write. As in Dify, a run goes on when
    nobody listens any more.

    Args:
        turn: what is answered.
        steps: its events.
        listener: who gets them; None for a blocking answer.
        hold: seconds before the first byte may go out (the model works meanwhile).
        ping: seconds between two pings.
        opening_ping: begin with one.
        over: called once, at the end.
    """

    def __init__(
        self,
        turn: Turn,
        steps: Steps,
        *,
        listener: Listener | None,
        hold: float,
        ping: float,
        opening_ping: bool,
        over: Callable[[Run], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.turn = turn
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._steps = steps
        self._listener = listener
        self._ping = ping
        self._opening_ping = opening_ping
        self._over = over
        self._due = self._loop.time()
        self._hold = self._due + hold
        self._next: bytes | Signal = b""
        self._timer: asyncio.Handle | None = None
        self._ping_timer: asyncio.Handle | None = None

    @property
    def over(self) -> bool:
        """Is it through?"""
        return self.done.done()

    def start(self) -> None:
        """Begin to play."""
        if self._listener is not None:
            if self._opening_ping:
                self._listener.write(PING)
            self._ping_timer = self._loop.call_at(self._hold + self._ping, self._send_ping)
        self._take()

    def stop(self) -> None:
        """End it as a stop call does: no more tokens, but a proper end."""
        if self.over:
            return
        self._cancel()
        self._due = self._loop.time()
        self._take(stopped=True)

    def detach(self) -> None:
        """The client has gone: play on, to nobody."""
        self._listener = None
        self.turn.heard = False
        if self._ping_timer is not None:
            self._ping_timer.cancel()

    def close(self) -> None:
        """Give it up: the simulator ends."""
        self._cancel()
        self._end()

    def _take(self, *, stopped: bool = False) -> None:
        """Get the next step and wait for its time."""
        if self._pull(stopped=stopped):
            self._timer = self._loop.call_at(max(self._due, self._hold), self._play)

    def _play(self) -> None:
        """Send what is due, as long as something is."""
        for _ in range(_AT_ONCE):
            if self._listener is not None and self._listener.full():
                self._timer = self._loop.call_later(_BREATH, self._play)
                return
            if isinstance(self._next, Signal):
                self._signal(self._next)
            elif self._listener is not None and self._next:
                self._listener.write(self._next)
            if self.over or not self._pull():
                return
            due = max(self._due, self._hold)
            if due > self._loop.time():
                self._timer = self._loop.call_at(due, self._play)
                return
        self._timer = self._loop.call_soon(self._play)

    def _pull(self, *, stopped: bool = False) -> bool:
        """The next step, if there is one; if not, this is the end."""
        try:
            wait, self._next = self._steps.throw(Stopped()) if stopped else next(self._steps)
        except (StopIteration, Stopped):
            self._end()
            return False
        except Exception as error:  # noqa: BLE001 - whoever awaits `done` gets it
            self._end(error)
            return False
        self._due += wait
        return True

    def _signal(self, signal: Signal) -> None:
        if self._listener is not None:
            self._listener.signal(signal)
        if signal is not Signal.OPEN:
            self._end()

    def _send_ping(self) -> None:
        if self._listener is not None:
            self._listener.write(PING)
            self._ping_timer = self._loop.call_later(self._ping, self._send_ping)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _end(self, error: Exception | None = None) -> None:
        if self.over:
            return
        if self._ping_timer is not None:
            self._ping_timer.cancel()
        self._steps.close()
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
        self._over(self)
