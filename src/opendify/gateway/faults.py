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


_TOOLS = "Fewer tools, plainer descriptions, another TOOL_PROMPT or a larger model may help."

_ERRORS: Mapping[FaultKind, tuple[str, str, str]] = {
    "no_call": ("tool_call_missing", "was asked to call a tool, and answered in words", _TOOLS),
    "unknown_tool": ("unknown_tool_called", "called a tool that it may not call: '{name}'", _TOOLS),
    "arguments": (
        "invalid_tool_arguments",
        "called '{name}' with arguments that don't fit its schema: {what}",
        _TOOLS,
    ),
    "json": (
        "invalid_structured_output",
        "gave an answer that does not fit 'response_format': {what}",
        "A simpler schema or a larger model may help.",
    ),
}


def refusal(fault: Fault, model: str) -> OpenAIError:
    """What the client is told of a fault that remained.

    >>> refusal(Fault("json", what="$: it is not an object"), "Support").message.partition(": ")[2]
    '$: it is not an object. A simpler schema or a larger model may help.'
    """
    code, said, advice = _ERRORS[fault.kind]
    return OpenAIError(
        502,
        f"Model '{model}' {said.format(name=fault.name, what=fault.what)}. {advice}",
        type="api_error",
        code=code,
        headers=DO_NOT_RETRY,  # the gateway has asked again itself
    )
