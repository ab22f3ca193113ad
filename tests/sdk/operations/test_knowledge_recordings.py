"""The SDK asks what a real Dify 1.12.1 was asked with a dataset key, and understands what it answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from opendify import APIStatusError, BadRequestError, IndexingTimeoutError, Knowledge

from ..conftest import Connect
from ..wire_server import WireServer
from .recorded import ERRORS, Exchange, asked, check_error, check_says, exchanges

EXCHANGES = exchanges(
    "child_chunks", "datasets", "documents", "metadata", "models", "pipeline", "segments", "tags"
)
FILES = {"txt": b"Opendify reads this sample document here.", "exe": b"MZ\x90\x00\x03\x00\x00\x00"}

NEEDED = {"name": "", "text": "", "query": "", "content": ""}
"""What the SDK always asks with, in place of what was left out to be refused."""


def needed(exchange: Exchange, *names: str) -> dict[str, Any]:
    return {name: exchange.asked.get(name, NEEDED[name]) for name in names}


def file_of(exchange: Exchange) -> tuple[bytes, dict[str, Any]]:
    """The file that was handed in, and what was said of it."""
    path, *_ = exchange.asked.get("file", "@note.txt").partition(";")
    data = json.loads(exchange.asked["data"].partition(";type=")[0])
    said: dict[str, Any] = {"name": path.rpartition("/")[2]} | data
    return FILES[path.rpartition(".")[2]], said


def sent_file(ask: Any, exchange: Exchange) -> Any:
    file, said = file_of(exchange)
    return ask(*exchange.ids, file, **said)


NAMES = (
    "description", "indexing_technique", "permission", "embedding_model", "embedding_model_provider",
)  # fmt: skip

CALLS: dict[tuple[str, str], Callable[[Any, Exchange], Any]] = {
    ("POST", "/datasets"): lambda k, e: k.datasets.create(**needed(e, "name"), **e.take(*NAMES)),
    ("GET", "/datasets"): lambda k, e: k.datasets.list(
        **e.take("keyword", "limit"), tag_ids=[e.asked["tag_ids"]] if "tag_ids" in e.asked else None
    ).first(),
    ("GET", "/datasets/{dataset_id}"): lambda k, e: k.datasets.get(*e.ids),
    ("PATCH", "/datasets/{dataset_id}"): lambda k, e: k.datasets.update(
        *e.ids, **e.take("name", "description")
    ),
    ("DELETE", "/datasets/{dataset_id}"): lambda k, e: k.datasets.delete(*e.ids),
    ("POST", "/datasets/{dataset_id}/retrieve"): lambda k, e: k.datasets.retrieve(
        *e.ids, **needed(e, "query"), **e.take("retrieval_model")
    ),
    ("POST", "/datasets/{dataset_id}/document/create-by-text"): lambda k, e: k.documents.create_by_text(
        *e.ids,
        **needed(e, "name", "text"),
        **e.take("indexing_technique", "process_rule", "doc_form", "doc_language"),
    ),
    ("POST", "/datasets/{dataset_id}/document/create-by-file"): lambda k, e: sent_file(
        k.documents.create_by_file, e
    ),
    ("GET", "/datasets/{dataset_id}/documents"): lambda k, e: k.documents.list(
        *e.ids, **e.take("keyword", "limit")
    ).first(),
    ("GET", "/datasets/{dataset_id}/documents/{document_id}"): lambda k, e: k.documents.get(
        *e.ids, **e.take("metadata")
    ),
    ("DELETE", "/datasets/{dataset_id}/documents/{document_id}"): lambda k, e: k.documents.delete(*e.ids),
    ("POST", "/datasets/{dataset_id}/documents/{document_id}/update-by-text"): (
        lambda k, e: k.documents.update_by_text(*e.ids, **e.take("name", "text"))
    ),
    ("POST", "/datasets/{dataset_id}/documents/{document_id}/update-by-file"): lambda k, e: sent_file(
        k.documents.update_by_file, e
    ),
    ("GET", "/datasets/{dataset_id}/documents/{batch}/indexing-status"): (
        lambda k, e: k.documents.indexing_status(*e.ids)
    ),
    ("PATCH", "/datasets/{dataset_id}/documents/status/{action}"): lambda k, e: k.documents.set_status(
        *e.ids, **e.take("document_ids")
    ),
    ("POST", "/datasets/{dataset_id}/documents/{document_id}/segments"): lambda k, e: k.segments.create(
        *e.ids, segments=e.asked.get("segments", [])
    ),
    ("GET", "/datasets/{dataset_id}/documents/{document_id}/segments"): lambda k, e: k.segments.list(
        *e.ids, **e.take("limit")
    ).first(),
    ("GET", "/datasets/{dataset_id}/documents/{document_id}/segments/{segment_id}"): (
        lambda k, e: k.segments.get(*e.ids)
    ),
    ("POST", "/datasets/{dataset_id}/documents/{document_id}/segments/{segment_id}"): (
        lambda k, e: k.segments.update(*e.ids, **e.asked["segment"])
    ),
    ("DELETE", "/datasets/{dataset_id}/documents/{document_id}/segments/{segment_id}"): (
        lambda k, e: k.segments.delete(*e.ids)
    ),
    ("POST", "/datasets/{dataset_id}/documents/{document_id}/segments/{segment_id}/child_chunks"): (
        lambda k, e: k.child_chunks.create(*e.ids, **e.take("content"))
    ),
    ("GET", "/datasets/{dataset_id}/documents/{document_id}/segments/{segment_id}/child_chunks"): (
        lambda k, e: k.child_chunks.list(*e.ids).first()
    ),
    (
        "PATCH",
        "/datasets/{dataset_id}/documents/{document_id}/segments/{segment_id}/child_chunks/{child_chunk_id}",
    ): lambda k, e: k.child_chunks.update(*e.ids, **e.take("content")),
    (
        "DELETE",
        "/datasets/{dataset_id}/documents/{document_id}/segments/{segment_id}/child_chunks/{child_chunk_id}",
    ): lambda k, e: k.child_chunks.delete(*e.ids),
    ("POST", "/datasets/tags"): lambda k, e: k.tags.create(**e.take("name")),
    ("GET", "/datasets/tags"): lambda k, e: k.tags.list().first(),
    ("PATCH", "/datasets/tags"): lambda k, e: k.tags.update(e.asked["tag_id"], **e.take("name")),
    ("DELETE", "/datasets/tags"): lambda k, e: k.tags.delete(e.asked["tag_id"]),
    ("POST", "/datasets/tags/binding"): lambda k, e: k.tags.bind(e.asked["target_id"], **e.take("tag_ids")),
    ("POST", "/datasets/tags/unbinding"): lambda k, e: k.tags.unbind(
        e.asked["target_id"], tag_ids=[e.asked["tag_id"]]
    ),
    ("GET", "/datasets/{dataset_id}/tags"): lambda k, e: k.tags.of_dataset(*e.ids).first(),
    ("POST", "/datasets/{dataset_id}/metadata"): lambda k, e: k.metadata.create(
        *e.ids, **e.take("type", "name")
    ),
    ("GET", "/datasets/{dataset_id}/metadata"): lambda k, e: k.metadata.list(*e.ids).first(),
    ("PATCH", "/datasets/{dataset_id}/metadata/{metadata_id}"): lambda k, e: k.metadata.update(
        *e.ids, **e.take("name")
    ),
    ("DELETE", "/datasets/{dataset_id}/metadata/{metadata_id}"): lambda k, e: k.metadata.delete(*e.ids),
    ("GET", "/datasets/{dataset_id}/metadata/built-in"): lambda k, e: k.metadata.built_in(*e.ids).first(),
    ("POST", "/datasets/{dataset_id}/metadata/built-in/{action}"): lambda k, e: (
        k.metadata.enable_built_in(e.ids[0])
        if e.ids[1] == "enable"
        else k.metadata.disable_built_in(e.ids[0])
    ),
    ("POST", "/datasets/{dataset_id}/documents/metadata"): lambda k, e: k.metadata.update_documents(
        *e.ids, **e.take("operation_data")
    ),
    ("GET", "/workspaces/current/models/model-types/{model_type}"): lambda k, e: k.models.list(
        *e.ids
    ).first(),
}

BY_TEXT = "/datasets/{dataset_id}/document/create-by-text"
TOO_LONG = {"ds-create-long-name": "name", "retrieve-long-query": "query", "tag-create-long": "name"}
SAID_BETTER = {
    "doc-create-file-exe": ["prog.exe", "8 bytes", "15 MB"],
    "doc-create-file-too-big": ["big16m.txt", "text/plain", "15 MB"],
    "tag-create": ["tag is made", "1.12"],
    "tag-list": ["cannot list"],
    "tag-update": ["has its new name"],
}
"""What is told where Dify says nothing, or what is not so."""


def test_there_are_recordings_of_every_operation_but_those_that_came_later() -> None:
    assert {(one.row.method, one.row.path) for one in EXCHANGES.values()} == CALLS.keys()
    assert len(EXCHANGES) > 95


@pytest.mark.parametrize("name", [name for name in EXCHANGES if name not in TOO_LONG])
async def test_a_recorded_call_is_made_and_its_answer_understood(connect: Connect, name: str) -> None:
    exchange = EXCHANGES[name]
    with WireServer(exchange.answer) as server:
        knowledge = connect(server, kind=Knowledge, max_retries=0)
        try:
            said: Any = await CALLS[exchange.row.method, exchange.row.path](knowledge, exchange)
        except APIStatusError as error:
            said = error
    check_asked(server, exchange)
    check_said(said, exchange)


def check_asked(server: WireServer, exchange: Exchange) -> None:
    (request,) = server.requests
    assert request.method == exchange.row.method
    assert request.path.partition("?")[0] == f"/v1{exchange.path}"
    if request.headers.get("content-type", "").startswith("multipart/"):
        file, said = file_of(exchange)
        assert request.parts["file"].get_filename() == said["name"]
        assert request.parts["file"].get_content() in (file, file.decode("latin-1"))
        data = json.loads(request.parts["data"].get_content())
        assert data == {name: value for name, value in said.items() if name != "name" or name in data}
        return
    sent = asked(request)
    for name, value in exchange.asked.items():
        if name == "retrieval_model":
            assert value.items() <= sent[name].items()
            assert sent[name].keys() >= {"top_k", "reranking_enable", "score_threshold_enabled"}
        elif name != "page":
            assert sent[name] == value
    more = {"indexing_technique": "high_quality", "process_rule": {"mode": "automatic"}, "segments": []}
    more |= {"tag_ids": [exchange.asked.get("tag_id")]} | NEEDED
    for name in sent.keys() - exchange.asked.keys():
        assert sent[name] == more[name]


def check_said(said: Any, exchange: Exchange) -> None:
    told = json.loads(exchange.body) if not exchange.body.startswith(b"<") else {}
    if exchange.name in SAID_BETTER:
        assert type(said) is BadRequestError
        assert said.code == told["code"]
        for text in SAID_BETTER[exchange.name]:
            assert text in str(said)
        assert "validation error" not in str(said)
    elif exchange.status >= 400 and "error" in told:
        assert type(said) is ERRORS[exchange.status]
        assert said.message == told["error"]
    elif exchange.status >= 400:
        check_error(said, exchange)
    elif said is None:
        assert told in (204, {"result": "success"})
    elif isinstance(said, list):
        check_says(said, told["data"])
    elif isinstance(told, dict) and "doc_form" in told and "data" in told:
        check_segments(said, told)
    elif isinstance(told, dict) and told.keys() & {"doc_metadata", "fields"} and "id" not in told:
        check_says(said.data, told.get("doc_metadata") or told["fields"])
    elif exchange.row.path.endswith(("child_chunks", "{child_chunk_id}")) and isinstance(told["data"], dict):
        check_says(said, told["data"])
    else:
        check_says(said, told)


def check_segments(said: Any, told: dict[str, Any]) -> None:
    if isinstance(told["data"], list):
        assert (said.total, said.has_more, said.page) == (told["total"], told["has_more"], told["page"])
        check_says(said.data, told["data"])
    else:
        check_says(said, told["data"])


@pytest.mark.parametrize(("name", "field"), TOO_LONG.items())
async def test_what_dify_finds_too_long_is_not_even_asked(connect: Connect, name: str, field: str) -> None:
    exchange = EXCHANGES[name]
    with WireServer(exchange.answer) as server, pytest.raises(ValueError, match=f"{field} has .* Dify takes"):
        await CALLS[exchange.row.method, exchange.row.path](connect(server, kind=Knowledge), exchange)
    assert server.requests == []


async def test_a_document_that_is_updated_by_text_on_dify_1_12_is_not_waited_for_for_ever(
    connect: Connect,
) -> None:
    with WireServer(EXCHANGES["doc-update-text"].answer, EXCHANGES["upd-status-after"].answer) as server:
        knowledge = connect(server, kind=Knowledge)
        taken = await knowledge.documents.update_by_text("d", "1", name="u2.txt", text="Epsilon")
        with pytest.raises(IndexingTimeoutError, match=r"0 of 1 segments.*Dify 1\.12.*delete it") as caught:
            await knowledge.documents.wait("d", taken.batch, timeout=0.3)
    assert [document.id for document in caught.value.documents] == [taken.document.id]
    assert isinstance(caught.value, TimeoutError)


async def test_a_recorded_document_is_waited_for_until_it_is_indexed(connect: Connect) -> None:
    seen: list[tuple[str, int, int]] = []

    def note(documents: Any) -> None:
        seen.extend((d.indexing_status, d.completed_segments, d.total_segments) for d in documents)

    early, done = EXCHANGES["doc-indexing-status-early"].answer, EXCHANGES["doc-indexing-status-done"].answer
    with WireServer(early, early, done) as server:
        (document,) = await connect(server, kind=Knowledge).documents.wait("d", "b", on_progress=note)
    assert document.completed_segments == document.total_segments == 3
    assert seen == [("splitting", 0, 0), ("splitting", 0, 0), ("completed", 3, 3)]
