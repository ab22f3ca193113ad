"""llama-index-llms-openai-like over OpenDify: a function agent, single calls, objects."""

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
    bare,
    call,
    in_one,
    said,
)


@pytest.fixture(scope="module")
def agent(program: Callable[[str], Program]) -> Program:
    return program("llama_index/agent.py")


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


def test_a_call_that_is_required_comes(agent: Program) -> None:
    assert agent("chat_with_tools", WEATHER)["calls"] == [["get_weather", ARGUMENTS]]


def test_a_call_runs_and_its_result_is_the_answer(agent: Program) -> None:
    told = agent("predict_and_call", WEATHER)
    assert told["ran"] == [ARGUMENTS]
    assert told["final"] == RESULT


def test_structured_output_is_exact(agent: Program) -> None:
    assert agent("structured", call("Planet", PLANET))["object"] == PLANET
