"""A Dify that plays recordings back, byte for byte and cut anywhere, and what each of them says, to judge by.

`Playback` serves every recorded call that starts a run as an app of its own: the app's name is the
recording's, its key is `app-` and the name. Whatever it is asked, it gives that recording's status, headers
and body.

`expected` reads a recording with no code of the gateway or the SDK, by what their documents promise alone.
"""

import asyncio
import json
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

RECORDINGS = Path(__file__).parent / "recordings"

Cut = Literal["whole", "events", "random", "bytes"]
"""How a reply is cut into writes: not at all, an event each, anywhere, or at every byte."""

_GENERATION = re.compile(r"/(chat-messages|completion-messages|workflows/run|workflows/[^/]+/run)")
_MODES = {
    "agent": "agent-chat",
    "chat": "chat",
    "chatflow": "advanced-chat",
    "completion": "completion",
    "workflow": "workflow",
}
"""The recorded Dify's apps are called `chat`, `chat_form`, `empty_chat`: by their mode, and more."""

_VALUE = re.compile(r" \[type=[^\n]*\]\n    For further information visit [^\n]*")
_PATHS = {"completion": "/completion-messages", "workflow": "/workflows/run"}


@dataclass(frozen=True)
class Recording:
    """A recorded call that starts a run.

    Attributes:
        nickname: The recorded app.
        path: What was called, after /v1.
        asked: The request's JSON body.
        body: The reply's body, without HTTP's chunks.
    """

    name: str
    nickname: str
    path: str
    asked: Mapping[str, Any]
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def key(self) -> str:
        return f"app-{self.name}"

    @property
    def mode(self) -> str:
        """The app's mode, as Dify's /info would tell it."""
        kind = self.nickname.removeprefix("empty_").partition("_")[0]
        graph = "workflow" if self.path.startswith("/workflows/") else "advanced-chat"
        return _MODES.get(kind, graph)

    @property
    def is_stream(self) -> bool:
        return any(value.startswith("text/event-stream") for _, value in self.headers)

    def events(self) -> list[dict[str, Any]]:
        """The events of a stream, pings aside."""
        blocks = self.body.split(b"\n\n")
        return [json.loads(block.removeprefix(b"data: ")) for block in blocks if block.startswith(b"data: ")]


@cache
def recordings() -> dict[str, Recording]:
    """All recorded calls that start a run, by name."""
    found = {}
    for file in sorted(RECORDINGS.glob("*.json")):
        recorded = json.loads(file.read_text())
        path = _path(recorded)
        if recorded["request"]["method"] == "POST" and _GENERATION.fullmatch(path):
            body = file.with_suffix(".body").read_bytes()
            if file.stem == "chat-streaming-raw-chunks":
                body = b"".join(_dechunked(body))
            found[file.stem] = Recording(
                name=file.stem,
                nickname=_nickname(recorded),
                path=path,
                asked=recorded["request"]["body"] if isinstance(recorded["request"]["body"], dict) else {},
                status=recorded["status"],
                headers=tuple((name, value) for name, value in recorded["headers"]),
                body=body,
            )
    return found


def streams() -> list[str]:
    """The names of all recorded streams."""
    return [name for name, recording in recordings().items() if recording.is_stream]


def refusals() -> list[str]:
    """The names of all recorded calls on their app's own path that Dify refused before a stream began."""
    return [
        name
        for name, recording in recordings().items()
        if recording.status >= 400 and recording.path == _PATHS.get(recording.mode, "/chat-messages")
    ]


# What a recording says


@dataclass(frozen=True)
class Failure:
    """What a client must hear of a run that failed.

    Attributes:
        status: The HTTP status of a plain answer, and of a streamed one unless that has begun.
        code: The code of Dify's error; empty where it gave none.
        says: What the client's message must contain.
        first: Nothing came before it, so no stream has begun. Otherwise that is up to the network's reads.
    """

    status: int
    code: str
    says: tuple[str, ...]
    first: bool


@dataclass(frozen=True)
class Step:
    """A tool call of an agent, as it was when complete."""

    tool: str
    input: str
    observation: str


@dataclass(frozen=True)
class Expected:
    """What a recording says, as a client of the gateway must get it.

    Attributes:
        text: The plain answer, but for thinking and links to `files`; what came before an `error`.
        streamed: The text of all deltas together. It is `text` unless moderation replaced that.
        reasoning: What stood between `<think>` and `</think>`, without newlines at its ends, or None.
        steps: An agent's tool calls, in their order.
        files: Addresses of files that the app gave. What comes after `?` is a signature, new each time.
        error: Why there is no whole answer, or None.
        usage: prompt_tokens, completion_tokens and total_tokens as Dify reports them, or None.
        outputs: A workflow's outputs, or None.
        finish_reason: How the answer ended; None with an `error`.
        conversation_id: Dify's, or None.
    """

    text: str
    streamed: str
    reasoning: str | None = None
    steps: tuple[Step, ...] = ()
    files: tuple[str, ...] = ()
    error: Failure | None = None
    usage: Mapping[str, int] | None = None
    outputs: Mapping[str, Any] | None = None
    finish_reason: str | None = None
    conversation_id: str | None = None


_TEXT_EVENTS = {
    "chat": {"message", "message_file"},
    "advanced-chat": {"message", "message_file"},
    "agent-chat": {"agent_message", "message"},
    "completion": {"message", "message_file"},
}

_CLIENT_STATUS = {
    "unauthorized": 502,
    "completion_request_error": 502,
    "provider_not_initialize": 503,
    "model_currently_not_support": 503,
    "app_unavailable": 503,
    "provider_quota_exceeded": 429,
    "too_many_requests": 429,
    "rate_limit_error": 429,
}
"""The status that a client gets for Dify's codes, where it is not Dify's own."""


def expected(recording: Recording) -> Expected:
    """What a client of the gateway must get of a recorded stream, or of a recorded refusal."""
    if not recording.is_stream:
        return Expected("", "", error=_refused(recording))
    events = recording.events()
    thought, text = _thinking(_text(recording.mode, events))
    replaced = [event["answer"] for event in events if event["event"] == "message_replace"]
    error = _failure(recording.mode, events)
    return Expected(
        text=replaced[-1] if replaced else text,
        streamed="\n\n".join(part for part in (text, *replaced[-1:]) if part),
        reasoning=thought,
        steps=_steps(events),
        files=_files(events),
        error=error,
        usage=None if error else _usage(recording.mode, events),
        outputs=_outputs(events) if recording.mode == "workflow" else None,
        finish_reason=None if error else "content_filter" if replaced else "stop",
        conversation_id=events[0].get("conversation_id"),
    )


def _refused(recording: Recording) -> Failure:
    try:
        told = json.loads(recording.body)
    except ValueError:
        told = {}
    return _seen_by_client(recording.status, told.get("code", ""), told.get("message", ""), first=True)


def _text(mode: str, events: list[dict[str, Any]]) -> str:
    if mode != "workflow":
        return "".join(event.get("answer", "") for event in events if event["event"] in _TEXT_EVENTS[mode])
    chunks = "".join(event["data"]["text"] for event in events if event["event"] == "text_chunk")
    outputs = _outputs(events) or {}
    if chunks or not outputs:
        return chunks
    values = list(outputs.values())
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return json.dumps(outputs, ensure_ascii=False, separators=(",", ":"))


def _thinking(text: str) -> tuple[str | None, str]:
    if not text.lstrip().startswith("<think>"):
        return None, text
    thought, _, rest = text.lstrip().removeprefix("<think>").partition("</think>")
    return thought.strip("\n"), rest.lstrip("\n")


def _steps(events: list[dict[str, Any]]) -> tuple[Step, ...]:
    steps: dict[str, Step] = {}
    for event in events:
        if event["event"] == "agent_thought" and event["tool"]:
            steps[event["id"]] = Step(event["tool"], event["tool_input"], event["observation"])
        if event["event"] == "agent_log" and event["data"]["label"].startswith("CALL "):
            given = event["data"]["data"].get("output", {})
            if given:  # an agent node's; the one recorded is called without arguments
                steps[event["data"]["id"]] = Step(given["tool_call_name"], "", given["tool_response"])
    return tuple(steps.values())


def _files(events: list[dict[str, Any]]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for event in events:
        match event["event"]:
            case "message_file" if event.get("belongs_to") == "assistant":
                files = [event]
            case "message_end":
                files = event["files"] or []
            case "workflow_finished":
                files = event["data"]["files"]
            case _:
                files = []
        found |= {file["url"]: None for file in files}
    return tuple(found)


def _outputs(events: list[dict[str, Any]]) -> Mapping[str, Any] | None:
    finished = [event["data"]["outputs"] for event in events if event["event"] == "workflow_finished"]
    return finished[-1] if finished else None


def _usage(mode: str, events: list[dict[str, Any]]) -> Mapping[str, int]:
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    if mode != "workflow":
        (end,) = (event for event in events if event["event"] == "message_end")
        return {name: end["metadata"]["usage"][name] for name in names}
    (finished,) = (event["data"] for event in events if event["event"] == "workflow_finished")
    nodes = [
        event["data"]["process_data"]["usage"]
        for event in events
        if event["event"] == "node_finished" and (event["data"].get("process_data") or {}).get("usage")
    ]
    summed = {name: sum(usage[name] for usage in nodes) for name in names[:2]}
    return summed | {"total_tokens": finished["total_tokens"]}


def _failure(mode: str, events: list[dict[str, Any]]) -> Failure | None:
    finished = [event["data"] for event in events if event["event"] == "workflow_finished"]
    if finished and finished[-1]["status"] == "failed":
        nodes = [event["data"] for event in events if event["event"] == "node_finished"]
        failed = next(node for node in nodes if node["status"] == "failed")
        return Failure(502, "", (failed["title"], failed["error"]), first=False)
    if events[-1]["event"] == "error":
        error = events[-1]
        return _seen_by_client(error["status"], error["code"], error["message"], first=len(events) == 1)
    ends = "workflow_finished" if mode == "workflow" else "message_end"
    if not any(event["event"] == ends for event in events):
        return Failure(502, "", (), first=False)
    return None


def _seen_by_client(status: int, code: str, message: str, *, first: bool) -> Failure:
    if message.startswith("Too many requests"):  # Dify 1.12.1 answers 400 invalid_param
        return Failure(429, code, (message,), first)
    seen = _CLIENT_STATUS.get(code, 502 if status >= 500 or not code else status)
    # Flask adds to a 404 what else one may have meant, pydantic the value, which may be a prompt: neither is
    # told, nor anything of the key.
    said = _VALUE.sub("", message.partition(" You have requested this URI")[0])
    return Failure(seen, code, () if code == "unauthorized" else (said,), first)


# The server


@dataclass
class Playback:
    """Dify's API on a free port of this machine, as long as the context is entered.

    Args:
        cut: How replies to generation calls are cut.
        seed: Decides where `random` cuts.
        close: End each reply's connection with it, as a Dify that is being restarted would.

    Attributes:
        calls: What was called, in order: the recording's name, the path, and the JSON body.
    """

    cut: Cut = "random"
    seed: int = 0
    close: bool = False
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._random = random.Random(self.seed)
        self._connections: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    def model_config(self, names: list[str]) -> str:
        """A `MODEL_CONFIG` that offers recordings as models of their names."""
        return json.dumps({name: recordings()[name].key for name in names})

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):  # the caller has gone
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        method, target, headers, body = await _read_request(reader)
        path = urlsplit(target).path.removeprefix("/v1")
        recording = recordings().get(headers.get("authorization", "").removeprefix("Bearer app-"))
        if recording is None:
            writer.write(
                _json(401, {"code": "unauthorized", "message": "Access token is invalid", "status": 401})
            )
            return True
        self.calls.append((recording.name, path, json.loads(body) if body else {}))
        if method == "GET" and path in _ABOUT:
            writer.write(_json(200, _ABOUT[path](recording)))
        elif method == "POST" and path.endswith("/stop"):
            writer.write(_json(200, {"result": "success"}))
        elif method == "POST" and path == recording.path:
            for piece in pieces(wire(recording, close=self.close), self.cut, self._random):
                writer.write(piece)
                await writer.drain()
                if self.cut != "whole":
                    # The other side should see this piece before the next one comes.
                    await asyncio.sleep(self._random.choice((0, 0, 0.0005)) if self.cut == "random" else 0)
            return not self.close
        else:
            writer.write(
                _json(404, {"code": "not_found", "message": "The requested URL was not found", "status": 404})
            )
        await writer.drain()
        return True


def wire(recording: Recording, *, close: bool = False) -> bytes:
    """A recorded reply as it was on the wire: an event an HTTP chunk, where it came in chunks."""
    phrase = HTTPStatus(recording.status).phrase
    chunked = any(name.lower() == "transfer-encoding" for name, _ in recording.headers)
    head = [f"HTTP/1.1 {recording.status} {phrase}"]
    for name, value in recording.headers:
        match name.lower():
            case "content-length":
                head.append(f"{name}: {len(recording.body)}")
            case "connection":
                head.append(f"{name}: {'close' if close else value}")
            case _:
                head.append(f"{name}: {value}")
    body = recording.body
    if chunked:
        blocks = (
            [block + b"\n\n" for block in body.split(b"\n\n") if block] if recording.is_stream else [body]
        )
        body = b"".join(b"%X\r\n%b\r\n" % (len(block), block) for block in blocks if block) + b"0\r\n\r\n"
    return "\r\n".join((*head, "", "")).encode("latin-1") + body


def pieces(data: bytes, cut: Cut, rng: random.Random) -> Iterator[bytes]:
    match cut:
        case "whole":
            yield data
        case "events":
            yield from re.findall(rb".*?\n\n\r\n|.+\Z", data, re.DOTALL)
        case "bytes":
            for index in range(len(data)):
                yield data[index : index + 1]
        case "random":
            position = 0
            while position < len(data):
                size = rng.randint(1, rng.choice((5, 50, 500)))
                yield data[position : position + size]
                position += size


def _info(recording: Recording) -> dict[str, Any]:
    given = {"description": "", "tags": [], "mode": recording.mode, "author_name": "Dify"}
    return given | about(recording.nickname, "/info") | {"name": recording.name}


def _parameters(recording: Recording) -> dict[str, Any]:
    # Of the apps whose form was not recorded, the request tells at least the names.
    inputs = recording.asked.get("inputs")
    names = (
        [name for name, value in inputs.items() if isinstance(value, str)] if isinstance(inputs, dict) else []
    )
    form = [{"text-input": {"label": name, "variable": name, "required": False}} for name in names]
    return about(recording.nickname, "/parameters") or {"user_input_form": form}


_ABOUT = {"/info": _info, "/parameters": _parameters}


def about(nickname: str, path: str) -> dict[str, Any]:
    """What the recorded Dify said of an app; empty if that was not recorded."""
    return _said().get((nickname, path), {})


@cache
def _said() -> dict[tuple[str, str], dict[str, Any]]:
    said = {}
    for file in sorted(RECORDINGS.glob("*.json")):
        recorded = json.loads(file.read_text())
        path = _path(recorded)
        if path in _ABOUT and recorded["request"]["method"] == "GET" and recorded["status"] == 200:
            said[_nickname(recorded), path] = json.loads(file.with_suffix(".body").read_bytes())
    return said


def _path(recorded: Mapping[str, Any]) -> str:
    return str(urlsplit(recorded["request"]["url"]).path).removeprefix("/v1")


def _nickname(recorded: Mapping[str, Any]) -> str:
    authorization = (recorded["request"]["headers"] or {}).get("Authorization", "")
    return re.sub(r"^[Bb]earer |[<>]", "", authorization)


def _json(status: int, content: Mapping[str, Any]) -> bytes:
    body = json.dumps(content).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\nContent-Length: "
    )
    return f"{head}{len(body)}\r\n\r\n".encode() + body


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.split("\r\n")[:-2]
    method, target, _ = line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return method, target, headers, body


def _dechunked(data: bytes) -> Iterator[bytes]:
    while data:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        yield data[:size]
        data = data[size + 2 :]
