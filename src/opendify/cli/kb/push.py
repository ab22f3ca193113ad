"""A push: files are sent, several at a time; Dify indexes them; what they replace is deleted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from opendify import (
    APIConnectionError,
    APIStatusError,
    AsyncKnowledge,
    AuthenticationError,
    DifyError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from opendify.cli.kb.plan import Known, Plan, Step
from opendify.cli.kb.state import Pushed, State
from opendify.cli.options import UsageError
from opendify.types import Document, IndexingTechnique

__all__ = ["Outcome", "Show", "known_documents", "prune", "push"]

T = TypeVar("T")

LIMIT_PAUSE, LIMIT_PATIENCE = 5.0, 300.0
"""Seconds between two tries of what Dify's limit refuses, and until it is given up."""

_FIRST_LOOK, _LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two looks at how far Dify's indexing is; they grow while nothing happens."""


@dataclass(slots=True)
class Outcome:
    """How a push went."""

    sent: int = 0
    indexed: int = 0
    deleted: int = 0
    failures: dict[str, str] = field(default_factory=dict[str, str])
    """What is wrong, by path."""


class Show(Protocol):
    """Whoever shows how far a push is."""

    def begin(self, todo: Plan) -> None:
        """What is to be done."""
        ...

    def bytes_sent(self, count: int) -> None:
        """So many bytes more are on their way."""
        ...

    def file(self, path: str, what: Literal["sent", "indexed", "failed"], why: str = "") -> None:
        """What happened to a file."""
        ...


async def known_documents(knowledge: AsyncKnowledge, dataset_id: str) -> list[Known]:
    """All documents of a dataset."""
    return [_known(found) async for found in knowledge.documents.list(dataset_id, limit=100)]


def _known(found: Document) -> Known:
    return Known(found.id, found.name, found.indexing_status or "", found.created_at or 0, found.error or "")


async def push(
    knowledge: AsyncKnowledge,
    dataset_id: str,
    folder: Path,
    todo: Plan,
    state: State,
    show: Show,
    outcome: Outcome,
    *,
    technique: IndexingTechnique,
    jobs: int,
    patience: float | None,
) -> None:
    """Do what is planned, and write it into `outcome`. A file that fails does not stop the others.

    `technique`: how a dataset is indexed that has no document yet. `jobs`: files on their way at once.
    `patience`: seconds to wait while Dify finishes no document; `None`: do not wait for the indexing at all.

    Raises what concerns all files: `DifyError` for a wrong key, a dataset that is gone, no connection;
    `UsageError` where the state can't be written.
    """
    push = _Push(knowledge, dataset_id, folder, state, show, outcome, technique, patience)
    show.begin(todo)
    try:
        async with asyncio.TaskGroup() as tasks:
            uploads = iter(todo.uploads)  # shared: each worker takes the next one
            sending = [tasks.create_task(push.send_all(uploads)) for _ in range(jobs)]
            if patience is not None:
                tasks.create_task(push.watch(todo.waits, sending))
    except* (DifyError, UsageError) as errors:
        raise _first(errors) from None


async def prune(
    knowledge: AsyncKnowledge, dataset_id: str, gone: Iterable[Pushed], state: State, outcome: Outcome
) -> None:
    """Delete the documents whose files are gone. Raises as `push`."""
    for pushed in gone:
        try:
            for document_id in (pushed.document_id, *pushed.replaces):
                if document_id is not None:
                    await _delete(knowledge, dataset_id, document_id)
                    outcome.deleted += 1
        except AuthenticationError:
            raise
        except APIStatusError as error:
            outcome.failures[pushed.path] = f"The file is gone, but its document can't be deleted: {error}"
        else:
            state.forget(pushed.path)


_CONCERNS_ALL = (AuthenticationError, NotFoundError, PermissionDeniedError)


@dataclass(slots=True)
class _Push:
    knowledge: AsyncKnowledge
    dataset_id: str
    folder: Path
    state: State
    show: Show
    outcome: Outcome
    technique: IndexingTechnique
    patience: float | None
    indexing: dict[str, Pushed] = field(default_factory=dict[str, Pushed])
    """What Dify has taken and not yet indexed, by document id."""

    async def send_all(self, uploads: Iterable[Step]) -> None:
        for step in uploads:
            try:
                await self._send(step)
            except _CONCERNS_ALL:
                raise
            except APIConnectionError as error:
                if not error.sent:
                    raise
                self._fail(step.file.path, str(error))
            except (DifyError, OSError) as error:
                self._fail(step.file.path, str(error))

    async def _send(self, step: Step) -> None:
        self.state.begin(step.pushed)
        seen = 0

        def progress(sent: int, total: int | None) -> None:
            nonlocal seen
            self.show.bytes_sent(sent - seen)  # less than nothing where it is sent again
            seen = sent

        created = await _within_limits(
            lambda: self.knowledge.documents.create_by_file(
                self.dataset_id,
                self.folder / step.file.path,
                name=step.pushed.name,
                indexing_technique=self.technique,
                on_progress=progress,
            )
        )
        pushed = self.state.arrived(step.pushed, created.document.id)
        self.indexing[created.document.id] = pushed
        self.outcome.sent += 1
        self.show.file(step.file.path, "sent")

    async def watch(self, waits: Iterable[Step], sending: Sequence[asyncio.Task[None]]) -> None:
        """Look how far the indexing is, until it is through."""
        for step in waits:
            self.indexing[step.pushed.document_id or ""] = step.pushed
        pause, last = _FIRST_LOOK, time.monotonic()
        took = 0.0  # a large dataset is many pages: half of the time, at least, Dify is left alone
        while self.indexing or not all(task.done() for task in sending):
            await asyncio.sleep(max(pause, took))
            begun = time.monotonic()
            if not self.indexing:
                last = begun
                continue
            news = await self._look()
            took = time.monotonic() - begun
            if news:
                pause, last = _FIRST_LOOK, time.monotonic()
            else:
                pause = min(pause * 1.5, _LONGEST_PAUSE)
            if all(task.done() for task in sending) and time.monotonic() - last > (self.patience or 0):
                self._give_up()

    async def _look(self) -> bool:
        """Whether any document got ready, or failed, since the last look."""
        pending = dict(self.indexing)  # those that are sent meanwhile are not in the answer
        documents = {known.id: known for known in await known_documents(self.knowledge, self.dataset_id)}
        news = False
        for document_id, pushed in pending.items():
            known = documents.get(document_id) or await self._get(document_id)
            if known is not None and known.status not in ("completed", "error"):
                continue
            news = True
            del self.indexing[document_id]
            if known is None:
                self._fail(pushed.path, "Somebody deleted the document while it was indexed.")
            elif known.status == "error":
                self._fail(pushed.path, f"Dify could not index it: {known.error or 'it gave no reason'}")
            else:
                await self._ready(pushed)
        return news

    async def _get(self, document_id: str) -> Known | None:
        """A document that was in no page: these shift where somebody deletes one meanwhile."""
        try:
            return _known(await self.knowledge.documents.get(self.dataset_id, document_id))
        except NotFoundError:
            return None

    async def _ready(self, pushed: Pushed) -> None:
        try:
            for document_id in pushed.replaces:
                await _delete(self.knowledge, self.dataset_id, document_id)
        except AuthenticationError:
            raise
        except APIStatusError as error:  # an archived document, for one
            self._fail(pushed.path, f"It is indexed, but what it replaces can't be deleted: {error}")
            return
        self.state.done(pushed)
        self.outcome.indexed += 1
        self.show.file(pushed.path, "indexed")

    def _give_up(self) -> None:
        for pushed in self.indexing.values():
            self._fail(
                pushed.path,
                f"Dify has not indexed it, and finished nothing else for {self.patience:g} s; the same "
                "command goes on waiting. Is Dify's worker running?",
            )
        self.indexing.clear()

    def _fail(self, path: str, why: str) -> None:
        self.outcome.failures[path] = why
        self.show.file(path, "failed", why)


async def _delete(knowledge: AsyncKnowledge, dataset_id: str, document_id: str) -> None:
    with suppress(NotFoundError):  # gone is what it should be
        await _within_limits(lambda: knowledge.documents.delete(dataset_id, document_id))


async def _within_limits(write: Callable[[], Awaitable[T]]) -> T:
    """Write as soon as Dify lets us: it counts over a minute, so what it refuses now it takes then."""
    end = time.monotonic() + LIMIT_PATIENCE
    while True:
        try:
            return await write()
        except RateLimitError:
            if time.monotonic() > end:
                raise
        await asyncio.sleep(LIMIT_PAUSE)


def _first(errors: BaseExceptionGroup[DifyError | UsageError]) -> DifyError | UsageError:
    for error in errors.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError("a group of exceptions is never empty")
