"""Files on their way to Dify: sent once, remembered, and bound to who sent them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from opendify import AsyncDify
from opendify.gateway.attachments import KINDS, Attachment, Inline, Known, Remote
from opendify.gateway.errors import invalid
from opendify.gateway.memory import Owner
from opendify.gateway.store import Store
from opendify.types import FileType, InputFile


class Uploads:
    """Uploads files, and remembers them by their bytes.

    Args:
        store: Where ids are kept. Both directions are bound to the owner: Dify 1.12.1 itself would hand
            anybody's file to whoever knows its id.
        ttl: Seconds for which an upload is taken to be still in Dify.
    """

    def __init__(self, store: Store, *, ttl: float) -> None:
        self._store = store
        self._ttl = ttl

    async def place(self, files: Sequence[Attachment], client: AsyncDify, owner: Owner) -> list[InputFile]:
        """The files as Dify takes them, in their order; those it doesn't have yet are uploaded, all at once.

        Raises:
            OpenAIError: 400 if a file id is not one of this owner's.
            DifyError: If Dify refuses an upload.
        """
        each = {_same(file): file for file in files}
        calls = (self._place(file, client, owner) for file in each.values())
        placed: dict[object, InputFile] = {}
        for name, outcome in zip(each, await asyncio.gather(*calls, return_exceptions=True), strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            placed[name] = outcome
        return [placed[_same(file)] for file in files]

    async def forget(self, files: Sequence[Attachment], owner: Owner) -> bool:
        """Drop what is remembered of these files. False if nothing was: Dify's refusal has another cause."""
        found = [await self._store.take(_by_bytes(file, owner)) for file in files if isinstance(file, Inline)]
        return any(found)

    async def _place(self, file: Attachment, client: AsyncDify, owner: Owner) -> InputFile:
        match file:
            case Remote():
                return {"type": file.type, "transfer_method": "remote_url", "url": file.url}
            case Known():
                kept = await self._store.get(_by_id(file.file_id, owner))
                kind: FileType | None = next((kind for kind in KINDS if kind == kept), None)
                if kind is None:
                    raise invalid(
                        f"{file.where}: there is no file '{file.file_id[:64]}' of yours here.",
                        file.where,
                        code="file_not_found",
                    )
                return _local(kind, file.file_id)
            case Inline():
                return await self._upload(file, client, owner)

    async def _upload(self, file: Inline, client: AsyncDify, owner: Owner) -> InputFile:
        key = _by_bytes(file, owner)
        known = await self._store.get(key)
        if known is None:
            uploaded = await client.files.upload(
                file.data, user=owner.identity, name=file.name, mime_type=file.mime_type
            )
            known = uploaded.id
            await self._store.put({key: known, _by_id(known, owner): file.type}, ttl=self._ttl)
        return _local(file.type, known)


def _same(file: Attachment) -> object:
    """Equal for files that are one and the same to Dify."""
    return (file.type, file.digest) if isinstance(file, Inline) else file


def _local(kind: FileType, file_id: str) -> InputFile:
    return {"type": kind, "transfer_method": "local_file", "upload_file_id": file_id}


def _by_bytes(file: Inline, owner: Owner) -> str:
    return owner.key("upload", f"{file.type} {file.digest}")


def _by_id(file_id: str, owner: Owner) -> str:
    return owner.key("file", file_id)
