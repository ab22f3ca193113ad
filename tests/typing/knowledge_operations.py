"""What the operations of the knowledge take and give, as type checkers see it. It is not meant to be run."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from pydantic import JsonValue

from opendify import (
    AsyncDownload,
    AsyncKnowledge,
    AsyncPages,
    AsyncStream,
    Download,
    Knowledge,
    Page,
    Pages,
    Stream,
)
from opendify.types import (
    ChildChunk,
    Dataset,
    DatasourceCompletedEvent,
    DatasourceEvent,
    DatasourcePlugin,
    Document,
    DocumentBatch,
    DocumentDetail,
    IndexingStatus,
    MetadataField,
    MetadataValue,
    ModelProvider,
    PipelineFile,
    PipelineRun,
    ProcessRule,
    Retrieval,
    RetrievalModel,
    RetrievalRecord,
    RetrievalSettings,
    RetrievedDocument,
    Segment,
    Tag,
    WorkflowEvent,
    WorkflowReply,
)

HIERARCHICAL: ProcessRule = {
    "mode": "hierarchical",
    "rules": {
        "pre_processing_rules": [{"id": "remove_extra_spaces", "enabled": True}],
        "segmentation": {"separator": "\n\n", "max_tokens": 500},
        "parent_mode": "paragraph",
        "subchunk_segmentation": {"separator": "\n", "max_tokens": 100},
    },
}
MODEL: RetrievalModel = {
    "search_method": "hybrid_search",
    "reranking_model": {"reranking_provider_name": "p", "reranking_model_name": "m"},
    "metadata_filtering_conditions": {
        "logical_operator": "or",
        "conditions": [
            {"name": "year", "comparison_operator": "≥", "value": 1843},
            {"name": "author", "comparison_operator": "not empty"},
        ],
    },
}
NO_METHOD: RetrievalModel = {"top_k": 3}  # type: ignore[typeddict-item]  # pyright: ignore[reportAssignmentType]
NO_SUCH_METHOD: RetrievalModel = {"search_method": "guessing"}  # type: ignore[typeddict-item]  # pyright: ignore[reportAssignmentType]


async def datasets_and_what_is_found(knowledge: AsyncKnowledge) -> None:
    assert_type(knowledge.datasets.list(tag_ids=["t"]), AsyncPages[Dataset])
    dataset = await knowledge.datasets.create(name="d", indexing_technique="economy", retrieval_model=MODEL)
    assert_type(dataset, Dataset)
    assert_type(dataset.retrieval_model_dict, RetrievalSettings | None)
    assert_type(dataset.tags, list[Tag])
    assert_type(await knowledge.datasets.get("d"), Dataset)
    assert_type(await knowledge.datasets.update("d", partial_member_list=[{"user_id": "u"}]), Dataset)
    assert_type(await knowledge.datasets.delete("d"), None)
    found = await knowledge.datasets.retrieve("d", query="q", retrieval_model=MODEL)
    assert_type(found, Retrieval)
    assert_type(found.records, list[RetrievalRecord])
    assert_type(found.records[0].segment.document, RetrievedDocument | None)
    await knowledge.datasets.create(name="d", indexing_technique="cheap")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def documents_and_how_they_are_waited_for(knowledge: AsyncKnowledge, file: Path) -> None:
    assert_type(knowledge.documents.list("d", status="available"), AsyncPages[Document])
    taken = await knowledge.documents.create_by_file("d", file, process_rule=HIERARCHICAL)
    assert_type(taken, DocumentBatch)
    assert_type(taken.document, Document)
    assert_type(await knowledge.documents.create_by_text("d", name="n", text="t"), DocumentBatch)
    assert_type(await knowledge.documents.update("d", "1", b"new"), DocumentBatch)
    assert_type(await knowledge.documents.wait("d", taken.batch, on_progress=print), list[IndexingStatus])
    assert_type(await knowledge.documents.indexing_status("d", taken.batch), list[IndexingStatus])
    detail = await knowledge.documents.get("d", "1", metadata="only")
    assert_type(detail, DocumentDetail)
    assert_type(detail.doc_metadata, list[MetadataValue])
    assert_type(detail.doc_metadata[0].value, JsonValue)
    assert_type(await knowledge.documents.set_status("d", "un_archive", document_ids=["1"]), None)
    assert_type(knowledge.documents.download("d", "1"), AsyncDownload)
    assert_type(knowledge.documents.download_zip("d", document_ids=["1"]), AsyncDownload)
    assert_type(await knowledge.documents.download_url("d", "1"), str)
    await knowledge.documents.set_status("d", "burn", document_ids=["1"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def what_is_in_them(knowledge: AsyncKnowledge) -> None:
    assert_type(knowledge.segments.list("d", "1"), AsyncPages[Segment])
    assert_type(await knowledge.segments.create("d", "1", segments=[{"content": "c"}]), list[Segment])
    assert_type(await knowledge.segments.update("d", "1", "s", enabled=False), Segment)
    assert_type((await knowledge.segments.get("d", "1", "s")).child_chunks, list[ChildChunk])
    assert_type(knowledge.child_chunks.list("d", "1", "s"), AsyncPages[ChildChunk])
    assert_type(await knowledge.child_chunks.create("d", "1", "s", content="c"), ChildChunk)
    assert_type(knowledge.tags.list(), AsyncPages[Tag])
    assert_type(knowledge.tags.of_dataset("d"), AsyncPages[Tag])
    assert_type(knowledge.metadata.list("d"), AsyncPages[MetadataField])
    assert_type(knowledge.metadata.built_in("d"), AsyncPages[MetadataField])
    assert_type(await knowledge.metadata.create("d", name="n", type="time"), MetadataField)
    assert_type(knowledge.models.list("rerank"), AsyncPages[ModelProvider])
    await knowledge.segments.create("d", "1", segments=[{"answer": "a"}])  # type: ignore[typeddict-item]  # pyright: ignore[reportArgumentType]


async def what_changes_or_deletes_them(knowledge: AsyncKnowledge, file: Path) -> None:
    assert_type(await knowledge.documents.update_by_text("d", "o", name="n", text="t"), DocumentBatch)
    assert_type(await knowledge.documents.update_by_file("d", "o", file), DocumentBatch)
    assert_type(await knowledge.documents.delete("d", "o"), None)
    assert_type(await knowledge.segments.delete("d", "o", "s"), None)
    assert_type(await knowledge.child_chunks.update("d", "o", "s", "c", content="c"), ChildChunk)
    assert_type(await knowledge.child_chunks.delete("d", "o", "s", "c"), None)
    assert_type(await knowledge.metadata.update("d", "m", name="n"), MetadataField)
    assert_type(await knowledge.metadata.delete("d", "m"), None)
    assert_type(await knowledge.metadata.enable_built_in("d"), None)
    assert_type(await knowledge.metadata.disable_built_in("d"), None)
    assert_type(await knowledge.metadata.update_documents("d", operation_data=[]), None)
    assert_type(await knowledge.tags.create(name="n"), Tag)
    assert_type(await knowledge.tags.update("t", name="n"), Tag)
    assert_type(await knowledge.tags.delete("t"), None)
    assert_type(await knowledge.tags.bind("d", tag_ids=["t"]), None)
    assert_type(await knowledge.tags.unbind("d", tag_ids=["t"]), None)


async def pipelines(knowledge: AsyncKnowledge, file: Path) -> None:
    assert_type(knowledge.pipeline.datasource_plugins("d"), AsyncPages[DatasourcePlugin])
    assert_type(await knowledge.pipeline.upload_file(file), PipelineFile)
    node = knowledge.pipeline.run_datasource_node("d", "n", datasource_type="online_drive")
    assert_type(node, AsyncStream[DatasourceEvent, list[JsonValue]])
    async with node as events:
        async for event in events:
            if event.event == "datasource_completed":
                assert_type(event, DatasourceCompletedEvent)
        assert_type(await events.reply(), list[JsonValue])
    run = await knowledge.pipeline.run(
        "d", start_node_id="n", datasource_type="local_file", datasource_info_list=[{"reference": "f"}]
    )
    assert_type(run, PipelineRun)
    stream = knowledge.pipeline.stream(
        "d", start_node_id="n", datasource_type="website_crawl", datasource_info_list=[{"url": "u"}]
    )
    assert_type(stream, AsyncStream[WorkflowEvent, WorkflowReply])


def the_same_without_await(knowledge: Knowledge, file: Path) -> None:
    assert_type(knowledge.datasets.list(), Pages[Dataset])
    assert_type(knowledge.datasets.list().first(), Page[Dataset])
    assert_type(knowledge.datasets.retrieve("d", query="q"), Retrieval)
    assert_type(knowledge.documents.create_by_file("d", file), DocumentBatch)
    assert_type(knowledge.documents.wait("d", "b"), list[IndexingStatus])
    assert_type(knowledge.documents.download("d", "1"), Download)
    assert_type(knowledge.segments.create("d", "1", segments=[]), list[Segment])
    assert_type([tag.binding_count for tag in knowledge.tags.list()], list[int | None])
    node = knowledge.pipeline.run_datasource_node("d", "n", datasource_type="online_drive")
    assert_type(node, Stream[DatasourceEvent, list[JsonValue]])
    assert_type(
        knowledge.datasets.create(name="n", indexing_technique="economy", permission="only_me"), Dataset
    )
    assert_type(knowledge.datasets.get("d"), Dataset)
    assert_type(knowledge.datasets.update("d", name="n", partial_member_list=[{"user_id": "u"}]), Dataset)
    assert_type(knowledge.datasets.delete("d"), None)
    assert_type(knowledge.documents.list("d", status="available"), Pages[Document])
    assert_type(knowledge.documents.get("d", "o", metadata="only"), DocumentDetail)
    assert_type(knowledge.documents.create_by_text("d", name="n", text="t"), DocumentBatch)
    assert_type(knowledge.documents.update_by_text("d", "o", name="n", text="t"), DocumentBatch)
    assert_type(knowledge.documents.update_by_file("d", "o", file), DocumentBatch)
    assert_type(knowledge.documents.update("d", "o", file), DocumentBatch)
    assert_type(knowledge.documents.delete("d", "o"), None)
    assert_type(knowledge.documents.indexing_status("d", "b"), list[IndexingStatus])
    assert_type(knowledge.documents.set_status("d", "archive", document_ids=["o"]), None)
    assert_type(knowledge.documents.download_url("d", "o"), str)
    assert_type(knowledge.documents.download_zip("d", document_ids=["o"]), Download)
    assert_type(knowledge.segments.list("d", "o", status=["completed"]), Pages[Segment])
    assert_type(knowledge.segments.get("d", "o", "s"), Segment)
    assert_type(knowledge.segments.update("d", "o", "s", content="c"), Segment)
    assert_type(knowledge.segments.delete("d", "o", "s"), None)
    assert_type(knowledge.child_chunks.list("d", "o", "s"), Pages[ChildChunk])
    assert_type(knowledge.child_chunks.create("d", "o", "s", content="c"), ChildChunk)
    assert_type(knowledge.child_chunks.update("d", "o", "s", "c", content="c"), ChildChunk)
    assert_type(knowledge.child_chunks.delete("d", "o", "s", "c"), None)
    assert_type(knowledge.metadata.list("d"), Pages[MetadataField])
    assert_type(knowledge.metadata.create("d", type="time", name="n"), MetadataField)
    assert_type(knowledge.metadata.update("d", "m", name="n"), MetadataField)
    assert_type(knowledge.metadata.delete("d", "m"), None)
    assert_type(knowledge.metadata.built_in("d"), Pages[MetadataField])
    assert_type(knowledge.metadata.enable_built_in("d"), None)
    assert_type(knowledge.metadata.disable_built_in("d"), None)
    assert_type(knowledge.metadata.update_documents("d", operation_data=[]), None)
    assert_type(knowledge.tags.create(name="n"), Tag)
    assert_type(knowledge.tags.update("t", name="n"), Tag)
    assert_type(knowledge.tags.delete("t"), None)
    assert_type(knowledge.tags.bind("d", tag_ids=["t"]), None)
    assert_type(knowledge.tags.unbind("d", tag_ids=["t"]), None)
    assert_type(knowledge.tags.of_dataset("d"), Pages[Tag])
    assert_type(knowledge.models.list("text-embedding"), Pages[ModelProvider])
    assert_type(knowledge.pipeline.upload_file(file), PipelineFile)
    assert_type(knowledge.pipeline.datasource_plugins("d"), Pages[DatasourcePlugin])
    assert_type(
        knowledge.pipeline.run(
            "d", start_node_id="n", datasource_type="local_file", datasource_info_list=[{"reference": "f"}]
        ),
        PipelineRun,
    )
    assert_type(
        knowledge.pipeline.stream(
            "d", start_node_id="n", datasource_type="local_file", datasource_info_list=[{"reference": "f"}]
        ),
        Stream[WorkflowEvent, WorkflowReply],
    )
