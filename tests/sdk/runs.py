"""A run of Dify 1.14 and later, as it can be come back to: made of a recorded stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .wire_server import event, recording

Told = Mapping[str, Any]

_ROUNDS = {"iteration_started": "node_started", "loop_started": "node_started"} | {
    "iteration_completed": "node_finished",
    "loop_completed": "node_finished",
}
_NODE = ("node_id", "node_type", "title", "index", "created_at", "iteration_id", "loop_id")


@dataclass(frozen=True)
class Run:
    """A run, and what Dify tells of it when.

    Attributes:
        events: All of its events, in order; a chatflow's end with `message_end` and `workflow_finished`.
        keeps_log: Dify is set up with Redis streams, which keep the events.
    """

    events: tuple[Told, ...]
    keeps_log: bool = False

    @property
    def id(self) -> str:
        return str(self.events[0]["workflow_run_id"])

    @property
    def is_chatflow(self) -> bool:
        return "message_id" in self.events[0]

    @property
    def answer(self) -> str:
        text = ""
        for told in self.events:
            text = told["answer"] if told["event"] == "message_replace" else text + told.get("answer", "")
        return text

    def again(self, when: int, late: int = 0) -> list[Told]:
        """The stream of who comes back after `when` events; the snapshot is of `late` events later."""
        if when >= len(self.events):
            return [{**_only(self.events[-1], "event", "workflow_run_id", "data"), "task_id": self.id}]
        seen = self.events[: min(when + late, len(self.events) - 1)]
        live = self.events if self.keeps_log else self.events[when:]
        return [*self._snapshot(seen), *live]

    def _snapshot(self, seen: Iterable[Told]) -> Iterable[Told]:
        started = next(told for told in self.events if told["event"] == "workflow_started")
        names = _only(started, "task_id", "workflow_run_id", "conversation_id", "message_id", "created_at")
        yield {**started, "data": {**started["data"], "reason": "initial"}}
        if self.is_chatflow:
            yield {**names, "event": "message_replace", "answer": "", "reason": ""}
        for told in seen:
            data = told.get("data", {})
            kind = _ROUNDS.get(told["event"], told["event"])
            execution = f"run of {data['id']}" if told["event"] in _ROUNDS else data.get("id")
            bare = {**_only(data, *_NODE), "id": execution, "inputs": None}
            match kind:
                case "node_started":
                    yield {**names, "event": kind, "data": bare}
                case "node_finished":
                    ended = _only(data, "status", "elapsed_time", "finished_at")
                    yield {**names, "event": kind, "data": {**bare, **ended, "outputs": None}}
                case _:
                    pass

    def messages(self) -> bytes:
        """What GET /messages says when it has ended."""
        names = _only(self.events[0], "conversation_id")
        message = {"id": self.events[0]["message_id"], "query": "?", "answer": self.answer, **names}
        return json.dumps({"limit": 20, "has_more": False, "data": [message]}).encode()


def recorded_run(name: str, *, keeps_log: bool = False) -> Run:
    """A recorded run in the order of Dify 1.14 and later."""
    blocks = [block for block in recording(name).split(b"\n\n") if block.startswith(b"data: ")]
    events = [json.loads(block.removeprefix(b"data: ")) for block in blocks]
    # What follows workflow_finished is not sent any more, and message_end comes before it.
    end = [told for told in events if told["event"] == "workflow_finished"]
    kept = [told for told in events if told["event"] not in ("workflow_finished", "error")]
    return Run((*kept, *end), keeps_log)


def wire(events: Iterable[Told]) -> bytes:
    """Events in Dify's framing."""
    return b"".join(event(**told) for told in events)


def _only(told: Told, *names: str) -> dict[str, Any]:
    return {name: told[name] for name in names if name in told}
