"""Datasets: made, listed, changed, searched, deleted."""

from __future__ import annotations

from opendify.simulator.directives import Directives
from opendify.simulator.errors import Refusal, invalid
from opendify.simulator.knowledge.datasets import Dataset
from opendify.simulator.knowledge.documents import Document
from opendify.simulator.knowledge.payloads import (
    DatasetCreatePayload,
    DatasetListQuery,
    DatasetUpdatePayload,
    HitTestingPayload,
)
from opendify.simulator.knowledge.retrieval import Hit, RetrievalModel
from opendify.simulator.knowledge.workspace import OWNER_ID
from opendify.simulator.operations.workspace import dataset_of, page_of, removed, said
from opendify.simulator.payloads import parsed, validated
from opendify.simulator.service import Reply, Request, Route, Service

_NEEDED = ("reranking_enable", "search_method", "top_k", "score_threshold_enabled")
_EMBEDDING_FAILS = (
    "[simulated] Rate Limit Error, Error code: 429 - {'error': {'message': 'scripted rate limit'}}"
)


def create_dataset(service: Service, request: Request) -> Reply:
    """POST /datasets."""
    workspace = service.workspace(request)
    given = validated(DatasetCreatePayload, parsed(request.content_type, request.body))
    dataset = Dataset(
        given.name,
        OWNER_ID,
        workspace.now,
        description=given.description,
        provider=given.provider,
        permission=given.permission or "only_me",
        indexing_technique=given.indexing_technique,
        embedding_model=given.embedding_model,
        embedding_model_provider=given.embedding_model_provider,
        retrieval_model=given.retrieval_model,
        summary_index_setting=given.summary_index_setting.model_dump() if given.summary_index_setting else {},
    )
    workspace.settle(dataset)
    workspace.add(dataset)
    return said(dataset.json(service.behaviour, workspace.now, available=None))


def list_datasets(service: Service, request: Request) -> Reply:
    """GET /datasets."""
    workspace = service.workspace(request)
    asked: dict[str, object] = dict(request.query)
    if "tag_ids" in asked and service.behaviour != "1.12":  # 1.12.1 takes one only, and then refuses it
        asked["tag_ids"] = list(request.repeated["tag_ids"])
    query = validated(DatasetListQuery, asked)
    found = [
        dataset
        for dataset in workspace.datasets
        if (query.keyword or "").lower() in dataset.name.lower()
        and (not query.tag_ids or {tag.id for tag in dataset.tags} & set(query.tag_ids))
    ]
    found.sort(key=lambda dataset: -dataset.created_at)
    page = page_of(found, query.page, query.limit)
    shown = [
        dataset.json(service.behaviour, workspace.now, available=workspace.has_embedding(dataset))
        for dataset in page
    ]
    has_more = len(page) == query.limit
    return said(
        {"data": shown, "has_more": has_more, "limit": query.limit, "total": len(found), "page": query.page}
    )


def get_dataset(service: Service, request: Request) -> Reply:
    """GET /datasets/{dataset_id}."""
    workspace, dataset = dataset_of(service, request)
    available = workspace.has_embedding(dataset)
    shown = dataset.json(service.behaviour, workspace.now, available=available)
    if dataset.permission == "partial_members":
        shown["partial_member_list"] = dataset.partial_members
    return said(shown)


def update_dataset(service: Service, request: Request) -> Reply:
    """PATCH /datasets/{dataset_id}."""
    workspace, dataset = dataset_of(service, request)
    given = validated(DatasetUpdatePayload, parsed(request.content_type, request.body))
    if any(other.name == given.name and other is not dataset for other in workspace.datasets):
        raise invalid("Dataset name already exists")
    dataset.name = given.name or dataset.name
    dataset.description = dataset.description if given.description is None else given.description
    dataset.permission = given.permission or dataset.permission
    dataset.indexing_technique = given.indexing_technique or dataset.indexing_technique
    dataset.embedding_model = given.embedding_model or dataset.embedding_model
    dataset.embedding_model_provider = given.embedding_model_provider or dataset.embedding_model_provider
    dataset.retrieval_model = given.retrieval_model or dataset.retrieval_model
    if given.partial_member_list is not None:
        dataset.partial_members = [member["user_id"] for member in given.partial_member_list]
    workspace.settle(dataset)
    dataset.updated_at = workspace.now
    shown = dataset.json(service.behaviour, workspace.now, available=None)
    return said({**shown, "partial_member_list": dataset.partial_members})


def delete_dataset(service: Service, request: Request) -> Reply:
    """DELETE /datasets/{dataset_id}."""
    workspace, dataset = dataset_of(service, request)
    workspace.datasets.remove(dataset)
    return removed(service)


def retrieve(service: Service, request: Request) -> Reply:
    """POST /datasets/{dataset_id}/retrieve, and its older name hit-testing."""
    workspace, dataset = dataset_of(service, request)
    given = validated(HitTestingPayload, parsed(request.content_type, request.body))
    if "embederror" in Directives(given.query):
        raise invalid(_EMBEDDING_FAILS)
    model, now = _model(service, given), workspace.now
    records = [_record(document, hit, now) for document, hit in dataset.retrieve(given.query, model, now)]
    return said({"query": {"content": given.query}, "records": records})


ROUTES = (
    Route("POST", "/datasets", create_dataset),
    Route("GET", "/datasets", list_datasets),
    Route("GET", "/datasets/{dataset_id}", get_dataset),
    Route("PATCH", "/datasets/{dataset_id}", update_dataset),
    Route("DELETE", "/datasets/{dataset_id}", delete_dataset),
    Route("POST", "/datasets/{dataset_id}/retrieve", retrieve),
    Route("POST", "/datasets/{dataset_id}/hit-testing", retrieve),
)


def _model(service: Service, given: HitTestingPayload) -> RetrievalModel | None:
    asked = given.retrieval_model
    if not asked:
        return None
    missing = next((name for name in _NEEDED if name not in asked), None)
    if missing is not None and service.behaviour == "1.12":  # it is looked up without asking (its code)
        raise Refusal(500, "internal_server_error", repr(missing))
    return validated(RetrievalModel, asked)


def _record(document: Document, hit: Hit, now: float) -> dict[str, object]:
    about = {
        "id": document.id,
        "data_source_type": "upload_file",
        "name": document.name,
        "doc_type": None,
        "doc_metadata": dict(document.metadata) or None,
    }
    children = [
        {"id": child.id, "content": child.content, "position": child.position, "score": score}
        for child, score in hit.children or ()
    ]
    return {
        "segment": {**hit.segment.found(now), "document": about},
        "child_chunks": None if hit.children is None else children,
        "score": hit.score,
        "tsne_position": None,
        "files": None,
        "summary": hit.segment.summary,
    }
