"""The simulated Dify without its sockets: its apps and their state, and requests and replies as data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid5

from opendify.simulator.annotations import Annotations
from opendify.simulator.apps import AppSpec, Behaviour
from opendify.simulator.conversations import Conversations, Message
from opendify.simulator.counts import Tally
from opendify.simulator.errors import Refusal, not_exists, unauthorized
from opendify.simulator.files import Files
from opendify.simulator.forms import Form
from opendify.simulator.knowledge.workspace import Workspace
from opendify.simulator.runs import Run
from opendify.simulator.turns import Steps, Turn
from opendify.simulator.workflow_runs import WorkflowRun

TENANT_ID = str(uuid5(NAMESPACE_URL, "opendify-simulator/workspace"))
DEFAULT_USER = "DEFAULT-USER"
"""Who asks when a request that may leave its user out does so."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart form: a file if it has a filename."""

    name: str
    content: bytes
    filename: str | None = None
    mime_type: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that has been read.

    Args:
        headers: names in lower case.
        parameters: those of the path.
        parts: of a multipart form.
        repeated: all values of each name in the query; `query` has one of each.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    parameters: Mapping[str, str]
    body: bytes = b""
    content_type: str = ""
    parts: Sequence[Part] = ()
    repeated: Mapping[str, Sequence[str]] = field(default_factory=lambda: dict[str, Sequence[str]]())


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply that is ready.

    Args:
        chunked: it is sent in chunks, as what Dify passes on while it gets it.
    """

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    chunked: bool = False


@dataclass(frozen=True, slots=True)
class EndUser:
    """Somebody who used an app.

    Args:
        session_id: as requests name the user.
    """

    id: str
    session_id: str
    created_at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class Events:
    """A stream of server-sent events that are ready, each framed."""

    events: Sequence[bytes]


class App:
    """An app and its state."""

    def __init__(self, spec: AppSpec) -> None:
        self.spec = spec
        self.conversations = Conversations()
        self.messages: dict[str, Message] = {}
        """All of its users, by id, in the order in which they were asked."""
        self.annotations = Annotations(spec.annotations)
        self.workflow_runs: dict[str, WorkflowRun] = {}
        """Of all its users, by id, in the order in which they began."""
        self.end_users: dict[str, EndUser] = {}
        """By Dify's own id."""
        self.running: set[str] = set()
        """Task ids of its runs that are under way."""

    def user_id(self, user: str) -> str:
        """Dify's own id of a user of this app, who is now known to it."""
        user_id = str(uuid5(NAMESPACE_URL, f"opendify-simulator/{self.spec.nickname}/{user}"))
        if user_id not in self.end_users:
            self.end_users[user_id] = EndUser(user_id, user)
        return user_id

    def message(self, user: str, message_id: str, uri: str) -> Message:
        """A message of this user.

        Raises:
            Refusal: 404, the same whether it is deleted, another user's, another app's, or never was.
        """
        found = self.messages.get(message_id)
        if found is None or found.user != user:
            raise not_exists("Message", uri)
        return found

    def carries(self, file_id: str) -> bool:
        """Is an upload part of one of its messages?"""
        return any(kept.file.id == file_id for message in self.messages.values() for kept in message.files)

    def forget(self, user: str, conversation_id: str) -> None:
        """Delete a conversation and its messages; one that is not there is forgotten as well as can be."""
        for message in self.conversations.delete(user, conversation_id):
            del self.messages[message.id]


@dataclass(frozen=True, slots=True)
class Generation:
    """A reply that is still to be made: a turn, and the steps that answer it.

    Args:
        hold: seconds before the first byte may go out: a new conversation is given a name first.
    """

    app: App
    turn: Turn
    steps: Steps
    hold: float


@dataclass(frozen=True, slots=True)
class Following:
    """A reply that is the events of a run that is under way, or waits for a person.

    Args:
        task_id: of the run.
        told: what the reader is told first.
        ends: with that it is over.
        through_pauses: it does not end when the run pauses.
    """

    task_id: str
    told: Sequence[bytes]
    ends: bool
    through_pauses: bool
    headers: Mapping[str, str]


class Service:
    """All apps of one simulated Dify.

    Args:
        apps: what there is.
        behaviour: which Dify.
        pace: the model's seconds per token.
        naming_delay: seconds that naming a new conversation takes.
        workspaces: the knowledge bases, by the key that opens them.
    """

    def __init__(
        self,
        apps: Sequence[AppSpec],
        behaviour: Behaviour,
        *,
        pace: float,
        naming_delay: float,
        workspaces: Mapping[str, Workspace],
    ) -> None:
        self.behaviour: Behaviour = behaviour
        self.pace = pace
        self.naming_delay = naming_delay
        self.files = Files(TENANT_ID, behaviour)
        self.tally = Tally()
        self.runs: dict[str, Run] = {}
        """Runs that are under way or wait for a person, by task id."""
        self.forms: dict[str, Form] = {}
        """Forms that runs waited or wait for, by token."""
        self._apps = {spec.app_key: App(spec) for spec in apps}
        self._workspaces = workspaces

    @property
    def apps(self) -> Iterable[App]:
        """All apps."""
        return self._apps.values()

    def app(self, request: Request) -> App:
        """The app that the request's key opens.

        Raises:
            Refusal: 401 or 403.
        """
        app = self._apps.get(_token(request))
        if app is None:
            raise unauthorized("Access token is invalid")
        if not app.spec.api_enabled:
            raise Refusal(403, "forbidden", "The app's API service has been disabled.")
        return app

    def workspace(self, request: Request) -> Workspace:
        """The knowledge base that the request's key opens.

        Raises:
            Refusal: 401.
        """
        workspace = self._workspaces.get(_token(request))
        if workspace is None:
            raise unauthorized("Access token is invalid")
        return workspace


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise unauthorized("Authorization header must be provided and start with 'Bearer'")
    return token.strip()


Result = Reply | Generation | Events | Following
"""What an operation gives, if it does not refuse."""

Operation = Callable[[Service, Request], Result]


@dataclass(frozen=True, slots=True)
class Route:
    """Where an operation is.

    Args:
        path: with `{parameters}`, and without `/v1`.
        prefix: what stands before it.
        since: the first behaviour that has it.
    """

    method: str
    path: str
    operation: Operation
    prefix: str = "/v1"
    since: Behaviour = "1.12"

    @property
    def name(self) -> str:
        """As it is counted: `POST /chat-messages/{task_id}/stop`."""
        return f"{self.method} {self.path}"
