"""A Dify that costs next to nothing: it has its answers ready before it is asked.

Events, their order, headers and framing (one event an HTTP chunk) are those of a Dify 1.12.1. A question says
what it wants: ``[[burst:100]]`` is an answer of 100 tokens at once, ``[[paced:100]]`` one of `PACE` a second,
``[[call:100]]`` and ``[[json:100]]`` are a tool call and a JSON object at once.

Who asks for ``/v1/chat/completions`` gets the same tokens in OpenAI's form, as fast and framed
alike: for peers that know no Dify.

Run: ``python -m benchmarks.upstream PORT``
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
import time
from functools import cache
from typing import cast

import uvloop

from benchmarks.work import APPS, PACE, VISION, Kind, answer

VARIANTS = 256
"""Conversations that a burst may belong to, in turn."""

_HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: Sat, 21 Nov 2026 03:11:54 GMT\r\n"
    b"Connection: keep-alive\r\nAccess-Control-Allow-Origin: *\r\n"
    b"Access-Control-Expose-Headers: X-Env, X-Trace-Id, X-Version\r\n"
    b"X-Version: 1.12.1\r\nX-Env: PRODUCTION\r\nVary: Cookie\r\n"
)
_STREAM_HEAD = _HEAD + b"Transfer-Encoding: chunked\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"
_END_OF_BODY = b"0\r\n\r\n"

_KEY = re.compile(rb"\r\nauthorization: *bearer +([^\r]+)", re.IGNORECASE)
_STREAMED = re.compile(rb'"stream": ?true')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_DIRECTIVE = re.compile(rb"\[\[(burst|paced|call|json):(\d+)\]\]")
_CREATED = int(time.time())

_INFO: dict[str, object] = {
    "description": "",
    "tags": [],
    "mode": "chat",
    "author_name": "Owner",
}
_OFF = {"enabled": False}
PARAMETERS: dict[str, object] = {
    "opening_statement": "",
    "suggested_questions": [],
    "suggested_questions_after_answer": _OFF,
    "speech_to_text": _OFF,
    "text_to_speech": {"enabled": False, "language": "", "voice": ""},
    "retriever_resource": {"enabled": True},
    "annotation_reply": _OFF,
    "more_like_this": _OFF,
    "user_input_form": [],
    "sensitive_word_avoidance": {"enabled": False, "type": "", "configs": []},
    "system_parameters": {
        "image_file_size_limit": 10,
        "video_file_size_limit": 100,
        "audio_file_size_limit": 50,
        "file_size_limit": 15,
        "workflow_file_upload_limit": 10,
    },
}


def _files(*, images: bool) -> dict[str, object]:
    image = {"enabled": images, "number_limits": 3, "transfer_methods": ["local_file", "remote_url"]}
    return {"enabled": images, "image": image, "allowed_file_types": ["image"] if images else []}


class Turn:
    """One turn of one conversation, as the bytes of its events."""

    def __init__(self, number: int) -> None:
        conversation, message, task = (f"{number:08x}-0000-4000-8000-{kind:012x}" for kind in (1, 2, 3))
        self._ids = (
            f'"conversation_id":"{conversation}","message_id":"{message}","created_at":{_CREATED},'
            f'"task_id":"{task}","id":"{message}"'
        )

    def token(self, text: str) -> bytes:
        return _chunk(
            f'{{"event":"message",{self._ids},"answer":{json.dumps(text)},"from_variable_selector":null}}'
        )

    def end(self, tokens: int) -> bytes:
        usage = {
            "prompt_tokens": 14,
            "prompt_unit_price": "0.001",
            "prompt_price_unit": "0.001",
            "prompt_price": "0.0000140",
            "completion_tokens": tokens,
            "completion_unit_price": "0.002",
            "completion_price_unit": "0.001",
            "completion_price": "0.0000240",
            "total_tokens": 14 + tokens,
            "total_price": "0.0000380",
            "currency": "USD",
            "latency": 1.0393018529998699,
            "time_to_first_token": 0.000218,
            "time_to_generate": 0.205287,
        }
        metadata = _compact({"annotation_reply": None, "retriever_resources": (), "usage": usage})
        return _chunk(
            f'{{"event":"message_end",{self._ids},"metadata":{metadata},"files":null}}',
            _END_OF_BODY,
        )


class Completion:
    """A turn in OpenAI's form."""

    def __init__(self, number: int) -> None:
        self._head = f'"id":"chatcmpl-{number:08x}","created":{_CREATED},"model":"benchmark"'

    def _choice(self, delta: dict[str, str], reason: str | None = None) -> bytes:
        choice = _compact({"index": 0, "delta": delta, "finish_reason": reason})
        return _chunk(f'{{{self._head},"object":"chat.completion.chunk","choices":[{choice}]}}')

    def token(self, text: str) -> bytes:
        return self._choice({"role": "assistant", "content": text})

    def end(self, tokens: int) -> bytes:
        return self._choice({}, "stop") + _chunk("[DONE]", _END_OF_BODY)

    def whole(self, words: list[str]) -> bytes:
        message = {"role": "assistant", "content": "".join(words)}
        choice = _compact({"index": 0, "message": message, "finish_reason": "stop"})
        usage = {
            "prompt_tokens": 14,
            "completion_tokens": len(words),
            "total_tokens": 14 + len(words),
        }
        return _json(
            f'{{{self._head},"object":"chat.completion","choices":[{choice}],"usage":{_compact(usage)}}}'
        )


class Upstream(asyncio.Protocol):
    """One connection."""

    _turns = itertools.count()

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._tick: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it is TCP
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._tick is not None:
            self._tick.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end_of_head = self._received.find(b"\r\n\r\n")
        if end_of_head < 0:
            return
        length = _LENGTH.search(self._received, 0, end_of_head)
        end = end_of_head + 4 + (int(length[1]) if length else 0)
        if len(self._received) < end:
            return
        request = bytes(self._received[:end])
        del self._received[:end]
        self._answer(request)

    def _answer(self, request: bytes) -> None:
        line = request[: request.index(b" HTTP/1.1\r\n")]
        if line == b"POST /v1/chat-messages":
            self._chat(request, Turn)
        elif line == b"POST /v1/chat/completions":
            self._chat(request, Completion, whole=not _STREAMED.search(request))
        elif line == b"POST /v1/files/upload":
            self._transport.write(_uploaded(next(self._turns)))
        else:
            key = _KEY.search(request)
            name = APPS.get(key[1].decode()) if key else None
            self._transport.write(_ready(line.partition(b"?")[0], name))

    def _chat(self, request: bytes, form: type[Turn | Completion], *, whole: bool = False) -> None:
        directive = _DIRECTIVE.search(request)
        assert directive is not None, "every work has a directive in its prompt"
        kind, tokens = cast("Kind", directive[1].decode()), int(directive[2])
        number = next(self._turns)
        if whole:
            self._transport.write(_whole(kind, number % VARIANTS, tokens))
        elif kind == "paced":
            self._transport.write(_STREAM_HEAD)
            self._pace(form(number), answer(kind, tokens), self._loop.time(), 0)
        else:
            self._transport.write(_burst(form, kind, number % VARIANTS, tokens))

    def _pace(self, turn: Turn | Completion, words: list[str], began: float, sent: int) -> None:
        """Send a token, and the next when it is due by the clock of the whole stream."""
        if sent == len(words):
            self._transport.write(turn.end(sent))
            return
        self._transport.write(turn.token(words[sent]))
        sent += 1
        self._tick = self._loop.call_at(began + sent / PACE, self._pace, turn, words, began, sent)


@cache
def _burst(form: type[Turn | Completion], kind: Kind, number: int, tokens: int) -> bytes:
    turn = form(number)
    return b"".join([_STREAM_HEAD, *map(turn.token, answer(kind, tokens)), turn.end(tokens)])


@cache
def _whole(kind: Kind, number: int, tokens: int) -> bytes:
    return Completion(number).whole(answer(kind, tokens))


@cache
def _ready(line: bytes, name: str | None) -> bytes:
    """What is answered to anything but a question: the app's description, or that it was stopped."""
    known = {
        b"GET /v1/info": {"name": name or "nobody", **_INFO},
        b"GET /v1/parameters": {**PARAMETERS, "file_upload": _files(images=name == VISION)},
    }
    return _json(_compact(known.get(line, {"result": "success"})))


def _uploaded(number: int) -> bytes:
    """A file that Dify took: nothing is kept of it."""
    file = {
        "id": f"{number:08x}-0000-4000-8000-000000000004",
        "name": "picture.png",
        "size": 1_000_000,
        "extension": "png",
        "mime_type": "image/png",
        "created_by": "00000000-0000-4000-8000-000000000005",
        "created_at": _CREATED,
        "preview_url": None,
    }
    return _json(_compact(file), b"HTTP/1.1 201 CREATED")


def _json(body: str, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    data = body.encode()
    head = _HEAD.replace(b"HTTP/1.1 200 OK", status)
    return head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data)


def _chunk(event: str, after: bytes = b"") -> bytes:
    data = f"data: {event}\n\n".encode()
    return b"%X\r\n%b\r\n%b" % (len(data), data, after)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


async def serve(port: int) -> None:
    """Answer until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=2048)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
