"""Conversations, their messages and their variables."""

from __future__ import annotations

import time

from opendify.simulator.apps import CHAT_MODES
from opendify.simulator.conversation_variables import ConversationVariable
from opendify.simulator.conversations import NO_PARENT, Conversation, Message, Thought, title
from opendify.simulator.errors import bad_request, internal, invalid, not_chat_app, not_exists
from opendify.simulator.payloads import (
    ConversationListQuery,
    ConversationRenamePayload,
    ConversationVariablesQuery,
    ConversationVariableUpdatePayload,
    MessageListQuery,
    parsed,
    user_of,
    validated,
)
from opendify.simulator.service import DEFAULT_USER, App, Reply, Request, Route, Service
from opendify.simulator.wire import escaped


def list_conversations(service: Service, request: Request) -> Reply:
    """GET /conversations."""
    app = _chat_app(service, request)
    query = validated(ConversationListQuery, request.query)
    found = app.conversations.of(request.query.get("user") or DEFAULT_USER)
    created = query.sort_by.endswith("created_at")
    found.sort(key=lambda c: c.created_at if created else c.updated_at)
    if query.sort_by.startswith("-"):
        found.reverse()
    if query.last_id is not None:
        at = next((at for at, conversation in enumerate(found) if conversation.id == query.last_id), None)
        if at is None:
            raise not_exists("Last Conversation", request.path)
        found = found[at + 1 :]
    page = found[: query.limit]
    return _page(query.limit, len(found) > len(page), [_conversation(conversation) for conversation in page])


def delete_conversation(service: Service, request: Request) -> Reply:
    """DELETE /conversations/{conversation_id}."""
    app, user, _ = _asked(service, request)
    app.forget(user, request.parameters["conversation_id"])
    return Reply(b"", 204)


def rename_conversation(service: Service, request: Request) -> Reply:
    """POST /conversations/{conversation_id}/name. The model's own name does not count as an update."""
    app, user, body = _asked(service, request)
    payload = validated(ConversationRenamePayload, body)
    conversation = app.conversations.get(user, request.parameters["conversation_id"], request.path)
    if payload.auto_generate:
        conversation.name = title(conversation.messages[0].query)
    else:
        conversation.name = payload.name or ""
        conversation.updated_at = int(time.time())
    return Reply(escaped(_conversation(conversation)))


def list_messages(service: Service, request: Request) -> Reply:
    """GET /messages: the newest, oldest first."""
    app = _chat_app(service, request)
    query = validated(MessageListQuery, request.query)
    user = request.query.get("user") or DEFAULT_USER
    conversation = app.conversations.get(user, query.conversation_id or "", request.path)
    found = conversation.messages
    if query.first_id is not None:
        at = next((at for at, message in enumerate(found) if message.id == query.first_id), None)
        if at is None:
            raise not_exists("First Message", request.path)
        found = found[:at]
    page = found[-query.limit :]
    data = [_message(service, conversation, message) for message in page]
    return _page(query.limit, len(found) > len(page), data)


def list_variables(service: Service, request: Request) -> Reply:
    """GET /conversations/{conversation_id}/variables: those of a chatflow; any other app has none."""
    app = _chat_app(service, request)
    query = validated(ConversationVariablesQuery, request.query)
    user = request.query.get("user") or DEFAULT_USER
    conversation = app.conversations.get(user, request.parameters["conversation_id"], request.path)
    found = conversation.variables
    if query.last_id is not None:
        at = next((at for at, variable in enumerate(found) if variable.id == query.last_id), None)
        if at is None:
            raise invalid("")  # an error that Dify has no sentence for
        found = found[at + 1 :]
    if query.variable_name is not None:
        if service.behaviour == "1.12":  # its question is none that its database understands
            raise internal()
        found = [variable for variable in found if variable.name == query.variable_name]
    page = found[: query.limit]
    return _page(query.limit, len(found) > len(page), [_variable(variable) for variable in page])


def update_variable(service: Service, request: Request) -> Reply:
    """PUT /conversations/{conversation_id}/variables/{variable_id}."""
    app, user, body = _asked(service, request)
    payload = validated(ConversationVariableUpdatePayload, body)
    conversation = app.conversations.get(user, request.parameters["conversation_id"], request.path)
    wanted = request.parameters["variable_id"]
    variable = next((variable for variable in conversation.variables if variable.id == wanted), None)
    if variable is None:
        raise not_exists("Conversation Variable", request.path)
    mismatch = variable.mismatch(payload.value)
    if mismatch is not None:
        raise bad_request(mismatch)
    variable.set(payload.value)
    return Reply(escaped(_variable(variable)))


ROUTES = (
    Route("GET", "/conversations", list_conversations),
    Route("DELETE", "/conversations/{conversation_id}", delete_conversation),
    Route("POST", "/conversations/{conversation_id}/name", rename_conversation),
    Route("GET", "/conversations/{conversation_id}/variables", list_variables),
    Route("PUT", "/conversations/{conversation_id}/variables/{variable_id}", update_variable),
    Route("GET", "/messages", list_messages),
)


def _asked(service: Service, request: Request) -> tuple[App, str, dict[str, object]]:
    """The chat app, the user and the body of a request that changes something."""
    app, body = service.app(request), parsed(request.content_type, request.body)
    user = user_of({"user": DEFAULT_USER} | body)
    if app.spec.mode not in CHAT_MODES:
        raise not_chat_app()
    return app, user, body


def _chat_app(service: Service, request: Request) -> App:
    app = service.app(request)
    if app.spec.mode not in CHAT_MODES:
        raise not_chat_app()
    return app


def _page(limit: int, has_more: bool, data: list[dict[str, object]]) -> Reply:
    return Reply(escaped({"limit": limit, "has_more": has_more, "data": data}))


def _conversation(conversation: Conversation) -> dict[str, object]:
    return {
        "id": conversation.id,
        "name": conversation.name,
        "inputs": conversation.inputs,
        "status": "normal",
        "introduction": conversation.introduction,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
    }


def _variable(variable: ConversationVariable) -> dict[str, object]:
    return {
        "id": variable.id,
        "name": variable.name,
        "value_type": variable.value_type,
        "value": str(variable.value),  # lists and objects too, as Python writes them (Dify's source)
        "description": variable.description,
        "created_at": variable.created_at,
        "updated_at": variable.updated_at,
    }


def _message(service: Service, conversation: Conversation, message: Message) -> dict[str, object]:
    kept = [
        {
            "id": kept.id,
            "filename": kept.file.name,
            "type": kept.file.type,
            "url": service.files.url_of(kept.file),
            "mime_type": kept.file.mime_type,
            "size": len(kept.file.content),
            "transfer_method": kept.file.transfer_method,
            "belongs_to": kept.belongs_to,
            "upload_file_id": kept.file.id or None,
        }
        for kept in message.files
    ]
    return {
        "id": message.id,
        "conversation_id": conversation.id,
        "parent_message_id": NO_PARENT,
        "inputs": message.inputs,
        "query": message.query,
        "answer": message.answer,
        "feedback": {"rating": message.feedback.rating} if message.feedback else None,
        "retriever_resources": message.retriever_resources,
        "created_at": message.created_at,
        "agent_thoughts": [_thought(message, thought) for thought in message.thoughts],
        "message_files": kept,
        "status": message.status,
        "error": message.error,
        **(_cost(message) if service.behaviour == "1.16" else {}),
    }


def _cost(message: Message) -> dict[str, object]:
    """What newer Dify tells of a message besides."""
    usage = message.usage
    return {
        "extra_contents": [form.remembered() for form in message.forms],
        "message_tokens": usage["prompt_tokens"],
        "answer_tokens": usage["completion_tokens"],
        "total_tokens": usage["total_tokens"],
        "provider_response_latency": usage["latency"],
        "total_price": usage["total_price"],
        "currency": usage["currency"],
    }


def _thought(message: Message, thought: Thought) -> dict[str, object]:
    return {
        "id": thought.id,
        "chain_id": None,
        "message_id": message.id,
        "position": thought.position,
        "thought": thought.thought,
        "tool": thought.tool,
        "tool_labels": thought.tool_labels,
        "tool_input": thought.tool_input,
        "created_at": thought.created_at,
        "observation": thought.observation,
        "files": thought.files,
    }
