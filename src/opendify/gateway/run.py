"""Dify's side of a call: one run of an app, begun, followed to its end, or stopped if nobody wants it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import structlog

from opendify import APIConnectionError, APIStatusError, AsyncDify, AsyncStream, DifyError
from opendify.gateway.answer import Answer, Delta
from opendify.gateway.catalog import Model
from opendify.gateway.reply import Reply
from opendify.gateway.translate import CallKind, DifyCall
from opendify.types import ChatEvent, CompletionEvent, WorkflowEvent

DRAIN_SECONDS = 1.0
"""How long Dify gets to close a stream whose answer is complete, so that its connection can serve again."""

STOP_SECONDS = 10.0

log = structlog.stdlib.get_logger("opendify")


class Run:
    """One run of a Dify app.

    Attributes:
        answer: What has come so far.
        begun: Dify may have begun: it is not sure that nothing ran.
    """

    def __init__(self, model: Model, user: str, reply: Reply) -> None:
        self.answer = Answer(
            model.mode,
            model.app.base_url,
            agent_steps=model.app.agent_steps,
            workflow_nodes=model.app.workflow_nodes,
        )
        self.begun = False
        self._model = model
        self._user = user
        self._reply = reply
        self._kind: CallKind = "chat"
        self._stream: (
            AsyncStream[ChatEvent] | AsyncStream[CompletionEvent] | AsyncStream[WorkflowEvent] | None
        ) = None
        self._starting = False

    async def begin(self, call: DifyCall) -> None:
        """Ask Dify.

        Raises:
            DifyError: If Dify refuses or can't be reached.
        """
        self._kind = call.kind
        self.begun = True
        self._start(True)
        stream = self._open(self._model.client, call)
        try:
            self._stream = await stream.__aenter__()
        except APIStatusError as error:
            self.begun = error.status >= 500
            raise
        except APIConnectionError as error:
            self.begun = error.sent
            raise
        finally:
            if self._stream is None:
                self._start(False)

    async def read(self, until: float | None = None) -> list[Delta] | None:
        """The next pieces of the answer, as one network read brings them.

        Args:
            until: When to give up waiting, by the clock of `time.monotonic`; None waits.

        Returns:
            The pieces (none, if what came has no text), or None if it is time.
        """
        assert self._stream is not None, "begin() comes first"
        if until is None:
            payloads = await self._stream.read()
        else:
            try:
                async with asyncio.timeout(max(0.0, until - time.monotonic())):
                    payloads = await self._stream.read()
            except TimeoutError:
                return None
        deltas = self.answer.end() if payloads is None else self.answer.feed(payloads)
        if self._starting and (self.answer.task_id or self.answer.over):
            self._start(False)
        return deltas

    async def close(self) -> None:
        """End it: hand the connection back if Dify is done, else stop Dify and close."""
        if self._stream is None:
            return
        try:
            if self.answer.complete:
                await self._drain(self._stream)
        finally:
            await self._stream.aclose()
            self._start(False)
        if self.answer.task_id and not self.answer.over:
            await self._stop(self.answer.task_id)

    def _open(
        self, client: AsyncDify, call: DifyCall
    ) -> AsyncStream[ChatEvent] | AsyncStream[CompletionEvent] | AsyncStream[WorkflowEvent]:
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

    async def _drain(
        self, stream: AsyncStream[ChatEvent] | AsyncStream[CompletionEvent] | AsyncStream[WorkflowEvent]
    ) -> None:
        """Read what comes after the answer. Speech may go on for long; that is not waited for."""
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

    def _start(self, starting: bool) -> None:
        if starting != self._starting:
            self._starting = starting
            self._reply.starting += 1 if starting else -1


async def close_all(runs: Sequence[Run]) -> None:
    """Close every run, each whatever becomes of the others."""
    if len(runs) == 1:
        await runs[0].close()
    else:
        await asyncio.gather(*(run.close() for run in runs))
