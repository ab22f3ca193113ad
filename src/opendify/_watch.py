"""One request as others may see it: those who hook in, and the log. Never with a secret in it.

The log is the standard library's, under the name "opendify", all at DEBUG: a line for each request, for each
wait before the next try, and for the end of each stream. Neither sees the key, the query, a body, or the
token of a form, which stands in its address.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ._errors import APIConnectionError, APIStatusError, DifyError, shown

__all__ = ["Hooks", "RequestInfo", "ResponseInfo", "Watch", "log_closed", "log_wait"]

LOGGER = logging.getLogger("opendify")


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """A request that is about to be sent.

    `address` is the URL without its query, and without the token of a form; `headers` are without
    `Authorization`; `attempt` counts from 1.
    """

    method: str
    address: str
    headers: Mapping[str, str] = field(repr=False)
    attempt: int


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """The head of an answer, whatever its status: `seconds` after its request was sent."""

    request: RequestInfo
    status: int
    headers: Mapping[str, str] = field(repr=False)
    seconds: float


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the user of a client wants to be called with. What they raise is raised by the call."""

    on_request: Callable[[RequestInfo], None] | None = None
    on_response: Callable[[ResponseInfo], None] | None = None


class _Request(Protocol):
    """What is seen of a request, of either kind."""

    method: str
    headers: Mapping[str, str]

    @property
    def address(self) -> str: ...


class Watch:
    """Follows one request from before it is sent to the head of its answer."""

    __slots__ = ("_attempt", "_begun", "_hooks", "_request")

    def __init__(self, hooks: Hooks, request: _Request, attempt: int) -> None:
        self._hooks = hooks
        self._request = request
        self._attempt = attempt
        if hooks.on_request is not None:
            hooks.on_request(self._seen())
        self._begun = time.perf_counter()

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of the answer is there."""
        seconds = time.perf_counter() - self._begun
        if LOGGER.isEnabledFor(logging.DEBUG):
            self._log(f"{status} after {seconds:.3f} s")
        if self._hooks.on_response is not None:
            self._hooks.on_response(ResponseInfo(self._seen(), status, headers, seconds))

    def failed(self, error: APIConnectionError) -> None:
        """There will be no answer."""
        if LOGGER.isEnabledFor(logging.DEBUG):
            self._log(f"{_kind(error)} after {time.perf_counter() - self._begun:.3f} s")

    def _seen(self) -> RequestInfo:
        request = self._request
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in _SECRET_HEADERS
        }
        return RequestInfo(request.method, request.address, headers, self._attempt)

    def _log(self, outcome: str) -> None:
        again = f" (attempt {self._attempt})" if self._attempt > 1 else ""
        LOGGER.debug("%s %s: %s%s", self._request.method, self._request.address, outcome, again)


_SECRET_HEADERS = frozenset(["authorization", "proxy-authorization", "cookie"])


def log_wait(method: str, address: str, error: DifyError, seconds: float) -> None:
    """It will be tried again."""
    if LOGGER.isEnabledFor(logging.DEBUG):
        LOGGER.debug("%s %s: again in %.2f s, after %s", method, address, seconds, _kind(error))


def log_closed(method: str, address: str) -> None:
    """A stream was closed, at its end or before."""
    if LOGGER.isEnabledFor(logging.DEBUG):
        LOGGER.debug("%s %s: stream closed", method, shown(address))


def _kind(error: DifyError) -> str:
    """What happened, without a word of what was said: that may hold anything."""
    if isinstance(error, APIStatusError):
        return f"{error.status} {error.code}"
    return type(error).__name__
