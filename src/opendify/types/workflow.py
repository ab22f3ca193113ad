"""What a workflow replies."""

# ruff: noqa: RUF012  pydantic copies the defaults of fields

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from ._model import Many, Model
from .chat import MessageFile

__all__ = ["PausedData", "WorkflowReply", "WorkflowStatus"]

WorkflowStatus = Literal["running", "succeeded", "failed", "stopped", "partial-succeeded", "paused"] | str
"""How a run stands. "partial-succeeded": nodes failed, and the workflow provides for that."""


class PausedData(Model):
    """A run that waits for a person (Dify 1.14 and later)."""

    workflow_run_id: str | None = None
    paused_nodes: Many[str] = []
    outputs: dict[str, JsonValue] | None = None
    reasons: Many[JsonValue] = []
    """What it waits for: for a human input node its form, with the token that submits it."""
    status: WorkflowStatus = "paused"
    created_at: int | None = None
    elapsed_time: float | None = None
    total_tokens: int | None = None
    total_steps: int | None = None


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
