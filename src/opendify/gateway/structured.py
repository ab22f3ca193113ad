"""Answers that are JSON: what a request asks for in `response_format`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from opendify.gateway.errors import invalid


class _Schema(msgspec.Struct, frozen=True):
    name: str | None = None
    description: str | None = None
    schema: dict[str, object] | None = None
    strict: bool | None = None


class _Field(msgspec.Struct, frozen=True):
    type: str
    json_schema: _Schema | None = None


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """What JSON the answer must be.

    Attributes:
        kind: Any object, or what fits a schema.
        schema: The JSON schema; None for any object.
        strict: Nothing that does not fit may reach the client.
    """

    kind: Literal["json_object", "json_schema"]
    name: str = ""
    description: str = ""
    schema: Mapping[str, object] | None = None
    strict: bool = False


def response_format(field: Mapping[str, object]) -> ResponseFormat | None:
    """The field of a request; None if it asks for plain text.

    Raises:
        OpenAIError: 400 for what is no format.
    """
    try:
        asked = msgspec.convert(field, _Field)
    except msgspec.ValidationError as error:
        raise invalid(f"'response_format' can't be read: {error}.", "response_format") from None
    match asked.type:
        case "text":
            return None
        case "json_object":
            return ResponseFormat("json_object")
        case "json_schema" if (named := asked.json_schema) and named.schema is not None:
            return ResponseFormat(
                "json_schema", named.name or "", named.description or "", named.schema, named.strict is True
            )
        case _:
            raise invalid(
                "'response_format' takes the type 'text', 'json_object', or 'json_schema' with a "
                "'json_schema' that has a 'schema'.",
                "response_format",
            )
