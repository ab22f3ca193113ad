"""What a run asks of a person, and what the person answers (Dify 1.14 and later)."""

# ruff: noqa: RUF012  pydantic copies the defaults of fields

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field, JsonValue, model_validator

from ._model import Many, Model, Text, is_object

__all__ = [
    "FormAction",
    "FormInput",
    "FormSource",
    "HumanInputAnswer",
    "HumanInputForm",
    "PauseReason",
    "PausedData",
]


class FormSource(Model):
    """Where a value of a form comes from: `value` as it is ("constant"), or the variable `selector`."""

    type: Literal["constant", "variable"] | str = ""
    selector: Many[str] = []
    value: str | list[str] | None = None


class FormInput(Model):
    """A field of a form."""

    type: Literal["paragraph", "select", "file", "file-list"] | str = ""
    output_variable_name: Text = ""
    """The name of its value in the answer."""
    default: FormSource | None = None
    """Of a paragraph. What it comes to is in the form's `resolved_default_values`."""
    option_source: FormSource | None = None
    """Of a select."""
    allowed_file_types: Many[str] = []
    allowed_file_extensions: Many[str] = []
    allowed_file_upload_methods: Many[str] = []
    number_limits: int | None = None
    """The most files of a file-list."""


class FormAction(Model):
    """A button of a form. `id` is what is answered."""

    id: str
    title: Text = ""
    button_style: Literal["primary", "default", "accent", "ghost"] | str = ""


class HumanInputForm(Model):
    """A form that a run waits for."""

    form_id: str | None = None
    """As is `node_id`: not in the answer of `human_input.form`."""
    form_token: str | None = Field(default=None, repr=False)
    """What the form is read and submitted with: a secret, since whoever has it can. `None` where the form is
    shown elsewhere, as by e-mail, and only there can be submitted."""
    node_id: str | None = None
    node_title: Text = ""
    form_content: Text = ""
    """Markdown. The variables in it are filled in."""
    inputs: Many[FormInput] = []
    actions: Many[FormAction] = []
    display_in_ui: bool | None = None
    resolved_default_values: dict[str, JsonValue] | None = None
    """What to show in the fields at first, by `output_variable_name`."""
    expiration_time: int | None = None
    """When it can no longer be submitted, in seconds since 1970."""

    @model_validator(mode="before")
    @classmethod
    def _one_name_for_actions(cls, value: Any) -> Any:  # Any: what pydantic gives and takes here
        # Events call them actions, the form itself user_actions.
        if is_object(value) and "user_actions" in value:
            return {**value, "actions": value["user_actions"]}
        return value


class PauseReason(HumanInputForm):
    """Why a run waits. With `TYPE` "human_input_required" it is a form; others have fields of their own."""

    TYPE: Text = ""


class PausedData(Model):
    """A run that waits."""

    workflow_run_id: str | None = None
    paused_nodes: Many[str] = []
    outputs: dict[str, JsonValue] | None = None
    reasons: Many[PauseReason] = []
    status: Literal["paused"] | str = "paused"
    created_at: int | None = None
    elapsed_time: float | None = None
    total_tokens: int | None = None
    total_steps: int | None = None

    @property
    def forms(self) -> list[PauseReason]:
        """The forms that it waits for."""
        return [reason for reason in self.reasons if reason.TYPE == "human_input_required"]


@dataclass(frozen=True, slots=True)
class HumanInputAnswer:
    """What a person answered: the button, by its id, and the fields by their names.

    A paragraph and a select take a text, a file an item such as a message's `files` has, a file-list a list
    of them.

    >>> HumanInputAnswer(action="approve", inputs={"comment": "Looks good."}).action
    'approve'
    """

    action: str
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
