"""The Vercel AI SDK over OpenDify: a loop of tool calls, and objects."""

import json
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
    in_one,
    said,
    then,
)


@pytest.fixture(scope="module")
def agent(program: Callable[[str], Program]) -> Program:
    return program("vercel_ai/agent.mjs")


@pytest.mark.parametrize("model", MODELS)
def test_tools_run_with_exact_arguments_until_there_is_an_answer(agent: Program, model: str) -> None:
    told = agent("plain", TWICE, model=model)
    assert told["ran"] == [OSLO, ARGUMENTS]
    assert bare([told["final"]]) == [said(RESULT)]
    assert (told["steps"], told["finish"]) == (3, "stop")
    assert in_one(told["conversations"], MODELS[model])


def test_a_streamed_call_and_the_answer_come_piece_by_piece(agent: Program) -> None:
    told = agent("streamed", SLOW_WEATHER)
    assert told["ran"] == [ARGUMENTS]
    assert (told["final"], told["steps"], told["finish"]) == (said(RESULT), 2, "stop")
    assert "".join(told["deltas"]) == said(RESULT)
    assert len(told["deltas"]) > 3
    assert json.loads("".join(told["inputs"])) == ARGUMENTS
    assert len(told["inputs"]) > 3


def test_a_call_that_is_required_comes(agent: Program) -> None:
    assert agent("required", WEATHER)["calls"] == [["get_weather", ARGUMENTS]]


@pytest.mark.parametrize("way", ["object", "objectStreamed", "objectWithoutSchema"])
def test_an_object_is_exact(agent: Program, way: str) -> None:
    assert agent(way, answer(PLANET))["object"] == PLANET


def test_an_output_object_comes_after_a_tool_ran(agent: Program) -> None:
    told = agent("output", then(WEATHER, answer(PLANET)))
    assert told["ran"] == [ARGUMENTS]
    assert told["object"] == PLANET
