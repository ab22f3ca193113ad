"""What Dify remembers of the runs of workflows and chatflows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

VERSION = "2026-01-01 00:00:00.000000"
"""The version of every published workflow: Dify names versions by the moment of publishing."""


@dataclass(slots=True)
class WorkflowRun:
    """One run: as it stands.

    Args:
        inputs: with the `sys.*` variables.
        logged: workflow apps write a log of their runs, chatflows don't.
    """

    id: str
    user: str
    user_id: str
    workflow_id: str
    inputs: Mapping[str, object]
    logged: bool
    log_id: str = field(default_factory=lambda: str(uuid4()))
    status: str = "running"
    outputs: Mapping[str, object] | None = None
    error: str | None = None
    elapsed_time: float = 0.0
    total_tokens: int = 0
    total_steps: int = 0
    exceptions_count: int = 0
    created_at: int = field(default_factory=lambda: int(time.time()))
    finished_at: int | None = None
