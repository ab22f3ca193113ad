"""A run: the steps of a turn, played in real time to whoever listens, until they end or are stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from opendify.simulator.turns import Steps, Stopped, Turn
from opendify.simulator.wire import Signal

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
    nobody listens any more; it rests while it waits for a person.

    Args:
        turn: what is answered.
        steps: its events.
        hold: seconds before the first byte may go out (the model works meanwhile).
        log: keep all events for those who come later.
        changed: called when it begins, pauses, goes on and ends.
    """

    def __init__(
        self, turn: Turn, steps: Steps, *, hold: float, log: bool, changed: Callable[[Run], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.turn = turn
        self.done: asyncio.Future[None] = self._loop.create_future()
        self.answered = asyncio.Event()
        """It is through, or waits for a person: a blocking answer can be given."""
        self.paused = False
        self.heard_by = 0
        """How many listeners it has had."""
        self._steps = steps
        self._listeners: dict[Listener, bool] = {}
        self._log: list[bytes] | None = [] if log else None
        self._changed = changed
        self._due = self._loop.time()
        self._hold = self._due + hold
        self._next: bytes | Signal = b""
        self._timer: asyncio.Handle | None = None

    @property
    def over(self) -> bool:
        """Is it through?"""
        return self.done.done()

    def listen(self, listener: Listener, *, through_pauses: bool = False) -> None:
        """Send somebody all events from now on; with a log, first those that were."""
        self.heard_by += 1
        self._listeners[listener] = through_pauses
        for data in self._log or ():
            listener.write(data)

    def start(self) -> None:
        """Begin to play."""
        self._changed(self)
        self._take()

    def stop(self) -> None:
        """End it as a stop call does: no more tokens, but a proper end. What rests can't be stopped."""
        if self.over or self.paused:
            return
        self._cancel()
        self._due = self._loop.time()
        self._take(stopped=True)

    def resume(self) -> None:
        """Go on after a pause: a person has answered, or has taken too long."""
        if self.over or not self.paused:
            return
        self._cancel()
        self.paused = False
        self._due = self._loop.time()
        self._changed(self)
        self._take()

    def detach(self, listener: Listener | None) -> None:
        """A client has gone: play on, to the others or to nobody."""
        if listener is not None:
            self._listeners.pop(listener, None)
        self.turn.heard = False

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
            if any(listener.full() for listener in self._listeners):
                self._timer = self._loop.call_later(_BREATH, self._play)
                return
            if isinstance(self._next, Signal):
                self._signal(self._next)
            elif self._next:
                self._write(self._next)
            if self.over or self.paused or not self._pull():
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

    def _write(self, data: bytes) -> None:
        for listener in self._listeners:
            listener.write(data)
        if self._log is not None:
            self._log.append(data)

    def _signal(self, signal: Signal) -> None:
        if signal is Signal.PAUSE:
            self._pause()
            return
        for listener in self._listeners:
            listener.signal(signal)
        if signal is not Signal.OPEN:
            self._end()

    def _pause(self) -> None:
        """Rest until a form that is waited for is submitted, or expires."""
        if self.turn.answered:  # by somebody quick
            return
        self.paused = True
        for listener in [one for one, through_pauses in self._listeners.items() if not through_pauses]:
            del self._listeners[listener]
            listener.signal(Signal.END)
        self._timer = self._loop.call_later(self.turn.patience, self.resume)
        self.answered.set()
        self._changed(self)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _end(self, error: Exception | None = None) -> None:
        if self.over:
            return
        self._steps.close()
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
        for listener in self._listeners:
            listener.signal(Signal.END)
        self._listeners.clear()
        self.answered.set()
        self._changed(self)
