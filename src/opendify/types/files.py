"""Files: as Dify keeps them, and as a message refers to them."""

from __future__ import annotations

from typing import Literal, TypedDict

from .._media import FileType, extension_of, file_type
from ._model import Model, Text

__all__ = ["FileType", "InputFile", "LocalFile", "RemoteFile", "UploadedFile"]


class RemoteFile(TypedDict):
    """A file that Dify fetches itself. The address must be one that the Dify server can reach."""

    type: FileType
    transfer_method: Literal["remote_url"]
    url: str


class LocalFile(TypedDict):
    """A file that was uploaded before, by the same `user`."""

    type: FileType
    transfer_method: Literal["local_file"]
    upload_file_id: str


InputFile = RemoteFile | LocalFile
"""A file in `files` of a message, or in `inputs` of a workflow."""


class UploadedFile(Model):
    """A file that Dify has taken."""

    id: str
    name: Text = ""
    size: int = 0
    """Bytes."""
    extension: Text = ""
    mime_type: Text = ""
    created_by: str | None = None
    created_at: int | None = None
    """Seconds since 1970."""
    preview_url: str | None = None
    source_url: str | None = None
    """Signed; valid for about five minutes."""

    @property
    def attachment(self) -> LocalFile:
        """The file as `files` of a message, and `inputs` of a workflow, take it."""
        return {
            "type": file_type(self.extension or extension_of(self.name)),
            "transfer_method": "local_file",
            "upload_file_id": self.id,
        }
