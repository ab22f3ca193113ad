"""One call that is being read: its arguments go out as they are certain. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, cast

from opendify.gateway.tools.definitions import Tool
from opendify.gateway.tools.fitting import Place, dumps, fit, kind_of, loads, place, unfit
from opendify.gateway.tools.repair import closed
from opendify.gateway.tools.tape import Tape

Kind = Literal["text", "call", "arguments", "end", "stray", "over"]
Piece = tuple[Kind, str]
"""What was read: ``("text", s)`` for the client; ``("call", name)``, then ``("arguments", s)`` that joined
are one object of canonical JSON, then ``("end", fault)``, empty if they fit the tool's schema; ``("stray",
name)``, a call of no tool that may be called; ``("over", "")``: nothing after this is wanted."""
_MOST_WRAPPED = 2
"""How often arguments may be put into a string: some models do it to the string, too."""


class Call:
    """A call that is being read."""

    def __init__(
        self,
        tape: Tape,
        name: str,
        tool: Tool | None,
        emit: Callable[[Kind, str], None],
        repaired: Callable[[str], object],
    ) -> None:
        self.known = tool is not None
        self.where: Place = place(tool.parameters if tool else {})
        self._tape = tape
        self._name = name
        self._tool = tool
        self._emit = emit
        self._repaired = repaired
        self._written: list[str] = []
        self._doubtful: list[str] = []
        self._no_object = False

    def begin(self) -> None:
        """The name is known."""
        if self._tool:
            self._emit("call", self._name)

    def write(self, text: str) -> None:
        """A bit of canonical JSON; it waits while it is not sure that the call has not ended."""
        if self._tape.doubt is not None:
            self._doubtful.append(text)
            return
        if self._doubtful:
            self._settle()
        if not text:
            return
        self._written.append(text)
        if self._tool:
            self._emit("arguments", text)

    def _settle(self) -> None:
        if self._doubtful:
            text = "".join(self._doubtful)
            self._doubtful.clear()
            self._written.append(text)
            if self._tool:
                self._emit("arguments", text)

    def complete(self, value: object) -> None:
        """The whole arguments are known now: what is not yet written of them."""
        self._doubtful.clear()
        written = "".join(self._written)
        for _ in range(_MOST_WRAPPED):
            if isinstance(value, str):
                value = self._repaired(value) if value.strip() else {}
        self._no_object = value is not None and kind_of(value) != "object"
        try:
            text = "" if self._no_object or value is None else dumps(fit(value, self.where))
        except RecursionError:
            text = ""
        self.write(text.removeprefix(written) if text.startswith(written) and text else closed(written))

    def familiar(self) -> bool:
        """Whether the arguments are an object, and one of them is the tool's, if it has any by name.

        The definition of a tool is none: its members are those of a schema.
        """
        if self._no_object or not self._tool:
            return not self._no_object
        properties = self._tool.parameters.get("properties")
        given = loads("".join((*self._written, *self._doubtful)) or "{}")
        if not (given and properties and isinstance(given, dict) and isinstance(properties, Mapping)):
            return True
        return any(name in properties for name in cast("dict[str, object]", given))

    def end(self) -> None:
        """The call is read, and its arguments are checked."""
        self._settle()
        if not self._written:
            self.write("{}")
        if self._tool is None:
            self._emit("stray", self._name)
        elif self._no_object:
            self._emit("end", "$: it is no object")
        else:
            self._emit("end", unfit("".join(self._written), self._tool.parameters))
