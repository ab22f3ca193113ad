"""One choice of an answer, from Dify to the client: followed, judged, and if need be asked for anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from opendify.gateway.answer import Answer, Delta
from opendify.gateway.asking import Asking
from opendify.gateway.channel import Channel, joined, portions
from opendify.gateway.expected import Expected
from opendify.gateway.faults import refusal
from opendify.gateway.reply import Reply
from opendify.gateway.run import Run
from opendify.gateway.translate import DifyCall, corrected

LONG_READ = 700
"""Characters from which on a text that is read for calls or JSON is read in portions."""

PORTION = 250
"""Characters of a portion: 2 ms of a text that was made to be hard to read, 0.2 of others."""

TURN_SECONDS = 0.002
"""How long portions are read until others have their turn."""

log = structlog.stdlib.get_logger("opendify")


@dataclass(slots=True)
class Head:
    """What all choices of an answer, and all chunks of a stream, have in common.

    Attributes:
        model: The name that the client asked for.
        created: When the first choice began, in epoch seconds; None before that.
    """

    id: str
    model: str
    created: int | None = None

    def since(self, answer: Answer) -> int:
        """When it began; decided by the answer that is first to ask."""
        if self.created is None:
            self.created = answer.created or int(time.time())
        return self.created


class Choice:
    """One of the ``n`` answers to a request.

    Attributes:
        run: Dify's side of it.
        channel: The client's side.
    """

    def __init__(self, index: int, asking: Asking, reply: Reply) -> None:
        self.run = Run(asking.model, asking.owner.identity, reply)
        self.channel = _channel(index, asking)
        self._asking = asking
        self._reply = reply

    @property
    def answer(self) -> Answer:
        """What has come of Dify so far."""
        return self.run.answer

    async def follow(self, head: Head, call: DifyCall | None) -> None:
        """Pass on what comes, to the end; and once more, if it is not what it has to be.

        Args:
            call: What Dify was asked; None for a run that waited for a person, and is not begun anew.

        Raises:
            DifyError, OpenAIError: Why there is no whole answer. What came before it has been passed on.
        """
        await self._pass_on(head)
        fault = self.channel.judge(self.answer)
        if fault is None:
            return
        model = self._asking.model.id
        again = None
        if call is not None and self.channel.correctable:
            correction = self._asking.correction(fault, others=self.channel.calls)
            again = corrected(call, self.answer.conversation_id, self.answer.text, correction)
        if again is None:
            await self.write(self.channel.flush())
            raise refusal(fault, model)
        log.info(
            "the model is asked once more", model=model, fault=fault.kind, request_id=self._reply.request_id
        )
        await self.run.again(again)
        self.channel.again()
        await self._pass_on(head)
        if fault := self.channel.judge(self.answer):
            await self.write(self.channel.flush())
            raise refusal(fault, model)

    async def write(self, out: bytes, *, last: bool = False) -> None:
        """Send a piece of the stream, if there is any; the first one opens it."""
        if not out:
            return
        reply = self._reply
        if not reply.opened:
            if self.answer.conversation_id:
                reply.header(b"conversation-id", self.answer.conversation_id)
            await reply.open()
        await reply.write(out, last=last)

    async def _pass_on(self, head: Head) -> None:
        run, channel, answer, reply = self.run, self.channel, self.run.answer, self._reply
        while not (answer.complete or channel.cut):
            deltas = await run.read(channel.wake_at)
            if deltas and reply.first_at is None:
                reply.first_at = time.perf_counter()
            if answer.failure and not channel.opened:
                raise answer.failure
            if reply.streaming and answer.heard and not channel.opened:
                channel.open(head.id, head.since(answer), head.model)
            now = time.monotonic()
            if deltas is None:
                out = channel.due(now)
            elif channel.reads:
                out = await self._read(joined(deltas))
            else:
                out = channel.feed(deltas, None if answer.complete else now)
            if answer.failure:
                out += channel.flush()
            await self.write(out)
            if answer.failure:
                raise answer.failure
        await self.write(channel.end())
        if channel.cut:
            await run.cut()

    async def _read(self, deltas: Sequence[Delta]) -> bytes:
        """Read a text for calls or JSON; let others have their turns in between if it is long."""
        channel, answer = self.channel, self.answer
        if sum([len(text) for _, text in deltas]) <= LONG_READ:
            return channel.feed(deltas, None if answer.complete else time.monotonic())
        out = b""
        began = time.perf_counter()
        for portion in portions(deltas, PORTION):
            if time.perf_counter() - began > TURN_SECONDS:
                await self.write(out)
                out = b""
                await asyncio.sleep(0)
                began = time.perf_counter()
            out += channel.feed(portion, None if answer.complete else time.monotonic())
            if channel.cut:
                break
        return out


def _channel(index: int, asking: Asking) -> Channel:
    request, app = asking.request, asking.model.app
    paced = request.stream and app.stream_pacing == "auto"
    if request.toolset is None and request.response_format is None:
        return Channel(index, request.stop, paced=paced)
    expected = Expected(
        request.toolset, request.response_format, streaming=request.stream, mode=asking.model.mode
    )
    return Channel(index, request.stop, paced=paced, expected=expected)
