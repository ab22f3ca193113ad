# Made from _async/files.py by scripts/unasync.py: edit that file, not this one.
"""Files: hand them to Dify, to name them in a message afterwards, and get them back."""

from __future__ import annotations

from .._call import FileCall, Form, Progress, path, read_as
from ..types.files import UploadedFile
from ._download import Download
from ._resource import Resource
from ._upload import FileContent, file_part

__all__ = ["Files"]

_uploaded = read_as(UploadedFile)


class Files(Resource):
    """Files of an end user."""

    def upload(
        self,
        file: FileContent,
        *,
        user: str | None = None,
        name: str | None = None,
        mime_type: str | None = None,
        on_progress: Progress | None = None,
    ) -> UploadedFile:
        """Hand a file to Dify. What comes back has an `attachment`, which goes into `files` of a message.

        `file`: bytes, a `Path`, a file open in binary mode, or anything that yields bytes; it is read
        while it is sent, and a file that you opened stays open. `user`: whoever will name the file in a
        message. `name` and `mime_type` are found out from the path and the content where they are left
        out; Dify goes by the name's extension. `on_progress`: called with the bytes sent so far, and those of
        the whole file or `None`.

        Raises `PayloadTooLargeError` (limits are in `app.parameters()`) and `UnsupportedMediaTypeError`.

        >>> def look(dify: Dify, picture: Path) -> str:
        ...     uploaded = dify.files.upload(picture, user="ada")
        ...     reply = dify.chat.send(query="What is it?", user="ada", files=[uploaded.attachment])
        ...     return reply.answer
        """
        part = file_part(file, name, mime_type, on_progress)
        return self._send(
            "POST", "/files/upload", _uploaded, form=Form({"user": self._caller.named(user)}, part)
        )

    def preview(self, file_id: str, *, as_attachment: bool = False, user: str | None = None) -> Download:
        """A file that a message of this app has, sent or answered with: its bytes, to read or to save.

        `file_id`: of the upload; listed messages tell it as `upload_file_id`. `as_attachment=True` asks for
        headers by which a browser saves the file.

        Raises, when it is read: `NotFoundError` for a file that is not there or that no message has yet,
        `PermissionDeniedError` for one of another app's messages.

        >>> def keep(dify: Dify, file_id: str, folder: Path) -> Path:
        ...     return dify.files.preview(file_id, user="ada").save(folder / "picture.png")
        """
        return self._caller.download(
            FileCall(
                "GET",
                path("/files/{}/preview", file_id),
                # Dify takes any value of as_attachment for a yes, "false" too.
                query={"as_attachment": as_attachment or None, "user": user or self._caller.user},
            )
        )
