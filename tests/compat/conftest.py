"""The package `dify_oapi` as its wheel has it, made anew for the tests, and a Dify to ask."""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from opendify.simulator import AppSpec, ConversationVariable, Field, Simulator

COMPAT = Path(__file__).parents[2] / "compat"
sys.path.insert(0, str(COMPAT))

from generate import generate  # noqa: E402 - its place is known by the line above

FOLDER = TemporaryDirectory()
PACKAGE_PATH = FOLDER.name
MADE = list(generate(Path(PACKAGE_PATH)))
sys.path.insert(0, PACKAGE_PATH)


def pytest_unconfigure() -> None:
    FOLDER.cleanup()


APPS = (
    AppSpec("chat", "chat", speech=True, annotations={"What is your name?": "My name is Dify, says a note."}),
    AppSpec(
        "chatflow",
        "advanced-chat",
        speech=True,
        variables=(
            ConversationVariable("name", "string", "Ada"),
            ConversationVariable("count", "number", 1),
            ConversationVariable("seen", "array[string]", ["a"]),
        ),
    ),
    AppSpec(
        "completion",
        "completion",
        speech=True,
        form=(Field("query", "paragraph", label="Query", required=True),),
    ),
    AppSpec("workflow", "workflow", speech=True, form=(Field("text", "paragraph", required=True),)),
)


@pytest.fixture(params=["1.12", "1.16"])
def dify(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """A simulated Dify of each version, with an app of every kind that dify_oapi knows."""
    with Simulator(APPS, behaviour=request.param, pace=0, naming_delay=0, indexing_seconds=0.01) as simulator:
        yield simulator
