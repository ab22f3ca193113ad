# Made from _async/_poll.py by scripts/unasync.py: edit that file, not this one.
"""Asking again and again for something that takes its time at Dify."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import SystemRandom
from typing import TypeVar

from .._waiting import sleep

__all__ = ["poll"]

T = TypeVar("T")

_DICE = SystemRandom()

FIRST_WAIT = 0.25
LONGEST_WAIT = 5.0


def poll(ask: Callable[[], T], done: Callable[[T], bool], *, timeout: float) -> T:
    """What `ask` gives as soon as it is `done`. Raises `TimeoutError` if it is not after `timeout` seconds.

    It is asked for less and less often, and never in step with others.
    """
    end = time.monotonic() + timeout
    wait = FIRST_WAIT
    while not done(told := ask()):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"Dify has not finished within {timeout:g} s; it goes on, so ask again later.")
        sleep(min(left, wait * _DICE.uniform(0.5, 1)))
        wait = min(LONGEST_WAIT, wait * 1.5)
    return told
