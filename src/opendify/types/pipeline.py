"""Knowledge pipelines (Dify 1.16): their datasources, what these bring, and runs.

Sources: the specification of 1.16; for the events of a datasource, and for what a published pipeline
answers, Dify's code.
"""

# ruff: noqa: RUF012  pydantic copies the defaults of fields

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from pydantic import BeforeValidator, JsonValue, Tag, TypeAdapter

from ._model import Count, Many, Model, Text, is_object
from .documents import Document
from .events import EVENT_CONFIG, ErrorEvent, Event, OtherEvent, PingEvent, by_name

__all__ = [
    "DatasourceCompletedEvent",
    "DatasourceCredential",
    "DatasourceEvent",
    "DatasourceInfo",
    "DatasourcePlugin",
    "DatasourceProcessingEvent",
    "DatasourceType",
    "LocalFileInfo",
    "OnlineDocumentInfo",
    "OnlineDocumentPage",
    "OnlineDriveInfo",
    "PipelineFile",
    "PipelineRun",
    "WebsiteCrawlInfo",
]

DatasourceType = Literal["local_file", "online_document", "website_crawl", "online_drive"]
"""Where the documents of a pipeline come from."""


class PipelineFile(Model):
    """A file that Dify has taken for a pipeline."""

    id: str
    """The `reference` of a `LocalFileInfo`."""
    name: Text = ""
    size: Count = 0
    """Bytes."""
    extension: Text = ""
    mime_type: Text = ""
    created_by: str | None = None
    created_at: str | None = None
    """Date and time, in ISO 8601."""


class DatasourceCredential(Model):
    """A credential that the workspace has for a datasource."""

    id: str
    name: Text = ""
    type: str | None = None
    is_default: bool | None = None


class DatasourcePlugin(Model):
    """A node by which documents come into a pipeline."""

    node_id: Text = ""
    plugin_id: str | None = None
    provider_name: str | None = None
    datasource_type: DatasourceType | str = ""
    title: Text = ""
    user_input_variables: Many[dict[str, JsonValue]] = []
    credentials: Many[DatasourceCredential] = []


class LocalFileInfo(TypedDict):
    """A file to take, which was uploaded before (`pipeline.upload_file`). `name` becomes the document's."""

    reference: str
    name: NotRequired[str]


class OnlineDocumentPage(TypedDict):
    """A page of an online document."""

    page_id: str
    type: str
    page_name: NotRequired[str]


class OnlineDocumentInfo(TypedDict):
    """An online document to take. Without `credential_id`, it is fetched by the default one."""

    workspace_id: str
    page: OnlineDocumentPage
    credential_id: NotRequired[str]


class WebsiteCrawlInfo(TypedDict):
    """A web page to take. `title` becomes the document's name."""

    url: str
    title: NotRequired[str]


class OnlineDriveInfo(TypedDict):
    """A file, or a folder with all that is in it, to take from an online drive."""

    id: str
    type: Literal["file", "folder"]
    bucket: NotRequired[str]
    name: NotRequired[str]


DatasourceInfo = LocalFileInfo | OnlineDocumentInfo | WebsiteCrawlInfo | OnlineDriveInfo
"""What a run shall take: of the kind that its `datasource_type` says."""


class PipelineRun(Model):
    """A run of a pipeline: of a published one, what it began; of a draft, what came of it."""

    batch: str | None = None
    """Published: what `documents.wait` takes."""
    dataset: dict[str, JsonValue] | None = None
    documents: Many[Document] = []
    """Published: the documents that are being made."""
    task_id: str | None = None
    workflow_run_id: str | None = None
    data: dict[str, JsonValue] | None = None
    """Draft: `status`, `outputs` and `error` of the run."""


class DatasourceProcessingEvent(Event):
    """How far the datasource is."""

    event: Literal["datasource_processing"]
    total: int | None = None
    completed: int | None = None


class DatasourceCompletedEvent(Event):
    """What the datasource brings, or a part of it: its pages, its files, or what it has crawled."""

    event: Literal["datasource_completed"]
    data: dict[str, JsonValue] | list[JsonValue]
    total: int | None = None
    completed: int | None = None
    time_consuming: float | None = None
    """Seconds."""


_Datasource = (
    Annotated[DatasourceProcessingEvent, Tag("datasource_processing")]
    | Annotated[DatasourceCompletedEvent, Tag("datasource_completed")]
    | Annotated[PingEvent, Tag("ping")]
    | Annotated[OtherEvent, Tag("other")]
)
_WithError = _Datasource | Annotated[ErrorEvent, Tag("error")]

DatasourceEvent = Annotated[_Datasource, by_name(_Datasource)]
"""What a datasource node sends. Its `datasource_error` is raised."""


def _error_as_elsewhere(value: Any) -> Any:  # Any: what pydantic gives and takes here
    """A datasource's failure is told in words of its own, and without a status."""
    if not is_object(value) or value.get("event") != "datasource_error":
        return value
    return {"event": "error", "status": 500, "code": "datasource_error", "message": value.get("error") or ""}


DATASOURCE_EVENTS: TypeAdapter[_Datasource | ErrorEvent] = TypeAdapter(
    Annotated[_WithError, by_name(_WithError), BeforeValidator(_error_as_elsewhere)], config=EVENT_CONFIG
)
