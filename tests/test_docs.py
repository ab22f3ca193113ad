"""What the documents say is so: their code runs, their commands exist, their links lead somewhere."""

import ast
import contextlib
import doctest
import importlib
import io
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer.main

import opendify
from opendify.cli.commands import app
from opendify.gateway.settings import Settings, settings_of
from opendify.simulator import Simulator
from servers import Gateway, running_gateway

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)(?P<more>[^\n]*)\n(?P<text>.*?)^(?P=indent)```", re.M | re.S
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")

# Where the documents say that things are, as a reader who followed them has them.
GATEWAY, SIMULATOR = "http://127.0.0.1:5000", "http://127.0.0.1:5001"


@dataclass(frozen=True)
class Block:
    """A block of code in a page."""

    page: Path
    line: int
    language: str
    more: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    text = page.read_text("utf-8")
    found = (
        Block(
            page,
            text.count("\n", 0, match.start()) + 1,
            match["language"],
            match["more"].strip(),
            re.sub(rf"^{match['indent']}", "", match["text"], flags=re.M),
        )
        for match in FENCE.finditer(text)
    )
    return [block for block in found if block.language in languages]


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def dify() -> Iterator[Simulator]:
    with Simulator(behaviour="1.16", pace=0) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def gateway(dify: Simulator) -> Iterator[Gateway]:
    keys = ",".join(dify.keys.values())
    with running_gateway(DIFY_API_BASE=dify.base_url, DIFY_API_KEYS=keys) as running:
        yield running


@pytest.fixture
def reader(
    gateway: Gateway, dify: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> tuple[tuple[str, str], ...]:
    """Somebody who has both running and follows a page in an empty folder; gives the addresses to put in."""
    for name, value in {
        "DIFY_API_BASE": dify.base_url,
        "DIFY_API_KEY": dify.keys["chat"],
        "DIFY_DATASET_KEY": dify.dataset_key,
        "OPENAI_BASE_URL": gateway.base_url,
        "OPENAI_API_KEY": "sk-any",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return ((GATEWAY, gateway.root), (SIMULATOR, dify.url))


def as_run(text: str, addresses: tuple[tuple[str, str], ...]) -> str:
    for written, real in addresses:
        text = text.replace(written, real)
    return text


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=named)
def test_the_python_code_of_a_page_runs_from_top_to_bottom(
    page: Path, reader: tuple[tuple[str, str], ...]
) -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page, "python"):
        tree = ast.parse(
            "\n" * block.line + as_run(block.text, reader), str(page)
        )  # so that line numbers are right
        code = compile(tree, str(page), "exec")
        assert block.more == "", f"{block.place}: python and nothing else, or: py, which is not run"
        with contextlib.redirect_stdout(io.StringIO()):
            exec(code, namespace)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "console")], ids=named)
def test_the_calls_with_curl_on_a_page_succeed(page: Path, reader: tuple[tuple[str, str], ...]) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    for block in blocks(page, "console"):
        if not block.text.startswith("curl "):
            continue
        script = 'curl() { command curl -sS --fail-with-body "$@"; }\n' + as_run(block.text, reader)
        ran = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{block.place}: {ran.stdout}{ran.stderr}"
        assert ran.stdout, f"{block.place}: no answer"


def test_every_command_and_target_that_a_page_names_exists() -> None:
    commands = {"--help", "--version", *typer.main.get_command(app).commands, "COMMAND"}  # type: ignore[attr-defined]  # a group
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    lost: list[str] = []
    for page in PAGES:
        text = page.read_text("utf-8")
        code = [block.text for block in blocks(page, "console", "bash", "shell", "sh")]
        code += re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
        for line in "\n".join(code).splitlines():
            if (run := re.match(r"(?:\$ )?(?:\S*/)?(opendify|make) +(\S+)", line)) and "=" not in run[2]:
                known = commands if run[1] == "opendify" else targets
                if run[2] not in known:
                    lost.append(f"{named(page)}: {line}")
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    lost: list[str] = []
    for link in LINK.finditer(FENCE.sub("", page.read_text("utf-8"))):
        target, _, anchor = link["target"].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        there = page.parent / unquote(target) if target else page
        if there.exists() and anchor.startswith("opendify."):
            continue  # a place in the reference, which is there once the site is built: tests/test_site.py
        if not there.exists() or (anchor and anchor not in _anchors(there)):
            lost.append(link["target"])
    assert lost == []


def _anchors(page: Path) -> set[str]:
    """What a link can name in a page: its headings as the usual renderers write them."""
    headings = re.findall(r"^#+ +(.+?) *$", FENCE.sub("", page.read_text("utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_architecture_has_a_room_for_every_file_of_the_sdk_the_gateway_and_the_command_line() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    folders = ("", "_async", "gateway", "cli", "cli/kb")
    files = [file for folder in folders for file in (ROOT / "src/opendify" / folder).glob("*.py")]
    resources = [file for file in files if file.parent.name == "_async" and not file.name.startswith("_")]
    rooms = [file for file in files if file not in resources and not file.name.startswith("__")]
    assert len(rooms) > 40
    assert [file.name for file in rooms if f"{file.name}`" not in text] == []


def test_what_the_code_can_say_itself_stands_in_the_documents_as_it_says_it() -> None:
    checked = subprocess.run(
        [sys.executable, "scripts/documents.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_documents_name_every_setting() -> None:
    text = (ROOT / "docs/settings.md").read_text("utf-8")
    general = [key for key, setting in settings_of(Settings).items() if setting.group]
    assert len(general) > 20
    assert [key for key in general if f"`{key.upper()}`" not in text] == []


def _uncommented(text: str) -> str:
    """An example with every value taken from behind its #."""
    return re.sub(r"^#(?=[\w\[])", "", text, flags=re.M)


def test_the_example_env_has_every_setting_and_its_true_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in settings_of(Settings):
        monkeypatch.delenv(key.upper(), raising=False)
    text = _uncommented((ROOT / ".env.example").read_text("utf-8"))
    (tmp_path / ".env").write_text(text, "utf-8")
    assert Settings.load(tmp_path / ".env", tmp_path / "none.toml") == Settings()
    assert [
        key
        for key, setting in settings_of(Settings).items()
        if setting.group and f"\n{key.upper()}=" not in text
    ] == []


def test_the_example_toml_has_every_setting_and_its_true_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in settings_of(Settings):
        monkeypatch.delenv(key.upper(), raising=False)
    text = _uncommented((ROOT / "opendify.example.toml").read_text("utf-8"))
    (tmp_path / "opendify.toml").write_text(text, "utf-8")
    settings = Settings.load(tmp_path / "none.env", tmp_path / "opendify.toml")
    tables = {"app_tables", "client_tables", "server_tables"}
    assert settings.model_dump(exclude=tables) == Settings().model_dump(exclude=tables)
    assert all(settings.model_dump(include=tables).values())
    assert [
        key for key in settings_of(Settings) if f"\n{key} = " not in text and f"\n[{key}." not in text
    ] == []


MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(opendify.__path__, "opendify.")
    if "__main__" not in module.name
)


@pytest.mark.parametrize("module", ["opendify", *MODULES])
def test_the_examples_in_docstrings_are_true(
    module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    said = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for example in doctest.DocTestFinder().find(importlib.import_module(module)):
        runner.run(example, out=said.write)
    assert runner.failures == 0, said.getvalue()
