"""What a workflow replies."""

# ruff: noqa: RUF012  pydantic copies the defaults of fields

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, JsonValue
from pydantic_core import from_json

from ._model import Count, Model, Text
from .chat import Lost, MessageFile
from .human_input import PausedData

__all__ = [
    "WorkflowLog",
    "WorkflowLogAccount",
    "WorkflowLogEndUser",
    "WorkflowLogRun",
    "WorkflowReply",
    "WorkflowRun",
    "WorkflowStatus",
]

WorkflowStatus = Literal["running", "succeeded", "failed", "stopped", "partial-succeeded", "paused"] | str
"""How a run stands. "partial-succeeded": nodes failed, and the workflow provides for that."""


class WorkflowReply(Model):
    """A workflow run that has ended, or waits for a person (`status` "paused")."""

    workflow_run_id: str
    task_id: str = ""
    workflow_id: str = ""
    status: WorkflowStatus
    outputs: dict[str, JsonValue] = {}
    text: str = ""
    """All that was streamed: Dify's own concatenation of the outputs that stream. Not one answer."""
    reasoning: str = ""
    """What the models thought before they answered, where Dify keeps that apart (from 1.15)."""
    error: str | None = None
    elapsed_time: float = 0
    """Seconds."""
    total_tokens: int = 0
    total_steps: int = 0
    exceptions_count: int = 0
    """Nodes that failed in a run that went on."""
    created_at: int = 0
    """Seconds since 1970, as is `finished_at`."""
    finished_at: int | None = None
    files: list[MessageFile] = []
    paused: PausedData | None = None
    """What it waits for, with the forms and their tokens."""
    lost: list[Lost] = []
    """What may be missing of `text` and `reasoning`, where the stream was lost and taken up again."""


def _read(value: Any) -> Any:  # Any: what pydantic gives and takes here
    return from_json(value) if isinstance(value, str) else value


_Values = Annotated[dict[str, JsonValue] | None, BeforeValidator(_read)]
"""Values by name, which some of Dify's versions write as JSON within JSON."""


class WorkflowRun(Model):
    """A run as Dify keeps it, of a workflow or a chatflow."""

    id: str
    workflow_id: Text = ""
    status: WorkflowStatus
    inputs: _Values = None
    """With those of the system, as "sys.query"."""
    outputs: _Values = None
    """Empty or `None` until there are any."""
    error: str | None = None
    total_steps: Count = 0
    total_tokens: Count = 0
    created_at: Count = 0
    """Seconds since 1970, as is `finished_at`."""
    finished_at: int | None = None
    elapsed_time: float | None = None
    """Seconds."""


class WorkflowLogRun(Model):
    """What the log tells of a run."""

    id: str | None = None
    version: Text = ""
    """When the version of the workflow that ran was published, or "draft"."""
    status: WorkflowStatus = ""
    triggered_from: str | None = None
    """app-run, or debugging in Dify's studio."""
    error: str | None = None
    elapsed_time: float | None = None
    total_tokens: Count = 0
    total_steps: Count = 0
    created_at: int | None = None
    finished_at: int | None = None
    exceptions_count: Count = 0


class WorkflowLogAccount(Model):
    """The member of the workspace who started a run."""

    id: str | None = None
    name: str | None = None
    email: str | None = None


class WorkflowLogEndUser(Model):
    """The end user who started a run; `session_id` is the `user` that it was started with."""

    id: str | None = None
    type: str | None = None
    is_anonymous: bool | None = None
    session_id: str | None = None


class WorkflowLog(Model):
    """A line of the log of runs."""

    id: str
    workflow_run: WorkflowLogRun | None = None
    details: JsonValue = None
    created_from: str | None = None
    """service-api, web-app, …"""
    created_by_role: str | None = None
    """account or end_user."""
    created_by_account: WorkflowLogAccount | None = None
    created_by_end_user: WorkflowLogEndUser | None = None
    created_at: int | None = None
