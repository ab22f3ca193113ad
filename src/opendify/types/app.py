"""What an app tells of itself."""

# ruff: noqa: RUF012  pydantic copies the defaults of fields

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue, model_validator

from ._model import Many, Model, Text, is_object

__all__ = [
    "AppInfo",
    "AppMeta",
    "AppMode",
    "AppParameters",
    "AppSite",
    "Feature",
    "FileUpload",
    "FormField",
    "ImageUpload",
    "SystemParameters",
    "TextToSpeech",
]

AppMode = Literal["chat", "agent-chat", "advanced-chat", "completion", "workflow", "agent"] | str
"""The kind of app. "advanced-chat" is a chatflow, "agent" the New Agent of Dify 1.16."""


class _Settings(Model):
    """Settings: null means that nobody set it, which is the default."""

    @model_validator(mode="before")
    @classmethod
    def _unset_is_default(cls, value: Any) -> Any:  # Any: what pydantic gives and takes here
        return {k: v for k, v in value.items() if v is not None} if is_object(value) else value


class AppInfo(Model):
    """Name and kind of the app that the key belongs to."""

    name: str
    mode: AppMode
    description: Text = ""
    tags: Many[str] = []
    author_name: Text = ""


class FormField(_Settings):
    """One field of the form that an app asks for before the first message, or a workflow's input."""

    type: (
        Literal["text-input", "paragraph", "select", "number", "checkbox", "file", "file-list", "json_object"]
        | str
    )
    variable: str
    """The name to use in `inputs`."""
    label: str = ""
    required: bool = False
    hide: bool = False
    """Not asked for by the app's own page; a value can be sent all the same."""
    max_length: int | None = None
    """Characters; for "file-list": files."""
    options: list[str] = []
    default: JsonValue = None
    allowed_file_types: list[str] = []
    allowed_file_extensions: list[str] = []
    allowed_file_upload_methods: list[str] = []


class Feature(_Settings):
    """Whether something is on in the app."""

    enabled: bool = False


class TextToSpeech(Feature):
    """Speech of the answers."""

    voice: str | None = None
    language: str | None = None
    auto_play: Literal["enabled", "disabled"] | str = Field(default="disabled", alias="autoPlay")


class ImageUpload(Feature):
    """The older setting for images."""

    number_limits: int | None = None
    detail: str | None = None
    transfer_methods: list[str] = []


class FileUpload(Feature):
    """Which files a message may carry."""

    image: ImageUpload = Field(default_factory=ImageUpload)
    allowed_file_types: list[str] = []
    """image, document, audio, video, custom."""
    allowed_file_extensions: list[str] = []
    """With a dot, for "custom"; Dify writes them in capitals."""
    allowed_file_upload_methods: list[str] = []
    """remote_url, local_file."""
    number_limits: int | None = None
    """Files in one message."""


class SystemParameters(_Settings):
    """Limits of this Dify server: sizes in MB, and files in one workflow run."""

    image_file_size_limit: int | None = None
    video_file_size_limit: int | None = None
    audio_file_size_limit: int | None = None
    file_size_limit: int | None = None
    workflow_file_upload_limit: int | None = None


class AppParameters(_Settings):
    """How the app is set up: what it asks for, what is on, what it takes."""

    opening_statement: str = ""
    suggested_questions: list[str] = []
    suggested_questions_after_answer: Feature = Field(default_factory=Feature)
    speech_to_text: Feature = Field(default_factory=Feature)
    text_to_speech: TextToSpeech = Field(default_factory=TextToSpeech)
    retriever_resource: Feature = Field(default_factory=Feature)
    annotation_reply: Feature = Field(default_factory=Feature)
    more_like_this: Feature = Field(default_factory=Feature)
    sensitive_word_avoidance: Feature = Field(default_factory=Feature)
    user_input_form: list[FormField] = []
    file_upload: FileUpload = Field(default_factory=FileUpload)
    system_parameters: SystemParameters = Field(default_factory=SystemParameters)

    @model_validator(mode="before")
    @classmethod
    def _flatten_form(cls, value: Any) -> Any:  # Any: what pydantic gives and takes here
        """Dify wraps each field in its type: `{"text-input": {"variable": …}}`."""
        if not is_object(value) or not value.get("user_input_form"):
            return value
        return value | {"user_input_form": [_flat(item) for item in value["user_input_form"]]}


def _flat(item: Any) -> Any:  # Any: not yet validated
    if is_object(item) and len(item) == 1:
        [(kind, field)] = item.items()
        if is_object(field):
            return field | {"type": kind}
    return item


class AppMeta(Model):
    """Icons of the app's tools: a URL, or an emoji with its background."""

    tool_icons: dict[str, str | dict[str, JsonValue]] = {}


class AppSite(Model):
    """How the app's own web page looks."""

    title: Text = ""
    description: Text = ""
    chat_color_theme: str | None = None
    chat_color_theme_inverted: bool | None = None
    icon_type: str | None = None
    icon: str | None = None
    icon_background: str | None = None
    icon_url: str | None = None
    copyright: str | None = None
    privacy_policy: str | None = None
    input_placeholder: str | None = None
    custom_disclaimer: Text = ""
    default_language: Text = ""
    show_workflow_steps: bool | None = None
    use_icon_as_answer_icon: bool | None = None
