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
from ._caller import AsyncCaller
from ._transport import AsyncTransport
from ._upload import AsyncFileContent, async_file_part

if TYPE_CHECKING:
    from ._httpx import AsyncHttpClient
    from .annotations import AsyncAnnotations
    from .app import AsyncApp
    from .audio import AsyncAudio
    from .chat import AsyncChat
    from .child_chunks import AsyncChildChunks
    from .completion import AsyncCompletion
    from .conversations import AsyncConversations
    from .datasets import AsyncDatasets
    from .documents import AsyncDocuments
    from .end_users import AsyncEndUsers
    from .feedback import AsyncFeedbacks
    from .files import AsyncFiles
    from .human_input import AsyncHumanInput
    from .messages import AsyncMessages
    from .metadata import AsyncMetadata
    from .models import AsyncModels
    from .pipeline import AsyncPipeline
    from .segments import AsyncSegments
    from .server import AsyncServer
    from .tags import AsyncTags
    from .workflows import AsyncWorkflows

__all__ = ["AsyncDify", "AsyncKnowledge"]

DEFAULT_BASE_URL = "https://api.dify.ai/v1"


class _AsyncClient:
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
        transport: AsyncTransport | None = None,
        http_client: AsyncHttpClient | None = None,
        headers: Mapping[str, str] | None = None,
        on_request: Callable[[RequestInfo], None] | None = None,
        on_response: Callable[[ResponseInfo], None] | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        key = _checked_key(api_key or os.environ.get(self._KEY_VARIABLE, ""), self._KEY_VARIABLE)
        root = api_url(base_url or os.environ.get("DIFY_API_BASE") or DEFAULT_BASE_URL)
        if transport is not None and http_client is not None:
            raise ValueError("Pass transport or http_client, not both: each says how requests are sent.")
        self._owned: AsyncTransport | None = None
        if transport is None:
            from ._httpx import AsyncHttpxTransport

            if http_client is not None:
                transport = AsyncHttpxTransport.over(http_client)
            else:
                transport = self._owned = AsyncHttpxTransport()
        self._caller = AsyncCaller(
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
    def server(self) -> AsyncServer:
        """Which Dify this is."""
        from .server import AsyncServer

        return AsyncServer(self._caller)

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

        >>> async def patient(dify: AsyncDify) -> str:
        ...     reply = await dify.with_options(timeout=600, max_retries=0).chat.send(query="Hi", user="ada")
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

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, QueryValue] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
        file: AsyncFileContent | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Any call of Dify's API that has no method of its own, with the same errors and the same tries.

        `path` is relative to the API's root: "/workflows/logs". `query` is its query, in which a list is a
        name that comes several times. A body is `json`, or a form: `form` has its fields, `file` its file,
        which Dify calls "file". `headers` are added to those of the client.

        >>> async def logs(dify: AsyncDify) -> JsonValue:
        ...     return (await dify.request("GET", "/workflows/logs", query={"limit": 5})).json()
        """
        if not path.startswith("/"):
            raise ValueError(f"path must begin with a slash, as in /workflows/logs; it is {shown(path)!r}.")
        if json is not None and (form is not None or file is not None):
            raise ValueError("A body is json or a form, not both.")
        if "?" in path and query:
            raise ValueError("path has a query of its own: put all of it into query.")
        part = None if file is None else await async_file_part(file)
        return await self._caller.reply(
            Operation(
                method=method.upper(),
                path=quote(path, safe="/?%:@!$&'()*+,;=~"),
                query=query or {},
                json=json,
                form=None if form is None and part is None else Form(form or {}, part),
                headers=header_fields(headers or {}),
            )
        )

    async def aclose(self) -> None:
        """Close the connections, if they are this client's own."""
        if self._owned is not None:
            await self._owned.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._caller.root!r}, user={self._caller.user!r})"


class AsyncDify(_AsyncClient):
    """A client of one Dify app.

    `api_key`: the app's, from its API Access page; left out, it is read from `DIFY_API_KEY`.
    `base_url`: where Dify is, with or without /v1; left out, `DIFY_API_BASE`, or Dify's cloud.
    `user`: the end user of all calls that name none.
    `timeout`: a `Timeout`, or the seconds that may pass without a byte (120).
    `max_retries`: how often a request is sent again where that cannot do anything twice (2).
    `transport`: your own, which you close yourself; left out, the client makes one and closes it.
    `http_client`: your own `httpx2.AsyncClient`, which you close yourself, in place of a transport.
    `headers`: sent with every request.
    `on_request`, `on_response`: called before each request is sent and when the head of its answer is there,
    retries included; plain functions, which should not take long. What they raise is raised by the call.
    `max_event_bytes`: the largest event that a stream may bring.

    >>> async def ask() -> str:
    ...     async with AsyncDify("app-…", base_url="https://dify.example.com") as dify:
    ...         return (await dify.chat.send(query="Hello", user="ada")).answer
    """

    _KEY_VARIABLE = "DIFY_API_KEY"

    @cached_property
    def annotations(self) -> AsyncAnnotations:
        """Answers kept ready for questions, and when they are given."""
        from .annotations import AsyncAnnotations

        return AsyncAnnotations(self._caller)

    @cached_property
    def app(self) -> AsyncApp:
        """What the app is, asks for and allows."""
        from .app import AsyncApp

        return AsyncApp(self._caller)

    @cached_property
    def audio(self) -> AsyncAudio:
        """Speech to text, and text to speech."""
        from .audio import AsyncAudio

        return AsyncAudio(self._caller)

    @cached_property
    def chat(self) -> AsyncChat:
        """Chat apps, agents and chatflows."""
        from .chat import AsyncChat

        return AsyncChat(self._caller)

    @cached_property
    def completion(self) -> AsyncCompletion:
        """Text generators."""
        from .completion import AsyncCompletion

        return AsyncCompletion(self._caller)

    @cached_property
    def conversations(self) -> AsyncConversations:
        """Conversations of an end user, and their variables."""
        from .conversations import AsyncConversations

        return AsyncConversations(self._caller)

    @cached_property
    def end_users(self) -> AsyncEndUsers:
        """The end users of the app."""
        from .end_users import AsyncEndUsers

        return AsyncEndUsers(self._caller)

    @cached_property
    def feedback(self) -> AsyncFeedbacks:
        """Ratings of answers."""
        from .feedback import AsyncFeedbacks

        return AsyncFeedbacks(self._caller)

    @cached_property
    def files(self) -> AsyncFiles:
        """Files of the end users."""
        from .files import AsyncFiles

        return AsyncFiles(self._caller)

    @cached_property
    def human_input(self) -> AsyncHumanInput:
        """Forms that workflows and chatflows wait for."""
        from .human_input import AsyncHumanInput

        return AsyncHumanInput(self._caller)

    @cached_property
    def messages(self) -> AsyncMessages:
        """The messages of a conversation."""
        from .messages import AsyncMessages

        return AsyncMessages(self._caller)

    @cached_property
    def workflows(self) -> AsyncWorkflows:
        """Workflows and their runs."""
        from .workflows import AsyncWorkflows

        return AsyncWorkflows(self._caller)


class AsyncKnowledge(_AsyncClient):
    """A client of a workspace's knowledge: its datasets, and the documents in them.

    `api_key`: a dataset key, from Knowledge, Service API; left out, it is read from `DIFY_DATASET_KEY`. The
    other parameters are those of `AsyncDify`.

    >>> async def datasets() -> list[str]:
    ...     async with AsyncKnowledge("dataset-…", base_url="https://dify.example.com") as knowledge:
    ...         return [dataset.name async for dataset in knowledge.datasets.list()]
    """

    _KEY_VARIABLE = "DIFY_DATASET_KEY"

    @cached_property
    def datasets(self) -> AsyncDatasets:
        """The knowledge bases, and the search in them."""
        from .datasets import AsyncDatasets

        return AsyncDatasets(self._caller)

    @cached_property
    def documents(self) -> AsyncDocuments:
        """What is in a dataset, and how far it is indexed."""
        from .documents import AsyncDocuments

        return AsyncDocuments(self._caller)

    @cached_property
    def child_chunks(self) -> AsyncChildChunks:
        """The child chunks by which segments are found."""
        from .child_chunks import AsyncChildChunks

        return AsyncChildChunks(self._caller)

    @cached_property
    def metadata(self) -> AsyncMetadata:
        """The metadata fields of a dataset, and what documents have in them."""
        from .metadata import AsyncMetadata

        return AsyncMetadata(self._caller)

    @cached_property
    def models(self) -> AsyncModels:
        """The models that the workspace can use."""
        from .models import AsyncModels

        return AsyncModels(self._caller)

    @cached_property
    def segments(self) -> AsyncSegments:
        """The pieces that documents are cut into."""
        from .segments import AsyncSegments

        return AsyncSegments(self._caller)

    @cached_property
    def tags(self) -> AsyncTags:
        """Tags of datasets."""
        from .tags import AsyncTags

        return AsyncTags(self._caller)

    @cached_property
    def pipeline(self) -> AsyncPipeline:
        """Knowledge pipelines: their datasources, and runs of them."""
        from .pipeline import AsyncPipeline

        return AsyncPipeline(self._caller)


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


def _checked_transport(transport: AsyncTransport, client: type[_AsyncClient]) -> AsyncTransport:
    kind = type(transport).__name__
    for method in ("open", "aclose"):
        if not hasattr(transport, method):
            raise TypeError(
                f"{client.__name__} needs a transport with open and aclose, such as an AsyncHttpxTransport: "
                f"{kind} has no {method}. Clients whose calls are awaited take transports whose calls are, "
                "the others take the others."
            )
    return transport


_WHERE = {
    "DIFY_API_KEY": "The app's API Access page in Dify has it.",
    "DIFY_DATASET_KEY": "Dify has it under Knowledge, Service API.",
}
