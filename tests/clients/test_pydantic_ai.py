"""pydantic-ai over OpenDify (`openai-chat:`): tools, and every kind of output type."""

from collections.abc import Callable

import pytest

from .conftest import Program
from .questions import (
    ARGUMENTS,
    CHAT,
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
    then,
)

WAYS = ("plain", "streamed")


@pytest.fixture(scope="module")
def agent(program: Callable[[str], Program]) -> Program:
    return program("pydantic_ai/agent.py")


@pytest.mark.parametrize("model", MODELS)
def test_tools_run_with_exact_arguments_until_there_is_an_answer(agent: Program, model: str) -> None:
    told = agent("text", "plain", TWICE, model=model)
    assert told["ran"] == [OSLO, ARGUMENTS]
    assert bare(told["outputs"]) == [said(RESULT)]
    assert in_one(told["conversations"], MODELS[model])


def test_the_next_question_goes_on_after_a_tool_was_called(agent: Program) -> None:
    told = agent("text", "plain", WEATHER, "And there? [[reply:The same.]]", WEATHER)
    assert told["ran"] == [ARGUMENTS, ARGUMENTS]
    assert told["outputs"] == [said(RESULT), "The same.", said(RESULT)]
    assert in_one(told["conversations"], True)


def test_a_streamed_tool_call_runs_and_the_answer_comes_word_by_word(agent: Program) -> None:
    told = agent("text", "streamed", SLOW_WEATHER)
    assert told["ran"] == [ARGUMENTS]
    assert told["outputs"] == [said(RESULT)]
    assert told["parts"] > 3


def test_a_model_that_speaks_and_thinks_before_it_calls_is_heard_to_the_end(agent: Program) -> None:
    told = agent("text", "events", f"[[think]] [[reply:Let me look.]] {WEATHER}")
    assert told["ran"] == [ARGUMENTS]
    assert told["outputs"] == [said(RESULT)]
    assert "function_tool_result" in told["events"]


@pytest.mark.parametrize("way", WAYS)
def test_the_output_is_a_tool_call_after_another_tool_ran(agent: Program, way: str) -> None:
    told = agent("tool", way, then(WEATHER, call("final_result", PLANET)))
    assert told["ran"] == [ARGUMENTS]
    assert told["outputs"] == [PLANET]


def test_an_output_that_does_not_fit_is_asked_for_again(agent: Program) -> None:
    bad = call("final_result", {"name": "Mars", "moons": "many"})
    told = agent("tool", "plain", then(bad, call("final_result", PLANET)))
    assert told["outputs"] == [PLANET]


@pytest.mark.parametrize("output", ["native", "prompted"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", [CHAT, "memory 2"])
def test_the_output_is_json_after_a_tool_ran(agent: Program, model: str, output: str, way: str) -> None:
    told = agent(output, way, then(WEATHER, answer(PLANET)), model=model)
    assert told["ran"] == [ARGUMENTS]
    assert told["outputs"] == [PLANET]
