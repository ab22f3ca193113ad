"""Chat, completion and workflow runs, and how they are stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import UUID, uuid4

from opendify.simulator import agents, chat, faults, graph
from opendify.simulator.apps import CHAT_MODES, GRAPH_MODES, AppSpec, Mode
from opendify.simulator.conversations import Conversation, Message, MessageFile, title
from opendify.simulator.counts import GenerationRequest
from opendify.simulator.errors import (
    Refusal,
    app_unavailable,
    bad_request,
    did_you_mean,
    invalid,
    not_chat_app,
    not_found,
    not_workflow_app,
    too_busy,
)
from opendify.simulator.files import File
from opendify.simulator.payloads import (
    ChatRequestPayload,
    CompletionRequestPayload,
    WorkflowRunPayload,
    parsed,
    user_of,
    validated,
)
from opendify.simulator.service import App, Generation, Reply, Request, Route, Service
from opendify.simulator.turns import Steps, Turn
from opendify.simulator.wire import array, escaped, mapping

Payload = ChatRequestPayload | CompletionRequestPayload | WorkflowRunPayload

_STEPS: dict[Mode, Callable[[Turn], Steps]] = {
    "chat": chat.steps,
    "completion": chat.steps,
    "agent-chat": agents.steps,
    "agent": agents.steps,
    "advanced-chat": graph.steps,
    "workflow": graph.steps,
}


def chat_messages(service: Service, request: Request) -> Generation:
    """POST /chat-messages."""
    return _generate(service, request, "POST /chat-messages", _expect_chat, ChatRequestPayload)


def completion_messages(service: Service, request: Request) -> Generation:
    """POST /completion-messages."""
    route = "POST /completion-messages"
    return _generate(service, request, route, _expect_completion, CompletionRequestPayload)


def run_workflow(service: Service, request: Request) -> Generation:
    """POST /workflows/run and /workflows/{workflow_id}/run."""
    route = "POST /workflows/{workflow_id}/run" if request.parameters else "POST /workflows/run"
    return _generate(service, request, route, _expect_workflow, WorkflowRunPayload)


def stop_chat(service: Service, request: Request) -> Reply:
    """POST /chat-messages/{task_id}/stop."""
    return _stop(service, request, _expect_chat)


def stop_completion(service: Service, request: Request) -> Reply:
    """POST /completion-messages/{task_id}/stop."""
    return _stop(service, request, _expect_completion)


def stop_workflow(service: Service, request: Request) -> Reply:
    """POST /workflows/tasks/{task_id}/stop."""
    return _stop(service, request, _expect_workflow)


ROUTES = (
    Route("POST", "/chat-messages", chat_messages),
    Route("POST", "/chat-messages/{task_id}/stop", stop_chat),
    Route("POST", "/completion-messages", completion_messages),
    Route("POST", "/completion-messages/{task_id}/stop", stop_completion),
    Route("POST", "/workflows/run", run_workflow),
    Route("POST", "/workflows/{workflow_id}/run", run_workflow),
    Route("POST", "/workflows/tasks/{task_id}/stop", stop_workflow),
)


def _stop(service: Service, request: Request, expect: Callable[[AppSpec], None]) -> Reply:
    """The answer is the same whether there was anything to stop (Dify 1.12.1)."""
    app, body = service.app(request), parsed(request.content_type, request.body)
    user = user_of(body)
    expect(app.spec)
    service.tally.stops += 1
    task_id = request.parameters["task_id"]
    run = service.runs.get(task_id)
    # The graph engine stops any graph by its task id, whoever asks; all else is stopped by its own user only
    # (AppTaskService.stop_task of Dify).
    graphs = run is not None and {app.spec.mode, run.turn.spec.mode} <= GRAPH_MODES
    if run is not None and (graphs or run.turn.user_id == app.user_id(user)):
        service.tally.stopped_tasks.append(task_id)
        run.stop()
    return Reply(escaped({"result": "success"}))


def _expect_chat(spec: AppSpec) -> None:
    if spec.mode not in CHAT_MODES:
        raise not_chat_app()


def _expect_completion(spec: AppSpec) -> None:
    if spec.mode != "completion":
        raise app_unavailable()


def _expect_workflow(spec: AppSpec) -> None:
    if spec.mode != "workflow":
        raise not_workflow_app()


def _generate(
    service: Service,
    request: Request,
    route: str,
    expect: Callable[[AppSpec], None],
    kind: type[Payload],
) -> Generation:
    app, body = service.app(request), parsed(request.content_type, request.body)
    user = user_of(body)
    expect(app.spec)
    task_id = ""
    try:
        generation = _begin(service, request, app, user, validated(kind, body))
        task_id = generation.turn.task_id
        return generation
    finally:  # refused or not, it was asked
        service.tally.requests.append(_record(route, app, user, body, request, task_id))


def _begin(service: Service, request: Request, app: App, user: str, payload: Payload) -> Generation:
    """Check a request in the order in which Dify does, and make its turn.

    Raises:
        Refusal: what is wrong with it.
    """
    spec = app.spec
    asked = payload if isinstance(payload, ChatRequestPayload) else None
    query = "" if isinstance(payload, WorkflowRunPayload) else payload.query
    if spec.max_active_requests and len(app.running) >= spec.max_active_requests:
        raise too_busy(service.behaviour, spec.id, spec.max_active_requests)
    if spec.mode in GRAPH_MODES:
        _expect_published(
            spec, asked.workflow_id if asked else request.parameters.get("workflow_id"), request.path
        )
    if spec.mode == "agent" and payload.response_mode == "blocking":
        raise bad_request("Agent App only supports streaming response mode.")
    if spec.mode == "agent-chat" and payload.response_mode != "streaming":
        raise invalid("Agent Chat App does not support blocking mode")
    if asked and not query:
        raise invalid("query is required")
    conversation: Conversation | None = None
    if asked and asked.conversation_id:
        conversation = app.conversations.get(user, asked.conversation_id, request.path)
    user_id, files = app.user_id(user), service.files
    attached = spec.check(files.attached(payload.files or [], user_id)) if spec.uploads else ()
    values = spec.inputs(payload.inputs, lambda item: files.one(item, user_id))
    if spec.refuses is not None:
        raise Refusal(*spec.refuses)
    question = query or "\n".join(value for value in values.values() if isinstance(value, str))
    history = conversation.history() if conversation else ()
    directives = faults.directives(question, history)
    kept = {name: files.plain(value) for name, value in values.items()}
    named = asked is not None and conversation is None and asked.auto_generate_name
    hold = service.naming_delay if named else 0.0
    if asked and conversation is None:
        conversation = app.conversations.start(user, kept, spec.opening_statement, spec.variables)
        if named:
            conversation.name = title(query)
    turn = Turn(
        spec=spec,
        behaviour=service.behaviour,
        pace=service.pace,
        files=files,
        user=user,
        user_id=user_id,
        query=query,
        question=question,
        asked=directives,
        inputs=values,
        attached=attached,
        conversation=conversation,
        message=None if spec.mode == "workflow" else _message(app, user, query, kept, attached, conversation),
        workflow_runs=app.workflow_runs,
        forms=service.forms,
        annotation=app.annotations.hit(query) if asked else None,
        history=history,
        streaming=payload.response_mode == "streaming" or spec.mode == "agent",
        late=hold > 0,
    )
    return Generation(app, turn, faults.broken(_STEPS[spec.mode](turn), directives), hold)


def _expect_published(spec: AppSpec, workflow_id: str | None, path: str) -> None:
    """Refuse what is not published, or is not the published version."""
    if not spec.published:
        raise invalid("Workflow not published")
    if not workflow_id:
        return
    try:
        UUID(workflow_id)
    except ValueError:
        raise bad_request(f"Invalid workflow_id format: '{workflow_id}'. ") from None
    if workflow_id != spec.workflow_id:
        message = f"Workflow not found with id: {workflow_id}"
        raise did_you_mean(message, path) if spec.mode == "advanced-chat" else not_found(message)


def _message(
    app: App,
    user: str,
    query: str,
    inputs: dict[str, object],
    attached: tuple[File, ...],
    conversation: Conversation | None,
) -> Message:
    message = Message(user, conversation.id if conversation else str(uuid4()), query, inputs)
    message.files += [MessageFile(file, "user") for file in attached]
    app.messages[message.id] = message
    if conversation is not None:
        conversation.messages.append(message)
    return message


def _record(
    route: str, app: App, user: str, body: Mapping[str, object], request: Request, task_id: str
) -> GenerationRequest:
    conversation_id = body.get("conversation_id")
    return GenerationRequest(
        route=route,
        app=app.spec.nickname,
        user=user,
        query=str(body.get("query") or ""),
        inputs=mapping(body.get("inputs")) or {},
        files=[item for file in array(body.get("files")) or [] if (item := mapping(file))],
        conversation_id=None if conversation_id is None else str(conversation_id),
        response_mode=str(body.get("response_mode") or "blocking"),
        auto_generate_name=body.get("auto_generate_name") is not False,
        headers={name: value for name, value in request.headers.items() if name != "authorization"},
        task_id=task_id,
    )
