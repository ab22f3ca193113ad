"""Files: uploaded, and served under signed URLs."""

from __future__ import annotations

from urllib.parse import quote

from opendify.simulator.errors import Refusal, not_found
from opendify.simulator.files import File
from opendify.simulator.service import DEFAULT_USER, TENANT_ID, Part, Reply, Request, Route, Service
from opendify.simulator.wire import escaped


def upload(service: Service, request: Request) -> Reply:
    """POST /files/upload."""
    app = service.app(request)
    part, name = sent_file(request)
    user = next((part.content.decode() for part in request.parts if part.name == "user"), DEFAULT_USER)
    file = service.files.upload(
        name=name, mime_type=part.mime_type, content=part.content, user=app.user_id(user)
    )
    reference = {"reference": None} if service.behaviour == "1.16" else {}
    shown = {
        "id": file.id,
        **reference,
        "name": file.name,
        "size": len(file.content),
        "extension": file.extension,
        "mime_type": file.mime_type,
        "created_by": file.user,
        "created_at": file.created_at,
        "preview_url": None,
        "source_url": file.source_url,
        "original_url": None,
        "user_id": None,
        "tenant_id": TENANT_ID,
        "conversation_id": None,
        "file_key": None,
    }
    return Reply(escaped(shown), 201)


def file_preview(service: Service, request: Request) -> Reply:
    """GET /files/{file_id}/file-preview: an upload, by its signed URL."""
    return _served(service.files.fetch(request.parameters["file_id"], made=False, query=request.query))


def preview(service: Service, request: Request) -> Reply:
    """GET /files/{file_id}/preview: an upload, by key, once a message of the app has carried it."""
    app, file_id = service.app(request), request.parameters["file_id"]
    users = {other.spec.id for other in service.apps if other.carries(file_id)}
    file = service.files.uploaded(file_id)
    if file is None or not users:
        raise Refusal(404, "file_not_found", "File not found in message context")
    if app.spec.id not in users:
        raise Refusal(403, "file_access_denied", "File access denied: not owned by requesting app")
    headers = {"Cache-Control": "public, max-age=3600"}
    if file.mime_type in _SEEKABLE:
        headers["Accept-Ranges"] = "bytes"
    if request.query.get("as_attachment"):  # any value at all, `false` too (Dify's source)
        return Reply(
            file.content, content_type="application/octet-stream", headers=_attachment(file) | headers
        )
    return Reply(file.content, content_type=file.mime_type, headers=headers)


def tool_file(service: Service, request: Request) -> Reply:
    """GET /files/tools/{file_id}.{extension}: a file that an app made, by its signed URL."""
    return _served(service.files.fetch(request.parameters["file_id"], made=True, query=request.query))


ROUTES = (
    Route("POST", "/files/upload", upload),
    Route("GET", "/files/{file_id}/preview", preview),
    Route("GET", "/files/{file_id}/file-preview", file_preview, prefix=""),
    Route("GET", "/files/tools/{file_id}.{extension}", tool_file, prefix=""),
)


def sent_file(request: Request) -> tuple[Part, str]:
    """The one file of a form, and its name.

    Raises:
        Refusal: 400 or 415.
    """
    sent = file_if_any(request)
    if sent is None:
        raise no_file_uploaded()
    if not sent[0].mime_type:
        raise Refusal(415, "unsupported_file_type", "File type not allowed.")
    return sent


def file_if_any(request: Request) -> tuple[Part, str] | None:
    """The file of a form and its name, if there is one.

    Raises:
        Refusal: 400 for several, or for one without a name.
    """
    sent = [(part, part.filename) for part in request.parts if part.filename is not None]
    if not any(part.name == "file" for part, _ in sent):
        return None
    if len(sent) > 1:
        raise Refusal(400, "too_many_files", "Only one file is allowed.")
    part, name = sent[0]
    if not name:
        raise Refusal(400, "filename_not_exists_error", "The specified filename does not exist.")
    return part, name


def no_file_uploaded() -> Refusal:
    """400: the form has no file."""
    return Refusal(400, "no_file_uploaded", "Please upload your file.")


def _served(file: File | None) -> Reply:
    if file is None:
        raise not_found("File not found or signature is invalid")
    if file.mime_type.startswith(("image/", "audio/", "video/")):
        return Reply(file.content, content_type=file.mime_type)
    return Reply(file.content, content_type=file.mime_type, headers=_attachment(file))


def _attachment(file: File) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}"}


_SEEKABLE = frozenset(
    {f"audio/{kind}" for kind in ("mpeg", "wav", "mp4", "ogg", "flac", "aac", "x-m4a")}
    | {f"video/{kind}" for kind in ("mp4", "webm", "quicktime")}
)
"""Types of files that a player may ask for in pieces."""
