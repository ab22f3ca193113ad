"""What a graph says while it runs: the texts of its answer or end nodes, in order and as soon as they can."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from opendify.simulator.nodes import Answer, End, HumanInput, Iteration, Loop, Node, Together
from opendify.simulator.turns import Turn
from opendify.simulator.variables import Selector, Variables, parts, selector
from opendify.simulator.wire import Step

_Segment = tuple[Selector, str | None]
"""Whose text it is, and the text; None for a variable that may still be unknown."""


class Saying:
    """The text that a run sends.

    As in Dify, a text is sent when all before it is: a plain text at once, a variable when its node has
    given it, a model's token by token. What stands behind an iteration, a loop or a form
    waits for its end.

    Args:
        turn: for the envelope of its events.
        graph: the nodes.
        variables: their outputs.
    """

    def __init__(self, turn: Turn, graph: Sequence[Node], variables: Variables) -> None:
        self._turn = turn
        self._variables = variables
        self._said: list[str] = []
        self._writers: dict[Selector, Callable[[str], bytes]] = {}
        self._waiting: deque[_Segment | None] = deque(_segments(graph))
        self.first: float | None = None
        """Seconds from the start of the turn to the first text."""

    @property
    def answer(self) -> str:
        """All that was said."""
        return "".join(self._said)

    def awaits(self, where: Selector) -> bool:
        """Is this variable the next to be said?"""
        return bool(self._waiting) and self._waiting[0] == (where, None)

    def had(self) -> None:
        """The variable that was awaited has been said, token by token."""
        self._waiting.popleft()

    def unlock(self) -> None:
        """An iteration or a loop is over, a form is filled: what stands behind it may be said."""
        self._waiting.remove(None)

    def branch(self, nodes: Sequence[Node]) -> None:
        """From here the graph goes on with other nodes."""
        self._waiting = deque(_segments(nodes))

    def flush(self) -> Iterator[Step]:
        """Say all that is known by now."""
        while self._waiting and self._waiting[0] is not None:
            where, text = self._waiting[0]
            if text is None:
                if not self._variables.knows(where):
                    return
                text = self._variables.text(where)
            self._waiting.popleft()
            if text:
                yield from self.say(where, text)

    def say(self, where: Selector, text: str, wait: float = 0.0) -> Iterator[Step]:
        """Send one piece of text, after so many seconds."""
        write = self._writers.get(where)
        if write is None:
            write = self._writers[where] = self._writer(list(where))
        yield wait, write(text)
        self._said.append(text)  # behind the yield: a run may be stopped while the piece waits
        if self.first is None:
            self.first = self._turn.seconds

    def _writer(self, where: list[str]) -> Callable[[str], bytes]:
        turn = self._turn
        if turn.message is None:
            return turn.envelope.delta(
                "text_chunk", lambda text: {"data": {"text": text, "from_variable_selector": where}}
            )
        return turn.envelope.delta(
            "message", lambda text: {"id": turn.message_id, "answer": text, "from_variable_selector": where}
        )


def _segments(graph: Sequence[Node]) -> Iterator[_Segment | None]:
    """What will be said; None where an iteration or a loop must be over first."""
    for node in graph:
        match node:
            case Iteration() | Loop() | HumanInput() | Together():
                yield None
            case Answer():
                for part in parts(node.answer):
                    yield ((node.id, "answer"), part) if isinstance(part, str) else (part, None)
            case End():
                for at, variable in enumerate(node.outputs.values()):
                    if at:  # Dify joins the outputs of an end node with newlines
                        yield (node.id, "answer"), "\n"
                    yield selector(variable), None
            case _:
                pass
