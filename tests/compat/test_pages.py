"""The pages for people who come from dify-oapi2 say what is so."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from opendify.simulator import Simulator

from .programs import PNG

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"```py\n(.*?)```", re.DOTALL)
PAIR = re.compile(r'<div class="side-by-side" markdown>\n(.*?)\n</div>', re.DOTALL)


def as_run(code: str, dify: Simulator) -> str:
    """The code with a simulated Dify in place of the one that the page names."""
    real = {
        "https://dify.example.com": dify.url,
        '"app-chat"': f'"{dify.keys["chat"]}"',
        '"app-completion"': f'"{dify.keys["completion"]}"',
        '"app-workflow"': f'"{dify.keys["workflow"]}"',
        '"dataset-key"': f'"{dify.dataset_key}"',
    }
    for written, put in real.items():
        code = code.replace(written, put)
    return code


def said(code: str, namespace: dict[str, object]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, namespace)
    return out.getvalue()


def test_the_ten_calls_do_the_same_before_and_after(
    dify: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("picture.png").write_bytes(PNG)
    page = (DOCS / "from-builders-to-keywords.md").read_text("utf-8")
    pairs = [BLOCK.findall(pair) for pair in PAIR.findall(page)]
    assert sum(map(len, pairs)) == len(BLOCK.findall(page)), "every block is one of a pair"
    before: dict[str, object] = {}
    after: dict[str, object] = {}
    for number, (old, new) in enumerate(pairs):
        old_said, new_said = (
            said(as_run(code, dify), namespace) for code, namespace in ((old, before), (new, after))
        )
        assert old_said == new_said, f"pair {number}"
        assert bool(old_said) == (number > 0)
    assert len(pairs) == 1 + 10
    for name, namespace in (("client", before), ("dify", after), ("knowledge", after)):
        client = namespace[name]
        client.close()


def test_the_code_of_the_page_on_dify_oapi_runs(dify: Simulator) -> None:
    page = (DOCS / "dify-oapi.md").read_text("utf-8")
    namespace: dict[str, object] = {}
    for block in BLOCK.findall(page):
        said(as_run(block, dify), namespace)
    client = namespace["client"]
    client.close()
