"""Every operation has its methods, sync and async alike, and every method has its operation."""

from __future__ import annotations

import inspect
import re

import pytest

from opendify import AsyncDify, AsyncKnowledge, Dify, Knowledge
from opendify._operations import OPERATIONS

from .public_api import methods

TWINS = [(AsyncDify, Dify), (AsyncKnowledge, Knowledge)]
COMPOSED = {"annotations.wait", "documents.wait"}
"""Methods made of others, which ask for no operation of their own."""


def listed(client: type) -> set[str]:
    """The methods that the table promises of a client."""
    of_apps = client in (AsyncDify, Dify)
    rows = [row for row in OPERATIONS if bool(row.modes) == of_apps or row.path == "/"]
    return {method for row in rows for method in row.methods}


def signature(method: object) -> str:
    """Parameters and result as they are written, without what tells sync from async."""
    assert callable(method)
    written = str(inspect.signature(method))
    return re.sub(r"\bAsync(?=[A-Z])|\bAwaitable\[([^]]+)\]", r"\1", written)


@pytest.mark.parametrize("client", [client for twins in TWINS for client in twins])
def test_every_operation_has_its_methods_and_every_method_its_operation(client: type) -> None:
    assert methods(client).keys() - COMPOSED == listed(client)


@pytest.mark.parametrize(("async_client", "client"), TWINS)
def test_a_sync_method_takes_and_gives_what_its_async_twin_does(async_client: type, client: type) -> None:
    ours, twins = methods(async_client), methods(client)
    assert {name: signature(one) for name, one in ours.items()} == {
        name: signature(one) for name, one in twins.items()
    }
    assert {name: inspect.getdoc(one) is not None for name, one in ours.items()} == dict.fromkeys(twins, True)


@pytest.mark.parametrize("client", [Dify, Knowledge])
def test_ids_and_files_are_positional_and_all_else_is_spelled_out(client: type) -> None:
    in_paths = {part for row in OPERATIONS for part in re.findall(r"\{(\w+)\}", row.path)}
    for name, method in methods(client).items():
        for parameter in inspect.signature(method).parameters.values():
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                is_id = parameter.name in in_paths or parameter.name.endswith(("_id", "_ids"))
                assert is_id or parameter.name == "file", f"{name}({parameter.name})"


@pytest.mark.parametrize("client", [Dify, Knowledge])
def test_what_stands_in_an_operations_path_is_positional_and_in_its_order(client: type) -> None:
    taken = methods(client)
    for row in OPERATIONS:
        ids = [part for part in re.findall(r"\{(\w+)\}", row.path) if part not in ("action", "model_type")]
        for method in set(row.methods) & taken.keys():
            parameters = inspect.signature(taken[method]).parameters.values()
            positional = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
            assert [name for name in positional if name in ids] == ids or method.startswith("workflows."), (
                method
            )
