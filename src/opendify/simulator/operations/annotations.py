"""Annotations: answers that the app's owner wrote. Any app key may change them."""

from __future__ import annotations

from opendify.simulator.annotations import Action, Annotation
from opendify.simulator.errors import internal, invalid, not_found
from opendify.simulator.payloads import (
    AnnotationCreatePayload,
    AnnotationListQuery,
    AnnotationReplyActionPayload,
    parsed,
    validated,
)
from opendify.simulator.service import App, Reply, Request, Route, Service
from opendify.simulator.wire import escaped

_JOB = 20  # tokens: a job takes as long as the model takes to say so many
_ACTIONS: dict[str, Action] = {"enable": "enable", "disable": "disable"}


def list_annotations(service: Service, request: Request) -> Reply:
    """GET /apps/annotations. A full page has more behind it, Dify says, even if it is the last."""
    app = service.app(request)
    query = validated(AnnotationListQuery, request.query)
    found = app.annotations.matching(query.keyword)
    first = (query.page - 1) * query.limit
    page = found[first : first + query.limit]
    shown = {
        "data": [_annotation(annotation) for annotation in page],
        "has_more": len(page) == query.limit,
        "limit": query.limit,
        "total": len(found),
        "page": query.page,
    }
    return Reply(escaped(shown))


def create_annotation(service: Service, request: Request) -> Reply:
    """POST /apps/annotations."""
    app, body = service.app(request), parsed(request.content_type, request.body)
    payload = validated(AnnotationCreatePayload, body)
    return Reply(escaped(_annotation(app.annotations.add(payload.question, payload.answer))), 201)


def update_annotation(service: Service, request: Request) -> Reply:
    """PUT /apps/annotations/{annotation_id}."""
    app, body = service.app(request), parsed(request.content_type, request.body)
    payload = validated(AnnotationCreatePayload, body)
    annotation = _found(app, request)
    annotation.question, annotation.answer = payload.question, payload.answer
    return Reply(escaped(_annotation(annotation)))


def delete_annotation(service: Service, request: Request) -> Reply:
    """DELETE /apps/annotations/{annotation_id}."""
    app = service.app(request)
    app.annotations.delete(_found(app, request).id)
    return Reply(b"", 204)


def switch_reply(service: Service, request: Request) -> Reply:
    """POST /apps/annotation-reply/{action}: begin to give the annotations as answers, or cease to."""
    app, body = service.app(request), parsed(request.content_type, request.body)
    validated(AnnotationReplyActionPayload, body)
    action = _ACTIONS.get(request.parameters["action"])
    if action is None:
        raise internal()
    job_id = app.annotations.switch(action, _JOB * service.pace)
    return Reply(escaped({"job_id": job_id, "job_status": "waiting"}))


def reply_status(service: Service, request: Request) -> Reply:
    """GET /apps/annotation-reply/{action}/status/{job_id}."""
    app, job_id = service.app(request), request.parameters["job_id"]
    job = app.annotations.job(request.parameters["action"], job_id)
    if job is None:
        raise invalid("The job does not exist.")
    return Reply(escaped({"job_id": job_id, "job_status": job.status, "error_msg": ""}))


ROUTES = (
    Route("GET", "/apps/annotations", list_annotations),
    Route("POST", "/apps/annotations", create_annotation),
    Route("PUT", "/apps/annotations/{annotation_id}", update_annotation),
    Route("DELETE", "/apps/annotations/{annotation_id}", delete_annotation),
    Route("POST", "/apps/annotation-reply/{action}", switch_reply),
    Route("GET", "/apps/annotation-reply/{action}/status/{job_id}", reply_status),
)


def _found(app: App, request: Request) -> Annotation:
    annotation = app.annotations.get(request.parameters["annotation_id"])
    if annotation is None:
        raise not_found("Annotation not found")
    return annotation


def _annotation(annotation: Annotation) -> dict[str, object]:
    return {
        "id": annotation.id,
        "question": annotation.question,
        "answer": annotation.answer,
        "hit_count": annotation.hit_count,
        "created_at": annotation.created_at,
    }
