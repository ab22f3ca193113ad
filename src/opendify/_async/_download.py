"""Files on their way from Dify: taken piece by piece, to wherever they shall go."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from .._call import Progress
from .._waiting import async_write
from ._transport import AsyncResponse
from ._tries import AsyncTries

__all__ = ["AsyncDownload"]

T = TypeVar("T")


class AsyncDownload:
    """A file of Dify's, not yet asked for: `save` it, `read` it, or take it piece by piece.

    A context manager, for pieces: entering sends the request, leaving closes the connection. `read` and
    `save` enter and leave by themselves; a file whose connection breaks is then asked for anew, where asking
    twice changes nothing.

    Raised as soon as it is asked for: `APIStatusError` where Dify refuses, `APIConnectionError` where there
    is no answer. Raised while it comes: `APIConnectionError` where the connection breaks before its end.

    >>> async def size(dify: AsyncDify, file_id: str) -> int:
    ...     bytes_so_far = 0
    ...     async with dify.files.preview(file_id) as file:
    ...         async for piece in file:
    ...             bytes_so_far += len(piece)
    ...     return bytes_so_far
    """

    def __init__(self, open_once: Callable[[int], Awaitable[AsyncResponse]], tries: AsyncTries) -> None:
        self._open_once = open_once
        self._tries = tries
        self._response: AsyncResponse | None = None

    async def __aenter__(self) -> Self:
        if self._response is not None:
            raise RuntimeError("This file is open already; ask again for a second time.")
        self._response = await self._tries(self._open_once)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        response, self._response = self._response, None
        if response is not None:
            await response.aclose()

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
    def _open(self) -> AsyncResponse:
        if self._response is None:
            raise RuntimeError("Nothing was asked for yet: enter the file first, with `async with`.")
        return self._response

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._open.chunk()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def read(self) -> bytes:
        """The whole file, or what is left of it within `async with`.

        >>> async def picture_of(dify: AsyncDify, file_id: str) -> bytes:
        ...     return await dify.files.preview(file_id).read()
        """
        return await self._do(lambda response: response.read())

    async def save(self, path: Path, *, on_progress: Progress | None = None) -> Path:
        """Put the whole file under `path`, and give that back. Memory is that of one piece.

        It is written beside its place, under another name, and put there when it is complete: what stood
        there before is then replaced, and after a failure it still stands. `on_progress` is called with the
        bytes so far, and those of the whole file or `None`.

        Raises `OSError` where the folder is missing or cannot be written, before anything is asked for.

        >>> async def keep(dify: AsyncDify, file_id: str, folder: Path) -> Path:
        ...     return await dify.files.preview(file_id).save(folder / "picture.png")
        """
        beside = _beside(path)
        try:
            with beside.open("xb") as file:

                async def fill(response: AsyncResponse) -> None:
                    file.seek(0)
                    file.truncate()  # of what came before the connection broke
                    total, so_far = _length(response.headers), 0
                    while piece := await response.chunk():
                        await async_write(file, piece)
                        so_far += len(piece)
                        if on_progress is not None:
                            on_progress(so_far, total)

                await self._do(fill)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        return path

    async def _do(self, take: Callable[[AsyncResponse], Awaitable[T]]) -> T:
        """Take all of the file: of the open answer, or of one that is opened for it."""
        if self._response is not None:
            return await take(self._response)

        async def once(attempt: int) -> T:
            response = await self._open_once(attempt)
            try:
                return await take(response)
            finally:
                await response.aclose()

        return await self._tries(once)


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
