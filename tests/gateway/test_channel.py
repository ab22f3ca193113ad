"""The way of one choice's text to the client."""

import json

import pytest

from opendify.gateway.answer import Answer, Delta
from opendify.gateway.channel import Channel

LUMP: list[Delta] = [
    ("content", "A paragraph that came all at once, as from a cache or from a moderated answer. " * 2)
]


def answer(**known: object) -> Answer:
    made = Answer("chat", "https://dify.example/v1")
    for name, value in known.items():
        setattr(made, name, value)
    return made


def content(data: bytes) -> str:
    """The text in the chunks of a stream."""
    chunks = [json.loads(event.removeprefix("data: ")) for event in data.decode().split("\n\n") if event]
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)


def stream(*, stop: tuple[str, ...] = (), paced: bool = False) -> Channel:
    channel = Channel(0, stop, paced=paced)
    channel.open("chatcmpl-1", 1, "Support")
    return channel


def test_each_piece_of_a_read_is_a_chunk_of_its_own() -> None:
    channel = stream()
    assert channel.feed([], now=0.0).count(b"data: ") == 1, "the chunk with the role"
    out = channel.feed([("content", "a"), ("reasoning", "b"), ("content", "c")], now=0.0)
    assert out.count(b"data: ") == 3
    assert content(out) == "ac"


def test_a_plain_answer_collects_text_and_reasoning() -> None:
    channel = Channel(0, (), paced=False)
    assert channel.feed([("reasoning", "hm"), ("content", "Hel"), ("content", "lo")], now=0.0) == b""
    assert channel.close(answer(), "") == b""
    choice = channel.choice(answer())
    assert (choice["message"]["content"], choice["message"].get("reasoning_content")) == ("Hello", "hm")


def test_a_lump_leaves_bit_by_bit_and_the_rest_at_the_end() -> None:
    channel = stream(paced=True)
    first = content(channel.feed(LUMP, now=0.0))
    assert 0 < len(first) < len(LUMP[0][1])
    assert channel.wake_at is not None
    more = content(channel.due(channel.wake_at))
    assert more
    assert first + more + content(channel.close(answer(), "")) == LUMP[0][1] == channel.text


def test_nothing_is_held_without_pacing() -> None:
    channel = stream()
    assert content(channel.feed(LUMP, now=0.0)) == LUMP[0][1]
    assert channel.wake_at is None


def test_text_is_cut_before_a_stop_string() -> None:
    channel = stream(stop=("END",))
    out = channel.feed([("content", "one E"), ("content", "ND two"), ("content", "three")], now=0.0)
    assert (content(out + channel.close(answer(), "")), channel.cut, channel.text) == ("one ", True, "one ")


def test_text_that_only_looked_like_a_stop_string_comes_in_the_end() -> None:
    channel = stream(stop=("END",))
    out = channel.feed([("content", "one EN")], now=0.0) + channel.close(answer(), "")
    assert content(out) == "one EN" == channel.text


@pytest.mark.parametrize(("said", "streamed"), [("bad words", "bad words\n\nNo."), ("", "No.")])
def test_moderation_follows_in_a_stream_and_replaces_in_a_plain_answer(said: str, streamed: str) -> None:
    moderated = answer(replacement="No.", finish_reason="content_filter")
    channel, plain = stream(), Channel(0, (), paced=False)
    deltas: list[Delta] = [("content", said)] if said else []
    assert content(channel.feed(deltas, now=0.0) + channel.close(moderated, "")) == streamed == channel.text
    plain.feed(deltas, now=0.0)
    plain.close(moderated, "")
    choice = plain.choice(moderated)
    assert (choice["message"]["content"], choice["finish_reason"]) == ("No.", "content_filter")


def test_the_mark_is_the_last_of_the_text() -> None:
    channel = stream()
    out = channel.feed([("content", "Hi")], now=0.0) + channel.close(answer(), "\u2061\u2062")
    assert content(out) == "Hi \u2061\u2062" == channel.text
