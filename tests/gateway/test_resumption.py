"""A paused run that is come back to: what Dify tells again, and what is new. Pure."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendify import MalformedStreamError
from opendify.gateway.resumption import Resumption


def event(name: str, **data: object) -> bytes:
    return json.dumps({"event": name, "data": data, "task_id": "t"}).encode()


def paused(*forms: str) -> bytes:
    reasons = [{"TYPE": "human_input_required", "form_id": form, "form_token": "secret"} for form in forms]
    return event("workflow_paused", reasons=reasons)


STARTED, RESUMED = event("workflow_started", reason="initial"), event("workflow_started", reason="resumption")
STORED = b'{"event":"message_replace","answer":"A draft"}'
DRAFT = b'{"event":"message","answer":"A draft"}'
NODE = event("node_started", id="n")
FINISHED = event("workflow_finished", status="succeeded")

STATE = [STARTED, STORED, NODE, event("node_finished", id="n"), event("human_input_required"), paused("b")]
NEWS = [RESUMED, event("human_input_form_filled"), b'{"event":"message","answer":"Sent."}', FINISHED]
LOG = [STARTED, NODE, DRAFT, paused("a", "b"), RESUMED, event("human_input_form_filled"), paused("b")]


@pytest.mark.parametrize("log", [[], LOG], ids=["as it comes", "with all events kept"])
@given(st.data())
def test_only_what_comes_after_the_pause_is_new_however_it_is_cut(
    log: list[bytes], data: st.DataObject
) -> None:
    events = [*STATE, *log, *NEWS]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(events)))) | {0, len(events)})
    back = Resumption()
    new: list[bytes] = []
    for start, end in pairwise(cuts):
        new += back.take(events[start:end])
    assert new == NEWS
    assert back.forms == frozenset({"b"})


def test_the_forms_that_are_open_are_known_once_the_pause_is_told() -> None:
    back = Resumption()
    assert list(back.take(STATE[:-1])) == []
    assert back.forms is None
    assert list(back.take(STATE[-1:])) == []
    assert back.forms == frozenset({"b"})


def test_a_run_that_had_ended_tells_nothing_new() -> None:
    back = Resumption()
    assert list(back.take([FINISHED])) == []
    assert back.over


def test_a_run_that_tells_no_pause_is_heard_from_the_submission_on() -> None:
    back = Resumption()
    back.take([STARTED, NODE])
    back.go()
    assert list(back.take(NEWS)) == NEWS


def test_an_end_is_heard_even_if_the_pause_is_missing_among_the_kept_events() -> None:
    back = Resumption()
    assert list(back.take([*STATE, STARTED, DRAFT, FINISHED])) == [FINISHED]


@pytest.mark.parametrize("payload", [b"{", b"[]", b'{"event":"workflow_paused","data":{"reasons":1}}'])
def test_what_is_no_event_is_said_so_without_its_words(payload: bytes) -> None:
    with pytest.raises(MalformedStreamError) as caught:
        Resumption().take([payload])
    assert "reasons" not in str(caught.value)
