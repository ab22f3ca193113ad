"""Forms of a paused run as calls of `human_input`, and tool messages as answers to forms. Pure.

A run that waits for a person is told as an assistant who calls a function of this name: its arguments are the
form. Who sends the result of the call answers the form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NotRequired, TypedDict, cast

from msgspec import structs
from pydantic import JsonValue
from pydantic_core import from_json, to_json

from opendify import APIStatusError
from opendify.gateway.attachments import KINDS, Attachment, Remote, read_file
from opendify.gateway.calls import HUMAN
from opendify.gateway.conversation import Conversation
from opendify.gateway.errors import DO_NOT_RETRY, OpenAIError, invalid
from opendify.gateway.tools.definitions import Toolset
from opendify.gateway.wire import Message, ToolCall
from opendify.types import FormInput, HumanInputAnswer, HumanInputForm

FUNCTION = "human_input"
"""The name of the function. Clients that refuse a call of what they didn't define define one of this name."""

PAUSING_MODES = frozenset({"advanced-chat", "workflow"})
"""Modes of apps that may wait for a person (Dify 1.14 and later)."""

# Where a web page would show a field within the text.
_FIELD = re.compile(r"\{\{#\$output\.([^#{}]+)#\}\}")


class Field(TypedDict):
    """A field of a form: `paragraph` and `select` take a text, `file` a file, `file-list` a list of files."""

    name: str
    type: str
    default: NotRequired[JsonValue]
    options: NotRequired[list[str]]
    allowed_file_types: NotRequired[list[str]]
    allowed_file_extensions: NotRequired[list[str]]
    number_limits: NotRequired[int]


class Option(TypedDict):
    """A button of a form."""

    id: str
    title: str


class Arguments(TypedDict):
    """What a call of `human_input` tells."""

    title: str
    question: str
    fields: list[Field]
    choices: list[Option]
    expires_at: str | None
    answer_with: dict[str, object]


@dataclass(frozen=True, slots=True)
class Reply:
    """A tool message that answers a form.

    Attributes:
        call_id: Which call's result it is.
        where: Its place in the request, for messages.
    """

    call_id: str
    text: str
    where: str


# ── Out ──────────────────────────────────────────────────────────────────────────────────────────────


def arguments(form: HumanInputForm) -> str:
    """The arguments of the call that asks for a form, as JSON.

    >>> from opendify.types import FormAction
    >>> form = HumanInputForm(form_content="Send it?", actions=[FormAction(id="send", title="Send")])
    >>> from_json(arguments(form))["choices"]
    [{'id': 'send', 'title': 'Send'}]
    """
    until = form.expiration_time
    told: Arguments = {
        "title": form.node_title,
        "question": _FIELD.sub(r"[\1]", form.form_content),
        "fields": [_field(field, form) for field in form.inputs],
        "choices": [{"id": action.id, "title": action.title or action.id} for action in form.actions],
        "expires_at": None if until is None else datetime.fromtimestamp(until, UTC).isoformat(),
        "answer_with": {
            "action": form.actions[0].id if form.actions else "",
            "inputs": {field.output_variable_name: _example(field, form) for field in form.inputs},
        },
    }
    return to_json(told).decode()


def _field(field: FormInput, form: HumanInputForm) -> Field:
    told: Field = {"name": field.output_variable_name, "type": field.type}
    default = _default(field, form)
    if default is not None:
        told["default"] = default
    if options := _options(field):
        told["options"] = options
    if field.type in _FILES:
        told["allowed_file_types"] = list(field.allowed_file_types)
        if field.allowed_file_extensions:
            told["allowed_file_extensions"] = list(field.allowed_file_extensions)
        if field.number_limits is not None:
            told["number_limits"] = field.number_limits
    return told


def _example(field: FormInput, form: HumanInputForm) -> object:
    default, options = _default(field, form), _options(field)
    if default is not None:
        return default
    if options:
        return options[0]
    return {"file": "https://…", "file-list": ["https://…"]}.get(field.type, "…")


def _default(field: FormInput, form: HumanInputForm) -> JsonValue:
    """What stands in a field at first; None for nothing."""
    resolved = (form.resolved_default_values or {}).get(field.output_variable_name)
    if resolved is None and field.default is not None and field.default.type == "constant":
        return cast("JsonValue", field.default.value)  # a list of texts is JSON, too
    return resolved


def _options(field: FormInput) -> list[str]:
    """What a select takes; empty if a variable holds that, for then Dify alone knows."""
    source = field.option_source
    return list(source.value) if source is not None and isinstance(source.value, list) else []


def for_the_model(toolset: Toolset | None, mode: str) -> Toolset | None:
    """The tools without one that a client defines only to be called by us: no model should call it.

    >>> from opendify.gateway.tools.definitions import Tool
    >>> for_the_model(Toolset([Tool("human_input")], frozenset({"human_input"})), "workflow") is None
    True
    """
    if toolset is None or mode not in PAUSING_MODES:
        return toolset
    if toolset.required and toolset.allowed == frozenset({FUNCTION}):
        return toolset  # the client wants the model to call it
    tools = [tool for tool in toolset.tools if tool.name != FUNCTION]
    if len(tools) == len(toolset.tools):
        return toolset
    return replace(toolset, tools=tools, allowed=toolset.allowed - {FUNCTION}) if tools else None


def in_words(conversation: Conversation) -> Conversation:
    """The same as a model is told of it: forms were asked, and answered by a person, but not by its calls.

    >>> from opendify.gateway.conversation import read
    >>> from opendify.gateway.wire import FunctionCall
    >>> call = ToolCall("call_human_1", FunctionCall("human_input", '{"question": "Send it?"}'))
    >>> chat = read([Message("user", "Hi"), Message("assistant", "Dear Bob", tool_calls=[call]),
    ...              Message("tool", "send", tool_call_id="call_human_1"), Message("user", "And now?")])
    >>> [(message.role, message.text) for message in in_words(chat).history]
    [('user', 'Hi'), ('assistant', 'Dear Bob\\n\\nSend it?'), ('person', 'send')]
    """
    if not conversation.results and (not conversation.history or conversation.plain):
        return conversation
    said = (*conversation.history, *conversation.results)
    tools = [message for message in said if message.tool_calls or message.tool_call_id]
    if not any(_is_answer(message) or any(map(_asks, message.tool_calls or ())) for message in tools):
        return conversation
    places = dict(zip(map(id, conversation.new), conversation.places, strict=True))
    results = [result for result in conversation.results if not _is_answer(result)]
    answers = [_spoken(result) for result in conversation.results if _is_answer(result)]
    left = structs.replace(
        conversation,
        history=[*map(_spoken, conversation.history), *answers],
        results=results,
    )
    return structs.replace(left, places=[places[id(message)] for message in left.new])


def _is_answer(message: Message) -> bool:
    return message.tool_call_id is not None and message.tool_call_id.startswith(HUMAN)


def _asks(call: ToolCall) -> bool:
    return call.id.startswith(HUMAN)


def _spoken(message: Message) -> Message:
    if _is_answer(message):
        return Message("person", message.text)
    calls = message.tool_calls or []
    questions = [_question(call.function.arguments) for call in calls if _asks(call)]
    if not questions:
        return message
    text = "\n\n".join(filter(None, [message.text, *questions]))
    return Message(message.role, text, tool_calls=[call for call in calls if not _asks(call)] or None)


def _question(told: str) -> str:
    """What a call asked; empty if a client has changed its arguments to something else."""
    try:
        asked: object = from_json(told)
    except ValueError:
        return ""
    question = cast("dict[str, object]", asked).get("question") if isinstance(asked, dict) else None
    return question if isinstance(question, str) else ""


# ── In ───────────────────────────────────────────────────────────────────────────────────────────────


def replies(conversation: Conversation) -> Sequence[Reply]:
    """The answers to forms among what a request says newly.

    >>> from opendify.gateway.conversation import read
    >>> from opendify.gateway.wire import FunctionCall
    >>> call = ToolCall("call_human_1", FunctionCall("human_input"))
    >>> replies(read([Message("user", "Hi"), Message("assistant", tool_calls=[call]),
    ...               Message("tool", "approve", tool_call_id="call_human_1")]))
    [Reply(call_id='call_human_1', text='approve', where='messages[2].content')]
    """
    return [
        Reply(result.tool_call_id, result.text, f"messages[{place}].content")
        for result, place in zip(conversation.results, conversation.places, strict=False)
        if result.tool_call_id and _is_answer(result)
    ]


def answer(form: HumanInputForm, reply: Reply) -> HumanInputAnswer:
    """What a person answered. Files stand in its inputs as attachments, to be uploaded.

    Understood are what the call shows (``{"action": …, "inputs": {…}}``), the same without levels
    (``{"choice": …, "remark": …}``), a choice's id or title alone, and a text alone for a form with one
    choice and one text field. What is not given stays as the form has it.

    Raises:
        OpenAIError: 400 that names the choices and fields. It quotes nothing that the person said.

    >>> from opendify.types import FormAction
    >>> form = HumanInputForm(actions=[FormAction(id="yes", title="Oh yes"), FormAction(id="no")])
    >>> answer(form, Reply("call_human_1", "oh YES", "messages[2].content")).action
    'yes'
    """
    action, given = _read(form, reply)
    inputs: dict[str, object] = {}
    missing: list[str] = []
    for field in form.inputs:
        name = field.output_variable_name
        value = given.pop(name, None)
        if value is None:
            value = _default(field, form)
        if value is None and field.type == "file-list":
            value = []
        if value is None:
            missing.append(name)
        else:
            inputs[name] = _VALUES.get(field.type, _as_it_is)(field, value, form, reply)
    if given:
        raise _misfit(f"The form has no field {_list(given)}.", form, reply)
    if missing:
        raise _misfit(f"The form also needs {_list(missing)}.", form, reply)
    return HumanInputAnswer(action, inputs)


def _read(form: HumanInputForm, reply: Reply) -> tuple[str, dict[str, object]]:
    """The choice, and the values that are given."""
    text = reply.text.strip()
    try:
        said: object = from_json(text)
    except ValueError:
        if text.startswith(("{", "[")):
            raise _misfit("The answer begins like JSON and is none.", form, reply) from None
        said = text
    if isinstance(said, dict):
        return _read_object(cast("dict[str, object]", said), form, reply)  # keys of JSON are texts
    return _read_text(said if isinstance(said, str) else text, form, reply)


def _read_object(
    said: dict[str, object], form: HumanInputForm, reply: Reply
) -> tuple[str, dict[str, object]]:
    given = dict(said)
    named = given.pop(next((name for name in ("action", "choice") if name in given), ""), None)
    inputs = given.get("inputs")
    if isinstance(inputs, dict):
        del given["inputs"]
        given |= cast("dict[str, object]", inputs)  # keys of JSON are texts
    if named is None and len(form.actions) == 1:
        return form.actions[0].id, given
    action = _action(named, form)
    if action is None:
        raise _misfit("The answer names none of the form's choices.", form, reply)
    return action, given


def _read_text(text: str, form: HumanInputForm, reply: Reply) -> tuple[str, dict[str, object]]:
    if action := _action(text, form):
        return action, {}
    texts = [field.output_variable_name for field in form.inputs if field.type == "paragraph"]
    if not text or len(texts) != 1 or len(form.actions) != 1:
        raise _misfit("The answer is none of the form's choices.", form, reply)
    return form.actions[0].id, {texts[0]: text}


def _action(named: object, form: HumanInputForm) -> str | None:
    """A choice by its id or title, at best exactly."""
    wanted = named.strip() if isinstance(named, str) else ""
    if not wanted:
        return None
    names = [(action.id, action.id) for action in form.actions]
    names += [(action.title.strip(), action.id) for action in form.actions]
    alike = [
        *(found for name, found in names if name == wanted),
        *(found for name, found in names if name.casefold() == wanted.casefold()),
    ]
    return alike[0] if alike else None


_Value = Callable[[FormInput, object, HumanInputForm, Reply], object]


def _as_it_is(field: FormInput, value: object, form: HumanInputForm, reply: Reply) -> object:
    return value


def _paragraph(field: FormInput, value: object, form: HumanInputForm, reply: Reply) -> object:
    if isinstance(value, (dict, list)):
        raise _misfit(f"'{field.output_variable_name}' takes a text.", form, reply)
    return value if isinstance(value, str) else to_json(value).decode()


def _select(field: FormInput, value: object, form: HumanInputForm, reply: Reply) -> object:
    text = _paragraph(field, value, form, reply)
    options = _options(field)
    if not options or text in options:
        return text
    alike = [option for option in options if option.casefold() == str(text).strip().casefold()]
    if not alike:
        raise _misfit(f"'{field.output_variable_name}' takes one of {_list(options)}.", form, reply)
    return alike[0]


def _file(field: FormInput, value: object, form: HumanInputForm, reply: Reply) -> object:
    files = _files(field, value, form, reply)
    if len(files) != 1:
        raise _misfit(f"'{field.output_variable_name}' takes one file.", form, reply)
    return files[0]


def _files(field: FormInput, value: object, form: HumanInputForm, reply: Reply) -> list[Attachment]:
    name, limit = field.output_variable_name, field.number_limits
    given = cast("list[object]", value) if isinstance(value, list) else [value]  # whatever JSON has
    if limit is not None and len(given) > limit:
        raise _misfit(f"'{name}' takes at most {limit} files.", form, reply)
    found = [read_file(one, f"{reply.where}.{name}") for one in given]
    only = next((kind for kind in KINDS if field.allowed_file_types == [kind]), None)
    return [
        # an address need not tell what is there
        replace(one, type=only) if only and isinstance(one, Remote) and one.type == "custom" else one
        for one in found
    ]


_FILES = ("file", "file-list")
_VALUES: Mapping[str, _Value] = {
    "paragraph": _paragraph,
    "select": _select,
    "file": _file,
    "file-list": _files,
}


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────────────


def unknown(reply: Reply, model: str) -> OpenAIError:
    """There is no such form, or it is somebody else's."""
    return OpenAIError(
        404,
        f"No form of model '{model}' waits for you under this id. A gateway that keeps its store in memory "
        "forgets its forms when it ends. Ask again to get a new one.",
        code="human_input_not_found",
        param=reply.where.removesuffix(".content") + ".tool_call_id",
    )


def refused(
    error: APIStatusError, reply: Reply, form: HumanInputForm | None, model: str
) -> OpenAIError | None:
    """What the client is told when Dify refuses to show a form (which is None then), or to take its answer.

    None for a refusal that has nothing to do with forms.
    """
    match error.code:
        case "human_input_form_submitted":
            return submitted(reply)
        case "human_input_form_expired":
            return OpenAIError(
                409,
                "This form has expired: nobody answered it in time, and the run went on without an answer.",
                code="human_input_expired",
                param=reply.where,
                headers=DO_NOT_RETRY,
            )
        case "invalid_form_data" if form is not None:
            return _misfit(f"Dify does not take this answer: {error.message.rstrip('.')}.", form, reply)
        case "not_found" | "human_input_form_not_found":
            return unknown(reply, model)
        case _:
            return None


def elsewhere(forms: Sequence[HumanInputForm]) -> OpenAIError:
    """The run waits for what nobody can give here: forms that are delivered by e-mail alone, or no form."""
    if not forms:
        what = "The run has paused, and waits for something else than a person's answer."
    else:
        what = (
            f"The run waits for the form '{forms[0].node_title}', which nobody can answer here, as its node "
            "does not deliver it to the WebApp. Whoever makes the app can let it do so, too."
        )
    return OpenAIError(501, what, type="api_error", code="human_input_elsewhere", headers=DO_NOT_RETRY)


def submitted(reply: Reply) -> OpenAIError:
    """Somebody was quicker."""
    return OpenAIError(
        409,
        "This form was submitted already, so the run went on with that answer. A form takes one.",
        code="human_input_submitted",
        param=reply.where,
        headers=DO_NOT_RETRY,
    )


def _misfit(what: str, form: HumanInputForm, reply: Reply) -> OpenAIError:
    """The answer is not one of this form, which stays open."""
    choices = ", ".join(
        f"'{action.id}'" + (f" ({action.title})" if action.title not in ("", action.id) else "")
        for action in form.actions
    )
    fields = ", ".join(_described(field) for field in form.inputs) or "none"
    return invalid(
        f"{what} Choices: {choices}. Fields: {fields}. The form still waits; 'answer_with' of its call shows "
        "an answer.",
        reply.where,
        code="invalid_human_input",
    )


def _described(field: FormInput) -> str:
    takes = f": {', '.join(options)}" if (options := _options(field)) else ""
    return f"'{field.output_variable_name}' ({field.type}{takes})"


def _list(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(f"'{name[:64]}'" for name in names)
