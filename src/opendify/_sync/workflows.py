# Made from _async/workflows.py by scripts/unasync.py: edit that file, not this one.
"""Workflows: run, follow the run, stop it, look it up later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from .._call import EventsCall, Reply, attached, given, nothing, path, read_as
from .._errors import refusal
from .._fold import WorkflowCourse, WorkflowFold
from .._page import Listing, numbered, read_page
from .._runs import WayBack, run_events
from ..types._model import is_object
from ..types.events import WORKFLOW_EVENTS, WorkflowEvent
from ..types.files import InputFile
from ..types.workflow import WorkflowLog, WorkflowReply, WorkflowRun
from ._pages import Pages
from ._resource import Resource
from ._stream import Ask, Stream

__all__ = ["Workflows"]

_run = read_as(WorkflowRun)
_logs = read_page(WorkflowLog)


class Workflows(Resource):
    """Apps that run a workflow once: inputs in, outputs out."""

    def run(
        self,
        *,
        inputs: Mapping[str, Any] | None = None,
        user: str | None = None,
        files: Sequence[InputFile] | None = None,
        workflow_id: str | None = None,
        trace_id: str | None = None,
        human_input: Ask | None = None,
        resume: bool = True,
    ) -> WorkflowReply:
        """Run the workflow, and wait for its end. Parameters and errors are those of `stream`.

        A run that fails raises `WorkflowFailedError`. One that was stopped, in which some nodes failed
        ("partial-succeeded") or that waits for a person ("paused") is returned, with that `status`.

        >>> def summary(dify: Dify) -> JsonValue:
        ...     return dify.workflows.run(inputs={"text": "…"}, user="ada").outputs["result"]
        """
        call = self._call(inputs, user, files, workflow_id, trace_id, resume)
        return self._caller.fold(call, human_input)

    def stream(
        self,
        *,
        inputs: Mapping[str, Any] | None = None,
        user: str | None = None,
        files: Sequence[InputFile] | None = None,
        workflow_id: str | None = None,
        trace_id: str | None = None,
        human_input: Ask | None = None,
        resume: bool = True,
    ) -> Stream[WorkflowEvent, WorkflowReply]:
        """Run the workflow, and follow it. A run that fails ends with `workflow_finished`, as any other.

        `inputs`: values for the workflow's inputs (`app.parameters()`); a file input takes an item such as
        `files` has, a list of files a list of them. `user`: your name for the end user; needed, unless the
        client has one. `workflow_id`: a version, if not the published one. `trace_id`: your id for this
        call, for Dify's tracing.

        `human_input`: a function that gets each form that the run waits for and gives a person's answer; the
        run, and this stream, then go on to the end. Left out, both end at the form ("paused"), and
        `human_input.submit` and `events` go on.

        `resume`: take the run up again if the stream is lost (Dify 1.14 and later), up to the client's
        `max_retries` without a new event in between. Nothing comes twice. Of nodes that ran meanwhile there
        are no inputs and outputs, and none of them come of a run that ended meanwhile; its own outputs always
        do. `text` is held back from there on until the run ends and tells what was missed; where that
        cannot be told, a `stream_gap` says so.

        Raises, on entering the stream: `BadRequestError` for a missing input, and the others of
        `APIStatusError`.
        """
        call = self._call(inputs, user, files, workflow_id, trace_id, resume)
        return self._caller.stream(call, human_input)

    def stop(self, task_id: str, *, user: str | None = None) -> None:
        """Stop a run. `task_id` is in its events; `user` must be who started it."""
        where = path("/workflows/tasks/{}/stop", task_id)
        self._send("POST", where, nothing, json={"user": self._caller.named(user)})

    def get(self, workflow_run_id: str) -> WorkflowRun:
        """How a run stands: status, inputs, outputs, time and tokens. For chatflows, too.

        Raises `NotFoundError` for a run that is not this app's, and `BadRequestError` for an app without
        workflow.

        >>> def status(dify: Dify, workflow_run_id: str) -> str:
        ...     return dify.workflows.get(workflow_run_id).status
        """
        return self._send("GET", path("/workflows/run/{}", workflow_run_id), _known_run)

    def logs(
        self,
        *,
        keyword: str | None = None,
        status: Literal["succeeded", "failed", "stopped"] | str | None = None,
        created_at__before: datetime | str | None = None,
        created_at__after: datetime | str | None = None,
        created_by_end_user_session_id: str | None = None,
        created_by_account: str | None = None,
        page: int = 1,
        limit: int = 20,
    ) -> Pages[WorkflowLog]:
        """The runs of the app, newest first; of a chatflow, too. All filters hold together.

        `keyword`: a text in inputs, outputs or the end user's name. `created_at__before` and
        `created_at__after`: when the run began; a `datetime` without zone is local time, a text is ISO
        8601. `created_by_end_user_session_id`: the `user` that the run was started with.
        `created_by_account`: the e-mail address of a member of the workspace. `page`: where to begin.
        `limit`: runs to a page, 1 to 100.

        Raises, when iterated: `BadRequestError` for a value out of its range and for an unknown account.

        >>> def failures(dify: Dify) -> list[str | None]:
        ...     runs = [log.workflow_run for log in dify.workflows.logs(status="failed")]
        ...     return [run.error for run in runs if run]
        """
        query = {
            "keyword": keyword,
            "status": status,
            "created_at__before": _moment(created_at__before),
            "created_at__after": _moment(created_at__after),
            "created_by_end_user_session_id": created_by_end_user_session_id,
            "created_by_account": created_by_account,
            "page": page,
            "limit": limit,
        }
        return self._caller.pages(
            Listing(path="/workflows/logs", query=query, read=_logs, following=numbered)
        )

    def events(
        self,
        workflow_run_id: str,
        *,
        user: str | None = None,
        include_state_snapshot: bool = False,
        continue_on_pause: bool = False,
        resume: bool = True,
    ) -> Stream[WorkflowEvent, WorkflowReply]:
        """Follow a run that was started before: after a pause, or from another program. Dify 1.14 and later.

        Dify keeps no events: what came while nobody listened is gone. Of a run that has ended there is
        `workflow_finished` alone, with the outputs. `user`: who started the run. `include_state_snapshot`:
        begin with `node_started` and `node_finished` of the nodes so far, without their inputs and outputs.
        `continue_on_pause`: stay when the run pauses to wait for a person. `resume`: as in `stream`; what
        comes after a loss begins with the nodes that were not heard of yet.

        Raises, on entering the stream: `NotFoundError` for a run that is not this app's and user's, that
        was not started by this API, or where Dify is older.

        >>> def outputs(dify: Dify, workflow_run_id: str) -> Mapping[str, JsonValue]:
        ...     with dify.workflows.events(workflow_run_id, user="ada") as events:
        ...         return events.reply().outputs
        """
        user = self._caller.named(user)
        return self._caller.stream(
            run_events(
                workflow_run_id,
                user=user,
                include_state_snapshot=include_state_snapshot,
                continue_on_pause=continue_on_pause,
                events=WORKFLOW_EVENTS,
                fold=WorkflowFold,
                way_back=WayBack(
                    user=user,
                    events=WORKFLOW_EVENTS,
                    fold=WorkflowFold,
                    stores_text=False,
                    after_loss=resume,
                    goes_on=continue_on_pause,
                    workflow_run_id=workflow_run_id,
                ),
            )
        )

    def _call(
        self,
        inputs: Mapping[str, Any] | None,
        user: str | None,
        files: Sequence[InputFile] | None,
        workflow_id: str | None,
        trace_id: str | None,
        resume: bool,
    ) -> EventsCall[WorkflowEvent, WorkflowReply]:
        user = self._caller.named(user)
        return EventsCall(
            "POST",
            "/workflows/run" if workflow_id is None else path("/workflows/{}/run", workflow_id),
            json=given(
                inputs=inputs or {},  # Dify refuses a missing one
                response_mode="streaming",
                user=user,
                files=attached(files),
                trace_id=trace_id,
            ),
            events=WORKFLOW_EVENTS,
            course=WorkflowCourse,
            fold=WorkflowFold,
            way_back=WayBack(
                user=user, events=WORKFLOW_EVENTS, fold=WorkflowFold, stores_text=False, after_loss=resume
            ),
        )


def _known_run(reply: Reply) -> WorkflowRun:
    told = reply.json()
    if is_object(told) and told.get("id") is None:
        # Dify 1.12.1 knows no such run and says so with 200 and an object of nulls.
        raise refusal(404, "not_found", "Workflow run not found.", headers=reply.headers)
    return _run(reply)


def _moment(when: datetime | str | None) -> str | None:
    return when.astimezone(UTC).isoformat() if isinstance(when, datetime) else when
