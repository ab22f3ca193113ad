"""Documents: given in as text or as a file, followed, listed, changed, downloaded, deleted."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace

from opendify.simulator.errors import Refusal, invalid, not_found, unreadable
from opendify.simulator.files import File
from opendify.simulator.knowledge.datasets import Dataset
from opendify.simulator.knowledge.documents import Document, Given, new_batch
from opendify.simulator.knowledge.payloads import (
    DocumentBatchDownloadZipPayload,
    DocumentStatusPayload,
    DocumentTextCreatePayload,
    DocumentTextUpdate,
    KnowledgeConfig,
    PageQuery,
)
from opendify.simulator.knowledge.reading import EXTENSIONS, text_of
from opendify.simulator.knowledge.rules import AUTOMATIC
from opendify.simulator.knowledge.workspace import OWNER_ID, Workspace
from opendify.simulator.operations.files import file_if_any, no_file_uploaded
from opendify.simulator.operations.workspace import dataset_of, document_of, page_of, removed, said
from opendify.simulator.payloads import parsed, validated
from opendify.simulator.service import Reply, Request, Route, Service
from opendify.simulator.wire import mapping


def create_by_text(service: Service, request: Request) -> Reply:
    """POST /datasets/{dataset_id}/document/create-by-text."""
    payload = validated(DocumentTextCreatePayload, parsed(request.content_type, request.body))
    workspace, dataset = dataset_of(service, request)
    file = _text_file(service, payload.name, payload.text)
    return _create(workspace, dataset, file, payload.model_dump(exclude_none=True))


def create_by_file(service: Service, request: Request) -> Reply:
    """POST /datasets/{dataset_id}/document/create-by-file."""
    workspace, dataset = dataset_of(service, request)
    config = _data(request)
    file = _uploaded(service, request)
    if file is None:
        raise no_file_uploaded()
    return _create(workspace, dataset, file, config)


def update_by_text(service: Service, request: Request) -> Reply:
    """POST /datasets/{dataset_id}/documents/{document_id}/update-by-text."""
    workspace, dataset = dataset_of(service, request)
    payload = validated(DocumentTextUpdate, parsed(request.content_type, request.body))
    file = _text_file(service, payload.name or "", payload.text) if payload.text else None
    return _update(workspace, dataset, request, file, payload.model_dump(exclude_unset=True))


def update_by_file(service: Service, request: Request) -> Reply:
    """POST .../documents/{document_id}/update-by-file, and PATCH .../documents/{document_id}."""
    workspace, dataset = dataset_of(service, request)
    config = _data(request)
    return _update(workspace, dataset, request, _uploaded(service, request, told=True), config)


def list_documents(service: Service, request: Request) -> Reply:
    """GET /datasets/{dataset_id}/documents: the newest first."""
    workspace, dataset = dataset_of(service, request)
    query, now = validated(PageQuery, request.query), workspace.now
    found = [
        document
        for document in dataset.documents
        if (query.keyword or "") in document.name
        and (not query.status or document.display_status(now) == query.status)
    ]
    found.sort(key=lambda document: (-document.created_at, -document.position))
    page = page_of(found, query.page, query.limit)
    return said(
        {
            "data": [document.json(now, dataset.metadata) for document in page],
            "has_more": len(page) == query.limit,
            "limit": query.limit,
            "total": len(found),
            "page": query.page,
        }
    )


def get_document(service: Service, request: Request) -> Reply:
    """GET /datasets/{dataset_id}/documents/{document_id}."""
    workspace, dataset, document = document_of(service, request)
    wanted = request.query.get("metadata", "all")
    if wanted not in ("all", "only", "without"):
        raise Refusal(400, "invalid_metadata", f"Invalid metadata value: {wanted}")
    rule = dataset.rule.shown() if dataset.rule else {"mode": "automatic", "rules": AUTOMATIC}
    shown = document.detail(workspace.now, dataset.metadata, dataset_id=dataset.id, dataset_rule=rule)
    about = ("doc_type", "doc_metadata")
    if wanted == "only":
        shown = {name: shown[name] for name in ("id", *about)}
    elif wanted == "without":
        shown = {name: value for name, value in shown.items() if name not in about}
    return said(shown)


def indexing_status(service: Service, request: Request) -> Reply:
    """GET /datasets/{dataset_id}/documents/{batch}/indexing-status."""
    workspace, dataset = dataset_of(service, request)
    batch = request.parameters["batch"]
    found = [document for document in dataset.documents if document.batch == batch]
    if not found:
        raise not_found("Documents not found.")
    return said({"data": [document.progress(workspace.now) for document in found]})


def set_status(service: Service, request: Request) -> Reply:
    """PATCH /datasets/{dataset_id}/documents/status/{action}: of those documents that there are."""
    workspace, dataset = dataset_of(service, request)
    payload = validated(DocumentStatusPayload, parsed(request.content_type, request.body))
    action = request.parameters["action"]
    if action not in ("enable", "disable", "archive", "un_archive"):
        raise Refusal(400, "invalid_action", "Invalid action.")
    for document in dataset.documents:
        if document.id in payload.document_ids:
            document.change(action, workspace.now)
    return said({"result": "success"})


def delete_document(service: Service, request: Request) -> Reply:
    """DELETE /datasets/{dataset_id}/documents/{document_id}."""
    _, dataset = dataset_of(service, request)
    document = dataset.document(request.parameters["document_id"], "Document Not Exists.")
    if document.archived:
        raise Refusal(403, "archived_document_immutable", "The archived document is not editable.")
    dataset.documents.remove(document)
    return removed(service)


def download(service: Service, request: Request) -> Reply:
    """GET /datasets/{dataset_id}/documents/{document_id}/download."""
    _, _, document = document_of(service, request)
    if document.source is not None:
        raise not_found("Document does not have an uploaded file to download.")
    return said({"url": service.files.url_of(document.given.file)})


def download_zip(service: Service, request: Request) -> Reply:
    """POST /datasets/{dataset_id}/documents/download-zip."""
    _, dataset = dataset_of(service, request)
    payload = validated(DocumentBatchDownloadZipPayload, parsed(request.content_type, request.body))
    documents = [dataset.document(document_id) for document_id in dict.fromkeys(payload.document_ids)]
    if any(document.source for document in documents):
        raise not_found("Only uploaded-file documents can be downloaded as ZIP.")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        names = set[str]()
        for document in documents:
            name = document.given.file.name
            name = f"{document.id}-{name}" if name in names else name
            names.add(name)
            packed.writestr(name, document.given.file.content)
    head = {"Content-Disposition": "attachment; filename=documents.zip"}
    return Reply(archive.getvalue(), content_type="application/zip", headers=head)


_DOCUMENT = "/datasets/{dataset_id}/documents/{document_id}"

ROUTES = (
    Route("POST", "/datasets/{dataset_id}/document/create-by-text", create_by_text),
    Route("POST", "/datasets/{dataset_id}/document/create_by_text", create_by_text),
    Route("POST", "/datasets/{dataset_id}/document/create-by-file", create_by_file),
    Route("POST", "/datasets/{dataset_id}/document/create_by_file", create_by_file),
    Route("POST", f"{_DOCUMENT}/update-by-text", update_by_text),
    Route("POST", f"{_DOCUMENT}/update_by_text", update_by_text),
    Route("POST", f"{_DOCUMENT}/update-by-file", update_by_file),
    Route("POST", f"{_DOCUMENT}/update_by_file", update_by_file),
    Route("GET", "/datasets/{dataset_id}/documents", list_documents),
    Route("POST", "/datasets/{dataset_id}/documents/download-zip", download_zip, since="1.16"),
    Route("PATCH", "/datasets/{dataset_id}/documents/status/{action}", set_status),
    Route("GET", "/datasets/{dataset_id}/documents/{batch}/indexing-status", indexing_status),
    Route("GET", f"{_DOCUMENT}/download", download, since="1.16"),
    Route("GET", _DOCUMENT, get_document),
    Route("PATCH", _DOCUMENT, update_by_file, since="1.16"),
    Route("DELETE", _DOCUMENT, delete_document),
)


def _text_file(service: Service, name: str, text: str) -> File:
    file = service.files.upload(name=name, mime_type="text/plain", content=text.encode(), user=OWNER_ID)
    return replace(file, extension="txt")


def _uploaded(service: Service, request: Request, *, told: bool = False) -> File | None:
    """The file of a form, if there is one.

    Args:
        told: what is wrong with it is said; where a document is made, Dify says only that something is.
    """
    sent = file_if_any(request)
    if sent is None:
        return None
    part, name = sent
    if name.rpartition(".")[2].lower() not in EXTENSIONS or "." not in name:
        raise Refusal(415, "unsupported_file_type", "File type not allowed.") if told else invalid("")
    try:
        return service.files.upload(name=name, mime_type=part.mime_type, content=part.content, user=OWNER_ID)
    except Refusal as refusal:
        if refusal.status == 413 and not told:
            raise invalid("") from refusal
        raise


def _data(request: Request) -> dict[str, object]:
    """The JSON object in the part `data` of a form."""
    part = next((part for part in request.parts if part.name == "data" and part.filename is None), None)
    try:
        found = mapping(json.loads(part.content)) if part else {}
    except ValueError:
        raise unreadable() from None
    if found is None:
        raise unreadable()
    return found


def _create(workspace: Workspace, dataset: Dataset, file: File, config: Mapping[str, object]) -> Reply:
    if dataset.provider == "external":
        raise invalid("External datasets are not supported.")
    asked = dict(config)
    if not dataset.indexing_technique and not asked.get("indexing_technique"):
        raise invalid("indexing_technique is required.")
    if workspace.behaviour != "1.12":  # there, it must be told for every document
        asked.setdefault("indexing_technique", dataset.indexing_technique)
    asked["data_source"] = {"info_list": {"file_info_list": {"file_ids": [file.id]}}}
    checked = validated(KnowledgeConfig, asked)
    if checked.original_document_id:
        return _replace(workspace, dataset, dataset.document(checked.original_document_id), file, config)
    rule = checked.process_rule or dataset.rule
    if rule is None:
        raise invalid("process_rule is required.")
    if not dataset.indexing_technique:
        dataset.indexing_technique = checked.indexing_technique
        dataset.embedding_model = checked.embedding_model
        dataset.embedding_model_provider = checked.embedding_model_provider
        workspace.settle(dataset)
    dataset.rule = rule
    dataset.retrieval_model = dataset.retrieval_model or checked.retrieval_model
    text = text_of(file.content, file.extension)
    given = Given(file, text, rule, checked.doc_form, workspace.now, workspace.takes(text))
    document = _of_this_name(dataset, file.name) if checked.duplicate else None
    if document is None:
        document = Document(file.name, dataset.next_position(), given, new_batch(), OWNER_ID, dataset.economy)
        dataset.documents.append(document)
    else:
        document.replace(given, name=file.name, created_from="api")
        document.batch = new_batch()
    document.doc_language = checked.doc_language
    return _made(dataset, document)


def _of_this_name(dataset: Dataset, name: str) -> Document | None:
    """The document that a file of the same name takes the place of: Dify keeps one of a name."""
    return next((one for one in dataset.documents if one.name == name and one.enabled), None)


def _update(
    workspace: Workspace, dataset: Dataset, request: Request, file: File | None, config: Mapping[str, object]
) -> Reply:
    document = dataset.document(request.parameters["document_id"])
    if file is None and not config.get("process_rule"):
        raise invalid("Data source or Process rule is required")
    return _replace(workspace, dataset, document, file, config)


def _replace(
    workspace: Workspace,
    dataset: Dataset,
    document: Document,
    file: File | None,
    config: Mapping[str, object],
) -> Reply:
    checked = validated(KnowledgeConfig, {**config, "indexing_technique": dataset.indexing_technique})
    now, had = workspace.now, document.given
    if document.display_status(now) != "available":
        raise invalid("Document is not available")
    text = text_of(file.content, file.extension) if file else had.text
    given = Given(
        file or had.file,
        text,
        checked.process_rule or had.rule,
        checked.doc_form if "doc_form" in config else had.doc_form,
        now,
        workspace.takes(text),
        # The task that updates a document waits for a lock that it holds itself (recorded, and its code).
        stuck=workspace.behaviour == "1.12",
    )
    name = checked.name or (file.name if file else document.name)
    document.replace(given, name=name, created_from="web")
    return _made(dataset, document)


def _made(dataset: Dataset, document: Document) -> Reply:
    shown = document.json(document.given.at, dataset.metadata)
    return said({"document": shown, "batch": document.batch})
