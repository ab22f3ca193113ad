"""A workflow run in the terminal: its inputs as somebody types them, its nodes as they work, its outputs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from pydantic import JsonValue
from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from opendify import Dify
from opendify.cli.options import UsageError
from opendify.cli.terminal import plain
from opendify.types import (
    AppParameters,
    FormField,
    HumanInputAnswer,
    HumanInputForm,
    IterationCompletedEvent,
    IterationNextEvent,
    IterationStartedEvent,
    LoopCompletedEvent,
    LoopNextEvent,
    LoopStartedEvent,
    NodeFinishedEvent,
    NodeRetryEvent,
    NodeStartedEvent,
    WorkflowEvent,
    WorkflowReply,
)

__all__ = ["Nodes", "follow", "inputs_from", "shown", "summary"]


# Inputs


def inputs_from(given: Sequence[str], parameters: AppParameters, dify: Dify, user: str) -> dict[str, object]:
    """The inputs of a run, from `name=value`; `name=@path` is a file's content, or for a file input the file.

    Raises `UsageError`; the errors of an upload where Dify refuses a file.
    """
    fields = {field.variable: field for field in parameters.user_input_form}
    values: dict[str, list[str]] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"--input {item} has no value; write --input {name}=VALUE.")
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise UsageError(f"The workflow has no input {name!r}; its inputs are: {known}.")
        values.setdefault(name, []).append(value)
    for field in fields.values():
        if field.required and field.variable not in values and field.default in (None, ""):
            raise UsageError(f"The workflow needs --input {field.variable}=…: {_wanted(field)}.")
    return {name: _value(fields[name], texts, dify, user) for name, texts in values.items()}


def _wanted(field: FormField) -> str:
    kind = " | ".join(field.options) if field.options else field.type
    return f"{field.label} ({kind})" if field.label and field.label != field.variable else kind


def _value(field: FormField, texts: Sequence[str], dify: Dify, user: str) -> object:
    if field.type in ("file", "file-list"):
        files = [_file(field, text, dify, user) for text in texts]
        return files if field.type == "file-list" else files[-1]
    text = texts[-1]
    if text.startswith("@"):
        text = _content(field, text)
    match field.type:
        case "number":
            return _number(field, text)
        case "checkbox":
            return _bool(field, text)
        case "json_object":
            return _object(field, text)
        case _:
            return text


def _file(field: FormField, text: str, dify: Dify, user: str) -> object:
    if text.startswith(("http://", "https://")):
        kinds = field.allowed_file_types or ["document"]
        return {"type": kinds[0], "transfer_method": "remote_url", "url": text}
    return dify.files.upload(_path(field, text), user=user).attachment


def _path(field: FormField, text: str) -> Path:
    path = Path(text.removeprefix("@"))
    if not path.is_file():
        raise UsageError(f"--input {field.variable}: there is no file {str(path)!r}.")
    return path


def _content(field: FormField, text: str) -> str:
    path = _path(field, text)
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not in UTF-8"
        raise UsageError(f"--input {field.variable}: {str(path)!r} can't be read: {why}.") from error


def _number(field: FormField, text: str) -> object:
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    raise UsageError(f"--input {field.variable} is {text!r}; it takes a number.")


def _object(field: FormField, text: str) -> object:
    try:
        value: object = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UsageError(f'--input {field.variable} takes a JSON object, such as {{"name": "value"}}.')
    return cast("object", value)  # cast: JSON has no better type


_BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _bool(field: FormField, text: str) -> bool:
    try:
        return _BOOLS[text.lower()]
    except KeyError:
        raise UsageError(f"--input {field.variable} is {text!r}; it takes true or false.") from None


# The run


def follow(
    dify: Dify,
    inputs: Mapping[str, object],
    user: str,
    nodes: Nodes,
    ask: Callable[[HumanInputForm], HumanInputAnswer] | None,
) -> WorkflowReply:
    """Run the workflow, and show its nodes while they work. Ctrl-C stops it at Dify, too.

    `ask` answers the forms that it waits for; with `None` it ends there ("paused").

    Raises `WorkflowFailedError`, and the errors of a stream.
    """

    def human_input(form: HumanInputForm) -> HumanInputAnswer:
        assert ask is not None, "it is only called where somebody can be asked"
        with nodes.aside():
            return ask(form)

    task_id = ""
    stream = dify.workflows.stream(inputs=inputs, user=user, human_input=None if ask is None else human_input)
    try:
        with nodes, stream as events:
            for event in events:
                task_id = event.task_id or task_id
                nodes.take(event)
            return events.reply()
    except KeyboardInterrupt:
        if task_id:
            dify.workflows.stop(task_id, user=user)
        nodes.say("Stopped, in Dify too." if task_id else "Stopped, before Dify said that it runs.")
        raise


@dataclass(slots=True)
class _Row:
    """One execution of a node."""

    title: str
    kind: str
    began: float
    status: str = "running"
    seconds: float | None = None
    tokens: int | None = None
    note: str = ""


_MARKS = {
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "exception": ("!", "yellow"),
    "stopped": ("■", "yellow"),
}


class Nodes:
    """The nodes of a run while they work: in a terminal a table that is drawn anew, else a line for each."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: dict[str, _Row] = {}
        self._live = Live(console=console, get_renderable=self.table, refresh_per_second=8)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for row in self._rows.values():
            if row.status == "running":  # Dify tells nothing of a node that is stopped
                row.status = "stopped"
        self._live.stop()

    @contextmanager
    def aside(self) -> Generator[None]:
        """Draw nothing meanwhile."""
        self._live.stop()
        try:
            yield
        finally:
            if self._console.is_terminal:
                self._live.start()

    def say(self, text: str) -> None:
        """Something beside the nodes."""
        self._console.print(text, style="yellow", markup=False, soft_wrap=True)

    def take(self, event: WorkflowEvent) -> None:
        """The next event of the run."""
        match event:
            case NodeStartedEvent(data=data) | IterationStartedEvent(data=data) | LoopStartedEvent(data=data):
                self._rows[data.id or ""] = _Row(data.title, data.node_type or "", time.monotonic())
            case IterationNextEvent(data=data) | LoopNextEvent(data=data):
                self._note(data.id, f"round {(data.index or 0) + 1}")
            case NodeRetryEvent(data=data):
                self._note(data.id, f"retry {data.retry_index}: {data.error or ''}")
            case NodeFinishedEvent(data=data):
                cost = data.execution_metadata or {}
                self._end(data.id, data.status, data.elapsed_time, cost.get("total_tokens"), data.error)
            case IterationCompletedEvent(data=data) | LoopCompletedEvent(data=data):
                rounds = "" if data.steps is None else f"{data.steps} rounds"
                self._end(data.id, data.status, data.elapsed_time, data.total_tokens, data.error or rounds)
            case _:
                return

    def table(self) -> Table:
        """All nodes so far."""
        table = Table(box=None, show_header=False, padding=(0, 1))
        for row in self._rows.values():
            table.add_row(*self._cells(row))
        return table

    def _cells(self, row: _Row) -> tuple[RenderableType, ...]:
        seconds = time.monotonic() - row.began if row.seconds is None else row.seconds
        mark, style = _MARKS.get(row.status, ("…", ""))
        return (
            Spinner("dots") if row.status == "running" else Text(mark, style=style),
            Text(plain(row.title)),
            Text(row.kind, style="dim"),
            Text(f"{seconds:.1f} s", style="dim", justify="right"),
            Text(f"{row.tokens} tokens" if row.tokens else "", style="dim"),
            Text(plain(row.note), style=style),
        )

    def _note(self, node: str | None, note: str) -> None:
        if (row := self._rows.get(node or "")) is not None:
            row.note = note

    def _end(
        self, node: str | None, status: str | None, seconds: float | None, tokens: JsonValue, note: str | None
    ) -> None:
        row = self._rows.get(node or "")
        if row is None:
            return
        row.status = status or "succeeded"
        row.seconds = seconds
        row.tokens = tokens if isinstance(tokens, int) else None
        row.note = note or ""
        if not self._console.is_terminal:
            mark, _ = _MARKS.get(row.status, ("…", ""))
            said = [mark, row.title, row.kind, f"{seconds or 0:.1f} s", row.note]
            self._console.print(" ".join(plain(word) for word in said if word), markup=False, soft_wrap=True)


def summary(reply: WorkflowReply) -> str:
    """How the run ended, in a line."""
    tokens = f", {reply.total_tokens} tokens" if reply.total_tokens else ""
    return f"{reply.status} in {reply.elapsed_time:.1f} s{tokens}, run {reply.workflow_run_id}"


def shown(reply: WorkflowReply, *, as_json: bool) -> str:
    """The outputs as they are printed: the text if there is one alone, else JSON."""
    match list(reply.outputs.values()):
        case [str(text)] if not as_json:
            return text
        case _:
            return json.dumps(reply.outputs, ensure_ascii=False, indent=2)
