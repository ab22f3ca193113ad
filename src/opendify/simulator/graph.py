"""What chatflow and workflow apps send: a graph, run from top to bottom.

The order of events is that of recorded traffic of Dify 1.12.1; where the reference of 1.16 says otherwise,
the behaviour decides.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from opendify.simulator import chat
from opendify.simulator.errors import invalid
from opendify.simulator.executions import Execution, Round, assigned, assignment, files_of
from opendify.simulator.files import File
from opendify.simulator.forms import Form
from opendify.simulator.model import Usage, no_usage
from opendify.simulator.nodes import Agent, Answer, Code, HumanInput, Iteration, Loop, Node, Together
from opendify.simulator.saying import Saying
from opendify.simulator.turns import Steps, Stopped, Turn
from opendify.simulator.variables import Selector, Variables
from opendify.simulator.wire import Signal, Step, array, error_event
from opendify.simulator.work import Ran, work
from opendify.simulator.workflow_runs import WorkflowRun


def steps(turn: Turn) -> Steps:
    """The events of one run of a chatflow or workflow."""
    preset = chat.preset_answer(turn) if turn.message else None
    if preset is None:
        yield from GraphRun(turn).steps()
        return
    # No workflow events at all, and the answer in one piece (Dify 1.12.1).
    usage = no_usage(0.0, turn.seconds, 0.0)
    data = chat.metadata(turn, usage, "workflow")
    turn.give(preset, data, usage)
    envelope, id_ = turn.envelope, turn.message_id
    yield 0.0, envelope.event("message", id=id_, answer=preset, from_variable_selector=None)
    yield 0.0, envelope.event("message_end", id=id_, metadata=data, files=list[object]())


class _Failed(Exception):
    """A node failed, and with it the run."""


class GraphRun:
    """One run of a graph."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.variables = Variables(turn.files)
        self.saying = Saying(turn, turn.spec.nodes, self.variables)
        self.usage: Usage | None = None
        self.made: list[File] = []
        self.outputs: Mapping[str, object] = {}
        self._spec = turn.spec
        self._chatflow = turn.message is not None
        self._run = WorkflowRun(
            id=turn.run_id,
            task_id=turn.task_id,
            message_id=turn.message_id,
            user=turn.user,
            user_id=turn.user_id,
            workflow_id=turn.spec.workflow_id,
            inputs=self._plain({**turn.inputs, **self.system(started=False)}),
        )
        turn.workflow_runs[self._run.id] = self._run
        self._ahead: deque[Node] = deque()
        self._branch: Sequence[Node] | None = None

    # the run

    def steps(self) -> Steps:
        """From workflow_started to the last event."""
        reason = "initial" if self.turn.behaviour == "1.16" else None
        yield 0.0, self._event("workflow_started", self._run.started(reason))
        self._ahead.extend(self._spec.nodes)
        try:
            while self._ahead:
                yield from self._one(self._ahead.popleft())
        except Stopped:
            yield from self._stopped()
        except _Failed as failure:
            yield from self._failed(str(failure))
        else:
            yield from self._succeeded()

    def system(self, *, started: bool) -> dict[str, object]:
        """The `sys.*` variables: the start node sees one more than workflow_started shows."""
        turn = self.turn
        shown: dict[str, object] = {
            "sys.files": list(turn.attached),
            "sys.user_id": turn.user,
            "sys.app_id": self._spec.id,
            "sys.workflow_id": self._spec.workflow_id,
            "sys.workflow_run_id": turn.run_id,
        }
        if turn.conversation is None:
            return shown | ({"sys.timestamp": self._run.created_at} if started else {})
        more = {"sys.conversation_id": turn.conversation.id} if started else {}
        count = {"sys.dialogue_count": len(turn.conversation.messages)}
        return {**shown, "sys.query": turn.query, **more, **count}

    def _succeeded(self) -> Iterator[Step]:
        status = "partial-succeeded" if self._run.exceptions_count else "succeeded"
        if not self._chatflow:
            yield 0.0, self._finished(status, self.outputs)
            yield from chat.speech(self.turn)
            return
        answer = self.saying.answer
        if chat.blocked_output(self.turn, answer) is not None:
            answer = self._spec.moderation.output_reply
            replaced = self.turn.envelope.event("message_replace", answer=answer, reason="output_moderation")
            yield 0.0, replaced
        finished = self._finished(status, {"answer": answer, "files": self.made})
        end = self._message_end(answer, self.usage)
        spoken = list(chat.speech(self.turn))
        if self.turn.behaviour == "1.16":
            yield from ((0.0, end), (0.0, finished), *spoken)
        else:  # what is spoken by then goes out before message_end, the rest behind it
            yield from ((0.0, finished), *spoken[:1], (0.0, end), *spoken[1:])

    def _stopped(self) -> Iterator[Step]:
        yield 0.0, self._finished("stopped", {}, "Stopped by user.")
        if self._chatflow:
            yield 0.0, self._message_end(self.saying.answer, None)

    def _failed(self, error: str) -> Iterator[Step]:
        self._run.exceptions_count += 1
        yield 0.0, self._finished("failed", {}, error)
        if self._chatflow:
            message = f"Run failed: {error}"
            self.turn.fail(invalid(message))
            yield 0.0, error_event(self.turn.envelope, "invalid_param", 400, message)

    def _finished(self, status: str, outputs: Mapping[str, object], error: str | None = None) -> bytes:
        tokens = self.usage.total_tokens if self.usage and status not in ("stopped", "failed") else 0
        run = self._run
        run.status, run.outputs, run.error = status, self._plain(outputs), error
        run.total_tokens, run.elapsed_time = tokens, round(self.turn.seconds, 6)
        run.finished_at = int(time.time())
        ended = {
            "id": run.id,
            "workflow_id": run.workflow_id,
            "status": status,
            "outputs": run.outputs,
            "error": error,
            "elapsed_time": run.elapsed_time,
            "total_tokens": tokens,
            "total_steps": run.total_steps,
        }
        times = {"created_at": run.created_at, "finished_at": run.finished_at}
        if not self._chatflow:
            ids = {"task_id": self.turn.task_id, "workflow_run_id": run.id}
            self.turn.reply = {**ids, "data": {**ended, **times}}
        by = {"created_by": {"id": self.turn.user_id, "user": self.turn.user}}
        files = [self.turn.files.plain(file) for file in files_of(outputs) if not self._chatflow]
        exceptions = {"exceptions_count": run.exceptions_count}
        run.finished = {**ended, **by, **times, **exceptions, "files": files}
        return self._event("workflow_finished", run.finished)

    def _message_end(self, answer: str, usage: Usage | None) -> bytes:
        seconds = self.turn.seconds
        first = seconds if self.saying.first is None else self.saying.first
        times = (round(first, 3), round(seconds - first, 3))
        priced = no_usage(0.0, *times) if usage is None else usage.json(round(seconds, 3), *times)
        data = chat.metadata(self.turn, priced, "workflow")
        self.turn.give(answer, data, priced)
        files = [self.turn.files.plain(file) for file in self.made]
        return self.turn.envelope.event("message_end", id=self.turn.message_id, metadata=data, files=files)

    # a node

    def _one(self, node: Node) -> Steps:
        self._run.total_steps += 1
        match node:
            case Iteration():
                return self._iteration(node)
            case Loop():
                return self._loop(node)
            case HumanInput():
                return self._human_input([node])
            case Together():
                self._run.total_steps += len(node.nodes) - 1
                return self._human_input(node.nodes)
            case _:
                return self._node(node)

    def _node(self, node: Node) -> Steps:
        shown = Execution(node)
        yield 0.0, self._node_started(shown)
        ran = yield from work(self, node)
        self.variables.keep(node.id, ran.outputs)
        self._run.exceptions_count += ran.status == "exception"
        if ran.status != "failed":
            yield from self.saying.flush()
        yield 0.0, self._node_finished(shown, ran)
        if ran.status == "failed":
            raise _Failed(ran.error)

    def _inner(
        self, shown: Execution, ran: Ran, says: tuple[tuple[Selector, str], ...] = ()
    ) -> Iterator[Step]:
        """A node inside an iteration or a loop."""
        yield 0.0, self._node_started(shown)
        for where, text in says:
            yield from self.saying.say(where, text, self.turn.pace)
        yield 0.0, self._node_finished(shown, ran)

    def _iteration(self, node: Iteration) -> Steps:
        numbers = [item for item in array(self.variables.get(node.over)) or [] if isinstance(item, int)]
        round_ = Round(node, {"iteration_length": len(numbers)}, {"iterator_selector": numbers})
        output: list[object] = []
        shown = Execution(node)
        self._run.nodes.append(shown.record)
        yield 0.0, self._event("iteration_started", round_.started())
        for index, number in enumerate(numbers):
            yield 0.0, self._event("iteration_next", round_.next(index))
            result = [factor * number for factor in node.factors]
            place = {"iteration_id": node.id, "iteration_index": index}
            ran = Ran({"result": result}, {"arg1": number}, execution_metadata=place)
            yield from self._inner(Execution(node.inner, iteration_id=node.id), ran)
            output += result
        self.variables.keep(node.id, {"output": output})
        durations = {"iteration_duration_map": {str(at): 0.0 for at in range(len(numbers))}}
        completed = round_.completed({"output": output}, durations, steps=len(numbers))
        shown.finish("succeeded")
        yield 0.0, self._event("iteration_completed", completed)
        self.saying.unlock()
        yield from self.saying.flush()

    def _loop(self, node: Loop) -> Steps:
        round_ = Round(node, {"loop_length": node.count}, {"loop_count": node.count, "i": 0})
        shown = Execution(node)
        self._run.nodes.append(shown.record)
        yield 0.0, self._event("loop_started", round_.started())
        for index in range(node.rounds):
            i, place = index + 1, {"loop_id": node.id, "loop_index": index}
            if index:
                yield 0.0, self._event("loop_next", round_.next(index, {"pre_loop_output": {}}))
            assigner = Code(id=node.assigner_id, title="Variable Assigner")
            set_ = Ran(inputs=assignment(node), process_data=assigned(node, i), execution_metadata=place)
            says = (((node.id, "i"), str(i)), ((node.answer_id, "answer"), "\n"))
            yield from self._inner(Execution(assigner, kind="assigner", loop_id=node.id), set_, says)
            answered = Ran({"answer": f"{i}\n", "files": list[object]()}, execution_metadata=place)
            answer = Answer(id=node.answer_id, title="Answer 2")
            yield from self._inner(Execution(answer, loop_id=node.id), answered)
        self.variables.keep(node.id, {"i": node.rounds})
        rounds = range(node.rounds)
        durations = {
            "completed_reason": "loop_break",
            "loop_duration_map": {str(at): 0.0 for at in rounds},
            "loop_variable_map": {str(at): {"i": at + 1} for at in rounds},
        }
        outputs = {"i": node.rounds, "loop_round": node.rounds}
        shown.finish("succeeded")
        yield 0.0, self._event("loop_completed", round_.completed(outputs, durations, steps=node.count))
        self.saying.unlock()
        yield from self.saying.flush()

    def _human_input(self, nodes: Sequence[HumanInput]) -> Steps:
        """Ask for a form, or for several at once, until all are filled in or have expired."""
        asked = [(Execution(node), self._form(node)) for node in nodes]
        for shown, _ in asked:
            yield 0.0, self._node_started(shown)
        while asked:
            yield from self._pause([form for _, form in asked])
            yield 0.0, self._event("workflow_started", self._run.started("resumption"))
            for shown, form in asked:
                if not form.open:
                    yield from self._filled(shown, form)
            asked = [(shown, form) for shown, form in asked if form.open]
        self.saying.unlock()
        if self._branch is not None:
            self._ahead = deque(self._branch)
            self.saying.branch(self._branch)
        yield from self.saying.flush()

    def _form(self, node: HumanInput) -> Form:
        names = [wanted.output_variable_name for wanted in node.inputs]
        self.variables.keep("$output", {name: "{{#$output." + name + "#}}" for name in names})
        texts = {wanted.output_variable_name: self.variables.fill(wanted.default) for wanted in node.inputs}
        form = Form(
            node,
            self._spec.id,
            self.turn.task_id,
            self._run.id,
            content=self.variables.fill(node.form_content),
            defaults={name: text for name, text in texts.items() if text},
        )
        self.turn.forms[form.token] = form
        if self.turn.message is not None:
            self.turn.message.forms.append(form)
        return form

    def _filled(self, shown: Execution, form: Form) -> Iterator[Step]:
        """A form has been filled in, or has expired."""
        node = form.node
        if form.action is None:
            form.status, self._branch = "timeout", node.after_timeout
            expiry = {"node_id": node.id, "node_title": node.title, "expiration_time": int(form.expires_at)}
            yield 0.0, self._event("human_input_form_timeout", expiry)
        else:
            self._branch = form.action.then
            self.variables.keep("$output", form.entered)
            form.filled = self.variables.fill(node.form_content)
            filled = {**form.submission(), "submitted_data": self._plain(form.entered)}
            yield 0.0, self._event("human_input_form_filled", filled)
        action = form.action.id if form.action else ""
        ran = Ran({**form.entered, "__action_id": action, "__rendered_content": form.filled or form.content})
        self.variables.keep(node.id, ran.outputs)
        yield 0.0, self._node_finished(shown, ran)

    def _pause(self, forms: Sequence[Form]) -> Steps:
        """Rest until one of the forms is filled in or has expired."""
        turn, run = self.turn, self._run
        turn.waits_for = forms
        run.forms, run.status, run.elapsed_time = forms, "paused", round(turn.seconds, 6)
        run.total_tokens = self.usage.total_tokens if self.usage else 0
        run.paused = {
            "workflow_run_id": run.id,
            "paused_nodes": [form.node.id for form in forms],
            "outputs": {},
            "reasons": [{"TYPE": "human_input_required", **form.required()} for form in forms],
            "status": "paused",
            "created_at": run.created_at,
            "elapsed_time": run.elapsed_time,
            "total_tokens": run.total_tokens,
            "total_steps": run.total_steps,
        }
        turn.remember(self.saying.answer)
        turn.reply = self._paused_reply()
        for form in forms:
            yield 0.0, self._event("human_input_required", form.required())
        yield 0.0, self._event("workflow_paused", run.paused)
        yield 0.0, Signal.PAUSE
        run.forms, run.status = (), "running"

    def _paused_reply(self) -> dict[str, object]:
        """The blocking answer of a run that waits for a person."""
        turn, run = self.turn, self._run
        ids = {"task_id": turn.task_id, "workflow_run_id": run.id}
        pause = {name: run.paused[name] for name in ("paused_nodes", "reasons")}
        if turn.message is None or turn.conversation is None:
            head = {"id": run.id, "workflow_id": run.workflow_id, "status": run.status}
            ended: dict[str, object] = {**head, "outputs": {}, "error": None}
            cost = {name: run.paused[name] for name in ("elapsed_time", "total_tokens", "total_steps")}
            times = {"created_at": run.created_at, "finished_at": None}
            return {**ids, "data": {**ended, **cost, **times, **pause}}
        said = {
            "id": turn.message_id,
            "mode": self._spec.mode,
            "conversation_id": turn.conversation.id,
            "message_id": turn.message_id,
            "workflow_run_id": run.id,
            "answer": turn.message.answer,
            "metadata": chat.metadata(turn, (self.usage or Usage()).json(run.elapsed_time), "workflow"),
            "created_at": turn.message.created_at,
        }
        return {"event": "workflow_paused", **ids, **said, "data": {**said, **run.paused}}

    # events

    def _event(self, name: str, data: Mapping[str, object]) -> bytes:
        if self._chatflow:
            return self.turn.envelope.event(name, workflow_run_id=self.turn.run_id, data=data)
        return self.turn.envelope.event(name, data=data)

    def _node_started(self, shown: Execution) -> bytes:
        strategy = {"name": "function_calling", "icon": None} if isinstance(shown.node, Agent) else None
        data = {
            **shown.head(),
            "inputs": None,
            "inputs_truncated": False,
            "created_at": shown.record.created_at,
            "extras": dict[str, object](),
            **shown.record.place,
            "agent_strategy": strategy,
        }
        self._run.nodes.append(shown.record)
        return self._event("node_started", data)

    def _node_finished(self, shown: Execution, ran: Ran) -> bytes:
        shown.finish(ran.status)
        data = {
            **shown.head(),
            "inputs": self._plain(ran.inputs),
            "inputs_truncated": False,
            "process_data": ran.process_data,
            "process_data_truncated": False,
            "outputs": self._plain(ran.outputs),
            "outputs_truncated": False,
            "status": ran.status,
            "error": ran.error,
            "elapsed_time": shown.record.elapsed_time,
            "execution_metadata": ran.execution_metadata,
            "created_at": shown.record.created_at,
            "finished_at": shown.record.finished_at,
            "files": [self.turn.files.plain(file) for file in files_of(ran.outputs)],
            **shown.record.place,
        }
        return self._event("node_finished", data)

    def _plain(self, values: Mapping[str, object]) -> dict[str, object]:
        return {name: self.turn.files.plain(value) for name, value in values.items()}
