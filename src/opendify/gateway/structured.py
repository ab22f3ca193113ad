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


class JsonFilter:
    """JSON in text that comes in pieces."""

    def __init__(self, response_format: ResponseFormat) -> None:
        self._format = response_format

    def feed(self, text: str) -> str:
        """A piece in; what of it is JSON out."""
        return text

    def flush(self) -> str:
        """The text is at its end: the rest."""
        return ""


def extract(text: str, response_format: ResponseFormat) -> str:
    """The JSON in an answer."""
    return text.strip()


def fault(response_format: ResponseFormat, text: str) -> str | None:
    """Where and why an answer does not fit; None if it does."""
    try:
        msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return "$: no JSON in the answer"
    return None


def workflow_json(outputs: Mapping[str, object], text: str, response_format: ResponseFormat) -> str:
    """The JSON that a workflow put out."""
    return msgspec.json.encode(outputs).decode()


def instructions(response_format: ResponseFormat, *, chinese: bool) -> str:
    """What the model is told of the answer's form."""
    return "只用 JSON 回答。" if chinese else "Answer in JSON."


def correction(fault: str, response_format: ResponseFormat, *, chinese: bool) -> str:
    """What it is told of an answer that does not fit."""
    return f"{fault}。请只用 JSON 回答。" if chinese else f"{fault}. Answer in JSON."
