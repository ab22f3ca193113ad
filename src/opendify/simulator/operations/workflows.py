"""Runs of workflows and chatflows, looked at from outside: their details, their log, their events."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from opendify.simulator.apps import GRAPH_MODES
from opendify.simulator.errors import invalid, not_found, not_workflow_app
from opendify.simulator.payloads import WorkflowEventsQuery, WorkflowLogQuery, user_of, validated
from opendify.simulator.service import Following, Reply, Request, Route, Service
from opendify.simulator.snapshots import last, snapshot
from opendify.simulator.wire import EVENT_STREAM, PING, escaped
from opendify.simulator.workflow_runs import VERSION, WorkflowRun


def run_detail(service: Service, request: Request) -> Reply:
    """GET /workflows/run/{workflow_run_id}. Of a run that is not there, 1.12 knows nulls only.

    Inputs are JSON in a string, outputs too in 1.12.
    """
    app = service.app(request)
    if app.spec.mode not in GRAPH_MODES:
        raise not_workflow_app()
    run = app.workflow_runs.get(request.parameters["workflow_run_id"])
    if run is None and service.behaviour != "1.12":
        raise not_found("Workflow run not found.")
    shown = {name: show(run) if run else None for name, show in _DETAIL.items()}
    if run is not None and service.behaviour != "1.12":
        shown["outputs"] = run.outputs or {}
    return Reply(escaped(shown))


def list_logs(service: Service, request: Request) -> Reply:
    """GET /workflows/logs: the newest first; runs of chatflows are not logged."""
    app = service.app(request)
    query = validated(WorkflowLogQuery, request.query)
    if query.created_by_account:  # whoever asks with an app's key is no account
        raise invalid(f"Account not found: {query.created_by_account}")
    before, after = _moment(query.created_at__before), _moment(query.created_at__after)
    found = [
        run
        for run in reversed(app.workflow_runs.values())
        if not run.message_id
        and query.status in (None, run.status)
        and query.created_by_end_user_session_id in (None, run.user)
        and (before is None or run.created_at <= before)
        and (after is None or run.created_at >= after)
        and _holds(run, query.keyword or "")
    ]
    first = (query.page - 1) * query.limit
    page = found[first : first + query.limit]
    shown = {
        "page": query.page,
        "limit": query.limit,
        "total": len(found),
        "has_more": first + len(page) < len(found),
        "data": [_log(run) for run in page],
    }
    return Reply(escaped(shown))


def run_events(service: Service, request: Request) -> Reply | Following:
    """GET /workflow/{workflow_run_id}/events: those of a run that goes on, from now; of another its end."""
    app = service.app(request)
    user_id = app.user_id(user_of(request.query))
    if app.spec.mode not in GRAPH_MODES:
        raise not_workflow_app()
    query = validated(WorkflowEventsQuery, request.query)
    run = app.workflow_runs.get(request.parameters["workflow_run_id"])
    if run is None or run.user_id != user_id:
        raise not_found("Workflow run not found")
    headers = {"Cache-Control": "no-cache"}
    if run.finished:
        return Reply(last(run), content_type=EVENT_STREAM, headers=headers, chunked=True)
    told = [PING]
    if query.include_state_snapshot:
        told += snapshot(run, app.messages.get(run.message_id))
    ends = bool(run.forms) and query.include_state_snapshot and not query.continue_on_pause
    return Following(run.task_id, told, ends=ends, through_pauses=query.continue_on_pause, headers=headers)


ROUTES = (
    Route("GET", "/workflows/run/{workflow_run_id}", run_detail),
    Route("GET", "/workflows/logs", list_logs),
    Route("GET", "/workflow/{workflow_run_id}/events", run_events, since="1.16"),
)

_DETAIL: Mapping[str, Callable[[WorkflowRun], object]] = {
    "id": lambda run: run.id,
    "workflow_id": lambda run: run.workflow_id,
    "status": lambda run: run.status,
    "inputs": lambda run: _text(run.inputs),
    "outputs": lambda run: _text(run.outputs),
    "error": lambda run: run.error,
    "total_steps": lambda run: run.total_steps,
    "total_tokens": lambda run: run.total_tokens,
    "created_at": lambda run: run.created_at,
    "finished_at": lambda run: run.finished_at,
    "elapsed_time": lambda run: run.elapsed_time,
}


def _text(values: Mapping[str, object] | None) -> str | None:
    return json.dumps(values) if values else None


def _moment(date: str | None) -> float | None:
    if date is None:
        return None
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        raise invalid(f"Invalid isoformat string: {date!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _holds(run: WorkflowRun, keyword: str) -> bool:
    """Is a word in the inputs or outputs of a run, or in the name of its user?"""
    word = keyword.lower()
    return any(word in text.lower() for text in (_text(run.inputs) or "", _text(run.outputs) or "", run.user))


def _log(run: WorkflowRun) -> dict[str, object]:
    return {
        "id": run.log_id,
        "workflow_run": {
            "id": run.id,
            "version": VERSION,
            "status": run.status,
            "triggered_from": "app-run",
            "error": run.error,
            "elapsed_time": run.elapsed_time,
            "total_tokens": run.total_tokens,
            "total_steps": run.total_steps,
            "created_at": run.created_at,
            "finished_at": run.finished_at,
            "exceptions_count": run.exceptions_count,
        },
        "details": None,
        "created_from": "service-api",
        "created_by_role": "end_user",
        "created_by_account": None,
        "created_by_end_user": {
            "id": run.user_id,
            "type": "service-api",
            "is_anonymous": False,
            "session_id": run.user,
        },
        "created_at": run.created_at,
    }
