"""HTTP/1.1 without a socket: a request as bytes, bytes as an answer. `_connections.py` moves them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

if TYPE_CHECKING:
    from zlib import _Decompress as _Inflate  # pyright: ignore[reportPrivateUsage] it has no other name

__all__ = ["Answer", "Broken", "Headers", "Inflater", "head_of"]


class Broken(Exception):
    """What came is not what HTTP allows. Its text says so, and quotes nothing of the answer."""


class Headers(Mapping[str, str]):
    """The fields of a head, found by name in any case.

    >>> Headers({"content-type": "text/html"})["Content-Type"]
    'text/html'
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[str, str]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Headers({self._fields!r})"


def head_of(method: str, target: str, host: str, headers: Mapping[str, str], content: object) -> bytes:
    """The head of a request. What `headers`, in lower case, does not say of itself is added.

    `content`: the body; of one that is no bytes, nobody knows the length. `None`: there is none.

    >>> head_of("GET", "/v1/info", "dify.example.com", {"accept-encoding": "identity"}, None)
    b'GET /v1/info HTTP/1.1\\r\\nhost: dify.example.com\\r\\naccept-encoding: identity\\r\\n\\r\\n'
    """
    lines = [f"{method} {target} HTTP/1.1"]
    if "host" not in headers:
        lines.append(f"host: {host}")
    if "accept-encoding" not in headers:
        lines.append("accept-encoding: identity")  # what is compressed comes late
    if "content-length" not in headers:
        if isinstance(content, bytes):
            lines.append(f"content-length: {len(content)}")
        elif content is not None:
            lines.append("transfer-encoding: chunked")
        elif method not in ("GET", "HEAD"):
            lines.append("content-length: 0")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append("\r\n")
    return "\r\n".join(lines).encode()


class Answer:
    """What a server says to one request, as far as it came. Its methods `on_…` are httptools' callbacks.

    `status`: HTTP's number, 0 until the head is whole. `parts`: what came of the body and was not taken yet,
    compressed as it came. `over`: nothing more comes, because the answer is whole or else for a `fault`.
    `keep_alive`: whether the next request may go the same way then.
    """

    __slots__ = (
        "_bodiless",
        "_fields",
        "_parser",
        "fault",
        "headers",
        "keep_alive",
        "on_body",
        "over",
        "parts",
        "status",
    )

    def __init__(self, method: str) -> None:
        self.status = 0
        self._fields: dict[str, str] = {}
        self.headers: Mapping[str, str] = Headers(self._fields)
        self.parts: list[bytes] = []
        self.on_body = self.parts.append  # so a chunk of HTTP, a token mostly, runs no line of Python
        self.over = self.keep_alive = False
        self.fault: Exception | None = None
        self._bodiless = method == "HEAD"
        # One for each answer costs 0.3 µs, and begins clean whatever the answer before was like.
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    def feed(self, data: bytes) -> None:
        """What the network brought."""
        if self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            if self.over:
                self.keep_alive = False  # something stands behind the answer
            else:
                self.fail(Broken(_NO_BODY if self.status else _NO_HTTP))
        if self.over:
            self._parser = None  # it holds this answer in turn

    def end(self, error: Exception | None) -> None:
        """The network brings no more: for an error, or because the server closed the connection."""
        if error is None and self.status and not self._is_framed():
            self.over, self._parser = True, None
        else:
            self.fail(error or Broken(_CUT if self.status else _NOTHING))

    def fail(self, fault: Exception) -> None:
        """Nothing more will come of it, unless it is over already."""
        if not self.over:
            self.over, self.keep_alive, self.fault, self._parser = True, False, fault, None

    @property
    def coding(self) -> str:
        """How the body is compressed, as Content-Encoding has it, or "identity"."""
        return self._fields.get("content-encoding", "identity").lower()

    def _is_framed(self) -> bool:
        """Whether the body shows where it ends; else it does so with the connection."""
        fields = self._fields
        return "content-length" in fields or fields.get("transfer-encoding", "").lower().endswith("chunked")

    def on_message_begin(self) -> None:
        if self.over:
            raise Broken(_NO_HTTP)  # nobody asked for a second answer

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status:
            return  # behind the body: nobody waits for it
        key, text, fields = _key(name), value.decode("utf-8", "replace"), self._fields
        fields[key] = f"{fields[key]}, {text}" if key in fields else text

    def on_headers_complete(self) -> None:
        assert self._parser is not None, "it is what calls"
        status = self._parser.get_status_code()
        if status < 200:
            self._fields.clear()  # a word in between: the answer follows
            return
        self.status, self.keep_alive = status, self._parser.should_keep_alive()
        if self._bodiless:  # of which the parser knows nothing
            self.over, self.keep_alive = True, False

    def on_message_complete(self) -> None:
        self.over = self.status != 0


@lru_cache(256)
def _key(name: bytes) -> str:
    """A field's name as it is looked up. A server uses the same few in each answer."""
    return name.decode("latin-1").lower()


_NO_HTTP = "what came is no HTTP"
_NO_BODY = "the body is not framed as HTTP wants it"
_NOTHING = "the server closed it without an answer"
_CUT = "the server closed it before the answer was whole"


class Inflater:
    """A body that comes compressed, taken out in pieces of bounded size. `coding` as Content-Encoding has it.

    >>> inflater = Inflater("gzip")
    >>> inflater.feed(zlib.compress(b"Hello", wbits=31))
    >>> inflater.piece()
    b'Hello'
    """

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._held = b""
        self._more = False  # whether there may be more to come out without more coming in
        self._inflate: _Inflate | None = None

    def feed(self, data: bytes) -> None:
        """The next bytes, compressed."""
        self._held += data

    def piece(self) -> bytes:
        """The next bytes, b"" if more must come in first. Raises `Broken`."""
        while self._held or self._more:
            inflate = self._inflate = self._inflate or self._begin()
            try:
                piece = inflate.decompress(self._held, _PIECE)
            except zlib.error:
                raise Broken("the body is not compressed as its head says") from None
            self._held, self._more = inflate.unconsumed_tail, len(piece) == _PIECE
            if inflate.eof:
                # A body may be several one after the other.
                self._held, self._more, self._inflate = inflate.unused_data, False, None
            if piece:
                return piece
        return b""

    def end(self) -> None:
        """Nothing more comes in. Raises `Broken` if more would have had to."""
        if self._inflate is not None:
            raise Broken("the compressed body ended too early")

    def _begin(self) -> _Inflate:
        if self._coding in ("gzip", "x-gzip"):
            return zlib.decompressobj(16 + zlib.MAX_WBITS)
        if self._coding == "deflate":
            # With zlib's header as the standard has it, or without as some servers do.
            return zlib.decompressobj(zlib.MAX_WBITS if self._held[0] & 15 == 8 else -zlib.MAX_WBITS)
        raise Broken(f"the body is compressed as {self._coding[:40]!r}, which nobody asked for")


_PIECE = 64 * 1024
