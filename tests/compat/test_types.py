"""mypy and pyright, both strict, follow the whole package, and a program that uses it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import opendify

from .conftest import PACKAGE_PATH

PROGRAM = Path(__file__).parent / "typing" / "program.py"
SDK_PATH = str(Path(opendify.__file__).parent.parent)


def test_mypy_follows_the_package_and_a_program(tmp_path: Path) -> None:
    cache, package = str(tmp_path / "cache"), str(Path(PACKAGE_PATH) / "dify_oapi")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, str(PROGRAM), package],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": os.pathsep.join([PACKAGE_PATH, SDK_PATH])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_pyright_follows_the_package_and_a_program(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.read_text("utf-8"), "utf-8")
    (tmp_path / "dify_oapi").symlink_to(Path(PACKAGE_PATH) / "dify_oapi")
    settings = {
        "include": ["program.py", "dify_oapi"],
        "extraPaths": [SDK_PATH],
        "typeCheckingMode": "strict",
        "reportUnnecessaryTypeIgnoreComment": True,
        "pythonVersion": "3.11",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--project", str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
