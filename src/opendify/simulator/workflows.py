"""What chatflow and workflow apps send: a graph, run from top to bottom.

The order of events is that of recorded traffic of Dify 1.12.1; where the reference of 1.16 says otherwise, the
behaviour decides.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from opendify.simulator import chat
from opendify.simulator.conversations import MessageFile
from opendify.simulator.errors import invalid
from opendify.simulator.files import SILENCE, File, red_square
from opendify.simulator.model import Script, Usage, no_usage
from opendify.simulator.nodes import (
    LLM,
    Agent,
    Answer,
    Code,
    End,
    Iteration,
    Loop,
    Maker,
    Node,
    Retrieval,
    Start,
    Template,
)
from opendify.simulator.turns import Stopped, Turn
from opendify.simulator.wire import Step, error_event

_VARIABLE = re.compile(r"\{\{#([^#]+)#\}\}")
_THINK = re.compile(r"^<think>\n?(.*?)\n?</think>\n?", re.DOTALL)

Steps = Generator[Step, None, None]


class _Failed(Exception):
    """A node failed, and with it the run."""


@dataclass
class _Segment:
    """A part of what an answer or end node says: a text, or a variable to wait for."""

    selector: tuple[str, str]
    text: str | None = None


@dataclass
class _Ran:
    """What a node did, for its node_finished event."""

    outputs: Mapping[str, object] = field(default_factory=lambda: dict[str, object]())
    inputs: Mapping[str, object] = field(default_factory=lambda: dict[str, object]())
    process_data: Mapping[str, object] = field(default_factory=lambda: dict[str, object]())
    execution_metadata: Mapping[str, object] | None = None
    status: str = "succeeded"
    error: str | None = None


def steps(turn: Turn) -> Steps:
    """The events of one run of a chatflow or workflow."""
    blocked = chat.blocked_input(turn) if turn.message else None
    if blocked is not None:  # no workflow events at all (Dify 1.12.1)
        usage = no_usage(0.0, turn.seconds, 0.0)
        data = chat.metadata(turn, usage, "workflow")
        turn.give(blocked, data)
        message = turn.envelope.event(
            "message", id=turn.message_id, answer=blocked, from_variable_selector=None
        )
        yield 0.0, message
        yield 0.0, turn.envelope.event("message_end", id=turn.message_id, metadata=data, files=[])
        return
    yield from _Graph(turn).steps()


class _Graph:
    """One run of a graph."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.spec = turn.spec
        self.chatflow = turn.message is not None
        self.created_at = int(time.time())
        self.values: dict[tuple[str, str], object] = {}
        self.said: list[str] = []
        self.outputs: Mapping[str, object] = {}
        self.made: list[File] = []
        self.usage: Usage | None = None
        self.first: float | None = None
        self.steps_taken = 0
        self.exceptions = 0
        self.segments = [segment for node in self.spec.graph for segment in _says(node)]
        self._sayers: dict[tuple[str, str], Callable[[str], bytes]] = {}

    # the whole run

    def steps(self) -> Steps:
        """From workflow_started to the last event."""
        reason = {"reason": "initial"} if self.turn.behaviour == "1.16" else {}
        yield (
            0.0,
            self._event(
                "workflow_started",
                {
                    "id": self.turn.run_id,
                    "workflow_id": self.spec.workflow_id,
                    "inputs": {**self.turn.plain_inputs, **self._system()},
                    "created_at": self.created_at,
                    **reason,
                },
            ),
        )
        try:
            for node in self.spec.graph:
                yield from self._node(node)
        except Stopped:
            yield from self._stopped()
        except _Failed as failure:
            yield from self._failed(str(failure))
        else:
            yield from self._succeeded()

    def _succeeded(self) -> Steps:
        status = "partial-succeeded" if self.exceptions else "succeeded"
        outputs = self.outputs
        answer = "".join(self.said)
        if self.chatflow and chat.blocked_output(self.turn, answer) is not None:
            answer = self.spec.moderation.output_reply
            yield (
                0.0,
                self.turn.envelope.event("message_replace", answer=answer, reason="output_moderation"),
            )
        if self.chatflow:
            outputs = {"answer": answer, "files": [self.turn.plain(file) for file in self.made]}
        finished = self._finished(status, outputs)
        if not self.chatflow:
            yield 0.0, finished
            yield from chat.speech(self.turn)
            return
        end = self._message_end(answer)
        if self.turn.behaviour == "1.16":
            yield 0.0, end
            yield 0.0, finished
            yield from chat.speech(self.turn)
            return
        yield 0.0, finished
        spoken = [step for step in chat.speech(self.turn)]
        yield from spoken[:1]  # speech that is ready goes out before message_end, the rest after it
        yield 0.0, end
        yield from spoken[1:]

    def _stopped(self) -> Steps:
        yield 0.0, self._finished("stopped", {}, error="Stopped by user.")
        if self.chatflow:
            self.usage = None
            yield 0.0, self._message_end("".join(self.said))

    def _failed(self, error: str) -> Steps:
        self.exceptions += 1
        yield 0.0, self._finished("failed", {}, error=error)
        if self.chatflow:
            message = f"Run failed: {error}"
            self.turn.fail(invalid(message))
            yield 0.0, error_event(self.turn.envelope, "invalid_param", 400, message)

    def _finished(self, status: str, outputs: Mapping[str, object], error: str | None = None) -> bytes:
        total_tokens = self.usage.total_tokens if self.usage and status.endswith("succeeded") else 0
        ended = {
            "id": self.turn.run_id,
            "workflow_id": self.spec.workflow_id,
            "status": status,
            "outputs": outputs,
            "error": error,
            "elapsed_time": round(self.turn.seconds, 6),
            "total_tokens": total_tokens,
            "total_steps": self.steps_taken,
        }
        times = {"created_at": self.created_at, "finished_at": int(time.time())}
        if not self.chatflow:
            self.turn.reply = {
                "task_id": self.turn.task_id,
                "workflow_run_id": self.turn.run_id,
                "data": {**ended, **times},
            }
        created_by = {"id": self.turn.user_id, "user": self.turn.user}
        return self._event(
            "workflow_finished",
            {**ended, "created_by": created_by, **times, "exceptions_count": self.exceptions, "files": []},
        )

    def _message_end(self, answer: str) -> bytes:
        first = round(self.first if self.first is not None else self.turn.seconds, 3)
        generate = round(self.turn.seconds - first, 3)
        latency = round(self.turn.seconds, 3)
        usage = (
            no_usage(0.0, first, generate)
            if self.usage is None
            else self.usage.json(latency, first, generate)
        )
        data = chat.metadata(self.turn, usage, "workflow")
        self.turn.give(answer, data)
        files = [self.turn.plain(file) for file in self.made]
        return self.turn.envelope.event("message_end", id=self.turn.message_id, metadata=data, files=files)

    # one node

    def _node(self, node: Node) -> Steps:
        if isinstance(node, Iteration):
            yield from self._iteration(node)
            return
        if isinstance(node, Loop):
            yield from self._loop(node)
            return
        self.steps_taken += 1
        began, id = time.time(), str(uuid4())
        strategy = {"name": "function_calling", "icon": None} if isinstance(node, Agent) else None
        yield 0.0, self._node_started(id, node, began, strategy=strategy)
        ran = yield from self._work(node)
        for name, value in ran.outputs.items():
            self.values[node.id, name] = value
        if ran.status != "failed":
            yield from self._flush()
        yield 0.0, self._node_finished(id, node, began, ran)
        if ran.status == "failed":
            raise _Failed(ran.error)

    def _work(self, node: Node) -> Generator[Step, None, _Ran]:
        match node:
            case Start():
                return self._start(node)
            case LLM():
                return (yield from self._llm(node))
            case Agent():
                return (yield from self._agent(node))
            case Template():
                inputs = {name: self._value(variable) for name, variable in node.inputs.items()}
                return _Ran({"output": self._filled(node.template)}, inputs)
            case Code():
                return self._code(node)
            case Maker():
                return self._make(node)
            case Retrieval():
                return _Ran({"result": self.spec.cited(self.turn.question, "workflow")}, self._query())
            case Answer():
                said = self._filled(node.answer)
                return _Ran({"answer": said, "files": []})
            case End():
                self.outputs = {name: self._value(variable) for name, variable in node.outputs.items()}
                return _Ran(self.outputs, self.outputs)
            case _:
                raise TypeError(f"{type(node).__name__} is no node that works by itself")

    def _start(self, node: Start) -> _Ran:
        shown = {**self.turn.plain_inputs, **self._system(started=True)}
        for name, value in self.turn.inputs.items():
            self.values[node.id, name] = value
            self.values["start", name] = value
        for name, value in self._system(started=True).items():
            self.values["sys", name.removeprefix("sys.")] = value
        return _Ran(shown, shown)

    def _code(self, node: Code) -> _Ran:
        inputs = {name: self._value(variable) for name, variable in node.inputs.items()}
        if node.error is None:
            return _Ran(node.outputs, inputs)
        if node.fallback is None:
            return _Ran(inputs=inputs, status="failed", error=node.error)
        self.exceptions += 1
        return _Ran(node.fallback, inputs, status="exception", error=node.error)

    def _make(self, node: Maker) -> _Ran:
        content, type = (red_square(), "image") if node.makes == "png" else (SILENCE, "audio")
        file = self.turn.files.make(extension=node.makes, content=content, type=type)
        self.made.append(file)
        if self.turn.message is not None:
            self.turn.message.files.append(MessageFile(file, "assistant"))
        self.values[node.id, "files"] = [file]
        return _Ran({"text": node.text, "files": [file], "json": [{"data": []}]})

    def _llm(self, node: LLM) -> Generator[Step, None, _Ran]:
        system = self._filled(node.system)
        prompt = self._filled(node.prompt)
        if not node.credentials:
            return _Ran(status="failed", error="Model simulated credentials is not initialized.")
        script = self.turn.script(query=prompt, system=system)
        live = bool(self.segments) and self.segments[0].selector == (node.id, "text")
        began = time.perf_counter()
        first: float | None = None
        separated = node.reasoning_format == "separated"
        if separated and self.turn.behaviour == "1.16":
            script = yield from self._reason(node, script)
        for wait, text in script.pieces:
            if live:
                yield wait, self._say((node.id, "text"), text)
            else:
                yield wait, b""
            first = time.perf_counter() - began if first is None else first
        inputs = self._files_seen()
        if script.failure is not None:
            return _Ran(inputs=inputs, status="failed", error=script.failure.message)
        if live:
            yield 0.0, self._say((node.id, "text"), "")
            self.segments.pop(0)
        self.usage = (self.usage or Usage()) + script.usage
        latency = round(time.perf_counter() - began, 3)
        usage = script.usage.json(
            latency, round(first or 0.0, 3), round(max(latency - (first or 0.0), 0.0), 3)
        )
        text = script.text
        thinking = _THINK.match(text) if separated else None
        outputs = {
            "text": text[thinking.end() :] if thinking else text,
            "reasoning_content": thinking.group(1) if thinking else "",
            "usage": usage,
            "finish_reason": "stop",
        }
        shown = [
            {"role": said.role, "text": said.content, "files": list[object]()} for said in self._prompt(node)
        ]
        process_data = {
            "model_mode": "chat",
            "prompts": shown,
            "usage": usage,
            "finish_reason": "stop",
            "model_provider": "opendify/simulator/simulated",
            "model_name": "simulated",
        }
        return _Ran(outputs, inputs, process_data, self._cost(script.usage))

    def _reason(self, node: LLM, script: Script) -> Generator[Step, None, Script]:
        """Send the thinking as reasoning_chunk events; give the rest of the script."""
        thinking = _THINK.match(script.text)
        if thinking is None:
            return script
        wait = script.pieces[1][0] if len(script.pieces) > 1 else 0.0
        chunks = [*_words(thinking.group(1)), ""]
        for at, chunk in enumerate(chunks):
            data: dict[str, object] = {"message_id": self.turn.message_id} if self.chatflow else {}
            data |= {"reasoning": chunk, "node_id": node.id, "is_final": at == len(chunks) - 1}
            event = (
                self.turn.envelope.event("reasoning_chunk", data=data)
                if self.chatflow
                else self._event("reasoning_chunk", data)
            )
            yield wait, event
        rest = script.text[thinking.end() :]
        pieces = ((0.0, ""), *((wait, word) for word in _words(rest)), (0.0, ""))
        return Script(pieces, script.failure, script.prompt_tokens)

    def _agent(self, node: Agent) -> Generator[Step, None, _Ran]:
        logs = _agent_logs(node)
        for log in logs:  # agent_log carries no workflow_run_id (Dify 1.12.1)
            yield self.turn.pace, self.turn.envelope.event("agent_log", data=log)
        live = bool(self.segments) and self.segments[0].selector == (node.id, "text")
        for word in _words(node.text):
            yield self.turn.pace, self._say((node.id, "text"), word) if live else b""
        if live:
            self.segments.pop(0)
        usage = no_usage(0.0)
        outputs = {
            "text": node.text,
            "usage": usage,
            "files": list[object](),
            "json": [
                *(log for log in logs if log["status"] == "success"),
                {"data": list[object]()},
            ],
        }
        cost = {
            "total_price": 0.0,
            "currency": "USD",
            "total_tokens": 0,
            "tool_info": {"icon": None, "agent_strategy": "function_calling"},
            "agent_log": list[object](),
        }
        return _Ran(
            outputs, {"instruction": node.instruction, "query": self.turn.question}, execution_metadata=cost
        )

    def _iteration(self, node: Iteration) -> Steps:
        self.steps_taken += 1
        items = self._value(node.over)
        items = items if isinstance(items, list) else []
        began = time.time()
        head = {"id": node.id, "node_id": node.id, "node_type": node.type, "title": node.title}
        shown = {"inputs": {"iterator_selector": items}, "inputs_truncated": False}
        created = {"created_at": int(began), "extras": dict[str, object]()}
        length = {"metadata": {"iteration_length": len(items)}}
        yield 0.0, self._event("iteration_started", {**head, **created, **length, **shown})
        output: list[object] = []
        durations: dict[str, float] = {}
        for index, item in enumerate(items):
            round_began = time.time()
            yield 0.0, self._event("iteration_next", {**head, "index": index, **created})
            result = [factor * item for factor in node.factors]
            ran = _Ran(
                {"result": result},
                {"arg1": item},
                execution_metadata={"iteration_id": node.id, "iteration_index": index},
            )
            yield from self._inner(node.inner, ran, iteration_id=node.id)
            output += result
            durations[str(index)] = round(time.time() - round_began, 6)
        self.values[node.id, "output"] = output
        completed = {
            **head,
            "outputs": {"output": output},
            "outputs_truncated": False,
            **created,
            **shown,
            "status": "succeeded",
            "error": None,
            "elapsed_time": round(time.time() - began, 6),
            "total_tokens": 0,
            "execution_metadata": {
                "total_tokens": 0,
                "total_price": "0.0",
                "currency": "USD",
                "iteration_duration_map": durations,
            },
            "finished_at": int(time.time()),
            "steps": len(items),
        }
        yield 0.0, self._event("iteration_completed", completed)
        yield from self._flush()

    def _loop(self, node: Loop) -> Steps:
        self.steps_taken += 1
        began = time.time()
        head = {"id": node.id, "node_id": node.id, "node_type": node.type, "title": node.title}
        shown = {"inputs": {"loop_count": node.count, "i": 0}, "inputs_truncated": False}
        created = {"created_at": int(began)}
        extras = {"extras": dict[str, object]()}
        length = {"metadata": {"loop_length": node.count}}
        yield 0.0, self._event("loop_started", {**head, **created, **extras, **length, **shown})
        for index in range(node.rounds):
            if index:
                data = {**head, "index": index, **created, "pre_loop_output": {}, **extras}
                yield 0.0, self._event("loop_next", data)
            place = {"loop_id": node.id, "loop_index": index}
            assigned = _Ran(process_data={"i": index + 1}, execution_metadata=place)
            assigner = Code(id=node.assigner_id, title="Variable Assigner")
            says = [((node.id, "i"), str(index + 1)), ((node.answer_id, "answer"), "\n")]
            yield from self._inner(assigner, assigned, type="assigner", loop_id=node.id, says=says)
            answered = _Ran({"answer": f"{index + 1}\n", "files": []}, execution_metadata=place)
            yield from self._inner(Answer(id=node.answer_id), answered, loop_id=node.id)
        self.values[node.id, "i"] = node.rounds
        rounds = range(node.rounds)
        completed = {
            **head,
            "outputs": {"i": node.rounds, "loop_round": node.rounds},
            "outputs_truncated": False,
            **created,
            **extras,
            **shown,
            "status": "succeeded",
            "error": None,
            "elapsed_time": round(time.time() - began, 6),
            "total_tokens": 0,
            "execution_metadata": {
                "total_tokens": 0,
                "total_price": "0.0",
                "currency": "USD",
                "completed_reason": "loop_break",
                "loop_duration_map": {str(at): 0.0 for at in rounds},
                "loop_variable_map": {str(at): {"i": at + 1} for at in rounds},
            },
            "finished_at": int(time.time()),
            "steps": node.count,
        }
        yield 0.0, self._event("loop_completed", completed)
        yield from self._flush()

    def _inner(
        self,
        node: Node,
        ran: _Ran,
        *,
        type: str | None = None,
        iteration_id: str | None = None,
        loop_id: str | None = None,
        says: list[tuple[tuple[str, str], str]] | None = None,
    ) -> Steps:
        """A node inside an iteration or a loop, whose work is already done."""
        id, began = str(uuid4()), time.time()
        place = {"iteration_id": iteration_id, "loop_id": loop_id}
        yield 0.0, self._node_started(id, node, began, type=type, **place)
        for selector, text in says or []:
            yield self.turn.pace, self._say(selector, text)
        yield 0.0, self._node_finished(id, node, began, ran, type=type, **place)

    # what is said, and shown

    def _flush(self) -> Steps:
        """Say all that can be said by now."""
        while self.segments:
            segment = self.segments[0]
            if segment.text is None and segment.selector not in self.values:
                return
            text = segment.text if segment.text is not None else self._shown(self.values[segment.selector])
            self.segments.pop(0)
            if text:
                yield 0.0, self._say(segment.selector, text)

    def _say(self, selector: tuple[str, str], text: str) -> bytes:
        self.said.append(text)
        if self.first is None:
            self.first = self.turn.seconds
        say = self._sayers.get(selector)
        if say is None:
            say = self._sayers[selector] = self._sayer(list(selector))
        return say(text)

    def _sayer(self, selector: list[str]) -> Callable[[str], bytes]:
        if not self.chatflow:
            return self.turn.envelope.delta(
                "text_chunk", lambda text: {"data": {"text": text, "from_variable_selector": selector}}
            )
        return self.turn.envelope.delta(
            "message",
            lambda text: {"id": self.turn.message_id, "answer": text, "from_variable_selector": selector},
        )

    def _event(self, name: str, data: Mapping[str, object]) -> bytes:
        if self.chatflow:
            return self.turn.envelope.event(name, workflow_run_id=self.turn.run_id, data=data)
        return self.turn.envelope.event(name, data=data)

    def _node_started(
        self,
        id: str,
        node: Node,
        began: float,
        *,
        type: str | None = None,
        iteration_id: str | None = None,
        loop_id: str | None = None,
        strategy: Mapping[str, object] | None = None,
    ) -> bytes:
        return self._event(
            "node_started",
            {
                "id": id,
                "node_id": node.id,
                "node_type": type or node.type,
                "title": node.title,
                "index": 1,
                "predecessor_node_id": None,
                "inputs": None,
                "inputs_truncated": False,
                "created_at": int(began),
                "extras": {},
                "iteration_id": iteration_id,
                "loop_id": loop_id,
                "agent_strategy": strategy,
            },
        )

    def _node_finished(
        self,
        id: str,
        node: Node,
        began: float,
        ran: _Ran,
        *,
        type: str | None = None,
        iteration_id: str | None = None,
        loop_id: str | None = None,
    ) -> bytes:
        return self._event(
            "node_finished",
            {
                "id": id,
                "node_id": node.id,
                "node_type": type or node.type,
                "title": node.title,
                "index": 1,
                "predecessor_node_id": None,
                "inputs": self._plain(ran.inputs),
                "inputs_truncated": False,
                "process_data": ran.process_data,
                "process_data_truncated": False,
                "outputs": self._plain(ran.outputs),
                "outputs_truncated": False,
                "status": ran.status,
                "error": ran.error,
                "elapsed_time": round(time.time() - began, 6),
                "execution_metadata": ran.execution_metadata,
                "created_at": int(began),
                "finished_at": int(time.time()),
                "files": [],
                "iteration_id": iteration_id,
                "loop_id": loop_id,
            },
        )

    def _system(self, *, started: bool = False) -> dict[str, object]:
        """The `sys.*` variables: the start node sees one more than workflow_started."""
        shown: dict[str, object] = {
            "sys.files": [self.turn.plain(file) for file in self.turn.attached],
            "sys.user_id": self.turn.user,
            "sys.app_id": self.spec.id,
            "sys.workflow_id": self.spec.workflow_id,
            "sys.workflow_run_id": self.turn.run_id,
        }
        if self.turn.conversation is None:
            return {**shown, "sys.timestamp": self.created_at} if started else shown
        shown["sys.query"] = self.turn.query
        if started:
            shown["sys.conversation_id"] = self.turn.conversation.id
        return {**shown, "sys.dialogue_count": len(self.turn.conversation.messages)}

    def _query(self) -> dict[str, object]:
        return {"query": self.turn.question}

    def _files_seen(self) -> dict[str, object]:
        seen = [*self.turn.attached, *(v for v in self.turn.inputs.values() if isinstance(v, File))]
        return {"#files#": [self.turn.plain(file) for file in seen]} if seen else {}

    def _prompt(self, node: LLM) -> list[_Said]:
        system = _Said("system", self._filled(node.system))
        history = [_Said(said.role, said.content) for said in self.turn.history]
        return [system, *history, _Said("user", self._filled(node.prompt))]

    def _cost(self, usage: Usage) -> dict[str, object]:
        return {
            "total_tokens": usage.total_tokens,
            "total_price": usage.total_price,
            "currency": "USD",
        }

    def _value(self, variable: str) -> object:
        node, _, name = variable.partition(".")
        return self.turn.plain(self.values.get((node, name)))

    def _filled(self, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            node, _, name = match.group(1).partition(".")
            return self._shown(self.values.get((node, name)))

        return _VARIABLE.sub(value, text)

    def _shown(self, value: object) -> str:
        """A value as text: files as markdown, lists as lists, objects as JSON."""
        match value:
            case None:
                return ""
            case str():
                return value
            case File():
                link = f"[{value.name}]({self.turn.files.url_of(value)})"
                return f"!{link}" if value.type == "image" else link
            case list() if any(isinstance(item, File) for item in value):
                return "\n".join(self._shown(item) for item in value)
            case list():
                return "\n".join(f"- {self._shown(item)}" for item in value)
            case dict():
                return json.dumps(value, indent=2, ensure_ascii=False)
            case _:
                return str(value)

    def _plain(self, values: Mapping[str, object]) -> dict[str, object]:
        return {name: self.turn.plain(value) for name, value in values.items()}


@dataclass(frozen=True)
class _Said:
    role: str
    content: str


def _says(node: Node) -> Iterator[_Segment]:
    """What an answer or end node will say, in order."""
    if isinstance(node, Answer):
        at = 0
        for match in _VARIABLE.finditer(node.answer):
            if text := node.answer[at : match.start()]:
                yield _Segment((node.id, "answer"), text)
            source, _, name = match.group(1).partition(".")
            yield _Segment((source, name))
            at = match.end()
        if text := node.answer[at:]:
            yield _Segment((node.id, "answer"), text)
    if isinstance(node, End):
        for at, variable in enumerate(node.outputs.values()):
            if at:  # Dify joins the outputs of an end node with newlines
                yield _Segment((node.id, "answer"), "\n")
            source, _, name = variable.partition(".")
            yield _Segment((source, name))


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text)


def _agent_logs(node: Agent) -> list[dict[str, object]]:
    def log(id: str, label: str, parent: str | None, status: str, data: object) -> dict[str, object]:
        times: dict[str, object] = {"started_at": 1.0}
        if status == "success":
            times |= {
                "provider": "simulated",
                "currency": "USD",
                "total_price": 0.0,
                "total_tokens": 0,
                "finished_at": 2.0,
                "elapsed_time": 1.0,
                "icon": None,
                "icon_dark": None,
            }
        return {
            "node_execution_id": node.id,
            "id": id,
            "label": label,
            "parent_id": parent,
            "error": None,
            "status": status,
            "data": data,
            "metadata": times,
            "node_id": node.id,
        }

    call = {"tool_call_id": "c1", "tool_call_name": "current_time", "tool_response": "2026-01-01 00:00:00"}
    return [
        log("log-round-1", "ROUND 1", None, "start", {}),
        log("log-thought-1", "simulated Thought", "log-round-1", "start", {}),
        log(
            "log-thought-1",
            "simulated Thought",
            "log-round-1",
            "success",
            {
                "output": "",
                "tool_name": "current_time",
                "tool_input": [{"name": "current_time", "args": dict[str, object]()}],
            },
        ),
        log("log-call-1", "CALL current_time", "log-round-1", "start", {}),
        log("log-call-1", "CALL current_time", "log-round-1", "success", {"output": call}),
        log(
            "log-round-1",
            "ROUND 1",
            None,
            "success",
            {"output": {"llm_response": "", "tool_responses": list[object]()}},
        ),
    ]
