# Made from _async/_client.py by scripts/unasync.py: edit that file, not this one.
"""The clients: one of an app, by the app's key, and one of the knowledge, by a dataset key."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self
from urllib.parse import quote

from .._call import Form, Operation, QueryValue, Reply, Timeout, api_url, header_fields
from .._errors import shown
from .._sse import MAX_EVENT_BYTES
from .._watch import Hooks, RequestInfo, ResponseInfo
from ._caller import Caller
from ._transport import Transport
from ._upload import FileContent, file_part

if TYPE_CHECKING:
    from ._httpx import HttpClient
    from .annotations import Annotations
    from .app import App
    from .audio import Audio
    from .chat import Chat
    from .child_chunks import ChildChunks
    from .completion import Completion
    from .conversations import Conversations
    from .datasets import Datasets
    from .documents import Documents
    from .end_users import EndUsers
    from .feedback import Feedbacks
    from .files import Files
    from .human_input import HumanInput
    from .messages import Messages
    from .metadata import Metadata
    from .models import Models
    from .pipeline import Pipeline
    from .segments import Segments
    from .server import Server
    from .tags import Tags
    from .workflows import Workflows

__all__ = ["Dify", "Knowledge"]

DEFAULT_BASE_URL = "https://api.dify.ai/v1"


class _Client:
    """What the clients have in common: a key, a server, and connections."""

    _KEY_VARIABLE: ClassVar[str]

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        user: str | None = None,
        timeout: Timeout | float | None = None,
        max_retries: int = 2,
        transport: Transport | None = None,
        http_client: HttpClient | None = None,
        headers: Mapping[str, str] | None = None,
        on_request: Callable[[RequestInfo], None] | None = None,
        on_response: Callable[[ResponseInfo], None] | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        key = _checked_key(api_key or os.environ.get(self._KEY_VARIABLE, ""), self._KEY_VARIABLE)
        root = api_url(base_url or os.environ.get("DIFY_API_BASE") or DEFAULT_BASE_URL)
        if transport is not None and http_client is not None:
            raise ValueError("Pass transport or http_client, not both: each says how requests are sent.")
        self._owned: Transport | None = None
        if transport is None:
            from ._httpx import HttpxTransport

            if http_client is not None:
                transport = HttpxTransport.over(http_client)
            else:
                transport = self._owned = HttpxTransport()
        self._caller = Caller(
            transport=_checked_transport(transport, type(self)),
            root=root,
            api_key=key,
            user=user,
            timeout=Timeout.of(timeout),
            max_retries=_checked_retries(max_retries),
            max_event_bytes=max_event_bytes,
            headers=header_fields(headers or {}),
            hooks=Hooks(on_request, on_response),
        )

    @cached_property
    def server(self) -> Server:
        """Which Dify this is."""
        from .server import Server

        return Server(self._caller)

    def with_options(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        user: str | None = None,
        timeout: Timeout | float | None = None,
        max_retries: int | None = None,
        headers: Mapping[str, str] | None = None,
        max_event_bytes: int | None = None,
    ) -> Self:
        """A client like this one but for what is named, over the same connections.

        For one call, or for another app: nothing is opened and nothing need be closed, the connections are
        this one's. `headers` are added to those that there are.

        >>> def patient(dify: Dify) -> str:
        ...     reply = dify.with_options(timeout=600, max_retries=0).chat.send(query="Hi", user="ada")
        ...     return reply.answer
        """
        old = self._caller
        copy = object.__new__(type(self))
        copy._owned = None
        copy._caller = replace(
            old,
            api_key=old.api_key if api_key is None else _checked_key(api_key, self._KEY_VARIABLE),
            root=old.root if base_url is None else api_url(base_url),
            user=old.user if user is None else user,
            timeout=old.timeout if timeout is None else Timeout.of(timeout),
            max_retries=old.max_retries if max_retries is None else _checked_retries(max_retries),
            headers=old.headers if headers is None else {**old.headers, **header_fields(headers)},
            max_event_bytes=old.max_event_bytes if max_event_bytes is None else max_event_bytes,
        )
        return copy

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, QueryValue] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
        file: FileContent | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Any call of Dify's API that has no method of its own, with the same errors and the same tries.

        `path` is relative to the API's root: "/workflows/logs". `query` is its query, in which a list is a
        name that comes several times. A body is `json`, or a form: `form` has its fields, `file` its file,
        which Dify calls "file". `headers` are added to those of the client.

        >>> def logs(dify: Dify) -> JsonValue:
        ...     return dify.request("GET", "/workflows/logs", query={"limit": 5}).json()
        """
        if not path.startswith("/"):
            raise ValueError(f"path must begin with a slash, as in /workflows/logs; it is {shown(path)!r}.")
        if json is not None and (form is not None or file is not None):
            raise ValueError("A body is json or a form, not both.")
        if "?" in path and query:
            raise ValueError("path has a query of its own: put all of it into query.")
        part = None if file is None else file_part(file)
        return self._caller.reply(
            Operation(
                method=method.upper(),
                path=quote(path, safe="/?%:@!$&'()*+,;=~"),
                query=query or {},
                json=json,
                form=None if form is None and part is None else Form(form or {}, part),
                headers=header_fields(headers or {}),
            )
        )

    def close(self) -> None:
        """Close the connections, if they are this client's own."""
        if self._owned is not None:
            self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._caller.root!r}, user={self._caller.user!r})"


class Dify(_Client):
    """A client of one Dify app.

    `api_key`: the app's, from its API Access page; left out, it is read from `DIFY_API_KEY`.
    `base_url`: where Dify is, with or without /v1; left out, `DIFY_API_BASE`, or Dify's cloud.
    `user`: the end user of all calls that name none.
    `timeout`: a `Timeout`, or the seconds that may pass without a byte (120).
    `max_retries`: how often a request is sent again where that cannot do anything twice (2).
    `transport`: your own, which you close yourself; left out, the client makes one and closes it.
    `http_client`: your own `httpx2.Client`, which you close yourself, in place of a transport.
    `headers`: sent with every request.
    `on_request`, `on_response`: called before each request is sent and when the head of its answer is there,
    retries included; plain functions, which should not take long. What they raise is raised by the call.
    `max_event_bytes`: the largest event that a stream may bring.

    >>> def ask() -> str:
    ...     with Dify("app-…", base_url="https://dify.example.com") as dify:
    ...         return dify.chat.send(query="Hello", user="ada").answer
    """

    _KEY_VARIABLE = "DIFY_API_KEY"

    @cached_property
    def annotations(self) -> Annotations:
        """Answers kept ready for questions, and when they are given."""
        from .annotations import Annotations

        return Annotations(self._caller)

    @cached_property
    def app(self) -> App:
        """What the app is, asks for and allows."""
        from .app import App

        return App(self._caller)

    @cached_property
    def audio(self) -> Audio:
        """Speech to text, and text to speech."""
        from .audio import Audio

        return Audio(self._caller)

    @cached_property
    def chat(self) -> Chat:
        """Chat apps, agents and chatflows."""
        from .chat import Chat

        return Chat(self._caller)

    @cached_property
    def completion(self) -> Completion:
        """Text generators."""
        from .completion import Completion

        return Completion(self._caller)

    @cached_property
    def conversations(self) -> Conversations:
        """Conversations of an end user, and their variables."""
        from .conversations import Conversations

        return Conversations(self._caller)

    @cached_property
    def end_users(self) -> EndUsers:
        """The end users of the app."""
        from .end_users import EndUsers

        return EndUsers(self._caller)

    @cached_property
    def feedback(self) -> Feedbacks:
        """Ratings of answers."""
        from .feedback import Feedbacks

        return Feedbacks(self._caller)

    @cached_property
    def files(self) -> Files:
        """Files of the end users."""
        from .files import Files

        return Files(self._caller)

    @cached_property
    def human_input(self) -> HumanInput:
        """Forms that workflows and chatflows wait for."""
        from .human_input import HumanInput

        return HumanInput(self._caller)

    @cached_property
    def messages(self) -> Messages:
        """The messages of a conversation."""
        from .messages import Messages

        return Messages(self._caller)

    @cached_property
    def workflows(self) -> Workflows:
        """Workflows and their runs."""
        from .workflows import Workflows

        return Workflows(self._caller)


class Knowledge(_Client):
    """A client of a workspace's knowledge: its datasets, and the documents in them.

    `api_key`: a dataset key, from Knowledge, Service API; left out, it is read from `DIFY_DATASET_KEY`. The
    other parameters are those of `Dify`.

    >>> def datasets() -> list[str]:
    ...     with Knowledge("dataset-…", base_url="https://dify.example.com") as knowledge:
    ...         return [dataset.name for dataset in knowledge.datasets.list()]
    """

    _KEY_VARIABLE = "DIFY_DATASET_KEY"

    @cached_property
    def datasets(self) -> Datasets:
        """The knowledge bases, and the search in them."""
        from .datasets import Datasets

        return Datasets(self._caller)

    @cached_property
    def documents(self) -> Documents:
        """What is in a dataset, and how far it is indexed."""
        from .documents import Documents

        return Documents(self._caller)

    @cached_property
    def child_chunks(self) -> ChildChunks:
        """The child chunks by which segments are found."""
        from .child_chunks import ChildChunks

        return ChildChunks(self._caller)

    @cached_property
    def metadata(self) -> Metadata:
        """The metadata fields of a dataset, and what documents have in them."""
        from .metadata import Metadata

        return Metadata(self._caller)

    @cached_property
    def models(self) -> Models:
        """The models that the workspace can use."""
        from .models import Models

        return Models(self._caller)

    @cached_property
    def segments(self) -> Segments:
        """The pieces that documents are cut into."""
        from .segments import Segments

        return Segments(self._caller)

    @cached_property
    def tags(self) -> Tags:
        """Tags of datasets."""
        from .tags import Tags

        return Tags(self._caller)

    @cached_property
    def pipeline(self) -> Pipeline:
        """Knowledge pipelines: their datasources, and runs of them."""
        from .pipeline import Pipeline

        return Pipeline(self._caller)


def _checked_key(key: str, variable: str) -> str:
    key = key.strip()
    if not key:
        raise ValueError(f"No API key: pass one, or set {variable}. {_WHERE[variable]}")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("The API key holds a character that no key has; copy it again from Dify.")
    return key


def _checked_retries(max_retries: int) -> int:
    if max_retries < 0:
        raise ValueError("max_retries is how often a request may be sent again: 0 or more.")
    return max_retries


def _checked_transport(transport: Transport, client: type[_Client]) -> Transport:
    kind = type(transport).__name__
    for method in ("open", "close"):
        if not hasattr(transport, method):
            raise TypeError(
                f"{client.__name__} needs a transport with open and close, such as an HttpxTransport: "
                f"{kind} has no {method}. Clients whose calls are awaited take transports whose calls are, "
                "the others take the others."
            )
    return transport


_WHERE = {
    "DIFY_API_KEY": "The app's API Access page in Dify has it.",
    "DIFY_DATASET_KEY": "Dify has it under Knowledge, Service API.",
}
