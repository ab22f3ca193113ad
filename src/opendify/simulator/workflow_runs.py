"""What Dify remembers of the runs of workflows and chatflows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from opendify.simulator.forms import Form

VERSION = "2026-01-01 00:00:00.000000"
"""The version of every published workflow: Dify names versions by the moment of publishing."""


def _nothing() -> dict[str, object]:
    return {}


@dataclass(slots=True)
class NodeExecution:
    """One execution of a node, as it stands."""

    node_id: str
    node_type: str
    title: str
    iteration_id: str | None = None
    loop_id: str | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    status: str = "running"
    elapsed_time: float = 0.0
    created_at: int = field(default_factory=lambda: int(time.time()))
    finished_at: int | None = None

    @property
    def place(self) -> dict[str, object]:
        """The iteration or the loop in which it is."""
        return {"iteration_id": self.iteration_id, "loop_id": self.loop_id}


@dataclass(slots=True)
class WorkflowRun:
    """One run, as it stands.

    Args:
        message_id: of a chatflow's message; empty for a workflow. Only workflows write a log of their runs.
        inputs: with the `sys.*` variables.
    """

    id: str
    task_id: str
    message_id: str
    user: str
    user_id: str
    workflow_id: str
    inputs: Mapping[str, object]
    log_id: str = field(default_factory=lambda: str(uuid4()))
    nodes: list[NodeExecution] = field(default_factory=lambda: list[NodeExecution]())
    forms: Sequence[Form] = ()
    """What it waits for."""
    paused: Mapping[str, object] = field(default_factory=_nothing)
    """Data of its last workflow_paused."""
    finished: Mapping[str, object] = field(default_factory=_nothing)
    """Data of its workflow_finished; empty before."""
    status: str = "running"
    outputs: Mapping[str, object] | None = None
    error: str | None = None
    elapsed_time: float = 0.0
    total_tokens: int = 0
    total_steps: int = 0
    exceptions_count: int = 0
    created_at: int = field(default_factory=lambda: int(time.time()))
    finished_at: int | None = None

    def started(self, reason: str | None = None) -> dict[str, object]:
        """Data of workflow_started; older Dify gives no reason."""
        shown: dict[str, object] = {
            "id": self.id,
            "workflow_id": self.workflow_id,
            "inputs": self.inputs,
            "created_at": self.created_at,
        }
        return shown if reason is None else {**shown, "reason": reason}
