"""One turn of an app: what was asked, by whom, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from uuid import uuid4

from opendify.simulator.annotations import Annotation
from opendify.simulator.apps import AppSpec, Behaviour
from opendify.simulator.conversations import Conversation, Message, MessageFile
from opendify.simulator.directives import Directives
from opendify.simulator.errors import FAILURES, Refusal
from opendify.simulator.files import File, Files, red_square
from opendify.simulator.forms import Form
from opendify.simulator.model import Prompt, Said, Script, write
from opendify.simulator.wire import Envelope, Step, array
from opendify.simulator.workflow_runs import WorkflowRun

_A_MOMENT = 0.005  # seconds: two clocks are looked at

Steps = Generator[Step, None, None]


class Stopped(Exception):
    """Thrown into the steps of a run that a stop call ends."""


@dataclass
class Turn:
    """One question to an app, and the way to its answer.

    The steps of a mode (`chat.steps` and its sisters) read the first part and fill in the second.

    Args:
        spec: the app.
        behaviour: which Dify.
        pace: the model's seconds per token.
        files: the simulator's files.
        user: as the request named it.
        user_id: Dify's own id for that user.
        query: as the request has it; empty for a workflow.
        question: what the model is asked: the query, or else the texts of the inputs.
        asked: the directives of the question.
        inputs: the checked values of the form.
        attached: the files of this turn.
        conversation: None for completion and workflow apps.
        message: the turn as it will be remembered; None for workflow apps.
        workflow_runs: those of the app, by id; the run of a graph is added.
        forms: those of all runs, by token; the forms of this run are added.
        annotation: the owner's answer to this question.
        history: the earlier turns.
        streaming: False for a blocking answer.
        late: the reader is kept waiting at the start (the naming of a new conversation), so what is read from
            the database meanwhile is already further on.
    """

    spec: AppSpec
    behaviour: Behaviour
    pace: float
    files: Files
    user: str
    user_id: str
    query: str
    question: str
    asked: Directives
    inputs: Mapping[str, object]
    attached: tuple[File, ...]
    conversation: Conversation | None
    message: Message | None
    workflow_runs: dict[str, WorkflowRun]
    forms: dict[str, Form]
    annotation: Annotation | None = None
    history: tuple[Said, ...] = ()
    streaming: bool = True
    late: bool = False
    task_id: str = field(default_factory=lambda: str(uuid4()))
    began: float = field(default_factory=time.perf_counter)

    heard: bool = True
    """False once the client of a stream has gone."""
    reply: dict[str, object] | None = None
    """The blocking answer, when the run is through."""
    refusal: Refusal | None = None
    """Instead of it: how the run failed."""

    waits_for: Sequence[Form] = ()
    """The forms for which it pauses."""

    @property
    def answered(self) -> bool:
        """Need it not pause any more?"""
        return not all(form.open for form in self.waits_for)

    @property
    def patience(self) -> float:
        """Seconds for which it pauses at most: until the first of its forms has certainly expired."""
        return max(min(form.expires_at for form in self.waits_for) - time.time(), 0.0) + _A_MOMENT

    @property
    def followed(self) -> bool:
        """Can others take its events up, and does it matter to nobody whether its client has gone?"""
        return self.behaviour != "1.12" and bool(self.spec.nodes)

    @cached_property
    def run_id(self) -> str:
        """The id of the run of a graph."""
        return str(uuid4())

    @property
    def message_id(self) -> str:
        """The message's id; empty for a workflow."""
        return self.message.id if self.message else ""

    @property
    def seconds(self) -> float:
        """How long the turn has taken so far."""
        return time.perf_counter() - self.began

    @cached_property
    def envelope(self) -> Envelope:
        """The fields that all events of this turn carry."""
        if self.message is None:
            fields: dict[str, object] = {"workflow_run_id": self.run_id}
        else:
            fields = {"conversation_id": self.conversation.id} if self.conversation else {}
            fields |= {"message_id": self.message.id, "created_at": self.message.created_at}
        return Envelope({**fields, "task_id": self.task_id}, silent=not (self.streaming or self.followed))

    def script(
        self,
        *,
        query: str | None = None,
        system: str | None = None,
        default: str | None = None,
        files: tuple[File, ...] | None = None,
    ) -> Script:
        """What the model says in this turn.

        Args:
            query: what it is asked, if not the question.
            system: its instruction, if not the app's.
            default: what it says if no directive tells it what to say.
            files: the files that it sees, if not all.
        """
        seen = self.files_given if files is None else files
        if any(file.missing for file in seen):  # Dify fetches it when it writes the prompt
            return Script((), FAILURES["internal"], 0)
        prompt = Prompt(
            app=self.spec.nickname,
            user=self.user,
            query=self.question if query is None else query,
            conversation_id=self.conversation.id if self.conversation else None,
            system=self.filled(self.spec.system if system is None else system),
            history=self.history,
            inputs=self.plain_inputs,
            files=seen,
        )
        return write(prompt, pace=self.pace, directives=self.asked, default=default)

    def filled(self, text: str) -> str:
        """A text with `{{variable}}` replaced by the turn's inputs."""
        for variable, value in self.inputs.items():
            text = text.replace("{{" + variable + "}}", "" if value is None else str(value))
        return text

    @cached_property
    def files_given(self) -> tuple[File, ...]:
        """The files of this turn: those of the message and those of the form."""
        if (
            self.spec.mode == "agent"
        ):  # New Agent apps take files, but do not look at them (reference of 1.16)
            return ()
        given = [item for value in self.inputs.values() for item in array(value) or [value]]
        return (*self.attached, *(item for item in given if isinstance(item, File)))

    @cached_property
    def plain_inputs(self) -> dict[str, object]:
        """The inputs as JSON, files as Dify describes them."""
        return {name: self.files.plain(value) for name, value in self.inputs.items()}

    def draw(self) -> MessageFile:
        """An image that the app makes; it belongs to the message."""
        image = MessageFile(self.files.make(extension="png", content=red_square(), kind="image"), "assistant")
        if self.message is not None:
            self.message.files.append(image)
        return image

    def file_event(self, made: MessageFile) -> bytes:
        """The event of a file that the app made."""
        url = self.files.url_of(made.file)
        return self.envelope.event(
            "message_file", id=made.id, type=made.file.type, belongs_to=made.belongs_to, url=url
        )

    def remember(self, answer: str) -> None:
        """Keep the answer. Of a stream that nobody followed to its end nothing is kept (Dify 1.12.1)."""
        if self.message is not None:
            self.message.answer = answer if self.heard or self.followed or not self.streaming else ""
        if self.conversation is not None:
            self.conversation.updated_at = int(time.time())

    def fail(self, refusal: Refusal) -> None:
        """The turn ends with an error."""
        self.refusal = refusal
        if self.message is not None:
            self.message.status, self.message.error = "error", refusal.message

    def give(self, answer: str, metadata: Mapping[str, object], usage: Mapping[str, object]) -> None:
        """The turn ends with an answer."""
        self.remember(answer)
        if self.message is None:
            return
        self.message.usage = usage
        conversation = {"conversation_id": self.conversation.id} if self.conversation else {}
        self.reply = {
            "event": "message",
            "task_id": self.task_id,
            "id": self.message.id,
            "message_id": self.message.id,
            **conversation,
            "mode": self.spec.mode,
            "answer": answer,
            "metadata": dict(metadata),
            "created_at": self.message.created_at,
        }
