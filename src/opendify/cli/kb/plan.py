"""What a push has to do: files here, what was pushed before and what Dify has, made into steps. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from opendify.cli.kb.folder import LocalFile, document_names
from opendify.cli.kb.state import Pushed

__all__ = ["Known", "Plan", "Step", "plan"]


@dataclass(frozen=True, slots=True)
class Known:
    """A document that Dify has."""

    id: str
    name: str
    status: str
    """Dify's `indexing_status`."""
    created_at: int = 0
    """Seconds since 1970."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A file and what is to be written down of it."""

    file: LocalFile
    pushed: Pushed


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a push."""

    uploads: list[Step] = field(default_factory=list[Step])
    waits: list[Step] = field(default_factory=list[Step])
    """Sent before, and not yet known to be searchable."""
    unchanged: list[LocalFile] = field(default_factory=list[LocalFile])
    gone: list[Pushed] = field(default_factory=list[Pushed])
    """Pushed before, and no longer there."""


def plan(
    files: Iterable[LocalFile],
    before: Mapping[str, Pushed],
    documents: Iterable[Known],
    others: Collection[str] = (),
) -> Plan:
    """Decide. `others`: paths of files and folders that are there and not to be pushed.

    - A file is sent if its content is not the one that was pushed, if its document is not in Dify any more,
      or if Dify failed to index it. Documents that it takes the place of are named in `replaces`: they are
      deleted when the new one can be searched. (Mostly there are none: Dify puts a file in the place of an
      enabled document of the same name by itself. Its operation to update a document is not used, because
      1.12.1 never finishes it.)
    - A document of the same name that nobody here pushed is replaced too, so that nothing is there twice.
    - A file that was on its way when the last push was killed counts as arrived if Dify has a document of its
      name that was not there before.
    """
    files = list(files)
    names = document_names(file.path for file in files)
    by_id = {document.id: document for document in documents}
    claimed = {pushed.document_id for pushed in before.values()} | {
        old for pushed in before.values() for old in pushed.replaces
    }
    strangers: dict[str, list[str]] = {}
    for document in sorted(by_id.values(), key=lambda document: document.created_at, reverse=True):
        if document.id not in claimed:
            strangers.setdefault(document.name, []).append(document.id)
    made = Plan(
        gone=[
            _found(pushed, strangers)
            for path, pushed in before.items()
            if path not in names and not _is_there(path, others)
        ]
    )
    for file in files:
        known = before.get(file.path)
        name = names[file.path]
        if known is not None:
            known = _found(known, strangers)
        _decide(made, file, name, known, by_id, strangers.pop(name, []))
    return made


def _is_there(path: str, others: Collection[str]) -> bool:
    return path in others or any(str(parent) in others for parent in PurePosixPath(path).parents)


def _found(pushed: Pushed, strangers: dict[str, list[str]]) -> Pushed:
    """A file that was on its way when the last push ended arrived if Dify has a new document of its name."""
    if pushed.document_id is not None or pushed.name not in strangers:
        return pushed
    newest, *others = strangers.pop(pushed.name)
    return replace(pushed, document_id=newest, replaces=(*pushed.replaces, *others))


def _decide(
    made: Plan,
    file: LocalFile,
    name: str,
    before: Pushed | None,
    by_id: Mapping[str, Known],
    strangers: list[str],
) -> None:
    document = by_id.get(before.document_id or "") if before is not None else None
    same = before is not None and before.sha256 == file.sha256
    if before is not None and document is not None and same and document.status != "error":
        if document.status == "completed" and not before.replaces:
            made.unchanged.append(file)
        else:
            made.waits.append(Step(file, before))
        return
    old = [*(before.replaces if before else ()), *([document.id] if document else []), *strangers]
    replaces = tuple(dict.fromkeys(document_id for document_id in old if document_id in by_id))
    made.uploads.append(Step(file, Pushed(file.path, file.sha256, name, None, replaces)))
