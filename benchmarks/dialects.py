"""Two ways to ask the same and to read the answer: Dify's, and OpenAI's. Pure."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.work import CLIENT_KEY, KEY, MARK, MODEL, Work


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a peer is spoken to.

    Attributes:
        path: Where questions go.
        key: What a client sends as its key.
        body: The request for a question, streamed or not.
        text: What a body of an answer says, streamed or not; of a tool call its name and arguments.
    """

    path: str
    key: str
    body: Callable[[str, bool], dict[str, Any]]
    text: Callable[[bytes, bool], str]


def requests(dialect: Dialect, work: Work) -> Callable[[int], bytes]:
    """The requests of a work, each by its number: no two questions are the same.

    >>> from benchmarks.work import PLAIN
    >>> ask = requests(OPENAI, PLAIN)
    >>> len({len(ask(number)) for number in (0, 9, 99_999_999)})
    1
    """
    who = f"HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {dialect.key}\r\n"
    if work.path:
        fetch = f"GET {work.path} {who}\r\n".encode()
        return lambda _: fetch
    body = json.dumps(work.body(dialect.body(f"{work.prompt} {MARK}", work.stream))).encode()
    head = (
        f"POST {dialect.path} {who}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    before, _, after = (head + body).rpartition(MARK.encode())
    return lambda number: b"%b%08d%b" % (before, number, after)


def body_of(answer: bytes) -> bytes:
    """An HTTP answer without its head and chunk framing.

    >>> head = b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"
    >>> body_of(head + b"2\\r\\nHe\\r\\n3\\r\\nllo\\r\\n0\\r\\n\\r\\n")
    b'Hello'
    """
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"\r\ntransfer-encoding: chunked" not in head.lower():
        return body
    parts: list[bytes] = []
    while body:
        size, _, body = body.partition(b"\r\n")
        parts.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    return b"".join(parts)


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    for event in body.split(b"\n\n"):
        if event.startswith(b"data: {"):
            yield json.loads(event[6:])


def _ask_dify(question: str, stream: bool) -> dict[str, Any]:
    # Always streamed, as a gateway asks Dify: agent apps know nothing else.
    return {"inputs": {}, "query": question, "response_mode": "streaming", "user": "benchmark"}


def _read_dify(body: bytes, stream: bool) -> str:
    return "".join(event["answer"] for event in _events(body) if event["event"] == "message")


def _ask_openai(question: str, stream: bool) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": question}], "stream": stream}


def _read_openai(body: bytes, stream: bool) -> str:
    if not stream:
        text: str = json.loads(body)["choices"][0]["message"]["content"]
        return text
    if not body.endswith(b"data: [DONE]\n\n"):
        return ""
    deltas = (choice["delta"] for event in _events(body) for choice in event["choices"])
    return "".join(itertools.chain.from_iterable(map(_said, deltas)))


def _said(delta: dict[str, Any]) -> Iterator[str]:
    yield delta.get("content") or ""
    for call in delta.get("tool_calls") or ():
        yield call["function"].get("name") or ""
        yield call["function"].get("arguments") or ""


DIFY = Dialect("/v1/chat-messages", KEY, _ask_dify, _read_dify)
OPENAI = Dialect("/v1/chat/completions", CLIENT_KEY, _ask_openai, _read_openai)
