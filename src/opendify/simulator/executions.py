"""Executions of nodes, iterations and loops, as their events show them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from opendify.simulator.files import File
from opendify.simulator.nodes import Iteration, Loop, Node
from opendify.simulator.wire import array
from opendify.simulator.workflow_runs import NodeExecution


class Execution:
    """One execution of a node, as its two events show it."""

    def __init__(
        self,
        node: Node,
        *,
        kind: str | None = None,
        iteration_id: str | None = None,
        loop_id: str | None = None,
    ) -> None:
        self.node = node
        self.record = NodeExecution(node.id, kind or node.type, node.title, iteration_id, loop_id)
        self._clock = time.perf_counter()

    def finish(self, status: str) -> None:
        """It is through."""
        self.record.status = status
        self.record.elapsed_time = round(time.perf_counter() - self._clock, 6)
        self.record.finished_at = int(time.time())

    def head(self) -> dict[str, object]:
        """What both events begin with."""
        return {
            "id": self.record.id,
            "node_id": self.node.id,
            "node_type": self.record.node_type,
            "title": self.node.title,
            "index": 1,
            "predecessor_node_id": None,
        }


class Round:
    """An iteration or a loop, as its events show it."""

    def __init__(
        self, node: Iteration | Loop, length: Mapping[str, int], inputs: Mapping[str, object]
    ) -> None:
        self._head = {"id": node.id, "node_id": node.id, "node_type": node.type, "title": node.title}
        self._length = length
        self._inputs = {"inputs": inputs, "inputs_truncated": False}
        self._created = {"created_at": int(time.time())}
        self._extras = {"extras": dict[str, object]()}
        self._clock = time.perf_counter()

    def started(self) -> dict[str, object]:
        """Data of iteration_started and loop_started."""
        return {**self._head, **self._created, **self._extras, "metadata": self._length, **self._inputs}

    def next(self, index: int, more: Mapping[str, object] | None = None) -> dict[str, object]:
        """Data of iteration_next and loop_next."""
        return {**self._head, "index": index, **self._created, **(more or {}), **self._extras}

    def completed(
        self, outputs: Mapping[str, object], durations: Mapping[str, object], *, steps: int
    ) -> dict[str, object]:
        """Data of iteration_completed and loop_completed."""
        cost = {"total_tokens": 0, "total_price": "0.0", "currency": "USD", **durations}
        return {
            **self._head,
            "outputs": outputs,
            "outputs_truncated": False,
            **self._created,
            **self._extras,
            **self._inputs,
            "status": "succeeded",
            "error": None,
            "elapsed_time": round(time.perf_counter() - self._clock, 6),
            "total_tokens": 0,
            "execution_metadata": cost,
            "finished_at": int(time.time()),
            "steps": steps,
        }


def files_of(values: Mapping[str, object]) -> Iterator[File]:
    """The files among some values."""
    for value in values.values():
        for item in array(value) or [value]:
            if isinstance(item, File):
                yield item


def assignment(node: Loop) -> dict[str, object]:
    """The inputs of a variable assigner that adds one."""
    item = {
        "variable_selector": [node.id, "i"],
        "input_type": "constant",
        "operation": "+=",
        "value": 1,
    }
    return {
        "title": "Variable Assigner",
        "desc": "",
        "version": "2",
        "error_strategy": None,
        "default_value": None,
        "retry_config": {"max_retries": 0, "retry_interval": 0, "retry_enabled": False},
        "items": [item],
    }


def assigned(node: Loop, value: int) -> dict[str, object]:
    """The process data of a variable assigner that has made the loop's counter this value."""
    updated = {
        "name": "i",
        "selector": [node.id, "i"],
        "value_type": "integer",
        "new_value": value,
    }
    return {"i": value, "__updated_variables": [updated]}
