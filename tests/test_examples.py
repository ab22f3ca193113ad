"""The examples in docstrings of the SDK run, each against a simulated Dify: the async ones and their twins.

An example defines one function. It is given what its parameters are named after: a client, a file, the id of
something that exists.
"""

from __future__ import annotations

import asyncio
import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

import opendify
import opendify.types
from opendify import AsyncDify, AsyncKnowledge, Dify, Knowledge
from opendify.simulator import Simulator

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360f8cfc0000000030001a8f5d4e20000000049454e44ae426082"
)
WAV = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\0\0\0\0"

# The app that an example of a class is about, by its nickname in the simulator; of all others, the chatflow.
APPS = {"workflows": "workflow", "completion": "completion", "human_input": "approval"}

UPPER_ROOMS = ("gateway", "simulator", "cli")  # what is not the SDK

WITHOUT_IMPORT = {
    **{name: getattr(opendify, name) for name in opendify.__all__},
    **{name: getattr(opendify.types, name) for name in opendify.types.__all__},
    "Path": Path,
    "JsonValue": JsonValue,
}


@dataclass(frozen=True)
class Example:
    """An example, and the name of what it is an example of."""

    name: str
    code: str

    @property
    def app(self) -> str:
        """The app that it talks to."""
        return next((app for module, app in APPS.items() if f".{module}." in self.name), "chatflow")


def examples() -> Iterator[Example]:
    """Every example of the SDK that defines a function: the others are no more than a doctest."""
    names = [module.name for module in pkgutil.walk_packages(opendify.__path__, "opendify.")]
    for name in ["opendify", *(name for name in names if name.split(".")[1] not in UPPER_ROOMS)]:
        for found in doctest.DocTestFinder().find(importlib.import_module(name)):
            code = "".join(step.source for step in found.examples)
            if "def " in code:
                yield Example(found.name, code)


class Supplies:
    """What examples are given, by the names of their parameters; each is made when it is asked for."""

    def __init__(self, simulator: Simulator, app: str, folder: Path) -> None:
        self.options: dict[str, Any] = {"base_url": simulator.base_url, "user": "ada"}
        self.app = app
        self.key, self.dataset_key = simulator.keys[app], simulator.dataset_key
        self.folder = folder

    @cached_property
    def picture(self) -> Path:
        return self._file("picture.png", PNG)

    @cached_property
    def speech(self) -> Path:
        return self._file("speech.wav", WAV)

    @cached_property
    def document(self) -> Path:
        return self._file("planets.txt", b"Mercury is the closest planet to the Sun.")

    def _file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def dify(self) -> Dify:
        """A client of the app, to make with it what an example is given."""
        return Dify(self.key, **self.options)

    def knowledge(self) -> Knowledge:
        """A client of the datasets."""
        return Knowledge(self.dataset_key, **self.options)

    @cached_property
    def file_id(self) -> str:
        with self.dify() as dify:
            uploaded = dify.files.upload(self.picture)
            dify.chat.send(query="What is it?", files=[uploaded.attachment])
            return uploaded.id

    @cached_property
    def end_user_id(self) -> str:
        with self.dify() as dify:
            return str(dify.files.upload(self.picture).created_by)

    @cached_property
    def _reply(self) -> opendify.types.ChatReply:
        with self.dify() as dify:
            return dify.chat.send(query="What do you know of planets?", auto_generate_name=False)

    @property
    def conversation_id(self) -> str:
        return self._reply.conversation_id

    @property
    def message_id(self) -> str:
        return self._reply.message_id

    @cached_property
    def annotation_id(self) -> str:
        with self.dify() as dify:
            return dify.annotations.create(question="When are you open?", answer="Always.").id

    @cached_property
    def workflow_run_id(self) -> str:
        with self.dify() as dify:
            if self.app == "workflow":
                return dify.workflows.run(inputs={"text": "Hello"}).workflow_run_id
            return str(self._reply.workflow_run_id)

    @property
    def form_token(self) -> str:
        assert self._reply.paused, "the app waits for a person"
        return str(self._reply.paused.forms[0].form_token)

    @cached_property
    def dataset_id(self) -> str:
        with self.knowledge() as knowledge:
            return knowledge.datasets.create(name="Planets").id

    @cached_property
    def _document(self) -> opendify.types.DocumentBatch:
        with self.knowledge() as knowledge:
            added = knowledge.documents.create_by_file(self.dataset_id, self.document)
            knowledge.documents.wait(self.dataset_id, added.batch)
            return added

    @property
    def document_id(self) -> str:
        return self._document.document.id

    @property
    def batch(self) -> str:
        return self._document.batch

    @cached_property
    def segment_id(self) -> str:
        with self.knowledge() as knowledge:
            return knowledge.segments.list(self.dataset_id, self.document_id).first().data[0].id

    @cached_property
    def child_chunk_id(self) -> str:
        with self.knowledge() as knowledge:
            place = (self.dataset_id, self.document_id, self.segment_id)
            return knowledge.child_chunks.create(*place, content="Mercury is small.").id

    @cached_property
    def tag_id(self) -> str:
        with self.knowledge() as knowledge:
            return knowledge.tags.create(name="Space").id

    @cached_property
    def metadata_id(self) -> str:
        with self.knowledge() as knowledge:
            return knowledge.metadata.create(self.dataset_id, type="string", name="author").id

    async def awaited(self, function: Callable[..., Any]) -> None:
        """Run an async example."""
        async with (
            AsyncDify(self.key, **self.options) as dify,
            AsyncKnowledge(self.dataset_key, **self.options) as knowledge,
        ):
            await function(**self.arguments(function, dify=dify, knowledge=knowledge))

    def called(self, function: Callable[..., Any]) -> None:
        """Run a sync example."""
        with self.dify() as dify, self.knowledge() as knowledge:
            function(**self.arguments(function, dify=dify, knowledge=knowledge))

    def arguments(self, function: Callable[..., Any], **clients: object) -> dict[str, object]:
        """What the function asks for."""
        return {
            name: clients.get(name) or getattr(self, name) for name in inspect.signature(function).parameters
        }


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A Dify of its own for each example: none meets what another has left behind."""
    with Simulator(behaviour="1.16", pace=0, naming_delay=0, indexing_seconds=0) as simulator:
        yield simulator


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.name)
def test_an_example_in_a_docstring_runs(
    example: Example, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supplies = Supplies(simulator, example.app, tmp_path)
    monkeypatch.setenv("DIFY_API_BASE", simulator.base_url)
    monkeypatch.chdir(tmp_path)
    code = example.code.replace("https://dify.example.com", simulator.url)
    code = code.replace("app-…", supplies.key).replace("dataset-…", supplies.dataset_key)
    names: dict[str, Any] = dict(WITHOUT_IMPORT)
    exec(code, names)
    (function,) = [
        thing for name, thing in names.items() if inspect.isfunction(thing) and name not in WITHOUT_IMPORT
    ]
    if inspect.iscoroutinefunction(function):
        asyncio.run(supplies.awaited(function))
    else:
        supplies.called(function)
