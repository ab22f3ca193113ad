"""How far a push is, shown on the terminal: two bars, or a line for each step where nobody watches."""

from __future__ import annotations

from types import TracebackType
from typing import Literal, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from opendify.cli.kb.plan import Plan
from opendify.cli.terminal import plain

__all__ = ["Bars"]


class Bars:
    """One bar for what is sent, in bytes, and one for what is indexed, in documents."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description:10}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._sending = self._progress.add_task("Sending", total=0, unit="bytes")
        self._indexing = self._progress.add_task("Indexing", total=0, unit="documents")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, todo: Plan) -> None:
        """What is to be done."""
        self._progress.update(self._sending, total=sum(step.file.size for step in todo.uploads))
        self._progress.update(self._indexing, total=len(todo.uploads) + len(todo.waits))

    def bytes_sent(self, count: int) -> None:
        """So many bytes more are on their way."""
        self._progress.advance(self._sending, count)

    def file(self, path: str, what: Literal["sent", "indexed", "failed"], why: str = "") -> None:
        """What happened to a file. Failures are told once more at the end."""
        if what != "sent":
            self._progress.advance(self._indexing)
        if not self._console.is_terminal:
            said = f"{what} {path}: {why}" if why else f"{what} {path}"
            self._console.print(plain(said), markup=False, soft_wrap=True)
