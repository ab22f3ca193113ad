"""What a push has to do, decided from files, what was pushed before, and what Dify has."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from opendify.cli.kb.folder import LocalFile, content_of, document_names, matches, sha256_of
from opendify.cli.kb.plan import Known, plan
from opendify.cli.kb.state import Pushed, State
from opendify.cli.options import UsageError

FILE = LocalFile("guide.md", 10, "new")


def known(document_id: str, status: str = "completed", name: str = "guide.md", created_at: int = 0) -> Known:
    return Known(document_id, name, status, created_at)


def pushed(sha256: str, document_id: str | None, *replaces: str) -> dict[str, Pushed]:
    return {"guide.md": Pushed("guide.md", sha256, "guide.md", document_id, replaces)}


CASES: dict[str, tuple[dict[str, Pushed], list[Known], tuple[str, str | None, tuple[str, ...]]]] = {
    "a new file is sent": ({}, [], ("send", None, ())),
    "a file that did not change is left alone": (pushed("new", "d1"), [known("d1")], ("leave", None, ())),
    "a changed file is sent in place of the old one": (
        pushed("old", "d1"),
        [known("d1")],
        ("send", None, ("d1",)),
    ),
    "a file whose document was deleted in Dify is sent again": (pushed("new", "d1"), [], ("send", None, ())),
    "a file that Dify failed to index is sent again": (
        pushed("new", "d1"),
        [known("d1", "error")],
        ("send", None, ("d1",)),
    ),
    "the last good version stays until a new one can be searched": (
        pushed("old", "d2", "d1"),
        [known("d1"), known("d2", "error")],
        ("send", None, ("d1", "d2")),
    ),
    "a file that is being indexed is waited for": (
        pushed("new", "d1"),
        [known("d1", "indexing")],
        ("wait", "d1", ()),
    ),
    "what an indexed file replaces and was not yet deleted is seen to": (
        pushed("new", "d2", "d1"),
        [known("d1"), known("d2")],
        ("wait", "d2", ("d1",)),
    ),
    "a file that was on its way and did not arrive is sent": (pushed("new", None), [], ("send", None, ())),
    "a file that was on its way and arrived is not sent twice": (
        pushed("new", None, "d1"),
        [known("d1"), known("d2", "indexing")],
        ("wait", "d2", ("d1",)),
    ),
    "a file that arrived, and changed since, is sent in place of what arrived": (
        pushed("old", None),
        [known("d1")],
        ("send", None, ("d1",)),
    ),
    "a document of the same name that somebody else put there is replaced": (
        {},
        [known("theirs"), known("another", name="other.md")],
        ("send", None, ("theirs",)),
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_a_push_decides_that(what: str) -> None:
    before, documents, (action, document_id, replaces) = CASES[what]
    made = plan([FILE], before, documents)
    steps = {"send": made.uploads, "wait": made.waits}
    for name, found in steps.items():
        assert len(found) == (name == action)
    assert (made.unchanged == [FILE]) == (action == "leave")
    for step in steps.get(action, []):
        assert (step.pushed.document_id, step.pushed.replaces) == (document_id, replaces)
        assert step.pushed.sha256 == "new"


def test_files_that_are_gone_are_told_with_the_document_that_may_have_arrived() -> None:
    made = plan([], pushed("old", None), [known("d1")])
    assert [(gone.path, gone.document_id) for gone in made.gone] == [("guide.md", "d1")]


@pytest.mark.parametrize("others", [{"guide.md"}, {"a/guide.md", "a"}])
def test_what_is_there_and_not_pushed_this_time_is_not_gone(others: set[str]) -> None:
    before = {path: Pushed(path, "old", "guide.md", "d1") for path in others if path.endswith(".md")}
    assert plan([], before, [], others - {"a/guide.md"}).gone == []
    assert len(plan([], before, []).gone) == 1


def test_no_two_files_have_one_document_name() -> None:
    paths = ["a/b.md", "a__b.md", "c.md", "x" * 300 + ".md", "y/" + "x" * 300 + ".md", 'a"b.md', "a\nb.md"]
    names = document_names(paths)
    assert len(set(names.values())) == len(paths)
    assert names["c.md"] == "c.md"
    assert all("/" not in name and name.endswith(".md") and len(name) < 130 for name in names.values())
    assert not any(char in name for name in names.values() for char in '"\n')
    assert len(document_names(["x" * 300])["x" * 300]) < 130


@pytest.mark.parametrize(
    ("path", "include", "exclude", "taken"),
    [
        ("guide.md", [], [], True),
        ("sub/GUIDE.PDF", [], [], True),
        ("picture.png", [], [], False),
        ("picture.png", ["*.png"], [], True),
        ("guide.md", ["*.png"], [], False),
        ("drafts/guide.md", [], ["drafts/*"], False),
        ("drafts/a/guide.md", [], ["drafts/*"], False),
        ("guide.md", [], ["g*.md"], False),
        ("a/b/guide.md", ["a/*.md"], [], True),
        ("c/guide.md", ["a/*.md"], [], False),
    ],
)
def test_files_are_chosen_by_patterns(path: str, include: list[str], exclude: list[str], taken: bool) -> None:
    assert matches(path, include, exclude) is taken


def test_a_folder_is_read_in_order_without_what_is_hidden(tmp_path: Path) -> None:
    for path in ("b.md", "a/z.txt", "a/y.txt", ".git/x.md", "a/.secret.md", "c.bin"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(path)
    (tmp_path / "empty.md").touch()
    (tmp_path / "nowhere.md").symlink_to("nothing")
    content = content_of(tmp_path, [], ["a/z.txt"])
    assert [file.path for file in content.files] == ["b.md", "a/y.txt"]
    assert content.others == {"a/z.txt", "c.bin"}
    assert content.failures == {}
    assert sha256_of(tmp_path / "b.md") != sha256_of(tmp_path / "a/y.txt")


def test_what_cannot_be_read_is_told_and_stands_in_for_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "open.md").write_text("open")
    (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text("Latin-1")
    scandir = os.scandir

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    content = content_of(tmp_path, [], [])
    assert [file.path for file in content.files] == ["open.md"]
    assert content.failures == {
        "closed": "It can't be read: Permission denied.",
        "caf\udce9.md": "Its name is not in UTF-8; give it another one.",
    }
    assert content.others == set(content.failures)


def test_what_was_pushed_is_known_after_every_step_to_one_dataset_alone(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite3"
    with State(file, "one") as state:
        state.begin(Pushed("guide.md", "abc", "guide.md", None, ("old",)))
    with State(file, "one") as state:
        (found,) = state.all().values()
        assert found == Pushed("guide.md", "abc", "guide.md", None, ("old",))
        state.done(state.arrived(found, "d1"))
    with State(file, "two") as state:
        assert state.all() == {}
    with State(file, "one") as state:
        assert state.all() == {"guide.md": Pushed("guide.md", "abc", "guide.md", "d1", ())}
        state.forget("guide.md")
        assert state.all() == {}


def test_two_pushes_of_a_folder_do_not_run_at_once(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite3"
    with State(file, "one"), pytest.raises(UsageError, match="Another push"), State(file, "one"):
        pass
    with State(file, "one"):  # the first one has let go
        pass


def test_a_file_that_is_no_state_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite3"
    file.write_bytes(b"something else" * 1000)
    with pytest.raises(UsageError, match="is not a state"), State(file, "one"):
        pass
    assert file.read_bytes() == b"something else" * 1000
    with pytest.raises(UsageError, match="--state"), State(tmp_path / "nowhere" / "state", "one"):
        pass


def test_the_state_holds_no_content_and_no_key(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite3"
    with State(file, "one") as state:
        state.begin(Pushed("guide.md", "abc", "guide.md"))
    columns = [row[1] for row in sqlite3.connect(file).execute("PRAGMA table_info(pushed)")]
    assert columns == ["dataset_id", "path", "sha256", "name", "document_id", "replaces"]
