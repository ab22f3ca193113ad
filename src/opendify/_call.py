"""A request as data: what is asked, and how to read the answer. Pure: nothing here is sent.

An operation of Dify is one `Call` (one answer), one `EventsCall` (a stream of events) or one `FileCall` (a
file). A body is JSON (`json`) or a form with at most one file (`form`); the answer is read by a function of
the whole `Reply`, because Dify answers with objects, bare arrays, bytes, nothing, and (1.12.1, eight DELETEs)
a 200 whose body is the number 204.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, cast
from urllib.parse import quote, urlsplit

from pydantic import BeforeValidator, JsonValue, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from ._errors import ResponseError
from .types._model import is_object

if TYPE_CHECKING:
    from ._fold import Course, Fold
    from ._runs import WayBack
    from .types.events import ErrorEvent, Event
    from .types.files import InputFile

__all__ = [
    "Call",
    "EventsCall",
    "FileCall",
    "FilePart",
    "Form",
    "Operation",
    "Progress",
    "QueryValue",
    "Reply",
    "Timeout",
    "api_url",
    "attached",
    "encode_json",
    "frame",
    "given",
    "header_fields",
    "nothing",
    "path",
    "query_string",
    "read_as",
    "read_data",
    "where",
    "whole_body",
]

T = TypeVar("T")
E = TypeVar("E", bound="Event")
R = TypeVar("R")

Progress = Callable[[int, int | None], None]
"""Is told how a file moves: its bytes so far, and all of them, `None` where nobody knows."""

QueryValue = str | int | float | bool | Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long to wait, in seconds; `None` is for ever.

    `connect` is for the connection (name, TCP and TLS). `silence` is the longest time without a single
    byte from Dify, before the answer begins and within it: a stream that lives, and be it by Dify's ping
    every 10 s, never runs into it, however long it takes.
    """

    connect: float | None = 10.0
    silence: float | None = 120.0

    @classmethod
    def of(cls, timeout: Timeout | float | None) -> Timeout:
        """A timeout, or the silence that a number of seconds means; `None` is the usual one.

        >>> Timeout.of(5), Timeout.of(600)
        (Timeout(connect=5, silence=5), Timeout(connect=10.0, silence=600))
        """
        if isinstance(timeout, Timeout):
            return timeout
        if timeout is None:
            return cls()
        if not isinstance(timeout, int | float):  # pyright: ignore[reportUnnecessaryIsInstance] a type is no proof
            kind = type(timeout)
            raise TypeError(
                "timeout is an opendify.Timeout or a number of seconds, "
                f"not a {kind.__module__}.{kind.__name__}."
            )
        if timeout <= 0:
            raise ValueError("timeout must be more than 0 seconds; Timeout(silence=None) waits for ever.")
        return cls(connect=min(timeout, 10.0), silence=timeout)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer with a 2xx status. `headers` finds a name in any case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> JsonValue:
        """The body as JSON. Raises `ResponseError` where it is none."""
        try:
            value: JsonValue = from_json(self.body)
        except ValueError as error:
            raise ResponseError(_not_what_was_promised(self, "JSON"), status=self.status) from error
        return value


@dataclass(frozen=True, slots=True)
class FilePart:
    """The file of a form. `size` is in bytes, `None` if unknown; `again`: `content` can be read twice."""

    filename: str
    mime_type: str
    content: bytes | Iterable[bytes] | AsyncIterable[bytes] = field(repr=False)
    size: int | None
    again: bool
    name: str = "file"
    on_progress: Progress | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form: text fields, then a file. A field may hold JSON, as Dify's `data` part does."""

    fields: Mapping[str, str] = field(repr=False)
    file: FilePart | None = None


@dataclass(slots=True)
class Operation:
    """What is asked. `path` comes from `path()`, relative to the API's root.

    Not frozen, nor are its kinds: that would make them five times as dear, and each request makes one.
    """

    method: str
    path: str = field(repr=False)  # a form's token is a part of it
    _: KW_ONLY
    query: Mapping[str, QueryValue] = field(default_factory=dict[str, QueryValue], repr=False)
    json: object = field(default=None, repr=False)
    form: Form | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def reads_only(self) -> bool:
        """Doing it twice changes nothing."""
        return self.method == "GET"

    @property
    def again(self) -> bool:
        """The body can be sent a second time."""
        return self.form is None or self.form.file is None or self.form.file.again


@dataclass(slots=True)
class Call(Operation, Generic[T]):
    """An operation with one answer."""

    read: Callable[[Reply], T]


@dataclass(slots=True, kw_only=True)
class EventsCall(Operation, Generic[E, R]):
    """An operation that answers with a stream of events, which together make a reply."""

    events: TypeAdapter[E | ErrorEvent]
    course: Callable[[], Course]
    """The rules by which the stream ends."""
    fold: Callable[[], Fold[R]]
    """How the reply is made."""
    way_back: WayBack[E, R] | None = None
    """How to come back if the stream ends before the run does; `None`: not at all."""


@dataclass(slots=True, kw_only=True)
class FileCall(Operation):
    """An operation that answers with a file."""

    link: Callable[[Reply], str] | None = None
    """Reads where the file is, for an operation that tells no more than that."""
    json_means: str = ""
    """What it means that JSON came in place of the file; empty where the file itself may be JSON."""


# Building a request


def path(template: str, *parts: str) -> str:
    """Fill `{}` with parts, quoted; an empty part, which would be another address, is refused.

    >>> path("/workflows/{}/run", "a/b")
    '/workflows/a%2Fb/run'
    """
    for part in parts:
        if not part or part in (".", ".."):
            raise ValueError(f"{template} needs an id where {part!r} was given.")
    return template.format(*(quote(part, safe="") for part in parts))


def given(**fields: object) -> dict[str, object]:
    """The fields that are not `None`: Dify's defaults hold for the others.

    >>> given(user="ada", conversation_id=None)
    {'user': 'ada'}
    """
    return {name: value for name, value in fields.items() if value is not None}


def attached(files: Iterable[InputFile] | None) -> list[object] | None:
    """The files of a message, as they are.

    Raises `TypeError` for what is none: Dify passes over a file without `transfer_method`, as an
    `UploadedFile` is one, and the model answers as if nothing had been sent with the question.
    """
    if files is None:
        return None
    listed = list[object](files)
    if not all(isinstance(file, Mapping) and "transfer_method" in file for file in listed):
        raise TypeError(
            "files is a list of attachments: of a file that was uploaded its `attachment`, of one on the web "
            '{"type": "image", "transfer_method": "remote_url", "url": "https://…"}.'
        )
    return listed


def header_fields(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers with their names in lower case, so that one that the user gives takes the place of ours.

    Raises `ValueError` for what HTTP cannot carry.
    """
    for name, value in headers.items():
        if not all(text.isascii() and text.isprintable() for text in (name, value)):
            raise ValueError(
                f"The header {name!r} holds what HTTP cannot carry: ASCII without line ends it is."
            )
    return {name.lower(): value for name, value in headers.items()}


def encode_json(value: object) -> bytes:
    """JSON in UTF-8. Raises `ValueError` for text with half a surrogate pair and for what is no JSON."""
    try:
        return to_json(value)
    except ValueError as error:
        # Pydantic's own message may quote the value, which may be a prompt.
        raise ValueError(f"The request cannot be written as JSON: {type(error).__name__}.") from None


def query_string(query: Mapping[str, QueryValue]) -> str:
    """`?a=1&b=true`, or nothing.

    >>> query_string({"limit": 20, "user": "ada & bob", "last_id": None, "tag_ids": ["a", "b"]})
    '?limit=20&user=ada%20%26%20bob&tag_ids=a&tag_ids=b'
    """
    pairs = [
        f"{quote(name, safe='')}={quote(_query_text(one), safe='')}"
        for name, value in query.items()
        for one in ((value,) if isinstance(value, str | int | float | None) else value)
        if one is not None
    ]
    return f"?{'&'.join(pairs)}" if pairs else ""


def _query_text(value: str | float) -> str:
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


def api_url(base_url: str) -> str:
    """The API's root, from what people paste: with or without /v1, with or without a slash at the end.

    >>> api_url("https://dify.example.com/"), api_url("http://localhost:5001/v1")
    ('https://dify.example.com/v1', 'http://localhost:5001/v1')
    """
    url = base_url.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError("base_url is not a URL: its host or port cannot be read.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_fits:
        raise ValueError("base_url must be a URL such as https://api.dify.ai/v1.")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("base_url must be an address alone: no user, no query, no fragment.")
    return url if re.search(r"/v\d+$", parts.path) else f"{url}/v1"


def frame(form: Form) -> tuple[str, bytes, bytes]:
    """The content type of a multipart form, all bytes before its file, and all bytes after it."""
    boundary = os.urandom(16).hex()
    before = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'.encode()
        for name, value in form.fields.items()
    )
    if form.file is not None:
        before += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(form.file.name)}"; '
            f'filename="{_quoted(form.file.filename)}"\r\nContent-Type: {form.file.mime_type}\r\n\r\n'
        ).encode()
    after = f"{'' if form.file is None else chr(13) + chr(10)}--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", before, after


def _quoted(name: str) -> str:
    """A name within a multipart header, escaped as browsers do (WHATWG HTML, multipart form data)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


# Reading an answer


def read_as(kind: type[T]) -> Callable[[Reply], T]:
    """A reader of JSON answers: a model, or any type that pydantic knows, as `list[Tag]`."""
    # What stands in an answer must not stand in an error.
    adapter: TypeAdapter[T] = TypeAdapter(kind)

    def read(reply: Reply) -> T:
        try:
            return adapter.validate_json(reply.body)
        except ValidationError as error:
            name = getattr(kind, "__name__", str(kind))
            raise ResponseError(
                f"{_not_what_was_promised(reply, name)} {where(error)}", status=reply.status
            ) from None

    return read


def read_data(kind: type[T]) -> Callable[[Reply], T]:
    """A reader of JSON answers in whose `data` all stands that is told."""
    inner = Annotated[kind, BeforeValidator(_data)]  # type: ignore[valid-type]  # known only when it runs
    return read_as(cast("type[T]", inner))  # cast: pydantic takes a type with a validator as a type


def _data(value: Any) -> Any:  # Any: what pydantic gives and takes here
    return value.get("data") if is_object(value) else value


def whole_body(reply: Reply) -> bytes:
    """The reader of files."""
    return reply.body


def nothing(reply: Reply) -> None:
    """The reader of answers that say no more than that it is done."""


def where(error: ValidationError) -> str:
    """Which field is wrong, and how, without its value."""
    first: Any = error.errors(include_url=False, include_input=False)[0]  # Any: pydantic's own TypedDict
    place = ".".join(str(part) for part in first["loc"])
    return f"({place}: {first['msg']})" if place else f"({first['msg']})"


def _not_what_was_promised(reply: Reply, promised: str) -> str:
    kind = reply.headers.get("content-type", "no content type")
    return (
        f"The answer has status {reply.status} but is not {promised}: {len(reply.body)} bytes of {kind}. "
        "Check that base_url leads to Dify's API."
    )
