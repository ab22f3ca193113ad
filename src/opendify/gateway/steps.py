"""Steps of the event loop that take too long, told to the log: they hold up everybody's tokens.

A step is one call back of the loop: a task from one `await` to the next, or what is done with the bytes of
one network read. uvloop measures steps in asyncio's debug mode only, which slows everything down, doesn't
say where a step was, and leaves out what connections do. Here each step is timed, and a thread looks where
one is that takes too long. Without the setting there is neither: the loop is uvloop's own.
"""

from __future__ import annotations

import sys
import threading
import traceback
from asyncio import AbstractEventLoop, BaseProtocol, Task
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import perf_counter, thread_time
from types import FrameType
from typing import Any, TypeVar, cast

import structlog

if sys.platform == "win32":
    from asyncio import ProactorEventLoop as Loop
else:
    from uvloop import Loop

LOOKS = 4
"""How often in the time that a step may take the thread looks whether one takes longer."""

MOST_FRAMES = 20
"""Functions that are named of a step, from the innermost out."""

_TAKE_CALLBACKS = {"call_soon": 0, "call_soon_threadsafe": 0, "call_later": 1, "call_at": 1}
"""Methods of a loop that take a call back, and at which position."""

_TAKE_PROTOCOLS = ("create_server", "create_connection")
"""Methods of a loop that take, first, what makes a protocol."""

_OF_PROTOCOLS = ("connection_made", "data_received", "eof_received", "connection_lost")
"""Methods of a protocol that a loop calls directly, as a step."""

Callback = Callable[..., object]
Timed = Callable[[Any], Callback]
T = TypeVar("T")

log = structlog.stdlib.get_logger("opendify")


@contextmanager
def told(limit: float) -> Generator[Callable[[], AbstractEventLoop]]:
    """In the block, the steps of one event loop that take longer than this are logged.

    A line has the step's time by the clock (`step_ms`) and the CPU time of the loop's thread in it
    (`cpu_ms`). Where that is far less, the step waited: for a file, for another thread that held the
    interpreter, or for a core. `at` is where it was when it had taken too long, functions and lines,
    innermost first: no value, so no secret.

    Args:
        limit: Seconds that a step may take.

    Yields:
        What makes the event loop, in the thread that will run it.
    """
    steps = _Steps(limit)
    over = threading.Event()
    watcher = threading.Thread(target=steps.look, args=(over,), name="slow steps")
    watcher.start()
    try:
        yield lambda: _timed_loop(steps)
    finally:
        over.set()
        watcher.join()


class _Steps:
    """The step that runs now, if any, and where it was seen when it had taken too long."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._thread = threading.get_ident()
        self._began = 0.0  # of the step that runs; 0 between two
        self._seen: tuple[float, list[str]] = (
            0.0,
            [],
        )  # when the step began that was looked at last; where it was

    def timed(self, callback: Callback) -> Callback:
        """The same call back, its time measured."""

        def step(*arguments: object) -> object:
            if self._began:  # one call back in another is no step of its own
                return callback(*arguments)
            cpu = thread_time()
            self._began = began = perf_counter()
            try:
                return callback(*arguments)
            finally:
                took = perf_counter() - began
                self._began = 0.0
                if took > self._limit:
                    self._tell(callback, began, took, thread_time() - cpu)

        return step

    def look(self, over: threading.Event) -> None:
        """Look where a step is that takes too long, until it is over. The life of a thread."""
        while not over.wait(self._limit / LOOKS):
            began = self._began
            if began in (0.0, self._seen[0]) or perf_counter() - began <= self._limit:
                continue
            frame = sys._current_frames().get(self._thread)  # pyright: ignore[reportPrivateUsage] so named, but documented
            at = _names(frame)
            if self._began == began:
                self._seen = began, at

    def _tell(self, callback: Callback, began: float, took: float, cpu: float) -> None:
        seen, at = self._seen
        log.warning(
            "slow step",
            step=_name(callback),
            step_ms=round(took * 1000, 1),
            cpu_ms=round(cpu * 1000, 1),
            at=at if seen == began else [],
        )


def _names(frame: FrameType | None) -> list[str]:
    """Where a step is: functions from the innermost out to the step's own."""
    names: list[str] = []
    for at, line in traceback.walk_stack(frame) if frame else ():
        if at.f_globals.get("__name__") == __name__ or len(names) == MOST_FRAMES:
            break
        names.append(f"{at.f_globals.get('__name__')}:{line} {at.f_code.co_qualname}")
    return names


def _name(callback: Callback) -> str:
    """What a step is a step of: the coroutine of a task, or a function.

    >>> _name(print)
    'print'
    """
    owner = getattr(callback, "__self__", None)
    called: object = cast("Task[object]", owner).get_coro() if isinstance(owner, Task) else callback
    return getattr(called, "__qualname__", type(called).__name__)


def _timed_loop(steps: _Steps) -> AbstractEventLoop:
    """An event loop whose steps are timed: all that it is to call goes through one of these methods."""
    loop: AbstractEventLoop = Loop()

    def timed(method: Callable[..., T], position: int, made: Timed) -> Callable[..., T]:
        def call(*arguments: Any, **more: Any) -> T:
            before, callback, after = arguments[:position], arguments[position], arguments[position + 1 :]
            return method(*before, made(callback), *after, **more)

        return call

    def protocol(factory: Callable[..., BaseProtocol]) -> Callable[..., BaseProtocol]:
        def make() -> BaseProtocol:
            protocol = factory()
            for name in _OF_PROTOCOLS:
                setattr(protocol, name, steps.timed(getattr(protocol, name)))
            return protocol

        return make

    for name, position in _TAKE_CALLBACKS.items():
        setattr(loop, name, timed(getattr(loop, name), position, steps.timed))
    for name in _TAKE_PROTOCOLS:
        setattr(loop, name, timed(getattr(loop, name), 0, protocol))
    return loop
