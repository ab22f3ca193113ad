"""Calls of tools in a model's text: text in, text for the client and calls out. Pure."""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from pydantic_core import to_json

from opendify.gateway.tools.definitions import Toolset

Piece = tuple[Literal["text", "call", "arguments", "end", "stray", "over"], str]
"""Text for the client; a call's name, a piece of its arguments, its end with what doesn't fit; the name of
a call that may not be; the sign that nothing more is wanted."""

_TAGGED = re.compile(r"\s*<tool_call>(.*?)</tool_call>\s*", re.DOTALL)


class _Call(msgspec.Struct):
    name: str
    arguments: dict[str, object] = {}


class CallParser:
    """Finds calls in the text of one answer.

    Args:
        toolset: The tools that may be called.
    """

    def __init__(self, toolset: Toolset) -> None:
        self._toolset = toolset
        self._text: list[str] = []

    def feed(self, text: str) -> list[Piece]:
        """A piece of text in; what is known by now out."""
        self._text.append(text)
        return []

    def flush(self) -> list[Piece]:
        """The text is at its end: the rest."""
        out: list[Piece] = []
        for number, part in enumerate(_TAGGED.split("".join(self._text))):
            if number % 2 == 0:
                if part:
                    out.append(("text", part))
                continue
            try:
                call = msgspec.json.decode(part, type=_Call)
            except msgspec.MsgspecError:
                continue
            if self._toolset.get(call.name) is None:
                out.append(("stray", call.name))
            else:
                pieces: list[Piece] = [("call", call.name), ("arguments", to_json(call.arguments).decode())]
                pieces.append(("end", ""))
                out += pieces
        return out
