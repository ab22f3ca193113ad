"""What users think of answers, and what they may ask next."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from opendify.simulator.apps import CHAT_MODES
from opendify.simulator.conversations import Feedback, Message
from opendify.simulator.errors import bad_request, invalid, not_chat_app
from opendify.simulator.payloads import FeedbackListQuery, MessageFeedbackPayload, parsed, user_of, validated
from opendify.simulator.service import App, Reply, Request, Route, Service
from opendify.simulator.wire import escaped

_SUGGESTED = ("What does a simulator do?", "Can you say that again?", "Who asked a model?")


def suggested(service: Service, request: Request) -> Reply:
    """GET /messages/{message_id}/suggested."""
    app = service.app(request)
    user = user_of(request.query)
    if app.spec.mode not in CHAT_MODES:
        raise not_chat_app()
    app.message(user, request.parameters["message_id"], request.path)
    if not app.spec.suggests:
        raise bad_request("Suggested Questions Is Disabled.")
    return Reply(escaped({"result": "success", "data": _SUGGESTED}))


def send_feedback(service: Service, request: Request) -> Reply:
    """POST /messages/{message_id}/feedbacks. No rating takes the last one back."""
    app, body = service.app(request), parsed(request.content_type, request.body)
    user = user_of(body)
    payload = validated(MessageFeedbackPayload, body)
    message = app.message(user, request.parameters["message_id"], request.path)
    given = message.feedback
    if payload.rating is None:
        if given is None:
            raise invalid("rating cannot be None when feedback not exists")
        message.feedback = None
    elif given is None:
        message.feedback = Feedback(payload.rating, payload.content)
    else:
        given.rating, given.content, given.updated_at = payload.rating, payload.content, time.time()
    return Reply(escaped({"result": "success"}))


def list_feedback(service: Service, request: Request) -> Reply:
    """GET /app/feedbacks: of all users, the newest first."""
    app = service.app(request)
    query = validated(FeedbackListQuery, request.query)
    newest = reversed(app.messages.values())
    found = [(message, message.feedback) for message in newest if message.feedback is not None]
    found.sort(key=lambda pair: -pair[1].created_at)
    first = (query.page - 1) * query.limit
    page = found[first : first + query.limit]
    return Reply(escaped({"data": [_feedback(app, message, feedback) for message, feedback in page]}))


ROUTES = (
    Route("GET", "/messages/{message_id}/suggested", suggested),
    Route("POST", "/messages/{message_id}/feedbacks", send_feedback),
    Route("GET", "/app/feedbacks", list_feedback),
)


def _feedback(app: App, message: Message, feedback: Feedback) -> dict[str, object]:
    """Its dates are ISO, without a zone; all others of Dify are seconds."""

    def date(moment: float) -> datetime:
        return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)

    return {
        "id": feedback.id,
        "app_id": app.spec.id,
        "conversation_id": message.conversation_id,
        "message_id": message.id,
        "rating": feedback.rating,
        "content": feedback.content,
        "from_source": "user",
        "from_end_user_id": app.user_id(message.user),
        "from_account_id": None,
        "created_at": date(feedback.created_at).replace(microsecond=0).isoformat(),
        "updated_at": date(feedback.updated_at).isoformat(),
    }
