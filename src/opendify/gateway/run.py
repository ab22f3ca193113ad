"""Dify's side of a call: a run of an app, begun, followed to its end, or stopped if nobody wants it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import structlog

from opendify import (
    APIConnectionError,
    APIStatusError,
    AsyncDify,
    AsyncStream,
    DifyError,
    TruncatedStreamError,
)
from opendify.gateway.answer import Answer, Delta
from opendify.gateway.catalog import Model
from opendify.gateway.errors import OpenAIError, let_go
from opendify.gateway.forms import Submission
from opendify.gateway.human import refused, submitted
from opendify.gateway.reply import ClientGone, Reply
from opendify.gateway.resumption import Resumption
from opendify.gateway.translate import KINDS, CallKind, DifyCall
from opendify.gateway.wire import Usage, total
from opendify.types import (
    ChatEvent,
    ChatReply,
    CompletionEvent,
    CompletionReply,
    WorkflowEvent,
    WorkflowReply,
)

Events = (
    AsyncStream[ChatEvent, ChatReply]
    | AsyncStream[CompletionEvent, CompletionReply]
    | AsyncStream[WorkflowEvent, WorkflowReply]
)

LISTEN_SECONDS = 3.0
"""How long Dify gets to tell how a paused run stands."""

DRAIN_SECONDS = 1.0
"""How long Dify gets to close a stream whose answer is complete, so that its connection can serve again."""

STOP_SECONDS = 10.0

MOST_EVENTS = 256
"""Events of one network read that are looked at in one step: 1 to 2 ms. Then others have their turn."""

log = structlog.stdlib.get_logger("opendify")


class Run:
    """One run of a Dify app; or two, where the first one's answer was no good.

    Attributes:
        answer: What has come so far.
        begun: Dify may have begun: it is not sure that nothing ran.
    """

    def __init__(self, model: Model, user: str, reply: Reply) -> None:
        self.answer = _answer(model)
        self.begun = False
        self._spent: Usage | None = None
        self._model = model
        self._user = user
        self._reply = reply
        self._kind: CallKind = "chat"
        self._stopped = False
        self._stream: Events | None = None
        self._unread: Sequence[bytes] = ()
        self._submissions: list[Submission] = []
        self._resumption: Resumption | None = None

    @property
    def usage(self) -> Usage | None:
        """Tokens of all that was run, as Dify reports them; None if it told of none."""
        return total((self._spent, self.answer.usage)) if self._spent else self.answer.usage

    async def again(self, call: DifyCall) -> None:
        """Ask once more, when the answer is at its end.

        Raises:
            DifyError, ClientGone: As `begin` does.
        """
        await self.close()
        self._spent = self.usage
        self.answer = _answer(self._model)
        self._stopped = False
        try:
            await self.begin(call)
        finally:
            self.begun = True  # whatever becomes of this one, the run before has been

    async def begin(self, call: DifyCall) -> None:
        """Ask Dify.

        Raises:
            DifyError: If Dify refuses or can't be reached.
            ClientGone: If nobody waits for the answer any more.
        """
        if self._reply.gone:
            raise ClientGone
        self._kind = call.kind
        self._unread = ()
        self.begun = True
        stream = self._open(self._model.client, call)
        try:
            # given up before Dify answers, the run would go on, and there would be no name to stop it by
            with self._reply.undisturbed:
                self._stream = await stream.__aenter__()
        except APIStatusError as error:
            self.begun = error.status >= 500
            raise
        except APIConnectionError as error:
            self.begun = error.sent
            raise

    async def resume(self, submissions: Sequence[Submission]) -> None:
        """Go on with a run that waits for a person.

        Args:
            submissions: The answers to its forms, one after the other: each lets the run go on, to the next
                pause.

        Raises:
            OpenAIError: If a form takes no answer any more, or not this one.
            DifyError: If Dify can't be reached.
            ClientGone: If nobody waits for the answer any more.
        """
        if self._reply.gone:
            raise ClientGone
        self._kind = KINDS[self._model.mode]
        self._submissions = list(submissions)
        self.answer.go_on(told=submissions[0].form.told)
        await self._submit(self._submissions.pop(0))

    async def read(self, until: float | None = None) -> list[Delta] | None:
        """The next pieces of the answer, as one network read brings them; of a long one, some.

        Args:
            until: When to give up waiting, by the clock of `time.monotonic`; None waits.

        Returns:
            The pieces (none, if what came has no text), or None if it is time. What goes wrong is the
            answer's `failure`, whoever it is that tells of it: Dify, or the connection.
        """
        assert self._stream is not None, "begin() comes first"
        payloads: Sequence[bytes] | None
        try:
            if self._unread:
                await asyncio.sleep(0)
                payloads, self._unread = self._unread, ()
            elif until is None:
                payloads = await self._stream.read()
            else:
                async with asyncio.timeout(max(0.0, until - time.monotonic())):
                    payloads = await self._stream.read()
            if payloads and len(payloads) > MOST_EVENTS and not self._submissions:
                payloads, self._unread = payloads[:MOST_EVENTS], payloads[MOST_EVENTS:]
            if self._resumption and payloads:
                payloads = self._resumption.take(payloads)
        except TimeoutError:
            return None
        except DifyError as error:
            let_go(error)
            self.answer.failure, deltas = error, []
        else:
            deltas = self.answer.end() if payloads is None else self.answer.feed(payloads)
            if self.answer.paused and self._submissions:
                await self._submit_next()
        return deltas

    async def _submit_next(self) -> None:
        """The run has come to a pause, and there are more answers."""
        self.answer.go_on(told=self.answer.told)
        try:
            await self._submit(self._submissions.pop(0))
        except (DifyError, OpenAIError) as error:
            self.answer.failure = error

    async def _submit(self, submission: Submission) -> None:
        """Submit a form while the run is listened to, so that nothing of it is missed."""
        if self._stream is not None:
            await self._stream.aclose()
        self._stream = await self._come_back(submission.form.run).__aenter__()
        self._resumption = resumption = Resumption()
        await self._listen(self._stream, resumption)
        if resumption.over or (resumption.forms and submission.form.form not in resumption.forms):
            raise submitted(submission.reply)
        answer = submission.answer
        try:
            # given up meanwhile, nobody would know whether the run goes on
            with self._reply.undisturbed:
                await self._model.client.human_input.submit(
                    submission.form.token, action=answer.action, inputs=answer.inputs, user=self._user
                )
                self.begun = True
        except APIStatusError as error:
            raise refused(error, submission.reply, submission.asked, self._model.id) or error from None
        if resumption.forms is None:
            resumption.go()

    async def _listen(self, stream: Events, resumption: Resumption) -> None:
        """Wait until Dify has told that the run is paused: then it has begun to pass on what comes."""
        try:
            async with asyncio.timeout(LISTEN_SECONDS):
                while resumption.forms is None and not resumption.over:
                    payloads = await stream.read()
                    if payloads is None:
                        raise TruncatedStreamError("Dify's stream ended before it told how the run stands.")
                    resumption.take(payloads)
        except TimeoutError:
            log.debug("no pause told", model=self._model.id)

    async def cut(self) -> None:
        """End the answer here, and hear Dify out.

        Dify 1.12.1 keeps nothing of an answer in its conversation that was not heard to its end.
        """
        assert self._stream is not None, "begin() comes first"
        if self.answer.task_id and not self.answer.over:
            await self._stop(self.answer.task_id)
            await self._drain(self._stream)
            self._stopped = True

    async def close(self) -> None:
        """End it, once: hand the connection back if Dify is done, else stop Dify and close.

        A run is stopped by the name that its first event brings, so that is waited for.
        """
        stream = self._stream
        if stream is None:
            return
        try:
            while self.begun and not (self.answer.task_id or self.answer.complete or self.answer.failure):
                await self.read()
            if self.answer.complete and not stream.ended:
                await self._drain(stream)
        finally:
            self._stream = None
            await stream.aclose()
        if self.answer.task_id and not (self.answer.over or self._stopped):
            await self._stop(self.answer.task_id)

    def _come_back(self, run: str) -> Events:
        """The events of a run that waits: how far it is, and what comes when it goes on."""
        client = self._model.client
        events = client.chat.events if self._kind == "chat" else client.workflows.events
        return events(run, user=self._user, include_state_snapshot=True, continue_on_pause=True, resume=False)

    def _open(self, client: AsyncDify, call: DifyCall) -> Events:
        match call.kind:
            case "chat":
                return client.chat.stream(
                    query=call.query,
                    inputs=call.inputs,
                    files=call.files,
                    conversation_id=call.conversation_id,
                    user=self._user,
                    auto_generate_name=self._model.app.auto_generate_name,
                )
            case "completion":
                return client.completion.stream(inputs=call.inputs, files=call.files, user=self._user)
            case "workflow":
                return client.workflows.stream(inputs=call.inputs, files=call.files, user=self._user)

    async def _drain(self, stream: Events) -> None:
        """Read what comes after the answer. Speech may go on for long; that is not waited for.

        A run that was come back to is left at once: its stream stays open for minutes after its end.
        """
        if self._resumption is not None:
            return
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while await stream.read() is not None:
                    pass
        except (TimeoutError, DifyError) as error:
            log.debug("stream not drained", model=self._model.id, reason=type(error).__name__)

    async def _stop(self, task_id: str) -> None:
        client = self._model.client
        stop = {
            "chat": client.chat.stop,
            "completion": client.completion.stop,
            "workflow": client.workflows.stop,
        }
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await stop[self._kind](task_id, user=self._user)
        except (TimeoutError, DifyError) as error:
            log.warning("Dify was not told to stop", model=self._model.id, reason=type(error).__name__)


def _answer(model: Model) -> Answer:
    return Answer(
        model.mode,
        model.app.base_url,
        agent_steps=model.app.agent_steps,
        workflow_nodes=model.app.workflow_nodes,
    )
