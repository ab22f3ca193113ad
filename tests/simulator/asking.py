"""Asking a simulator over HTTP, as its users' clients do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import aiohttp

from opendify.simulator import Simulator

ROUTES = {"completion": "/completion-messages", "workflow": "/workflows/run"}
"""Where apps of a mode are asked; all others at /chat-messages."""


class Client:
    """A client of one app of a simulator.

    Args:
        dify: the simulator.
        app: the app's nickname.
        user: who asks.
    """

    def __init__(self, dify: Simulator, session: aiohttp.ClientSession, app: str, user: str) -> None:
        self._dify = dify
        self._session = session
        self._headers = {"Authorization": f"Bearer {dify.keys[app]}"}
        self._mode = next(spec.mode for spec in dify.apps if spec.nickname == app)
        self.user = user

    async def call(self, method: str, path: str, **more: Any) -> aiohttp.ClientResponse:
        """Any call, its reply not yet read."""
        return await self._session.request(method, self._dify.base_url + path, headers=self._headers, **more)

    async def get(self, url: str) -> aiohttp.ClientResponse:
        """Fetch any URL, without a key."""
        return await self._session.get(url)

    async def send(self, query: str, *, mode: str = "streaming", **more: Any) -> aiohttp.ClientResponse:
        """Ask, the reply not yet read. A completion or workflow app is asked in its text input."""
        body: dict[str, Any] = {"inputs": {}, "user": self.user, "response_mode": mode}
        if self._mode in ROUTES:
            body["inputs"] = {"query": query, "text": query}
        else:
            body |= {"query": query, "auto_generate_name": False}
        return await self.call("POST", ROUTES.get(self._mode, "/chat-messages"), json=body | more)

    async def events(self, query: str, **more: Any) -> list[dict[str, Any]]:
        """Ask, and give all events of the stream; pings as `{"event": "ping"}`."""
        async with await self.send(query, **more) as reply:
            assert reply.status == 200, await reply.text()
            return parsed(await reply.read())

    async def answer(self, query: str, **more: Any) -> str:
        """Ask, and give the whole answer."""
        return said(await self.events(query, **more))

    async def blocking(self, query: str, **more: Any) -> tuple[int, Any]:
        """Ask for a blocking answer: the status and the JSON."""
        async with await self.send(query, mode="blocking", **more) as reply:
            return reply.status, await reply.json(content_type=None)

    async def json(self, method: str, path: str, **more: Any) -> Any:
        """A call with a JSON reply."""
        async with await self.call(method, path, **more) as reply:
            return await reply.json(content_type=None)

    async def upload(self, name: str, content: bytes) -> tuple[int, dict[str, Any]]:
        """Upload a file, called a PNG whatever it is: the status and the JSON."""
        form = aiohttp.FormData({"user": self.user})
        form.add_field("file", BytesIO(content), filename=name, content_type="image/png")
        async with await self.call("POST", "/files/upload", data=form) as reply:
            return reply.status, await reply.json()

    async def stop(self, task_id: str, user: str | None = None) -> Any:
        """Stop a run."""
        route = {"completion": "/completion-messages", "workflow": "/workflows/tasks"}
        path = f"{route.get(self._mode, '/chat-messages')}/{task_id}/stop"
        return await self.json("POST", path, json={"user": user or self.user})


@asynccontextmanager
async def client(dify: Simulator, app: str = "chat", user: str = "ada") -> AsyncIterator[Client]:
    """A client of one app."""
    async with aiohttp.ClientSession() as session:
        yield Client(dify, session, app, user)


async def until(true: Callable[[], bool]) -> None:
    """Wait for what is about to be true."""
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came about")


def parsed(body: bytes) -> list[dict[str, Any]]:
    """The events of a stream."""
    blocks = [block for block in body.decode().split("\n\n") if block]
    return [{"event": "ping"} if block == "event: ping" else json.loads(block[6:]) for block in blocks]


def said(events: list[dict[str, Any]]) -> str:
    """The text of a stream, whatever the kind of app."""
    pieces = [
        event["answer"]
        for event in events
        if event["event"] in ("message", "agent_message", "message_file") and "answer" in event
    ]
    return "".join(pieces) or "".join(e["data"]["text"] for e in events if e["event"] == "text_chunk")


def names(events: list[dict[str, Any]]) -> list[str]:
    """The events' names, each run of one name once."""
    found = [event["event"] for event in events]
    return [name for at, name in enumerate(found) if at == 0 or found[at - 1] != name]
