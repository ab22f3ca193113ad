"""The decoder: whatever way the bytes are cut, the same payloads come out."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opendify import MalformedStreamError
from opendify._sse import Decoder

NO_LINE_ENDS = "中文 \u2028 \u2029 \x85 \x0b \x0c end"


def decode(*chunks: bytes, max_event_bytes: int = 1 << 20) -> list[bytes]:
    decoder = Decoder(max_event_bytes=max_event_bytes)
    payloads = [payload for chunk in chunks for payload in decoder.feed(chunk)]
    decoder.check()
    return payloads


@pytest.mark.parametrize(
    ("stream", "payloads"),
    [
        (b'data: {"a":1}\n\n', [b'{"a":1}']),
        (b"data: 1\n\ndata: 2\n\ndata: 3\n\n", [b"1", b"2", b"3"]),
        (b"data: 1\r\n\r\ndata: 2\r\n\r\n", [b"1", b"2"]),
        (b"data: 1\r\rdata: 2\r\r", [b"1", b"2"]),
        (b"data: 1\r\n\ndata: 2\n\r\n", [b"1", b"2"]),
        (b"data:1\n\ndata:  2\n\n", [b"1", b" 2"]),
        (b"data: one\ndata: two\n\n", [b"one\ntwo"]),
        (b"data\ndata: x\n\n", [b"\nx"]),
        (b"event: ping\n\n", []),
        (b"event: ping\n\ndata: 1\n\nevent: ping\n\n", [b"1"]),
        (b": a comment\n\ndata: 1\n\n:\n\n", [b"1"]),
        (b"id: 7\nretry: 10\nevent: message\ndata: 1\nother: x\n\n", [b"1"]),
        (b"\xef\xbb\xbfdata: 1\n\n", [b"1"]),
        (b"data: \n\ndata:\n\ndata: 1\n\n", [b"1"]),
        (b"\n\n\n\ndata: 1\n\n\n\n", [b"1"]),
        (b"database: 1\n\ndata : 2\n\ndata: 3\n\n", [b"3"]),
        (
            "data: 中文 \u2028 \u2029 \x85 \x0b \x0c end\n\n".encode(),
            ["中文 \u2028 \u2029 \x85 \x0b \x0c end".encode()],
        ),
        (b"data: 1\n\ndata: unfinished", [b"1"]),
        (b"data: 1\n\ndata: unfinished\n", [b"1"]),
        (b"", []),
    ],
)
def test_events_are_read_by_the_rules_however_they_are_cut(stream: bytes, payloads: list[bytes]) -> None:
    assert decode(stream) == payloads
    assert decode(b"data: 0\n\n", stream) == [b"0", *payloads] or stream.startswith(b"\xef\xbb\xbf")
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == payloads
    for at in range(len(stream)):
        assert decode(stream[:at], stream[at:]) == payloads, at
        assert decode(stream[:at], b"", stream[at:]) == payloads, at


LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
TEXT = st.text("a:{} é中😀\u2028\x85", max_size=20)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A stream, and the payloads that it holds."""
    stream, payloads = b"", []
    for _ in range(draw(st.integers(0, 8))):
        end = draw(LINE_ENDS)
        lines = draw(st.lists(TEXT, max_size=3))
        for line in lines:
            noise = draw(st.sampled_from([b"", b": ping", b"event: message", b"id: 1"]))
            stream += (noise + end if noise else b"") + b"data: " + line.encode() + end
        stream += end
        if payload := "\n".join(lines):
            payloads.append(payload.encode())
    return stream, payloads


@given(streams(), st.lists(st.integers(0, 400), max_size=20), st.sampled_from([1 << 20, 60, 20]))
@example((b"data: 1\r\n\r\n", [b"1"]), [8], 1 << 20)
def test_no_split_at_any_byte_matters(made: tuple[bytes, list[bytes]], cuts: list[int], limit: int) -> None:
    stream, payloads = made
    marks = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    chunks = [stream[start:end] for start, end in pairwise(marks)]

    def outcome(*pieces: bytes) -> tuple[list[bytes], bool]:
        """What was told, and whether it was told that the stream is malformed."""
        decoder, told = Decoder(max_event_bytes=limit), []
        try:
            for piece in pieces:
                told += decoder.feed(piece)
            decoder.check()
        except MalformedStreamError:
            return told, True
        return told, False

    whole = outcome(stream)
    assert outcome(*chunks) == whole
    if limit == 1 << 20:
        assert whole == (payloads, False)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_give_payloads_in_utf8_or_an_error_of_ours(data: bytes, at: int) -> None:
    try:
        for payload in decode(data[:at], data[at:]):
            payload.decode()
    except MalformedStreamError:
        pass


def test_a_half_character_at_a_chunk_edge_is_not_lost() -> None:
    stream = 'data: {"answer":"日本語😀"}\n\n'.encode()
    for at in range(len(stream)):
        assert decode(stream[:at], stream[at:]) == [stream[6:-2]]


def test_bytes_that_are_no_utf8_are_an_error_and_what_came_before_is_not_lost() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: fine\n\ndata: \xff\xfe\n\ndata: never\n\n") == [b"fine"]
    with pytest.raises(MalformedStreamError, match="UTF-8"):
        decoder.feed(b"data: more\n\n")
    with pytest.raises(MalformedStreamError, match="UTF-8"):
        decoder.check()


def test_an_error_in_the_last_chunk_is_told_at_the_end() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: fine\n\ndata: \xff\n\n") == [b"fine"]
    with pytest.raises(MalformedStreamError):
        decoder.check()


def test_an_event_above_the_limit_is_refused_while_it_comes_in_not_when_all_memory_is_gone() -> None:
    decoder = Decoder(max_event_bytes=1000)
    decoder.feed(b"data: ")
    for _ in range(9):
        decoder.feed(b"x" * 100)
    with pytest.raises(MalformedStreamError, match="larger than 1000 bytes"):
        decoder.feed(b"x" * 100)


def test_the_limit_is_for_one_event_not_for_the_stream() -> None:
    event = b"data: " + b"x" * 90 + b"\n\n"
    assert len(decode(*[event] * 50, max_event_bytes=100)) == 50
    assert len(decode(event * 50, max_event_bytes=100)) == 50


def test_a_large_event_in_small_pieces_costs_memory_and_work_in_proportion_to_its_size() -> None:
    """Twice the size may not cost four times the copies: counted in bytes allocated, not in seconds."""

    def peak(size: int) -> int:
        decoder = Decoder()
        decoder.feed(b"data: ")
        piece = b"x" * 4096
        tracemalloc.start()
        for _ in range(size // 4096):
            decoder.feed(piece)
        [payload] = decoder.feed(b"\n\n")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(payload) == size // 4096 * 4096
        return most

    assert peak(5 << 20) < 20 << 20
