"""The scripted model: what it says, in which pieces, and how fast."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendify.simulator.model import Prompt, Said, Script, Usage, count, no_usage, split, write


def _script(query: str, pace: float = 0.02, **more: object) -> Script:
    return write(Prompt("chat", "ada", query, **more), pace=pace)  # type: ignore[arg-type]


@given(st.text())
def test_the_pieces_of_a_text_are_the_text(text: str) -> None:
    assert "".join(split(text)) == text


_PROSE = st.text(st.characters(exclude_characters="[]"), max_size=50)


@given(_PROSE, _PROSE)
def test_a_directive_is_followed_wherever_it_stands(before: str, after: str) -> None:
    assert _script(f"{before}[[reply:x y]]{after}").text == "x y"


def test_tokens_are_words_and_characters_of_scripts_without_spaces() -> None:
    assert split("Hello there, 你好!") == ["Hello", " there,", " 你", "好", "!"]
    assert count("one two\nthree") == 3


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("[[reply:Hi]]", "Hi"),
        ("say [[reply:two\n\nlines]] please", "two\n\nlines"),
        ("[[reply:one]] [[reply:two]]", "two"),
        ("[[reply:bad{~}word]]", "badword"),
        ("[[long:3]]", "word0 word1 word2"),
        ("[[slow:2:0.5]]", "tick0 tick1 "),
        ("[[empty]]", ""),
        ("[[big:10]]", "xxxxxxxxxx"),
        ("[[system]]", "SYSTEM:Be brief."),
        ("[[think]]", "<think>\nFirst I ponder the question.\nThen I decide.\n</think>\nThe answer is 42."),
        ("[[think:Hm]][[reply:Yes]]", "<think>\nHm\n</think>\nYes"),
        ("<history>\nuser: [[reply:old]]\n</history>\n\n[[reply:new]]", "new"),
        ("<history>\nuser: [[error]]\n</history>\n\n[[reply:new]]", "new"),
    ],
)
def test_a_directive_decides_what_is_said(query: str, text: str) -> None:
    script = _script(query, system="Be brief.")
    assert (script.text, script.failure) == (text, None)


def test_a_history_in_the_question_directs_nothing() -> None:
    assert _script("<history>\nuser: [[error]]\n</history>\n\nWell?").failure is None


def test_the_history_is_echoed_as_json() -> None:
    seen = json.loads(
        _script("[[history]]", system="S", history=(Said("user", "a"), Said("assistant", "b"))).text
    )
    assert seen == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "[[history]]"},
    ]


def test_what_dify_was_told_is_echoed_as_json() -> None:
    seen = json.loads(_script("[[echo]]", inputs={"lang": "中文"}, conversation_id="c").text)
    assert (seen["user"], seen["inputs"], seen["conversation_id"]) == ("ada", {"lang": "中文"}, "c")


def test_tokens_come_at_the_pace_that_was_set() -> None:
    waits = [wait for wait, _ in _script("[[reply:one two three]]", pace=0.05).pieces]
    assert waits == [0.0, 0.05, 0.05, 0.05, 0.0]
    assert [wait for wait, _ in _script("[[pace:0.5]][[reply:one]]", pace=0.05).pieces] == [0.0, 0.5, 0.0]


def test_stalls_come_before_the_first_token_or_midway() -> None:
    assert [wait for wait, _ in _script("[[stall:7]][[reply:one two]]", pace=0).pieces] == [7, 0, 0, 0]
    assert [wait for wait, _ in _script("[[midstall:7]][[reply:a b c]]", pace=0).pieces] == [0, 0, 0, 7, 0]


def test_an_answer_may_come_in_lumps() -> None:
    assert [text for _, text in _script("[[lump]][[reply:one two three]]").pieces] == [
        "",
        "one two three",
        "",
    ]
    lumps = _script("[[lump:5:0.3]][[reply:one two three]]").pieces
    assert lumps == ((0.0, ""), (0.3, "one t"), (0.3, "wo th"), (0.3, "ree"), (0.0, ""))


def test_a_failure_comes_at_once_or_after_the_first_words() -> None:
    at_once, midway = _script("[[error0]]"), _script("[[error:auth]][[reply:one two three]]")
    assert (at_once.text, midway.text) == ("", "one two")
    assert midway.failure is not None
    assert midway.failure.message == "Incorrect API key provided"


def test_usage_counts_what_was_seen_and_said() -> None:
    script = _script("one two", system="three", history=(Said("user", "four five"),))
    assert script.prompt_tokens == 5
    assert script.usage.completion_tokens == count(script.text)
    assert script.usage.total_tokens == 5 + count(script.text)


def test_prices_are_texts_as_dify_writes_them() -> None:
    priced = Usage(14, 12).json(1.5)
    assert (priced["prompt_price"], priced["completion_price"]) == ("0.0000140", "0.0000240")
    assert Usage().json(0.0)["total_price"] == "0E-7"
    assert no_usage(0.0)["total_price"] == "0.0"
    assert Usage(1, 2) + Usage(3, 4) == Usage(4, 6)
