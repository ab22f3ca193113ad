"""Programs written for dify-oapi2 run as they are: every method of every service, sync and async."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from dify_oapi.client import Client
from dify_oapi.core.model.base_response import BaseResponse
from dify_oapi.core.model.request_option import RequestOption
from opendify.simulator import Simulator

from . import programs


def methods_of(client: Client, service: str) -> Iterator[tuple[str, str]]:
    """The attributes of a service, and their methods."""
    for name, resource in vars(getattr(client, service).v1).items():
        for method in dir(resource):
            if not method.startswith("_") and hasattr(resource, f"a{method}"):
                yield name, method


class Run:
    """A program on its way: what is called, and what it was that was called."""

    def __init__(self, program: programs.Program, client: Client) -> None:
        self._program = program
        self._names = {
            id(resource): (service, name)
            for service in programs.PROGRAMS
            for name, resource in vars(getattr(client, service).v1).items()
        }
        self.called: set[tuple[str, str, str]] = set()
        self.untyped: set[str] = set()

    def next(self, response: Any) -> programs.Called | None:
        try:
            called = self._program.send(response)
        except StopIteration:
            return None
        method: Any = called[0]
        service, name = self._names[id(method.__self__)]
        self.called.add((service, name, method.__name__))
        return called

    def received(self, response: Any) -> Any:
        if isinstance(response, BaseResponse) and response.success:
            self.untyped |= set(not_as_promised(response))
        return response


def not_as_promised(response: BaseResponse) -> Iterator[str]:
    """The fields of a response that are not of their type."""
    told = response.model_dump(exclude={"raw"}, warnings=False)
    try:
        type(response).model_validate(told)
    except ValueError as error:
        for problem in error.errors():
            where = ".".join(str(part) for part in problem["loc"] if not isinstance(part, int))
            yield f"{type(response).__module__}.{type(response).__name__}: {where}: {problem['input']!r}"


def run(program: programs.Program, client: Client, option: RequestOption) -> Run:
    """Run it with sync calls."""
    running, response = Run(program, client), None
    while called := running.next(response):
        method, request, *stream = called
        got = method(request, option, *stream)
        response = running.received(b"".join(got) if stream else got)
    return running


async def arun(program: programs.Program, client: Client, option: RequestOption) -> Run:
    """Run it with async calls."""
    running, response = Run(program, client), None
    while called := running.next(response):
        method: Any = called[0]
        request, *stream = called[1:]
        got = await getattr(method.__self__, f"a{method.__name__}")(request, option, *stream)
        response = running.received(b"".join([chunk async for chunk in got]) if stream else got)
    await client.aclose()
    return running


@pytest.mark.parametrize("service", programs.PROGRAMS)
@pytest.mark.parametrize("waiting", ["sync", "async"])
def test_a_program_calls_every_method_of_its_service(dify: Simulator, service: str, waiting: str) -> None:
    client = Client.builder().domain(dify.url).build()
    keys = dify.keys | {"dify": dify.keys["chat"], "knowledge": dify.dataset_key}
    option = RequestOption.builder().api_key(keys[service]).build()
    program = programs.PROGRAMS[service](client)
    if waiting == "sync":
        with closing(client):
            running = run(program, client, option)
    else:
        running = asyncio.run(arun(program, client, option))
    called = {(name, method) for owner, name, method in running.called if owner == service}
    assert called == set(methods_of(client, service))
    assert not running.untyped, "\n".join(sorted(running.untyped))
