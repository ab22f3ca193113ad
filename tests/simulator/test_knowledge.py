"""The knowledge base: datasets, documents, their indexing, segments and child chunks."""

from __future__ import annotations

import asyncio
import io
import zipfile
from typing import Any

import aiohttp
import pytest
from knowing import AUTOMATIC, Knowledge, Said, by_blank_lines, knowledge

from opendify.simulator import Simulator

BEHAVIOURS = pytest.mark.parametrize("behaviour", ["1.12", "1.16"])
NOBODY = "00000000-0000-4000-8000-000000000000"


def _removed(said: Said, behaviour: str) -> bool:
    expected = (200, b"204\n") if behaviour == "1.12" else (204, b"")
    return (said.status, said.body) == expected


# Keys


@pytest.mark.parametrize(
    ("key", "path"), [("app-sim-chat", "/datasets"), ("dataset-sim", "/info"), ("wrong", "/datasets/tags")]
)
async def test_a_key_opens_only_what_it_is_for(key: str, path: str) -> None:
    async with knowledge(key=key) as client:
        said = await client.call("GET", path)
    assert (said.status, said.code, said.message) == (401, "unauthorized", "Access token is invalid")


def test_the_key_of_an_app_cannot_be_that_of_the_knowledge_base() -> None:
    with pytest.raises(ValueError, match="the knowledge base needs its own"):
        Simulator(dataset_key="app-sim-chat")


async def test_a_dataset_key_may_be_chosen() -> None:
    async with Simulator(dataset_key="dataset-mine") as dify, aiohttp.ClientSession() as session:
        said = await Knowledge(dify, session, "dataset-mine").call("GET", "/datasets")
    assert said.json["total"] == 0


async def test_an_empty_workspace_has_no_models_and_no_high_quality_dataset() -> None:
    async with knowledge(key="{dify.empty_dataset_key}") as client:
        models = await client.call("GET", "/workspaces/current/models/model-types/text-embedding")
        refused = await client.call("POST", "/datasets", {"name": "a", "indexing_technique": "high_quality"})
        made = await client.call("POST", "/datasets", {"name": "a", "indexing_technique": "economy"})
    assert models.json == {"data": []}
    assert (refused.status, refused.message) == (400, "Default model not found for text-embedding")
    assert made.status == 200


@pytest.mark.parametrize("kind", ["text-embedding", "rerank", "llm", "tts", "speech2text", "moderation"])
async def test_models_are_listed_by_type(kind: str) -> None:
    async with knowledge() as client:
        said = await client.call("GET", f"/workspaces/current/models/model-types/{kind}")
    (provider,) = said.json["data"]
    assert {model["model_type"] for model in provider["models"]} == {kind}


# Datasets


@BEHAVIOURS
async def test_a_dataset_is_made_listed_changed_and_deleted(behaviour: str) -> None:
    async with knowledge(behaviour) as client:
        one, two = await client.dataset("One"), await client.dataset("Two", description="second")
        listed = (await client.call("GET", "/datasets?limit=1&page=2")).json
        change = {"name": "Uno", "permission": "partial_members", "partial_member_list": [{"user_id": "u"}]}
        changed = await client.call("PATCH", f"/datasets/{one}", change)
        taken = await client.call("PATCH", f"/datasets/{one}", {"name": "Two"})
        shown = (await client.call("GET", f"/datasets/{one}")).json
        gone = await client.call("DELETE", f"/datasets/{two}")
        left = (await client.call("GET", "/datasets")).json
    assert (listed["total"], listed["data"][0]["name"], listed["has_more"]) == (2, "One", True)
    assert (changed.json["name"], changed.json["partial_member_list"]) == ("Uno", ["u"])
    assert (taken.status, taken.code, taken.message) == (400, "invalid_param", "Dataset name already exists")
    assert (shown["permission"], shown["partial_member_list"]) == ("partial_members", ["u"])
    assert ("maintainer" in shown) is (behaviour == "1.16")
    assert _removed(gone, behaviour)
    assert [dataset["id"] for dataset in left["data"]] == [one]


async def test_a_dataset_is_counted_and_takes_its_form_from_its_documents() -> None:
    async with knowledge() as client:
        dataset = (await client.made("/datasets", {"name": "Bare"}))["id"]
        await client.document(dataset, "Mars is red.\n\nVenus is hot.")
        document = await client.document(dataset, "Jupiter is large.", "jupiter.txt")
        await client.call(
            "PATCH", f"/datasets/{dataset}/documents/status/disable", {"document_ids": [document]}
        )
        shown = (await client.call("GET", f"/datasets/{dataset}")).json
    assert (shown["indexing_technique"], shown["embedding_model"]) == ("high_quality", "simulated-embedding")
    assert (shown["document_count"], shown["total_available_documents"], shown["doc_form"]) == (
        2,
        1,
        "text_model",
    )
    assert shown["word_count"] == len("Mars is red.Venus is hot.Jupiter is large.")


async def test_a_dataset_that_is_kept_elsewhere_takes_no_documents() -> None:
    async with knowledge() as client:
        dataset = await client.dataset(provider="external")
        path = f"/datasets/{dataset}/document/create-by-file"
        said = await client.upload(path, b"Mars", "a.txt", {"indexing_technique": "high_quality"})
    assert (said.status, said.message) == (400, "External datasets are not supported.")


# Documents


async def test_a_document_is_indexed_over_time_and_says_how_far_it_is() -> None:
    async with knowledge(indexing_seconds=0.6) as client:
        dataset = await client.dataset()
        given = await client.give(dataset, "Mars is red.\n\nVenus is hot.")
        document = given["document"]
        early = await client.segments(dataset, document["id"])
        states = await client.indexed(dataset, given["batch"])
        shown = (await client.call("GET", f"/datasets/{dataset}/documents/{document['id']}")).json
        late = await client.segments(dataset, document["id"])
    assert (document["indexing_status"], document["display_status"]) == ("waiting", "queuing")
    assert (document["word_count"], document["tokens"], early) == (None, None, [])
    order = ["waiting", "parsing", "splitting", "indexing", "completed"]
    assert states == [state for state in order if state in states]
    assert "completed" in states
    assert len(states) > 2
    assert (shown["display_status"], shown["segment_count"]) == ("available", 2)
    assert [segment["content"] for segment in late] == ["Mars is red.", "Venus is hot."]


async def test_a_document_can_be_made_to_fail() -> None:
    async with knowledge() as client:
        dataset = await client.dataset()
        given = await client.give(dataset, "No luck. [[error:index]]")
        short = await client.give(dataset, "x", "short.txt", process_rule=by_blank_lines(10))
        states = await client.indexed(dataset, given["batch"])
        path = f"/datasets/{dataset}/documents/{short['batch']}/indexing-status"
        (progress,) = (await client.call("GET", path)).json["data"]
        failed = (await client.call("GET", f"/datasets/{dataset}/documents?status=error")).json
        assert await client.segments(dataset, given["document"]["id"]) == []
    assert states == ["error"]
    assert (progress["indexing_status"], progress["completed_at"]) == ("error", None)
    assert progress["error"] == "Custom segment length should be between 50 and 4000."
    assert [document["name"] for document in failed["data"]] == ["short.txt", "facts.txt"]


async def test_a_text_says_how_long_its_indexing_takes() -> None:
    async with knowledge() as client:
        dataset = await client.dataset()
        slow = await client.give(dataset, "Mars is red. [[index:60]]", "slow.txt")
        await client.document(dataset, "Venus is hot.")
        waiting = (await client.call("GET", f"/datasets/{dataset}/documents?status=queuing")).json
        found = await client.found(dataset, "Mars")
    assert [document["id"] for document in waiting["data"]] == [slow["document"]["id"]]
    assert found == ["Venus is hot."]


async def test_any_operation_is_refused_when_what_is_sent_asks_for_it() -> None:
    async with knowledge() as client:
        dataset = await client.dataset()
        told = [
            await client.call("POST", f"/datasets/{dataset}/retrieve", {"query": "[[http:knowledge]]"}),
            await client.call("GET", f"/datasets/{dataset}/documents?keyword=[[http:502]]"),
            await client.upload(f"/datasets/{dataset}/document/create-by-file", b"[[http:429]]", "a.txt"),
        ]
    assert [said.status for said in told] == [403, 502, 429]


async def test_a_file_is_read_by_its_kind() -> None:
    word = io.BytesIO()
    with zipfile.ZipFile(word, "w") as archive:
        archive.writestr(
            "word/document.xml", "<w:p><w:t>Mars &amp; moons</w:t></w:p><w:p><w:t>Two</w:t></w:p>"
        )
    files = {
        "page.html": (b"<h1>Mars</h1><script>1</script>", "Mars"),
        "note.md": ("火星 is Mars.".encode(), "火星 is Mars."),
        "word.docx": (word.getvalue(), "Mars & moons\nTwo"),
        "print.pdf": (b"%PDF\xff\xfe\x00Mars is red\xff", "%PDF\nMars is red"),
    }
    async with knowledge() as client:
        dataset = await client.dataset()
        config = {"indexing_technique": "high_quality", "process_rule": AUTOMATIC}
        for name, (content, expected) in files.items():
            said = await client.upload(f"/datasets/{dataset}/document/create-by-file", content, name, config)
            document = said.json["document"]
            (segment,) = await client.segments(dataset, document["id"])
            assert (document["name"], segment["content"]) == (name, expected)


@BEHAVIOURS
async def test_a_file_that_dify_does_not_take_is_refused_without_a_word_unless_it_updates(
    behaviour: str,
) -> None:
    config = {"indexing_technique": "high_quality", "process_rule": AUTOMATIC}
    large = bytes(15 * 1024 * 1024 + 1)
    async with knowledge(behaviour) as client:
        dataset = await client.dataset()
        document = await client.document(dataset, "Mars is red.")
        for path, expected in {
            f"/datasets/{dataset}/document/create-by-file": [(400, "invalid_param")] * 2,
            f"/datasets/{dataset}/documents/{document}/update-by-file": [
                (415, "unsupported_file_type"),
                (413, "file_too_large"),
            ],
        }.items():
            said = [await client.upload(path, *sent, config) for sent in ((b"x", "a.exe"), (large, "a.txt"))]
            assert [(one.status, one.code) for one in said] == expected


async def test_a_document_of_a_name_that_there_is_takes_the_place_of_the_other() -> None:
    async with knowledge() as client:
        dataset = await client.dataset()
        first = await client.give(dataset, "Mars is red.")
        again = await client.give(dataset, "Venus is hot.")
        await client.indexed(dataset, again["batch"])
        listed = (await client.call("GET", f"/datasets/{dataset}/documents")).json
        segments = await client.segments(dataset, first["document"]["id"])
    assert first["document"]["id"] == again["document"]["id"]
    assert first["batch"] != again["batch"]
    assert (listed["total"], [segment["content"] for segment in segments]) == (1, ["Venus is hot."])


@BEHAVIOURS
async def test_the_technique_is_wanted_every_time_in_1_12_and_once_in_1_16(behaviour: str) -> None:
    async with knowledge(behaviour) as client:
        dataset = await client.dataset()
        body = {"name": "a.txt", "text": "Mars", "process_rule": AUTOMATIC}
        said = await client.call("POST", f"/datasets/{dataset}/document/create_by_text", body)
        bare = (await client.made("/datasets", {"name": "Bare"}))["id"]
        never = await client.call("POST", f"/datasets/{bare}/document/create-by-text", body)
    assert said.status == (400 if behaviour == "1.12" else 200)
    assert (never.status, never.message) == (400, "indexing_technique is required.")


@pytest.mark.parametrize(
    ("behaviour", "how"),
    [("1.12", "text"), ("1.12", "file"), ("1.16", "text"), ("1.16", "file"), ("1.16", "patch")],
)
async def test_an_updated_document_is_never_done_in_1_12_and_done_in_1_16(behaviour: str, how: str) -> None:
    async with knowledge(behaviour) as client:
        dataset = await client.dataset()
        document = await client.document(dataset, "Mars is red.")
        path = f"/datasets/{dataset}/documents/{document}"
        if how == "text":
            said = await client.call(
                "POST", f"{path}/update-by-text", {"name": "b.txt", "text": "Venus is hot."}
            )
        else:
            path += "/update-by-file" if how == "file" else ""
            said = await client.upload(path, b"Venus is hot.", "b.txt", {})
        updated = said.json
        await asyncio.sleep(0.01)
        status = await client.call("GET", f"/datasets/{dataset}/documents/{updated['batch']}/indexing-status")
        found = await client.found(dataset, "Venus")
        again = await client.call(
            "POST", f"/datasets/{dataset}/documents/{document}/update-by-text", {"text": "x"}
        )
        renamed = await client.call(
            "POST", f"/datasets/{dataset}/documents/{document}/update-by-text", {"name": "b", "text": "x"}
        )
        gone = await client.call("DELETE", f"/datasets/{dataset}/documents/{document}")
    assert (updated["document"]["name"], updated["document"]["word_count"]) == ("b.txt", len("Mars is red."))
    (progress,) = status.json["data"]
    done = behaviour == "1.16"
    assert progress["indexing_status"] == ("completed" if done else "indexing")
    assert (progress["completed_segments"], progress["total_segments"]) == (int(done), 1)
    assert found == (["Venus is hot."] if done else [])
    assert (again.status, "name is required" in again.message) == (400, True)
    assert (renamed.status == 200) is done
    assert _removed(gone, behaviour)


async def test_a_status_is_changed_by_the_rules() -> None:
    async with knowledge(indexing_seconds=0.2) as client:
        dataset = await client.dataset()
        given = await client.give(dataset, "Mars is red.")
        document = given["document"]["id"]
        body = {"document_ids": [document, NOBODY]}

        async def act(action: str) -> Said:
            return await client.call("PATCH", f"/datasets/{dataset}/documents/status/{action}", body)

        async def status() -> str:
            shown = await client.call("GET", f"/datasets/{dataset}/documents/{document}")
            return shown.json["display_status"]

        early = await act("disable")
        await client.indexed(dataset, given["batch"])
        assert (early.status, early.code, early.message) == (
            400,
            "invalid_action",
            "Document: facts.txt is not completed.",
        )
        unknown = await act("hide")
        assert (unknown.status, unknown.code, unknown.message) == (400, "invalid_action", "Invalid action.")
        for action, expected in {
            "disable": "disabled",
            "enable": "available",
            "archive": "archived",
        }.items():
            assert (await act(action)).json == {"result": "success"}
            assert await status() == expected
        refused = await client.call("DELETE", f"/datasets/{dataset}/documents/{document}")
        assert (refused.status, refused.code) == (403, "archived_document_immutable")
        await act("un_archive")
        assert await status() == "available"


async def test_documents_are_listed_by_page_a_hundred_at_most() -> None:
    async with knowledge() as client:
        dataset = await client.dataset()
        for at in range(102):
            await client.give(dataset, "Mars", f"{at}.txt")
        pages = {
            limit: (await client.call("GET", f"/datasets/{dataset}/documents?limit={limit}")).json
            for limit in (2, 100, 102)
        }
        last = (await client.call("GET", f"/datasets/{dataset}/documents?limit=51&page=2")).json
        named = (await client.call("GET", f"/datasets/{dataset}/documents?keyword=101")).json
        never = await client.call("GET", f"/datasets/{dataset}/documents?page=0")
    assert [document["name"] for document in pages[2]["data"]] == ["101.txt", "100.txt"]
    assert {limit: (len(page["data"]), page["has_more"]) for limit, page in pages.items()} == {
        2: (2, True),
        100: (100, True),
        102: (100, False),  # a hundred is not what was asked for, so Dify believes that this is all
    }
    assert (len(last["data"]), last["has_more"]) == (51, True)  # and here that there is more
    assert (named["total"], never.status) == (1, 400)


@BEHAVIOURS
async def test_a_document_is_downloaded_from_1_16_on(behaviour: str) -> None:
    async with knowledge(behaviour) as client:
        dataset = await client.dataset()
        one = await client.document(dataset, "Mars is red.")
        two = await client.document(dataset, "Venus is hot.", "venus.txt")
        said = await client.call("GET", f"/datasets/{dataset}/documents/{one}/download")
        packed = await client.call(
            "POST", f"/datasets/{dataset}/documents/download-zip", {"document_ids": [one, two]}
        )
        patched = await client.call("PATCH", f"/datasets/{dataset}/documents/{one}", data={"data": "{}"})
        if behaviour == "1.12":
            assert [(one.status, one.kind) for one in (said, packed)] == [
                (404, "text/html; charset=utf-8")
            ] * 2
            assert (patched.status, patched.code) == (405, "method_not_allowed")
            return
        file = await client.call("GET", said.json["url"])
        missing = await client.call(
            "POST", f"/datasets/{dataset}/documents/download-zip", {"document_ids": [NOBODY]}
        )
    assert (file.status, file.body) == (200, b"Mars is red.")
    with zipfile.ZipFile(io.BytesIO(packed.body)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "facts.txt": b"Mars is red.",
            "venus.txt": b"Venus is hot.",
        }
    assert packed.kind == "application/zip"
    assert (missing.status, missing.message.startswith("Document not found.")) == (404, True)


@pytest.mark.parametrize(
    ("metadata", "status", "has"), [("all", 200, True), ("without", 200, False), ("some", 400, False)]
)
async def test_metadata_is_left_out_of_a_document_when_asked(metadata: str, status: int, has: bool) -> None:
    async with knowledge() as client:
        dataset = await client.dataset()
        document = await client.document(dataset, "Mars is red.")
        said = await client.call("GET", f"/datasets/{dataset}/documents/{document}?metadata={metadata}")
    assert (said.status, "doc_metadata" in said.json) == (status, has)
    assert status == 200 or (said.code, said.message) == ("invalid_metadata", "Invalid metadata value: some")


# Segments


@BEHAVIOURS
async def test_segments_are_made_found_changed_and_deleted(behaviour: str) -> None:
    async with knowledge(behaviour) as client:
        dataset = await client.dataset()
        document = await client.document(dataset, "Mars is red.")
        path = f"/datasets/{dataset}/documents/{document}/segments"
        made = await client.made(path, {"segments": [{"content": "Io is a moon.", "keywords": ["io"]}]})
        (segment,) = made["data"]
        kept = await client.made(
            f"{path}/{segment['id']}", {"segment": {"content": "Io is a moon.", "keywords": ["m"]}}
        )
        hidden = await client.made(f"{path}/{segment['id']}", {"segment": {"enabled": False}})
        assert await client.found(dataset, "moon Io") == ["Mars is red."]
        refused = await client.call("POST", f"{path}/{segment['id']}", {"segment": {"content": "x"}})
        back = await client.made(f"{path}/{segment['id']}", {"segment": {"content": "Io!", "enabled": True}})
        assert [one["content"] for one in await client.segments(dataset, document, "?keyword=io")] == ["Io!"]
        assert len(await client.segments(dataset, document, "?status=completed&status=indexing")) == 2
        assert await client.segments(dataset, document, "?status=error") == []
        gone = await client.call("DELETE", f"{path}/{segment['id']}")
        left = await client.segments(dataset, document)
    assert (segment["position"], segment["keywords"], kept["data"]["keywords"]) == (2, ["io"], ["m"])
    assert (hidden["data"]["enabled"], back["data"]["enabled"]) == (False, True)
    assert (refused.status, refused.message) == (400, "Can't update disabled segment")
    assert _removed(gone, behaviour)
    assert [one["content"] for one in left] == ["Mars is red."]


async def test_segments_are_made_of_a_finished_and_enabled_document_only() -> None:
    async with knowledge(indexing_seconds=0.1) as client:
        dataset = await client.dataset()
        given = await client.give(dataset, "Mars is red.")
        path = f"/datasets/{dataset}/documents/{given['document']['id']}/segments"
        body = {"segments": [{"content": "Io is a moon."}]}
        early = await client.call("POST", path, body)
        await client.indexed(dataset, given["batch"])
        ids = {"document_ids": [given["document"]["id"]]}
        await client.call("PATCH", f"/datasets/{dataset}/documents/status/disable", ids)
        late = await client.call("POST", path, body)
    assert [(one.status, one.message) for one in (early, late)] == [
        (404, "Document is not completed."),
        (404, "Document is disabled."),
    ]


async def test_questions_want_answers() -> None:
    async with knowledge() as client:
        dataset = await client.dataset()
        document = await client.document(dataset, "What is red?\nMars.", doc_form="qa_model")
        path = f"/datasets/{dataset}/documents/{document}/segments"
        (segment,) = await client.segments(dataset, document)
        refused = await client.call("POST", path, {"segments": [{"content": "What is hot?"}]})
        pair = {"content": "What is hot?", "answer": "Venus."}
        made = await client.made(path, {"segments": [pair]})
    assert (segment["content"], segment["answer"]) == ("What is red?", "What is red?\nMars.")
    assert (refused.status, refused.message) == (400, "Answer is required")
    assert (made["data"][0]["answer"], made["doc_form"]) == ("Venus.", "qa_model")


PARENTS: dict[str, Any] = {
    "mode": "hierarchical",
    "rules": {
        "segmentation": {"separator": "\n\n", "max_tokens": 100},
        "parent_mode": "paragraph",
        "subchunk_segmentation": {"separator": ". ", "max_tokens": 50},
    },
}


@BEHAVIOURS
async def test_child_chunks_are_made_listed_changed_and_deleted(behaviour: str) -> None:
    async with knowledge(behaviour) as client:
        dataset = await client.dataset()
        document = await client.document(
            dataset, "Mars is red. It is cold.", doc_form="hierarchical_model", process_rule=PARENTS
        )
        (segment,) = await client.segments(dataset, document)
        path = f"/datasets/{dataset}/documents/{document}/segments/{segment['id']}/child_chunks"
        made = (await client.made(path, {"content": "It has two moons."}))["data"]
        page = (await client.call("GET", f"{path}?limit=2&page=2")).json
        named = (await client.call("GET", f"{path}?keyword=COLD")).json
        found = await client.call("POST", f"/datasets/{dataset}/retrieve", {"query": "two moons"})
        changed = await client.call("PATCH", f"{path}/{made['id']}", {"content": "It has moons."})
        gone = await client.call("DELETE", f"{path}/{made['id']}")
        missing = await client.call("PATCH", f"{path}/{made['id']}", {"content": "x"})
    assert [child["content"] for child in segment["child_chunks"]] == ["Mars is red", "It is cold."]
    assert (made["position"], made["type"]) == (3, "customized")
    assert (len(page["data"]), page["total"], page["total_pages"]) == (1, 3, 2)
    assert [child["content"] for child in named["data"]] == ["It is cold."]
    (record,) = found.json["records"]
    assert record["segment"]["content"] == "Mars is red. It is cold."
    assert record["child_chunks"][0]["content"] == "It has two moons."
    assert record["score"] == record["child_chunks"][0]["score"]
    assert changed.json["data"]["content"] == "It has moons."
    assert _removed(gone, behaviour)
    assert (missing.status, missing.code) == (404, "not_found")


async def test_child_chunks_of_a_changed_segment_are_cut_anew_when_asked() -> None:
    async with knowledge() as client:
        dataset = await client.dataset()
        rules = {**PARENTS["rules"], "parent_mode": "full-doc"}
        document = await client.document(
            dataset, "One.\n\nTwo.", doc_form="hierarchical_model", process_rule={**PARENTS, "rules": rules}
        )
        (segment,) = await client.segments(dataset, document)
        path = f"/datasets/{dataset}/documents/{document}/segments/{segment['id']}"
        new = {"content": "Three. Four", "regenerate_child_chunks": True}
        changed = (await client.made(path, {"segment": new}))["data"]
    assert segment["content"] == "One.\n\nTwo."
    assert [child["content"] for child in changed["child_chunks"]] == ["Three", "Four"]


# What is not there


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "", "Dataset not found."),
        ("GET", "/documents", "Dataset not found."),
        ("GET", "/documents/20260101000000123456/indexing-status", "Dataset not found"),
        ("POST", "/retrieve", "Dataset not found"),
        ("GET", "/tags", "Dataset not found."),
        ("GET", "/metadata", "Dataset not found."),
    ],
)
async def test_a_dataset_that_there_is_not_is_told(method: str, path: str, message: str) -> None:
    async with knowledge() as client:
        said = await client.call(method, f"/datasets/{NOBODY}{path}", {} if method == "POST" else None)
    assert (said.status, said.code) == (404, "not_found")
    assert said.message.startswith(message)


async def test_what_is_not_in_a_dataset_is_told() -> None:
    async with knowledge() as client:
        dataset = await client.dataset()
        document = await client.document(dataset, "Mars is red.")
        (segment,) = await client.segments(dataset, document)
        segments = f"/datasets/{dataset}/documents/{document}/segments"
        missing = {
            f"/datasets/{dataset}/documents/20260101000000123456/indexing-status": "Documents not found",
            f"/datasets/{dataset}/documents/{NOBODY}": "Document not found",
            f"/datasets/{dataset}/documents/{NOBODY}/segments": "Document not found",
            f"{segments}/{NOBODY}": "Segment not found",
            f"{segments}/{NOBODY}/child_chunks": "Segment not found",
        }
        for path, message in missing.items():
            said = await client.call("GET", path)
            assert (said.status, said.message.startswith(message)) == (404, True), said.message
        page = await client.call("GET", f"{segments}/abc")
        assert (page.status, page.kind) == (404, "text/html; charset=utf-8")
        assert (await client.call("GET", f"{segments}/{segment['id']}")).status == 200
