"""Files: uploaded, and served under signed URLs."""

from __future__ import annotations

from urllib.parse import quote

from opendify.simulator.errors import Refusal, not_found
from opendify.simulator.files import File
from opendify.simulator.service import DEFAULT_USER, TENANT_ID, Reply, Request, Route, Service
from opendify.simulator.wire import escaped


def upload(service: Service, request: Request) -> Reply:
    """POST /files/upload."""
    app = service.app(request)
    sent = [(part, part.filename) for part in request.parts if part.filename is not None]
    if not any(part.name == "file" for part, _ in sent):
        raise Refusal(400, "no_file_uploaded", "Please upload your file.")
    if len(sent) > 1:
        raise Refusal(400, "too_many_files", "Only one file is allowed.")
    part, name = sent[0]
    if not name:
        raise Refusal(400, "filename_not_exists_error", "The specified filename does not exist.")
    if not part.mime_type:
        raise Refusal(415, "unsupported_file_type", "File type not allowed.")
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


def tool_file(service: Service, request: Request) -> Reply:
    """GET /files/tools/{file_id}.{extension}: a file that an app made, by its signed URL."""
    return _served(service.files.fetch(request.parameters["file_id"], made=True, query=request.query))


ROUTES = (
    Route("POST", "/files/upload", upload),
    Route("GET", "/files/{file_id}/file-preview", file_preview, prefix=""),
    Route("GET", "/files/tools/{file_id}.{extension}", tool_file, prefix=""),
)


def _served(file: File | None) -> Reply:
    if file is None:
        raise not_found("File not found or signature is invalid")
    if file.mime_type.startswith(("image/", "audio/", "video/")):
        return Reply(file.content, content_type=file.mime_type)
    name = f"attachment; filename*=UTF-8''{quote(file.name)}"
    return Reply(file.content, content_type=file.mime_type, headers={"Content-Disposition": name})
