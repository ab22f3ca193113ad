"""Child chunks of a segment: made, listed, changed, deleted."""

from __future__ import annotations

import math

from opendify.simulator.knowledge.datasets import find_child
from opendify.simulator.knowledge.payloads import ChildChunkCreatePayload, ChildChunkUpdatePayload, PageQuery
from opendify.simulator.knowledge.segments import ChildChunk
from opendify.simulator.operations.segments import segment_of
from opendify.simulator.operations.workspace import MOST, page_of, removed, said
from opendify.simulator.payloads import parsed, validated
from opendify.simulator.service import Reply, Request, Route, Service


def create_child_chunk(service: Service, request: Request) -> Reply:
    """POST .../segments/{segment_id}/child_chunks."""
    *_, segment = segment_of(service, request)
    given = validated(ChildChunkCreatePayload, parsed(request.content_type, request.body))
    position = max((child.position for child in segment.children), default=0) + 1
    child = ChildChunk(segment.id, given.content, position, "customized")
    segment.children.append(child)
    return said({"data": child.json()})


def list_child_chunks(service: Service, request: Request) -> Reply:
    """GET .../segments/{segment_id}/child_chunks."""
    *_, segment = segment_of(service, request)
    query = validated(PageQuery, request.query)
    found = [child for child in segment.children if (query.keyword or "").lower() in child.content.lower()]
    limit = min(query.limit, MOST)
    return said(
        {
            "data": [child.json() for child in page_of(found, query.page, limit)],
            "total": len(found),
            "total_pages": math.ceil(len(found) / limit),
            "page": query.page,
            "limit": limit,
        }
    )


def update_child_chunk(service: Service, request: Request) -> Reply:
    """PATCH .../child_chunks/{child_chunk_id}."""
    workspace, _, _, segment = segment_of(service, request)
    child = find_child(segment.children, request.parameters["child_chunk_id"])
    given = validated(ChildChunkUpdatePayload, parsed(request.content_type, request.body))
    child.content, child.type, child.updated_at = given.content, "customized", workspace.now
    return said({"data": child.json()})


def delete_child_chunk(service: Service, request: Request) -> Reply:
    """DELETE .../child_chunks/{child_chunk_id}."""
    *_, segment = segment_of(service, request)
    segment.children.remove(find_child(segment.children, request.parameters["child_chunk_id"]))
    return removed(service)


_CHILDREN = "/datasets/{dataset_id}/documents/{document_id}/segments/{segment_id}/child_chunks"

ROUTES = (
    Route("POST", _CHILDREN, create_child_chunk),
    Route("GET", _CHILDREN, list_child_chunks),
    Route("PATCH", f"{_CHILDREN}/{{child_chunk_id}}", update_child_chunk),
    Route("DELETE", f"{_CHILDREN}/{{child_chunk_id}}", delete_child_chunk),
)
