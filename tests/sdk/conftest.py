"""The three ways to call Dify, behind one face: the tests are written once."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from importlib import import_module
from types import TracebackType
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from opendify import (
    AsyncDify,
    AsyncHttpxTransport,
    AsyncKnowledge,
    AsyncTransport,
    Dify,
    DifyError,
    HttpxTransport,
    Knowledge,
)
from opendify.httptools import HttptoolsTransport

from .wire_server import WireServer

# A busy machine is no fault of what is tested.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


class InThread:
    """A sync client, resource or stream as an async one: each call runs in a thread, and is awaited."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if inspect.ismethod(value) and not self._is_awaited(name):
            return lambda *args, **kwargs: InThread(value(*args, **kwargs))
        if inspect.ismethod(value):
            return lambda *args, **kwargs: asyncio.to_thread(value, *args, **kwargs)
        return InThread(value) if type(value).__module__.startswith("opendify._sync.") else value

    def _is_awaited(self, name: str) -> bool:
        """Whether the async twin of this method is."""
        kind = type(self._inner)
        twin = getattr(import_module(kind.__module__.replace("_sync", "_async")), f"Async{kind.__name__}")
        return inspect.iscoroutinefunction(getattr(twin, name))

    async def aclose(self) -> None:
        await asyncio.to_thread(self._inner.close)

    async def __aenter__(self) -> InThread:
        await asyncio.to_thread(self._inner.__enter__)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._inner.__exit__, kind, error, trace)

    def __aiter__(self) -> InThread:
        return InThread(iter(self._inner))

    async def __anext__(self) -> Any:
        ended = object()
        event = await asyncio.to_thread(next, self._inner, ended)
        if event is ended:
            raise StopAsyncIteration
        return event


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The transport of our own is tested in the event loop of the gateway, too."""
    plain: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    return plain | {"uvloop": uvloop.new_event_loop} if item.path.name == "test_httptools.py" else plain


Connect = Callable[..., Any]

TWINS: dict[type, type] = {Dify: AsyncDify, Knowledge: AsyncKnowledge}

ASYNC_TRANSPORTS: dict[str, Callable[..., AsyncTransport]] = {
    "httpx2": partial(AsyncHttpxTransport, trust_env=False),
    "httptools": HttptoolsTransport,
}


@pytest.fixture(params=["sync", *ASYNC_TRANSPORTS])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """A function that gives a client of a server, one way after the other; clients are closed afterwards."""
    opened: list[Any] = []

    def connect(
        server: WireServer | str,
        *,
        kind: type = Dify,
        api_key: str = "app-secret-key",
        idle_seconds: float = 1.5,
        over: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """`over`: options of the transport; those after it are the client's."""
        url = server if isinstance(server, str) else server.url
        over = {"idle_seconds": idle_seconds} | dict(over or {})
        options = {"user": "ada", "base_url": url} | options
        client: Any
        if request.param == "sync":
            transport: Any = HttpxTransport(trust_env=False, **over)
            client = InThread(kind(api_key, transport=transport, **options))
            opened.append(InThread(transport))
        else:
            transport = ASYNC_TRANSPORTS[request.param](**over)
            client = TWINS[kind](api_key, transport=transport, **options)
            opened.append(transport)
        return client

    connect.__name__ = request.param
    yield connect
    for transport in opened:
        await transport.aclose()


@pytest.fixture(params=ASYNC_TRANSPORTS)
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[AsyncTransport]:
    """Each of the async transports."""
    made = ASYNC_TRANSPORTS[request.param]()
    yield made
    await made.aclose()


async def follow(stream: Any) -> tuple[list[Any], DifyError | None]:
    """The events of a stream, and what it ended with."""
    seen: list[Any] = []
    async with stream as reader:
        try:
            async for told in reader:
                seen += [told]
        except DifyError as failure:
            return seen, failure
    return seen, None
