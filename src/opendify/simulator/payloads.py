"""What requests must look like. Dify validates with pydantic and shows its messages, and so do we. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, model_validator

from opendify.simulator.errors import Refusal, internal, invalid, unreadable, unsupported_media_type
from opendify.simulator.wire import mapping

_VERSION = re.compile(r"(errors\.pydantic\.dev/)[\d.]+")
_USER_LENGTH = 255  # the column that Dify keeps users in
_Payload = TypeVar("_Payload", bound=BaseModel)


def _uuid(message: str) -> AfterValidator:
    def check(value: str | None) -> str | None:
        if not value:
            return None
        try:
            return str(UUID(value))
        except ValueError:
            raise ValueError(message) from None

    return AfterValidator(check)


ResponseMode = Literal["blocking", "streaming"]
Limit = Annotated[int, Field(ge=1, le=100)]
Page = Annotated[int, Field(ge=1)]
OptionalId = Annotated[str | None, _uuid("must be a valid UUID")]

# The names of these classes are part of the messages that users see.


class ChatRequestPayload(BaseModel):
    """Body of POST /chat-messages."""

    inputs: dict[str, object]
    query: str
    files: list[dict[str, object]] | None = None
    response_mode: ResponseMode | None = None
    conversation_id: Annotated[str | None, _uuid("conversation_id must be a valid UUID")] = None
    auto_generate_name: bool = True
    workflow_id: str | None = None


class CompletionRequestPayload(BaseModel):
    """Body of POST /completion-messages."""

    inputs: dict[str, object]
    query: str = ""
    files: list[dict[str, object]] | None = None
    response_mode: ResponseMode | None = None


class WorkflowRunPayload(BaseModel):
    """Body of POST /workflows/run."""

    inputs: dict[str, object]
    files: list[dict[str, object]] | None = None
    response_mode: ResponseMode | None = None


class ConversationListQuery(BaseModel):
    """Query of GET /conversations."""

    last_id: OptionalId = None
    limit: Limit = 20
    sort_by: Literal["created_at", "-created_at", "updated_at", "-updated_at"] = "-updated_at"


class MessageListQuery(BaseModel):
    """Query of GET /messages."""

    conversation_id: OptionalId
    first_id: OptionalId = None
    limit: Limit = 20


class ConversationRenamePayload(BaseModel):
    """Body of POST /conversations/{conversation_id}/name."""

    name: str | None = None
    auto_generate: bool = False

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.auto_generate and not (self.name or "").strip():
            raise ValueError("name is required when auto_generate is false")
        return self


def _safe(name: str | None) -> str | None:
    if name is not None and not re.sub(r"[-_.]", "", name).isalnum():
        raise ValueError(
            "Variable name can only contain letters, numbers, hyphens (-), underscores (_), and periods (.)"
        )
    return name


class ConversationVariablesQuery(BaseModel):
    """Query of GET /conversations/{conversation_id}/variables."""

    last_id: OptionalId = None
    limit: Limit = 20
    variable_name: Annotated[str | None, BeforeValidator(_safe)] = None


class ConversationVariableUpdatePayload(BaseModel):
    """Body of PUT /conversations/{conversation_id}/variables/{variable_id}."""

    value: object


class MessageFeedbackPayload(BaseModel):
    """Body of POST /messages/{message_id}/feedbacks."""

    rating: Literal["like", "dislike"] | None = None
    content: str | None = None


class FeedbackListQuery(BaseModel):
    """Query of GET /app/feedbacks."""

    page: Page = 1
    limit: Annotated[int, Field(ge=1, le=101)] = 20


class TextToAudioPayload(BaseModel):
    """Body of POST /text-to-audio."""

    message_id: str | None = None
    voice: str | None = None
    text: str | None = None
    streaming: bool | None = None


class AnnotationCreatePayload(BaseModel):
    """Body of POST and PUT /apps/annotations."""

    question: str
    answer: str


class AnnotationListQuery(BaseModel):
    """Query of GET /apps/annotations."""

    page: Page = 1
    limit: Page = 20
    keyword: str = ""


class AnnotationReplyActionPayload(BaseModel):
    """Body of POST /apps/annotation-reply/{action}."""

    score_threshold: float
    embedding_provider_name: str
    embedding_model_name: str


class WorkflowLogQuery(BaseModel):
    """Query of GET /workflows/logs."""

    keyword: str | None = None
    status: Literal["succeeded", "failed", "stopped"] | None = None
    created_at__before: str | None = None
    created_at__after: str | None = None
    created_by_end_user_session_id: str | None = None
    created_by_account: str | None = None
    page: Annotated[int, Field(ge=1, le=99999)] = 1
    limit: Limit = 20


class WorkflowEventsQuery(BaseModel):
    """Query of GET /workflow/{workflow_run_id}/events."""

    include_state_snapshot: bool = False
    continue_on_pause: bool = False


class HumanInputFormSubmitPayload(BaseModel):
    """Body of POST /form/human_input/{form_token}."""

    inputs: dict[str, object]
    action: str


def validated(payload: type[_Payload], given: Mapping[str, object]) -> _Payload:
    """A request's body or query, checked.

    Raises:
        Refusal: 400 invalid_param with pydantic's own words.
    """
    try:
        return payload.model_validate(given)
    except ValidationError as error:
        raise refused(error) from error


def refused(error: ValidationError) -> Refusal:
    """400 invalid_param with pydantic's words, as Dify shows them."""
    # Dify 1.12 and 1.16 ship another pydantic, and its version stands in the message.
    return invalid(_VERSION.sub(r"\g<1>2.11", str(error)))


def parsed(content_type: str, body: bytes) -> dict[str, object]:
    """The JSON object in a body.

    Raises:
        Refusal: 415 if it is not declared as JSON, 400 if it is none, 500 if it is not an object, or if it
            holds text that no database takes.
    """
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise unsupported_media_type()
    try:
        value: object = json.loads(body)
    except ValueError:
        raise unreadable() from None
    found = mapping(value)
    if found is None:
        raise internal()
    if b"\\ud" in body or b"\\uD" in body:  # perhaps half of a surrogate pair
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise internal() from None
    return found


def user_of(given: Mapping[str, object]) -> str:
    """The `user` of a body or a query.

    Raises:
        Refusal: 400 if there is none; 500 if it is too long.
    """
    user = given.get("user")
    if not user:
        raise invalid("Arg user must be provided.")
    if len(str(user)) > _USER_LENGTH:
        raise internal()
    return str(user)
