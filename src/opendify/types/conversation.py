"""Conversations of an end user, and what a chatflow remembers in them."""

# ruff: noqa: RUF012  pydantic copies the defaults of fields

from __future__ import annotations

from ast import literal_eval
from typing import Any, Literal

from pydantic import JsonValue, TypeAdapter, ValidationError, model_validator

from ._model import Model, Text, Values, is_object

__all__ = ["Conversation", "ConversationVariable", "SortBy"]

SortBy = Literal["created_at", "-created_at", "updated_at", "-updated_at"]
"""By which time conversations are listed; with "-" the latest comes first."""


class Conversation(Model):
    """A conversation; what was said in it is told by `messages.list`."""

    id: str
    name: Text = ""
    inputs: Values = {}
    """The values of the app's form."""
    status: Literal["normal"] | str = "normal"
    introduction: Text = ""
    """What the app said before the first query."""
    created_at: int | None = None
    """Seconds since 1970."""
    updated_at: int | None = None
    """Seconds since 1970."""


class ConversationVariable(Model):
    """A variable of a chatflow, as it stands in one conversation.

    Dify writes every value as text. `value` is what the text says, by `value_type`: a number for "number",
    a list for "array[string]"; the text itself where it says nothing of that type.

    >>> ConversationVariable(id="1", name="seen", value_type="array[number]", value="[1, 2.5]").value
    [1, 2.5]
    """

    id: str
    name: str
    value_type: str = "string"
    """string, number, boolean, object, secret, file, or array[…] of them or of any."""
    value: JsonValue = None
    description: Text = ""
    created_at: int | None = None
    """Seconds since 1970."""
    updated_at: int | None = None
    """Seconds since 1970."""

    @model_validator(mode="before")
    @classmethod
    def _value_of_its_type(cls, told: Any) -> Any:  # Any: what pydantic gives and takes here
        if not is_object(told) or not isinstance(text := told.get("value"), str):
            return told
        return told | {"value": _value(str(told.get("value_type", "string")), text)}


_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)


def _value(value_type: str, text: str) -> JsonValue:
    """The value that a text stands for. Dify writes it as Python does (`{'a': True}`, 1.12), or as JSON."""
    if value_type in ("string", "secret"):
        return text
    try:
        return _JSON.validate_json(text)
    except ValidationError:
        pass
    try:
        return _JSON.validate_python(literal_eval(text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
