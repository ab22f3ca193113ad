"""Files: those that users upload, those that apps make, and the signed URLs under which both are served."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote, urlsplit
from uuid import UUID, uuid4

from opendify.simulator.errors import Refusal, invalid
from opendify.simulator.wire import array

MEGABYTE = 1024 * 1024

EXTENSIONS = {
    "image": frozenset({"jpg", "jpeg", "png", "webp", "gif", "svg"}),
    "video": frozenset({"mp4", "mov", "mpeg", "webm"}),
    "audio": frozenset({"mp3", "m4a", "wav", "amr", "mpga"}),
}
LIMITS = {"image": 10, "video": 100, "audio": 50, "document": 15}
"""Megabytes per kind of upload, as `/parameters` reports them."""

TYPES = ("image", "document", "audio", "video", "custom")
_MIME_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "svg": "image/svg+xml",
    "mp3": "audio/mpeg",
    "wav": "audio/x-wav",
    "m4a": "audio/mp4",
    "mp4": "video/mp4",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
}


def kind_of(extension: str) -> str:
    """The limit that holds for a file, by its extension only, as Dify does it.

    >>> kind_of("png"), kind_of("exe"), kind_of("")
    ('image', 'document', 'document')
    """
    return next((kind for kind, known in EXTENSIONS.items() if extension.lower() in known), "document")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a user or of an app.

    Args:
        id: uploads and made files have one; a remote file has none.
        type: what the request calls it: image, document, audio, video or custom.
        transfer_method: local_file, remote_url, or tool_file for what an app made.
        missing: a remote file that is not where its URL says.
        user: the uploader, as Dify's end-user id.
    """

    id: str
    name: str
    extension: str
    mime_type: str
    content: bytes = field(repr=False, default=b"")
    type: str = "document"
    transfer_method: str = "local_file"
    remote_url: str | None = None
    source_url: str | None = None
    user: str = ""
    created_at: int = 0
    missing: bool = False


class Files:
    """All files of a simulator.

    Args:
        tenant_id: the workspace that owns them.
        behaviour: which Dify.
    """

    def __init__(self, tenant_id: str, behaviour: str) -> None:
        self.url = ""
        """Where they are served, for instance `http://127.0.0.1:5001`."""
        self._behaviour = behaviour
        self.tenant_id = tenant_id
        self._key = secrets.token_bytes(32)
        self._uploaded: dict[str, File] = {}
        self._made: dict[str, File] = {}

    def upload(self, *, name: str, mime_type: str, content: bytes, user: str) -> File:
        """Keep a file that a user sends.

        Raises:
            Refusal: 400 for a name with a slash; 413 above the limit of its kind.
        """
        if "/" in name or "\\" in name:
            raise invalid("Filename contains invalid characters")
        extension = name.rpartition(".")[2] if "." in name else ""
        if len(content) > LIMITS[kind_of(extension)] * MEGABYTE:
            # In 1.12 the text is a template that was never filled in, in 1.16 there is none.
            message = "File size exceeded. {message}" if self._behaviour == "1.12" else ""
            raise Refusal(413, "file_too_large", message)
        file_id = str(uuid4())
        file = File(
            file_id,
            name,
            extension,
            mime_type,
            content,
            source_url=self._signed(f"files/{file_id}/file-preview", file_id, plain=False),
            user=user,
            created_at=int(time.time()),
        )
        self._uploaded[file.id] = file
        return file

    def make(self, *, extension: str, content: bytes, kind: str) -> File:
        """Keep a file that an app makes."""
        name = f"{uuid4().hex}.{extension}"
        mime_type = _MIME_TYPES.get(extension, "application/octet-stream")
        file = File(str(uuid4()), name, extension, mime_type, content, kind, transfer_method="tool_file")
        self._made[file.id] = file
        return file

    def url_of(self, file: File) -> str:
        """A URL of the file: signed, and another one each time; a remote file's own."""
        if file.remote_url is not None:
            return file.remote_url
        if file.transfer_method == "tool_file":
            return self._signed(f"files/tools/{file.id}.{file.extension}", file.id, plain=True)
        return self._signed(f"files/{file.id}/file-preview", file.id, plain=False)

    def fetch(self, file_id: str, *, made: bool, query: Mapping[str, str]) -> File | None:
        """The file behind a signed URL; None if there is none or the signature is not ours."""
        expected = self._sign(file_id, query.get("timestamp", ""), query.get("nonce", ""))
        if not hmac.compare_digest(expected.encode(), query.get("sign", "").encode()):
            return None
        return (self._made if made else self._uploaded).get(file_id)

    def uploaded(self, file_id: str) -> File | None:
        """A file that a user sent."""
        return self._uploaded.get(file_id)

    def attached(self, items: list[dict[str, object]], user: str) -> tuple[File, ...]:
        """The files that a request names, checked as Dify checks them.

        Items without transfer_method, and remote ones without URL, are dropped without a word.

        Args:
            items: the request's `files`.
            user: Dify's id of the user who asks.

        Raises:
            Refusal: 400 for what is wrong with an item.
        """
        return tuple(self.one(item, user) for item in items if _counts(item))

    def one(self, item: Mapping[str, object], user: str) -> File:
        """One file that a request names. See `attached`."""
        method = item.get("transfer_method")
        if method not in ("local_file", "remote_url"):
            raise invalid(f"No matching enum found for value '{method}'")
        kind = str(item.get("type") or "")
        if kind and kind not in TYPES:
            raise invalid(f"'{kind}' is not a valid FileType")
        file = self._local(item, kind, user) if method == "local_file" else _remote(item, kind)
        if not kind:
            raise invalid(f"File validation failed for file: {file.name}")
        return file

    def as_value(self, file: File) -> dict[str, object]:
        """The file as it stands in the inputs and outputs of a workflow."""
        return {
            "dify_model_identity": "__dify__file__",
            "id": None,
            "tenant_id": self.tenant_id,
            "type": file.type,
            "transfer_method": file.transfer_method,
            "remote_url": file.remote_url or file.source_url,
            "related_id": file.id or None,
            "filename": file.name,
            "extension": f".{file.extension}",
            "mime_type": file.mime_type,
            "size": len(file.content),
            "url": self.url_of(file),
        }

    def plain(self, value: object) -> object:
        """A value as JSON, files as Dify describes them, also in a list."""
        if isinstance(value, File):
            return self.as_value(value)
        items = array(value)
        return value if items is None else [self.plain(item) for item in items]

    def _local(self, item: Mapping[str, object], kind: str, user: str) -> File:
        file_id = item.get("upload_file_id")
        if not file_id:
            raise invalid("Invalid upload file id")
        try:
            UUID(str(file_id))
        except ValueError:
            raise invalid("Invalid upload file id format") from None
        file = self._uploaded.get(str(file_id))
        # Dify 1.12 looks at the workspace only, and takes a file of another user.
        if file is None or (self._behaviour != "1.12" and file.user != user):
            raise invalid("Invalid upload file")
        return replace(file, type=kind)

    def _signed(self, path: str, file_id: str, *, plain: bool) -> str:
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        sign = self._sign(file_id, timestamp, nonce)
        return f"{self.url}/{path}?timestamp={timestamp}&nonce={nonce}&sign={sign if plain else quote(sign)}"

    def _sign(self, file_id: str, timestamp: str, nonce: str) -> str:
        message = f"file-preview|{file_id}|{timestamp}|{nonce}".encode()
        return base64.urlsafe_b64encode(hmac.new(self._key, message, hashlib.sha256).digest()).decode()


def _counts(item: Mapping[str, object]) -> bool:
    method = item.get("transfer_method")
    return bool(method) and not (method == "remote_url" and not (item.get("url") or item.get("remote_url")))


def _remote(item: Mapping[str, object], kind: str) -> File:
    url = str(item.get("url") or item.get("remote_url"))
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or (address.hostname or "").endswith(".invalid"):
        raise invalid(f"Reached maximum retries (3) for URL {url}")
    name = unquote(address.path.rpartition("/")[2]) or "file"
    extension = name.rpartition(".")[2] if "." in name else ""
    mime_type = _MIME_TYPES.get(extension.lower(), "application/octet-stream")
    missing = "404" in address.path.split("/")
    return File("", name, extension, mime_type, b"", kind, "remote_url", remote_url=url, missing=missing)


def red_square() -> bytes:
    """A PNG of 16 by 16 red pixels: what the simulated drawing tool draws."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = (16).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    pixels = zlib.compress((b"\x00" + b"\xff\x00\x00" * 16) * 16)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def spoken(text: str) -> bytes:
    """Simulated speech: silence, and a tag that holds what is said. See `heard`."""
    title = b"TIT2" + _seven_bits(len(text.encode()) + 1) + b"\0\0\x03" + text.encode()
    return b"ID3\x04\0\0" + _seven_bits(len(title)) + title + SILENCE


def heard(content: bytes) -> str:
    """What a recording says, if it is simulated speech; else only how long it is.

    >>> heard(spoken("Good morning")), heard(b"RIFF")
    ('Good morning', 'This is a simulated transcript of 4 bytes; nobody listened.')
    """
    if content[10:14] != b"TIT2":
        return f"This is a simulated transcript of {len(content)} bytes; nobody listened."
    size = sum(byte << 7 * place for place, byte in enumerate(reversed(content[14:18])))
    return content[21 : 20 + size].decode()


def _seven_bits(size: int) -> bytes:
    """A size as ID3 writes it: four bytes of seven bits."""
    return bytes(size >> 7 * place & 0x7F for place in (3, 2, 1, 0))


SILENCE = (b"\xff\xfb\x90\x64" + bytes(413)) * 4
"""Four frames of silent MP3 (MPEG-1 layer III, 128 kbit/s, 44.1 kHz): what simulated speech sounds like."""
