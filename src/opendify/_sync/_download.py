# Made from _async/_download.py by scripts/unasync.py: edit that file, not this one.
"""Files on their way from Dify: taken piece by piece, to wherever they shall go."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from .._call import Progress
from .._waiting import write
from ._transport import Response
from ._tries import Tries

__all__ = ["Download"]

T = TypeVar("T")


class Download:
    """A file of Dify's, not yet asked for: `save` it, `read` it, or take it piece by piece.

    A context manager, for pieces: entering sends the request, leaving closes the connection. `read` and
    `save` enter and leave by themselves; a file whose connection breaks is then asked for anew, where asking
    twice changes nothing.

    Raised as soon as it is asked for: `APIStatusError` where Dify refuses, `APIConnectionError` where there
    is no answer. Raised while it comes: `APIConnectionError` where the connection breaks before its end.

    >>> def size(dify: Dify, file_id: str) -> int:
    ...     bytes_so_far = 0
    ...     with dify.files.preview(file_id) as file:
    ...         for piece in file:
    ...             bytes_so_far += len(piece)
    ...     return bytes_so_far
    """

    def __init__(self, open_once: Callable[[int], Response], tries: Tries) -> None:
        self._open_once = open_once
        self._tries = tries
        self._response: Response | None = None

    def __enter__(self) -> Self:
        if self._response is not None:
            raise RuntimeError("This file is open already; ask again for a second time.")
        self._response = self._tries(self._open_once)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.close()

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer. A name is found in any case."""
        return self._open.headers

    @property
    def mime_type(self) -> str:
        """The kind of file, as Dify says; empty if it does not."""
        return self.headers.get("content-type", "").partition(";")[0].strip()

    @property
    def size(self) -> int | None:
        """Bytes of the whole file; `None` where Dify makes it while it sends, as speech."""
        return _length(self.headers)

    @property
    def _open(self) -> Response:
        if self._response is None:
            raise RuntimeError("Nothing was asked for yet: enter the file first, with `with`.")
        return self._response

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        piece = self._open.chunk()
        if not piece:
            raise StopIteration
        return piece

    def read(self) -> bytes:
        """The whole file, or what is left of it within `with`.

        >>> def picture_of(dify: Dify, file_id: str) -> bytes:
        ...     return dify.files.preview(file_id).read()
        """
        return self._do(lambda response: response.read())

    def save(self, path: Path, *, on_progress: Progress | None = None) -> Path:
        """Put the whole file under `path`, and give that back. Memory is that of one piece.

        It is written beside its place, under another name, and put there when it is complete: what stood
        there before is then replaced, and after a failure it still stands. `on_progress` is called with the
        bytes so far, and those of the whole file or `None`.

        Raises `OSError` where the folder is missing or cannot be written, before anything is asked for.

        >>> def keep(dify: Dify, file_id: str, folder: Path) -> Path:
        ...     return dify.files.preview(file_id).save(folder / "picture.png")
        """
        beside = _beside(path)
        try:
            with beside.open("xb") as file:

                def fill(response: Response) -> None:
                    file.seek(0)
                    file.truncate()  # of what came before the connection broke
                    total, so_far = _length(response.headers), 0
                    while piece := response.chunk():
                        write(file, piece)
                        so_far += len(piece)
                        if on_progress is not None:
                            on_progress(so_far, total)

                self._do(fill)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        return path

    def _do(self, take: Callable[[Response], T]) -> T:
        """Take all of the file: of the open answer, or of one that is opened for it."""
        if self._response is not None:
            return take(self._response)

        def once(attempt: int) -> T:
            response = self._open_once(attempt)
            try:
                return take(response)
            finally:
                response.close()

        return self._tries(once)


def _beside(path: Path) -> Path:
    """A name in the same folder that nobody has: what is written there can be moved to `path` at once."""
    if not isinstance(path, Path):  # pyright: ignore[reportUnnecessaryIsInstance] a type is no proof
        raise TypeError(f"The place for a file is a pathlib.Path, not {type(path).__name__}.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name the file in it.")
    return path.with_name(
        f".{os.urandom(8).hex()}.part"
    )  # the file's own name may be as long as names can be


def _length(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() and "content-encoding" not in headers else None
