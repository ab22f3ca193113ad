"""What each kind of node does, as Dify 1.12.1 shows it: its events while it works, and what it gives."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from opendify.simulator.conversations import MessageFile
from opendify.simulator.files import SILENCE, File, red_square
from opendify.simulator.model import Script, Usage, no_usage, split
from opendify.simulator.nodes import (
    LLM,
    Agent,
    Answer,
    Assigner,
    Code,
    End,
    Maker,
    Node,
    Retrieval,
    Start,
    Template,
)
from opendify.simulator.saying import Saying
from opendify.simulator.turns import Turn
from opendify.simulator.variables import Variables
from opendify.simulator.wire import Step

_THINK = re.compile(r"^<think>\n?(.*?)\n?</think>\n?", re.DOTALL)


def _nothing() -> dict[str, object]:
    return {}


@dataclass(slots=True)
class Ran:
    """What a node did."""

    outputs: Mapping[str, object] = field(default_factory=_nothing)
    inputs: Mapping[str, object] = field(default_factory=_nothing)
    process_data: Mapping[str, object] = field(default_factory=_nothing)
    execution_metadata: Mapping[str, object] | None = None
    status: str = "succeeded"
    error: str | None = None


class Place(Protocol):
    """The run in which a node works."""

    turn: Turn
    variables: Variables
    saying: Saying
    usage: Usage | None
    made: list[File]
    outputs: Mapping[str, object]

    def system(self, *, started: bool) -> dict[str, object]:
        """The `sys.*` variables."""
        ...


Work = Generator[Step, None, Ran]


def work(run: Place, node: Node) -> Work:
    """Let a node work."""
    match node:
        case LLM():
            return (yield from _llm(run, node))
        case Agent():
            return (yield from _agent(run, node))
        case Start():
            return _start(run, node)
        case Template():
            return Ran({"output": run.variables.fill(node.template)}, run.variables.pick(node.inputs))
        case Code():
            return _code(run, node)
        case Maker():
            return _make(run, node)
        case Retrieval():
            found = run.turn.spec.cited(run.turn.question, "workflow")
            return Ran({"result": found}, {"query": run.turn.question})
        case Assigner():
            return _assign(run, node)
        case Answer():
            return Ran({"answer": run.variables.fill(node.answer), "files": run.made})
        case End():
            run.outputs = run.variables.pick(node.outputs)
            return Ran(run.outputs, run.outputs)
        case _:
            raise TypeError(f"A {type(node).__name__} holds other nodes; it does not work by itself.")


def _start(run: Place, node: Start) -> Ran:
    system = run.system(started=True)
    run.variables.keep("sys", {name.removeprefix("sys."): value for name, value in system.items()})
    run.variables.keep("start", run.turn.inputs)  # by this name whatever the node's id is
    if run.turn.conversation is not None:
        variables = run.turn.conversation.variables
        run.variables.keep("conversation", {variable.name: variable.value for variable in variables})
    shown = {**run.turn.inputs, **system}
    return Ran(shown, shown)


def _assign(run: Place, node: Assigner) -> Ran:
    values = {name: run.variables.fill(text) for name, text in node.values.items()}
    run.variables.keep("conversation", values)
    for variable in run.turn.conversation.variables if run.turn.conversation else ():
        if variable.name in values:
            variable.set(values[variable.name])
    return Ran(process_data=values)


def _code(run: Place, node: Code) -> Ran:
    inputs = run.variables.pick(node.inputs)
    if node.error is None:
        return Ran(node.outputs, inputs)
    if node.fallback is None:
        return Ran(inputs=inputs, status="failed", error=node.error)
    return Ran(node.fallback, inputs, status="exception", error=node.error)


def _make(run: Place, node: Maker) -> Ran:
    content, kind = (red_square(), "image") if node.makes == "png" else (SILENCE, "audio")
    file = run.turn.files.make(extension=node.makes, content=content, kind=kind)
    run.made.append(file)
    if run.turn.message is not None:
        run.turn.message.files.append(MessageFile(file, "assistant"))
    return Ran({"text": node.text, "files": [file], "json": [{"data": list[object]()}]})


def _llm(run: Place, node: LLM) -> Work:
    if not node.credentials:
        return Ran(status="failed", error="Model simulated credentials is not initialized.")
    system = run.variables.fill(node.system)
    prompt = run.variables.fill(node.prompt) or run.turn.question
    seen = _seen(run, node)
    script = run.turn.script(query=prompt, system=system, files=seen)
    separated = node.reasoning_format == "separated"
    thinking = _THINK.match(script.text) if separated else None
    if thinking is not None and run.turn.behaviour == "1.16":
        script = yield from _reason(run, node, script, thinking)
    began = time.perf_counter()
    first: float | None = None
    live = run.saying.awaits((node.id, "text"))
    for wait, text in script.pieces:
        if live:
            yield from run.saying.say((node.id, "text"), text, wait)
        else:
            yield wait, b""
        first = time.perf_counter() - began if first is None else first
    inputs = {"#files#": list(seen)} if seen else _nothing()
    if script.failure is not None:
        return Ran(inputs=inputs, status="failed", error=script.failure.message)
    if live:
        yield from run.saying.say((node.id, "text"), "")  # one more empty piece, Dify's own
        run.saying.had()
    run.usage = (run.usage or Usage()) + script.usage
    latency = round(time.perf_counter() - began, 3)
    usage = script.usage.json(latency, round(first or 0.0, 3), round(latency - (first or 0.0), 3))
    whole = script.text
    outputs = {
        "text": _THINK.sub("", whole) if separated else whole,
        "reasoning_content": thinking.group(1) if thinking else "",
        "usage": usage,
        "finish_reason": "stop",
    }
    process_data = {
        "model_mode": "chat",
        "prompts": _prompts(run, system, prompt, seen),
        "usage": usage,
        "finish_reason": "stop",
        "model_provider": "opendify/simulator/simulated",
        "model_name": "simulated",
    }
    cost = {
        "total_tokens": script.usage.total_tokens,
        "total_price": script.usage.total_price,
        "currency": "USD",
    }
    return Ran(outputs, inputs, process_data, cost)


def _reason(run: Place, node: LLM, script: Script, thinking: re.Match[str]) -> Generator[Step, None, Script]:
    """Send the thinking in reasoning_chunk events (Dify 1.16, as documented); give the rest of the script."""
    turn = run.turn
    wait = turn.pace
    chunks = [*split(thinking.group(1)), ""]
    message = {"message_id": turn.message_id} if turn.message else {}
    for at, chunk in enumerate(chunks, start=1):
        data = {**message, "reasoning": chunk, "node_id": node.id, "is_final": at == len(chunks)}
        yield wait, turn.envelope.event("reasoning_chunk", data=data)
    rest = ((wait, piece) for piece in split(script.text[thinking.end() :]))
    return Script(((0.0, ""), *rest, (0.0, "")), script.failure, script.prompt_tokens)


def _seen(run: Place, node: LLM) -> tuple[File, ...]:
    if node.files is None:
        return run.turn.files_given
    values = [run.variables.get(variable) for variable in node.files]
    return (*run.turn.attached, *(value for value in values if isinstance(value, File)))


def _prompts(run: Place, system: str, prompt: str, seen: tuple[File, ...]) -> list[dict[str, object]]:
    """The prompt as the process data of a node shows it."""
    shown = [
        {"type": file.type, "data": f"data:{file.type}...[TRUNCATED]...", "detail": "high"} for file in seen
    ]

    def message(role: str, text: str, files: list[dict[str, str]]) -> dict[str, object]:
        return {"role": role, "text": text, "files": files}

    before = [
        message("system", system, []),
        *(message(said.role, said.content, []) for said in run.turn.history),
    ]
    if run.turn.attached:  # files of the message itself stand in a message of their own
        return [*before, message("user", prompt, []), message("user", "", shown)]
    return [*before, message("user", prompt, shown)]


def _agent(run: Place, node: Agent) -> Work:
    logs = _logs(node)
    for log in logs:  # these alone carry no workflow_run_id (Dify 1.12.1)
        yield run.turn.pace, run.turn.envelope.event("agent_log", data=log)
    live = run.saying.awaits((node.id, "text"))
    if live:
        for word in split(node.text):
            yield from run.saying.say((node.id, "text"), word, run.turn.pace)
        run.saying.had()
    done = [log for log in logs if log["status"] == "success"]
    done.sort(key=lambda log: log["parent_id"] is not None)  # the round before its steps
    cost = {
        "total_price": 0.0,
        "currency": "USD",
        "total_tokens": 0,
        "tool_info": {"icon": None, "agent_strategy": "function_calling"},
        "agent_log": [{"message_id": log["id"], **_reordered(log, _IN_METADATA)} for log in done],
    }
    outputs = {
        "text": node.text,
        "usage": no_usage(0.0),
        "files": list[object](),
        "json": [*(_reordered(log, _IN_OUTPUTS) for log in done), {"data": list[object]()}],
    }
    return Ran(
        outputs, {"instruction": node.instruction, "query": run.turn.question}, execution_metadata=cost
    )


# An agent node shows its log in three places, each with the fields in another order.
_IN_OUTPUTS = ("id", "parent_id", "error", "status", "data", "label", "metadata", "node_id")
_IN_METADATA = ("label", "node_execution_id", "parent_id", "error", "status", "data", "metadata", "node_id")


def _reordered(log: Mapping[str, object], fields: tuple[str, ...]) -> dict[str, object]:
    return {name: log[name] for name in fields}


def _logs(node: Agent) -> list[dict[str, object]]:
    """One round with one tool call."""
    icons = {"icon": None, "icon_dark": None}
    started: dict[str, object] = {"started_at": 1.0}
    finished = {
        "started_at": 1.0,
        "provider": "simulated",
        "currency": "USD",
        "total_price": 0.0,
        "total_tokens": 0,
        "finished_at": 2.0,
        "elapsed_time": 1.0,
        **icons,
    }
    now = "2026-01-01 00:00:00"
    call = {"tool_call_id": "c1", "tool_call_name": "current_time", "tool_response": now}
    tool_input = [{"name": "current_time", "args": dict[str, object]()}]
    asked = {"output": "", "tool_name": "current_time", "tool_input": tool_input}
    response = {"llm_response": "", "tool_responses": list[object]()}
    with_icons = {**started, "provider": "time", **icons}
    steps: list[tuple[str, str, str, object, object]] = [
        ("round", "ROUND 1", "start", {}, started),
        ("thought", "simulated Thought", "start", {}, with_icons),
        ("thought", "simulated Thought", "success", asked, finished),
        ("call", "CALL current_time", "start", {}, with_icons | {"icon": "", "icon_dark": ""}),
        ("call", "CALL current_time", "success", {"output": call}, finished),
        ("round", "ROUND 1", "success", {"output": response}, finished),
    ]
    return [
        {
            "node_execution_id": node.id,
            "id": f"log-{step}-1",
            "label": label,
            "parent_id": None if step == "round" else "log-round-1",
            "error": None,
            "status": status,
            "data": data,
            "metadata": metadata,
            "node_id": node.id,
        }
        for step, label, status, data, metadata in steps
    ]
