"""What a file is: told by its first bytes, then by its name; said in the words that Dify takes. Pure.

Dify sorts files by extension and by MIME type, and does not know some names that everybody else uses:
Python's mimetypes calls an MP3 audio/mpeg and a WAV audio/x-wav, and `/audio-to-text` answers both with
415 (Dify 1.12.1). The names in `_MIME_TYPES` are those that it takes.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

__all__ = ["HEAD_BYTES", "FileType", "Media", "extension_of", "file_type", "sniff"]

HEAD_BYTES = 4096
"""How much of a file's beginning `sniff` wants to see."""


FileType = Literal["image", "document", "audio", "video", "custom"]
"""Dify's names for kinds of files."""


class Media(NamedTuple):
    """A kind of file. `extension` is without the dot, empty if nothing tells it."""

    mime_type: str
    extension: str


_MIME_TYPES = {
    "amr": "audio/amr",
    "bmp": "image/bmp",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "eml": "message/rfc822",
    "epub": "application/epub+zip",
    "flac": "audio/flac",
    "gif": "image/gif",
    "htm": "text/html",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "m4a": "audio/m4a",
    "markdown": "text/markdown",
    "md": "text/markdown",
    "mdx": "text/markdown",
    "mov": "video/quicktime",
    "mp3": "audio/mp3",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mpga": "audio/mpga",
    "msg": "application/vnd.ms-outlook",
    "ogg": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "properties": "text/plain",
    "svg": "image/svg+xml",
    "txt": "text/plain",
    "vtt": "text/vtt",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
    "zip": "application/zip",
}

# Dify's own lists (notes of Dify 1.12.1 and 1.16: upload constants).
_FILE_TYPES: dict[FileType, frozenset[str]] = {
    "image": frozenset(["jpg", "jpeg", "png", "webp", "gif", "svg"]),
    "audio": frozenset(["mp3", "m4a", "wav", "amr", "mpga"]),
    "video": frozenset(["mp4", "mov", "mpeg", "webm"]),
    "document": frozenset(
        [
            *("txt", "md", "mdx", "markdown", "pdf", "html", "htm", "xlsx", "xls", "docx", "doc", "csv"),
            *("vtt", "properties", "eml", "msg", "pptx", "ppt", "xml", "epub"),
        ]
    ),
}

# First bytes -> the extensions that such a file may have; the first is the guess if the name has none.
_MAGIC: tuple[tuple[bytes, tuple[str, ...]], ...] = (
    (b"\x89PNG\r\n\x1a\n", ("png",)),
    (b"\xff\xd8\xff", ("jpg", "jpeg")),
    (b"GIF87a", ("gif",)),
    (b"GIF89a", ("gif",)),
    (b"BM", ("bmp",)),
    (b"%PDF-", ("pdf",)),
    (b"PK\x03\x04", ("zip", "docx", "xlsx", "pptx", "epub")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ("doc", "xls", "ppt", "msg")),
    (b"ID3", ("mp3", "mpga")),
    (b"#!AMR", ("amr",)),
    (b"OggS", ("ogg",)),
    (b"fLaC", ("flac",)),
    (b"\x1aE\xdf\xa3", ("webm",)),
    (b"\x00\x00\x01\xba", ("mpeg",)),
    (b"\x00\x00\x01\xb3", ("mpeg",)),
)
_RIFF = {b"WAVE": ("wav",), b"WEBP": ("webp",)}
_MP4_BRANDS = {b"M4A ": ("m4a",), b"M4B ": ("m4a",), b"qt  ": ("mov",)}
_MARKUP = ((b"<svg", ("svg",)), (b"<!doctype html", ("html", "htm")), (b"<html", ("html", "htm")))

_TOLD_BY_CONTENT = frozenset(
    extension
    for table in (_MAGIC, _RIFF.items(), _MP4_BRANDS.items())
    for _, extensions in table
    for extension in extensions
) | {"mp4"}


def sniff(head: bytes, name: str = "") -> Media:
    """The kind of a file that begins with `head` (`HEAD_BYTES` are enough) and is called `name`.

    The content decides where it can; the name decides between kinds that begin alike, as texts do.

    >>> sniff(b"%PDF-1.7 ...", "letter.txt")
    Media(mime_type='application/pdf', extension='pdf')
    >>> sniff(b"ID3....", "speech.mpga").mime_type
    'audio/mpga'
    >>> sniff(b"# Notes", "notes.md").mime_type
    'text/markdown'
    """
    named = extension_of(name)
    if possible := _possible(head):
        extension = named if named in possible else possible[0]
        return Media(_MIME_TYPES[extension], extension)
    if named in _TOLD_BY_CONTENT:
        named = ""  # the content would have said so
    if not _is_text(head):
        return Media("application/octet-stream", named)
    return Media(_MIME_TYPES.get(named, "text/plain"), named or "txt")


def extension_of(name: str) -> str:
    """The extension of a file name in lower case, without the dot; empty if it has none.

    >>> extension_of("Report.PDF"), extension_of("README"), extension_of(".env")
    ('pdf', '', '')
    """
    stem, dot, extension = re.split(r"[/\\]", name)[-1].rpartition(".")
    return extension.lower() if dot and stem else ""


def file_type(extension: str) -> FileType:
    """Dify's name for files of this extension, as `files` of a message want it.

    >>> file_type("png"), file_type("blend")
    ('image', 'custom')
    """
    for kind, extensions in _FILE_TYPES.items():
        if extension.lower().removeprefix(".") in extensions:
            return kind
    return "custom"


def _possible(head: bytes) -> tuple[str, ...]:
    for magic, extensions in _MAGIC:
        if head.startswith(magic):
            return extensions
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], ())
    if head[4:8] == b"ftyp":
        return _MP4_BRANDS.get(head[8:12], ("mp4",))
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:
        return ("mp3", "mpga")  # a bare MPEG audio frame, layer III
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:256].lower()
    for tag, extensions in _MARKUP:
        if start.startswith(tag):
            return extensions
    if start.startswith(b"<?xml"):
        return ("svg",) if b"<svg" in head else ("xml",)
    return ()


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # A character may be cut where the head ends.
        return error.reason == "unexpected end of data" and error.start >= len(head) - 3
    return True
