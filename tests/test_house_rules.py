"""The rules of the house that a machine can keep: who imports whom, who does I/O, what no file may hold."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import opendify

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "opendify"
UPPER_ROOMS = ("gateway", "simulator", "cli")  # all else in src/opendify is the SDK

# What reaches outside of the process, and the rooms that may use it: paths under src/opendify, a folder with
# all that is in it.
TRANSPORTS = ("_async/_httpx.py", "_sync/_httpx.py", "_connections.py")
IO_MODULES = {
    "aiohttp": ("simulator",),
    "http.client": (),
    "http.server": (),
    "httpx2": ("_async/_httpx.py", "_sync/_httpx.py", "cli"),
    "multiprocessing": ("gateway/server.py",),
    "requests": (),
    "socket": ("gateway/server.py", "simulator", "cli", *TRANSPORTS),
    "sqlite3": ("gateway/store", "cli/kb/state.py"),
    "subprocess": (),
    "threading": ("_waiting.py", "gateway/steps.py", "gateway/store", "simulator"),  # the first asks in which
    "urllib.request": (),
    "uvicorn": ("gateway/server.py",),
}
FILE_CALLS = {"open", ".read_text", ".read_bytes", ".write_text", ".write_bytes", ".unlink", ".mkdir"}
FILE_ROOMS = (
    "_async/_download.py",  # writes the file that the caller wants to have
    "_sync/_download.py",
    "_async/_upload.py",  # opens the file that the caller wants to send
    "_sync/_upload.py",
    "gateway/settings/model.py",  # .env and opendify.toml
    "gateway/store",
    "cli",
)
TASK_CALLS = {".create_task", ".ensure_future", ".run_coroutine_threadsafe", ".start_soon"}
TASK_ROOMS = ("_waiting.py", "gateway", "simulator", "cli/kb/push.py")

# In any tracked file, the recorded traffic and this list aside.
FORBIDDEN_TEXT = {
    "where packages come from is the affair of the machine": re.compile(
        r"pypi\.org|pythonhosted|npmjs|(?<!no-emit-)index-url|(?<!no-emit-)find-links|trusted-host\s*=|"
        r"https?://\S+(\.whl|\.tar\.gz|\.zip|/simple\b)",
        re.IGNORECASE,
    ),
    "a path of one machine means nothing on another": re.compile(r"(?<![\w./:-])/(work|root|home|Users)/\w"),
    "what is to be done is an issue, not a comment": re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"),
}
SILENCERS = re.compile(r"#\s*(noqa|type: ignore|pyright: ignore)(:?[\w\s,]*|\[[\w, -]*\])\s*(?P<reason>.*)")
VAGUE_NAMES = re.compile(r"(Manager|Helper|Util)s?$", re.IGNORECASE)


@dataclass(frozen=True)
class Module:
    """A source file, parsed."""

    path: Path
    tree: ast.Module

    @property
    def room(self) -> str:
        """Its path under src/opendify."""
        return self.path.relative_to(SOURCE).as_posix()

    @property
    def is_sdk(self) -> bool:
        return not self.room.startswith(tuple(f"{room}/" for room in UPPER_ROOMS))

    def within(self, rooms: tuple[str, ...]) -> bool:
        return any(self.room == room or self.room.startswith(f"{room}/") for room in rooms)

    def imports(self) -> Iterator[tuple[int, str]]:
        """The line and full name of every import: `opendify.gateway.settings`, `httpx2`."""
        package = ["opendify", *self.path.relative_to(SOURCE).parent.parts]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) - node.level + 1] if node.level else []
                origin = ".".join([*above, *([node.module] if node.module else [])])
                yield node.lineno, origin
                yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)

    def calls(self) -> Iterator[tuple[int, str]]:
        """The line and last name of every call: `open`, `.create_task`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                called = node.func
                if isinstance(called, ast.Attribute):
                    yield node.lineno, f".{called.attr}"
                elif isinstance(called, ast.Name):
                    yield node.lineno, called.id

    def at(self, line: int) -> str:
        return f"{self.path.relative_to(ROOT)}:{line}"


@cache
def modules() -> tuple[Module, ...]:
    return tuple(Module(path, ast.parse(path.read_text("utf-8"))) for path in sorted(SOURCE.rglob("*.py")))


@cache
def tracked_texts() -> dict[str, str]:
    """The text of every file that is part of the project, by its path."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone: which files are the project's, git alone can tell")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    texts: dict[str, str] = {}
    for name in filter(None, listed):
        if name.startswith("tests/recordings/") or name == Path(__file__).relative_to(ROOT).as_posix():
            continue  # real traffic is kept byte for byte; this file has to name what it forbids
        path = ROOT / name
        data = path.read_bytes() if path.is_file() else b""
        if b"\0" not in data:
            texts[name] = data.decode("utf-8")
    return texts


def nobody(offences: Iterable[str]) -> None:
    """Nobody breaks the rule, or else all who do are listed."""
    found = sorted(set(offences))
    assert not found, "\n".join(["", *found])


def test_the_sdk_knows_nothing_of_what_stands_on_it() -> None:
    above = tuple(f"opendify.{room}" for room in UPPER_ROOMS)
    nobody(
        f"{module.at(line)} imports {name}"
        for module in modules()
        if module.is_sdk
        for line, name in module.imports()
        if name.startswith(above)
    )


def test_the_gateway_the_simulator_and_the_command_line_stand_in_that_order() -> None:
    may_not = {
        "gateway": ("opendify.simulator", "opendify.cli"),
        "simulator": ("opendify.gateway", "opendify.cli"),
    }
    nobody(
        f"{module.at(line)} imports {name}"
        for module in modules()
        for line, name in module.imports()
        if name.startswith(may_not.get(module.room.split("/")[0], ("nothing",)))
    )


def test_the_sdk_runs_where_only_httpx2_and_pydantic_are() -> None:
    program = (
        "import opendify, sys; "
        "print(*{name.split('.')[0] for name in sys.modules} & {'aiohttp', 'starlette', 'uvicorn', 'uvloop', "
        "'structlog', 'typer', 'rich', 'msgspec', 'pydantic_settings', 'httptools'})"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert loaded.split() == []


def test_a_process_that_serves_has_loaded_neither_the_simulator_nor_what_other_commands_need() -> None:
    program = "import opendify.cli.commands, opendify.gateway.server, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    others = {"aiohttp", "httpx2", "opendify.simulator", "opendify._sync._client", "rich.live"}
    others |= {f"opendify.cli.{name}" for name in ("forms", "talk", "workflow", "kb.plan", "kb.push")}
    assert others.isdisjoint(loaded)


def test_io_stays_in_its_rooms() -> None:
    offences: list[str] = []
    for module in modules():
        for line, name in module.imports():
            for library, rooms in IO_MODULES.items():
                if (name == library or name.startswith(f"{library}.")) and not module.within(rooms):
                    offences.append(f"{module.at(line)} imports {name}")
    nobody(offences)


def test_files_are_touched_in_few_rooms() -> None:
    nobody(
        f"{module.at(line)} calls {name}"
        for module in modules()
        if not module.within(FILE_ROOMS)
        for line, name in module.calls()
        if name in FILE_CALLS
    )


def test_tasks_are_started_in_few_rooms() -> None:
    nobody(
        f"{module.at(line)} calls {name}"
        for module in modules()
        if not module.within(TASK_ROOMS)
        for line, name in module.calls()
        if name in TASK_CALLS
    )


def test_no_exception_is_swallowed() -> None:
    offences: list[str] = []
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "everything"
                silent = all(isinstance(step, ast.Pass) for step in node.body)
                if node.type is None or (silent and caught in ("Exception", "BaseException")):
                    offences.append(f"{module.at(node.lineno)} swallows {caught}")
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
                broad = [ast.unparse(kind) for kind in node.args if ast.unparse(kind).endswith("Exception")]
                offences += [f"{module.at(node.lineno)} suppresses {kind}" for kind in broad]
    nobody(offences)


def test_the_sdk_stays_small() -> None:
    """What people wrote, without blank lines: whoever wants to know how it works can read all of it."""
    written = [module for module in modules() if module.is_sdk and not module.room.startswith("_sync/")]
    lines = sum(
        bool(line.strip()) for module in written for line in module.path.read_text("utf-8").splitlines()
    )
    assert 4_000 < lines < 9_000


def test_whatever_is_public_says_what_it_is_for() -> None:
    """A method that a base class or a protocol promises, and describes there, need not repeat it."""
    promised = {
        method.name
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
        for method in node.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(method)
    }
    exported = set(opendify.__all__)
    offences = [module.at(1) for module in modules() if ast.get_docstring(module.tree) is None]

    def look(module: Module, node: ast.Module | ast.ClassDef) -> None:
        for child in node.body:
            if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            hidden = module.path.name.startswith("_") and node is module.tree and child.name not in exported
            if hidden or child.name.startswith("_") or _is_overload(child):
                continue
            if not ast.get_docstring(child) and not (
                isinstance(node, ast.ClassDef) and child.name in promised
            ):
                offences.append(f"{module.at(child.lineno)} {child.name}")
            if isinstance(child, ast.ClassDef):
                look(module, child)

    for module in modules():
        look(module, module.tree)
    nobody(offences)


def _is_overload(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(mark).split(".")[-1] in ("overload", "override") for mark in node.decorator_list)


def test_names_say_what_things_are() -> None:
    named = [
        (module, node.lineno, node.name)
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    ] + [(module, 1, module.path.stem) for module in modules()]
    nobody(f"{module.at(line)} {name}" for module, line, name in named if VAGUE_NAMES.search(name))


def test_a_check_is_silenced_only_with_a_reason() -> None:
    nobody(
        f"{name}:{number} {line.strip()}"
        for name, text in tracked_texts().items()
        if name.endswith((".py", ".toml"))
        for number, line in enumerate(text.splitlines(), 1)
        if (silenced := SILENCERS.search(line)) and not silenced["reason"].strip(" -#")
    )


@pytest.mark.parametrize("rule", FORBIDDEN_TEXT)
def test_no_file_of_the_project_holds_what_has_no_place_in_it(rule: str) -> None:
    pattern = FORBIDDEN_TEXT[rule]
    nobody(
        f"{name}:{number} {line.strip()[:100]}"
        for name, text in tracked_texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    )


def test_the_generated_twin_is_what_its_source_makes_it() -> None:
    checked = subprocess.run(
        [sys.executable, "scripts/unasync.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
