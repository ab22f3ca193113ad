"""A form that a run waits for, asked at the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from opendify import Dify
from opendify.cli.terminal import plain
from opendify.types import FormInput, HumanInputAnswer, HumanInputForm

__all__ = ["ask"]

# Where a web page would show a field within the text.
_FIELD = re.compile(r"\{\{#\$output\.([^#{}]+)#\}\}")


def ask(form: HumanInputForm, dify: Dify, user: str, console: Console) -> HumanInputAnswer:
    """Show the form, and ask for its fields and its button. Files that are named are uploaded.

    Raises `EOFError` where nobody answers, and the errors of an upload.
    """
    console.print(plain(form.node_title), style="bold", markup=False)
    console.print(plain(_FIELD.sub(r"[\1]", form.form_content)), markup=False, soft_wrap=True)
    inputs = {field.output_variable_name: _value(field, form, dify, user, console) for field in form.inputs}
    titles = [action.title or action.id for action in form.actions]
    return HumanInputAnswer(form.actions[_choose("What shall happen?", titles, console)].id, inputs)


def _value(field: FormInput, form: HumanInputForm, dify: Dify, user: str, console: Console) -> object:
    name = field.output_variable_name
    match field.type:
        case "select":
            source = field.option_source
            options = source.value if source is not None and isinstance(source.value, list) else []
            # Options that a variable holds are not told: Dify checks what is typed.
            return options[_choose(name, options, console)] if options else _line(f"{name}: ", console)
        case "file":
            while (file := _file(f"{name}, a file: ", dify, user, console)) is None:
                console.print("It takes a file.", markup=False)
            return file
        case "file-list":
            files: list[object] = []
            while field.number_limits is None or len(files) < field.number_limits:
                file = _file(f"{name}, a file (nothing: no more): ", dify, user, console)
                if file is None:
                    break
                files.append(file)
            return files
        case _:
            shown = str((form.resolved_default_values or {}).get(name) or "")
            return _line(f"{name}{f' [{plain(shown)}]' if shown else ''}: ", console) or shown


def _file(prompt: str, dify: Dify, user: str, console: Console) -> object:
    """The file that somebody names, uploaded; `None` for nothing."""
    while path := _line(prompt, console):
        if Path(path).is_file():
            return dify.files.upload(Path(path), user=user).attachment
        console.print(f"There is no file {path!r}.", markup=False)
    return None


def _choose(question: str, options: Sequence[str], console: Console) -> int:
    """The place of the option that somebody chooses, from 0."""
    for number, option in enumerate(options, 1):
        console.print(f"{number:>3}  {plain(option)}", markup=False)
    while True:
        line = _line(f"{question} ", console)
        if line in options:
            return options.index(line)
        if line.isdecimal() and 0 < int(line) <= len(options):
            return int(line) - 1
        console.print("Type one of the numbers, or what stands beside it.")


def _line(prompt: str, console: Console) -> str:
    console.print(plain(prompt), end="", markup=False, soft_wrap=True)
    return input().strip()
