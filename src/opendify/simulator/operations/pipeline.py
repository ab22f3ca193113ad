"""Knowledge pipelines (Dify 1.16): files for them, their datasources, and runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from opendify.simulator.errors import Refusal, invalid
from opendify.simulator.files import File
from opendify.simulator.knowledge.datasets import Dataset
from opendify.simulator.knowledge.documents import Document, Given, new_batch
from opendify.simulator.knowledge.payloads import DatasourceNodeRunPayload, PipelineRunApiEntity
from opendify.simulator.knowledge.pipelines import DATASOURCES, Trial, found, name_of, text_of_item
from opendify.simulator.knowledge.reading import text_of
from opendify.simulator.knowledge.rules import ProcessRule
from opendify.simulator.knowledge.splitting import Unsplittable, pieces
from opendify.simulator.knowledge.workspace import OWNER_ID, Workspace
from opendify.simulator.operations.files import sent_file
from opendify.simulator.operations.workspace import dataset_of, said
from opendify.simulator.payloads import parsed, validated
from opendify.simulator.service import Events, Reply, Request, Route, Service

_AUTOMATIC = ProcessRule(mode="automatic")


def upload_file(service: Service, request: Request) -> Reply:
    """POST /datasets/pipeline/file-upload."""
    service.workspace(request)
    part, name = sent_file(request)
    file = service.files.upload(name=name, mime_type=part.mime_type, content=part.content, user=OWNER_ID)
    created = datetime.fromtimestamp(file.created_at, UTC).replace(tzinfo=None)
    shown = {
        "id": file.id,
        "name": file.name,
        "size": len(file.content),
        "extension": file.extension,
        "mime_type": file.mime_type,
        "created_by": file.user,
        "created_at": created.isoformat(),
    }
    return said(shown, 201)


def datasource_plugins(service: Service, request: Request) -> Reply:
    """GET /datasets/{dataset_id}/pipeline/datasource-plugins. Draft and published pipeline are the same."""
    _piped(service, request)
    return said([datasource.json() for datasource in DATASOURCES])


def run_node(service: Service, request: Request) -> Events:
    """POST /datasets/{dataset_id}/pipeline/datasource/nodes/{node_id}/run."""
    _piped(service, request)
    given = validated(DatasourceNodeRunPayload, parsed(request.content_type, request.body))
    return Events(tuple(found(request.parameters["node_id"], given.datasource_type, given.inputs)))


def run(service: Service, request: Request) -> Reply | Events:
    """POST /datasets/{dataset_id}/pipeline/run.

    A published pipeline makes documents, and answers at once which, whatever the response mode. A draft is
    tried on the first item, and told of as a workflow.
    """
    workspace, dataset = _piped(service, request)
    given = validated(PipelineRunApiEntity, parsed(request.content_type, request.body))
    start = next((one for one in DATASOURCES if one.node_id == given.start_node_id), None)
    if start is None:
        raise _failed(f"Start node {given.start_node_id} not found.")
    if start.type != given.datasource_type:
        raise _failed(f"Node {start.node_id} is of the type {start.type}, not {given.datasource_type}.")
    if not given.datasource_info_list:
        raise _failed("datasource_info_list is empty.")
    if given.is_published:
        return _begun(service, workspace, dataset, given)
    info = given.datasource_info_list[0]
    file = _file(service, given, info)
    if file is None:
        raise _failed("Uploaded file not found.")
    text = text_of(file.content, file.extension)
    try:
        contents = [piece.content for piece in pieces(text, dataset.rule or _AUTOMATIC, "text_model")]
    except Unsplittable as error:
        raise _failed(str(error)) from error
    trial = Trial(dataset.id, start, info, given.inputs, contents)
    return Events(tuple(trial.events())) if given.response_mode == "streaming" else said(trial.json())


_PIPELINE = "/datasets/{dataset_id}/pipeline"

ROUTES = (
    Route("POST", "/datasets/pipeline/file-upload", upload_file, since="1.16"),
    Route("GET", f"{_PIPELINE}/datasource-plugins", datasource_plugins, since="1.16"),
    Route("POST", f"{_PIPELINE}/datasource/nodes/{{node_id}}/run", run_node, since="1.16"),
    Route("POST", f"{_PIPELINE}/run", run, since="1.16"),
)


def _piped(service: Service, request: Request) -> tuple[Workspace, Dataset]:
    workspace, dataset = dataset_of(service, request)
    if dataset.pipeline_id is None:
        raise invalid("Pipeline not found")
    return workspace, dataset


def _failed(message: str) -> Refusal:
    return Refusal(500, "pipeline_run_error", message)


def _file(service: Service, given: PipelineRunApiEntity, info: Mapping[str, object]) -> File | None:
    """What an item is: a file that was uploaded for the pipeline, or one that is made up."""
    name = name_of(given.datasource_type, info)
    if given.datasource_type != "local_file":
        return File("", name, "txt", "text/plain", text_of_item(given.datasource_type, info).encode())
    file = service.files.uploaded(str(info.get("reference") or info.get("related_id") or ""))
    return file and replace(file, name=name)


def _begun(service: Service, workspace: Workspace, dataset: Dataset, given: PipelineRunApiEntity) -> Reply:
    batch, rule = new_batch(), dataset.rule or _AUTOMATIC
    made: list[Document] = []
    for info in given.datasource_info_list:
        file = _file(service, given, info)
        missing = file is None
        file = file or File("", name_of(given.datasource_type, info), "", "")
        text = text_of(file.content, file.extension)
        about = Given(file, text, rule, "text_model", workspace.now, workspace.takes(text))
        document = Document(
            file.name, dataset.next_position(), about, batch, OWNER_ID, dataset.economy, "rag-pipeline"
        )
        document.source = (given.datasource_type, info)
        document.error = "Uploaded file not found." if missing else document.error
        dataset.documents.append(document)
        made.append(document)
    of = {"id": dataset.id, "name": dataset.name, "description": dataset.description}
    of["chunk_structure"] = "text_model"
    return said({"batch": batch, "dataset": of, "documents": [_shown(document) for document in made]})


def _shown(document: Document) -> dict[str, object]:
    kind, info = document.source or ("local_file", {})
    return {
        "id": document.id,
        "position": document.position,
        "data_source_type": kind,
        "data_source_info": dict(info),
        "name": document.name,
        "indexing_status": "waiting",
        "error": None,
        "enabled": document.enabled,
    }
