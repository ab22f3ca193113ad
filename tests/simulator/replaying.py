"""Recorded exchanges, played to a simulator, and what to compare of the two replies.

Ids of the recorded Dify are translated to those that the simulator gave for the same thing, so the recorded
session runs as one: a conversation begun in one exchange is listed, continued and deleted in later ones.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from raw_http import Exchange, asked, written

RECORDINGS = Path(__file__).parent.parent / "recordings"
FASTER = 20
"""How much faster than recorded the scripted model stalls and ticks, and pings come."""

_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|20\d{18}")  # the latter is of a batch
_TIMED = re.compile(r"\[\[(slow:\d+|stall|midstall):([\d.]+)\]\]")
_MADE_UP = {"prog.exe": b"MZ\x90\x00\x03\x00\x00\x00", "big11m.png": 11, "big16m.txt": 16, "big32m.mp3": 32}

WHILE = {
    "chat-stopped-stream": "chat-stop",
    "agent-stopped-stream": "agent-stop",
    "chatflow-stopped-stream": "chatflow-stop",
    "completion-stopped-stream": "completion-stop",
    "workflow-stopped-stream": "workflow-stop",
    "chat-stop-wrong-user-stream": "chat-stop-wrong-user",
    "err-429-holder": "err-429-app-limit-streaming",
}
"""Streams during which another request was made."""

UNREACHABLE = {
    "http://127.0.0.1:9/none.png": "http://refused.invalid/none.png",
    "http://127.0.0.1:8099/none.png": "http://files.test/status/404/none.png",
    "http://127.0.0.1:8099/blue.jpg": "http://files.test/blue.jpg",
}
"""Remote files: the simulator fetches none, it goes by the URL."""


ALIASES = {
    "aa174e80-3a21-4887-ac2d-a89a74ff6047": "4b7dffc9-c1d2-473d-b012-54a51b59b0a0",
    "f68d4b6a-1f9e-48ff-be18-42d6106a7200": "adc18c17-5007-484e-a3e3-11ce0a9858e8",
}
"""Recorded ids whose making was not recorded, and the recorded ids of things just like them."""

LATER = {
    "chat-after-conversation-deleted": 1,
    "conversation-rename": 1,
    "feedback-like": 1,
    "feedback-dislike": 2,
    "feedbacks-list": 3,
    "messages-list-with-feedback": 3,
    "meta-built-in-enable": 1,
    "child-create": 1,
    "child-update": 1,
    "child-delete": 1,
}
"""Exchanges that came after all others of their second, and in which order."""

EARLIER = (
    "ds-list",
    "ds-get",
    "ds-update",
    "doc-create-text",
    "doc-indexing-status-early",
    "doc-get",
    "doc-indexing-status-done",
    "doc-list",
    "doc-list-keyword",
    "seg-list",
    "seg-get",
    "tag-create",
    "tag-update",
    "tag-list",
    "tag-bind",
    "tag-dataset",
    "ds-list-by-tag",
    "meta-create",
    "meta-create-number",
    "meta-list",
    "meta-assign",
    "doc-get-with-metadata",
    "ds-create-pc",
    "upd-ds-create",
    "upd-status-before",
    "upd-status-2",
)
"""Exchanges that came before all others of their second, in this order: so their replies show."""

INDEXING = 1.5
"""Seconds that indexing a document takes the simulator. What was recorded in a later second finds it done."""

UNTIL = {"doc-indexing-status-early": b'"splitting"', "annotation-reply-status": b'"completed"'}
"""Exchanges that are played again until the reply says this: what they ask about takes its time."""

RENAMED = {
    "realdify/stub/stub": "opendify/simulator/simulated",
    "stub-embed": "simulated-embedding",
    "stub-rerank": "simulated-rerank",
}
"""The models of the recorded Dify, and ours in their place."""

UNRECORDED: dict[str, tuple[dict[str, str], str, str, dict[str, Any]]] = {
    "annotation-update": (
        {"id": "5b602a85-45c8-4c9c-a115-ae7c05172d2a"},
        "chat_plain",
        "/v1/apps/annotations",
        {"question": "What is your name?", "answer": "I am an annotated answer."},
    ),
    "conversation-variables-bad-name": (
        {"conversation_id": "71c8a52e-ab57-42f1-8bc2-e91698a07775"},
        "chatflow_multi",
        "/v1/chat-messages",
        {"query": "hello", "inputs": {"must": "yes"}, "user": "mv"},
    ),
    "workflow-ping": (
        {"workflow_run_id": "cdcbb1dc-2a8f-4a43-9c60-dbf854124e30"},
        "workflow",
        "/v1/workflows/run",
        {"inputs": {"text": "hello flow"}, "user": "alice"},
    ),
    "models-badtype": (
        {"id": "0b152f07-5487-4fa1-b737-7013e605545f"},
        "dataset",
        "/v1/datasets",
        {
            "name": "Seed knowledge",
            "indexing_technique": "high_quality",
            "permission": "all_team_members",
            "retrieval_model": {
                "search_method": "semantic_search",
                "reranking_enable": False,
                "top_k": 3,
                "score_threshold_enabled": False,
            },
        },
    ),
    "empty-ds-create-hq": (
        {},
        "dataset",
        "/v1/datasets/0b152f07-5487-4fa1-b737-7013e605545f/document/create-by-text",
        {
            "name": "planets.txt",
            "text": "Mercury is the closest planet to the Sun. " * 4 + "Mars.",
            "indexing_technique": "high_quality",
            "process_rule": {"mode": "automatic"},
        },
    ),
    "doc-create-text-underscore": (
        {"id": "e00eda76-3d7a-48d0-9b62-142f635d8d7c"},
        "dataset",
        "/v1/datasets",
        {"name": "Minimal"},
    ),
}
"""What was made before an exchange and not recorded: its id, and how the simulator is asked to make it."""


@dataclass(frozen=True)
class Recording:
    """One recorded exchange."""

    name: str
    request: dict[str, Any]
    exchange: Exchange
    reads: list[list[float]] = field(default_factory=list)

    @classmethod
    def read(cls, name: str) -> Recording:
        recorded = json.loads((RECORDINGS / f"{name}.json").read_text())
        headers = [(key, value) for key, value in recorded["headers"]]
        body = (RECORDINGS / f"{name}.body").read_bytes()
        if name == "chat-streaming-raw-chunks":
            chunks = list(_dechunked(body))
        elif body.startswith((b"data:", b"event:")):
            chunks = [part + b"\n\n" for part in body.split(b"\n\n") if part]
        else:
            chunks = [body] if body else []
        exchange = Exchange(recorded["status"], headers, chunks)
        return cls(name, recorded["request"], exchange, recorded.get("reads", []))

    @property
    def makes_document(self) -> bool:
        """Whether a document is given in, or another text for it, here or right before."""
        urls = self.request["url"], UNRECORDED.get(self.name, ({}, "", "", {}))[2]
        return any(word in url for url in urls for word in ("/document/create", "/update-by-"))

    @property
    def order(self) -> tuple[float, int, str]:
        """When it was recorded; within a second, making goes before reading, and that before removing."""
        date = self.exchange.header("Date")
        when = parsedate_to_datetime(date).timestamp() if date else 0.0
        if self.request["url"].endswith("/files/upload"):
            return when, -1, self.name
        if self.name in EARLIER:
            return when, EARLIER.index(self.name) - len(EARLIER), self.name
        rank = ("POST", "GET", "OPTIONS", "PUT", "PATCH", "DELETE").index(self.request["method"])
        return when, rank + 10 * LATER.get(self.name, 0), self.name


def names() -> list[str]:
    """All recordings."""
    return sorted(path.stem for path in RECORDINGS.glob("*.json"))


def _dechunked(body: bytes) -> Iterator[bytes]:
    while body:
        size, _, body = body.partition(b"\r\n")
        if length := int(size, 16):
            yield body[:length]
        body = body[length + 2 :]


class Player:
    """Plays recorded requests to a simulator.

    Args:
        port: where the simulator listens.
        keys: its API keys by nickname.
        workflows: recorded ids that were not made by a request (of workflows, for instance), and ours.
    """

    def __init__(self, port: int, keys: dict[str, str], known: dict[str, str]) -> None:
        self._port = port
        self._keys = keys
        self._ids = dict(known)
        self.replies: dict[str, Exchange] = {}

    async def play(self, recording: Recording, during: Recording | None = None) -> None:
        """Play one exchange, and another one in its midst; and again while a state is awaited."""
        if recording.name in UNRECORDED:
            await self._make(*UNRECORDED[recording.name])
        for _ in range(500):
            await self._play(recording, during)
            if UNTIL.get(recording.name, b"") in self.replies[recording.name].body:
                return
            await asyncio.sleep(0.01)

    async def _play(self, recording: Recording, during: Recording | None) -> None:
        async with asked(self._port, self._request(recording)) as reply:
            await reply.head()
            asking = None
            async for chunk in reply.chunks():
                self._learn(recording.exchange.chunks[:1], [chunk])
                if during is not None and asking is None and len(reply.exchange.chunks) >= 5:
                    asking = asyncio.create_task(self.play(during))
                if recording.name == "chat-client-disconnect" and len(reply.exchange.chunks) == 9:
                    break
            if asking is not None:
                await asking
        self.replies[recording.name] = reply.exchange
        self._learn(recording.exchange.chunks, reply.exchange.chunks)

    async def _make(self, ids: dict[str, str], app: str, target: str, body: dict[str, Any]) -> None:
        """Make what was not recorded, so that what follows is about something."""
        head = {"Authorization": f"Bearer {self._keys[app]}", "Content-Type": "application/json"}
        target = self._translated(target)
        async with asked(self._port, written("POST", target, head, json.dumps(body).encode())) as reply:
            await reply.head()
            made = json.loads((await reply.rest()).body)
        self._ids |= {recorded: made[name] for name, recorded in ids.items()}

    def _learn(self, recorded: list[bytes], ours: list[bytes]) -> None:
        """Which of our ids stands for which recorded one."""
        for theirs, mine in zip(_values(recorded), _values(ours), strict=False):
            _pair(theirs, mine, self._ids)

    def _request(self, recording: Recording) -> bytes:
        asked_ = recording.request
        url = urlsplit(self._translated(asked_["url"]))
        target = url.path + (f"?{url.query}" if url.query else "")
        headers = {name: self._opened(value) for name, value in asked_["headers"].items()}
        chunked = headers.pop("Transfer-Encoding", None) == "chunked"
        body: bytes | None = None
        if asked_.get("form") is not None:
            body, headers["Content-Type"] = _form(asked_["form"])
        elif isinstance(asked_["body"], str):
            body = asked_["body"].encode()
        elif asked_["body"] is not None:
            body = self._translated(json.dumps(_given(recording))).encode()
        elif asked_["method"] == "POST":
            body = b""
        return written(asked_["method"], target, headers, body, chunked=chunked)

    def _translated(self, text: str) -> str:
        text = _ID.sub(lambda match: self._ours(match.group()), text)
        for theirs, ours in (UNREACHABLE | RENAMED).items():
            text = text.replace(theirs, ours)
        return _TIMED.sub(lambda match: f"[[{match[1]}:{float(match[2]) / FASTER}]]", text)

    def _ours(self, recorded: str) -> str:
        return self._ids.get(ALIASES.get(recorded, recorded), recorded)

    def _opened(self, value: str) -> str:
        return re.sub(r"<(\w+)>", lambda match: self._keys.get(match[1], "dataset-key"), value)


def _given(recording: Recording) -> Any:
    body = recording.request["body"]
    if recording.name == "chat-long-query":  # its text was not kept
        question = "[[reply:ok]]" + "x" * 300_000
        return {"inputs": {}, "query": question, "response_mode": "blocking", "user": "alice"}
    return body


def _values(chunks: list[bytes]) -> list[Any]:
    found = []
    for chunk in chunks:
        text = chunk.removeprefix(b"data: ").strip()
        if text.startswith((b"{", b"[")):
            try:
                found.append(json.loads(text))
            except ValueError:
                continue
    return found


def _pair(theirs: Any, mine: Any, ids: dict[str, str]) -> None:
    if isinstance(theirs, dict) and isinstance(mine, dict):
        for key in theirs.keys() & mine.keys():
            _pair(theirs[key], mine[key], ids)
    elif isinstance(theirs, list) and isinstance(mine, list):
        for one, other in zip(theirs, mine, strict=False):
            _pair(one, other, ids)
    elif isinstance(theirs, str) and isinstance(mine, str) and _ID.fullmatch(theirs) and _ID.fullmatch(mine):
        ids.setdefault(theirs, mine)


def _form(fields: list[str]) -> tuple[bytes, str]:
    """A multipart body from fields as curl takes them: `file=@red.png;filename=a.png;type=image/png`."""
    lines: list[bytes] = []
    for written_ in fields:
        name, _, value = written_.partition("=")
        disposition = f'Content-Disposition: form-data; name="{name}"'
        content, more = value.encode(), ""
        if not value.startswith("@"):
            content = value.removesuffix(";type=text/plain").encode()
        else:
            path, *options = value[1:].split(";")
            given = dict(option.split("=", 1) for option in options)
            file = path.rpartition("/")[2]
            content = _file(file)
            disposition += f'; filename="{given.get("filename", file)}"'
            more = f"\r\nContent-Type: {given.get('type', 'image/png')}"
        lines.append(f"--bound\r\n{disposition}{more}\r\n\r\n".encode() + content + b"\r\n")
    return b"".join(lines) + b"--bound--\r\n", "multipart/form-data; boundary=bound"


def _file(name: str) -> bytes:
    made_up = _MADE_UP.get(name)
    if isinstance(made_up, int):
        return bytes(made_up * 1024 * 1024)
    return made_up or (RECORDINGS / "assets" / name).read_bytes()
