"""The calls of one choice on their way to the client: in chunks of a stream, or in a plain answer. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import getrandbits

from opendify.gateway.wire import (
    CalledFunction,
    CalledTool,
    FinishReason,
    Frames,
    FunctionCall,
    Message,
    ToolCall,
)


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    arguments: list[str] = field(default_factory=list[str])


class Calls:
    """Collects the calls of a choice, and in a stream gives their chunks.

    Args:
        legacy: The client speaks of `functions`: one call, in `function_call`.

    >>> calls = Calls()
    >>> calls.begin("now", None), calls.add("{}", None)
    (b'', b'')
    >>> [called["function"] for called in calls.tool_calls]
    [{'name': 'now', 'arguments': '{}'}]
    """

    __slots__ = ("_legacy", "_made")

    def __init__(self, *, legacy: bool = False) -> None:
        self._legacy = legacy
        self._made: list[_Call] = []

    def __bool__(self) -> bool:
        return bool(self._made)

    @property
    def finish_reason(self) -> FinishReason:
        """How an answer with these calls ends."""
        return "function_call" if self._legacy else "tool_calls"

    @property
    def tool_calls(self) -> list[CalledTool]:
        """All of them, in order."""
        return [{"id": call.id, "type": "function", "function": _function(call)} for call in self._made]

    @property
    def function_call(self) -> CalledFunction | None:
        """The one call of a client that speaks of `functions`; None for others."""
        return _function(self._made[0]) if self._legacy else None

    def begin(self, name: str, frames: Frames | None, *, call_id: str = "") -> bytes:
        """A call begins.

        Args:
            frames: Of the stream; None where there is none.
            call_id: What its result will be known by; a new random id where it has none yet. With an id of
                its own it is told as one of `tool_calls` to every client, for a `function_call` has none.
        """
        self._legacy = self._legacy and not call_id
        call = _Call(call_id or new_id(), name)
        self._made.append(call)
        if frames is None:
            return b""
        if self._legacy:
            return frames.function_call(name)
        return frames.call(len(self._made) - 1, call.id, name)

    def add(self, fragment: str, frames: Frames | None) -> bytes:
        """A piece of the arguments of the call that began last."""
        self._made[-1].arguments.append(fragment)
        if frames is None:
            return b""
        if self._legacy:
            return frames.function_arguments(fragment)
        return frames.arguments(len(self._made) - 1, fragment)

    def message(self, text: str) -> Message:
        """The whole answer as its client will send it back."""
        called = [ToolCall(call.id, FunctionCall(**_function(call))) for call in self._made]
        if self._legacy and called:
            return Message("assistant", text, function_call=called[0].function)
        return Message("assistant", text, tool_calls=called or None)


HUMAN = "call_human_"
"""How ids of calls begin that ask for a form: a lost form is not taken for a call of the model's."""

_ID = re.compile(rf"(call_|{HUMAN})[0-9a-f]{{24}}")


def new_id(prefix: str = "call_") -> str:
    """An id for a call: so random that it is nobody else's. It is no secret, so the kernel is not asked."""
    return f"{prefix}{getrandbits(96):024x}"


def is_ours(call_id: str) -> bool:
    """Whether an id looks like one of `new_id`, which stands for one call and no other.

    >>> is_ours(new_id()), is_ours("call_1")
    (True, False)
    """
    return _ID.fullmatch(call_id) is not None


def _function(call: _Call) -> CalledFunction:
    return {"name": call.name, "arguments": "".join(call.arguments)}
