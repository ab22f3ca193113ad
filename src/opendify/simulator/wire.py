"""What the simulator writes, byte for byte: Dify's three ways to write JSON, and its events. Pure.

Dify is not of one piece: server-sent events, blocking answers of a generation and all other replies are
written by three different encoders (seen on the wire of Dify 1.12.1). A client that compares bytes or
splits lines meets all three.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from typing import cast

EVENT_STREAM = "text/event-stream; charset=utf-8"
PING = b"event: ping\n\n"  # the whole event: no data line, no id

_text = json.JSONEncoder(ensure_ascii=False).encode
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_escaped = json.JSONEncoder(separators=(",", ":")).encode


class Signal(Enum):
    """What a stream can do other than send an event."""

    OPEN = "open"  # status and headers go out, before any event

    END = "end"  # the body ends as it should, whatever was sent before
    FIN = "fin"  # the connection is closed in mid-body
    RST = "rst"  # the connection is reset

    PAUSE = "pause"  # the run rests until a person answers


Step = tuple[float, "bytes | Signal"]
"""Seconds that pass before it, and what is sent then."""


def compact(value: object) -> bytes:
    """JSON as in server-sent events: no spaces, UTF-8, not even U+2028 escaped.

    >>> compact({"answer": "你好", "files": None})
    b'{"answer":"\\xe4\\xbd\\xa0\\xe5\\xa5\\xbd","files":null}'
    """
    return _compact(value).encode()


def spaced(value: object) -> bytes:
    """JSON as in blocking answers of a generation: with spaces, ASCII, no newline at the end.

    >>> spaced({"answer": "é", "files": None})
    b'{"answer": "\\\\u00e9", "files": null}'
    """
    return json.dumps(value).encode()


def escaped(value: object) -> bytes:
    r"""JSON as in all other replies: no spaces, ASCII, slashes escaped, a newline at the end.

    >>> escaped({"url": "http://x/é"})
    b'{"url":"http:\\/\\/x\\/\\u00e9"}\n'
    """
    return _escaped(value).replace("/", "\\/").encode() + b"\n"


def array(value: object) -> list[object] | None:
    """The value, if it is a JSON array."""
    return cast("list[object]", value) if isinstance(value, list) else None  # whatever is inside is an object


def mapping(value: object) -> dict[str, object] | None:
    """The value, if it is a JSON object."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else None  # JSON knows no other keys


class Envelope:
    """The fields that every event of one run begins with, after its name.

    Args:
        fields: in Dify's order, for instance conversation_id, message_id, created_at, task_id.
        silent: give empty bytes: for a blocking answer, whose events nobody sees.

    >>> Envelope({"task_id": "t"}).event("message", answer="hi")
    b'data: {"event":"message","task_id":"t","answer":"hi"}\\n\\n'
    """

    def __init__(self, fields: Mapping[str, object], *, silent: bool = False) -> None:
        self._fields = fields
        self._silent = silent

    def event(self, name: str, /, **payload: object) -> bytes:
        """One event, framed."""
        if self._silent:
            return b""
        return b"data: " + compact({"event": name, **self._fields, **payload}) + b"\n\n"

    def without(self, *names: str) -> Envelope:
        """The same envelope, less some fields: errors carry no task_id."""
        kept = {name: value for name, value in self._fields.items() if name not in names}
        return Envelope(kept, silent=self._silent)

    def delta(self, name: str, build: Callable[[str], Mapping[str, object]]) -> Callable[[str], bytes]:
        """A writer of events that differ in one text only: all but the text is encoded once.

        Args:
            name: the event.
            build: the payload for a text.

        >>> say = Envelope({"task_id": "t"}).delta("message", lambda text: {"answer": text})
        >>> say("hi")
        b'data: {"event":"message","task_id":"t","answer":"hi"}\\n\\n'
        """
        if self._silent:
            return lambda text: b""
        mark = "\x00here\x00"
        head, tail = self.event(name, **build(mark)).split(_text(mark).encode())

        def say(text: str) -> bytes:
            return b"%b%b%b" % (head, _text(text).encode(), tail)

        return say


def error_event(envelope: Envelope, code: str, status: int, message: str) -> bytes:
    """The event that ends a failed stream. It carries no task_id, and 500 comes in another order of keys."""
    bare = envelope.without("task_id")
    if status >= 500:
        return bare.event("error", code=code, message=message, status=status)
    return bare.event("error", code=code, status=status, message=message)
