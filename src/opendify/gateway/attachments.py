"""Image, audio and file parts of a request as Dify files. Pure: what to upload is decided here, not done.

A type is read from the bytes, never from what the client says they are. A URL that a client gave goes to Dify
as it is: the gateway never fetches one.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import cast
from urllib.parse import unquote_to_bytes, urlsplit

from opendify._media import HEAD_BYTES, extension_of, file_type, sniff
from opendify.gateway.conversation import RESULT_ROLES, Conversation, attachments
from opendify.gateway.errors import OpenAIError, invalid
from opendify.gateway.translate import FILE_TYPES, takes_files
from opendify.gateway.wire import Message, Part
from opendify.types import AppParameters, FileType

MEGABYTE = 1024 * 1024
_BRINGERS = RESULT_ROLES | {"user"}

KINDS: tuple[FileType, ...] = ("image", "document", "audio", "video", "custom")


@dataclass(frozen=True, slots=True)
class Remote:
    """A file that Dify fetches itself.

    Attributes:
        type: Dify's file type.
        where: The place of the part in the request, for messages: ``messages[0].content[1]``.
    """

    type: FileType
    url: str
    where: str


@dataclass(frozen=True, slots=True)
class Inline:
    """A file whose bytes came with the request.

    Attributes:
        name: A file name with the extension that its bytes ask for.
        digest: SHA-256 of the bytes: what makes it the same file again.
    """

    type: FileType
    data: bytes = field(repr=False)
    mime_type: str
    name: str
    where: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", sha256(self.data).hexdigest())  # how a frozen dataclass sets one


@dataclass(frozen=True, slots=True)
class Known:
    """A file that was uploaded before, by its id."""

    file_id: str
    where: str


Attachment = Remote | Inline | Known


@dataclass(frozen=True, slots=True)
class Limits:
    """What an app takes.

    Attributes:
        types: Dify's file types; empty if the app takes no files.
        extensions: Extensions, in lower case without a dot, that a ``custom`` type allows.
        count: How many files stand beside one question.
        megabytes: The largest size by type.
    """

    types: frozenset[str]
    extensions: frozenset[str]
    count: int
    megabytes: Mapping[str, float]

    def __str__(self) -> str:
        if not self.types:
            return "no files"
        sizes = ", ".join(
            f"{kind} up to {self.megabytes[kind]:g} MB" if kind in self.megabytes else kind
            for kind in sorted(self.types)
        )
        return f"at most {self.count} files: {sizes}"


def limits(parameters: AppParameters) -> Limits:
    """What an app takes, from its ``/parameters``: beside the question, or in a file input of its form."""
    types: set[str] = set()
    extensions: set[str] = set()
    count = 0
    upload = parameters.file_upload
    if upload and takes_files(parameters):
        types.update(upload.allowed_file_types or ["image"])
        extensions.update(upload.allowed_file_extensions or ())
        count = upload.number_limits or 1
    for entry in parameters.user_input_form:
        if entry.type in FILE_TYPES:
            types.update(entry.allowed_file_types or KINDS)
            extensions.update(entry.allowed_file_extensions or ())
            count += 1 if entry.type == "file" else entry.max_length or 1
    system = parameters.system_parameters
    sizes = {
        "image": system.image_file_size_limit,
        "audio": system.audio_file_size_limit,
        "video": system.video_file_size_limit,
        "document": system.file_size_limit,
        "custom": system.file_size_limit,
    }
    return Limits(
        frozenset(types),
        frozenset(extension.lower().lstrip(".") for extension in extensions),
        count,
        {kind: size for kind, size in sizes.items() if size},
    )


def collect(conversation: Conversation, allowed: Limits, model: str, *, history: bool) -> list[Attachment]:
    """The files that go to Dify with this question, checked against what the app takes.

    Args:
        conversation: What the client said.
        allowed: What the app takes.
        model: The model's name, for messages.
        history: Files of earlier turns go too, the newest first, as far as there is room: a new conversation
            is being seeded with those turns.

    Raises:
        OpenAIError: 400 naming the part, its type and size, and what the app takes.
    """
    asked = [
        _check(_read(part, f"messages[{place}].content[{index}]"), allowed, model)
        for place, message in zip(conversation.places, conversation.new, strict=True)
        for index, part in attachments(message)
    ]
    if len(asked) > allowed.count:
        raise _refused(f"{len(asked)} files", "messages", allowed, model)
    if not history or not allowed.types:
        return asked
    earlier = _earlier(conversation.history, allowed, model)
    room = allowed.count - len(asked)
    return [*earlier[max(0, len(earlier) - room) :], *asked] if room else asked


def read_file(value: object, where: str) -> Attachment:
    """A file in an answer to a form: an address, a data URL, the id of an upload, or an object with one.

    The object may be one of Dify's (``{"transfer_method": "remote_url", "url": …}``) or what OpenAI has in
    a ``file`` part (``{"file_data": …, "filename": …}``).

    Args:
        where: The place in the request, for messages.

    Raises:
        OpenAIError: 400 for anything else.

    >>> read_file("https://example.com/cat.png", "messages[2].content").type
    'image'
    """
    given = cast("Mapping[str, object]", value if isinstance(value, dict) else {})  # keys of JSON are texts
    named = value if isinstance(value, str) else _first(given, "url", "remote_url", "file_data")
    if named.lower().startswith(("http://", "https://", "data:")):
        return _from_url(named, where, None, _first(given, "filename"))
    file_id = value if isinstance(value, str) else _first(given, "upload_file_id", "file_id", "id")
    if not file_id:
        raise invalid(f"{where} takes a file: an http, https or data URL, or the id of an upload.", where)
    return Known(file_id, where)


def _first(given: Mapping[str, object], *names: str) -> str:
    return next((value for name in names if isinstance(value := given.get(name), str)), "")


def _earlier(history: Sequence[Message], allowed: Limits, model: str) -> list[Attachment]:
    """Files of the user's earlier turns, and of results. One that the app would not take is told in words."""
    found: list[Attachment] = []
    for message in history:
        for _, part in attachments(message) if message.role in _BRINGERS else ():
            try:
                found.append(_check(_read(part, "messages"), allowed, model))
            except OpenAIError:
                continue  # its place in the seeded history says that a file stood there
    return found


def _check(file: Attachment, allowed: Limits, model: str) -> Attachment:
    if isinstance(file, Known):
        if not allowed.types:
            raise _refused("A file", file.where, allowed, model)
        return file
    extension = extension_of(file.name if isinstance(file, Inline) else urlsplit(file.url).path)
    if file.type not in allowed.types and not ("custom" in allowed.types and extension in allowed.extensions):
        raise _refused(f"A file of type '{file.type}'", file.where, allowed, model)
    if isinstance(file, Inline):
        limit = allowed.megabytes.get(file.type)
        if limit and len(file.data) > limit * MEGABYTE:
            size = math.ceil(len(file.data) / MEGABYTE * 10) / 10  # up, or it might seem to fit
            raise _refused(f"{file.mime_type} of {size:g} MB", file.where, allowed, model)
    return file


def _refused(what: str, where: str, allowed: Limits, model: str) -> OpenAIError:
    return invalid(
        f"{where}: {what} can't go to model '{model}', which takes {allowed}.", where, code="invalid_file"
    )


def _read(part: Part, where: str) -> Attachment:
    match part.type:
        case "image_url" if part.image_url:
            url = part.image_url if isinstance(part.image_url, str) else part.image_url.url
            place = f"{where}.image_url.url"
            file = _from_url(url, place, "image")
            if file.type != "image" and isinstance(file, Inline):
                raise invalid(
                    f"{where}: the bytes are {file.mime_type}, not an image.", place, code="invalid_image"
                )
            return file
        case "input_audio" if part.input_audio:
            data = _base64(part.input_audio.data, f"{where}.input_audio.data")
            return _inline(data, f"audio.{part.input_audio.format or 'wav'}", f"{where}.input_audio")
        case "file" if part.file and part.file.file_data:
            return _from_url(part.file.file_data, f"{where}.file.file_data", None, part.file.filename or "")
        case "file" if part.file and part.file.file_id:
            return Known(part.file.file_id, f"{where}.file.file_id")
        case "image_url" | "input_audio" | "file":
            raise invalid(
                f"{where}: a part of type '{part.type}' needs its '{part.type}'.", f"{where}.{part.type}"
            )
        case _:
            raise invalid(
                f"{where}.type: '{part.type}' is not a content part that can go to Dify; "
                "it takes text, image_url, input_audio and file.",
                f"{where}.type",
            )


def _from_url(url: str, where: str, kind: FileType | None, name: str = "") -> Remote | Inline:
    """A data URL's bytes, or the address of something that Dify will fetch."""
    scheme = url[:8].lower()
    if scheme.startswith(("http://", "https://")):
        try:
            path = urlsplit(url).path
        except ValueError:
            raise invalid(f"{where}: the host of this URL can't be read.", where) from None
        return Remote(kind or file_type(extension_of(path)), url, where)
    if scheme.startswith("data:"):
        head, comma, body = url[5:].partition(",")
        if not comma:
            raise invalid(f"{where}: a data URL needs a comma before its data.", where)
        data = _base64(body, where) if head.rstrip().lower().endswith(";base64") else unquote_to_bytes(body)
    elif kind or "://" in url[:16]:
        raise invalid(f"{where}: takes an http, https or data URL.", where)
    else:
        data = _base64(url, where)  # OpenAI's own examples give files as bare base64, too
    return _inline(data, name or kind or "file", where)


def _base64(text: str, where: str) -> bytes:
    try:
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:  # line breaks are common, but taking them away costs more than checking
            return binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except (binascii.Error, ValueError):
        raise invalid(f"{where}: the data is not valid base64.", where) from None


def _inline(data: bytes, name: str, where: str) -> Inline:
    """The file, its type told by its bytes and its name made to fit."""
    if not data:
        raise invalid(f"{where}: the data is empty.", where)
    name = name.replace("\\", "/").rpartition("/")[2]
    media = sniff(data[:HEAD_BYTES], name)
    stem = name.removesuffix(f".{name.rpartition('.')[2]}") if extension_of(name) else name
    filename = f"{stem}.{media.extension}" if media.extension else stem
    return Inline(file_type(media.extension), data, media.mime_type, filename, where)
