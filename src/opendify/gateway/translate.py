"""An OpenAI request as a Dify call. Pure: no I/O, no clock, no settings.

The kind of call follows from the app's mode, its inputs from the form that the app publishes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import msgspec
from msgspec.structs import replace

from opendify.gateway.conversation import Conversation, in_chinese
from opendify.gateway.errors import OpenAIError, invalid
from opendify.gateway.history import new, paragraphs, seeded
from opendify.gateway.settings import ToolPrompt
from opendify.gateway.tools import prompt
from opendify.gateway.tools.definitions import Toolset
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

TOOLS_INPUT = "tools"
"""The input that takes the definitions of tools, if the app has it."""


class DifyCall(msgspec.Struct, frozen=True):
    """One generation call, ready for the SDK.

    Attributes:
        query: What is asked; empty for completion and workflow apps, which take it as an input.
        inputs: Values for the app's form.
        files: Uploaded or remote files that stand beside the query.
        conversation_id: Where to go on; None starts a new conversation.
        text_input: The input in which a completion or workflow app is asked. None in a chat, and where the
            client gave all of the app's inputs itself.
        passing: Names of the inputs that hold for this turn alone.
    """

    kind: CallKind
    query: str
    inputs: Mapping[str, object]
    files: Sequence[InputFile]
    conversation_id: str | None
    text_input: str | None = None
    passing: frozenset[str] = frozenset()

    @property
    def lasting(self) -> Mapping[str, object]:
        """The inputs that later turns of the conversation fall back on."""
        if not self.passing:
            return self.inputs
        return {name: value for name, value in self.inputs.items() if name not in self.passing}


def background(
    conversation: Conversation, mode: str, toolset: Toolset | None, history: bool
) -> Conversation | None:
    """What goes into a new Dify conversation, its earlier turns with it; None if only what is new does.

    Args:
        conversation: What the client said.
        mode: The app's mode. Completion and workflow apps know no conversation, so with tools they are told
            all of it.
        toolset: The tools that the request brings.
        history: The app's memory wants the earlier turns told. Where it does not, results still come with
            what they are results of.
    """
    alone = KINDS.get(mode) != "chat" and (toolset is not None or bool(conversation.results))
    if history or alone:
        return conversation
    return conversation.exchange() if conversation.results else None


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
    toolset: Toolset | None = None,
    style: ToolPrompt = "tagged",
    told: bool = False,
    answer_format: str = "",
) -> DifyCall:
    """The call that asks a Dify app what a client asked a model.

    A new conversation hears the system prompt, of the tools, of the answer's form, what was said before, and
    what is new: results, then the question. One that goes on hears what is new, and before it what it has not
    been told of tools and the answer's form. An app with a text input ``tools`` has their definitions there.

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
        history: The earlier turns of ``conversation`` go along: what `background` said, or, in a conversation
            that goes on, the exchange that results belong to.
        toolset: The tools that the request brings.
        style: How the app's model writes calls, its setting ``tool_prompt``.
        told: The model was told of these very tools in this conversation: `prompt.digest` is the same. Then
            it hears only whether it may call, must call, and which. Means nothing without
            ``conversation_id``.
        answer_format: What the model is to be told of the answer's form; empty for nothing.

    Raises:
        OpenAIError: 400 if the app wants an input that nobody gave, takes no such file, or has no text input
            by which it could be told of tools.
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
    instructions, passing = answer_format, frozenset[str]()
    if toolset is not None:
        chinese = in_chinese(conversation)
        known = told and conversation_id is not None
        if TOOLS_INPUT in _text_names(form) and TOOLS_INPUT not in inputs:
            values[TOOLS_INPUT] = prompt.definitions(toolset, style, chinese=chinese)
            passing = frozenset({TOOLS_INPUT})
            known = True  # Dify fills a turn's inputs into the prompt, whatever earlier ones were (1.12.1)
        asked = prompt.reminder(toolset, chinese=chinese)
        tools = asked if known else prompt.instructions(toolset, style, chinese=chinese)
        instructions = paragraphs(tools, answer_format)
    left = _place_files(form, values, files, beside=kind != "workflow" and takes_files(parameters))
    if left and not takes_files(parameters):
        raise invalid(f"Model '{model}' takes no file of type '{left[0]['type']}'.", "messages")
    query, place = "", None
    if kind == "chat":
        query = _opening(conversation, "" if conversation_id else system, instructions, history, style)
        # Dify refuses an empty query and takes a blank one, which a picture without words needs (Dify 1.12.1)
        query = query or " "
    elif place := _text_input(form, values, kind):
        tells_all = toolset is not None or bool(conversation.results)
        if not (tells_all or answer_format):
            system = ""  # such an app has a prompt of its own
        values[place] = _opening(conversation, system, instructions, tells_all, style)
    elif toolset is not None:
        raise invalid(f"Model '{model}' takes no text by which it could be told of tools.", "tools")
    for field in form:
        if field.default not in (None, "") and values.get(field.variable) in (None, ""):
            values[field.variable] = field.default
    _require(form, values, model)
    return DifyCall(kind, query, values, left, conversation_id, place, passing)


def corrected(call: DifyCall, conversation_id: str | None, answer: str, correction: str) -> DifyCall | None:
    """The call that gives a model another chance, after an answer that can't be passed on.

    A chat goes on in the conversation, where its answer stands already. Completion and workflow apps are
    asked anew, with the answer and what is wrong with it behind what they were asked.

    Args:
        call: What was asked.
        conversation_id: The Dify conversation that the answer stands in; None if it stands in none.
        answer: All that the model wrote.
        correction: What it is told of that.

    Returns:
        None where the app takes no text, so that nothing can be said to it.

    >>> call = DifyCall("workflow", "", {"text": "Is it warm?"}, (), None, "text")
    >>> again = corrected(call, None, "Let me see.", "Your last reply called no tool.")
    >>> print(again.inputs["text"])
    Is it warm?
    <BLANKLINE>
    <reply>
    Let me see.
    </reply>
    <BLANKLINE>
    Your last reply called no tool.
    """
    if call.kind == "chat" and conversation_id:
        return replace(call, query=correction, files=(), conversation_id=conversation_id)
    reply = f"<reply>\n{answer}\n</reply>"
    if call.kind == "chat":
        return replace(call, query=paragraphs(call.query, reply, correction))
    if call.text_input is None:
        return None
    text = paragraphs(str(call.inputs[call.text_input]), reply, correction)
    return replace(call, inputs={**call.inputs, call.text_input: text})


def takes_files(parameters: AppParameters) -> bool:
    """Whether files may stand beside the query."""
    upload = parameters.file_upload
    return bool(upload and upload.enabled)


def _opening(
    conversation: Conversation, system: str, instructions: str, history: bool, style: ToolPrompt
) -> str:
    """What a chat or another app is told. Instructions stand before the history, not in it."""
    if not history:
        return paragraphs(system, instructions, new(conversation, style))
    if not instructions:
        return seeded(conversation, system, style)
    return paragraphs(system, instructions, seeded(conversation, "", style))


def _system_input(form: Sequence[FormField]) -> str | None:
    names = _text_names(form)
    return next((name for name in SYSTEM_INPUTS if name in names), None)


def _text_names(form: Sequence[FormField]) -> frozenset[str]:
    return frozenset(field.variable for field in form if field.type in TEXT_TYPES)


def _text_input(form: Sequence[FormField], values: Mapping[str, object], kind: CallKind) -> str | None:
    """The input that the question belongs in: the one required text input, else ``query``, else the first.

    Where there is another one, it is not the input for tools.
    """
    free = [field for field in form if field.type in TEXT_TYPES and field.variable not in values]
    texts = [field for field in free if field.variable != TOOLS_INPUT] or free
    required = [field.variable for field in texts if field.required]
    if len(required) == 1:
        return required[0]
    names = [field.variable for field in texts]
    if "query" in names or (not names and kind == "completion" and "query" not in values):
        return "query"
    return next(iter(names), None)


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
