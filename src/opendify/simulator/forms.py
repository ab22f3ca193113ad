"""Forms of human-input nodes: what a person is asked, and what may be answered. Dify has them since 1.14.

Fields and sentences are those of Dify's source and reference.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

from opendify.simulator.files import TYPES
from opendify.simulator.nodes import FormInput, HumanInput, UserAction
from opendify.simulator.variables import parts
from opendify.simulator.wire import array, mapping


@dataclass(eq=False)
class Form:
    """One form that a run waits for.

    Args:
        node: asks for it.
        app_id: whose it is.
        task_id: of the run that waits, and its other id.
        content: the text with all filled in that is known; what is to be entered is `{{#$output.name#}}`.
        defaults: the texts that the fields begin with.
    """

    node: HumanInput
    app_id: str
    task_id: str
    workflow_run_id: str
    content: str
    defaults: Mapping[str, str]
    id: str = field(default_factory=lambda: str(uuid4()))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    began: float = field(default_factory=time.time)
    status: Literal["waiting", "submitted", "timeout"] = "waiting"
    action: UserAction | None = None
    entered: Mapping[str, object] = field(default_factory=lambda: dict[str, object]())
    filled: str = ""
    """The text with what was entered."""

    @property
    def expires_at(self) -> float:
        """Seconds since the epoch."""
        return self.began + self.node.timeout

    @property
    def open(self) -> bool:
        """Can it still be submitted?"""
        return self.status == "waiting" and time.time() < self.expires_at

    def mistake(self, action: str, entered: Mapping[str, object]) -> str | None:
        """What is wrong with a submission, in Dify's sentence; None if nothing is."""
        if action not in [known.id for known in self.node.actions]:
            return f"Invalid action: {action}"
        names = [wanted.output_variable_name for wanted in self.node.inputs]
        missing = [name for name in names if name not in entered]
        if missing:
            return f"Missing required inputs: {', '.join(missing)}"
        found = (_mistake(wanted, entered[wanted.output_variable_name]) for wanted in self.node.inputs)
        return next((mistake for mistake in found if mistake is not None), None)

    def submit(self, action: str, entered: Mapping[str, object]) -> None:
        """Take a submission that is right, files found."""
        self.status = "submitted"
        self.action = next(known for known in self.node.actions if known.id == action)
        self.entered = entered

    def required(self) -> dict[str, object]:
        """Data of human_input_required."""
        return {
            "form_id": self.id,
            "node_id": self.node.id,
            "node_title": self.node.title,
            "form_content": self.content,
            "inputs": self.inputs(),
            "actions": self.actions(),
            "display_in_ui": self.node.display_in_ui,
            "form_token": self.token if self.node.web_app else None,
            "resolved_default_values": self.defaults,
            "expiration_time": int(self.expires_at),
        }

    def definition(self) -> dict[str, object]:
        """The form as it is asked for with its token."""
        return {
            "form_content": self.content,
            "inputs": self.inputs(),
            "resolved_default_values": self.defaults,
            "user_actions": self.actions(),
            "expiration_time": int(self.expires_at),
        }

    def inputs(self) -> list[dict[str, object]]:
        """The fields."""
        return [_shown(wanted) for wanted in self.node.inputs]

    def actions(self) -> list[dict[str, object]]:
        """The buttons."""
        return [
            {"id": action.id, "title": action.title, "button_style": action.button_style}
            for action in self.node.actions
        ]

    def submission(self) -> dict[str, object]:
        """What became of it: the common part of the event and of the message's history."""
        return {
            "node_id": self.node.id,
            "node_title": self.node.title,
            "rendered_content": self.filled,
            "action_id": self.action.id if self.action else "",
            "action_text": self.action.title if self.action else "",
        }

    def remembered(self) -> dict[str, object]:
        """One of the `extra_contents` of a message."""
        submitted = self.status == "submitted"
        return {
            "workflow_run_id": self.workflow_run_id,
            "submitted": submitted,
            "type": "human_input",
            "form_definition": None if submitted else self.required(),
            "form_submission_data": self.submission() if submitted else None,
        }


def _shown(wanted: FormInput) -> dict[str, object]:
    shown: dict[str, object] = {"type": wanted.type, "output_variable_name": wanted.output_variable_name}
    match wanted.type:
        case "paragraph":
            return {**shown, "default": _default(wanted.default)}
        case "select":
            source = {"type": "constant", "selector": list[str](), "value": list(wanted.options)}
            return {**shown, "option_source": source}
        case _:
            files = {
                "allowed_file_types": list(wanted.allowed_file_types),
                "allowed_file_extensions": list[str](),
                "allowed_file_upload_methods": ["local_file", "remote_url"],
            }
            limit = {"number_limits": wanted.number_limits} if wanted.type == "file-list" else {}
            return {**shown, **files, **limit}


def _default(text: str) -> dict[str, object] | None:
    """A default is a text, or one variable: never both."""
    if not text:
        return None
    found = list(parts(text))
    if len(found) == 1 and not isinstance(found[0], str):
        return {"type": "variable", "selector": list(found[0]), "value": ""}
    return {"type": "constant", "selector": list[str](), "value": text}


def _mistake(wanted: FormInput, value: object) -> str | None:
    name = wanted.output_variable_name
    match wanted.type:
        case "paragraph":
            return None
        case "select":
            if not isinstance(value, str):
                return f"Invalid value for select input '{name}': expected string"
            return None if value in wanted.options else f"Invalid value for select input '{name}': {value}"
        case "file":
            item = mapping(value)
            if item is None:
                return f"Invalid value for file input '{name}': expected mapping"
            return _wrong_file(wanted, item)
        case "file-list":
            return _wrong_list(wanted, value)


def _wrong_list(wanted: FormInput, value: object) -> str | None:
    problem = f"Invalid value for file list input '{wanted.output_variable_name}': "
    given = array(value)
    if given is None:
        return problem + "expected list"
    items = [item for one in given if (item := mapping(one)) is not None]
    if len(items) < len(given):
        return problem + "expected list of mappings"
    wrong = next((mistake for item in items if (mistake := _wrong_file(wanted, item)) is not None), None)
    if wrong is not None:
        return wrong
    return problem + "exceeds number limit" if len(items) > wanted.number_limits else None


def _wrong_file(wanted: FormInput, item: Mapping[str, object]) -> str | None:
    problem = f"Invalid value for file input '{wanted.output_variable_name}': "
    if item.get("type") not in TYPES:
        return problem + "unsupported file type"
    if item.get("transfer_method") not in ("local_file", "remote_url"):
        return problem + "unsupported transfer method"
    return None if item["type"] in wanted.allowed_file_types else problem + "file is not allowed by config"
