# Made from _async/_upload.py by scripts/unasync.py: edit that file, not this one.
"""Files on their way to Dify: read piece by piece while they are sent, never whole in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TypeGuard

from .._call import FilePart, Progress
from .._media import HEAD_BYTES, extension_of, sniff
from .._waiting import read

__all__ = ["FileContent", "Upload", "file_part"]

FileContent = bytes | Path | BinaryIO | Iterable[bytes]
"""What can be uploaded: bytes, a path, a file open in binary mode, or anything that yields bytes."""

PIECE_BYTES = 256 * 1024


class Upload:
    """The body of a multipart request: what stands before the file, the file, what stands after it."""

    def __init__(self, before: bytes, file: FilePart | None, after: bytes) -> None:
        self._before = before
        self._file = file
        self._after = after

    @property
    def size(self) -> int | None:
        """Bytes of the whole body, `None` if the file's are unknown."""
        file = 0 if self._file is None else self._file.size
        return None if file is None else len(self._before) + file + len(self._after)

    def __iter__(self) -> Iterator[bytes]:
        yield self._before
        if self._file is not None:
            tell, sent, size = self._file.on_progress, 0, self._file.size
            for piece in _content(self._file):
                sent += len(piece)
                if size is not None and sent > size:
                    break
                yield piece
                if tell is not None:
                    tell(sent, size)
            if size is not None and sent != size:
                raise OSError(f"{self._file.filename} changed while it was sent: it had {size} bytes.")
        yield self._after


def _content(file: FilePart) -> Iterator[bytes]:
    content = file.content
    if isinstance(content, bytes):
        for start in range(0, len(content), PIECE_BYTES):
            yield content[start : start + PIECE_BYTES]
    elif isinstance(content, Iterable):
        yield from content


def file_part(
    content: FileContent,
    name: str | None = None,
    mime_type: str | None = None,
    on_progress: Progress | None = None,
) -> FilePart:
    """A file ready to be sent; name and MIME type are found out from its content where they are not given.

    `on_progress` is called after each piece that was sent; of a request that is tried again, from the start.
    """
    part = _unwatched_part(content, name, mime_type)
    return part if on_progress is None else replace(part, on_progress=on_progress)


def _unwatched_part(content: FileContent, name: str | None, mime_type: str | None) -> FilePart:
    if isinstance(content, bytes | bytearray | memoryview):
        content = bytes(content)
        return _part(content, content[:HEAD_BYTES], name, mime_type, size=len(content), again=True)
    if isinstance(content, Path):
        with content.open("rb") as file:
            head = read(file, HEAD_BYTES)
        pieces, size = _PathPieces(content), content.stat().st_size
        return _part(pieces, head, name or content.name, mime_type, size=size, again=True)
    if _is_file(content):
        return _open_file_part(content, name, mime_type)
    if _yields(content):
        rest = iter(content)
        head = next(rest, b"")
        return _part(_Rest(head, rest), head, name, mime_type, size=None, again=False)
    raise TypeError(
        f"A file is bytes, a pathlib.Path, a file open in binary mode or something that yields bytes, "
        f"not {type(content).__name__}."
    )


def _open_file_part(file: BinaryIO, name: str | None, mime_type: str | None) -> FilePart:
    """A file that somebody else has opened, and will close: sent from where it stands."""
    start = file.tell() if file.seekable() else None
    head = read(file, HEAD_BYTES)
    if not isinstance(head, bytes):  # pyright: ignore[reportUnnecessaryIsInstance] a type is no proof
        raise TypeError("The file is open in text mode; open it in binary mode, with open(path, 'rb').")
    name = name or _name_of(file)
    if start is None:
        return _part(_Rest(head, _pieces(file)), head, name, mime_type, size=None, again=False)
    size = file.seek(0, 2) - start
    return _part(_FilePieces(file, start), head, name, mime_type, size=size, again=True)


class _PathPieces:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            yield from _pieces(file)


class _FilePieces:
    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file = file
        self._start = start

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(self._start)
        yield from _pieces(self._file)


class _Rest:
    """What was taken from an iterator to look at, and then the rest of it."""

    def __init__(self, head: bytes, rest: Iterator[bytes]) -> None:
        self._head = head
        self._rest = rest

    def __iter__(self) -> Iterator[bytes]:
        if self._head:
            yield self._head
        for piece in self._rest:
            if piece:
                yield piece


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := read(file, PIECE_BYTES):
        yield piece


def _yields(content: object) -> TypeGuard[Iterable[bytes]]:
    """Text is left out: it yields too, but no bytes; most often it is a path that was not made a `Path`."""
    return isinstance(content, Iterable) and not isinstance(content, str)


def _is_file(content: object) -> TypeGuard[BinaryIO]:
    return hasattr(content, "read") and hasattr(content, "seekable")  # an upload of Starlette's has no such


def _name_of(file: BinaryIO) -> str | None:
    """The name under which it was opened; a file descriptor's is a number."""
    name: object = getattr(file, "name", None)
    return Path(name).name if isinstance(name, str) else None


def _part(
    content: bytes | Iterable[bytes],
    head: bytes,
    name: str | None,
    mime_type: str | None,
    *,
    size: int | None,
    again: bool,
) -> FilePart:
    media = sniff(head, name or "")
    name = name or "file"
    if not extension_of(name) and media.extension:
        # Dify goes by the extension: which kind of file it is, and how large it may be.
        name = f"{name}.{media.extension}"
    return FilePart(name, mime_type or media.mime_type, content, size, again)
