"""The way of one choice's text to the client: cut at stop strings, smoothed, put into chunks. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from opendify.gateway.answer import Answer, Delta
from opendify.gateway.pacing import Pacer
from opendify.gateway.text import Stop
from opendify.gateway.wire import AnswerMessage, Choice, DifyNote, Frames, Usage
from opendify.gateway.zero_width import joint


class Channel:
    """Collects one choice, and in a stream gives its chunks.

    Args:
        index: Which of the ``n`` choices.
        stop: Strings before which the text is cut.
        paced: Lumps of text are spread over time; without it all passes at once.
    """

    def __init__(self, index: int, stop: Sequence[str], *, paced: bool) -> None:
        self._index = index
        self._frames: Frames | None = None
        self._stop = Stop(stop)
        self._pacer = Pacer() if paced else None
        self._text: list[str] = []
        self._reasoning: list[str] = []

    @property
    def opened(self) -> bool:
        """The first chunk was given: this is a stream."""
        return self._frames is not None

    @property
    def cut(self) -> bool:
        """A stop string came: nothing that Dify still says will be passed on."""
        return self._stop.hit

    @property
    def text(self) -> str:
        """The answer as the client has it when all is sent."""
        return "".join(self._text)

    @property
    def wake_at(self) -> float | None:
        """When text that is held is due, by the clock that `feed` is given; None if none is held."""
        return self._pacer.wake_at if self._pacer else None

    def open(self, identifier: str, created: int, model: str) -> bytes:
        """The first chunk of a stream."""
        self._frames = Frames(identifier, created, model, self._index)
        return self._frames.role()

    def feed(self, deltas: Sequence[Delta], now: float) -> bytes:
        """Pieces of the answer in; chunks that go out at once."""
        frames = self._frames
        out: list[bytes] = []
        for kind, text in deltas:
            if kind == "reasoning":
                self._reasoning.append(text)
                if frames:
                    out.append(frames.reasoning(text))
                continue
            text = self._stop.feed(text)
            if not text:
                continue
            self._text.append(text)
            if frames:
                if self._pacer:
                    text = self._pacer.feed(text, now)
                if text:
                    out.append(frames.content(text))
        return b"".join(out)

    def due(self, now: float) -> bytes:
        """Chunks of text that was held until now."""
        return self._content(self._pacer.due(now) if self._pacer else "")

    def flush(self) -> bytes:
        """All that is held, at once."""
        rest = self._stop.flush()
        if rest:
            self._text.append(rest)
        return self._content((self._pacer.flush() if self._pacer else "") + rest)

    def close(self, answer: Answer, mark: str) -> bytes:
        """The answer is complete: what is held, what moderation says instead, and the invisible mark."""
        out = self.flush()
        tail = ""
        if answer.replacement is not None:
            if self._frames is None:
                self._text.clear()
            tail = f"\n\n{answer.replacement}" if self._text else answer.replacement
            self._text.append(tail)
        if mark:
            mark = joint(self.text) + mark
            self._text.append(mark)
        return out + self._content(tail + mark)

    def finish(self, answer: Answer, note: DifyNote | None = None) -> bytes:
        """The last chunk of this choice."""
        assert self._frames is not None, "only a stream ends in a chunk"
        return self._frames.finish(answer.finish_reason, answer.annotations, note)

    def usage(self, usage: Usage | None, note: DifyNote) -> bytes:
        """The chunk after the last choice's, for a client that asked for usage."""
        assert self._frames is not None, "only a stream ends in a chunk"
        return self._frames.usage(usage, note)

    def choice(self, answer: Answer) -> Choice:
        """This choice in a plain answer."""
        message: AnswerMessage = {"role": "assistant", "content": self.text, "refusal": None}
        if self._reasoning:
            message["reasoning_content"] = "".join(self._reasoning)
        if answer.annotations:
            message["annotations"] = answer.annotations
        if answer.files:
            message["files"] = answer.files
        return {
            "index": self._index,
            "message": message,
            "logprobs": None,
            "finish_reason": answer.finish_reason,
        }

    def _content(self, text: str) -> bytes:
        return self._frames.content(text) if text and self._frames else b""
