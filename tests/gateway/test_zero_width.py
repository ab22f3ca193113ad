"""Invisible ids: what survives what, whose they are, and what is no id at all."""

import base64
import json
import re
import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from opendify.gateway.zero_width import decode, encode, joint, strip

ID = "45701982-8118-4bc5-8e9b-64562b4555f2"
SECRET = b"a secret"

LEGACY = "\u200b\u200c\u200d\ufeff\u2060\u180e\u2061\u2062"
VECTOR = "150324671403047116031055160304611602646430461465132341451626105515432065154311421503246515263062"
LEGACY_MARK = "".join(LEGACY[int(digit)] for digit in VECTOR)
"""What the first OpenDify wrote for ID."""

JS_TRIMS = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What JavaScript's String.prototype.trim removes: WhiteSpace and LineTerminator of ECMA-262."""

ids = st.uuids().map(str)
texts = st.text() | st.text(alphabet=f"aé你 \n`*|{LEGACY}\u2063\u2064👩\u0301")


def ours(conversation_id: str = ID, context: str = "ada") -> str:
    return encode(conversation_id, secret=SECRET, context=context)


def read(text: str, context: str = "ada") -> str | None:
    return decode(text, secret=SECRET, context=context)


def legacy(conversation_id: str) -> str:
    """A mark as the first OpenDify made it: base64, two octal digits a letter."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    values = [letters.index(letter) for letter in base64.b64encode(conversation_id.encode()).decode()]
    return "".join(LEGACY[value >> 3] + LEGACY[value & 7] for value in values)


def longest_run(text: str) -> int:
    longest = run = 0
    for character in text:
        run = run + 1 if character in LEGACY + "\u2063\u2064" else 0
        longest = max(longest, run)
    return longest


# Ours


@given(ids, texts, texts, st.text())
def test_an_id_comes_back_wherever_its_mark_stands(
    conversation_id: str, before: str, after: str, context: str
) -> None:
    assume(not after.startswith(tuple("\u2061\u2062\u2063\u2064")))
    assert read(before + ours(conversation_id, context) + after, context) == conversation_id


@given(ids, texts)
def test_an_id_survives_trim_normalisation_and_json(conversation_id: str, text: str) -> None:
    marked = text + joint(text) + ours(conversation_id)
    assert read(marked.strip()) == conversation_id
    assert read(marked.strip(JS_TRIMS)) == conversation_id
    assert read(ours(conversation_id).strip(JS_TRIMS)) == conversation_id
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert read(unicodedata.normalize(form, marked)) == conversation_id
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert read(json.loads(json.dumps(marked))) == conversation_id
        assert read(json.loads(json.dumps(marked, ensure_ascii=False).encode())) == conversation_id


def test_an_id_survives_a_clean_up_of_zero_width_characters() -> None:
    assert read("Hello! " + "".join(c for c in ours() if c not in "\u200b\u200c\u200d\ufeff")) == ID


def test_a_mark_is_one_that_nobody_sees() -> None:
    assert len(ours()) == 99
    assert {unicodedata.category(character) for character in ours()} == {"Cf"}


@given(st.integers(0, 98), st.sampled_from("\u2060\u2061\u2062\u2063\u2064x\u200b"))
def test_a_mark_with_a_forged_symbol_is_ignored(index: int, symbol: str) -> None:
    mark = ours()
    assume(mark[index] != symbol)
    assert read(f"Hello! {mark[:index]}{symbol}{mark[index + 1 :]}") is None


@given(st.integers(0, 98), st.integers(1, 99))
def test_a_mark_with_a_piece_missing_is_ignored(start: int, length: int) -> None:
    mark = ours()
    assert read(f"Hello! {mark[:start]}{mark[start + length :]}") is None


def test_a_mark_is_for_those_it_was_made_for() -> None:
    text = f"Hello! {ours(context='ada')}"
    assert read(text, context="ada") == ID
    assert read(text, context="eve") is None
    assert decode(text, secret=b"another gateway's", context="ada") is None


def test_the_last_valid_mark_is_the_one_that_counts() -> None:
    first, second = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
    assert read(ours(first) + ours(second)) == second
    assert read(f"one{ours(first)} two{ours(second)} three") == second
    assert read(f"one{ours(first)} two{ours(second, context='eve')}") == first
    assert read(ours(first) + ours(second)[:50]) == first
    assert read(legacy(first) + ours(second)) == second
    assert read(ours(first) + legacy(second)) == second
    assert read(legacy(first) + ours(second, context="eve")) == first
    assert read(f"one{legacy(first)} two{ours(second, context='eve')}") == first


@pytest.mark.parametrize(
    "odd", ["", "abc", ID.upper(), ID.replace("-", ""), f"{{{ID}}}", f"{ID}\n", "x" * 36]
)
def test_only_an_id_as_dify_writes_it_gets_a_mark(odd: str) -> None:
    with pytest.raises(ValueError, match="UUID"):
        ours(odd)


# The first OpenDify's


def test_the_first_opendify_s_mark_is_read() -> None:
    assert legacy(ID) == LEGACY_MARK
    assert read(f"Hello!{LEGACY_MARK}") == ID
    assert decode(f"Hello!{LEGACY_MARK}", secret=b"whatever", context="whoever") == ID


@given(ids, texts, texts)
def test_a_legacy_mark_is_read_wherever_it_stands(conversation_id: str, before: str, after: str) -> None:
    assume(not before.endswith(tuple(LEGACY)))
    assume(not after.startswith(tuple(LEGACY)))
    assert read(before + legacy(conversation_id) + after) == conversation_id


def test_legacy_marks_joined_are_both_found() -> None:
    other = "11111111-1111-4111-8111-111111111111"
    assert read(legacy(other) + legacy(ID)) == ID
    assert read(legacy(other) + legacy(ID)[:-2]) is None  # no telling where marks begin
    assert read(f"{legacy(other)} {legacy(ID)[:-2]}") == other


def test_a_joiner_at_the_end_of_the_text_does_not_hide_a_legacy_mark() -> None:
    assert read(f"می\u200c{LEGACY_MARK}") == ID


@given(ids)
@example("00000000-0000-4000-8000-00000000000c")
@example("00000000-0000-4000-8000-000000000003")
def test_a_legacy_mark_that_javascript_has_trimmed_still_gives_its_own_id(conversation_id: str) -> None:
    mark = legacy(conversation_id)
    assert len(mark) == 96
    assert read(f"Hello!{mark}".strip(JS_TRIMS)) == conversation_id
    # Of a mark that is all there is, trim may take the front: then there is no telling.
    assert read(mark.strip(JS_TRIMS)) in (conversation_id, None)


@given(ids, st.data())
def test_a_piece_of_a_legacy_mark_is_no_id(conversation_id: str, data: st.DataObject) -> None:
    mark = legacy(conversation_id)
    start = data.draw(st.integers(0, 94))
    length = data.draw(st.integers(1 if start else 2, 96 - start))
    piece = mark[:start] + mark[start + length :]
    assert read(f"Hello!{piece}, bye") is None
    if len(piece) < 95:
        assert read(f"Hello!{piece}") is None


@given(st.text(alphabet=LEGACY, min_size=96, max_size=400))
def test_noise_is_no_id(noise: str) -> None:
    assert read(noise) is None
    assert read("\u180e\u180e".join([noise] * 3)) is None


def test_a_legacy_mark_that_spells_no_uuid_is_no_id() -> None:
    for text in ("x" * 36, ID.upper(), ID.replace("-", "_"), "é" * 18):
        assert read(f"Hello!{legacy(text)}") is None


# Text without marks


@given(texts, ids)
@example("```python\nprint()\n```", ID)
@example("", ID)
@example("ends in a space ", ID)
@example("ends in lines\n\n", ID)
def test_strip_gives_back_what_was_marked(text: str, conversation_id: str) -> None:
    assume(longest_run(text) < 16)
    assert strip(text) == text
    assert strip(text + joint(text) + ours(conversation_id)) == text
    assert strip(text + joint(text) + ours(conversation_id) + " A footer.") == text + " A footer."
    assume(not text.endswith(tuple(LEGACY + "\u2063\u2064")))
    assert strip(text + legacy(conversation_id)) == text
    assert strip(text + legacy(conversation_id) + joint("") + ours(conversation_id)) == text


@given(st.integers(16, 98))
def test_strip_takes_what_is_left_of_a_mark(length: int) -> None:
    assert strip(f"Hello!{ours()[:length]}\nBye") == "Hello!\nBye"
    assert strip(f"Hello!{LEGACY_MARK[-length:]}\nBye") == "Hello!\nBye"


@pytest.mark.parametrize(
    "text",
    [
        "👨\u200d👩\u200d👧\u200d👦 and 🏳️\u200d🌈, 👩🏽\u200d💻",
        "می\u200cخواهم کتاب\u200cها را",
        "क\u094d\u200dष and ক\u09cd\u200c\u200dষ",
        "\ufeffa file with a byte order mark",
        "ᠨᠢᠭᠡ\u180eᠠ",
        "Thai\u200bbreaks\u200bhere, f\u2061(x) = 2\u2062x, no\u2060break",
        "\u200d" * 15,
    ],
)
def test_characters_that_texts_need_stay(text: str) -> None:
    assert strip(text) == text
    assert read(text) is None
    assert strip(f"{text} {ours()}") == text


def test_text_without_such_characters_is_not_even_copied() -> None:
    for text in ("plain", "ünïcödé, 你好"):
        assert strip(text) is text


# In Markdown


@pytest.mark.parametrize(
    "text",
    [
        "Hello there!",
        "Look: **now!**",
        "*“Yes.”*",
        "`code`",
        "```python\nprint(1)\n```",
        "1. First\n\n   ```\n   code\n   ```",
        "> ```\n> code\n> ```",
        "~~~\ncode\n~~~",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "A title\n=======",
        "Text\n\n---",
        "# A heading",
        "- one\n- two",
        "[a link](https://example.com)",
        "![an image](https://example.com/a.png)",
        "<https://example.com>",
        "    indented code",
        "<details>\nmore\n</details>",
        "",
    ],
)
def test_a_mark_does_not_change_how_an_answer_renders(text: str) -> None:
    markdown = MarkdownIt("commonmark").enable("table")

    def seen(answer: str) -> str:
        html = markdown.render(answer).replace(ours(), "").replace("<p></p>", "")
        return re.sub(r"\s+(?=<|$)", "", html)

    assert seen(text + joint(text) + ours()) == seen(text)


def test_a_mark_is_no_part_of_a_link_before_it() -> None:
    text = "See https://example.com/page"
    assert (text + joint(text) + ours()).split()[1] == "https://example.com/page"
