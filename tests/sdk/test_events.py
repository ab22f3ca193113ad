"""The events of a stream: what a reader can rely on for each, by name, of every version of Dify."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from opendify.types.events import CHAT_EVENTS, COMPLETION_EVENTS, WORKFLOW_EVENTS

from .wire_server import RECORDINGS

ENVELOPE = {
    "task_id": "t",
    "message_id": "m",
    "conversation_id": "c",
    "workflow_run_id": "r",
    "created_at": 1,
}
NODE = {
    "id": "e",
    "node_id": "llm",
    "node_type": "llm",
    "title": "LLM",
    "index": 1,
    "predecessor_node_id": None,
    "inputs": {},
    "inputs_truncated": False,
    "created_at": 1,
    "extras": {},
    "iteration_id": None,
    "loop_id": None,
    "agent_strategy": None,
}
ENDED = NODE | {
    "process_data": {},
    "process_data_truncated": False,
    "outputs": {},
    "outputs_truncated": False,
    "status": "succeeded",
    "error": None,
    "elapsed_time": 0.1,
    "execution_metadata": {"total_tokens": 1, "total_price": "0.1", "currency": "USD"},
    "finished_at": 2,
    "files": [],
}
ROUNDS = {"id": "i", "node_id": "i", "node_type": "iteration", "title": "Each", "created_at": 1, "extras": {}}
ROUNDS_STARTED = ROUNDS | {"metadata": {}, "inputs": {}, "inputs_truncated": False}
ROUNDS_COMPLETED = ROUNDS_STARTED | {
    "outputs": {},
    "outputs_truncated": False,
    "status": "succeeded",
    "error": None,
    "elapsed_time": 0.1,
    "total_tokens": 1,
    "execution_metadata": {},
    "finished_at": 2,
    "steps": 3,
}
FORM = {
    "form_id": "f",
    "node_id": "n",
    "node_title": "Approval",
    "form_content": "?",
    "inputs": [
        {
            "type": "select",
            "output_variable_name": "priority",
            "option_source": {"type": "constant", "selector": [], "value": ["low"]},
        }
    ],
    "actions": [{"id": "approve", "title": "Approve", "button_style": "primary"}],
    "display_in_ui": True,
    "form_token": None,
    "resolved_default_values": {},
    "expiration_time": 1,
}
USAGE = {
    "prompt_tokens": 1,
    "prompt_unit_price": "0.1",
    "prompt_price_unit": "0.001",
    "prompt_price": "0E-7",
    "completion_tokens": 1,
    "completion_unit_price": "0.1",
    "completion_price_unit": "0.001",
    "completion_price": 0.1,
    "total_tokens": 2,
    "total_price": "0.2",
    "currency": "USD",
    "latency": 0.1,
    "time_to_first_token": 0.1,
    "time_to_generate": 0.1,
}

OF_MESSAGES: dict[str, dict[str, Any]] = {
    "message": {"id": "m", "answer": "a", "from_variable_selector": ["llm", "text"]},
    "message_file": {"id": "f", "type": "image", "belongs_to": "assistant", "url": "https://x/y"},
    "message_replace": {"answer": "a", "reason": "output_moderation"},
    "message_end": {"id": "m", "metadata": {"usage": USAGE, "retriever_resources": []}, "files": []},
    "tts_message": {"audio": "aa"},
    "tts_message_end": {"audio": ""},
    "ping": {},
}
OF_AGENTS: dict[str, dict[str, Any]] = {
    "agent_message": {"id": "m", "answer": "a"},
    "agent_thought": {
        "id": "t",
        "position": 1,
        "thought": "",
        "observation": "",
        "tool": "",
        "tool_labels": {},
        "tool_input": "",
        "message_files": [],
    },
}
OF_RUNS: dict[str, dict[str, Any]] = {
    "workflow_started": {"id": "r", "workflow_id": "w", "inputs": {}, "created_at": 1, "reason": "initial"},
    "node_started": NODE,
    "node_finished": ENDED,
    "node_retry": ENDED | {"retry_index": 1},
    "iteration_started": ROUNDS_STARTED,
    "iteration_next": ROUNDS | {"index": 1},
    "iteration_completed": ROUNDS_COMPLETED,
    "loop_started": ROUNDS_STARTED,
    "loop_next": ROUNDS | {"index": 1, "pre_loop_output": {}},
    "loop_completed": ROUNDS_COMPLETED,
    "text_chunk": {"text": "a", "from_variable_selector": ["llm", "text"]},
    "text_replace": {"text": "a"},
    "reasoning_chunk": {"reasoning": "a", "node_id": "llm", "is_final": False, "message_id": "m"},
    "agent_log": {
        "node_execution_id": "e",
        "id": "l",
        "label": "Round 1",
        "parent_id": None,
        "error": None,
        "status": "start",
        "data": {},
        "metadata": {},
        "node_id": "agent",
    },
    "human_input_required": FORM,
    "human_input_form_filled": {
        "node_id": "n",
        "node_title": "Approval",
        "rendered_content": "?",
        "action_id": "approve",
        "action_text": "Approve",
        "submitted_data": {},
    },
    "human_input_form_timeout": {"node_id": "n", "node_title": "Approval", "expiration_time": 1},
    "workflow_paused": {
        "workflow_run_id": "r",
        "paused_nodes": ["n"],
        "outputs": {},
        "reasons": [FORM | {"TYPE": "human_input_required"}],
        "status": "paused",
        "created_at": 1,
        "elapsed_time": 0.1,
        "total_tokens": 1,
        "total_steps": 1,
    },
    "workflow_finished": {
        "id": "r",
        "workflow_id": "w",
        "status": "succeeded",
        "outputs": {},
        "error": None,
        "elapsed_time": 0.1,
        "total_tokens": 1,
        "total_steps": 1,
        "created_by": {},
        "created_at": 1,
        "finished_at": 2,
        "exceptions_count": 0,
        "files": [],
    },
}
CATALOGUE = OF_MESSAGES | OF_AGENTS | {name: {"data": data} for name, data in OF_RUNS.items()}
SPEECH = ("tts_message", "tts_message_end", "ping")


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_event_of_dify_has_its_type_and_all_of_its_fields(name: str) -> None:
    event = CHAT_EVENTS.validate_python({"event": name, **ENVELOPE, **CATALOGUE[name]})
    assert event.event == name
    assert list(unknown(event)) == []


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_kind_of_app_has_its_own_events_and_others_do_not_break_it(name: str) -> None:
    told = {"event": name, **ENVELOPE, **CATALOGUE[name]}
    workflow, completion = WORKFLOW_EVENTS.validate_python(told), COMPLETION_EVENTS.validate_python(told)
    assert workflow.event == (name if name in OF_RUNS or name in SPEECH else "other")
    assert completion.event == (name if name in OF_MESSAGES else "other")


@pytest.mark.parametrize("adapter", [CHAT_EVENTS, COMPLETION_EVENTS, WORKFLOW_EVENTS])
def test_an_event_that_nobody_knows_yet_comes_whole(adapter: Any) -> None:
    told = {"event": "parallel_branch_started", **ENVELOPE, "data": {"branch": 1}}
    event = adapter.validate_python(told)
    assert (event.event, event.name, event.payload) == ("other", "parallel_branch_started", told)
    assert (event.task_id, event.text) == ("t", "")


def test_no_field_of_a_recorded_event_is_without_a_type() -> None:
    missing = set()
    for file in RECORDINGS.glob("*.body"):
        for block in file.read_bytes().split(b"\n\n"):
            if block.startswith(b"data: {"):
                event = CHAT_EVENTS.validate_json(block.removeprefix(b"data: "))
                missing |= {f"{event.event}{field}" for field in unknown(event)}
    # What Dify 1.12.1 tells of its own workings beside a file.
    inner = {".data.files.dify_model_identity", ".data.files.tenant_id"}
    assert missing == {name + field for name in ("node_finished", "workflow_finished") for field in inner}


def unknown(told: object, place: str = "") -> Any:
    """The fields that no type knows."""
    for item in told if isinstance(told, list) else [told]:
        if isinstance(item, BaseModel):
            yield from (f"{place}.{name}" for name in item.model_extra or {})
            for name in type(item).model_fields:
                yield from unknown(getattr(item, name), f"{place}.{name}")
