"""The site of the documents: it builds without a warning, is whole, and fetches nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import opendify
import opendify.httptools
import opendify.simulator
import opendify.types

ROOT = Path(__file__).parent.parent
FETCHED = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=["']?(?P<from>https?:[^"'\s>]*)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` builds; a page that is missing or a link that leads nowhere is an error."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_every_page_of_the_documents_is_in_the_site(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).is_file(), page


def test_whoever_reads_the_site_asks_no_other_host_for_anything(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 10
    assert [
        (page.name, found["from"]) for page in pages for found in FETCHED.finditer(page.read_text("utf-8"))
    ] == []


@pytest.mark.parametrize("module", [opendify, opendify.types, opendify.httptools, opendify.simulator])
def test_the_reference_tells_of_every_public_name(site: Path, module: ModuleType) -> None:
    text = "".join(page.read_text("utf-8") for page in site.glob("reference/*.html"))
    places = set(re.findall(r'<h\d id="(opendify[\w.]*)"', text))
    names = {name.rpartition(".")[2] for name in places}
    public = [name for name in module.__all__ if not isinstance(getattr(module, name), ModuleType)]
    assert [name for name in public if name not in names] == []
