"""What was pushed: a small SQLite file in the folder, written at every step, so that a kill loses nothing."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from opendify.cli.options import UsageError

__all__ = ["STATE_FILE", "Pushed", "State"]

STATE_FILE = ".opendify-kb.sqlite3"


@dataclass(frozen=True, slots=True)
class Pushed:
    """What is known of a file in Dify."""

    path: str
    sha256: str
    """Of the content that was sent."""
    name: str
    document_id: str | None = None
    """`None`: the file was on its way, and nobody heard whether it arrived."""
    replaces: tuple[str, ...] = ()
    """Documents to be deleted as soon as this one can be searched."""


class State:
    """What was pushed from a folder to one dataset. One process at a time may have it open.

    Raises `UsageError` on entering, if another process has it, or if the file is no state; later, where it
    can't be written.
    """

    def __init__(self, file: Path, dataset_id: str) -> None:
        self._file = file
        self._dataset_id = dataset_id

    def __enter__(self) -> Self:
        try:
            self._database = sqlite3.connect(self._file, timeout=0, isolation_level=None)
            try:
                self._database.execute("PRAGMA locking_mode = EXCLUSIVE")  # until closed, or killed
                self._database.execute(
                    "CREATE TABLE IF NOT EXISTS pushed (dataset_id TEXT, path TEXT, sha256 TEXT, name TEXT, "
                    "document_id TEXT, replaces TEXT, PRIMARY KEY (dataset_id, path))"
                )
                self._database.execute("BEGIN IMMEDIATE")
                self._database.execute("COMMIT")
            except BaseException:
                self._database.close()
                raise
        except sqlite3.OperationalError as error:
            busy = "locked" in str(error)
            raise UsageError(
                f"Another push of this folder is running: {self._file.name} is in use. Wait for it to end."
                if busy
                else f"{self._file} can't be written ({error}). Name another place with --state."
            ) from error
        except sqlite3.DatabaseError as error:
            raise UsageError(
                f"{self._file} is not a state of opendify kb ({error}). Move it away, or use --state."
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def all(self) -> dict[str, Pushed]:
        """All that is known, by path."""
        rows = self._database.execute(
            "SELECT path, sha256, name, document_id, replaces FROM pushed WHERE dataset_id = ?",
            (self._dataset_id,),
        )
        return {
            path: Pushed(path, sha256, name, document_id, tuple(json.loads(replaces)))
            for path, sha256, name, document_id, replaces in rows
        }

    def begin(self, pushed: Pushed) -> None:
        """A file is about to be sent."""
        self._keep(pushed)

    def arrived(self, pushed: Pushed, document_id: str) -> Pushed:
        """Dify has taken the file. The document's id may be that of one whose place it took by itself."""
        replaces = tuple(old for old in pushed.replaces if old != document_id)
        pushed = replace(pushed, document_id=document_id, replaces=replaces)
        self._keep(pushed)
        return pushed

    def done(self, pushed: Pushed) -> None:
        """The document can be searched, and what it replaces is deleted."""
        self._keep(replace(pushed, replaces=()))

    def forget(self, path: str) -> None:
        """The document is deleted."""
        self._write("DELETE FROM pushed WHERE dataset_id = ? AND path = ?", self._dataset_id, path)

    def _keep(self, pushed: Pushed) -> None:
        self._write(
            "INSERT OR REPLACE INTO pushed VALUES (?, ?, ?, ?, ?, ?)",
            self._dataset_id,
            pushed.path,
            pushed.sha256,
            pushed.name,
            pushed.document_id,
            json.dumps(pushed.replaces),
        )

    def _write(self, statement: str, *values: str | None) -> None:
        try:
            self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise UsageError(f"{self._file} can't be written any more ({error}).") from error
