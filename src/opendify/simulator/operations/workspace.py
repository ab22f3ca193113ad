"""What all operations with a dataset key share."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from opendify.simulator.errors import Refusal, not_found
from opendify.simulator.faults import directives
from opendify.simulator.knowledge.datasets import Dataset
from opendify.simulator.knowledge.documents import Document
from opendify.simulator.knowledge.workspace import Workspace
from opendify.simulator.service import Operation, Reply, Request, Result, Route, Service
from opendify.simulator.wire import escaped

MOST = 100
"""Items of a page, whatever is asked for."""

_T = TypeVar("_T")
_STRINGS = ("batch", "action", "node_id", "model_type")


def dataset_of(service: Service, request: Request) -> tuple[Workspace, Dataset]:
    """The workspace that the key opens, and the dataset that the path names.

    Raises:
        Refusal: 401 or 404.
    """
    workspace = service.workspace(request)
    return workspace, workspace.dataset(request.parameters["dataset_id"])


def document_of(service: Service, request: Request) -> tuple[Workspace, Dataset, Document]:
    """The same, and the document that the path names.

    Raises:
        Refusal: 401 or 404.
    """
    workspace, dataset = dataset_of(service, request)
    return workspace, dataset, dataset.document(request.parameters["document_id"])


def said(value: object, status: int = 200) -> Reply:
    """A reply of JSON."""
    return Reply(escaped(value), status)


def removed(service: Service) -> Reply:
    """What a removal says: Dify 1.12 says its 204 in the body, with a status of 200."""
    return said(204) if service.behaviour == "1.12" else Reply(b"", 204)


def page_of(items: Sequence[_T], page: int, limit: int) -> list[_T]:
    """One page of a list."""
    size = min(limit, MOST)
    return list(items[(page - 1) * size : page * size])


def opened(routes: Iterable[Route]) -> tuple[Route, ...]:
    """The same routes, behind the key, with what is the same for all.

    `[[http:KIND]]` in whatever is sent is obeyed. What they do not find is told with the advice that Dify's
    framework adds: it compares the path that was asked for with those that it has, less all between their
    first and last parameter, and names up to three that are close.
    """
    routes = tuple(routes)
    close: dict[str, str] = {}
    for route in routes:
        rule = route.prefix + re.sub(r"\{(\w+)\}", _parameter, route.path)
        close[re.sub(r"<.*>", "", rule)] = rule

    def told(operation: Operation) -> Operation:
        def tell(service: Service, request: Request) -> Result:
            service.workspace(request)
            try:
                _refuse(request)
                return operation(service, request)
            except Refusal as refusal:
                found = difflib.get_close_matches(request.path, close)
                if refusal.code != "not_found" or not found:
                    raise
                advice = " or ".join(close[rule] for rule in found)
                raise not_found(
                    f"{refusal.message.removesuffix('.')}. You have requested this URI [{request.path}] "
                    f"but did you mean {advice} ?"
                ) from refusal

        return tell

    return tuple(replace(route, operation=told(route.operation)) for route in routes)


def _refuse(request: Request) -> None:
    sent = (request.body, *(part.content for part in request.parts))
    for text in (*request.query.values(), *(part.decode(errors="replace") for part in sent)):
        if "[[http" in text:
            directives(text)


def _parameter(match: re.Match[str]) -> str:
    name = match.group(1)
    return f"<{'string' if name in _STRINGS else 'uuid'}:{name}>"
