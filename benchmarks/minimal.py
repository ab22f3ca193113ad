"""The floor for a translating proxy in Python: raw ASGI on uvicorn, aiohttp to Dify, and nothing else.

No keys, no memory, no log, no files, no faults, and nobody looks whether the client is still there.

Run: ``python -m benchmarks.minimal DIFY_URL PORT``
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from random import getrandbits
from typing import Any

import aiohttp
import uvicorn
from msgspec import json

from benchmarks.work import KEY

Message = MutableMapping[str, Any]  # as ASGI has it
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]


class Minimal:
    """The application.

    Args:
        url: Dify's, with `/v1`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["method"] == "GET":  # is it ready?
            await _start(send, b"text/plain", (b"content-length", b"0"))
            await send({"type": "http.response.body"})
        else:
            await self._complete(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as self._session:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _complete(self, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        request = json.decode(body)
        answer = _stream if request.get("stream") else _plain
        assert self._session is not None, "a server starts the lifespan first"
        async with self._session.post(
            f"{self._url}/chat-messages",
            headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
            data=json.encode(
                {
                    "inputs": {},
                    "query": request["messages"][-1]["content"],
                    "response_mode": "streaming",
                    "user": "minimal",
                    "auto_generate_name": False,
                }
            ),
        ) as response:
            response.raise_for_status()
            await answer(response.content, request["model"], send)


def _events(data: bytes) -> tuple[list[dict[str, Any]], bytes]:
    """Dify's events that are whole, and the beginning of the next."""
    *whole, rest = data.split(b"\n\n")
    return [json.decode(event[6:]) for event in whole if event.startswith(b"data: ")], rest


async def _plain(content: aiohttp.StreamReader, model: str, send: Send) -> None:
    events, _ = _events(await content.read())
    usage = events[-1]["metadata"]["usage"]
    message = {
        "role": "assistant",
        "content": "".join([event["answer"] for event in events if event["event"] == "message"]),
    }
    body = json.encode(
        {
            "id": _id(),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")},
        }
    )
    await _start(send, b"application/json", (b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.body", "body": body})


async def _stream(content: aiohttp.StreamReader, model: str, send: Send) -> None:
    frame: dict[str, Any] = {
        "id": _id(),
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
    }

    def chunk(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        frame["choices"] = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
        return b"data: %b\n\n" % json.encode(frame)

    await _start(send, b"text/event-stream")
    first, rest = chunk({"role": "assistant", "content": ""}), b""
    while data := await content.readany():
        events, rest = _events(rest + data)
        out = [chunk({"content": event["answer"]}) for event in events if event["event"] == "message"]
        await send({"type": "http.response.body", "body": first + b"".join(out), "more_body": True})
        first = b""
    await send({"type": "http.response.body", "body": chunk({}, "stop") + b"data: [DONE]\n\n"})


def _id() -> str:
    return f"chatcmpl-{getrandbits(128):032x}"


async def _start(send: Send, content_type: bytes, *headers: tuple[bytes, bytes]) -> None:
    fields = [(b"content-type", content_type), *headers]
    await send({"type": "http.response.start", "status": 200, "headers": fields})


if __name__ == "__main__":
    uvicorn.run(
        Minimal(sys.argv[1]),
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        proxy_headers=False,
        log_level="warning",
    )
