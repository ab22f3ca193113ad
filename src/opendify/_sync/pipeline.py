# Made from _async/pipeline.py by scripts/unasync.py: edit that file, not this one.
"""Knowledge pipelines (Dify 1.16): workflows that make documents out of files, pages, drives and the web."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from .._call import EventsCall, Form, Progress, given, path, read_as
from .._datasource import DatasourceCourse, DatasourceFold
from .._fold import WorkflowCourse, WorkflowFold
from .._page import Listing, read_page, whole
from ..types.events import WORKFLOW_EVENTS, WorkflowEvent
from ..types.pipeline import (
    DATASOURCE_EVENTS,
    DatasourceEvent,
    DatasourceInfo,
    DatasourcePlugin,
    DatasourceType,
    PipelineFile,
    PipelineRun,
)
from ..types.workflow import WorkflowReply
from ._pages import Pages
from ._resource import Resource
from ._stream import Stream
from ._upload import FileContent, file_part

__all__ = ["Pipeline"]

_Found = list[JsonValue]

_file = read_as(PipelineFile)
_plugins = read_page(DatasourcePlugin)
_run = read_as(PipelineRun)

_RUN = "/datasets/{}/pipeline/run"


class Pipeline(Resource):
    """The knowledge pipelines of datasets that have one (`runtime_mode` is "rag_pipeline").

    All of it is for Dify 1.16; an older one answers with `NotFoundError`.
    """

    def upload_file(
        self,
        file: FileContent,
        *,
        name: str | None = None,
        mime_type: str | None = None,
        on_progress: Progress | None = None,
    ) -> PipelineFile:
        """Hand a file to Dify, for a run with the datasource type "local_file".

        Parameters and errors are those of `Dify.files.upload`.
        """
        part = file_part(file, name, mime_type, on_progress)
        return self._send("POST", "/datasets/pipeline/file-upload", _file, form=Form({}, part))

    def datasource_plugins(self, dataset_id: str, *, is_published: bool = True) -> Pages[DatasourcePlugin]:
        """The nodes by which documents come into a pipeline, of the published version or of the draft.

        Their `node_id` is the `start_node_id` of a run. Raises `NotFoundError`.
        """
        # Dify takes every text for true, "false" too; an empty one is none.
        query = {"is_published": "true" if is_published else ""}
        return self._caller.pages(
            Listing(path("/datasets/{}/pipeline/datasource-plugins", dataset_id), query, _plugins, whole)
        )

    def run_datasource_node(
        self,
        dataset_id: str,
        node_id: str,
        *,
        datasource_type: DatasourceType,
        inputs: Mapping[str, Any] | None = None,
        credential_id: str | None = None,
        is_published: bool = True,
    ) -> Stream[DatasourceEvent, _Found]:
        """Ask a datasource what it has: its pages, its files, what it crawls. Nothing is indexed yet.

        `inputs`: for the node's `user_input_variables`. `credential_id`: one of its `credentials`. The
        stream may bring several `datasource_completed`, each with a part of `data`; its `reply()` is all of
        them in one list.

        Raises, on entering the stream: `NotFoundError`, `BadRequestError`; while it is read: `ServerError`
        with the code "datasource_error" where the datasource fails.
        """
        return self._caller.stream(
            EventsCall(
                "POST",
                path("/datasets/{}/pipeline/datasource/nodes/{}/run", dataset_id, node_id),
                json=given(
                    inputs=inputs or {},
                    datasource_type=datasource_type,
                    credential_id=credential_id,
                    is_published=is_published,
                ),
                events=DATASOURCE_EVENTS,
                course=DatasourceCourse,
                fold=DatasourceFold,
            )
        )

    def run(
        self,
        dataset_id: str,
        *,
        start_node_id: str,
        datasource_type: DatasourceType,
        datasource_info_list: Sequence[DatasourceInfo],
        inputs: Mapping[str, Any] | None = None,
        is_published: bool = True,
    ) -> PipelineRun:
        """Make documents out of what a datasource has.

        A published pipeline only begins: `documents.wait` waits for the `batch` that it gives. A draft
        (`is_published=False`) is run on the first item, for a trial, and its outcome is in `data`.
        `start_node_id`: a `node_id` of `datasource_plugins`. `inputs`: values for the pipeline's inputs.

        Raises `NotFoundError`, and `ServerError` with the code "pipeline_run_error" whatever is wrong.
        """
        return self._send(
            "POST",
            path(_RUN, dataset_id),
            _run,
            json=_asked(
                inputs, datasource_type, datasource_info_list, start_node_id, is_published, "blocking"
            ),
        )

    def stream(
        self,
        dataset_id: str,
        *,
        start_node_id: str,
        datasource_type: DatasourceType,
        datasource_info_list: Sequence[DatasourceInfo],
        inputs: Mapping[str, Any] | None = None,
        is_published: bool = False,
    ) -> Stream[WorkflowEvent, WorkflowReply]:
        """Run the draft of a pipeline, and follow it as a workflow. Parameters and errors are those of `run`.

        A published pipeline has nothing to follow: Dify answers as to `run`, which raises `ResponseError`.
        """
        return self._caller.stream(
            EventsCall(
                "POST",
                path(_RUN, dataset_id),
                json=_asked(
                    inputs, datasource_type, datasource_info_list, start_node_id, is_published, "streaming"
                ),
                events=WORKFLOW_EVENTS,
                course=WorkflowCourse,
                fold=WorkflowFold,
            )
        )


def _asked(
    inputs: Mapping[str, Any] | None,
    datasource_type: DatasourceType,
    datasource_info_list: Sequence[DatasourceInfo],
    start_node_id: str,
    is_published: bool,
    response_mode: str,
) -> dict[str, object]:
    return {
        "inputs": inputs or {},
        "datasource_type": datasource_type,
        "datasource_info_list": datasource_info_list,
        "start_node_id": start_node_id,
        "is_published": is_published,
        "response_mode": response_mode,
    }
