"""Every method of the clients has its types tested: tests/typing, which mypy and pyright check, names it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from sdk.public_api import CLIENTS, methods

TYPED = Path(__file__).parent / "typing"


def called(client: str) -> Iterator[str]:
    """The methods that tests/typing calls on a client of this class: `chat.send` and others."""
    for page in TYPED.glob("*.py"):
        for function in ast.parse(page.read_text("utf-8")).body:
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            names = [
                parameter.arg
                for parameter in function.args.args
                if parameter.annotation and ast.unparse(parameter.annotation) == client
            ]
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute):
                    name, _, method = ast.unparse(node).partition(".")
                    if name in names:
                        yield method


@pytest.mark.parametrize("client", CLIENTS)
def test_the_types_of_every_method_are_tested(client: type) -> None:
    assert sorted(set(methods(client)) - set(called(client.__name__))) == []
