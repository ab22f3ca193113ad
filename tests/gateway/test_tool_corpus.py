"""Calls of tools in what models really write, and no call where they only write about it."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import pytest
from openai import OpenAI

from opendify.gateway.tools.parser import CallParser

from .clients import Ask
from .corpus import Call, Case, definitions, toolset, with_calls, without_calls

MARKUP = re.compile(
    r"</?(antml:)?(tool[-_]calls?|function_calls|invoke|parameter|function=)|\[TOOL_CALLS\]|\[ARGS\]|<\|\w+\|>"
    r"|<｜|</｜|\"(tool_calls|function_call|arguments)\"|```"
)
"""What no client may see of a call."""


@dataclass(frozen=True)
class Reading:
    """What was read from a text."""

    text: str
    calls: tuple[Call, ...]
    faults: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()

    def differs(self, case: Case) -> str:
        """What is not as it is to be; empty if all is."""
        if case.kind == "text":
            expected = Reading(case.text, ())
            return "" if self == expected else f"got {self}"
        expected = Reading(case.words, case.calls)
        got = Reading(" ".join(self.text.split()), self.calls, tuple(filter(None, self.faults)), self.strays)
        return "" if got == expected else f"expected {expected}, got {got}"


def read(pieces: Iterable[str]) -> Reading:
    """What a parser makes of a text that arrives in pieces, up to where a model invents a tool's result."""
    parser = CallParser(toolset())
    parts: dict[str, list[str]] = {"text": [], "call": [], "end": [], "stray": []}
    arguments: list[str] = []
    for kind, value in _events(parser, pieces):
        if kind == "over":
            break
        if kind == "arguments":
            arguments[-1] += value
            continue
        if kind == "call":
            arguments.append("")
        parts[kind].append(value)
    assert len(parts["end"]) == len(arguments), "a call was begun and never ended"
    calls = [Call.of(name, json.loads(said)) for name, said in zip(parts["call"], arguments, strict=True)]
    return Reading("".join(parts["text"]), tuple(calls), tuple(parts["end"]), tuple(parts["stray"]))


def _events(parser: CallParser, pieces: Iterable[str]) -> Iterator[tuple[str, str]]:
    for piece in pieces:
        yield from parser.feed(piece)
    yield from parser.flush()


def groupings(case: Case, count: int = 20) -> Iterator[list[str]]:
    """The text in one piece, in single characters, and cut at random places, the same in every run."""
    yield [case.text]
    yield list(case.text)
    chance = random.Random(case.id)
    for _ in range(count):
        cuts = sorted(chance.choices(range(len(case.text) + 1), k=chance.randint(1, 12)))
        yield [case.text[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]


@cache
def readings(case: Case) -> tuple[Reading, ...]:
    """What was read from a text, once for each grouping."""
    return tuple(read(pieces) for pieces in groupings(case))


def mistakes(cases: Iterable[Case]) -> list[str]:
    """The first mistake in every text that was not read as it is to be."""
    found = (
        (case.id, next(filter(None, (reading.differs(case) for reading in readings(case))), ""))
        for case in cases
    )
    return [f"{id_}: {mistake}" for id_, mistake in found if mistake]


def markup(text: str) -> Counter[str]:
    return Counter(found[0] for found in MARKUP.finditer(text))


def sample() -> list[Case]:
    """Three texts of every format of calls, and two of every kind without a call."""
    chosen: list[Case] = []
    for cases, size in ((with_calls(), 3), (without_calls(), 2)):
        by_file: dict[str, list[Case]] = {}
        for case in cases:
            if case.text.strip() and "made-up" not in case.id:
                by_file.setdefault(case.id.split("/")[0], []).append(case)
        chosen += [case for file in by_file for case in random.Random(file).sample(by_file[file], size)]
    return chosen


def of_kind(kind: str) -> list[Case]:
    return [case for case in with_calls() if case.kind == kind]


def test_the_corpus_is_large_and_has_every_text_once() -> None:
    assert len(with_calls()) >= 300
    assert len(without_calls()) >= 200
    cases = (*with_calls(), *without_calls())
    assert not [id_ for id_, count in Counter(case.id for case in cases).items() if count > 1]
    assert not [text for text, count in Counter(case.text for case in cases).items() if count > 1]
    assert {case.kind for case in with_calls()} == {"clean", "damaged"}
    assert {case.kind for case in without_calls()} == {"text"}
    assert all(case.calls for case in with_calls())
    assert {call.name for case in with_calls() for call in case.calls} == toolset().allowed


def test_every_clean_call_is_read_exactly() -> None:
    assert not mistakes(of_kind("clean")), "\n".join(["", *mistakes(of_kind("clean"))])


def test_nearly_every_damaged_call_is_read_exactly() -> None:
    cases, failed = of_kind("damaged"), mistakes(of_kind("damaged"))
    print(*failed, sep="\n")
    assert len(failed) <= 0.03 * len(cases), "\n".join(["", *failed])


def test_no_text_about_calls_is_taken_for_one() -> None:
    assert not mistakes(without_calls()), "\n".join(["", *mistakes(without_calls())])


def test_no_markup_of_a_call_reaches_the_client() -> None:
    leaks = {
        case.id: leaked
        for case in with_calls()
        for reading in readings(case)
        if (leaked := markup(reading.text) - markup(case.words))
    }
    assert not leaks


def test_a_text_is_read_the_same_in_whatever_pieces_it_arrives() -> None:
    assert not [case.id for case in (*with_calls(), *without_calls()) if len(set(readings(case))) > 1]


@pytest.mark.parametrize("case", sample(), ids=lambda case: case.id)
def test_a_text_is_read_the_same_wherever_it_is_split(case: Case) -> None:
    text, whole = case.text, readings(case)[0]
    assert not [cut for cut in range(1, len(text)) if read([text[:cut], text[cut:]]) != whole]
    assert not [pieces for pieces in groupings(case, 100) if read(pieces) != whole]


@pytest.mark.parametrize("case", sample(), ids=lambda case: case.id)
def test_openais_client_gets_the_calls_of_a_text_and_its_words(way: Ask, openai: OpenAI, case: Case) -> None:
    tools = [{"type": "function", "function": definition} for definition in definitions()]
    question = f"[[text:{json.dumps(case.text)}]] [[lump:7]]"
    answer = way(openai, "Simulated Chat", question, user=f"corpus {case.id}", tools=tools)
    reading = Reading(answer.content, tuple(Call.of(*call) for call in answer.calls))
    assert reading.differs(case) == ""
    assert answer.finish_reason == ("tool_calls" if case.calls else "stop")
