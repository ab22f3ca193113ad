"""The way of one choice to the client: text cut at stop strings and smoothed, calls, all in chunks. Pure."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator, Sequence

from opendify.gateway.answer import Answer, Delta
from opendify.gateway.calls import Calls
from opendify.gateway.expected import Expected, Out
from opendify.gateway.faults import Fault
from opendify.gateway.human import FUNCTION
from opendify.gateway.pacing import Pacer
from opendify.gateway.text import Stop
from opendify.gateway.wire import AnswerMessage, Choice, DifyNote, FinishReason, Frames, Message, Usage
from opendify.gateway.zero_width import joint


class Channel:
    """Collects one choice, and in a stream gives its chunks.

    Args:
        index: Which of the ``n`` choices.
        stop: Strings before which the text is cut.
        paced: Lumps of text are spread over time; without it all passes at once.
        expected: What the request wants beyond text; None for nothing, and text passes as it is.
    """

    def __init__(
        self, index: int, stop: Sequence[str], *, paced: bool, expected: Expected | None = None
    ) -> None:
        self._index = index
        self._frames: Frames | None = None
        self._stop = Stop(stop)
        self._pacer = Pacer() if paced else None
        self._expected = expected
        self._calls = Calls(legacy=expected is not None and expected.legacy)
        self._role = b""
        self._gap = False
        self._text: list[str] = []
        self._reasoning: list[str] = []

    @property
    def opened(self) -> bool:
        """It is known that Dify answers, and this is a stream."""
        return self._frames is not None

    @property
    def cut(self) -> bool:
        """Nothing that Dify still says is passed on: a stop string came, or all calls that are wanted."""
        return self._stop.hit or (self._expected is not None and self._expected.over)

    @property
    def reads(self) -> bool:
        """Text is read for what the request wants beyond it, not only passed on."""
        return self._expected is not None

    @property
    def text(self) -> str:
        """The answer's text as the client has it when all is sent."""
        return "".join(self._text)

    @property
    def calls(self) -> bool:
        """The answer calls tools."""
        return bool(self._calls)

    @property
    def message(self) -> Message:
        """The answer as its client will send it back."""
        return self._calls.message(self.text)

    @property
    def wake_at(self) -> float | None:
        """When text that is held is due, by the clock that `feed` is given; None if none is held."""
        return self._pacer.wake_at if self._pacer else None

    def open(self, identifier: str, created: int, model: str) -> None:
        """This is a stream, whose first chunk goes out with what comes next."""
        self._frames = Frames(identifier, created, model, self._index)
        self._role = self._frames.role()

    def feed(self, deltas: Sequence[Delta], now: float | None) -> bytes:
        """Pieces of the answer in; chunks that go out at once.

        Args:
            deltas: What came together.
            now: By any clock that doesn't go backwards, in seconds. None with the last pieces of the answer:
                nothing of it is held to be smooth, since it would have to leave at once all the same.
        """
        frames, expected = self._frames, self._expected
        out: list[bytes] = []
        smooth = self._pacer is not None and now is None
        if len(deltas) > 1 and (smooth or expected is not None or frames is None):
            deltas = joined(deltas)
        for kind, text in deltas:
            if kind == "reasoning":
                self._reasoning.append(text)
                if frames:
                    out.append(frames.reasoning(text))
            elif expected is None:
                out.append(self._content(self._let_through(text, now)))
            else:
                self._take(expected.feed(text), now, out)
        together = b"".join(out)
        if self._role and (together or expected is None or not expected.holds):
            role, self._role = self._role, b""
            return role + together
        return together

    def end(self) -> bytes:
        """Dify's answer is at its end: what was held back only as long as more could come."""
        out: list[bytes] = []
        if self._expected is not None:
            self._take(self._expected.end(), None, out)
        return self._opening(b"".join(out))

    def judge(self, answer: Answer) -> Fault | None:
        """What is wrong with the answer, once it is at its end, beside what the client has of it."""
        if self._expected is None or self._stop.hit or answer.replacement is not None or answer.paused:
            return None
        return self._expected.judge(answer)

    @property
    def correctable(self) -> bool:
        """The model can be asked once more: nothing that is wrong has left."""
        return self._expected is not None and self._expected.correctable

    def again(self) -> None:
        """The model has been told what is wrong, and answers once more."""
        assert self._expected is not None, "who expects nothing finds no fault"
        self._expected.again()
        self._gap = bool(self._text)

    def _take(self, pieces: Sequence[Out], now: float | None, out: list[bytes]) -> None:
        """Text and calls in their order: held text goes before a call, and nothing behind a stop string."""
        for kind, text in pieces:
            if self._stop.hit:
                return
            match kind:
                case "text":
                    out.append(self._content(self._let_through(text, now)))
                case "call":
                    out += [self.flush(), self._calls.begin(text, self._frames)]
                case "arguments":
                    out.append(self._calls.add(text, self._frames))

    def _let_through(self, text: str, now: float | None) -> str:
        """A piece of text in; what leaves at once."""
        text = self._stop.feed(text)
        if not text:
            return ""
        if self._gap:
            self._gap, text = False, "\n\n" + text.lstrip("\n")
        self._text.append(text)
        if self._frames is None or self._pacer is None:
            return text
        return self._pacer.flush() + text if now is None else self._pacer.feed(text, now)

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
        tail = self._expected.rest() if self._expected and answer.replacement is None else ""
        if answer.replacement is not None:
            if self._frames is None:
                self._text.clear()
            tail = f"\n\n{answer.replacement}" if self._text else answer.replacement
        if tail:
            self._text.append(tail)
        if mark:
            mark = joint(self.text) + mark
            self._text.append(mark)
        return self._opening(out + self._content(tail + mark))

    def ask(self, call_id: str, arguments: str) -> bytes:
        """A call that is not the model's: the run waits for a person."""
        out = self._calls.begin(FUNCTION, self._frames, call_id=call_id)
        return self._opening(out + self._calls.add(arguments, self._frames))

    def finish(self, answer: Answer, note: DifyNote | None = None) -> bytes:
        """The last chunk of this choice."""
        assert self._frames is not None, "only a stream ends in a chunk"
        return self._opening(self._frames.finish(self._finish_reason(answer), answer.annotations, note))

    def usage(self, usage: Usage | None, note: DifyNote) -> bytes:
        """The chunk after the last choice's, for a client that asked for usage."""
        assert self._frames is not None, "only a stream ends in a chunk"
        return self._frames.usage(usage, note)

    def choice(self, answer: Answer) -> Choice:
        """This choice in a plain answer."""
        message: AnswerMessage = {"role": "assistant", "content": self.text, "refusal": None}
        if self._calls:
            message["content"] = self.text or None
            if function_call := self._calls.function_call:
                message["function_call"] = function_call
            else:
                message["tool_calls"] = self._calls.tool_calls
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
            "finish_reason": self._finish_reason(answer),
        }

    def _finish_reason(self, answer: Answer) -> FinishReason:
        return self._calls.finish_reason if self._calls else answer.finish_reason

    def _content(self, text: str) -> bytes:
        return self._frames.content(text) if text and self._frames else b""

    def _opening(self, out: bytes) -> bytes:
        """Whatever goes out first has the chunk before it that opens the stream."""
        if not (self._role and out):
            return out
        role, self._role = self._role, b""
        return role + out


def joined(deltas: Sequence[Delta]) -> Sequence[Delta]:
    """Neighbours of one kind as one: what came together is read at once, which costs half.

    >>> joined([("content", "a"), ("content", "b"), ("reasoning", "c")])
    [('content', 'ab'), ('reasoning', 'c')]
    """
    if len({kind for kind, _ in deltas}) == 1:
        return [(deltas[0][0], "".join([text for _, text in deltas]))]
    return [
        (kind, "".join([text for _, text in together]))
        for kind, together in itertools.groupby(deltas, key=operator.itemgetter(0))
    ]


def portions(deltas: Sequence[Delta], longest: int) -> Iterator[Sequence[Delta]]:
    """The same text in portions of at most so many characters.

    >>> list(portions([("content", "abc"), ("reasoning", "d")], 2))
    [[('content', 'ab')], [('content', 'c')], [('reasoning', 'd')]]
    """
    for kind, text in deltas:
        for at in range(0, len(text), longest):
            yield [(kind, text[at : at + longest])]
