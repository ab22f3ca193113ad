"""Variables that a chatflow keeps from turn to turn of a conversation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

from opendify.simulator.wire import array

ValueType = Literal[
    "string",
    "number",
    "boolean",
    "object",
    "array[string]",
    "array[number]",
    "array[boolean]",
    "array[object]",
]

_EXPECTED = {"number": ("integer", "float")}
_PLAIN: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "float",
    dict: "object",
    type(None): "none",
}


@dataclass(slots=True)
class ConversationVariable:
    """A variable, as the app defines it and as a conversation has it: Dify gives both the same id.

    Args:
        value: what it is at first.
    """

    name: str
    value_type: ValueType = "string"
    value: object = ""
    description: str = ""
    id: str = field(default_factory=lambda: str(uuid4()))
    created_at: int = field(default_factory=lambda: int(time.time()))
    updated_at: int = field(default_factory=lambda: int(time.time()))

    def set(self, value: object) -> None:
        """Give it another value."""
        self.value = value
        self.updated_at = int(time.time())

    def mismatch(self, value: object) -> str | None:
        """Dify's sentence about a value of another type than the variable's; None if it fits.

        >>> ConversationVariable("n", "number").mismatch("5")
        "Type mismatch: variable 'n' expects number, but got string type"
        """
        found = type_of(value)
        if found in _EXPECTED.get(self.value_type, (self.value_type,)):
            return None
        if self.value_type.startswith("array") and array(value) == []:
            return None
        return f"Type mismatch: variable '{self.name}' expects {self.value_type}, but got {found} type"


def type_of(value: object) -> str:
    """The type of a value, in Dify's words.

    >>> type_of(5), type_of([1, 2.5]), type_of([{}, "a"])
    ('integer', 'array[number]', 'array[any]')
    """
    items = array(value)
    if items is None:
        return _PLAIN[type(value)]
    kinds = {"number" if kind in ("integer", "float") else kind for kind in map(type_of, items)}
    return f"array[{kinds.pop()}]" if len(kinds) == 1 else "array[any]"
