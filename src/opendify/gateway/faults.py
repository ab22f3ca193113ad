"""What can be wrong with a model's answer that a request wanted to be more than text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from opendify.gateway.errors import DO_NOT_RETRY, OpenAIError
from opendify.gateway.tools.prompt import Mistake

FaultKind = Mistake | Literal["json"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an answer can't be handed over as it is.

    Attributes:
        name: The tool that was called.
        what: For arguments and JSON, where and what: never the values themselves, which are people's texts.
    """

    kind: FaultKind
    name: str = ""
    what: str = ""


_ERRORS: Mapping[FaultKind, tuple[str, str]] = {
    "no_call": ("tool_call_missing", "was asked to call a tool, and answered in words"),
    "unknown_tool": ("unknown_tool_called", "called a tool that it may not call: '{name}'"),
    "arguments": (
        "invalid_tool_arguments",
        "called '{name}' with arguments that don't fit its schema: {what}",
    ),
    "json": ("invalid_structured_output", "gave an answer that does not fit 'response_format': {what}"),
}


def refusal(fault: Fault, model: str) -> OpenAIError:
    """What the client is told of a fault that remained.

    >>> refusal(Fault("json", what="$.age: is not of type 'integer'"), "Support").message
    "Model 'Support' gave an answer that does not fit 'response_format': $.age: is not of type 'integer'."
    """
    code, said = _ERRORS[fault.kind]
    return OpenAIError(
        502,
        f"Model '{model}' {said.format(name=fault.name, what=fault.what)}.",
        type="api_error",
        code=code,
        headers=DO_NOT_RETRY,  # the gateway has asked again itself
    )
