"""langchain-openai over OpenDify: `bind_tools`, and `with_structured_output` by each of its methods."""

from collections.abc import Callable

import pytest

from .conftest import Program
from .questions import (
    ARGUMENTS,
    MODELS,
    OSLO,
    PLANET,
    RESULT,
    SLOW_WEATHER,
    TWICE,
    WEATHER,
    answer,
    bare,
    call,
    in_one,
    said,
)


@pytest.fixture(scope="module")
def agent(program: Callable[[str], Program]) -> Program:
    return program("langchain/agent.py")


@pytest.mark.parametrize("model", MODELS)
def test_tools_run_with_exact_arguments_until_there_is_an_answer(agent: Program, model: str) -> None:
    told = agent("plain", TWICE, model=model)
    assert told["ran"] == [OSLO, ARGUMENTS]
    assert bare([told["final"]]) == [said(RESULT)]
    assert in_one(told["conversations"], MODELS[model])


def test_a_streamed_tool_call_runs_and_the_answer_comes_word_by_word(agent: Program) -> None:
    told = agent("streamed", SLOW_WEATHER)
    assert told["ran"] == [ARGUMENTS]
    assert told["final"] == said(RESULT)
    assert len([delta for delta in told["deltas"] if delta]) > 3


def test_a_tool_that_is_named_is_called(agent: Program) -> None:
    assert agent("forced", WEATHER)["calls"] == [["get_weather", ARGUMENTS]]


@pytest.mark.parametrize(
    ("method", "question"),
    [
        ("json_schema", answer(PLANET)),
        ("function_calling", call("Planet", PLANET)),
        ("json_mode", f"As JSON: {answer(PLANET)}"),
    ],
)
def test_structured_output_is_exact(agent: Program, method: str, question: str) -> None:
    assert agent("structured", method, question)["object"] == PLANET
