"""openai-agents over OpenDify: function tools, hand-offs, output types, and tools of a real MCP server."""

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest

from servers import eventually, free_port

from .conftest import HERE, Program, python
from .questions import (
    ARGUMENTS,
    MODELS,
    OSLO,
    PLANET,
    RESULT,
    SLOW_WEATHER,
    WEATHER,
    answer,
    bare,
    call,
    in_one,
    said,
    then,
)


@pytest.fixture(scope="module")
def agent(program: Callable[[str], Program]) -> Program:
    return program("openai_agents/agent.py")


@pytest.fixture(scope="module")
def librarian(program: Callable[[str], Program]) -> Program:
    return program("openai_agents/mcp_agent.py")


@pytest.fixture(scope="module")
def library() -> Iterator[str]:
    """The address of an MCP server over streamable HTTP."""
    port = free_port()
    command = [python("openai_agents"), str(HERE / "openai_agents" / "mcp_server.py")]
    with subprocess.Popen(
        [*command, "streamable-http", str(port)], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        lines = server.stderr
        try:
            eventually(lambda: "running on" in lines.readline(), 30)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.terminate()


@pytest.mark.parametrize("model", MODELS)
def test_tools_run_with_exact_arguments_until_there_is_an_answer(agent: Program, model: str) -> None:
    told = agent("forecaster", "plain", then(call("get_weather", OSLO), WEATHER), model=model)
    assert told["ran"] == [OSLO, ARGUMENTS]
    assert bare(told["finals"]) == [said(RESULT)]
    assert in_one(told["conversations"], MODELS[model])


def test_the_next_question_goes_on_after_a_tool_was_called(agent: Program) -> None:
    told = agent("forecaster", "plain", WEATHER, "And there? [[reply:The same.]]", WEATHER)
    assert told["ran"] == [ARGUMENTS, ARGUMENTS]
    assert told["finals"] == [said(RESULT), "The same.", said(RESULT)]
    assert in_one(told["conversations"], True)


def test_a_streamed_tool_call_runs_and_the_answer_comes_word_by_word(agent: Program) -> None:
    told = agent("forecaster", "streamed", SLOW_WEATHER)
    assert told["ran"] == [ARGUMENTS]
    assert told["finals"] == [said(RESULT)]
    assert "".join(told["deltas"]) == said(RESULT)
    assert len(told["deltas"]) > 3
    assert told["items"] == ["tool_called", "tool_output", "message_output_created"]


@pytest.mark.parametrize("way", ["plain", "streamed"])
def test_a_hand_off_reaches_the_agent_whose_tools_then_run_in_parallel(agent: Program, way: str) -> None:
    both = [{"city": city, "days": 1, "unit": "celsius"} for city in ("Paris", "Rome")]
    calls = " ".join(call("get_weather", arguments) for arguments in both)
    question = then(call("transfer_to_forecaster", {}), calls)
    told = agent("receptionist", way, question)
    assert told["last_agent"] == "Forecaster"
    assert told["ran"] == both
    lines = [
        said(f"21 degrees in {arguments['city']}", f"get_weather({json.dumps(arguments)})")
        for arguments in both
    ]
    assert told["finals"] == ["\n".join(lines)]


@pytest.mark.parametrize("way", ["plain", "streamed"])
def test_an_output_type_is_filled(agent: Program, way: str) -> None:
    assert agent("astronomer", way, answer(PLANET))["finals"] == [PLANET]


@pytest.mark.parametrize("transport", ["stdio", "streamable HTTP"])
def test_tools_of_an_mcp_server_run_one_after_the_other(
    librarian: Program, library: str, transport: str
) -> None:
    find = call("find_books", {"author": "Stanisław Lem", "limit": 2})
    lend = call("lend", {"title": "Solaris", "days": 7})
    told = librarian("stdio" if transport == "stdio" else library, then(find, lend))
    (first, second), lent = told["outputs"]
    assert (first["text"], second["text"]) == ("Stanisław Lem: volume 1", "Stanisław Lem: volume 2")
    loan = {"title": "Solaris", "days": 7, "lent": True}
    assert json.loads(lent["text"]) == loan
    assert told["final"] == said(json.dumps(loan), "lend")
