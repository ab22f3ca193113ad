"""What a request wants of an answer beyond text, calls of its tools or JSON, found in the text. Pure.

One `Expected` reads one choice: text in, text and calls for the client out. At the end it judges: what
does not fit is told to the model once more, if nothing wrong has reached the client.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from opendify.gateway.answer import Answer
from opendify.gateway.faults import Fault
from opendify.gateway.structured import JsonFilter, ResponseFormat, extract, fault, workflow_json
from opendify.gateway.tools.call import Piece
from opendify.gateway.tools.definitions import Toolset
from opendify.gateway.tools.fitting import completed, unfit
from opendify.gateway.tools.parser import CallParser

Out = tuple[Literal["text", "call", "arguments"], str]
"""Text for the client, the name of a tool that is called, a piece of its arguments."""


LONGEST_NAME = 64
"""Characters of an unknown tool's name that are repeated."""


class Expected:
    """Reads one choice.

    Args:
        toolset: What may be called; None for nothing.
        response_format: What JSON the answer must be; None for any text.
        streaming: The answer leaves while it comes.
        mode: The app's mode: a workflow's JSON is what it puts out.

    Attributes:
        over: Nothing that the model still says is wanted.
    """

    def __init__(
        self,
        toolset: Toolset | None,
        response_format: ResponseFormat | None,
        *,
        streaming: bool,
        mode: str,
    ) -> None:
        self._toolset = toolset
        self._format = response_format
        self._workflow = mode == "workflow"
        self._holds_json = response_format is not None and (
            response_format.strict or not streaming or self._workflow
        )
        self._called = 0
        self._begin()

    def _begin(self) -> None:
        self.over = False
        self._parser = CallParser(self._toolset) if self._toolset else None
        self._filter = JsonFilter(self._format) if self._format and not self._holds_json else None
        self._complete = False
        self._held: list[str] = []
        self._json: list[str] = []
        self._strict: list[Out] | None = None
        self._faults: list[Fault] = []

    @property
    def legacy(self) -> bool:
        """The client speaks of `functions`."""
        return bool(self._toolset and self._toolset.legacy)

    @property
    def holds(self) -> bool:
        """All text waits for what comes: a call that is required, or the whole of an answer in JSON."""
        return self._holds_json or bool(self._toolset and self._toolset.required and not self._called)

    @property
    def correctable(self) -> bool:
        """The model can be asked once more: no JSON that is wrong has left."""
        return self._filter is None or not any(self._json)

    def feed(self, text: str) -> Sequence[Out]:
        """A piece of the answer in; what leaves out."""
        if self._complete:
            self.over = self.over or not text.isspace()
            return ()
        if self._parser is None:
            return self._text(text)
        return list(self._sift(self._parser.feed(text)))

    def end(self) -> Sequence[Out]:
        """The answer is at its end: what was held back only as long as more could come."""
        out = list(self._sift(self._parser.flush())) if self._parser and not self._complete else []
        if self._filter and (rest := self._filter.flush()):
            self._json.append(rest)
            out.append(("text", rest))
        return out

    def judge(self, answer: Answer) -> Fault | None:
        """What is wrong with the answer, once it is at its end."""
        if self._faults and not self._has_its_one_call:
            return self._faults[0]
        if self._toolset and self._toolset.required and not self._called:
            return Fault("no_call")
        if self._format is None or self._called:
            return None
        text = "".join(self._held) if self._holds_json else "".join(self._json)
        if self._workflow:
            text = workflow_json(answer.outputs or {}, text, self._format)
        elif self._holds_json:
            text = extract(text, self._format)
        if self._holds_json:
            self._held = [text]
        what = fault(self._format, text)
        return None if what is None else Fault("json", what=what)

    def rest(self) -> str:
        """The text that was held, of an answer that is good, or of a run that waits for a person."""
        return "" if self._called else "".join(self._held)

    def again(self) -> None:
        """The model has been told what is wrong, and begins anew."""
        self._begin()

    @property
    def _has_its_one_call(self) -> bool:
        return bool(self._called and self._toolset and not self._toolset.parallel)

    def _sift(self, pieces: Iterable[Piece]) -> Iterator[Out]:
        for kind, text in pieces:
            match kind:
                case "text":
                    yield from self._text(text)
                case "call":
                    yield from self._call(text)
                case "arguments":
                    yield from self._pass(("arguments", text))
                case "end":
                    yield from self._end_call(text)
                case "stray":
                    self._faults.append(Fault("unknown_tool", text[:LONGEST_NAME]))
                case "over":
                    self._complete = True

    def _text(self, text: str) -> Sequence[Out]:
        if self.holds:
            self._held.append(text)
            return ()
        if self._filter is not None:
            text = self._filter.feed(text)
            self._json.append(text)
        return [("text", text)] if text else ()

    def _call(self, name: str) -> Iterator[Out]:
        tool = self._toolset.get(name) if self._toolset else None
        if tool is not None and tool.strict:
            self._strict = [("call", name)]
            return
        yield from self._made()
        yield "call", name

    def _pass(self, piece: Out) -> Sequence[Out]:
        if self._strict is None:
            return [piece]
        self._strict.append(piece)
        return ()

    def _end_call(self, what: str) -> Iterator[Out]:
        held, self._strict = self._strict, None
        if held is None:
            return
        name = held[0][1]
        tool = self._toolset.get(name) if self._toolset else None
        if what and tool is not None:
            arguments = completed("".join(text for _, text in held[1:]), tool.parameters)
            held[1:] = [("arguments", arguments)]
            what = unfit(arguments, tool.parameters)
        if what:
            self._faults.append(Fault("arguments", name, what))
            return
        yield from self._made()
        yield from held

    def _made(self) -> Iterator[Out]:
        """A call leaves, and before it the text that waited for one."""
        self._called += 1
        if not self._holds_json and self._held:
            held, self._held = "".join(self._held), []
            yield "text", held
