"""Server-sent events: bytes in, payloads out. Never does I/O, never looks into a payload.

Dify sends `data: {json}` and an empty line for each event, and a bare `event: ping` as a sign of life; it
names its events inside the JSON. So all that matters of the format is the `data` field. The rest of the
WHATWG rules hold nevertheless: any split of the bytes, LF, CR or CRLF, comments, several `data` lines to
one event, a byte order mark, unknown fields. Only CR and LF end a line: U+2028 and U+0085 are text, and
Dify does send them raw (which is why `str.splitlines` must not be used here).

Cost is linear in the bytes, however they are cut: an incomplete line is kept as a list of pieces, searched
once when it comes in and joined once when it ends.
"""

from __future__ import annotations

from ._errors import MalformedStreamError

__all__ = ["MAX_EVENT_BYTES", "Decoder"]

MAX_EVENT_BYTES = 64 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_LF, _CR = b"\n\r"


class Decoder:
    """One stream's decoder.

    >>> decoder = Decoder()
    >>> decoder.feed(b'data: {"event": "mess')
    []
    >>> decoder.feed(b'age"}\\n\\nevent: ping\\n\\n')
    [b'{"event": "message"}']
    """

    __slots__ = (
        "_after_cr",
        "_at_boundary",
        "_at_start",
        "_broken",
        "_data",
        "_limit",
        "_pieces",
        "_size",
        "_tail",
    )

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_event_bytes
        self._data: list[bytes] = []  # the `data` lines of the event that is coming in
        self._size = 0  # bytes of all its complete lines
        self._pieces: list[bytes] = []  # its last line, as far as it is known
        self._tail = 0  # bytes of that
        self._at_start = True  # a byte order mark may come
        self._after_cr = False  # a CR ended the last chunk: an LF that opens the next one belongs to it
        self._at_boundary = True  # nothing is pending: the next event can be taken as it comes
        self._broken: MalformedStreamError | None = None

    def feed(self, chunk: bytes) -> list[bytes]:
        """The payloads that this chunk completes, in order; each is valid UTF-8.

        Raises `MalformedStreamError` for an event that is larger than the limit or no UTF-8. What was
        complete before it is returned first: the error comes with the next `feed` or `check`.
        """
        if (
            self._at_boundary
            and chunk.startswith(b"data: ")
            and chunk.endswith(b"\n\n")
            and _CR not in chunk
            and len(chunk) <= self._limit
            and (chunk.isascii() or _is_utf8(chunk))
        ):
            # Whole events in Dify's own framing, one or many: all but every token comes this way.
            self._at_start = False
            body = chunk[6:-2]
            if _LF not in body:
                return [body] if body else []
            payloads = body.split(b"\n\ndata: ")
            if b"" not in payloads and _LF not in b"".join(payloads):
                return payloads
        return self._feed_any(chunk)

    def check(self) -> None:
        """Raises what `feed` still has to tell: to be called before waiting for more, and at the end.

        An event that is unfinished at the end is dropped.
        """
        if self._broken is not None:
            raise self._broken

    def _feed_any(self, chunk: bytes) -> list[bytes]:
        if self._broken is not None:
            raise self._broken
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        payloads: list[bytes] = []
        try:
            end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
            if end:
                self._after_cr = chunk.endswith(b"\r")
                lines = b"".join([*self._pieces, chunk[:end]]).splitlines()
                self._pieces.clear()
                self._tail = 0
                for line in lines:
                    self._take(line, payloads)
            if end < len(chunk):
                self._pieces.append(chunk[end:])
                self._tail += len(chunk) - end
                self._check_size()
        except MalformedStreamError as error:
            self._broken = error
            self._at_boundary = False
            if not payloads:
                raise
            return payloads
        self._at_boundary = not (self._tail or self._size or self._after_cr)
        return payloads

    def _take(self, line: bytes, payloads: list[bytes]) -> None:
        self._size += len(line)
        self._check_size()
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            self._data.append(b"")
        elif not line:
            payload = b"\n".join(self._data)
            self._data.clear()
            self._size = 0
            if not _is_utf8(payload):
                raise MalformedStreamError(
                    "An event of the stream is not UTF-8; something between Dify and here changes the bytes."
                )
            if payload:
                payloads.append(payload)

    def _check_size(self) -> None:
        if self._size + self._tail > self._limit:
            raise MalformedStreamError(
                f"One event of the stream is larger than {self._limit} bytes; "
                "raise max_event_bytes if the app really sends such events."
            )


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
