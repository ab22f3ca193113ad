"""Thinking is told apart from the answer in every form that models, Dify and clients give it."""

import itertools
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opendify.gateway.thinking import Thinking, answer_in

DIFY_0_15 = (
    '<details style="color:gray;background-color: #f8f8f8;padding: 8px;border-radius: 4px;" open>'
    " <summary> Thinking... </summary>"
)
"""What Dify 0.15 wrote before a model's thinking; an end of `</details>` came after it."""

FORMS = {
    "DeepSeek-R1, Qwen, GLM, MiniMax; Dify's plugins": ("<think>", "</think>"),
    "in another case": ("<Think>", "</THINK>"),
    "with attributes": ('<think lang="en" depth=3>', "</think>"),
    "Claude": ("<thinking>", "</thinking>"),
    "Claude with a signature": ('<thinking signature="x/y==">', "</thinking>"),
    "Gemini, EXAONE": ("<thought>", "</thought>"),
    "tuned models": ("<reasoning>", "</reasoning>"),
    "Claude's artifacts": ("<antThinking>", "</antThinking>"),
    "Seed-OSS": ("<seed:think>", "</seed:think>"),
    "LongCat": ("<longcat_think>", "</longcat_think>"),
    "Magistral": ("[THINK]", "[/THINK]"),
    "Kimi-VL": ("◁think▷", "◁/think▷"),
    "Sky-T1": ("<|begin_of_thought|>", "<|end_of_thought|>"),
    "Command A": ("<|START_THINKING|>", "<|END_THINKING|>"),
    "Gemma 4": ("<|channel>thought\n", "<channel|>"),
    "gpt-oss": (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    "gpt-oss from the head of a message on": (
        "<|start|>assistant<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    "Dify 0.15": (f"{DIFY_0_15}\n", "</details>"),
    "folded in an Answer node": ("<details>\n<summary>思考过程</summary>\n", "</details>"),
    "folded, with a time": ("<details open><summary>已深度思考（用时 5.2 秒）</summary>", "</details>"),
    "Open WebUI": (
        '<details type="reasoning" done="true" duration="5">\n<summary>Thought for 5 seconds</summary>\n',
        "</details>",
    ),
    "Open WebUI in another language": (
        '<details type="reasoning" done="true">\n<summary>Gedacht für 5 Sekunden</summary>\n',
        "</details>",
    ),
    "an opening that comes twice": ("<think>\n<think>", "</think>\n</think>"),
}


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


def split(pieces: list[str]) -> tuple[str, str]:
    """What of a text is thinking, and what is the answer."""
    thinking = Thinking()
    parts = [*map(thinking.feed, pieces), thinking.flush()]
    return "".join(thought for thought, _ in parts), "".join(answer for _, answer in parts)


@pytest.mark.parametrize(("begin", "end"), FORMS.values(), ids=FORMS)
def test_thinking_is_found_in_every_form_and_at_every_cut(begin: str, end: str) -> None:
    text = f"{begin}\nSo <b>x</b> < y.\n\nDone.\n{end}\n\nYes, see <think>."
    expected = ("So <b>x</b> < y.\n\nDone.", "Yes, see <think>.")
    assert split([text]) == expected
    assert split(list(text)) == expected
    for place in range(len(text)):
        assert split([text[:place], text[place:]]) == expected


@pytest.mark.parametrize(("begin", "end"), FORMS.values(), ids=FORMS)
def test_thinking_that_nobody_ends_goes_on_to_the_end(begin: str, end: str) -> None:
    for text in (f"{begin}hm", f"{begin}hm\n<"):
        assert split([text]) == split(list(text)) == (text.removeprefix(begin), "")


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>hm</think>\n\nYes", "hm", "Yes"),
        ("  <think>\nhm\nso\n</think>Yes", "hm\nso", "Yes"),
        ("<think></think>Yes", "", "Yes"),
        ("<think>\n\n</think>\n\nYes", "", "Yes"),
        ("<think>a</think>\n<think>b</think>\n\nYes", "a\n\nb", "Yes"),
        ("<think>\n\n</think><think>b</think>Yes", "b", "Yes"),
        ("<think>a</think>  <thinking>b</thinking>  Yes", "a\n\nb", "  Yes"),
        ("<think>a</think>Yes <think>b</think>", "a", "Yes <think>b</think>"),
        ("<think>a </thinking> b</think>Yes", "a </thinking> b", "Yes"),
        ("<think>never ended", "never ended", ""),
        ("<think>a</think", "a</think", ""),
        ("\n</think>\n\nYes", "", "Yes"),
        ("<think>a</think>\n", "a", ""),
        ("", "", ""),
        ("  ", "", "  "),
    ],
)
def test_blocks_at_the_start_are_thinking_and_newlines_around_them_are_nobodys(
    text: str, thought: str, answer: str
) -> None:
    assert split([text]) == (thought, answer)
    assert split(list(text)) == (thought, answer)


@pytest.mark.parametrize(
    "text",
    [
        "No thought",
        "An answer about <think> tags </think>",
        "Let me see.</think>\n\nYes",
        "```xml\n<think>hm</think>\n```",
        "`<think>` opens it.",
        "- <think>hm</think>",
        '{"a": "<think>hm</think>"}',
        '[{"think": 1}]',
        "[THINKING] is no mark",
        "<thin air",
        "<thinker>hm</thinker>",
        "<think",
        "<think\nof it < that",
        "<thinking-cap>x</thinking-cap>",
        "<details",
        "<details><summary>Sources</summary>one</details>",
        "<details><summary>Reasons to go</summary>one</details>",
        "<details><summary>Thoughts on the plan</summary>one</details>",
        "<details>" + "x" * 700,
        "<details><p>Thinking...</p></details>",
        "<detailsx><summary>Thinking...</summary></detailsx>",
        "<|channel|>commentary to=functions.x<|message|>{}",
        "<think " + "x" * 400 + ">",
        " " * 1100 + "<think>hm</think>",
    ],
)
def test_what_only_looks_like_thinking_is_text_as_it_came(text: str) -> None:
    assert split([text]) == ("", text)
    assert split(list(text)) == ("", text)


PIECES = [
    *(
        "<think>",
        "</think>",
        "<THINK ",
        "\n",
        "\n\n\n",
        "a",
        " ",
        "<",
        ">",
        "th",
        "ink>",
        "</",
        "[THINK]",
        "[/THI",
    ),
    *("NK]", "◁", "think▷", "◁/think▷", "<details>", "<summary>Thinking...", "</summary>", "</details>", "K"),
    *("<|channel|>", "analysis<|message|>", "<|end|>", "<|start|>assistant", "final<|message|>", "ſ", "İ"),
    *(" " * 999, "\n" * 1001),
]


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.lists(st.integers(0, 5000), max_size=6))
@example(["<think>", "a", "\n\n\n", "</", "th", "inK>"], [3, 9, 12])
def test_the_result_does_not_depend_on_how_the_text_was_split(parts: list[str], places: list[int]) -> None:
    text = "".join(parts)
    assert split(cut(text, places)) == split([text])


def test_an_answer_leaves_at_once() -> None:
    for text in ("plain", "<div>", "[1, 2]", "{", "# Title"):
        thinking = Thinking()
        assert thinking.feed(text) == ("", text)
        assert thinking.over


def test_thinking_leaves_as_it_comes() -> None:
    thinking = Thinking()
    assert [thinking.feed(text) for text in ("<think>\n", "one", " two", "\n", "three </th")] == [
        ("", ""),
        ("one", ""),
        (" two", ""),
        ("", ""),
        ("\nthree ", ""),
    ]


def seconds(pieces: list[str]) -> float:
    """What a text costs in one piece and in many, at best."""
    costs: list[float] = []
    for _ in range(3):
        start = time.process_time()
        assert split(["".join(pieces)]) == split(pieces)
        costs.append(time.process_time() - start)
    return min(costs)


@pytest.mark.parametrize(
    ("start", "again"),
    [
        ("", "<think>a</think>"),
        ("", "<think>"),
        ("", "</think>"),
        ("<think>", "</think"),
        ("<think>", "\n"),
        ("<think>a</think>", "\n"),
        ("<think>a</think>", "\n "),
        ("<details>", "<summary>"),
    ],
)
def test_a_text_four_times_as_long_costs_about_four_times_as_much(start: str, again: str) -> None:
    """What is quadratic would cost sixteen times as much."""
    size = 20_000
    assert seconds([start, *[again] * size * 4]) < 10 * max(seconds([start, *[again] * size]), 0.002)


def test_a_whole_text_is_left_without_its_thinking() -> None:
    assert answer_in("<think>hm</think>\n\nYes") == "Yes"
    assert answer_in("Yes") == "Yes"
