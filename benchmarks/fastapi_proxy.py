"""A proxy as most people write it: FastAPI, httpx, pydantic, `StreamingResponse`.

Nothing is done badly on purpose: one client for all calls, uvicorn with uvloop and httptools, no access log.

Run, in its own environment: ``python -m benchmarks.fastapi_proxy DIFY_URL PORT``
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from benchmarks.work import KEY


class ChatMessage(BaseModel):
    role: str
    content: str


class ChatRequest(BaseModel):
    model: str
    messages: list[ChatMessage]
    stream: bool = False


def proxy(url: str) -> FastAPI:
    """The application.

    Args:
        url: Dify's, with `/v1`.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(headers=headers, timeout=60, limits=limits) as app.state.client:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/chat/completions", response_model=None)
    async def complete(request: ChatRequest) -> dict[str, Any] | StreamingResponse:
        if request.stream:
            return StreamingResponse(chunks(request), media_type="text/event-stream")
        answer, usage = "", {}
        async for event in events(request):
            if event["event"] == "message":
                answer += event["answer"]
            elif event["event"] == "message_end":
                usage = event["metadata"]["usage"]
        message = {"role": "assistant", "content": answer}
        return {
            "id": f"chatcmpl-{uuid.uuid4()}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": request.model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")},
        }

    async def events(request: ChatRequest) -> AsyncIterator[dict[str, Any]]:
        body = {
            "inputs": {},
            "query": request.messages[-1].content,
            "response_mode": "streaming",
            "user": "fastapi",
        }
        async with app.state.client.stream("POST", f"{url}/chat-messages", json=body) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line[6:])

    async def chunks(request: ChatRequest) -> AsyncIterator[str]:
        frame: dict[str, Any] = {
            "id": f"chatcmpl-{uuid.uuid4()}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": request.model,
        }

        def chunk(delta: dict[str, str], reason: str | None = None) -> str:
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            return f"data: {json.dumps({**frame, 'choices': [choice]})}\n\n"

        yield chunk({"role": "assistant", "content": ""})
        async for event in events(request):
            if event["event"] == "message":
                yield chunk({"content": event["answer"]})
        yield chunk({}, "stop")
        yield "data: [DONE]\n\n"

    return app


if __name__ == "__main__":
    uvicorn.run(
        proxy(sys.argv[1]),
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
