"""Streams of runs that are lost and taken up again: what their reader can rely on, wherever they are cut."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendify import Page
from opendify._fold import ChatFold, WorkflowFold
from opendify._resume import Resumption, tells_events
from opendify.types import Event, Message, WorkflowFinishedEvent
from opendify.types.events import CHAT_EVENTS, WORKFLOW_EVENTS

from .runs import Run, Told, recorded_run

CHATFLOWS = [
    "chatflow-streaming",
    "chatflow-turn2",
    "chatflow-unicode-streaming",
    "chatflow-agentnode-streaming",
    "chatflow-tts-autoplay-streaming",
    "chatflow-stopped-stream",
    "fx_loop_contains_answer-streaming",
]
WORKFLOWS = [
    "workflow-streaming",
    "workflow-nollm-streaming",
    "workflow-ping",
    "workflow-stopped-stream",
    "workflow-error-streaming",
    "workflow-files-streaming",
    "fx_iteration_flatten_output_enabled-streaming",
]

Losses = list[tuple[int, int, int]]
"""After how many events the stream is lost, how many are missed, and how late the snapshot is."""


class Reader:
    """Reads a run as a stream does, without a network."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.fold: Any = ChatFold() if run.is_chatflow else WorkflowFold()
        self.memory = Resumption(self.fold, stores_text=run.is_chatflow, goes_on=False)
        self.got: list[Event] = []
        self.texts = [""]

    def read(self, losses: Losses) -> Reader:
        position = 0
        stream: list[Told] = list(self.run.events)
        for length, missed, late in losses:
            told = stream[:length]
            self._take(told)
            position = max(position, self._position(told)) + missed
            if isinstance(self.got and self.got[-1], WorkflowFinishedEvent):
                return self
            self.memory.reenter()
            stream = self.run.again(position, late)
        self._take(stream)
        return self

    def _position(self, told: list[Told]) -> int:
        """How far the run is, to tell the last of these live."""
        known = [index for index, one in enumerate(self.run.events) if told and one == told[-1]]
        return known[-1] + 1 if known else 0

    def _take(self, told: list[Told]) -> None:
        adapter: Any = CHAT_EVENTS if self.run.is_chatflow else WORKFLOW_EVENTS
        for one in told:
            event = adapter.validate_python(one)
            new = [event]
            if self.memory.resumed:
                new = self.memory.take(event)
                if self.memory.owes:
                    page = Page[Message].model_validate_json(self.run.messages())
                    new += self.memory.settle(page.data[0])
            for each in new:
                self.fold.take(each)
                self.memory.had(each)
                self.got.append(each)
                self.texts.append(self.fold.text)


losses = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 8) | st.just(1000), st.integers(0, 3)),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize("keeps_log", [False, True], ids=["pubsub", "streams"])
@pytest.mark.parametrize("name", CHATFLOWS)
@given(losses=losses)
def test_a_chatflows_answer_is_whole_wherever_its_stream_is_cut(
    name: str, keeps_log: bool, losses: Losses
) -> None:
    run = recorded_run(name, keeps_log=keeps_log)
    uncut = Reader(run).read([]).fold.so_far()
    # Before its first event a run has no name to come back by.
    cut = Reader(run).read([(max(1, losses[0][0]), *losses[0][1:]), *losses[1:]])
    reply = cut.fold.so_far()
    assert reply.answer == uncut.answer
    assert not reply.replaced
    assert (reply.outputs, reply.workflow_status) == (uncut.outputs, uncut.workflow_status)
    assert (reply.message_id, reply.conversation_id, reply.workflow_run_id) == (
        uncut.message_id,
        uncut.conversation_id,
        uncut.workflow_run_id,
    )
    assert reply.usage == uncut.usage or reply.lost == ["usage"]
    assert all(uncut.answer.startswith(text) for text in cut.texts)
    assert_nothing_came_twice(cut)


@pytest.mark.parametrize("keeps_log", [False, True], ids=["pubsub", "streams"])
@pytest.mark.parametrize("name", WORKFLOWS)
@given(losses=losses)
def test_a_workflows_outputs_are_exact_and_its_text_is_whole_or_said_not_to_be(
    name: str, keeps_log: bool, losses: Losses
) -> None:
    run = recorded_run(name, keeps_log=keeps_log)
    uncut = Reader(run).read([]).fold.so_far()
    cut = Reader(run).read([(max(1, losses[0][0]), *losses[0][1:]), *losses[1:]])
    reply = cut.fold.so_far()
    assert (reply.outputs, reply.status, reply.error) == (uncut.outputs, uncut.status, uncut.error)
    assert (reply.total_tokens, reply.workflow_run_id, reply.task_id) == (
        uncut.total_tokens,
        uncut.workflow_run_id,
        uncut.task_id,
    )
    assert reply.text == uncut.text or "text" in reply.lost
    if name in ("workflow-streaming", "workflow-nollm-streaming", "workflow-ping"):
        assert reply == uncut
        assert all(uncut.text.startswith(text) for text in cut.texts)
    assert_nothing_came_twice(cut)


@pytest.mark.parametrize("keeps_log", [False, True], ids=["pubsub", "streams"])
@given(losses=losses)
def test_what_moderation_puts_in_the_place_of_text_holds(keeps_log: bool, losses: Losses) -> None:
    run = recorded_run("chatflow-streaming")
    replaced = {**run.events[9], "event": "message_replace", "answer": "Hel", "reason": "output_moderation"}
    run = Run((*run.events[:10], replaced, *run.events[10:]), keeps_log)
    uncut = Reader(run).read([]).fold.so_far()
    cut = Reader(run).read([(max(1, losses[0][0]), *losses[0][1:]), *losses[1:]])
    assert cut.fold.so_far().answer == uncut.answer
    assert_nothing_came_twice(cut)


@pytest.mark.parametrize("stored", ["", "Hello!"], ids=["nothing", "what came before"])
def test_an_answer_that_dify_has_not_stored_yet_takes_nothing_away(stored: str) -> None:
    run = recorded_run("chatflow-streaming")
    reader = Reader(run)
    reader._take(list(run.events[: 6 if stored else 4]))
    assert reader.fold.text == stored
    reader.memory.reenter()
    reader._take(run.again(8)[: -len(run.events) + 8 + 2])
    paused = {"event": "workflow_paused", "data": {"paused_nodes": ["n"], "reasons": []}}
    assert reader.memory.take(CHAT_EVENTS.validate_python(paused)) == []
    told = reader.memory.settle(Message(id="m", answer=stored))
    assert [event.event for event in told] == ["stream_gap", "message", "message", "workflow_paused"]


def assert_nothing_came_twice(cut: Reader) -> None:
    """No event with a name of its own, and no more of any other than there were."""
    there = Counter(_name(told["event"], told.get("data") or {}) for told in cut.run.events)
    got = Counter(_name(one.event, getattr(one, "data", None)) for one in cut.got)  # type: ignore[attr-defined]
    made = {"stream_gap", "message_end", "message", "text_chunk"}
    assert {
        name: number for name, number in got.items() if number > there[name] and name[0] not in made
    } == {}


def _name(event: str, data: Any) -> tuple[str, str]:
    get = data.get if isinstance(data, dict) else lambda name: getattr(data, name, None)
    return event, str(get("node_id") if event.startswith(("iteration", "loop")) else get("id"))


def test_a_dify_that_has_no_events_is_known_by_its_version() -> None:
    known = {
        version: tells_events(version) for version in ("1.12.1", "1.13.3", "1.14.0", "1.16", "2.0.0", None)
    }
    assert known == {
        "1.12.1": False,
        "1.13.3": False,
        "1.14.0": True,
        "1.16": True,
        "2.0.0": True,
        None: True,
    }
