"""A folder pushed into a dataset, and what is in there looked at, from the command line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opendify import AsyncKnowledge, Knowledge
from opendify.cli.kb import push
from opendify.cli.kb.state import STATE_FILE, Pushed, State
from opendify.simulator import Simulator
from sdk.wire_server import WireServer, answer
from servers import eventually

from .conftest import COMMAND, SECONDS, Run, in_a_terminal, said


@pytest.fixture
def simulated() -> Iterator[Simulator]:
    """The simulated Dify that the commands of this file speak to."""
    with Simulator(pace=0, indexing_seconds=0.05) as dify:
        yield dify


@pytest.fixture
def knowledge(simulated: Simulator) -> Iterator[Knowledge]:
    """What is in there."""
    with Knowledge(simulated.dataset_key, base_url=simulated.base_url) as client:
        yield client


@pytest.fixture
def variables(simulated: Simulator) -> dict[str, str]:
    """The settings of somebody who uses that Dify."""
    return {"DIFY_API_BASE": simulated.base_url, "DIFY_DATASET_KEY": simulated.dataset_key}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three documents, and files that are none."""
    files = {
        "guide.md": "# Guide\n\nThe capital of Mars is Olympus City.",
        "api/users.md": "# Users\n\nEvery user has a name.",
        "api/中文.txt": "火星的首都是奥林匹斯城。",
        "picture.png": "no document",
        ".git/config.txt": "hidden",
        "empty.md": "",
    }
    for path, text in files.items():
        (tmp_path / "docs" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / path).write_text(text, "utf-8")
    return tmp_path / "docs"


def documents(knowledge: Knowledge, dataset: str = "Handbook") -> dict[str, str]:
    """Name and status of all documents of a dataset; a name that is there twice is a fault."""
    (found,) = (one for one in knowledge.datasets.list() if one.name == dataset)
    listed = list(knowledge.documents.list(found.id))
    by_name = {document.name: document.indexing_status for document in listed}
    assert len(by_name) == len(listed), "a document is there twice"
    return by_name


PUSH = ("kb", "push", "docs", "--dataset", "Handbook")
ALL = {"guide.md": "completed", "api__users.md": "completed", "api__中文.txt": "completed"}


def test_a_folder_is_pushed_and_then_only_what_changed(
    opendify: Run, knowledge: Knowledge, variables: dict[str, str], folder: Path
) -> None:
    first = opendify(*PUSH, **variables)
    assert first.returncode == 0, said(first)
    assert "There was no dataset 'Handbook': it is made." in said(first)
    assert "3 sent, 3 indexed, 0 unchanged." in first.stdout
    assert documents(knowledge) == ALL

    again = opendify(*PUSH, **variables)
    assert again.stdout == "0 sent, 0 indexed, 3 unchanged.\n"

    (folder / "guide.md").write_text("The capital of Mars is Valles City.", "utf-8")
    os.utime(folder / "api/users.md")  # touched, and the same
    changed = opendify(*PUSH, **variables)
    assert changed.stdout == "1 sent, 1 indexed, 2 unchanged.\n"
    assert documents(knowledge) == ALL
    found = opendify("kb", "search", "Handbook", "capital of Mars", **variables)
    assert "Valles City" in found.stdout
    assert "Olympus City" not in found.stdout


def test_documents_whose_files_are_gone_are_deleted_on_request_alone(
    opendify: Run, knowledge: Knowledge, variables: dict[str, str], folder: Path
) -> None:
    opendify(*PUSH, **variables)
    (handbook,) = knowledge.datasets.list()
    knowledge.documents.create_by_text(handbook.id, name="By hand", text="Nobody pushed this.")
    (folder / "guide.md").unlink()
    kept = opendify(*PUSH, **variables)
    assert "Documents whose files are gone: 1; --prune deletes them." in said(kept)
    assert "guide.md" in documents(knowledge)
    pruned = opendify(*PUSH, "--prune", **variables)
    assert "1 deleted" in pruned.stdout
    assert set(documents(knowledge)) == {"api__users.md", "api__中文.txt", "By hand"}


def test_files_that_are_left_out_keep_their_documents(
    opendify: Run, knowledge: Knowledge, variables: dict[str, str], folder: Path
) -> None:
    opendify(*PUSH, **variables)
    result = opendify(*PUSH, "--prune", "--exclude", "api/*", **variables)
    assert result.stdout == "0 sent, 0 indexed, 1 unchanged, 0 deleted.\n"
    assert documents(knowledge) == ALL


def test_a_document_that_dify_does_not_give_up_is_told_and_stops_nothing(
    opendify: Run, knowledge: Knowledge, variables: dict[str, str], folder: Path
) -> None:
    opendify(*PUSH, **variables)
    (handbook,) = knowledge.datasets.list()
    ids = {found.name: found.id for found in knowledge.documents.list(handbook.id)}
    archived = [ids["guide.md"], ids["api__users.md"]]
    # One that is switched off, too: Dify does not put the new one in its place by itself.
    knowledge.documents.set_status(handbook.id, "disable", document_ids=[ids["guide.md"]])
    knowledge.documents.set_status(handbook.id, "archive", document_ids=archived)
    (folder / "guide.md").write_text("New.", "utf-8")
    (folder / "api/users.md").unlink()
    result = opendify(*PUSH, "--prune", **variables)
    assert result.returncode == 1
    assert "1 sent, 0 indexed, 1 unchanged, 0 deleted, 2 failed." in result.stdout
    assert "guide.md: It is indexed, but what it replaces can't be deleted: 403" in result.stderr
    assert "api/users.md: The file is gone, but its document can't be deleted: 403" in result.stderr
    knowledge.documents.set_status(handbook.id, "un_archive", document_ids=archived)
    again = opendify(*PUSH, "--prune", **variables)
    assert (again.returncode, again.stdout) == (0, "0 sent, 1 indexed, 1 unchanged, 1 deleted.\n")
    assert set(documents(knowledge)) == {"guide.md", "api__中文.txt"}


def test_a_push_that_is_stopped_by_ctrl_c_tells_what_it_did(
    environment: Callable[..., dict[str, str]],
    simulated: Simulator,
    variables: dict[str, str],
    tmp_path: Path,
) -> None:
    (tmp_path / "docs").mkdir()
    for number in range(100):
        (tmp_path / "docs" / f"{number:02}.md").write_text(f"Fact number {number}.", "utf-8")
    process = subprocess.Popen(
        [*COMMAND, *PUSH],
        cwd=tmp_path,
        env=environment(PYTHONUNBUFFERED="1", **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        sent = 0
        while sent < 10:
            sent += process.stderr.readline().startswith("sent ")
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert re.match(r"\d\d sent, \d+ indexed, 0 unchanged", told)


def test_what_would_be_done_can_be_seen_first(
    opendify: Run, knowledge: Knowledge, variables: dict[str, str], folder: Path
) -> None:
    told = opendify(*PUSH, "--dry-run", **variables)
    assert "make the dataset Handbook" in told.stdout
    assert "send guide.md" in told.stdout
    assert list(knowledge.datasets.list()) == []
    assert not (folder / STATE_FILE).exists()
    opendify(*PUSH, **variables)
    (folder / "guide.md").write_text("New.", "utf-8")
    (folder / "api/users.md").unlink()
    told = opendify(*PUSH, "--dry-run", "--prune", **variables)
    assert told.stdout.splitlines() == [
        "send guide.md in place of the old one",
        "delete api/users.md",
        "1 to send, 1 unchanged, 1 to delete.",
    ]
    assert documents(knowledge) == ALL


def test_every_file_that_fails_is_told_with_the_reason_and_stops_no_other(
    opendify: Run, knowledge: Knowledge, variables: dict[str, str], folder: Path
) -> None:
    (folder / "broken.txt").write_text("[[error:index]]", "utf-8")
    (folder / "program.exe").write_bytes(b"MZ\x00\x01")
    result = opendify(*PUSH, "--include", "*.txt", "--include", "*.md", "--include", "*.exe", **variables)
    assert result.returncode == 1
    assert "3 indexed" in result.stdout
    assert "2 failed" in result.stdout
    assert re.search(r"^broken.txt: Dify could not index it: \S+", result.stderr, re.MULTILINE)
    assert re.search(r"^program.exe: 4\d\d \w+: ", result.stderr, re.MULTILINE)
    assert {"guide.md", "api__users.md", "api__中文.txt"} <= set(documents(knowledge))
    (folder / "broken.txt").write_text("Mended.", "utf-8")
    mended = opendify(*PUSH, **variables)
    assert (mended.returncode, mended.stdout) == (0, "1 sent, 1 indexed, 3 unchanged.\n")
    assert documents(knowledge)["broken.txt"] == "completed"


def test_a_push_that_is_killed_goes_on_where_it_was(
    opendify: Run,
    knowledge: Knowledge,
    variables: dict[str, str],
    environment: Callable[..., dict[str, str]],
    tmp_path: Path,
) -> None:
    many = tmp_path / "docs"
    many.mkdir()
    for number in range(60):
        (many / f"{number:02}.md").write_text(f"Fact number {number}.", "utf-8")
    process = subprocess.Popen(
        [*COMMAND, *PUSH, "--jobs", "2"],
        cwd=tmp_path,
        env=environment(PYTHONUNBUFFERED="1", **variables),
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        sent = 0
        while sent < 10:
            sent += process.stderr.readline().startswith("sent ")
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    (handbook,) = knowledge.datasets.list()
    arrived = len(list(knowledge.documents.list(handbook.id)))
    assert 10 <= arrived < 60
    result = opendify(*PUSH, **variables)
    assert result.returncode == 0, said(result)
    match = re.search(r"(\d+) sent, (\d+) indexed, (\d+) unchanged", result.stdout)
    assert match is not None
    assert int(match[1]) == 60 - arrived, "what had arrived was sent again"
    assert len(documents(knowledge)) == 60


def test_a_push_that_does_not_wait_is_finished_by_the_next_one(
    opendify: Run, knowledge: Knowledge, variables: dict[str, str], folder: Path
) -> None:
    assert opendify(*PUSH, "--no-wait", **variables).stdout == "3 sent, 0 indexed, 0 unchanged.\n"
    again = opendify(*PUSH, **variables)
    assert again.returncode == 0
    assert again.stdout.startswith("0 sent, ")
    assert documents(knowledge) == ALL


def test_a_changed_file_takes_the_place_of_a_document_that_is_switched_off(
    opendify: Run, knowledge: Knowledge, variables: dict[str, str], folder: Path
) -> None:
    opendify(*PUSH, **variables)
    (handbook,) = knowledge.datasets.list()
    (old,) = (found.id for found in knowledge.documents.list(handbook.id) if found.name == "guide.md")
    knowledge.documents.set_status(handbook.id, "disable", document_ids=[old])
    (folder / "guide.md").write_text("New.", "utf-8")
    assert opendify(*PUSH, "--no-wait", **variables).stdout == "1 sent, 0 indexed, 2 unchanged.\n"
    listed = list(knowledge.documents.list(handbook.id))
    assert len(listed) == 4, "Dify does not put it in its place by itself"
    eventually(
        lambda: all(one.indexing_status == "completed" for one in knowledge.documents.list(handbook.id))
    )
    assert opendify(*PUSH, **variables).stdout == "0 sent, 1 indexed, 2 unchanged.\n"
    assert documents(knowledge) == ALL


def test_a_folder_pushed_from_another_machine_leaves_nothing_there_twice(
    opendify: Run, knowledge: Knowledge, variables: dict[str, str], folder: Path
) -> None:
    opendify(*PUSH, **variables)
    (folder / STATE_FILE).unlink()
    assert opendify(*PUSH, **variables).stdout == "3 sent, 3 indexed, 0 unchanged.\n"
    assert documents(knowledge) == ALL


def test_a_document_that_somebody_deletes_while_it_is_indexed_is_told(
    knowledge: Knowledge,
    variables: dict[str, str],
    environment: Callable[..., dict[str, str]],
    tmp_path: Path,
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "slow.md").write_text("[[index:30]]", "utf-8")
    (tmp_path / "docs" / "quick.md").write_text("Quick.", "utf-8")
    process = subprocess.Popen(
        [*COMMAND, *PUSH], cwd=tmp_path, env=environment(**variables), stderr=subprocess.PIPE, text=True
    )
    with process:
        eventually(lambda: "slow.md" in _names(knowledge))
        (handbook,) = knowledge.datasets.list()
        (slow,) = (one.id for one in knowledge.documents.list(handbook.id) if one.name == "slow.md")
        knowledge.documents.delete(handbook.id, slow)
        _, told = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "slow.md: Somebody deleted the document while it was indexed." in told


def _names(knowledge: Knowledge) -> set[str]:
    return {
        document.name
        for dataset in knowledge.datasets.list()
        for document in knowledge.documents.list(dataset.id)
    }


async def test_what_dify_refuses_for_its_limit_is_tried_until_it_takes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = b"Sorry, you have reached the knowledge base request rate limit of your subscription."
    limited = answer(b'{"code":"forbidden","message":"%s","status":403}' % words, status=403)
    monkeypatch.setattr(push, "LIMIT_PAUSE", 0)
    pushed, outcome = Pushed("a.md", "abc", "a.md", "d1"), push.Outcome()
    with WireServer(*[limited] * 9, answer(b"", status=204)) as server, State(tmp_path / "s", "id") as state:
        async with AsyncKnowledge("dataset-x", base_url=server.url, max_retries=0) as knowledge:
            await push.prune(knowledge, "id", [pushed], state, outcome)
    assert (outcome.deleted, outcome.failures) == (1, {})
    monkeypatch.setattr(push, "LIMIT_PATIENCE", 0)
    with WireServer(*[limited] * 9) as server, State(tmp_path / "s", "id") as state:
        async with AsyncKnowledge("dataset-x", base_url=server.url, max_retries=0) as knowledge:
            await push.prune(knowledge, "id", [pushed], state, outcome)
    assert "rate limit" in outcome.failures["a.md"]


def test_in_a_terminal_two_bars_show_how_far_it_is(
    knowledge: Knowledge,
    variables: dict[str, str],
    environment: Callable[..., dict[str, str]],
    folder: Path,
    tmp_path: Path,
) -> None:
    shown = in_a_terminal(*PUSH, env=environment(**variables), cwd=tmp_path)
    assert shown.returncode == 0
    size = sum((folder / path).stat().st_size for path in ("guide.md", "api/users.md", "api/中文.txt"))
    assert re.search(rf"Sending +\S+ +100% +{size}/{size} +bytes", shown.plain)
    assert re.search(r"Indexing +\S+ +100% +3/3 +documents", shown.plain)


# list, search, rm


def test_datasets_documents_and_passages_are_listed_for_pipes(
    opendify: Run, knowledge: Knowledge, variables: dict[str, str], folder: Path
) -> None:
    opendify(*PUSH, **variables)
    (row,) = opendify("kb", "list", **variables).stdout.splitlines()
    name, count, words, dataset_id = row.split("\t")
    assert (name, count) == ("Handbook", "3")
    assert int(words) > 0
    rows = opendify("kb", "list", dataset_id, **variables).stdout.splitlines()
    assert {row.split("\t")[0] for row in rows} == set(ALL)
    assert {row.split("\t")[1] for row in rows} == {"available"}
    found = opendify("kb", "search", "Handbook", "capital", "--top-k", "1", "--json", **variables)
    (record,) = (json.loads(line) for line in found.stdout.splitlines())
    assert "Olympus City" in record["segment"]["content"]
    assert "火星" in opendify("kb", "search", "Handbook", "火星的首都", **variables).stdout
    assert (
        opendify("kb", "search", "Handbook", "zzz", "--method", "keyword_search", **variables).returncode == 1
    )


def test_a_folder_without_a_file_to_push_is_told(
    opendify: Run, variables: dict[str, str], folder: Path
) -> None:
    told = opendify(*PUSH, "--include", "*.nothing", "--dry-run", **variables)
    assert "docs has no file to push; left out: 4, see --include." in said(told)


def test_documents_and_datasets_are_deleted_only_when_asked_for_twice(
    opendify: Run, knowledge: Knowledge, variables: dict[str, str], folder: Path
) -> None:
    opendify(*PUSH, **variables)
    unasked = opendify("kb", "rm", "Handbook", "guide.md", **variables)
    assert unasked.returncode == 2
    assert "Delete 1 of the 3 documents of 'Handbook'? Nobody is here to ask: say --yes." in said(unasked)
    assert opendify("kb", "rm", "Handbook", "guide.md", "--yes", **variables).stdout == "Deleted guide.md.\n"
    assert set(documents(knowledge)) == {"api__users.md", "api__中文.txt"}
    as_pushed = opendify("kb", "rm", "Handbook", "api/users.md", "--yes", **variables)
    assert as_pushed.stdout == "Deleted api__users.md.\n"
    assert opendify("kb", "rm", "Handbook", "--yes", **variables).returncode == 0
    assert list(knowledge.datasets.list()) == []


@pytest.mark.parametrize(
    ("arguments", "changes", "sentence"),
    [
        (["list"], {"DIFY_DATASET_KEY": ""}, "No key of your knowledge: set DIFY_DATASET_KEY to one"),
        (["list"], {"DIFY_DATASET_KEY": "dataset-wrong"}, "401 unauthorized"),
        (
            ["list"],
            {"DIFY_API_BASE": "http://127.0.0.1:1"},
            "No connection to http://127.0.0.1:1/v1/datasets",
        ),
        (["list", "Nothing"], {}, "There is no dataset 'Nothing'; see: opendify kb list"),
        (["search", "Nothing", "x"], {}, "There is no dataset 'Nothing'"),
        (["rm", "Nothing", "--yes"], {}, "There is no dataset 'Nothing'"),
        (["push", "nowhere", "--dataset", "x"], {}, "'nowhere' does not exist"),
        (["push", "docs"], {}, "Missing option '--dataset'"),
        (["push", "docs", "--dataset", "x" * 41], {}, "--dataset: name has 41 characters; Dify takes 40."),
    ],
)
def test_a_mistake_ends_in_a_sentence(
    opendify: Run,
    variables: dict[str, str],
    folder: Path,
    arguments: list[str],
    changes: dict[str, str],
    sentence: str,
) -> None:
    result = opendify("kb", *arguments, **(variables | changes))
    assert sentence in said(result).replace("│ ", "").replace(" │", "")
    assert result.returncode == 2


def test_a_question_that_is_too_long_is_told(opendify: Run, variables: dict[str, str], folder: Path) -> None:
    opendify(*PUSH, **variables)
    result = opendify("kb", "search", "Handbook", "x" * 251, **variables)
    assert result.returncode == 2
    assert "query has 251 characters; Dify takes 250." in said(result)


def test_a_dataset_is_searched_as_it_is_set_up_but_for_what_is_asked_for(
    opendify: Run, knowledge: Knowledge, variables: dict[str, str], folder: Path
) -> None:
    opendify(*PUSH, **variables)
    (handbook,) = knowledge.datasets.list()
    knowledge.datasets.update(
        handbook.id, retrieval_model={"search_method": "semantic_search", "top_k": 1, "score_threshold": 0.01}
    )

    def found(*options: str) -> int:
        search = opendify("kb", "search", "Handbook", "user name capital", "--json", *options, **variables)
        return len(search.stdout.splitlines())

    assert found() == 1
    assert found("--top-k", "3") == 2  # the third has no word of it: the threshold still holds


def test_what_is_found_is_printed_as_it_is(opendify: Run, variables: dict[str, str], folder: Path) -> None:
    (folder / "guide.md").write_text("A :smile: is [b]no[/b] markup.", "utf-8")
    opendify(*PUSH, **variables)
    found = opendify("kb", "search", "Handbook", "smile", "--top-k", "1", **variables)
    assert "A :smile: is [b]no[/b] markup." in found.stdout


def test_keys_do_not_reach_what_is_printed(opendify: Run, variables: dict[str, str], folder: Path) -> None:
    for key in ("dataset-sim", "dataset-wrong"):
        result = opendify(*PUSH, **(variables | {"DIFY_DATASET_KEY": key}))
        assert key not in said(result)
