"""Metadata of documents: the fields of a dataset, Dify's own fields, and values of documents."""

from __future__ import annotations

from opendify.simulator.errors import invalid, not_found
from opendify.simulator.knowledge.datasets import Dataset
from opendify.simulator.knowledge.documents import Document
from opendify.simulator.knowledge.metadata import BUILT_IN
from opendify.simulator.knowledge.payloads import (
    DocumentMetadataOperation,
    MetadataArgs,
    MetadataOperationData,
    MetadataUpdatePayload,
)
from opendify.simulator.operations.workspace import dataset_of, removed, said
from opendify.simulator.payloads import parsed, validated
from opendify.simulator.service import Reply, Request, Route, Service

_SUCCESS = {"result": "success"}


def create_field(service: Service, request: Request) -> Reply:
    """POST /datasets/{dataset_id}/metadata."""
    _, dataset = dataset_of(service, request)
    given = validated(MetadataArgs, parsed(request.content_type, request.body))
    field = dataset.metadata.create(given.name, given.type)
    return said({"id": field.id, "type": field.type, "name": field.name}, 201)


def list_fields(service: Service, request: Request) -> Reply:
    """GET /datasets/{dataset_id}/metadata."""
    _, dataset = dataset_of(service, request)
    shown = [
        {
            "id": field.id,
            "name": field.name,
            "type": field.type,
            "count": sum(field.name in document.metadata for document in dataset.documents),
        }
        for field in dataset.metadata.fields
    ]
    return said({"doc_metadata": shown, "built_in_field_enabled": dataset.metadata.built_in})


def update_field(service: Service, request: Request) -> Reply:
    """PATCH /datasets/{dataset_id}/metadata/{metadata_id}."""
    _, dataset = dataset_of(service, request)
    given = validated(MetadataUpdatePayload, parsed(request.content_type, request.body))
    renamed = dataset.metadata.rename(request.parameters["metadata_id"], given.name)
    if renamed is None:
        if service.behaviour == "1.12":  # it logs that there is none, and goes on (its code)
            return said(dict.fromkeys(("id", "type", "name")))
        raise not_found("Metadata not found.")
    old, field = renamed
    for document in dataset.documents:
        if old in document.metadata:
            document.metadata[field.name] = document.metadata.pop(old)
    return said({"id": field.id, "type": field.type, "name": field.name})


def delete_field(service: Service, request: Request) -> Reply:
    """DELETE /datasets/{dataset_id}/metadata/{metadata_id}."""
    _, dataset = dataset_of(service, request)
    field = dataset.metadata.find(request.parameters["metadata_id"])
    if field is not None:
        dataset.metadata.fields.remove(field)
        for document in dataset.documents:
            document.metadata.pop(field.name, None)
    elif service.behaviour != "1.12":
        raise not_found("Metadata not found.")
    return removed(service)


def built_in_fields(service: Service, request: Request) -> Reply:
    """GET /datasets/{dataset_id}/metadata/built-in."""
    dataset_of(service, request)
    return said({"fields": [{"name": name, "type": kind} for name, kind in BUILT_IN.items()]})


def toggle_built_in(service: Service, request: Request) -> Reply:
    """POST /datasets/{dataset_id}/metadata/built-in/{action}."""
    _, dataset = dataset_of(service, request)
    action = request.parameters["action"]
    if action in ("enable", "disable"):  # Dify does nothing on any other word, and calls it a success
        dataset.metadata.built_in = action == "enable"
        for document in dataset.documents:
            _built_in(dataset, document)
    return said(_SUCCESS)


def assign_values(service: Service, request: Request) -> Reply:
    """POST /datasets/{dataset_id}/documents/metadata."""
    workspace, dataset = dataset_of(service, request)
    given = validated(MetadataOperationData, parsed(request.content_type, request.body))
    by_id = {document.id: document for document in dataset.documents}
    for operation in given.operation_data:
        document = by_id.get(operation.document_id)
        if document is not None:
            _assign(dataset, document, operation)
            document.updated_at = workspace.now
        elif service.behaviour != "1.12":  # which logs it, and calls it a success (its code)
            raise invalid("Document not found.")
    return said(_SUCCESS)


_METADATA = "/datasets/{dataset_id}/metadata"

ROUTES = (
    Route("POST", _METADATA, create_field),
    Route("GET", _METADATA, list_fields),
    Route("GET", f"{_METADATA}/built-in", built_in_fields),
    Route("POST", f"{_METADATA}/built-in/{{action}}", toggle_built_in),
    Route("PATCH", f"{_METADATA}/{{metadata_id}}", update_field),
    Route("DELETE", f"{_METADATA}/{{metadata_id}}", delete_field),
    Route("POST", "/datasets/{dataset_id}/documents/metadata", assign_values),
)


def _assign(dataset: Dataset, document: Document, operation: DocumentMetadataOperation) -> None:
    if not operation.partial_update:
        document.metadata.clear()
    document.metadata.update({detail.name: detail.value for detail in operation.metadata_list})
    _built_in(dataset, document)


def _built_in(dataset: Dataset, document: Document) -> None:
    """Give a document the values of Dify's own fields, or take them away."""
    if not dataset.metadata.built_in:
        for name in BUILT_IN:
            document.metadata.pop(name, None)
        return
    document.metadata |= {
        "document_name": document.name,
        "uploader": "Owner",
        "upload_date": document.created_at,
        "last_update_date": document.updated_at,
        "source": "file_upload",
    }
