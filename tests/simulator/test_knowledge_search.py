"""The knowledge base: search, metadata, tags and pipelines."""

from __future__ import annotations

import json

import pytest
from knowing import SEMANTIC, Knowledge, knowledge

from opendify.simulator.knowledge.rules import ProcessRule
from opendify.simulator.knowledge.splitting import pieces

BEHAVIOURS = pytest.mark.parametrize("behaviour", ["1.12", "1.16"])
NOBODY = "00000000-0000-4000-8000-000000000000"
PLANETS = """\
Mercury is the closest planet to the Sun.

The capital of the colony on Mars is Olympus City.

火星殖民地的首都是奥林匹斯城。

Jupiter is the largest planet of all."""


# Search


@pytest.mark.parametrize("method", ["semantic_search", "full_text_search", "hybrid_search"])
@pytest.mark.parametrize(
    ("query", "best"),
    [("capital of Mars", "The capital"), ("火星的首都", "火星殖民地"), ("JUPITER", "Jupiter")],
)
async def test_the_best_comes_first_in_any_language(method: str, query: str, best: str) -> None:
    async with knowledge() as client:
        dataset = await client.dataset()
        await client.document(dataset, PLANETS)
        found = await client.found(dataset, query, search_method=method)
    assert found[0].startswith(best)


async def test_full_text_search_finds_shared_words_only_and_semantic_search_what_is_nearest() -> None:
    async with knowledge() as client:
        dataset = await client.dataset()
        await client.document(dataset, PLANETS)
        assert await client.found(dataset, "volcano", search_method="full_text_search") == []
        assert len(await client.found(dataset, "volcano", top_k=3)) == 3
        assert len(await client.found(dataset, "planet", search_method="full_text_search")) == 2
        assert await client.found(dataset, "planet", search_method="keyword_search") == []


async def test_a_threshold_and_a_reranking_model_leave_out_what_does_not_answer() -> None:
    async with knowledge() as client:
        dataset = await client.dataset()
        await client.document(dataset, PLANETS)
        near = {"score_threshold_enabled": True, "score_threshold": 0.5}
        body = {"query": "largest planet", "retrieval_model": {**SEMANTIC, **near, "reranking_enable": True}}
        said = await client.call("POST", f"/datasets/{dataset}/retrieve", body)
        nothing = await client.found(dataset, "volcano", **near)
    records = said.json["records"]
    assert [(record["segment"]["position"], record["score"]) for record in records] == [(4, 1.0), (1, 0.5)]
    assert nothing == []


async def test_an_economy_dataset_is_searched_by_keywords() -> None:
    async with knowledge() as client:
        dataset = await client.dataset(indexing_technique="economy")
        await client.document(dataset, PLANETS, indexing_technique="economy")
        said = await client.call("POST", f"/datasets/{dataset}/retrieve", {"query": "largest planet"})
    records = said.json["records"]
    assert [record["segment"]["position"] for record in records] == [4, 1]
    assert {record["score"] for record in records} == {0.0}
    assert "largest" in records[0]["segment"]["keywords"]


async def test_the_dataset_says_how_to_search_if_the_query_does_not() -> None:
    async with knowledge() as client:
        dataset = await client.dataset(retrieval_model={**SEMANTIC, "top_k": 1})
        await client.document(dataset, PLANETS)
        said = await client.call("POST", f"/datasets/{dataset}/hit-testing", {"query": "planet"})
        shown = (await client.call("GET", f"/datasets/{dataset}")).json
    assert len(said.json["records"]) == 1
    assert shown["retrieval_model_dict"]["top_k"] == shown["external_retrieval_model"]["top_k"] == 1


async def test_what_is_disabled_archived_or_not_indexed_is_not_found() -> None:
    async with knowledge() as client:
        dataset = await client.dataset()
        await client.document(dataset, "Mars is red. [[error:index]]", "failed.txt")
        for action in ("disable", "archive"):
            document = await client.document(dataset, f"Mars is {action}d.", f"{action}.txt")
            body = {"document_ids": [document]}
            await client.call("PATCH", f"/datasets/{dataset}/documents/status/{action}", body)
        await client.document(dataset, "Mars is here.", "here.txt")
        assert await client.found(dataset, "Mars") == ["Mars is here."]


@BEHAVIOURS
async def test_an_incomplete_retrieval_model_breaks_1_12_and_is_refused_by_1_16(behaviour: str) -> None:
    async with knowledge(behaviour) as client:
        dataset = await client.dataset()
        body = {"query": "Mars", "retrieval_model": {"reranking_enable": False, "top_k": 1}}
        said = await client.call("POST", f"/datasets/{dataset}/retrieve", body)
    if behaviour == "1.12":
        assert (said.status, said.code, said.message) == (500, "internal_server_error", "'search_method'")
    else:
        assert (said.status, said.code) == (400, "invalid_param")


@pytest.mark.parametrize(("length", "status"), [(250, 200), (251, 400)])
async def test_a_query_has_250_characters_at_most(length: int, status: int) -> None:
    async with knowledge() as client:
        dataset = await client.dataset()
        said = await client.call("POST", f"/datasets/{dataset}/retrieve", {"query": "火" * length})
    assert said.status == status


# Metadata


async def _years(client: Knowledge) -> str:
    """A dataset of three documents, two of which have an author and a year."""
    dataset = await client.dataset()
    fields = {
        name: (await client.made(f"/datasets/{dataset}/metadata", {"type": kind, "name": name}))["id"]
        for name, kind in {"author": "string", "year": "number"}.items()
    }
    values = {"Ann": 1999, "Bob": 2020}
    operations = []
    for author, year in values.items():
        document = await client.document(dataset, f"Planets by {author}.", f"{author}.txt")
        metadata = [
            {"id": fields["author"], "name": "author", "value": author},
            {"id": fields["year"], "name": "year", "value": year},
        ]
        operations.append({"document_id": document, "metadata_list": metadata})
    await client.document(dataset, "Planets by nobody.", "nobody.txt")
    assert await client.made(f"/datasets/{dataset}/documents/metadata", {"operation_data": operations}) == {
        "result": "success"
    }
    return dataset


@pytest.mark.parametrize(
    ("name", "operator", "value", "authors"),
    [
        ("author", "is", "Ann", ["Ann"]),
        ("author", "is not", "Ann", ["Bob"]),
        ("author", "contains", "o", ["Bob"]),
        ("author", "not contains", "o", ["Ann"]),
        ("author", "start with", "A", ["Ann"]),
        ("author", "end with", "b", ["Bob"]),
        ("author", "in", ["Ann", "Eve"], ["Ann"]),
        ("author", "in", "Bob, Eve", ["Bob"]),
        ("author", "not in", ["Ann"], ["Bob"]),
        ("author", "empty", None, ["nobody"]),
        ("author", "not empty", None, ["Ann", "Bob"]),
        ("year", "=", 1999, ["Ann"]),
        ("year", "≠", 1999, ["Bob"]),
        ("year", ">", 1999, ["Bob"]),
        ("year", "<", 2020, ["Ann"]),
        ("year", "≥", 1999, ["Ann", "Bob"]),
        ("year", "≤", "1999", ["Ann"]),
        ("year", "before", 2000, ["Ann"]),
        ("year", "after", 2000, ["Bob"]),
    ],
)
async def test_documents_are_filtered_by_metadata(
    name: str, operator: str, value: object, authors: list[str]
) -> None:
    condition = {"name": name, "comparison_operator": operator, "value": value}
    async with knowledge() as client:
        dataset = await _years(client)
        found = await client.found(
            dataset, "planets", metadata_filtering_conditions={"conditions": [condition]}
        )
    assert sorted(found) == [f"Planets by {author}." for author in authors]


@pytest.mark.parametrize(("joined", "count"), [("and", 0), ("or", 2)])
async def test_conditions_are_joined(joined: str, count: int) -> None:
    conditions = [{"name": "author", "comparison_operator": "is", "value": name} for name in ("Ann", "Bob")]
    async with knowledge() as client:
        dataset = await _years(client)
        asked = {"logical_operator": joined, "conditions": conditions}
        assert len(await client.found(dataset, "planets", metadata_filtering_conditions=asked)) == count


@BEHAVIOURS
async def test_a_field_is_renamed_and_deleted_in_all_documents(behaviour: str) -> None:
    async with knowledge(behaviour) as client:
        dataset = await _years(client)
        listed = (await client.call("GET", f"/datasets/{dataset}/metadata")).json
        author, year = (field["id"] for field in listed["doc_metadata"])
        assert [field["count"] for field in listed["doc_metadata"]] == [2, 2]
        renamed = await client.call("PATCH", f"/datasets/{dataset}/metadata/{author}", {"name": "writer"})
        taken = await client.call("PATCH", f"/datasets/{dataset}/metadata/{author}", {"name": "year"})
        reserved = await client.call("PATCH", f"/datasets/{dataset}/metadata/{author}", {"name": "uploader"})
        gone = await client.call("DELETE", f"/datasets/{dataset}/metadata/{year}")
        documents = (await client.call("GET", f"/datasets/{dataset}/documents?keyword=Ann")).json["data"]
        fields = (await client.call("GET", f"/datasets/{dataset}")).json["doc_metadata"]
    assert renamed.json == {"id": author, "type": "string", "name": "writer"}
    assert (taken.status, taken.message) == (400, "Metadata name already exists.")
    assert (reserved.status, reserved.message) == (400, "Metadata name already exists in Built-in fields.")
    assert (gone.status, gone.body) == ((200, b"204\n") if behaviour == "1.12" else (204, b""))
    value = {"id": author, "name": "writer", "type": "string", "value": "Ann"}
    assert [document["doc_metadata"] for document in documents] == [[value]]
    assert fields == [{"id": author, "name": "writer", "type": "string"}]


@BEHAVIOURS
async def test_metadata_that_there_is_not_is_passed_over_in_1_12_and_told_in_1_16(behaviour: str) -> None:
    async with knowledge(behaviour) as client:
        dataset = await client.dataset()
        renamed = await client.call("PATCH", f"/datasets/{dataset}/metadata/{NOBODY}", {"name": "x"})
        gone = await client.call("DELETE", f"/datasets/{dataset}/metadata/{NOBODY}")
        body = {"operation_data": [{"document_id": NOBODY, "metadata_list": []}]}
        assigned = await client.call("POST", f"/datasets/{dataset}/documents/metadata", body)
    assert [said.status for said in (renamed, gone, assigned)] == (
        [200, 200, 200] if behaviour == "1.12" else [404, 404, 400]
    )


async def test_values_are_replaced_unless_the_update_is_partial_and_dify_has_fields_of_its_own() -> None:
    async with knowledge() as client:
        dataset = await _years(client)
        document = (await client.call("GET", f"/datasets/{dataset}/documents?keyword=Bob")).json["data"][0][
            "id"
        ]

        async def assign(**values: object) -> dict[str, object]:
            partial = values.pop("partial", False)
            metadata = [{"id": NOBODY, "name": name, "value": value} for name, value in values.items()]
            operation = {"document_id": document, "metadata_list": metadata, "partial_update": partial}
            await client.made(f"/datasets/{dataset}/documents/metadata", {"operation_data": [operation]})
            shown = (await client.call("GET", f"/datasets/{dataset}/documents/{document}?metadata=only")).json
            return {field["name"]: field["value"] for field in shown["doc_metadata"] or ()}

        assert await assign(author="Eve", partial=True) == {"author": "Eve", "year": 2020}
        assert await assign(author="Eve") == {"author": "Eve"}
        await client.made(f"/datasets/{dataset}/metadata/built-in/enable", {})
        own = await assign(year=1)
        await client.made(f"/datasets/{dataset}/metadata/built-in/disable", {})
        assert (own["document_name"], own["source"], own["year"]) == ("Bob.txt", "file_upload", 1)
        assert isinstance(own["upload_date"], str)
        assert await assign(year=2) == {"year": 2}


# Tags


async def test_tags_are_made_and_not_told_of_in_1_12() -> None:
    async with knowledge() as client:
        dataset = await client.dataset()
        assert (await client.call("GET", "/datasets/tags")).json == []
        made = await client.call("POST", "/datasets/tags", {"name": "space"})
        again = await client.call("POST", "/datasets/tags", {"name": "space"})
        listed = await client.call("GET", "/datasets/tags")
        filtered = await client.call("GET", "/datasets?tag_ids=x")
        unbound = await client.call("POST", "/datasets/tags/unbinding", {"target_id": dataset})
    assert [(said.status, "binding_count" in said.message) for said in (made, listed)] == [(400, True)] * 2
    assert (again.status, again.message) == (400, "Tag name already exists")
    assert (filtered.status, unbound.status) == (400, 400)


async def test_tags_are_bound_listed_and_filtered_by_in_1_16() -> None:
    async with knowledge("1.16") as client:
        one, two = await client.dataset("One"), await client.dataset("Two")
        tags = [(await client.made("/datasets/tags", {"name": name}))["id"] for name in ("space", "time")]
        bound = await client.call(
            "POST", "/datasets/tags/binding", {"tag_ids": [*tags, NOBODY], "target_id": one}
        )
        await client.call("PATCH", "/datasets/tags", {"tag_id": tags[0], "name": "room"})
        of_one = (await client.call("GET", f"/datasets/{one}/tags")).json
        filtered = (await client.call("GET", f"/datasets?tag_ids={NOBODY}&tag_ids={tags[1]}")).json
        listed = (await client.call("GET", "/datasets/tags")).json
        await client.call("POST", "/datasets/tags/unbinding", {"tag_ids": tags[1:], "target_id": one})
        await client.call("DELETE", "/datasets/tags", json={"tag_id": tags[0]})
        left = (await client.call("GET", f"/datasets/{one}/tags")).json
        missing = await client.call("POST", "/datasets/tags/binding", {"tag_ids": tags, "target_id": NOBODY})
        unknown = await client.call("DELETE", "/datasets/tags", json={"tag_id": tags[0]})
    assert (bound.status, bound.body) == (204, b"")
    assert [tag["name"] for tag in of_one["data"]] == ["room", "time"]
    assert [dataset["id"] for dataset in filtered["data"]] == [one]
    assert {tag["name"]: (tag["type"], tag["binding_count"]) for tag in listed} == {
        "room": ("knowledge", "1"),
        "time": ("knowledge", "1"),
    }
    assert left == {"data": [], "total": 0}
    assert (missing.status, missing.message.startswith("Dataset not found")) == (404, True)
    assert (unknown.status, unknown.message.startswith("Tag not found")) == (404, True)
    assert two != one


# Pipelines


def _events(body: bytes) -> list[dict[str, object]]:
    return [json.loads(event[6:]) for event in body.split(b"\n\n") if event.startswith(b"data: ")]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/datasets/pipeline/file-upload"),
        ("GET", f"/datasets/{NOBODY}/pipeline/datasource-plugins"),
        ("POST", f"/datasets/{NOBODY}/pipeline/datasource/nodes/n/run"),
        ("POST", f"/datasets/{NOBODY}/pipeline/run"),
    ],
)
async def test_1_12_has_no_pipelines(method: str, path: str) -> None:
    async with knowledge() as client:
        said = await client.call(method, path, {} if method == "POST" else None)
    assert (said.status, said.kind) == (404, "text/html; charset=utf-8")


async def test_a_dataset_has_a_pipeline_if_its_description_asks_for_one() -> None:
    async with knowledge("1.16") as client:
        plain, piped = await client.dataset("A"), await client.dataset("B", description="[[pipeline]]")
        refused = await client.call("GET", f"/datasets/{plain}/pipeline/datasource-plugins")
        plugins = await client.call("GET", f"/datasets/{piped}/pipeline/datasource-plugins?is_published=true")
        shown = (await client.call("GET", f"/datasets/{piped}")).json
    assert (refused.status, refused.code, refused.message) == (400, "invalid_param", "Pipeline not found")
    assert [plugin["datasource_type"] for plugin in plugins.json] == [
        "local_file",
        "online_document",
        "website_crawl",
        "online_drive",
    ]
    assert (shown["runtime_mode"], shown["is_published"]) == ("rag_pipeline", True)


@pytest.mark.parametrize(
    ("kind", "inputs", "last"),
    [
        ("online_document", {}, "datasource_completed"),
        ("website_crawl", {"url": "https://mars.example"}, "datasource_completed"),
        ("online_drive", {}, "datasource_completed"),
        ("local_file", {}, "datasource_error"),
        ("website_crawl", {"url": "[[error]]"}, "datasource_error"),
    ],
)
async def test_a_datasource_tells_what_it_has(kind: str, inputs: dict[str, str], last: str) -> None:
    async with knowledge("1.16") as client:
        dataset = await client.dataset(description="[[pipeline]]")
        body = {"inputs": inputs, "datasource_type": kind, "is_published": True}
        said = await client.call(
            "POST", f"/datasets/{dataset}/pipeline/datasource/nodes/datasource-{kind}/run", body
        )
    assert (said.status, said.kind) == (200, "text/event-stream; charset=utf-8")
    events = _events(said.body)
    assert events[-1]["event"] == last
    assert [event["event"] for event in events[:-1]] == ["datasource_processing"] * (last[11:] == "completed")
    assert last == "datasource_error" or events[-1]["data"]


async def test_a_published_pipeline_indexes_what_it_is_given() -> None:
    async with knowledge("1.16") as client:
        dataset = await client.dataset(description="[[pipeline]]")
        file = await client.upload("/datasets/pipeline/file-upload", b"Mars is red.", "mars.txt")
        assert file.status == 201
        run = {"inputs": {}, "is_published": True, "response_mode": "blocking"}
        files = {
            "datasource_type": "local_file",
            "start_node_id": "datasource-local_file",
            "datasource_info_list": [
                {"reference": file.json["id"], "name": "mars.txt"},
                {"reference": NOBODY},
            ],
        }
        begun = await client.made(f"/datasets/{dataset}/pipeline/run", {**run, **files})
        await client.indexed(dataset, begun["batch"])
        found = await client.found(dataset, "Mars")
        listed = (await client.call("GET", f"/datasets/{dataset}/documents")).json["data"]
        download = await client.call("GET", f"/datasets/{dataset}/documents/{listed[1]['id']}/download")
        wrong = await client.call(
            "POST", f"/datasets/{dataset}/pipeline/run", {**run, **files, "start_node_id": "x"}
        )
    assert [document["name"] for document in begun["documents"]] == ["mars.txt", "untitled"]
    assert found == ["Mars is red."]
    assert [(document["display_status"], document["error"]) for document in listed] == [
        ("error", "Uploaded file not found."),
        ("available", None),
    ]
    assert (listed[1]["data_source_type"], listed[1]["created_from"]) == ("local_file", "rag-pipeline")
    assert download.status == 404
    assert (wrong.status, wrong.code) == (500, "pipeline_run_error")


async def test_the_draft_of_a_pipeline_is_tried_and_indexes_nothing() -> None:
    async with knowledge("1.16") as client:
        dataset = await client.dataset(description="[[pipeline]]")
        body = {
            "inputs": {},
            "datasource_type": "website_crawl",
            "start_node_id": "datasource-website_crawl",
            "datasource_info_list": [{"url": "https://mars.example", "title": "Mars"}],
            "is_published": False,
        }
        path = f"/datasets/{dataset}/pipeline/run"
        streamed = await client.call("POST", path, {**body, "response_mode": "streaming"})
        whole = await client.made(path, {**body, "response_mode": "blocking"})
        listed = (await client.call("GET", f"/datasets/{dataset}/documents")).json
    nodes = ["node_started", "node_finished"] * 2
    events = [event["event"] for event in _events(streamed.body)]
    assert events == ["workflow_started", *nodes, "workflow_finished"]
    assert whole["data"]["status"] == "succeeded"
    assert whole["data"]["outputs"]["total_segments"] > 0
    assert listed["total"] == 0


# Splitting


def _pieces(text: str, **segmentation: object) -> list[str]:
    rules = {
        "pre_processing_rules": [{"id": "remove_urls_emails", "enabled": True}],
        "segmentation": segmentation,
    }
    rule = ProcessRule.model_validate({"mode": "custom", "rules": rules})
    return [piece.content for piece in pieces(text, rule, "text_model")]


def test_a_long_paragraph_is_cut_and_pieces_overlap() -> None:
    text = " ".join(f"w{at}" for at in range(120))
    found = _pieces(text, separator="\n\n", max_tokens=50, chunk_overlap=10)
    assert [len(piece.split()) for piece in found] == [50, 50, 40]
    assert found[1].split()[:10] == found[0].split()[-10:]


def test_a_long_chinese_text_is_cut_at_its_stops() -> None:
    found = _pieces("火星是红色的。" * 20, separator="\n", max_tokens=50)
    assert all(piece.removesuffix("。").endswith("的") for piece in found)
    assert "".join(found).count("火星") == 20


def test_addresses_are_removed_when_asked_and_separators_may_be_escaped() -> None:
    found = _pieces("Write to a@b.example.\\nOr see https://mars.example now", separator="\\n", max_tokens=50)
    assert found == ["Write to \\nOr see  now"]
    assert _pieces("a\nb", separator="\\n", max_tokens=50) == ["a", "b"]


def test_a_short_text_that_is_split_automatically_stays_whole() -> None:
    rule = ProcessRule(mode="automatic")
    (piece,) = pieces("One.\n\n\n\nTwo   three.", rule, "text_model")
    assert piece.content == "One.\n\nTwo three."
