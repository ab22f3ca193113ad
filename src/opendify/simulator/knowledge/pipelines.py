"""Knowledge pipelines (Dify 1.16): their datasources, and the events of their runs. Pure.

Every pipeline is the same: four datasources lead to a node that indexes. What the datasources other than
`local_file` have is made up. Sources: Dify's reference, and for the events of a datasource and for what a
published pipeline answers its code.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

from opendify.simulator.directives import Directives
from opendify.simulator.wire import Envelope, compact, mapping

DatasourceType = Literal["local_file", "online_document", "website_crawl", "online_drive"]

_CREDENTIAL = {"id": "c0ffee00-0000-4000-8000-000000000001", "name": "Simulated", "type": "api-key"}
_URL = {"variable": "url", "label": "URL", "type": "text-input", "required": True, "max_length": 256}
_PAGE = {"page_id": "page-1", "page_name": "Planets", "type": "page", "page_icon": None, "parent_id": "root"}
_FILE = {"id": "planets.txt", "name": "planets.txt", "size": 41, "type": "file"}


@dataclass(frozen=True, slots=True)
class Datasource:
    """A node by which documents come into a pipeline."""

    type: DatasourceType
    title: str
    variables: tuple[Mapping[str, object], ...] = ()
    credentials: bool = True

    @property
    def node_id(self) -> str:
        """Its id in the pipeline."""
        return f"datasource-{self.type}"

    def json(self) -> dict[str, object]:
        """As Dify lists it."""
        return {
            "node_id": self.node_id,
            "plugin_id": "opendify/simulated",
            "provider_name": self.type,
            "datasource_type": self.type,
            "title": self.title,
            "user_input_variables": list(self.variables),
            "credentials": [{**_CREDENTIAL, "is_default": True}] if self.credentials else list[object](),
        }


DATASOURCES = (
    Datasource("local_file", "File", credentials=False),
    Datasource("online_document", "Pages"),
    Datasource("website_crawl", "Web", (_URL,)),
    Datasource("online_drive", "Drive"),
)


def found(node_id: str, kind: DatasourceType, inputs: Mapping[str, object]) -> Iterator[bytes]:
    """What the run of a datasource sends. `[[error]]` in an input makes it fail."""
    node = next((one for one in DATASOURCES if one.node_id == node_id), None)
    if node is None:
        yield _event("datasource_error", error="Datasource node data not found")
    elif kind == "local_file":
        yield _event("datasource_error", error=f"Unsupported datasource provider: {kind}")
    elif any("error" in Directives(str(value)) for value in inputs.values()):
        yield _event("datasource_error", error="The inputs asked for an error.")
    else:
        yield _event("datasource_processing", total=1, completed=0)
        data = _DATA[kind](inputs)
        yield _event("datasource_completed", data=data, total=1, completed=1, time_consuming=0.0)


def _pages(inputs: Mapping[str, object]) -> list[dict[str, object]]:
    space = {"workspace_id": "workspace-1", "workspace_name": "Simulated", "workspace_icon": None}
    return [{**space, "total": 1, "pages": [_PAGE]}]


def _crawled(inputs: Mapping[str, object]) -> list[dict[str, object]]:
    url = str(inputs.get("url") or "https://planets.example")
    page = {"title": "Planets", "description": "A simulated page", "content": _said(url)}
    return [{"source_url": url, **page}]


def _files(inputs: Mapping[str, object]) -> list[dict[str, object]]:
    return [{"bucket": None, "files": [_FILE], "is_truncated": False, "next_page_parameters": None}]


_DATA = {"online_document": _pages, "website_crawl": _crawled, "online_drive": _files}


def name_of(kind: DatasourceType, info: Mapping[str, object]) -> str:
    """The name of the document that is made of an item of a datasource."""
    page = mapping(info.get("page")) or {}
    names = {"online_document": page.get("page_name"), "website_crawl": info.get("title")}
    return str(names.get(kind, info.get("name")) or "untitled")


def text_of_item(kind: DatasourceType, info: Mapping[str, object]) -> str:
    """The text of an item that is no file of ours."""
    return _said(str(info.get("url") or name_of(kind, info)))


def _said(what: str) -> str:
    return f"Simulated content of {what}; nothing was fetched.\n\nMercury is the closest planet to the Sun."


@dataclass(slots=True)
class Trial:
    """A run of a draft, on one item: what comes of it is shown, and nothing is indexed.

    Args:
        start: the datasource.
        contents: the segments that the item would become.
    """

    workflow_id: str
    start: Datasource
    info: Mapping[str, object]
    inputs: Mapping[str, object]
    contents: Sequence[str]
    run_id: str = field(default_factory=lambda: str(uuid4()))
    task_id: str = field(default_factory=lambda: str(uuid4()))
    created_at: int = field(default_factory=lambda: int(time.time()))

    def events(self) -> Iterator[bytes]:
        """What it streams."""
        envelope = Envelope({"workflow_run_id": self.run_id, "task_id": self.task_id})
        yield b"event: ping\n\n"
        started: dict[str, object] = {
            "id": self.run_id,
            "workflow_id": self.workflow_id,
            "inputs": dict(self.inputs),
            "created_at": self.created_at,
            "reason": "initial",
        }
        yield envelope.event("workflow_started", data=started)
        item: dict[str, object] = {"datasource_type": self.start.type, **self.info}
        datasource = self._node(1, self.start.node_id, "datasource", self.start.title)
        index = self._node(2, "knowledge-index", "knowledge-index", "Knowledge Base")
        yield from _node_events(envelope, {**datasource, "predecessor_node_id": None}, item)
        behind = {**index, "predecessor_node_id": self.start.node_id, "inputs": item}
        yield from _node_events(envelope, behind, self._outputs())
        more: dict[str, object] = {"created_by": _nothing(), "exceptions_count": 0, "files": list[object]()}
        yield envelope.event("workflow_finished", data={**self._ended(), **more})

    def _node(self, index: int, node_id: str, kind: str, title: str) -> dict[str, object]:
        return {
            "id": str(uuid4()),
            "node_id": node_id,
            "node_type": kind,
            "title": title,
            "index": index,
            "inputs": _nothing(),
            "created_at": self.created_at,
        }

    def json(self) -> dict[str, object]:
        """What it answers when it is not streamed."""
        return {"task_id": self.task_id, "workflow_run_id": self.run_id, "data": self._ended()}

    def _ended(self) -> dict[str, object]:
        return {
            "id": self.run_id,
            "workflow_id": self.workflow_id,
            "status": "succeeded",
            "outputs": self._outputs(),
            "error": None,
            "elapsed_time": 0.0,
            "total_tokens": 0,
            "total_steps": 2,
            "created_at": self.created_at,
            "finished_at": int(time.time()),
        }

    def _outputs(self) -> dict[str, object]:
        preview = [{"content": content} for content in self.contents]
        return {"chunk_structure": "text_model", "preview": preview, "total_segments": len(preview)}


def _node_events(
    envelope: Envelope, node: Mapping[str, object], outputs: Mapping[str, object]
) -> Iterator[bytes]:
    yield envelope.event("node_started", data={**node, "extras": _nothing()})
    done: dict[str, object] = {
        "outputs": outputs,
        "status": "succeeded",
        "error": None,
        "elapsed_time": 0.0,
        "execution_metadata": None,
        "finished_at": int(time.time()),
        "files": list[object](),
    }
    yield envelope.event("node_finished", data={**node, **done})


def _nothing() -> dict[str, object]:
    return {}


def _event(name: str, **payload: object) -> bytes:
    return b"data: " + compact({"event": name, **payload}) + b"\n\n"
