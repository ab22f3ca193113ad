"""`opendify kb`: its commands and their options."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict, cast

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from opendify import Timeout
from opendify.cli.kb.folder import content_of, document_names
from opendify.cli.kb.state import STATE_FILE, State
from opendify.cli.options import ConfigFile, EnvFile, UsageError, load_settings
from opendify.cli.terminal import plain
from opendify.types import IndexingTechnique, SearchMethod

if TYPE_CHECKING:
    from opendify import AsyncKnowledge, Knowledge
    from opendify.cli.kb.plan import Plan
    from opendify.cli.kb.push import Outcome
    from opendify.types import Dataset, RetrievalModel

kb = typer.Typer(no_args_is_help=True, help="Fill the knowledge of a Dify, and look into it.")
out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


@dataclass(frozen=True, slots=True)
class Order:
    """What a push was asked to do."""

    folder: Path
    dataset: str
    include: Sequence[str]
    exclude: Sequence[str]
    prune: bool
    dry_run: bool
    jobs: int
    patience: float | None
    technique: IndexingTechnique
    state_file: Path


class ClientOptions(TypedDict):
    """How a client is made here."""

    api_key: str
    base_url: str
    timeout: Timeout
    max_retries: int


_RETRIES = 5


@kb.command("push")
def push_folder(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder.", exists=True, file_okay=False)],
    dataset: Annotated[str, typer.Option(help="Name or id of the dataset; a new name makes one.")],
    include: Annotated[
        list[str] | None,
        typer.Option(help="Files to push, as `*.md` or `guide/*`; by default all that Dify can read."),
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Files not to push.")] = None,
    delete: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Delete documents that were pushed from here and whose files are gone. Files that are only "
            "left out this time keep theirs.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    jobs: Annotated[int, typer.Option(help="Files on their way at once.", min=1, max=32)] = 4,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until all is indexed.")] = True,
    patience: Annotated[
        float, typer.Option(help="Seconds to wait while Dify finishes no document.", min=1)
    ] = 600,
    technique: Annotated[
        IndexingTechnique, typer.Option(help="How a new dataset is indexed.")
    ] = "high_quality",
    state: Annotated[
        Path | None,
        typer.Option(help=f"File that remembers what was pushed; by default DIR/{STATE_FILE}."),
    ] = None,
    env_file: EnvFile = None,
    config: ConfigFile = None,
) -> None:
    """Push a folder into a dataset: what is new or changed since last time is sent, and indexed.

    Push as often as you like: the next push goes on where one was killed. A changed file takes the place of
    its document. The document of api/users.md is named api__users.md, since Dify refuses slashes. Hidden and
    empty files are left out, and links to folders are not followed. Every file that fails is told with the
    reason; the exit code is then 1.
    """
    order = Order(
        folder,
        dataset,
        include or [],
        exclude or [],
        prune=delete,
        dry_run=dry_run,
        jobs=jobs,
        patience=patience if wait else None,
        technique=technique,
        state_file=state or folder / STATE_FILE,
    )
    raise typer.Exit(asyncio.run(_push(_options(env_file, config), order)))


async def _push(options: ClientOptions, order: Order) -> int:
    """Do it; returns the exit code."""
    from opendify import AsyncKnowledge
    from opendify.cli.kb.plan import plan
    from opendify.cli.kb.push import Outcome, known_documents, prune, push
    from opendify.cli.kb.show import Bars

    async with AsyncKnowledge(**options) as knowledge:
        dataset = await _dataset(knowledge, order)
        if dataset is None:
            _say(f"make the dataset {order.dataset}")
        content = await asyncio.to_thread(content_of, order.folder, order.include, order.exclude)
        if not content.files:
            left_out = f"; left out: {len(content.others)}, see --include" if content.others else ""
            err.print(f"{order.folder} has no file to push{left_out}.", style="yellow", markup=False)
        # To say what would be done must not leave a file behind.
        state_file = Path(":memory:") if order.dry_run and not order.state_file.exists() else order.state_file
        with State(state_file, dataset.id if dataset else "") as state:
            documents = await known_documents(knowledge, dataset.id) if dataset else []
            todo = plan(content.files, state.all(), documents, content.others)
            outcome = Outcome(failures=dict(content.failures))
            if order.dry_run or dataset is None:
                _tell_plan(todo, order.prune)
                _tell_failures(outcome)
                return 1 if outcome.failures else 0
            try:
                with Bars(err) as bars:
                    await push(
                        knowledge,
                        dataset.id,
                        order.folder,
                        todo,
                        state,
                        bars,
                        outcome,
                        technique=order.technique,
                        jobs=order.jobs,
                        patience=order.patience,
                    )
                if order.prune:
                    await prune(knowledge, dataset.id, todo.gone, state, outcome)
            finally:  # what was done is told of a push that was stopped, too
                _tell_outcome(todo, outcome, order.prune)
    return 1 if outcome.failures else 0


async def _dataset(knowledge: AsyncKnowledge, order: Order) -> Dataset | None:
    """The dataset, made if there is none; `None` if it is only to be said what would be done."""
    async for dataset in knowledge.datasets.list(limit=100):
        if order.dataset in (dataset.id, dataset.name):
            return dataset
    if order.dry_run:
        return None
    try:
        made = await knowledge.datasets.create(name=order.dataset, indexing_technique=order.technique)
    except ValueError as error:
        raise UsageError(f"--dataset: {error}") from error
    err.print(f"There was no dataset {order.dataset!r}: it is made.", markup=False, soft_wrap=True)
    return made


def _tell_plan(todo: Plan, delete: bool) -> None:
    for step in todo.uploads:
        _say(f"send {step.file.path}{' in place of the old one' if step.pushed.replaces else ''}")
    for step in todo.waits:
        _say(f"wait for {step.file.path}, which was sent before")
    for pushed in todo.gone if delete else ():
        _say(f"delete {pushed.path}")
    told = [f"{len(todo.uploads)} to send", f"{len(todo.unchanged)} unchanged"]
    told += [f"{len(todo.gone)} to delete"] if delete else []
    _say(f"{', '.join(told)}.")


def _tell_outcome(todo: Plan, outcome: Outcome, delete: bool) -> None:
    _tell_failures(outcome)
    told = [f"{outcome.sent} sent", f"{outcome.indexed} indexed", f"{len(todo.unchanged)} unchanged"]
    told += [f"{outcome.deleted} deleted"] if delete else []
    told += [f"{len(outcome.failures)} failed"] if outcome.failures else []
    _say(f"{', '.join(told)}.")
    if todo.gone and not delete:
        err.print(f"Documents whose files are gone: {len(todo.gone)}; --prune deletes them.", style="yellow")


def _tell_failures(outcome: Outcome) -> None:
    for path, why in sorted(outcome.failures.items()):
        err.print(f"{plain(path)}: {plain(why)}", style="red", markup=False, soft_wrap=True)


def _say(text: str) -> None:
    out.print(plain(text), markup=False, soft_wrap=True)


@kb.command("list")
def list_knowledge(
    dataset: Annotated[
        str | None, typer.Argument(help="Name or id of a dataset, to list its documents; left out, datasets.")
    ] = None,
    env_file: EnvFile = None,
    config: ConfigFile = None,
) -> None:
    """List the datasets, or the documents of one.

    In a terminal a table; into a pipe a line each, with tabs between.
    """
    with _knowledge(env_file, config) as knowledge:
        if dataset is None:
            _table(
                ("dataset", "documents", "words", "id"),
                ((d.name, d.document_count, d.word_count, d.id) for d in knowledge.datasets.list(limit=100)),
            )
        else:
            documents = knowledge.documents.list(_existing(knowledge, dataset).id, limit=100)
            _table(
                ("document", "status", "words", "id"),
                ((d.name, d.display_status or d.indexing_status, d.word_count, d.id) for d in documents),
            )


@kb.command()
def search(
    dataset: Annotated[str, typer.Argument(help="Name or id of the dataset.")],
    query: Annotated[str, typer.Argument(help="What to look for, 250 characters at most.")],
    top_k: Annotated[
        int | None,
        typer.Option(help="Passages to find, at most; by default as the dataset is set up.", min=1, max=100),
    ] = None,
    method: Annotated[
        SearchMethod | None, typer.Option(help="How to search; by default as the dataset is set up.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all that Dify tells, a line each.")] = False,
    env_file: EnvFile = None,
    config: ConfigFile = None,
) -> None:
    """Find passages of a dataset, as an app would. The exit code is 1 if there are none."""
    with _knowledge(env_file, config) as knowledge:
        named = knowledge.datasets.get(_existing(knowledge, dataset).id)
        try:
            found = knowledge.datasets.retrieve(
                named.id, query=query, retrieval_model=_how(named, method, top_k)
            )
        except ValueError as error:
            raise UsageError(str(error)) from error
    for record in found.records:
        if as_json:
            sys.stdout.write(record.model_dump_json() + "\n")
        else:
            name = record.segment.document.name if record.segment.document else ""
            score = "-----" if record.score is None else f"{record.score:.3f}"
            out.print(f"{score}  {plain(name)}", style="bold", markup=False, soft_wrap=True)
            _say(record.segment.content)
    raise typer.Exit(0 if found.records else 1)


def _how(dataset: Dataset, method: SearchMethod | None, top_k: int | None) -> RetrievalModel:
    """As a dataset is set up to be searched, but for what is asked for. An "economy" one has no vectors."""
    usual = dataset.retrieval_model_dict
    settings: dict[str, object] = {} if usual is None else usual.model_dump(exclude_none=True)
    if dataset.indexing_technique == "economy":
        method = method or "keyword_search"
    asked = {"search_method": method, "top_k": top_k}
    settings = {"search_method": "semantic_search", **settings}
    settings |= {name: value for name, value in asked.items() if value is not None}
    return cast("RetrievalModel", settings)  # cast: what Dify told of these settings, it takes again


@kb.command("rm")
def remove(
    dataset: Annotated[str, typer.Argument(help="Name or id of the dataset.")],
    documents: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names or ids of documents, or paths as they were pushed; left out, the whole dataset goes."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    env_file: EnvFile = None,
    config: ConfigFile = None,
) -> None:
    """Delete documents of a dataset, or the dataset with all its documents.

    A name stands for all documents that have it.
    """
    with _knowledge(env_file, config) as knowledge:
        found = _existing(knowledge, dataset)
        if not documents:
            _confirm(
                f"Delete the dataset {found.name!r} and all its documents ({found.document_count})?", yes
            )
            knowledge.datasets.delete(found.id)
            _say(f"Deleted the dataset {found.name}.")
            return
        known = list(knowledge.documents.list(found.id, limit=100))
        doomed: dict[str, str] = {}
        for name in documents:
            meant = {name, document_names([name])[name]}
            fitting = [document for document in known if {document.id, document.name} & meant]
            if not fitting:
                raise UsageError(
                    f"{found.name!r} has no document {name!r}; see: opendify kb list {dataset!r}"
                )
            doomed |= {document.id: document.name for document in fitting}
        _confirm(f"Delete {len(doomed)} of the {len(known)} documents of {found.name!r}?", yes)
        for document_id, name in doomed.items():
            knowledge.documents.delete(found.id, document_id)
            _say(f"Deleted {name}.")


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody is here to ask: say --yes.")
    typer.confirm(question, abort=True)


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    # split: a name may have line ends or tabs in it, which part rows and cells
    texts = [
        tuple(plain(" ".join(str("" if cell is None else cell).split())) for cell in row) for row in rows
    ]
    if not out.is_terminal:
        for row in texts:
            sys.stdout.write("\t".join(row) + "\n")
        return
    table = Table(box=None, header_style="bold")
    for name in head:
        table.add_column(name, overflow="fold")  # in a narrow terminal an id that is cut off is none
    for row in texts:
        table.add_row(*(Text(cell) for cell in row))
    out.print(table)


def _options(env_file: Path | None, config: Path | None) -> ClientOptions:
    settings = load_settings(env_file, config)
    if not settings.dify_dataset_key:
        raise UsageError(
            "No key of your knowledge: set DIFY_DATASET_KEY to one; Dify has it under Knowledge, Service API."
        )
    return ClientOptions(
        api_key=settings.dify_dataset_key,
        base_url=settings.dify_api_base,
        timeout=Timeout(silence=settings.timeout),
        max_retries=_RETRIES,
    )


def _knowledge(env_file: Path | None, config: Path | None) -> Knowledge:
    from opendify import Knowledge

    return Knowledge(**_options(env_file, config))


def _existing(knowledge: Knowledge, name: str) -> Dataset:
    for dataset in knowledge.datasets.list(limit=100):
        if name in (dataset.id, dataset.name):
            return dataset
    raise UsageError(f"There is no dataset {name!r}; see: opendify kb list")
