"""Tags of datasets: made, listed, renamed, deleted, bound and unbound.

Dify 1.12.1 makes and renames a tag, and fails to say so: it checks its own reply, in which a number is to be
text. It fails to list tags for the same reason, as soon as there is one.
"""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from opendify.simulator.errors import invalid, not_found
from opendify.simulator.knowledge.datasets import Tag
from opendify.simulator.knowledge.payloads import (
    DataSetTag,
    TagBindingPayload,
    TagCreatePayload,
    TagDeletePayload,
    TagUnbindingPayload,
    TagUpdatePayload,
)
from opendify.simulator.knowledge.workspace import Workspace
from opendify.simulator.operations.workspace import dataset_of, removed, said
from opendify.simulator.payloads import parsed, refused, validated
from opendify.simulator.service import Reply, Request, Route, Service

_TAGS = TypeAdapter(list[DataSetTag])


def create_tag(service: Service, request: Request) -> Reply:
    """POST /datasets/tags."""
    workspace = service.workspace(request)
    given = validated(TagCreatePayload, parsed(request.content_type, request.body))
    _free(workspace, given.name)
    return _told(workspace, workspace.new_tag(given.name))


def list_tags(service: Service, request: Request) -> Reply:
    """GET /datasets/tags."""
    workspace = service.workspace(request)
    shown = [_shown(workspace, tag) for tag in workspace.tags]
    if workspace.behaviour == "1.12":
        try:
            _TAGS.validate_python(shown)
        except ValidationError as error:
            raise refused(error) from error
    return said(shown)


def update_tag(service: Service, request: Request) -> Reply:
    """PATCH /datasets/tags."""
    workspace = service.workspace(request)
    given = validated(TagUpdatePayload, parsed(request.content_type, request.body))
    tag = _tag(workspace, given.tag_id)
    if given.name != tag.name:
        _free(workspace, given.name)
    renamed = Tag(tag.id, given.name)
    workspace.put_tag(tag, renamed)
    return _told(workspace, renamed)


def delete_tag(service: Service, request: Request) -> Reply:
    """DELETE /datasets/tags."""
    workspace = service.workspace(request)
    given = validated(TagDeletePayload, parsed(request.content_type, request.body))
    workspace.put_tag(_tag(workspace, given.tag_id), None)
    return removed(service)


def bind_tags(service: Service, request: Request) -> Reply:
    """POST /datasets/tags/binding. Tags that there are not are passed over."""
    workspace = service.workspace(request)
    given = validated(TagBindingPayload, parsed(request.content_type, request.body))
    dataset = workspace.dataset(given.target_id, "Dataset not found")
    for tag_id in given.tag_ids:
        tag = workspace.tag(tag_id)
        if tag is not None and tag not in dataset.tags:
            dataset.tags.append(tag)
    return removed(service)


def unbind_tags(service: Service, request: Request) -> Reply:
    """POST /datasets/tags/unbinding."""
    workspace = service.workspace(request)
    given = validated(TagUnbindingPayload, parsed(request.content_type, request.body))
    dataset = workspace.dataset(given.target_id, "Dataset not found")
    dataset.tags = [tag for tag in dataset.tags if tag.id not in given.tag_ids]
    return removed(service)


def tags_of_dataset(service: Service, request: Request) -> Reply:
    """GET /datasets/{dataset_id}/tags."""
    _, dataset = dataset_of(service, request)
    data = [{"id": tag.id, "name": tag.name} for tag in dataset.tags]
    return said({"data": data, "total": len(data)})


ROUTES = (
    Route("POST", "/datasets/tags", create_tag),
    Route("GET", "/datasets/tags", list_tags),
    Route("PATCH", "/datasets/tags", update_tag),
    Route("DELETE", "/datasets/tags", delete_tag),
    Route("POST", "/datasets/tags/binding", bind_tags),
    Route("POST", "/datasets/tags/unbinding", unbind_tags),
    Route("GET", "/datasets/{dataset_id}/tags", tags_of_dataset),
)


def _tag(workspace: Workspace, tag_id: str) -> Tag:
    tag = workspace.tag(tag_id)
    if tag is None:
        raise not_found("Tag not found")
    return tag


def _free(workspace: Workspace, name: str) -> None:
    if any(tag.name == name for tag in workspace.tags):
        raise invalid("Tag name already exists")


def _shown(workspace: Workspace, tag: Tag) -> dict[str, object]:
    count = workspace.bindings(tag)
    bound: int | str = count if workspace.behaviour == "1.12" else str(count)
    return {"id": tag.id, "name": tag.name, "type": "knowledge", "binding_count": bound}


def _told(workspace: Workspace, tag: Tag) -> Reply:
    shown = _shown(workspace, tag)
    if workspace.behaviour == "1.12":
        validated(DataSetTag, shown)
    return said(shown)
