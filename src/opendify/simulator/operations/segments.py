"""Segments of a document: made, listed, read, changed, deleted."""

from __future__ import annotations

from opendify.simulator.errors import invalid, not_found
from opendify.simulator.knowledge.datasets import Dataset, find_segment
from opendify.simulator.knowledge.documents import Document
from opendify.simulator.knowledge.payloads import (
    SegmentCreateArgs,
    SegmentCreatePayload,
    SegmentListQuery,
    SegmentUpdatePayload,
)
from opendify.simulator.knowledge.segments import Segment
from opendify.simulator.knowledge.splitting import pieces
from opendify.simulator.knowledge.workspace import OWNER_ID, Workspace
from opendify.simulator.operations.workspace import document_of, page_of, removed, said
from opendify.simulator.payloads import parsed, validated
from opendify.simulator.service import Reply, Request, Route, Service
from opendify.simulator.wire import escaped


def create_segments(service: Service, request: Request) -> Reply:
    """POST .../documents/{document_id}/segments."""
    workspace, _, document = document_of(service, request)
    now = workspace.now
    if document.status(now) != "completed":
        raise not_found("Document is not completed.")
    if not document.enabled:
        raise not_found("Document is disabled.")
    payload = validated(SegmentCreatePayload, parsed(request.content_type, request.body))
    if payload.segments is None:
        return Reply(escaped({"error": "Segments is required"}), 400)
    for given in payload.segments:
        _check(given, document)
    made: list[Segment] = []
    for given in payload.segments:
        segment = document.add((given.content or "").strip(), given.keywords, at=now)
        segment.answer = given.answer
        _cut(segment, document)
        made.append(segment)
    return said({"data": [segment.json(now) for segment in made], "doc_form": document.given.doc_form})


def list_segments(service: Service, request: Request) -> Reply:
    """GET .../documents/{document_id}/segments."""
    workspace, _, document = document_of(service, request)
    asked: dict[str, object] = {**request.query, "status": list(request.repeated.get("status", ()))}
    query, now = validated(SegmentListQuery, asked), workspace.now
    found = [
        segment
        for segment in document.visible(now)
        if (not query.status or segment.status(now) in query.status)
        and (query.keyword or "").lower() in segment.content.lower()
    ]
    page = page_of(found, query.page, query.limit)
    return said(
        {
            "data": [segment.json(now) for segment in page],
            "doc_form": document.given.doc_form,
            "total": len(found),
            "has_more": len(page) == query.limit,
            "limit": query.limit,
            "page": query.page,
        }
    )


def get_segment(service: Service, request: Request) -> Reply:
    """GET .../segments/{segment_id}."""
    workspace, _, document, segment = segment_of(service, request)
    return said({"data": segment.json(workspace.now), "doc_form": document.given.doc_form})


def update_segment(service: Service, request: Request) -> Reply:
    """POST .../segments/{segment_id}."""
    workspace, _, document, segment = segment_of(service, request)
    given = validated(SegmentUpdatePayload, parsed(request.content_type, request.body)).segment
    now = workspace.now
    if segment.status(now) != "completed":
        raise invalid("Segment is indexing, please try again later")
    if given.enabled is False:
        segment.enabled, segment.disabled_at = False, now
    elif not segment.enabled and not given.enabled:
        raise invalid("Can't update disabled segment")
    else:
        _check(given, document)
        _change(segment, document, given.content or "", given.keywords, given.answer)
        segment.enabled, segment.disabled_at = True, None
        segment.indexing_at = segment.completed_at = now
        segment.summary = segment.summary if given.summary is None else given.summary
        if given.regenerate_child_chunks:
            _cut(segment, document)
    segment.updated_at, segment.updated_by = now, OWNER_ID
    return said({"data": segment.json(now), "doc_form": document.given.doc_form})


def delete_segment(service: Service, request: Request) -> Reply:
    """DELETE .../segments/{segment_id}."""
    _, _, document, segment = segment_of(service, request)
    document.segments.remove(segment)
    return removed(service)


_SEGMENTS = "/datasets/{dataset_id}/documents/{document_id}/segments"

ROUTES = (
    Route("POST", _SEGMENTS, create_segments),
    Route("GET", _SEGMENTS, list_segments),
    Route("GET", f"{_SEGMENTS}/{{segment_id}}", get_segment),
    Route("POST", f"{_SEGMENTS}/{{segment_id}}", update_segment),
    Route("DELETE", f"{_SEGMENTS}/{{segment_id}}", delete_segment),
)


def segment_of(service: Service, request: Request) -> tuple[Workspace, Dataset, Document, Segment]:
    """All that the path names down to a segment.

    Raises:
        Refusal: 401 or 404.
    """
    workspace, dataset, document = document_of(service, request)
    segment = find_segment(document.visible(workspace.now), request.parameters["segment_id"])
    return workspace, dataset, document, segment


def _check(given: SegmentCreateArgs, document: Document) -> None:
    if document.given.doc_form == "qa_model":
        if not given.answer:
            raise invalid("Answer is required")
        if not given.answer.strip():
            raise invalid("Answer is empty")
    if not (given.content or "").strip():
        raise invalid("Content is empty")


def _change(
    segment: Segment, document: Document, content: str, keywords: list[str] | None, answer: str | None
) -> None:
    """Change what it says. New keywords count only where the content stays as it is (recorded)."""
    if content == segment.content:
        segment.keywords = keywords or segment.keywords
    segment.content = content
    if document.given.doc_form == "qa_model":
        segment.answer = answer


def _cut(segment: Segment, document: Document) -> None:
    if document.given.doc_form == "hierarchical_model":
        found = pieces(segment.content, document.given.rule, "hierarchical_model")
        segment.cut([child for piece in found for child in piece.children])
