# Made from _async/_caller.py by scripts/unasync.py: edit that file, not this one.
"""One request after the other: addresses, keys, tries and refusals. What all resources call with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin

from .._call import (
    Call,
    EventsCall,
    FileCall,
    Operation,
    Reply,
    Timeout,
    encode_json,
    frame,
    query_string,
)
from .._errors import APIConnectionError, ResponseError, refusal_from_reply, retold
from .._page import Listing, Page, Query
from .._watch import Hooks, Watch
from ._download import Download
from ._pages import Pages
from ._transport import Request, Response, Transport
from ._tries import Tries
from ._upload import Upload

if TYPE_CHECKING:
    from ..types.events import Event
    from ._stream import Ask, Stream

__all__ = ["Caller"]

T = TypeVar("T")
E = TypeVar("E", bound="Event")
R = TypeVar("R")

EVENTS = "text/event-stream"
FILE = "application/octet-stream, */*"


@cache
def _user_agent() -> str:
    from importlib.metadata import version

    return f"opendify/{version('opendify')}"


@cache
def _stream_type() -> type[Stream[Any, Any]]:
    # An `import` in a function takes 4 µs each time, even of what is there already.
    from ._stream import Stream

    return Stream


@dataclass(frozen=True, slots=True)
class Caller:
    """Everything that a request needs beside the operation itself."""

    transport: Transport
    root: str
    api_key: str = field(repr=False)
    user: str | None
    timeout: Timeout
    max_retries: int
    max_event_bytes: int
    headers: Mapping[str, str] = field(repr=False)
    hooks: Hooks
    _common: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ours = {"authorization": f"Bearer {self.api_key}", "user-agent": _user_agent()}
        object.__setattr__(self, "_common", {**ours, **self.headers})

    def named(self, user: str | None) -> str:
        """The end user of this call, or the client's own."""
        name = user or self.user
        if not name:
            raise ValueError(
                "Dify wants to know the end user: pass user=…, or give the client one for all calls."
            )
        return name

    def send(self, call: Call[T]) -> T:
        """Send, read the whole answer, and give what it says."""
        return call.read(self.reply(call))

    def reply(self, operation: Operation) -> Reply:
        """Send, and read the whole answer."""
        return self._tries(operation)(lambda attempt: self._reply_once(operation, attempt))

    def stream(self, call: EventsCall[E, R], human_input: Ask | None = None) -> Stream[E, R]:
        """The stream of a call, not yet sent."""
        return _stream_type()(call, self, human_input)

    def pages(self, listing: Listing[T]) -> Pages[T]:
        """The pages of a list, not yet asked for."""

        def ask(query: Query) -> Page[T]:
            return self.send(Call(method="GET", path=listing.path, query=query, read=listing.read))

        return Pages(listing, ask)

    def fold(self, call: EventsCall[E, R], human_input: Ask | None = None) -> R:
        """Follow a stream to its end and give the whole answer."""
        with self.stream(call, human_input) as events:
            return events.reply()

    def open_stream(self, call: EventsCall[E, R]) -> Response:
        """Send, and give the stream that answers."""
        response = self._tries(call)(lambda attempt: self._open(self._request(call, EVENTS), attempt))
        kind = response.headers.get("content-type", EVENTS)
        if _mime_type(kind) != EVENTS:
            response.close()
            raise ResponseError(
                f"The answer has status {response.status} but is {kind}, not a stream of events. "
                "Check that base_url leads to Dify's API.",
                status=response.status,
            )
        return response

    def download(self, call: FileCall) -> Download:
        """The file of a call, not yet asked for."""
        return Download(lambda attempt: self._open_file(call, attempt), self._tries(call))

    def _reply_once(self, operation: Operation, attempt: int) -> Reply:
        response = self._open(self._request(operation, "*/*"), attempt)
        try:
            body = response.read()
        finally:
            response.close()
        return Reply(response.status, response.headers, body)

    def _open_file(self, call: FileCall, attempt: int) -> Response:
        if call.link is None:
            response = self._open(self._request(call, FILE), attempt)
        else:
            link = urljoin(self.root, call.link(self._reply_once(call, attempt)))
            # Wherever that is, it is not asked with our key: the link itself is what opens it.
            headers = {"accept": "*/*", "accept-encoding": "identity", "user-agent": _user_agent()}
            response = self._open(Request("GET", link, headers, None, self.timeout), attempt)
        if call.json_means and _mime_type(response.headers.get("content-type", "")) == "application/json":
            response.close()
            raise ResponseError(call.json_means, status=response.status)
        return response

    def _tries(self, operation: Operation) -> Tries:
        return Tries(operation, self.max_retries)

    def _open(self, request: Request, attempt: int) -> Response:
        """Send once, and give the answer if it is a success."""
        watch = Watch(self.hooks, request, attempt)
        try:
            response = self.transport.open(request)
        except APIConnectionError as error:
            watch.failed(error)
            raise
        try:
            watch.answered(response.status, response.headers)
            if 200 <= response.status < 300:
                return response
            body = response.read()
        except BaseException:
            response.close()
            raise
        response.close()
        refused = refusal_from_reply(response.status, response.headers, body)
        if refused.code in ("unknown", "method_not_allowed") and (reason := self._too_old(request, response)):
            refused = retold(refused, reason, "Update Dify, or do without it.")
        raise refused

    def _too_old(self, request: Request, response: Response) -> str:
        """Why an address is unknown, if that is because this Dify is older than the operation."""
        if response.status not in (404, 405):
            return ""
        from .._operations import too_old

        path = request.url.removeprefix(self.root).partition("?")[0]
        return too_old(request.method, path, response.headers.get("x-version", ""))

    def _request(self, operation: Operation, accept: str) -> Request:
        headers = {"accept": accept, **self._common, **operation.headers}
        content: bytes | Upload | None = None
        if operation.json is not None:
            headers["content-type"] = "application/json"
            content = encode_json(operation.json)
        elif operation.form is not None:
            headers["content-type"], before, after = frame(operation.form)
            content = Upload(before, operation.form.file, after)
            if content.size is not None:
                headers["content-length"] = str(content.size)
        if accept in (EVENTS, FILE):
            # A compressed stream is a buffered stream, and a compressed file has no length.
            headers["accept-encoding"] = "identity"
        return Request(
            operation.method,
            f"{self.root}{operation.path}{query_string(operation.query)}",
            headers,
            content,
            self.timeout,
        )


def _mime_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
