"""The SDK keeps the knowledge of a whole Dify, a simulated one of either version, and all of it is kept."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from opendify import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    IndexingFailedError,
    IndexingTimeoutError,
    Knowledge,
    MethodNotAllowedError,
    NotFoundError,
    ServerError,
)
from opendify.simulator import Simulator

from ..conftest import Connect

HOLIDAYS = "Everybody has 30 days of holidays.\n\nGhosts work at night.\n\nTrains are paid for."
HIERARCHICAL: dict[str, Any] = {
    "mode": "hierarchical",
    "rules": {
        "pre_processing_rules": [],
        "segmentation": {"separator": "\n\n", "max_tokens": 100},
        "parent_mode": "paragraph",
        "subchunk_segmentation": {"separator": ". ", "max_tokens": 50},
    },
}
PARAGRAPHS: dict[str, Any] = {
    "mode": "custom",
    "rules": {"pre_processing_rules": [], "segmentation": {"separator": "\n\n", "max_tokens": 100}},
}
WORDS: dict[str, Any] = {"search_method": "full_text_search", "top_k": 2}


@pytest.fixture(params=["1.12", "1.16"])
def version(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
async def simulated(version: Any) -> AsyncIterator[Simulator]:
    async with Simulator([], behaviour=version, indexing_seconds=0.02) as dify:
        yield dify


@pytest.fixture
def knowledge(connect: Connect, simulated: Simulator) -> Any:
    return connect(simulated.url, kind=Knowledge, api_key=simulated.dataset_key)


async def handbook(knowledge: Any, text: str = HOLIDAYS, **settings: Any) -> tuple[str, str]:
    """A dataset with one document, indexed: the ids of both."""
    dataset = await knowledge.datasets.create(name="Handbook")
    settings = {"process_rule": PARAGRAPHS} | settings
    taken = await knowledge.documents.create_by_text(dataset.id, name="holidays.md", text=text, **settings)
    await knowledge.documents.wait(dataset.id, taken.batch, timeout=30)
    return dataset.id, taken.document.id


async def test_a_dataset_is_made_filled_searched_changed_and_deleted(knowledge: Any) -> None:
    dataset_id, document_id = await handbook(knowledge)
    found = await knowledge.datasets.retrieve(dataset_id, query="paid trains", retrieval_model=WORDS)
    assert found.records[0].segment.content == "Trains are paid for."
    assert found.records[0].segment.document.id == document_id
    assert 0 < found.records[0].score <= 1

    dataset = await knowledge.datasets.update(dataset_id, name="Rules", retrieval_model=WORDS)
    assert (dataset.name, dataset.retrieval_model_dict.top_k) == ("Rules", 2)
    dataset = await knowledge.datasets.get(dataset_id)
    assert (dataset.document_count, dataset.indexing_technique) == (1, "high_quality")
    with pytest.raises(ConflictError):
        await knowledge.datasets.create(name="Rules")
    assert [one.id async for one in knowledge.datasets.list(keyword="ule")] == [dataset_id]
    assert [one.id async for one in knowledge.datasets.list(keyword="nothing")] == []

    assert await knowledge.documents.delete(dataset_id, document_id) is None
    assert (await knowledge.datasets.retrieve(dataset_id, query="trains")).records == []
    assert await knowledge.datasets.delete(dataset_id) is None
    for gone in (knowledge.datasets.get, knowledge.datasets.delete):
        with pytest.raises(NotFoundError):
            await gone(dataset_id)


async def test_a_file_is_put_in_and_looked_after(knowledge: Any, tmp_path: Path) -> None:
    dataset_id, _ = await handbook(knowledge)
    file = tmp_path / "travel.md"
    file.write_text("# Travel\n\nFlights need a reason.")
    seen: list[str] = []
    taken = await knowledge.documents.create_by_file(dataset_id, file)
    await knowledge.documents.wait(
        dataset_id, taken.batch, timeout=30, on_progress=lambda told: seen.append(told[0].indexing_status)
    )
    assert seen[-1] == "completed"
    listed = [document async for document in knowledge.documents.list(dataset_id, limit=1)]
    assert [document.name for document in listed] == ["travel.md", "holidays.md"]
    document = await knowledge.documents.get(dataset_id, taken.document.id)
    assert (document.display_status, document.segment_count > 0) == ("available", True)

    for action, status in (("disable", "disabled"), ("enable", "available"), ("archive", "archived")):
        await knowledge.documents.set_status(dataset_id, action, document_ids=[document.id])
        (told,) = [one async for one in knowledge.documents.list(dataset_id, status=status, keyword="travel")]
        assert told.id == document.id
        found = await knowledge.datasets.retrieve(dataset_id, query="flights", retrieval_model=WORDS)
        assert bool(found.records) == (action == "enable")
    with pytest.raises(APIStatusError) as caught:
        await knowledge.documents.delete(dataset_id, document.id)
    assert caught.value.status in (400, 403)
    await knowledge.documents.set_status(dataset_id, "un_archive", document_ids=[document.id])
    await knowledge.documents.delete(dataset_id, document.id)


async def test_a_file_that_dify_does_not_index_is_refused_with_its_name(knowledge: Any) -> None:
    dataset_id, _ = await handbook(knowledge)
    with pytest.raises(APIStatusError) as caught:
        await knowledge.documents.create_by_file(dataset_id, b"MZ\0", name="prog.exe")
    assert caught.value.status in (400, 415)
    assert caught.value.status == 415 or "prog.exe" in str(caught.value)


async def test_a_document_that_cannot_be_cut_fails_with_difys_reason(knowledge: Any) -> None:
    rule = {"mode": "custom", "rules": {"segmentation": {"separator": "\n", "max_tokens": 5}}}
    with pytest.raises(IndexingFailedError, match="between 50 and 4000") as caught:
        await handbook(knowledge, process_rule=rule)
    assert [document.indexing_status for document in caught.value.documents] == ["error"]


async def test_many_documents_are_listed_page_by_page(knowledge: Any) -> None:
    dataset = await knowledge.datasets.create(name="Many", indexing_technique="economy")
    for number in range(5):
        await knowledge.documents.create_by_text(
            dataset.id, name=f"{number}.txt", text=f"Number {number}.", indexing_technique="economy"
        )
    listed = knowledge.documents.list(dataset.id, limit=2)
    assert [document.name async for document in listed] == [f"{number}.txt" for number in (4, 3, 2, 1, 0)]
    assert [len(page.data) async for page in listed.pages()] == [2, 2, 1]
    first = await listed.first()
    assert (first.total, first.has_more, first.page) == (5, True, 1)


async def test_segments_are_read_written_and_found(knowledge: Any) -> None:
    ids = await handbook(knowledge)
    segments = [segment async for segment in knowledge.segments.list(*ids, limit=2)]
    assert [segment.content for segment in segments] == HOLIDAYS.split("\n\n")
    assert [s.id async for s in knowledge.segments.list(*ids, keyword="Ghosts")] == [segments[1].id]

    (new,) = await knowledge.segments.create(*ids, segments=[{"content": "Taxis are paid for at night."}])
    assert new.position == 4
    changed = await knowledge.segments.update(*ids, new.id, content="Bicycles are paid for at night.")
    assert (await knowledge.segments.get(*ids, new.id)).content == changed.content
    found = await knowledge.datasets.retrieve(ids[0], query="bicycles", retrieval_model=WORDS)
    assert [record.segment.id for record in found.records] == [new.id]
    await knowledge.segments.update(*ids, new.id, enabled=False)
    assert not (await knowledge.datasets.retrieve(ids[0], query="bicycles", retrieval_model=WORDS)).records
    await knowledge.segments.delete(*ids, new.id)
    with pytest.raises(NotFoundError):
        await knowledge.segments.get(*ids, new.id)
    with pytest.raises(BadRequestError):
        await knowledge.segments.create(*ids, segments=[{"content": ""}])


async def test_child_chunks_lead_to_their_segments(knowledge: Any) -> None:
    dataset_id, document_id = await handbook(
        knowledge,
        "Parent one. Child a.\n\nParent two. Child b.",
        process_rule=HIERARCHICAL,
        doc_form="hierarchical_model",
    )
    first, _ = [segment async for segment in knowledge.segments.list(dataset_id, document_id)]
    ids = (dataset_id, document_id, first.id)
    chunks = [chunk async for chunk in knowledge.child_chunks.list(*ids, limit=1)]
    assert [chunk.id for chunk in chunks] == [chunk.id for chunk in first.child_chunks]
    assert len(chunks) == 2

    new = await knowledge.child_chunks.create(*ids, content="zebra")
    assert (new.type, new.position) == ("customized", 3)
    changed = await knowledge.child_chunks.update(*ids, new.id, content="giraffe")
    assert changed.content == "giraffe"
    found = await knowledge.datasets.retrieve(dataset_id, query="giraffe")
    assert found.records[0].segment.id == first.id
    assert found.records[0].child_chunks[0].id == new.id
    await knowledge.child_chunks.delete(*ids, new.id)
    assert len([chunk async for chunk in knowledge.child_chunks.list(*ids)]) == 2


async def test_metadata_is_written_to_documents_and_narrows_a_search(knowledge: Any) -> None:
    dataset_id, document_id = await handbook(knowledge)
    author = await knowledge.metadata.create(dataset_id, name="author", type="string")
    year = await knowledge.metadata.create(dataset_id, name="year", type="number")
    with pytest.raises(BadRequestError):
        await knowledge.metadata.create(dataset_id, name="author", type="string")
    author = await knowledge.metadata.update(dataset_id, author.id, name="writer")
    values = [
        {"id": author.id, "name": "writer", "value": "Ada"},
        {"id": year.id, "name": "year", "value": 1843},
    ]
    await knowledge.metadata.update_documents(
        dataset_id, operation_data=[{"document_id": document_id, "metadata_list": values}]
    )
    told = await knowledge.documents.get(dataset_id, document_id, metadata="only")
    assert {field.name: field.value for field in told.doc_metadata} == {"writer": "Ada", "year": 1843}
    assert told.name == ""

    async def found(name: str, operator: str, value: Any) -> int:
        conditions = [{"name": name, "comparison_operator": operator, "value": value}]
        model = WORDS | {"metadata_filtering_conditions": {"conditions": conditions}}
        retrieved = await knowledge.datasets.retrieve(dataset_id, query="trains", retrieval_model=model)
        return len(retrieved.records)

    assert await found("writer", "is", "Ada") == await found("year", "<", 1900) == 1
    assert await found("writer", "is", "Grace") == await found("year", ">", 1900) == 0

    assert [(f.name, f.type, f.count) async for f in knowledge.metadata.list(dataset_id)] == [
        ("writer", "string", 1),
        ("year", "number", 1),
    ]
    assert "document_name" in [field.name async for field in knowledge.metadata.built_in(dataset_id)]
    await knowledge.metadata.enable_built_in(dataset_id)
    assert (await knowledge.datasets.get(dataset_id)).built_in_field_enabled
    await knowledge.metadata.disable_built_in(dataset_id)
    await knowledge.metadata.delete(dataset_id, year.id)
    assert [field.name async for field in knowledge.metadata.list(dataset_id)] == ["writer"]


async def test_tags_are_put_on_datasets_and_taken_off(knowledge: Any, version: str) -> None:
    dataset_id, _ = await handbook(knowledge)
    if version == "1.12":
        with pytest.raises(BadRequestError, match="tag is made"):
            await knowledge.tags.create(name="rules")
        with pytest.raises(BadRequestError, match="cannot list"):
            await knowledge.tags.list().first()
        with pytest.raises(BadRequestError):
            await knowledge.datasets.list(tag_ids=["a"]).first()
        return
    tag = await knowledge.tags.create(name="rules")
    await knowledge.tags.bind(dataset_id, tag_ids=[tag.id])
    assert [(one.name, one.binding_count) async for one in knowledge.tags.list()] == [("rules", 1)]
    assert [one.name async for one in knowledge.tags.of_dataset(dataset_id)] == ["rules"]
    assert [one.id async for one in knowledge.datasets.list(tag_ids=[tag.id])] == [dataset_id]
    assert (await knowledge.tags.update(tag.id, name="law")).name == "law"
    await knowledge.tags.unbind(dataset_id, tag_ids=[tag.id])
    assert [one async for one in knowledge.tags.of_dataset(dataset_id)] == []
    await knowledge.tags.delete(tag.id)
    assert [one async for one in knowledge.tags.list()] == []
    with pytest.raises(NotFoundError):
        await knowledge.tags.update(tag.id, name="law")


async def test_a_new_text_comes_in_place_of_the_old_one_but_on_dify_1_12(
    knowledge: Any, version: str
) -> None:
    ids = await handbook(knowledge)
    taken = await knowledge.documents.update_by_text(*ids, name="new.md", text="Zebras are paid for.")
    if version == "1.12":
        with pytest.raises(IndexingTimeoutError, match="delete it"):
            await knowledge.documents.wait(ids[0], taken.batch, timeout=0.3)
        return
    await knowledge.documents.wait(ids[0], taken.batch, timeout=30)
    assert [s.content async for s in knowledge.segments.list(*ids)] == ["Zebras are paid for."]
    assert (await knowledge.documents.get(*ids)).name == "new.md"


async def test_files_of_documents_are_changed_and_brought_back_on_dify_1_16(
    knowledge: Any, version: str, tmp_path: Path
) -> None:
    ids = await handbook(knowledge)
    if version == "1.12":
        with pytest.raises(MethodNotAllowedError):
            await knowledge.documents.update(*ids, b"Zebras.", name="zebras.txt")
        for old in (
            knowledge.documents.download(*ids),
            knowledge.documents.download_zip(ids[0], document_ids=ids[1:]),
        ):
            with pytest.raises((NotFoundError, MethodNotAllowedError)):
                await old.read()
        return
    taken = await knowledge.documents.update(*ids, b"Zebras.", name="zebras.txt")
    await knowledge.documents.wait(ids[0], taken.batch, timeout=30)
    assert (await knowledge.documents.get(*ids)).name == "zebras.txt"
    saved = await knowledge.documents.download(*ids).save(tmp_path / "zebras.txt")
    assert saved.read_bytes() == b"Zebras."
    assert (await knowledge.documents.download_url(*ids)).startswith(("/", "http"))
    packed = await knowledge.documents.download_zip(ids[0], document_ids=[ids[1]]).read()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert [archive.read(name) for name in archive.namelist()] == [b"Zebras."]


async def test_models_are_listed_by_type_and_an_empty_workspace_has_none(
    connect: Connect, simulated: Simulator, knowledge: Any
) -> None:
    providers = [provider async for provider in knowledge.models.list("text-embedding")]
    assert all(model.model_type == "text-embedding" for provider in providers for model in provider.models)
    assert providers
    with pytest.raises(BadRequestError):
        await knowledge.models.list("nonsense").first()
    empty = connect(simulated.url, kind=Knowledge, api_key=simulated.empty_dataset_key)
    assert [provider async for provider in empty.models.list("llm")] == []
    with pytest.raises(BadRequestError, match="text-embedding"):
        await empty.datasets.create(name="Handbook", indexing_technique="high_quality")
    dataset = await empty.datasets.create(name="Handbook", indexing_technique="economy")
    taken = await empty.documents.create_by_text(dataset.id, name="a.md", text="Zebras.")
    await empty.documents.wait(dataset.id, taken.batch, timeout=30)
    found = await empty.datasets.retrieve(
        dataset.id, query="zebras", retrieval_model={"search_method": "keyword_search"}
    )
    assert [record.segment.content for record in found.records] == ["Zebras."]


async def test_a_key_opens_its_own_kind_of_operations_alone(connect: Connect, simulated: Simulator) -> None:
    for key in ("app-sim-chat", "dataset-none"):
        with pytest.raises(AuthenticationError):
            await connect(simulated.url, kind=Knowledge, api_key=key).datasets.list().first()


async def test_many_batches_are_waited_for_at_once(
    connect: Connect, simulated: Simulator, knowledge: Any
) -> None:
    dataset = await knowledge.datasets.create(name="Many")

    async def add(number: int) -> int:
        taken = await knowledge.documents.create_by_text(
            dataset.id, name=f"{number}.txt", text=f"Number {number}."
        )
        (document,) = await knowledge.documents.wait(dataset.id, taken.batch, timeout=60)
        return document.completed_segments

    assert await asyncio.gather(*(add(number) for number in range(8))) == [1] * 8


async def test_a_pipeline_makes_documents_of_files_and_tells_what_its_datasources_have(
    knowledge: Any, version: str
) -> None:
    dataset = await knowledge.datasets.create(name="Piped", description="[[pipeline]]")
    if version == "1.12":
        with pytest.raises(NotFoundError):
            await knowledge.pipeline.datasource_plugins(dataset.id).first()
        return
    nodes = {
        node.datasource_type: node.node_id async for node in knowledge.pipeline.datasource_plugins(dataset.id)
    }
    uploaded = await knowledge.pipeline.upload_file(b"Zebras are striped.", name="zebras.txt")
    run: dict[str, Any] = {
        "start_node_id": nodes["local_file"],
        "datasource_type": "local_file",
        "datasource_info_list": [{"reference": uploaded.id, "name": uploaded.name}],
    }
    async with knowledge.pipeline.stream(dataset.id, **run) as events:
        assert (await events.reply()).status == "succeeded"
    assert (await knowledge.pipeline.run(dataset.id, **run, is_published=False)).data["status"] == "succeeded"
    assert [one async for one in knowledge.documents.list(dataset.id)] == []

    begun = await knowledge.pipeline.run(dataset.id, **run)
    (done,) = await knowledge.documents.wait(dataset.id, begun.batch, timeout=30)
    assert done.id == begun.documents[0].id
    found = await knowledge.datasets.retrieve(dataset.id, query="zebras", retrieval_model=WORDS)
    assert found.records[0].segment.content == "Zebras are striped."
    with pytest.raises(ServerError, match="pipeline_run_error"):
        await knowledge.pipeline.run(dataset.id, **{**run, "start_node_id": "none"})

    crawl: dict[str, Any] = {"datasource_type": "website_crawl"}
    async with knowledge.pipeline.run_datasource_node(
        dataset.id, nodes["website_crawl"], inputs={"url": "https://x.example"}, **crawl
    ) as events:
        assert [page["source_url"] for page in await events.reply()] == ["https://x.example"]
    with pytest.raises(ServerError, match="datasource_error"):
        async with knowledge.pipeline.run_datasource_node(dataset.id, "none", **crawl) as events:
            await events.reply()
