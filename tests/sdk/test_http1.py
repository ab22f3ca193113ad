"""HTTP without a socket: whatever way the bytes of an answer are cut, it is the same answer."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendify._http1 import Answer, Broken, Inflater, head_of

from .wire_server import cut

BODY = bytes(range(256)) + b"\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def chunks(*pieces: bytes, trailer: bytes = b"") -> bytes:
    """A body in chunks."""
    framed = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece]
    return b"".join([*framed, b"0\r\n", trailer, b"\r\n"])


def read(*pieces: bytes, method: str = "GET", closed: bool = False) -> Answer:
    """What is understood of an answer that comes in these pieces, after which the server closes."""
    answer = Answer(method)
    for piece in pieces:
        answer.feed(piece)
    if closed and not answer.over:
        answer.end(None)
    return answer


def seen(answer: Answer) -> object:
    return (
        answer.status,
        dict(answer.headers),
        b"".join(answer.parts),
        answer.over,
        answer.keep_alive,
        str(answer.fault or ""),
    )


WHOLE = {
    "a length": (OK + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY, 200, BODY, True),
    "a length, and it closes": (
        OK + b"connection: Close\r\ncontent-length: 2\r\n\r\nHi",
        200,
        b"Hi",
        False,
    ),
    "chunks": (CHUNKED + chunks(BODY, b"1", BODY), 200, BODY + b"1" + BODY, True),
    "chunks with names of their own": (CHUNKED + b'2;a="b"\r\nHi\r\n0;c\r\n\r\n', 200, b"Hi", True),
    "a trailer": (CHUNKED + chunks(b"Hi", trailer=b"X-Late: 1\r\n"), 200, b"Hi", True),
    "nothing to say": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "nothing new": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", 304, b"", True),
    "an empty body": (b"HTTP/1.1 500 \r\ncontent-length:0\r\n\r\n", 500, b"", True),
    "words in between": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        + OK
        + b"content-length: 2\r\n\r\nHi",
        200,
        b"Hi",
        True,
    ),
    "an old server": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nHi", 200, b"Hi", False),
    "an old server that keeps alive": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nHi",
        200,
        b"Hi",
        True,
    ),
    "sizes with spaces": (CHUNKED + b"2  \r\nHi\r\n0\r\n\r\n", 200, b"Hi", True),
    "lines without CR": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nHi", 200, b"Hi", True),
}


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_is_read_by_the_rules_wherever_it_is_cut(name: str) -> None:
    said, status, body, keep_alive = WHOLE[name]
    answer = read(said)
    assert (answer.status, b"".join(answer.parts), answer.keep_alive) == (status, body, keep_alive)
    assert answer.over
    assert answer.fault is None
    assert "x-late" not in answer.headers
    assert "link" not in answer.headers
    for at in range(len(said)):
        assert seen(read(said[:at], said[at:])) == seen(answer), at
    assert seen(read(*(said[i : i + 1] for i in range(len(said))))) == seen(answer)


@given(
    st.lists(st.binary(max_size=300), max_size=8),
    st.sampled_from(["length", "chunks", "until it closes"]),
    st.integers(0, 3),
    st.lists(st.integers(1, 200), min_size=1, max_size=30),
)
def test_any_body_in_any_framing_cut_anywhere_comes_out_as_it_is(
    pieces: list[bytes], framing: str, words: int, sizes: list[int]
) -> None:
    body = b"".join(pieces)
    said = b"HTTP/1.1 102 Processing\r\n\r\n" * words + {
        "length": OK + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        "chunks": CHUNKED + chunks(*pieces),
        "until it closes": OK + b"\r\n" + body,
    }[framing]  # fmt: skip
    answer = read(*cut(said, sizes), closed=framing == "until it closes")
    assert (answer.status, b"".join(answer.parts), answer.fault) == (200, body, None)
    assert answer.over
    assert answer.keep_alive == (framing != "until it closes")


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_an_answer_that_breaks_off_is_a_fault_and_what_came_is_kept(name: str, data: st.DataObject) -> None:
    said, _, body, _ = WHOLE[name]
    at = data.draw(st.integers(0, len(said) - 1))
    answer = read(said[:at])
    if answer.over:  # where no body can follow
        return
    came = b"".join(answer.parts)
    answer.end(None)
    assert answer.over
    assert isinstance(answer.fault, Broken)
    assert "closed it" in str(answer.fault)
    assert not answer.keep_alive
    assert b"".join(answer.parts) == came
    assert body.startswith(came)


@given(st.sampled_from(sorted(WHOLE)), st.binary(min_size=1, max_size=60), st.data())
def test_what_stands_behind_an_answer_is_no_part_of_it_and_ends_the_connection(
    name: str, more: bytes, data: st.DataObject
) -> None:
    said, status, body, _ = WHOLE[name]
    more = data.draw(st.sampled_from([more, said]))
    at = data.draw(st.integers(0, len(said) - 1))
    answer = read(said[:at], said[at:] + more)
    assert (answer.status, b"".join(answer.parts), answer.fault) == (status, body, None)
    if more.strip(b"\r\n"):
        assert not answer.keep_alive


@given(st.binary(max_size=200), st.lists(st.integers(1, 50), min_size=1))
def test_whatever_a_server_says_raises_nothing_and_is_quoted_nowhere(said: bytes, sizes: list[int]) -> None:
    for head in (b"", OK, CHUNKED, OK + b"content-length: 900\r\n\r\n"):
        answer = read(*cut(head + said, sizes), closed=True)
        assert answer.over
        assert str(answer.fault or "").startswith(
            ("what came is", "the body is not", "the server closed", "")
        )


def test_a_fault_says_where_the_answer_stood() -> None:
    for said, fault in (
        (b"SSH-2.0-OpenSSH\r\n", "what came is no HTTP"),
        (b"HTTP/1.1 101 So\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "what came is no HTTP"),
        (b"", "the server closed it without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-", "the server closed it without an answer"),
        (CHUNKED + b"5\r\nHel", "the server closed it before the answer was whole"),
        (CHUNKED + b"2\r\nHi\r\nprivate", "the body is not framed as HTTP wants it"),
        (CHUNKED + b"2\r\nHi, too long", "the body is not framed as HTTP wants it"),
    ):  # fmt: skip
        answer = read(said, closed=True)
        assert str(answer.fault) == fault
        assert b"".join(answer.parts) in (b"", b"Hel", b"Hi")


def test_the_answer_to_head_has_no_body_whatever_its_head_says() -> None:
    answer = read(OK + b"Content-Length: 900\r\n\r\n", method="HEAD")
    assert answer.over
    assert answer.fault is None
    assert not answer.keep_alive
    assert answer.headers["Content-Length"] == "900"


def test_headers_are_found_in_any_case_and_one_that_comes_twice_is_a_list() -> None:
    headers = read(OK + b"X-One: 1\r\nvary: a\r\nVARY: b\r\nname: \xc3\xa4\xff\r\n\r\n").headers
    assert headers["x-ONE"] == "1"
    assert headers.get("Vary") == "a, b"
    assert headers["name"] == "ä\ufffd"
    assert "X-Two" not in headers
    assert sorted(headers) == ["name", "vary", "x-one"]
    assert len(headers) == 3


@pytest.mark.parametrize(
    ("headers", "content", "lines"),
    [
        ({}, None, ["accept-encoding: identity", "content-length: 0", "host: a:1"]),
        ({}, b"{}", ["accept-encoding: identity", "content-length: 2", "host: a:1"]),
        ({}, object(), ["accept-encoding: identity", "host: a:1", "transfer-encoding: chunked"]),
        ({"content-length": "7"}, object(), ["accept-encoding: identity", "content-length: 7", "host: a:1"]),
        ({"accept-encoding": "a", "host": "b"}, b"", ["accept-encoding: a", "content-length: 0", "host: b"]),
    ],
)  # fmt: skip
def test_a_head_says_how_long_the_body_is_and_each_thing_once(
    headers: dict[str, str], content: object, lines: list[str]
) -> None:
    first, *rest = head_of("POST", "/v1", "a:1", headers, content).decode().split("\r\n")
    assert first == "POST /v1 HTTP/1.1"
    assert sorted(filter(None, rest)) == lines
    assert rest[-2:] == ["", ""]
    assert b"content-length" not in head_of("GET", "/v1", "a:1", {}, None)


# Compressed bodies


def inflate(coding: str, pieces: Iterable[bytes]) -> bytes:
    inflater, out = Inflater(coding), b""
    for piece in pieces:
        inflater.feed(piece)
        while inflated := inflater.piece():
            assert len(inflated) <= 65536
            out += inflated
    inflater.end()
    return out


def deflate(data: bytes) -> bytes:
    """As some servers do it: without the header that belongs to it."""
    compress = zlib.compressobj(wbits=-15)
    return compress.compress(data) + compress.flush()


COMPRESS = [
    ("gzip", gzip.compress),
    ("x-gzip", lambda data: gzip.compress(data) + gzip.compress(data)),
    ("deflate", zlib.compress),
    ("deflate", deflate),
]


@given(
    st.sampled_from(COMPRESS),
    st.one_of(st.binary(max_size=500), st.integers(0, 300_000).map(bytes)),
    st.lists(st.integers(1, 300), min_size=1),
)
def test_a_compressed_body_cut_anywhere_comes_out_whole(
    how: tuple[str, object], body: bytes, sizes: list[int]
) -> None:
    coding, compress = how
    compressed = compress(body)  # type: ignore[operator]  # it is one of those above
    whole = body * 2 if coding == "x-gzip" else body
    assert inflate(coding, cut(compressed, sizes)) == whole
    if coding != "x-gzip":
        with pytest.raises(Broken, match="ended too early"):
            inflate(coding, [compressed[:-1]])


def test_a_body_that_is_not_compressed_as_told_is_a_fault() -> None:
    assert inflate("gzip", []) == b""
    for coding in ("gzip", "deflate"):
        with pytest.raises(Broken, match="not compressed as its head says"):
            inflate(coding, [b"\xff\xff private words" * 9])
    with pytest.raises(Broken, match="compressed as 'br', which nobody asked for"):
        inflate("br", [b"x"])
