"""The wheel: built without a network, and what the examples of dify-oapi2's README run with, unchanged."""

import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import opendify
from opendify.simulator import Simulator

from .conftest import COMPAT, PACKAGE_PATH

EXAMPLES = Path(__file__).parent / "dify_oapi2_examples.md"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the wheel unpacks to, built by way of the source distribution as for a release."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(COMPAT)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_COLOR": "1"},
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_the_package_and_says_what_it_needs(wheel: Path) -> None:
    inside = files(wheel)
    info = "opendify_dify_oapi-0.1.0.dist-info"
    assert {name for name in inside if not name.startswith(info)} == files(Path(PACKAGE_PATH))
    assert "dify_oapi/py.typed" in inside
    told = (wheel / info / "METADATA").read_text("utf-8")
    assert re.findall(r"^Requires-Dist: (.*)$", told, re.MULTILINE) == [f"opendify=={version('opendify')}"]


def test_the_examples_run_unchanged_but_for_address_and_key(wheel: Path, dify: Simulator) -> None:
    source = "\n".join(re.findall(r"```python\n(.*?)```", EXAMPLES.read_text("utf-8"), re.DOTALL))
    source = source.replace("https://api.dify.ai", dify.url).replace("your-api-key", dify.keys["chat"])
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONIOENCODING": "utf-8",
            "PYTHONPATH": os.pathsep.join([str(wheel), str(Path(opendify.__file__).parent.parent)]),
        },
    )
    assert (told.returncode, told.stderr) == (0, "")
    plain, _, streamed = told.stdout.partition("\n")
    assert plain.endswith("You said: “What can Dify API do?”")
    assert streamed.startswith("b'data: {")
    assert "message_end" in streamed
    assert streamed.endswith("You said: “Tell me a story”\n")
