"""Dify's Service API: what each operation answers. Requests come in and replies go out as data; no sockets here."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote
from uuid import NAMESPACE_URL, UUID, uuid5

from opendify.simulator import agents, chat, faults, graph
from opendify.simulator.apps import CHAT_MODES, GRAPH_MODES, AppSpec, Behaviour, Mode
from opendify.simulator.conversations import Conversation, Conversations, Message, MessageFile
from opendify.simulator.counts import GenerationRequest, Tally
from opendify.simulator.errors import (
    Refusal,
    app_unavailable,
    bad_request,
    did_you_mean,
    invalid,
    not_chat_app,
    not_exists,
    not_found,
    not_workflow_app,
    too_busy,
    unauthorized,
)
from opendify.simulator.files import File, Files
from opendify.simulator.payloads import (
    ChatRequestPayload,
    CompletionRequestPayload,
    ConversationListQuery,
    MessageListQuery,
    ResponseMode,
    WorkflowRunPayload,
    parsed,
    user_of,
    validated,
)
from opendify.simulator.runs import Run
from opendify.simulator.turns import Turn
from opendify.simulator.wire import Step, escaped

TENANT_ID = str(uuid5(NAMESPACE_URL, "opendify-simulator/workspace"))
_DEFAULT_USER = "DEFAULT-USER"

_STEPS: dict[Mode, Callable[[Turn], Generator[Step, None, None]]] = {
    "chat": chat.steps,
    "completion": chat.steps,
    "agent-chat": agents.steps,
    "agent": agents.steps,
    "advanced-chat": graph.steps,
    "workflow": graph.steps,
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart form: a file if it has a filename."""

    name: str
    content: bytes
    filename: str | None = None
    mime_type: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A request, read."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""
    content_type: str = ""
    parts: Sequence[Part] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply that is ready."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())


@dataclass
class App:
    """An app and its state."""

    spec: AppSpec
    conversations: Conversations = field(default_factory=Conversations)
    running: int = 0


@dataclass(frozen=True, slots=True)
class Generation:
    """A reply that is still to be made: a turn, and how to play it."""

    app: App
    turn: Turn
    steps: Generator[Step, None, None]
    named: bool
    """A new conversation that gets a name: the first byte waits for it."""


class Service:
    """All apps of one simulated Dify.

    Args:
        apps: what there is.
        behaviour: which Dify.
        pace: the model's seconds per token.
    """

    def __init__(self, apps: Sequence[AppSpec], behaviour: Behaviour, pace: float) -> None:
        self.behaviour = behaviour
        self.pace = pace
        self.files = Files(TENANT_ID)
        self.tally = Tally()
        self.runs: dict[str, Run] = {}
        self._apps = {spec.app_key: App(spec) for spec in apps}

    # the app, and what it tells about itself

    def app(self, request: Request) -> App:
        """The app that the request's key opens.

        Raises:
            Refusal: 401 or 403.
        """
        scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthorized("Authorization header must be provided and start with 'Bearer'")
        app = self._apps.get(token.strip())
        if app is None:
            raise unauthorized("Access token is invalid")
        if not app.spec.api_enabled:
            raise Refusal(403, "forbidden", "The app's API service has been disabled.")
        return app

    def info(self, request: Request, **_: str) -> Reply:
        """GET /info."""
        return Reply(escaped(self.app(request).spec.info()))

    def parameters(self, request: Request, **_: str) -> Reply:
        """GET /parameters."""
        spec = self.app(request).spec
        if spec.mode in GRAPH_MODES and not spec.published:
            raise app_unavailable()
        return Reply(escaped(spec.parameters()))

    def meta(self, request: Request, **_: str) -> Reply:
        """GET /meta."""
        return Reply(escaped(self.app(request).spec.meta(self.files.url)))

    def site(self, request: Request, **_: str) -> Reply:
        """GET /site."""
        return Reply(escaped(self.app(request).spec.site()))

    # generation

    def chat(self, request: Request, **_: str) -> Generation:
        """POST /chat-messages."""
        app, body = self.app(request), parsed(request.content_type, request.body)
        user = user_of(body)
        if app.spec.mode not in CHAT_MODES:
            raise not_chat_app()
        payload = validated(ChatRequestPayload, body)
        record = self._record("POST /chat-messages", app, user, body, request)
        return self._generation(
            app,
            user,
            record,
            request,
            query=payload.query,
            inputs=payload.inputs,
            files=payload.files or [],
            mode=payload.response_mode,
            conversation_id=payload.conversation_id,
            workflow_id=payload.workflow_id,
            named=payload.auto_generate_name,
        )

    def completion(self, request: Request, **_: str) -> Generation:
        """POST /completion-messages."""
        app, body = self.app(request), parsed(request.content_type, request.body)
        user = user_of(body)
        if app.spec.mode != "completion":
            raise app_unavailable()
        payload = validated(CompletionRequestPayload, body)
        record = self._record("POST /completion-messages", app, user, body, request)
        return self._generation(
            app,
            user,
            record,
            request,
            query=payload.query,
            inputs=payload.inputs,
            files=payload.files or [],
            mode=payload.response_mode,
        )

    def workflow(self, request: Request, workflow_id: str | None = None, **_: str) -> Generation:
        """POST /workflows/run and /workflows/{workflow_id}/run."""
        app, body = self.app(request), parsed(request.content_type, request.body)
        user = user_of(body)
        if app.spec.mode != "workflow":
            raise not_workflow_app()
        payload = validated(WorkflowRunPayload, body)
        route = "POST /workflows/run" if workflow_id is None else "POST /workflows/{workflow_id}/run"
        record = self._record(route, app, user, body, request)
        return self._generation(
            app,
            user,
            record,
            request,
            query="",
            inputs=payload.inputs,
            files=payload.files or [],
            mode=payload.response_mode,
            workflow_id=workflow_id,
        )

    def stop(self, request: Request, task_id: str, **_: str) -> Reply:
        """The three stop routes. The answer is the same whether there was anything to stop."""
        app, body = self.app(request), parsed(request.content_type, request.body)
        user = user_of(body)
        wanted = request.path.split("/")[2]
        if wanted == "chat-messages" and app.spec.mode not in CHAT_MODES:
            raise not_chat_app()
        if wanted == "completion-messages" and app.spec.mode != "completion":
            raise app_unavailable()
        if wanted == "workflows" and app.spec.mode != "workflow":
            raise not_workflow_app()
        self.tally.stops += 1
        run = self.runs.get(task_id)
        # A workflow run is stopped whoever asks; all others by their own user only.
        if run is not None and (run.turn.user == user or wanted == "workflows"):
            self.tally.stopped_tasks.append(task_id)
            run.stop()
        return Reply(escaped({"result": "success"}))

    def _generation(
        self,
        app: App,
        user: str,
        record: GenerationRequest,
        request: Request,
        *,
        query: str,
        inputs: dict[str, object],
        files: list[dict[str, object]],
        mode: ResponseMode | None,
        conversation_id: str | None = None,
        workflow_id: str | None = None,
        named: bool = False,
    ) -> Generation:
        spec, streaming = app.spec, mode == "streaming"
        if spec.max_active_requests and app.running >= spec.max_active_requests:
            raise too_busy(self.behaviour, spec.id, spec.max_active_requests)
        if spec.mode in GRAPH_MODES:
            _published(spec, workflow_id, request.path)
        if spec.mode == "agent" and mode == "blocking":
            raise bad_request("Agent App only supports streaming response mode.")
        if spec.mode == "agent-chat" and not streaming:
            raise invalid("Agent Chat App does not support blocking mode")
        if spec.mode in CHAT_MODES and not query:
            raise invalid("query is required")
        conversation = app.conversations.get(user, conversation_id, request.path) if conversation_id else None
        attached = spec.check(self.files.attached(files)) if spec.uploads else ()
        values = spec.inputs(inputs, self.files)
        if spec.refuses is not None:
            raise Refusal(*spec.refuses)
        history = conversation.history() if conversation else ()
        first = conversation is None and spec.mode in CHAT_MODES
        if first:
            conversation = app.conversations.start(user, self._kept(values), spec.opening_statement)
            conversation.name = f"Simulated title: {query[:40]}" if named else "New conversation"
        message = None if spec.mode == "workflow" else self._message(query, values, attached, conversation)
        turn = Turn(
            spec=spec,
            behaviour=self.behaviour,
            pace=self.pace,
            files=self.files,
            user=user,
            user_id=_user_id(spec, user),
            query=query,
            inputs=values,
            attached=attached,
            conversation=conversation,
            message=message,
            history=history,
            streaming=streaming or spec.mode == "agent",
            late=first and named,
        )
        refused = faults.refusal(turn.asked)
        if refused is not None:
            raise refused
        self.tally.requests[-1] = _with_task(record, turn.task_id)
        return Generation(app, turn, faults.broken(_STEPS[spec.mode](turn), turn.asked), first and named)

    def _message(
        self,
        query: str,
        values: Mapping[str, object],
        attached: tuple[File, ...],
        conversation: Conversation | None,
    ) -> Message:
        message = Message(query, self._kept(values))
        message.files += [MessageFile(file, "user") for file in attached]
        if conversation is not None:
            conversation.messages.append(message)
        return message

    def _kept(self, values: Mapping[str, object]) -> dict[str, object]:
        return {
            name: self.files.as_value(value) if isinstance(value, File) else value
            for name, value in values.items()
        }

    def _record(
        self, route: str, app: App, user: str, body: Mapping[str, object], request: Request
    ) -> GenerationRequest:
        def get(name: str, kind: type, otherwise: object) -> object:
            value = body.get(name)
            return value if isinstance(value, kind) else otherwise

        record = GenerationRequest(
            route=route,
            app=app.spec.nickname,
            user=user,
            query=str(body.get("query") or ""),
            inputs=get("inputs", dict, {}),  # type: ignore[arg-type]
            files=get("files", list, []),  # type: ignore[arg-type]
            conversation_id=get("conversation_id", str, None),  # type: ignore[arg-type]
            response_mode=str(body.get("response_mode") or "blocking"),
            auto_generate_name=body.get("auto_generate_name") is not False,
            headers={name: value for name, value in request.headers.items() if name != "authorization"},
            task_id="",
        )
        self.tally.requests.append(record)
        return record

    # conversations and messages

    def conversations(self, request: Request, **_: str) -> Reply:
        """GET /conversations."""
        app = self.app(request)
        if app.spec.mode not in CHAT_MODES:
            raise not_chat_app()
        query = validated(ConversationListQuery, request.query)
        found = app.conversations.of(request.query.get("user") or _DEFAULT_USER)
        by = query.sort_by.removeprefix("-")
        # The later of two of one second stands first, as if it were newer.
        found = [c for _, c in sorted(enumerate(found), key=lambda pair: (getattr(pair[1], by), pair[0]))]
        if query.sort_by.startswith("-"):
            found.reverse()
        if query.last_id is not None:
            at = next((at for at, c in enumerate(found) if c.id == query.last_id), None)
            if at is None:
                raise not_exists("Last Conversation", request.path)
            found = found[at + 1 :]
        page = found[: query.limit]
        return Reply(
            escaped(
                {
                    "limit": query.limit,
                    "has_more": len(found) > len(page),
                    "data": [_conversation(c) for c in page],
                }
            )
        )

    def delete_conversation(self, request: Request, conversation_id: str, **_: str) -> Reply:
        """DELETE /conversations/{conversation_id}."""
        app, body = self.app(request), parsed(request.content_type, request.body)
        user = user_of(body)
        if app.spec.mode not in CHAT_MODES:
            raise not_chat_app()
        app.conversations.delete(user, conversation_id)
        return Reply(b"", 204)

    def messages(self, request: Request, **_: str) -> Reply:
        """GET /messages: the newest page, oldest first."""
        app = self.app(request)
        if app.spec.mode not in CHAT_MODES:
            raise not_chat_app()
        query = validated(MessageListQuery, request.query)
        user = request.query.get("user") or _DEFAULT_USER
        conversation = app.conversations.get(user, query.conversation_id or "", request.path)
        found = conversation.messages
        if query.first_id is not None:
            at = next((at for at, message in enumerate(found) if message.id == query.first_id), None)
            if at is None:
                raise not_exists("First Message", request.path)
            found = found[:at]
        page = found[-query.limit :]
        data = [self._shown(conversation, message) for message in page]
        return Reply(escaped({"limit": query.limit, "has_more": len(found) > len(page), "data": data}))

    def _shown(self, conversation: Conversation, message: Message) -> dict[str, object]:
        return {
            "id": message.id,
            "conversation_id": conversation.id,
            "parent_message_id": "00000000-0000-0000-0000-000000000000",
            "inputs": message.inputs,
            "query": message.query,
            "answer": message.answer,
            "feedback": None,
            "retriever_resources": message.retriever_resources,
            "created_at": message.created_at,
            "agent_thoughts": [
                {
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
                for thought in message.thoughts
            ],
            "message_files": [
                {
                    "id": kept.id,
                    "filename": kept.file.name,
                    "type": kept.file.type,
                    "url": self.files.url_of(kept.file),
                    "mime_type": kept.file.mime_type,
                    "size": len(kept.file.content),
                    "transfer_method": kept.file.transfer_method,
                    "belongs_to": kept.belongs_to,
                    "upload_file_id": kept.file.id or None,
                }
                for kept in message.files
            ],
            "status": message.status,
            "error": message.error,
        }

    # files

    def upload(self, request: Request, **_: str) -> Reply:
        """POST /files/upload."""
        app = self.app(request)
        sent = [part for part in request.parts if part.filename is not None]
        user = next((part.content.decode() for part in request.parts if part.name == "user"), _DEFAULT_USER)
        if not any(part.name == "file" for part in sent):
            raise Refusal(400, "no_file_uploaded", "Please upload your file.")
        if len(sent) > 1:
            raise Refusal(400, "too_many_files", "Only one file is allowed.")
        (part,) = sent
        if not part.filename:
            raise Refusal(400, "filename_not_exists_error", "The specified filename does not exist.")
        if not part.mime_type:
            raise Refusal(415, "unsupported_file_type", "File type not allowed.")
        file = self.files.upload(
            name=part.filename, mime_type=part.mime_type, content=part.content, user=_user_id(app.spec, user)
        )
        reference = {"reference": None} if self.behaviour == "1.16" else {}
        shown = {
            "id": file.id,
            **reference,
            "name": file.name,
            "size": len(file.content),
            "extension": file.extension,
            "mime_type": file.mime_type,
            "created_by": file.user,
            "created_at": file.created_at,
            "preview_url": None,
            "source_url": file.source_url,
            "original_url": None,
            "user_id": None,
            "tenant_id": TENANT_ID,
            "conversation_id": None,
            "file_key": None,
        }
        return Reply(escaped(shown), 201)

    def preview(self, request: Request, file_id: str, **_: str) -> Reply:
        """GET /files/{file_id}/file-preview: a signed URL of an upload."""
        return self._served(self.files.fetch(file_id, made=False, query=request.query))

    def tool_file(self, request: Request, file_id: str, **_: str) -> Reply:
        """GET /files/tools/{file_id}.{extension}: a signed URL of a file that an app made."""
        return self._served(self.files.fetch(file_id, made=True, query=request.query))

    def _served(self, file: File | None) -> Reply:
        if file is None:
            raise not_found("File not found or signature is invalid")
        name = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}"}
        inline = file.mime_type.startswith(("image/", "audio/", "video/"))
        return Reply(file.content, content_type=file.mime_type, headers={} if inline else name)


def _published(spec: AppSpec, workflow_id: str | None, path: str) -> None:
    """Refuse what is not published, or not the published version."""
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
        raise did_you_mean(message, path) if path == "/v1/chat-messages" else not_found(message)


def _user_id(spec: AppSpec, user: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"opendify-simulator/{spec.nickname}/{user}"))


def _with_task(record: GenerationRequest, task_id: str) -> GenerationRequest:
    return replace(record, task_id=task_id)


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
