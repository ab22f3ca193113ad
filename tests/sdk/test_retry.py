"""What is tried again, after how long, and what never."""

from __future__ import annotations

from random import Random

import pytest

from opendify import APIConnectionError, APITimeoutError, DifyError, TruncatedStreamError
from opendify._errors import refusal
from opendify._retry import wait_before_retry

REFUSED = APIConnectionError("refused", url="u", sent=False)
NO_CONNECTION = APITimeoutError("connect", url="u", sent=False, phase="connect")
BROKEN = APIConnectionError("reset", url="u", sent=True)
SILENT = APITimeoutError("silence", url="u", sent=True, phase="silence")
LIMIT_1_12 = refusal(400, "invalid_param", "Too many requests. Please try again later.")
LIMIT = refusal(429, "too_many_requests", "")
SERVER = refusal(502, "unknown", "")


def wait(
    error: DifyError, *, attempt: int = 1, max_retries: int = 2, reads_only: bool = False
) -> float | None:
    return wait_before_retry(
        error, attempt=attempt, max_retries=max_retries, reads_only=reads_only, random=Random(1)
    )


@pytest.mark.parametrize(
    ("error", "generation", "reading"),
    [
        (REFUSED, True, True),
        (NO_CONNECTION, True, True),
        (BROKEN, False, True),
        (SILENT, False, False),
        (LIMIT_1_12, True, True),
        (LIMIT, True, True),
        (refusal(429, "too_many_requests", "", in_stream=True), False, False),
        (SERVER, False, True),
        (refusal(400, "invalid_param", "query is required"), False, False),
        (refusal(404, "not_found", ""), False, False),
        (refusal(400, "provider_quota_exceeded", ""), False, False),
        (TruncatedStreamError("cut"), False, True),
    ],
)
def test_a_generation_is_sent_again_only_where_dify_cannot_have_begun_it(
    error: DifyError, generation: bool, reading: bool
) -> None:
    assert (wait(error) is not None) == generation
    assert (wait(error, reads_only=True) is not None) == reading


def test_there_are_never_more_tries_than_allowed() -> None:
    assert [wait(REFUSED, attempt=n) is not None for n in range(1, 5)] == [True, True, False, False]
    assert wait(REFUSED, max_retries=0) is None


def test_waits_double_and_are_spread_at_random() -> None:
    for attempt, longest in enumerate((0.5, 1, 2, 4, 8, 8, 8), 1):
        waits = [
            wait_before_retry(LIMIT, attempt=attempt, max_retries=99, reads_only=False, random=Random(seed))
            for seed in range(200)
        ]
        assert all(w is not None and longest / 2 <= w <= longest for w in waits)
        assert len(set(waits)) > 100


def test_a_servers_retry_after_is_obeyed_up_to_a_minute() -> None:
    obeyed = wait(refusal(429, "too_many_requests", "", retry_after=7))
    assert obeyed is not None
    assert 7 <= obeyed <= 7.7
    assert wait(refusal(429, "too_many_requests", "", retry_after=3600)) is None
    assert wait(refusal(503, "unknown", "", retry_after=2), reads_only=True) is not None
