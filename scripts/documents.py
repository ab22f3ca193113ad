"""Write into the documents what the code itself can say: settings with their defaults, commands, operations.

`python scripts/documents.py` writes .env.example, opendify.example.toml and, between their marks, parts of
pages in docs/; with `--check` it only says which of them are not up to date, and exits 1.
"""

import inspect
import json
import pkgutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import typer.main
from pydantic import BaseModel
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from opendify import Dify, Knowledge, types
from opendify._operations import GROUPS, OPERATIONS, Row
from opendify.cli.commands import app
from opendify.gateway.settings import AppTable, ClientTable, ServerTable, Setting, Settings, settings_of

ROOT = Path(__file__).parent.parent
START, END = "<!-- written by scripts/documents.py -->\n", "<!-- end -->\n"
FIRST = ("dify_api_base", "dify_api_keys")  # what nearly everybody sets stands in .env.example without a #


def general() -> dict[str, Setting]:
    """The settings outside of all tables, by their key in opendify.toml."""
    return {key: setting for key, setting in settings_of(Settings).items() if setting.group}


def default(key: str) -> object:
    """The default of a general setting."""
    fields = Settings.model_fields
    return fields["model_map" if key == "model_config" else key].get_default(call_default_factory=True)


def as_env(value: object) -> str:
    """A default as it stands in .env; nothing for what is empty, which counts as not set."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case tuple() | dict():
            return ""
        case _:
            return str(value)


def as_toml(value: object) -> str:
    """A default as it stands in opendify.toml."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case tuple():
            return "[]"
        case dict():
            return "{}"
        case _:
            return as_env(value)


def comment(setting: Setting) -> Iterator[str]:
    """What there is to say about a setting, in lines that begin with #."""
    text = f"{setting.about.replace('`', '')} It takes {setting.takes}."
    yield from textwrap.wrap(text, 100, initial_indent="# ", subsequent_indent="# ")


def groups() -> Iterator[tuple[str, list[tuple[str, Setting]]]]:
    """The general settings under the headings that they stand under."""
    settings = general()
    for group in dict.fromkeys(setting.group for setting in settings.values()):
        yield group, [(key, setting) for key, setting in settings.items() if setting.group == group]


def env_example() -> str:
    """The text of .env.example."""
    lines = [
        "# Copy this file to .env, and take the # from what you set. Every value is the default.",
        "# What the environment says wins over .env, and that over opendify.toml.",
    ]
    for group, settings in groups():
        lines += ["", f"## {group}"]
        for key, setting in settings:
            off = "" if key in FIRST else "#"
            lines += ["", *comment(setting), f"{off}{key.upper()}={as_env(default(key))}"]
    return "\n".join(lines) + "\n"


TABLES: Mapping[str, tuple[type[BaseModel], Mapping[str, str]]] = {
    "servers.eu": (ServerTable, {"base": '"https://dify.example.com"'}),
    'apps."Customer support"': (
        AppTable,
        {
            "key": '"app-xxxxxxxx"',
            "server": '"eu"',
            "aliases": '["support", "gpt-*"]',
            "inputs": '{ language = "English" }',
        },
    ),
    "clients.ada": (ClientTable, {"key": '"sk-xxxxxxxx"', "models": '["support"]'}),
}


def toml_example() -> str:
    """The text of opendify.example.toml."""
    lines = [
        "# Copy this file to opendify.toml, and take the # from what you set. Up to the tables, every value",
        "# is the default. The environment and .env win over this file.",
    ]
    for group, settings in groups():
        lines += ["", f"## {group}"]
        for key, setting in settings:
            lines += ["", *comment(setting), f"#{key} = {as_toml(default(key))}"]
    lines += ["", "## Tables, as many of each kind as you like. The names and values in them are examples."]
    for name, (model, values) in TABLES.items():
        about = inspect.getdoc(model) or ""
        lines += ["", *textwrap.wrap(about, 100, initial_indent="# ", subsequent_indent="# ")]
        lines += [f"#[{name}]"]
        for key, setting in settings_of(model).items():
            if key == "base" and "server" in values:
                continue  # an app has a server or a base
            if key in general():
                lines += [f"#{key} = {as_toml(default(key))}"]
            else:
                lines += [*comment(setting), f"#{key} = {values[key]}"]
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """The tables of docs/settings.md."""
    lines: list[str] = []
    for group, settings in groups():
        lines += [
            f"### {group}",
            "",
            "| variable | what it is for | it takes | default |",
            "|---|---|---|---|",
        ]
        for key, setting in settings:
            value = as_env(default(key))
            about, takes = (text.replace("|", "\\|") for text in (setting.about, setting.takes))
            lines.append(f"| `{key.upper()}` | {about} | {takes} | {f'`{value}`' if value else 'empty'} |")
        lines.append("")
    for name, (model, _) in TABLES.items():
        kind = name.split(".")[0]
        lines += [f"### `[{kind}.NAME]`", "", "| key | what it is for | it takes |", "|---|---|---|"]
        for key, setting in settings_of(model).items():
            if key in general():
                lines.append(f"| `{key}` | As `{key.upper()}`, for this app alone. | {setting.takes} |")
            else:
                lines.append(f"| `{key}` | {setting.about} | {setting.takes} |")
        lines.append("")
    return "\n".join(lines)


def commands(command: object, name: str) -> Iterator[tuple[str, TyperCommand]]:
    """The commands, those of a group behind its name: `kb push`."""
    if isinstance(command, TyperCommand):
        yield name, command
    elif isinstance(command, TyperGroup):
        for inner, one in command.commands.items():
            yield from commands(one, f"{name} {inner}".strip())


def cli_page() -> str:
    """The commands of docs/cli.md."""
    lines: list[str] = []
    for name, command in commands(typer.main.get_command(app), ""):
        params = [param for param in command.params if isinstance(param, TyperArgument)]
        arguments = [usage_of(param) for param in params]
        usage = " ".join(["opendify", name, *arguments, "[OPTIONS]" if command.params else ""]).strip()
        lines += [f"## `{usage}`", "", *textwrap.dedent(command.help or "").splitlines(), ""]
        told = [f"- `{usage_of(param)}`: {param.help}" for param in params if param.help]
        for option in (param for param in command.params if isinstance(param, TyperOption)):
            shown = f" Default: `{option.default}`." if option.default not in (None, False, True) else ""
            names = ", ".join([*option.opts, *option.secondary_opts])
            told.append(f"- `{names}`: {option.help}{shown}")
        lines += [*told, ""] if told else []
    return "\n".join(lines)


def usage_of(argument: TyperArgument) -> str:
    """An argument as it stands in the usage line: `DIR`, `[MODEL]`, `[DOCUMENTS]...`."""
    name = argument.metavar or (argument.name or "").upper()
    return f"{name if argument.required else f'[{name}]'}{'...' if argument.nargs == -1 else ''}"


APPS = {
    "chat": "chatbot",
    "agent-chat": "agent",
    "advanced-chat": "chatflow",
    "agent": "New Agent",
    "completion": "text generator",
    "workflow": "workflow",
}


def resources(client: object) -> dict[str, type]:
    """The classes behind the names of a client, by the names, in the order in which the table has them."""
    nouns = dict.fromkeys(method.partition(".")[0] for row in OPERATIONS for method in row.methods)
    return {noun: type(getattr(client, noun)) for noun in nouns if hasattr(client, noun)}


CLIENTS = {"apps": Dify("app-x"), "knowledge": Knowledge("dataset-x")}


def reference_page(page: str) -> str:
    """The names of a client, of which mkdocs makes the reference; what both clients have is on the first."""
    shown = resources(CLIENTS["apps"]).values() if page != "apps" else ()
    lines: list[str] = []
    for noun, kind in resources(CLIENTS[page]).items():
        if kind in shown:
            continue
        name = f"{'dify' if page == 'apps' else page}.{noun}"
        lines += [f"::: {kind.__module__}.{kind.__qualname__}", "    options:"]
        lines += [f"      heading: {name}", f"      toc_label: {name}", ""]
    return "\n".join(lines)


def types_page() -> str:
    """The modules of types, of which mkdocs makes the reference."""
    lines: list[str] = []
    for module in pkgutil.iter_modules(types.__path__):
        if not module.name.startswith("_"):
            lines += [f"## {module.name.replace('_', ' ').capitalize()}", ""]
            lines += [f"::: {types.__name__}.{module.name}", "    options:"]
            lines += ["      heading_level: 3", "      show_labels: false"]
            lines += ["      show_root_heading: false", "      show_root_toc_entry: false", ""]
    return "\n".join(lines)


def in_reference(method: str) -> str:
    """A method as `chat.send`, with a link to its place in the reference."""
    noun, _, verb = method.partition(".")
    for page, client in CLIENTS.items():
        if kind := resources(client).get(noun):
            return f"[`{method}`](reference/{page}.md#{kind.__module__}.{kind.__qualname__}.{verb})"
    sys.exit(f"{method} stands in the table of operations, but no client has {noun}.")


def table(rows: tuple[Row, ...]) -> Iterator[str]:
    """The rows of a group of operations, with the kinds of app where there are any."""
    of_apps = any(row.modes for row in rows)
    yield f"| operation | in Python | {'apps | ' if of_apps else ''}since |"
    yield f"|---|---|{'---|' if of_apps else ''}---|"
    for row in rows:
        methods = " ".join(in_reference(method) for method in row.methods)
        modes = "all" if len(row.modes) == len(APPS) else ", ".join(APPS[mode] for mode in row.modes)
        yield f"| `{row.method} {row.path}` | {methods} | {f'{modes} | ' if of_apps else ''}{row.since} |"


def coverage_page() -> str:
    """The tables of docs/coverage.md."""
    of_apps = [row for row in OPERATIONS if row.modes]
    assert set(APPS) == {mode for row in of_apps for mode in row.modes}, "every kind of app has a column"
    of_knowledge = [row for row in OPERATIONS if not row.modes and row.path != "/"]
    without_key = [row for row in OPERATIONS if row.path == "/"]
    lines = ["| key | kind of app | operations |", "|---|---|--:|"]
    for mode, name in APPS.items():
        count = sum(mode in row.modes for row in of_apps)
        lines.append(f"| of an app (`Dify`) | {name}: `{mode}` | {count} |")
    lines += [
        f"| of an app (`Dify`) | any of them | {len(of_apps)} |",
        f"| of a workspace's datasets (`Knowledge`) | | {len(of_knowledge)} |",
        f"| none needed (both clients) | | {len(without_key)} |",
        f"| **all** | | **{len(OPERATIONS)}** |",
        "",
    ]
    for group, rows in GROUPS.items():
        lines += [f"## {group}", "", *table(rows), ""]
    return "\n".join(lines)


def between_marks(page: Path, text: str) -> str:
    """The page with `text` in place of what stands between its marks."""
    before, mark, rest = page.read_text("utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not (mark and end):
        sys.exit(
            f"{page.relative_to(ROOT)} has lost its marks: a line {START.strip()}, later one {END.strip()}"
        )
    return f"{before}{START}\n{text}\n{END}{after}"


def main() -> None:
    """Write the documents, or check them."""
    documents = {ROOT / ".env.example": env_example(), ROOT / "opendify.example.toml": toml_example()}
    parts = {
        "settings.md": settings_page(),
        "cli.md": cli_page(),
        "coverage.md": coverage_page(),
        "reference/apps.md": reference_page("apps"),
        "reference/knowledge.md": reference_page("knowledge"),
        "reference/types.md": types_page(),
    }
    documents |= {
        ROOT / "docs" / name: between_marks(ROOT / "docs" / name, text) for name, text in parts.items()
    }
    stale = [page for page, text in documents.items() if not page.exists() or page.read_text("utf-8") != text]
    if "--check" in sys.argv[1:]:
        for page in stale:
            print(f"{page.relative_to(ROOT)} is not up to date: python scripts/documents.py writes it.")
        sys.exit(bool(stale))
    for page in stale:
        page.write_text(documents[page], "utf-8")
        print(f"wrote {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
