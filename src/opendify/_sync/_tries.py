# Made from _async/_tries.py by scripts/unasync.py: edit that file, not this one.
"""Doing a thing once, or as often as is right."""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom
from typing import TypeVar

from .._call import Operation
from .._errors import DifyError, shown
from .._retry import wait_before_retry
from .._waiting import sleep
from .._watch import log_wait

__all__ = ["Tries"]

T = TypeVar("T")

_DICE = SystemRandom()


class Tries:
    """The tries of one operation."""

    __slots__ = ("_max_retries", "_operation")

    def __init__(self, operation: Operation, max_retries: int) -> None:
        self._operation = operation
        self._max_retries = max_retries if operation.again else 0

    def __call__(self, once: Callable[[int], T]) -> T:
        """Do it; `once` is told which attempt it is, from 1."""
        attempt = 1
        while True:
            try:
                return once(attempt)
            except DifyError as error:
                wait = wait_before_retry(
                    error,
                    attempt=attempt,
                    max_retries=self._max_retries,
                    reads_only=self._operation.reads_only,
                    random=_DICE,
                )
                if wait is None:
                    raise
                log_wait(self._operation.method, shown(self._operation.path), error, wait)
            sleep(wait)
            attempt += 1
