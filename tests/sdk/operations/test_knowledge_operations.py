"""What a dataset key can ask: each operation's refusals, what Dify 1.16 says newly, what the SDK adds."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opendify import (
    APIStatusError,
    BadRequestError,
    IndexingFailedError,
    IndexingTimeoutError,
    Knowledge,
    MethodNotAllowedError,
    ModelError,
    NotFoundError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    ResponseError,
    ServerError,
    TruncatedStreamError,
)
from opendify._operations import OPERATIONS
from opendify.types import OtherEvent

from ..conftest import Connect, follow
from ..wire_server import WireServer, answer, event, events
from .recorded import ERRORS, asked, check_says

ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
TEXT = b"# Holidays\n"
RUN: dict[str, Any] = {
    "start_node_id": "n",
    "datasource_type": "local_file",
    "datasource_info_list": [{"reference": ID, "name": "a.md"}],
}

Ask = Callable[[Any], Any]


async def entered(stream: Any) -> None:
    async with stream:
        pass


CALLS: dict[str, Ask] = {
    "child_chunks.create": lambda k: k.child_chunks.create(ID, ID, ID, content="c"),
    "child_chunks.delete": lambda k: k.child_chunks.delete(ID, ID, ID, ID),
    "child_chunks.list": lambda k: k.child_chunks.list(ID, ID, ID).first(),
    "child_chunks.update": lambda k: k.child_chunks.update(ID, ID, ID, ID, content="c"),
    "datasets.create": lambda k: k.datasets.create(name="Handbook"),
    "datasets.delete": lambda k: k.datasets.delete(ID),
    "datasets.get": lambda k: k.datasets.get(ID),
    "datasets.list": lambda k: k.datasets.list().first(),
    "datasets.retrieve": lambda k: k.datasets.retrieve(ID, query="holidays"),
    "datasets.update": lambda k: k.datasets.update(ID, permission="all_team_members"),
    "documents.create_by_file": lambda k: k.documents.create_by_file(ID, TEXT, name="a.md"),
    "documents.create_by_text": lambda k: k.documents.create_by_text(ID, name="a.md", text="# Holidays"),
    "documents.delete": lambda k: k.documents.delete(ID, ID),
    "documents.download": lambda k: k.documents.download(ID, ID).read(),
    "documents.download_url": lambda k: k.documents.download_url(ID, ID),
    "documents.download_zip": lambda k: k.documents.download_zip(ID, document_ids=[ID]).read(),
    "documents.get": lambda k: k.documents.get(ID, ID),
    "documents.indexing_status": lambda k: k.documents.indexing_status(ID, "2026"),
    "documents.list": lambda k: k.documents.list(ID).first(),
    "documents.set_status": lambda k: k.documents.set_status(ID, "archive", document_ids=[ID]),
    "documents.update": lambda k: k.documents.update(ID, ID, TEXT, name="a.md"),
    "documents.update_by_file": lambda k: k.documents.update_by_file(ID, ID, TEXT, name="a.md"),
    "documents.update_by_text": lambda k: k.documents.update_by_text(ID, ID, name="a.md", text="b"),
    "documents.wait": lambda k: k.documents.wait(ID, "2026"),
    "metadata.built_in": lambda k: k.metadata.built_in(ID).first(),
    "metadata.create": lambda k: k.metadata.create(ID, name="author", type="string"),
    "metadata.delete": lambda k: k.metadata.delete(ID, ID),
    "metadata.disable_built_in": lambda k: k.metadata.disable_built_in(ID),
    "metadata.enable_built_in": lambda k: k.metadata.enable_built_in(ID),
    "metadata.list": lambda k: k.metadata.list(ID).first(),
    "metadata.update": lambda k: k.metadata.update(ID, ID, name="writer"),
    "metadata.update_documents": lambda k: k.metadata.update_documents(ID, operation_data=[]),
    "models.list": lambda k: k.models.list("rerank").first(),
    "pipeline.datasource_plugins": lambda k: k.pipeline.datasource_plugins(ID).first(),
    "pipeline.run": lambda k: k.pipeline.run(ID, **RUN),
    "pipeline.run_datasource_node": lambda k: entered(
        k.pipeline.run_datasource_node(ID, "n", datasource_type="website_crawl")
    ),
    "pipeline.stream": lambda k: entered(k.pipeline.stream(ID, **RUN)),
    "pipeline.upload_file": lambda k: k.pipeline.upload_file(TEXT, name="a.md"),
    "segments.create": lambda k: k.segments.create(ID, ID, segments=[{"content": "s"}]),
    "segments.delete": lambda k: k.segments.delete(ID, ID, ID),
    "segments.get": lambda k: k.segments.get(ID, ID, ID),
    "segments.list": lambda k: k.segments.list(ID, ID).first(),
    "segments.update": lambda k: k.segments.update(ID, ID, ID, enabled=False),
    "tags.bind": lambda k: k.tags.bind(ID, tag_ids=[ID]),
    "tags.create": lambda k: k.tags.create(name="t"),
    "tags.delete": lambda k: k.tags.delete(ID),
    "tags.list": lambda k: k.tags.list().first(),
    "tags.of_dataset": lambda k: k.tags.of_dataset(ID).first(),
    "tags.unbind": lambda k: k.tags.unbind(ID, tag_ids=[ID]),
    "tags.update": lambda k: k.tags.update(ID, name="t"),
}

KINDS: dict[str, type[APIStatusError]] = {
    "completion_request_error": ModelError,
    "model_currently_not_support": ProviderUnavailableError,
    "provider_not_initialize": ProviderUnavailableError,
    "provider_quota_exceeded": QuotaExceededError,
}
THERE = ["403 forbidden", "404 not_found"]
VALID = ["400 invalid_param", *THERE]
INDEXED = ["400 provider_not_initialize", *VALID]
FILE = ["400 filename_not_exists_error", "400 too_many_files", *INDEXED]
NEW_FILE = [*FILE, "413 file_too_large", "415 unsupported_file_type"]

# As Dify documents them, operation by operation.
REFUSALS: dict[str, list[str]] = {
    "child_chunks.create": INDEXED,
    "child_chunks.delete": VALID,
    "child_chunks.list": THERE,
    "child_chunks.update": VALID,
    "datasets.create": ["400 invalid_param", "403 forbidden", "409 dataset_name_duplicate"],
    "datasets.delete": [*THERE, "409 dataset_in_use"],
    "datasets.get": THERE,
    "datasets.list": ["401 unauthorized"],
    "datasets.retrieve": [
        *INDEXED,
        "400 completion_request_error",
        "400 dataset_not_initialized",
        "400 model_currently_not_support",
        "400 provider_quota_exceeded",
        "500 internal_server_error",
    ],
    "datasets.update": VALID,
    "documents.create_by_file": [*FILE, "400 no_file_uploaded"],
    "documents.create_by_text": INDEXED,
    "documents.delete": [*THERE, "403 archived_document_immutable"],
    "documents.download": THERE,
    "documents.download_url": THERE,
    "documents.download_zip": THERE,
    "documents.get": ["400 invalid_metadata", *THERE],
    "documents.indexing_status": THERE,
    "documents.list": THERE,
    "documents.set_status": ["400 invalid_action", *THERE],
    "documents.update": NEW_FILE,
    "documents.update_by_file": NEW_FILE,
    "documents.update_by_text": INDEXED,
    "documents.wait": THERE,
    "metadata.built_in": THERE,
    "metadata.create": VALID,
    "metadata.delete": THERE,
    "metadata.disable_built_in": THERE,
    "metadata.enable_built_in": THERE,
    "metadata.list": THERE,
    "metadata.update": VALID,
    "metadata.update_documents": VALID,
    "models.list": ["400 invalid_param"],
    "pipeline.datasource_plugins": VALID,
    "pipeline.run": [*VALID, "500 pipeline_run_error"],
    "pipeline.run_datasource_node": VALID,
    "pipeline.stream": [*VALID, "500 pipeline_run_error"],
    "pipeline.upload_file": [
        "400 filename_not_exists_error",
        "400 no_file_uploaded",
        "400 too_many_files",
        "413 file_too_large",
        "415 unsupported_file_type",
    ],
    "segments.create": INDEXED,
    "segments.delete": VALID,
    "segments.get": VALID,
    "segments.list": ["400 provider_not_initialize", *THERE],
    "segments.update": INDEXED,
    "tags.bind": ["404 not_found"],
    "tags.create": ["400 invalid_param"],
    "tags.delete": ["404 not_found"],
    "tags.list": ["401 unauthorized"],
    "tags.of_dataset": THERE,
    "tags.unbind": ["404 not_found"],
    "tags.update": ["400 invalid_param", "404 not_found"],
}


def test_every_operation_of_a_dataset_key_is_asked_and_refused_here() -> None:
    listed = {method for row in OPERATIONS if not row.modes and row.path != "/" for method in row.methods}
    assert CALLS.keys() == REFUSALS.keys() == listed | {"documents.wait"}


def refusal(status: int, code: str, message: str) -> Any:
    body = {"code": code, "message": message, "status": status}
    return answer(json.dumps(body).encode(), status=status)


@pytest.mark.parametrize("method", CALLS)
async def test_a_documented_refusal_raises_its_own_exception(connect: Connect, method: str) -> None:
    told = [(int(refused[:3]), refused[4:]) for refused in REFUSALS[method]]
    with WireServer(*(refusal(status, code, f"No: {code}") for status, code in told)) as server:
        knowledge = connect(server, kind=Knowledge, max_retries=0)
        for status, code in told:
            with pytest.raises(APIStatusError) as caught:
                await CALLS[method](knowledge)
            assert type(caught.value) is KINDS.get(code, ERRORS[status])
            assert (caught.value.status, caught.value.code) == (status, code)
            assert caught.value.message == f"No: {code}"


async def test_too_many_questions_to_the_knowledge_are_asked_again_after_a_while(connect: Connect) -> None:
    limited = refusal(403, "forbidden", "Sorry, you have reached the knowledge base request rate limit.")
    with WireServer(limited, answer(b"[]")) as server:
        assert (await connect(server, kind=Knowledge).tags.list().first()).data == []
    with WireServer(limited) as server, pytest.raises(RateLimitError):
        await connect(server, kind=Knowledge, max_retries=0).datasets.get(ID)


# What Dify 1.16 says newly, or in another way than 1.12; bodies by its specification.

FOUND = {
    "id": ID, "position": 1, "document_id": ID, "content": "Dify is a platform.", "sign_content": "",
    "answer": "", "word_count": 9, "tokens": 12, "keywords": ["dify"], "index_node_id": ID,
    "index_node_hash": "abc", "hit_count": 1, "enabled": True, "disabled_at": None, "disabled_by": None,
    "status": "completed", "created_by": ID, "created_at": 1741267200, "indexing_at": 1741267200,
    "completed_at": 1741267200, "error": None, "stopped_at": None,
}  # fmt: skip
FILED = {
    "id": ID, "name": "a.png", "size": 5, "extension": "png", "mime_type": "image/png", "source_url": "/a",
}  # fmt: skip
DOCUMENT = {
    "id": ID, "name": "a.md", "data_source_type": "upload_file", "doc_type": None, "doc_metadata": {"a": 1},
}  # fmt: skip
NEWER: dict[str, tuple[int, Any]] = {
    "datasets.get": (
        200,
        {
            "id": ID,
            "name": "Handbook",
            "permission": "partial_members",
            "partial_member_list": [ID],
            "summary_index_setting": {"enable": True, "model_name": "m"},
            "maintainer": "admin",
            "doc_metadata": [{"id": ID, "name": "author", "type": "string"}],
            "icon_info": None,
            "external_knowledge_info": None,
        },
    ),
    "datasets.retrieve": (
        200,
        {
            "query": {"content": "What is Dify?"},
            "records": [
                {
                    "segment": FOUND | {"document": DOCUMENT},
                    "child_chunks": [{"id": ID, "content": "c", "position": 1, "score": 0.5}],
                    "score": 0.92,
                    "tsne_position": None,
                    "files": [FILED],
                    "summary": "A platform.",
                }
            ],
        },
    ),
    "documents.update": (
        200,
        {
            "document": {"id": ID, "name": "a.md", "summary_index_status": "waiting", "need_summary": True},
            "batch": "20250306150245647595",
        },
    ),
    "pipeline.datasource_plugins": (
        200,
        [
            {
                "node_id": "1719288585006",
                "plugin_id": "langgenius/notion_datasource",
                "provider_name": "notion",
                "datasource_type": "online_document",
                "title": "Notion Documents",
                "user_input_variables": [{"variable": "v"}],
                "credentials": [{"id": ID, "name": "Production", "type": "api-key", "is_default": True}],
            }
        ],
    ),
    "pipeline.run": (
        200,
        {
            "batch": "20250306150245647595",
            "dataset": {"id": ID, "name": "Handbook"},
            "documents": [{"id": ID, "position": 1, "indexing_status": "waiting", "enabled": True}],
        },
    ),
    "pipeline.upload_file": (
        201,
        {
            "id": ID,
            "name": "a.md",
            "size": 11,
            "extension": "md",
            "mime_type": "text/markdown",
            "created_by": ID,
            "created_at": "2025-03-06T12:00:00",
        },
    ),
}


@pytest.mark.parametrize("method", NEWER)
async def test_a_reply_of_dify_1_16_is_understood_whole(connect: Connect, method: str) -> None:
    status, body = NEWER[method]
    with WireServer(answer(json.dumps(body).encode(), status=status)) as server:
        said = await CALLS[method](connect(server, kind=Knowledge))
    check_says(said.data if isinstance(body, list) else said, body)


async def test_a_time_with_a_fraction_is_still_a_time(connect: Connect) -> None:
    body = {"id": ID, "name": "Handbook", "created_at": 1741267200.75, "updated_at": 1741267201.0}
    with WireServer(answer(json.dumps(body).encode())) as server:
        dataset = await CALLS["datasets.get"](connect(server, kind=Knowledge))
    assert (dataset.created_at, dataset.updated_at) == (1741267200, 1741267201)


async def test_a_tag_of_dify_1_16_counts_its_datasets(connect: Connect) -> None:
    tag = {"id": ID, "name": "t", "type": "knowledge", "binding_count": "2"}
    with WireServer(answer(json.dumps([tag]).encode()), answer(json.dumps(tag).encode())) as server:
        knowledge = connect(server, kind=Knowledge)
        assert [told.binding_count async for told in knowledge.tags.list()] == [2]
        assert (await knowledge.tags.create(name="t")).binding_count == 2


@pytest.mark.parametrize("body", [b"", b"204\n"])
@pytest.mark.parametrize(
    "method",
    [
        "child_chunks.delete",
        "datasets.delete",
        "documents.delete",
        "metadata.delete",
        "segments.delete",
        "tags.bind",
        "tags.delete",
        "tags.unbind",
    ],
)
async def test_a_deletion_is_done_whether_dify_says_204_or_200_with_204_in_its_body(
    connect: Connect, method: str, body: bytes
) -> None:
    with WireServer(answer(body, status=200 if body else 204)) as server:
        assert await CALLS[method](connect(server, kind=Knowledge)) is None
    assert len(server.requests) == 1


async def test_tags_are_taken_off_one_by_one_in_words_of_old_and_new_difys(connect: Connect) -> None:
    with WireServer(answer(b"", status=204)) as server:
        await connect(server, kind=Knowledge).tags.unbind(ID, tag_ids=["a", "b"])
    assert [asked(request) for request in server.requests] == [
        {"tag_id": tag, "tag_ids": [tag], "target_id": ID} for tag in ("a", "b")
    ]


# Lists


@pytest.mark.parametrize("limit", [0, 101])
async def test_a_page_that_dify_would_silently_cut_is_not_asked_for(connect: Connect, limit: int) -> None:
    with WireServer(answer(b"{}")) as server:
        knowledge = connect(server, kind=Knowledge)
        for ask in (
            lambda: knowledge.datasets.list(limit=limit).first(),
            lambda: knowledge.documents.list(ID, limit=limit).first(),
            lambda: knowledge.segments.list(ID, ID, limit=limit).first(),
            lambda: knowledge.child_chunks.list(ID, ID, ID, limit=limit).first(),
        ):
            with pytest.raises(ValueError, match="1 to 100"):
                await ask()
    assert server.requests == []


async def test_a_long_list_is_read_to_its_end_though_the_last_page_looks_full(connect: Connect) -> None:
    def page(number: int, ids: list[str], more: bool) -> Any:
        data = [{"id": one, "name": one} for one in ids]
        told = {"data": data, "has_more": more, "limit": 2, "total": 4, "page": number}
        return answer(json.dumps(told).encode())

    pages = [page(1, ["a", "b"], True), page(2, ["c", "d"], True), page(3, [], False)]
    with WireServer(*pages) as server:
        listed = connect(server, kind=Knowledge).documents.list(ID, keyword="x", status="available", limit=2)
        assert [document.id async for document in listed] == ["a", "b", "c", "d"]
    where = f"/v1/datasets/{ID}/documents?keyword=x&status=available&limit=2"
    assert [request.path for request in server.requests] == [where, f"{where}&page=2", f"{where}&page=3"]


async def test_segments_of_several_states_and_datasets_of_several_tags_can_be_asked_for(
    connect: Connect,
) -> None:
    with WireServer(answer(b'{"data": [], "has_more": false}')) as server:
        knowledge = connect(server, kind=Knowledge)
        await knowledge.segments.list(ID, ID, status=["completed", "error"]).first()
        await knowledge.datasets.list(tag_ids=["a", "b"], include_all=True).first()
        await knowledge.pipeline.datasource_plugins(ID, is_published=False).first()
    assert [request.path.partition("?")[2] for request in server.requests] == [
        "status=completed&status=error",
        "tag_ids=a&tag_ids=b&include_all=true",
        "is_published=",
    ]


# Documents


async def test_what_is_left_out_is_left_out_and_the_first_document_still_has_all_that_dify_wants(
    connect: Connect,
) -> None:
    body = json.dumps(NEWER["documents.update"][1]).encode()
    with WireServer(answer(body)) as server:
        documents = connect(server, kind=Knowledge).documents
        await documents.create_by_text(ID, name="a", text="b")
        await documents.create_by_text(
            ID, name="a", text="b", indexing_technique="economy", process_rule=None
        )
        await documents.create_by_file(ID, TEXT, name="a.md", doc_language="German")
        await documents.update(ID, ID, TEXT, name="b.md", process_rule={"mode": "automatic"})
    first, second, third, fourth = server.requests
    rule = {"indexing_technique": "high_quality", "process_rule": {"mode": "automatic"}}
    assert asked(first) == {"name": "a", "text": "b", **rule}
    assert asked(second) == {"name": "a", "text": "b", "indexing_technique": "economy"}
    assert json.loads(third.parts["data"].get_content()) == {**rule, "doc_language": "German"}
    assert third.parts["file"].get_content_type() == "text/markdown"
    assert (fourth.method, json.loads(fourth.parts["data"].get_content())) == (
        "PATCH",
        {"name": "b.md", "process_rule": {"mode": "automatic"}},
    )


async def test_a_large_file_is_sent_in_pieces_that_are_told_and_keeps_its_name(
    connect: Connect, tmp_path: Path
) -> None:
    file = tmp_path / "handbook.md"
    file.write_bytes(TEXT * 100_000)
    seen: list[tuple[int, int | None]] = []
    with WireServer(answer(json.dumps(NEWER["documents.update"][1]).encode())) as server:
        documents = connect(server, kind=Knowledge).documents
        await documents.create_by_file(ID, file, on_progress=lambda *told: seen.append(told))
    (request,) = server.requests
    assert seen[-1] == (1_100_000, 1_100_000)
    assert len(seen) > 2
    assert request.parts["file"].get_filename() == "handbook.md"
    assert int(request.headers["content-length"]) > 1_100_000


async def test_a_new_text_needs_a_name(connect: Connect) -> None:
    with WireServer(answer()) as server, pytest.raises(ValueError, match="together with a name"):
        await connect(server, kind=Knowledge).documents.update_by_text(ID, ID, text="b")
    assert server.requests == []


async def test_an_older_dify_knows_no_update_of_documents(connect: Connect) -> None:
    gone = refusal(405, "method_not_allowed", "The method is not allowed for the requested URL.")
    with WireServer(gone) as server, pytest.raises(MethodNotAllowedError):
        await CALLS["documents.update"](connect(server, kind=Knowledge))


@pytest.mark.parametrize("given", [{"top_k": 9}, {"score_threshold": 0.5}, {"weights": {"w": 1}}, {}])
async def test_a_retrieval_model_is_sent_whole_whatever_is_left_out(
    connect: Connect, given: dict[str, Any]
) -> None:
    with WireServer(answer(b'{"query": {"content": "q"}, "records": []}')) as server:
        model = {"search_method": "hybrid_search", **given}
        await connect(server, kind=Knowledge).datasets.retrieve(ID, query="q", retrieval_model=model)
    sent = asked(server.requests[0])["retrieval_model"]
    assert sent == {
        "top_k": 4,
        "score_threshold_enabled": "score_threshold" in given,
        "reranking_enable": False,
        "reranking_mode": "weighted_score" if "weights" in given else None,
        "weights": None,
        **model,
    }


def standing(*states: str, error: str | None = None) -> Any:
    data = [
        {"id": f"d{number}", "indexing_status": state, "error": error if state == "error" else None}
        for number, state in enumerate(states)
    ]
    return answer(json.dumps({"data": data}).encode())


async def test_a_batch_is_waited_for_to_the_last_document_and_then_its_failures_are_told(
    connect: Connect,
) -> None:
    failed = [
        standing("error", "indexing", error="No model."),
        standing("error", "completed", error="No model."),
    ]
    with (
        WireServer(*failed) as server,
        pytest.raises(IndexingFailedError, match=r"d0: No model\.$") as caught,
    ):
        await CALLS["documents.wait"](connect(server, kind=Knowledge))
    assert [document.id for document in caught.value.documents] == ["d0"]
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("state", "why"), [("paused", "paused it"), ("waiting", "worker"), ("parsing", "wait again")]
)
async def test_a_document_that_does_not_get_on_is_told_with_what_may_keep_it(
    connect: Connect, state: str, why: str
) -> None:
    with WireServer(standing("completed", state)) as server, pytest.raises(IndexingTimeoutError) as caught:
        await connect(server, kind=Knowledge).documents.wait(ID, "2026", timeout=0.2)
    assert "document d1 is" in str(caught.value)
    assert "d0" not in str(caught.value)
    assert why in str(caught.value)
    assert (caught.value.timeout, [document.id for document in caught.value.documents]) == (0.2, ["d1"])


async def test_the_file_of_a_document_is_fetched_from_where_dify_says_without_the_key(
    connect: Connect, tmp_path: Path
) -> None:
    link = answer(b'{"url": "/files/1/file-preview?sign=s"}')
    with WireServer(link, answer(TEXT, content_type="text/markdown"), link) as server:
        documents = connect(server, kind=Knowledge).documents
        saved = await documents.download(ID, ID).save(tmp_path / "a.md")
        assert await documents.download_url(ID, ID) == "/files/1/file-preview?sign=s"
    assert saved.read_bytes() == TEXT
    asked_where, fetched, _ = server.requests
    assert asked_where.path == f"/v1/datasets/{ID}/documents/{ID}/download"
    assert fetched.path == "/files/1/file-preview?sign=s"
    assert "authorization" in asked_where.headers
    assert "authorization" not in fetched.headers


async def test_files_of_many_documents_come_in_one_archive_of_up_to_100(
    connect: Connect, tmp_path: Path
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.md", TEXT)
    with WireServer(answer(packed.getvalue(), content_type="application/zip")) as server:
        documents = connect(server, kind=Knowledge).documents
        saved = await documents.download_zip(ID, document_ids=[ID]).save(tmp_path / "all.zip")
        for ids in ([], [ID] * 101):
            with pytest.raises(ValueError, match="1 to 100"):
                await documents.download_zip(ID, document_ids=ids).read()
    assert zipfile.ZipFile(saved).read("a.md") == TEXT
    assert [(r.method, asked(r)) for r in server.requests] == [("POST", {"document_ids": [ID]})]


# Pipelines


async def test_what_a_datasource_has_comes_in_parts_and_is_put_together(connect: Connect) -> None:
    told = [
        event(event="datasource_processing", total=None, completed=0),
        event(event="datasource_completed", data=[{"page": 1}], total=2, completed=1, time_consuming=0.5),
        b"event: ping\n\n",
        event(event="datasource_paused", why="new"),
        event(event="datasource_completed", data={"page": 2}, total=2, completed=2, time_consuming=1),
    ]
    with WireServer(events(*told)) as server:
        pipeline = connect(server, kind=Knowledge).pipeline
        seen, failure = await follow(
            pipeline.run_datasource_node(ID, "n/1", datasource_type="website_crawl", inputs={"url": "x"})
        )
        async with pipeline.run_datasource_node(ID, "n", datasource_type="website_crawl") as stream:
            assert await stream.reply() == [{"page": 1}, {"page": 2}]
    assert failure is None
    assert [one.event for one in seen] == [
        "datasource_processing", "datasource_completed", "other", "datasource_completed",
    ]  # fmt: skip
    assert isinstance(seen[2], OtherEvent)
    assert seen[2].name == "datasource_paused"
    assert seen[1].time_consuming == 0.5
    request = server.requests[0]
    assert request.path == f"/v1/datasets/{ID}/pipeline/datasource/nodes/n%2F1/run"
    assert asked(request) == {
        "inputs": {"url": "x"}, "datasource_type": "website_crawl", "is_published": True,
    }  # fmt: skip


async def test_a_datasource_that_fails_or_breaks_off_is_an_error(connect: Connect) -> None:
    begun = event(event="datasource_processing", total=1, completed=0)
    with WireServer(events(begun, event(event="datasource_error", error="No credential."))) as server:
        pipeline = connect(server, kind=Knowledge).pipeline
        seen, failure = await follow(pipeline.run_datasource_node(ID, "n", datasource_type="online_drive"))
    assert (len(seen), type(failure)) == (1, ServerError)
    assert isinstance(failure, APIStatusError)
    assert (failure.code, failure.message, failure.in_stream) == ("datasource_error", "No credential.", True)
    with WireServer(events(begun)) as server:
        pipeline = connect(server, kind=Knowledge).pipeline
        _, failure = await follow(pipeline.run_datasource_node(ID, "n", datasource_type="online_drive"))
    assert isinstance(failure, TruncatedStreamError)


async def test_a_pipelines_draft_is_followed_as_a_workflow_and_its_published_version_only_begins(
    connect: Connect,
) -> None:
    data = {"id": ID, "workflow_id": ID, "status": "succeeded", "outputs": {"n": 3}, "created_at": 1}
    told = [
        event(event="workflow_started", workflow_run_id=ID, task_id=ID, data={"id": ID, "workflow_id": ID}),
        event(event="workflow_finished", workflow_run_id=ID, task_id=ID, data=data),
    ]
    began = answer(json.dumps(NEWER["pipeline.run"][1]).encode())
    with WireServer(events(*told), began, began) as server:
        pipeline = connect(server, kind=Knowledge).pipeline
        async with pipeline.stream(ID, **RUN) as stream:
            assert (await stream.reply()).outputs == {"n": 3}
        assert (await pipeline.run(ID, **RUN)).batch == "20250306150245647595"
        with pytest.raises(ResponseError, match="not a stream"):
            await entered(pipeline.stream(ID, **RUN, is_published=True))
    sent = [asked(request) for request in server.requests]
    assert [(one["response_mode"], one["is_published"]) for one in sent] == [
        ("streaming", False), ("blocking", True), ("streaming", True),
    ]  # fmt: skip
    assert sent[1] == {**RUN, "inputs": {}, "is_published": True, "response_mode": "blocking"}


async def test_a_dify_of_1_12_has_no_pipelines(connect: Connect) -> None:
    page = answer(b"<!doctype html><title>404 Not Found</title>", status=404, content_type="text/html")
    with WireServer(page) as server:
        for method in CALLS:
            if method.startswith("pipeline."):
                with pytest.raises(NotFoundError):
                    await CALLS[method](connect(server, kind=Knowledge))


async def test_a_refusal_with_a_reason_is_left_as_it_is(connect: Connect) -> None:
    with WireServer(refusal(400, "invalid_param", "Your reason.")) as server:
        for method in ("documents.create_by_file", "tags.create", "tags.list", "tags.update"):
            with pytest.raises(BadRequestError, match=r"^400 invalid_param: Your reason\.$"):
                await CALLS[method](connect(server, kind=Knowledge))
