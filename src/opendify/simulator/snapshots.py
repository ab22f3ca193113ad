"""A run as it stands, told to somebody who takes its events up late. Dify does so since 1.14. Pure.

Order and fields are those of Dify's source: what was done is told node by node, without inputs, outputs and
text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from opendify.simulator.conversations import Message
from opendify.simulator.wire import compact, spaced
from opendify.simulator.workflow_runs import NodeExecution, WorkflowRun


def snapshot(run: WorkflowRun, message: Message | None) -> Iterator[bytes]:
    """The events that tell how far a run is.

    Args:
        run: not yet finished.
        message: of a chatflow: its ids stand in every event.
    """
    context: dict[str, object] = {}
    if message is not None:
        context = {
            "conversation_id": message.conversation_id,
            "message_id": message.id,
            "created_at": message.created_at,
        }

    def event(name: str, data: Mapping[str, object]) -> bytes:
        ids = {"task_id": run.task_id, "workflow_run_id": run.id}
        return b"data: " + compact({"event": name, **ids, "data": data, **context}) + b"\n\n"

    yield event("workflow_started", run.started("initial"))
    if message is not None:
        replaced = {
            "event": "message_replace",
            "task_id": run.task_id,
            "answer": message.answer,
            "reason": "",
        }
        yield b"data: " + compact({**replaced, **context}) + b"\n\n"
    for node in run.nodes:
        yield event(
            "node_started", {**_head(node), "created_at": node.created_at, "extras": {}, **node.place}
        )
        if node.status != "running":
            yield event("node_finished", _finished(node))
    for form in run.forms:
        yield event("human_input_required", form.required())
    if run.forms:
        yield event("workflow_paused", run.paused)


def last(run: WorkflowRun) -> bytes:
    """The one event of a run that is over."""
    ended = {"event": "workflow_finished", "task_id": run.id, "workflow_run_id": run.id, "data": run.finished}
    return b"data: " + spaced(ended) + b"\n\n"


def _head(node: NodeExecution) -> dict[str, object]:
    return {
        "id": node.id,
        "node_id": node.node_id,
        "node_type": node.node_type,
        "title": node.title,
        "index": 1,
        "predecessor_node_id": None,
        "inputs": None,
    }


def _finished(node: NodeExecution) -> dict[str, object]:
    return {
        **_head(node),
        "process_data": None,
        "outputs": None,
        "status": node.status,
        "error": None,
        "elapsed_time": node.elapsed_time,
        "execution_metadata": None,
        "created_at": node.created_at,
        "finished_at": node.finished_at,
        "files": [],
        **node.place,
    }
