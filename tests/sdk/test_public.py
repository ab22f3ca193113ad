"""What is public, and how it is documented."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

import opendify
import opendify.types
from opendify import AsyncDify, Dify
from opendify.types._model import Model

from .public_api import CLIENTS, methods, resources


@pytest.mark.parametrize("module", [opendify, opendify.types])
def test_what_is_exported_is_listed_in_order_and_has_a_docstring(module: ModuleType) -> None:
    assert list(module.__all__) == sorted(module.__all__)
    for name in module.__all__:
        value = getattr(module, name)
        assert not inspect.isclass(value) or value.__doc__, name
    assert not hasattr(module, "Nothing")


def test_the_package_tells_its_version() -> None:
    assert opendify.__version__ == version("opendify")


def test_one_half_of_the_sdk_is_not_loaded_for_the_other_nor_httpx2_before_it_is_needed() -> None:
    code = (
        "import sys; from opendify import {}; "
        "print('opendify._{}._client' in sys.modules, 'httpx2' in sys.modules)"
    )
    for name, other in (("Dify", "async"), ("AsyncDify", "sync")):
        done = subprocess.run(
            [sys.executable, "-c", code.format(name, other)], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("client", CLIENTS)
def test_every_public_method_of_a_client_says_what_it_is_for(client: type) -> None:
    own = {name: value for name, value in inspect.getmembers(client) if not name.startswith("_")}
    behind = {name: type(resource) for name, resource in resources(client)}
    everything = {**own, **behind, **methods(client)}
    assert len(everything) > 10
    assert [name for name, thing in everything.items() if not inspect.getdoc(thing)] == []


def test_the_sdk_alone_needs_no_gateway_library() -> None:
    code = (
        "import sys, opendify; print({'aiohttp', 'httptools', 'starlette', 'msgspec'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_key_and_address_come_from_the_environment_where_they_are_not_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DIFY_API_KEY", "app-of-environment")
    monkeypatch.setenv("DIFY_API_BASE", "http://dify.internal/")
    assert repr(Dify()) == "Dify(base_url='http://dify.internal/v1', user=None)"
    assert repr(Dify(base_url="https://x.example", user="ada")) == (
        "Dify(base_url='https://x.example/v1', user='ada')"
    )
    monkeypatch.delenv("DIFY_API_BASE")
    assert repr(AsyncDify()) == "AsyncDify(base_url='https://api.dify.ai/v1', user=None)"
    monkeypatch.delenv("DIFY_API_KEY")
    with pytest.raises(ValueError, match="DIFY_API_KEY"):
        Dify()


@pytest.mark.parametrize("key", ["app-ключ", "app-\u200bhidden", "app-two words", "app-line\nbreak"])
def test_a_key_that_can_be_none_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(ValueError, match="copy it again") as caught:
        Dify(key)
    assert key not in str(caught.value)


def test_what_dify_tells_cannot_be_changed_by_mistake() -> None:
    info = opendify.types.AppInfo(name="A", mode="chat")
    with pytest.raises(ValueError, match="frozen"):
        info.name = "B"  # type: ignore[misc]


def test_no_field_of_a_model_hides_what_pydantic_offers() -> None:
    for name in opendify.types.__all__:
        kind = getattr(opendify.types, name)
        if inspect.isclass(kind) and issubclass(kind, Model):
            assert not set(kind.model_fields) & set(dir(Model)), name


def test_a_copy_of_the_package_in_another_place_works(tmp_path: Path) -> None:
    """Nothing is read from this tree at run time."""
    environment = {"PATH": os.environ["PATH"], "DIFY_API_KEY": "app-x"}
    done = subprocess.run(
        [sys.executable, "-c", "import opendify; print(opendify.Dify())"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("Dify(")
