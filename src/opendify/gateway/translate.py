"""An OpenAI request as a Dify call. Pure: no I/O, no clock, no settings.

The kind of call follows from the app's mode, its inputs from the form that the app publishes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from opendify.gateway.conversation import Conversation, said, seeded
from opendify.gateway.errors import OpenAIError, invalid
from opendify.types import AppParameters, FormField, InputFile

CallKind = Literal["chat", "completion", "workflow"]

KINDS: Mapping[str, CallKind] = {
    "chat": "chat",
    "advanced-chat": "chat",
    "agent-chat": "chat",
    "agent": "chat",
    "completion": "completion",
    "workflow": "workflow",
}
"""Which of Dify's three generation calls serves an app of a mode."""

TEXT_TYPES = frozenset({"text-input", "paragraph"})
FILE_TYPES = frozenset({"file", "file-list"})
SYSTEM_INPUTS = ("system", "system_prompt", "instructions")
"""Inputs that take the system prompt, if the app has one of them."""


@dataclass(frozen=True, slots=True)
class DifyCall:
    """One generation call, ready for the SDK.

    Attributes:
        query: What is asked; empty for completion and workflow apps, which take it as an input.
        inputs: Values for the app's form.
        files: Uploaded or remote files that stand beside the query.
        conversation_id: Where to go on; None starts a new conversation.
    """

    kind: CallKind
    query: str
    inputs: Mapping[str, object]
    files: Sequence[InputFile]
    conversation_id: str | None


def to_dify(
    conversation: Conversation,
    *,
    model: str,
    mode: str,
    parameters: AppParameters,
    inputs: Mapping[str, object],
    defaults: Mapping[str, object] = MappingProxyType({}),
    files: Sequence[InputFile],
    conversation_id: str | None,
    history: bool,
) -> DifyCall:
    """The call that asks a Dify app what a client asked a model.

    Args:
        conversation: What the client said.
        model: The model's name, for error messages.
        mode: The app's mode, from its ``/info``.
        parameters: The app's ``/parameters``: its form, and whether it takes files.
        inputs: Values that the request gives.
        defaults: Values for what it does not give, not even as its system prompt: the app's configured
            ones, and those that the conversation was last asked with.
        files: The request's files, as Dify takes them.
        conversation_id: Where to go on; None starts a new conversation.
        history: A new conversation is seeded with the earlier turns.

    Raises:
        OpenAIError: 400 if the app wants an input that nobody gave, or takes no such file.
    """
    kind = KINDS.get(mode)
    if kind is None:
        raise OpenAIError(
            501,
            f"Model '{model}' is a Dify app of mode '{mode}', which this gateway does not know.",
            type="api_error",
            code="unknown_app_mode",
        )
    form = parameters.user_input_form
    values = dict(defaults)
    system = conversation.system
    if system and (place := _system_input(form)):
        values[place] = system
        system = ""
    values |= inputs
    left = _place_files(form, values, files, beside=kind != "workflow" and takes_files(parameters))
    if left and not takes_files(parameters):
        raise invalid(f"Model '{model}' takes no file of type '{left[0]['type']}'.", "messages")
    if kind == "chat":
        query = _query(conversation, "" if conversation_id else system, history and not conversation_id)
    else:
        query = ""
        place = _text_input(form, values) or ("query" if kind == "completion" else None)
        if place:
            values.setdefault(place, said(conversation.question))
    for field in form:
        if field.default not in (None, "") and values.get(field.variable) in (None, ""):
            values[field.variable] = field.default
    _require(form, values, model)
    return DifyCall(kind, query, values, left, conversation_id)


def takes_files(parameters: AppParameters) -> bool:
    """Whether files may stand beside the query."""
    upload = parameters.file_upload
    return bool(upload and upload.enabled)


def _query(conversation: Conversation, system: str, history: bool) -> str:
    if history:
        text = seeded(conversation, system)
    else:
        question = said(conversation.question)
        text = f"{system}\n\n{question}" if system else question
    # Dify refuses an empty query and takes a blank one, which a picture without words needs (Dify 1.12.1)
    return text or " "


def _system_input(form: Sequence[FormField]) -> str | None:
    names = {field.variable for field in form if field.type in TEXT_TYPES}
    return next((name for name in SYSTEM_INPUTS if name in names), None)


def _text_input(form: Sequence[FormField], values: Mapping[str, object]) -> str | None:
    """The input that the question belongs in: the one required text input, else ``query``, else the first."""
    texts = [field for field in form if field.type in TEXT_TYPES and field.variable not in values]
    required = [field.variable for field in texts if field.required]
    if len(required) == 1:
        return required[0]
    names = [field.variable for field in texts]
    return "query" if "query" in names else next(iter(names), None)


def _place_files(
    form: Sequence[FormField], values: dict[str, object], files: Sequence[InputFile], *, beside: bool
) -> list[InputFile]:
    """Put files into the form's file inputs; what is left stands beside the query.

    Where files can stand beside the query, only required inputs are filled.
    """
    left = list(files)
    for field in _open_file_inputs(form, values, required_only=beside):
        allowed = field.allowed_file_types
        fitting = [file for file in left if not allowed or file["type"] in allowed or "custom" in allowed]
        chosen = fitting[: 1 if field.type == "file" else field.max_length or None]
        if chosen:
            values[field.variable] = chosen[0] if field.type == "file" else chosen
            left = [file for file in left if not any(file is taken for taken in chosen)]
    return left


def _open_file_inputs(
    form: Sequence[FormField], values: Mapping[str, object], *, required_only: bool
) -> Iterator[FormField]:
    for field in form:
        if (
            field.type in FILE_TYPES
            and field.variable not in values
            and (field.required or not required_only)
        ):
            yield field


def _require(form: Sequence[FormField], values: Mapping[str, object], model: str) -> None:
    for field in form:
        if field.required and values.get(field.variable) in (None, ""):
            options = f", one of: {', '.join(field.options)}" if field.options else ""
            raise invalid(
                f"Model '{model}' needs the input '{field.variable}' ({field.type}{options}). "
                "Give it in 'inputs' of the request body, or as JSON in 'metadata.inputs'.",
                f"inputs.{field.variable}",
                code="missing_input",
            )
