"""Try again? After how long? Decides, never sleeps. Pure: the dice are passed in.

What may be tried again is little, because a generation that Dify may have begun is running, and billed,
whether or not we hear of it:

- a connection that failed before the request was sent,
- a request that Dify refused because there are too many (429, and the 400 and 403 that mean the same),
- for calls that only read (GET): a lost connection, and 5xx,
- a stream that was lost, where that only means to come back to a run.

PUT, PATCH and DELETE are not among those, though HTTP calls PUT and DELETE idempotent: what was done the
first time may have been changed by somebody else since, a second DELETE answers 404 for what has succeeded,
and an update of knowledge is indexed, and billed, each time.

Silence is never tried again: whoever waited two minutes in vain should hear of it.
"""

from __future__ import annotations

from random import Random

from ._errors import (
    APIConnectionError,
    APITimeoutError,
    DifyError,
    RateLimitError,
    ServerError,
    TruncatedStreamError,
)

__all__ = ["wait_before_retry"]

FIRST_WAIT = 0.5
LONGEST_WAIT = 8.0
PATIENCE = 60.0


def wait_before_retry(
    error: DifyError, *, attempt: int, max_retries: int, reads_only: bool, random: Random
) -> float | None:
    """Seconds to wait before the request is sent again, or `None`: the error stands.

    `attempt` counts from 1, the first try. The wait doubles each time and is shortened by up to half at
    random, so that clients who were refused together do not come back together. A server's `Retry-After`
    is obeyed, up to a minute; one that asks for more is not waited for.
    """
    if attempt > max_retries or not _worth_another_try(error, reads_only):
        return None
    asked = error.retry_after if isinstance(error, RateLimitError | ServerError) else None
    if asked is not None:
        return asked * random.uniform(1, 1.1) if asked <= PATIENCE else None
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1)


def _worth_another_try(error: DifyError, reads_only: bool) -> bool:
    if isinstance(error, RateLimitError):
        return not error.in_stream
    if isinstance(error, APIConnectionError):
        if not error.sent:
            return True
        return reads_only and not isinstance(error, APITimeoutError)
    return reads_only and isinstance(error, ServerError | TruncatedStreamError)
