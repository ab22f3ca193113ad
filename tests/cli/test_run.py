"""A workflow run from the command line."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from opendify.simulator import AppSpec, Field, Simulator
from opendify.simulator.nodes import LLM, End, Start

from .conftest import COMMAND, SECONDS, Run, in_a_terminal, said


def test_the_outputs_are_printed_and_the_nodes_beside_them(opendify: Run, dify: Simulator) -> None:
    key = dify.keys["workflow"]
    result = opendify("run", key, "--input", "text=[[reply:Bonjour]]", DIFY_API_BASE=dify.base_url)
    assert (result.returncode, result.stdout) == (0, "Bonjour\n")
    nodes = [line.split()[:2] for line in result.stderr.splitlines() if line.startswith("✓")]
    assert nodes == [["✓", "Start"], ["✓", "LLM"], ["✓", "End"]]
    assert "succeeded in" in result.stderr


def test_an_app_is_found_by_its_name_and_several_outputs_come_as_json(opendify: Run, dify: Simulator) -> None:
    variables = {"DIFY_API_BASE": dify.base_url, "DIFY_API_KEYS": ",".join(dify.keys.values())}
    result = opendify("run", "Simulated Workflow", "--input", "text=hi", "--json", **variables)
    assert list(json.loads(result.stdout)) == ["result"]
    missing = opendify("run", "Nothing", **variables)
    assert missing.returncode == 2
    assert "There is no app 'Nothing'; the workflows are: Simulated Workflow" in said(missing)


def test_inputs_are_sent_as_the_form_wants_them(opendify: Run, tmp_path: Path) -> None:
    form = (
        Field("text", "paragraph", required=True),
        Field("count", "number"),
        Field("loud", "checkbox"),
        Field("tone", "select", options=("warm", "cool")),
        Field("paper", "file"),
        Field("facts", "json_object"),
    )
    (tmp_path / "notes.txt").write_text("Notes of a file", "utf-8")
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.7 ...")
    flow = AppSpec("flow", "workflow", "Flow", form=form, graph=(Start(), LLM(), End()), uploads=3)
    with Simulator([flow], pace=0) as dify:
        given = [
            "text=@notes.txt",
            "count=3",
            "loud=yes",
            "tone=warm",
            "paper=@paper.pdf",
            'facts={"a": [1]}',
        ]
        options = [word for item in given for word in ("--input", item)]
        result = opendify("run", dify.keys["flow"], *options, DIFY_API_BASE=dify.base_url)
        assert result.returncode == 0, said(result)
        inputs = dify.counts().requests[-1].inputs
    paper = inputs.pop("paper")
    facts = {"a": [1]}
    assert inputs == {"text": "Notes of a file", "count": 3, "loud": True, "tone": "warm", "facts": facts}
    assert isinstance(paper, dict)
    assert (paper["type"], paper["transfer_method"]) == ("document", "local_file")


def test_a_value_that_its_input_does_not_take_is_told(opendify: Run, tmp_path: Path) -> None:
    form = (Field("text", "paragraph"), Field("count", "number"), Field("facts", "json_object"))
    (tmp_path / "notes.txt").write_bytes(b"caf\xe9")
    flow = AppSpec("flow", "workflow", "Flow", form=form, graph=(Start(), LLM(), End()))
    sentences = {
        "text=@notes.txt": "--input text: 'notes.txt' can't be read: it is not in UTF-8.",
        "count=nan": "--input count is 'nan'; it takes a number.",
        "facts=[1]": "--input facts takes a JSON object",
    }
    with Simulator([flow], pace=0) as dify:
        for given, sentence in sentences.items():
            result = opendify("run", dify.keys["flow"], "--input", given, DIFY_API_BASE=dify.base_url)
            assert result.returncode == 2
            assert sentence in said(result)
        assert dify.counts().requests == ()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "The workflow needs --input text=…"),
        (["--input", "text"], "--input text has no value; write --input text=VALUE."),
        (["--input", "txt=a"], "The workflow has no input 'txt'; its inputs are: text"),
        (["--input", "text=@nowhere.txt"], "--input text: there is no file 'nowhere.txt'."),
    ],
)
def test_a_wrong_input_is_told_before_anything_runs(
    opendify: Run, dify: Simulator, arguments: list[str], sentence: str
) -> None:
    dify.reset()
    result = opendify("run", dify.keys["workflow"], *arguments, DIFY_API_BASE=dify.base_url)
    assert result.returncode == 2
    assert sentence in said(result)
    assert dify.counts().requests == ()


def test_a_run_that_fails_names_its_node_and_ends_with_1(opendify: Run, dify: Simulator) -> None:
    result = opendify(
        "run", dify.keys["workflow"], "--input", "text=[[error:rate_limit]]", DIFY_API_BASE=dify.base_url
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert "✗ LLM" in result.stderr
    assert "The workflow failed in node 'LLM'" in said(result)


def test_an_app_that_is_no_workflow_is_named(opendify: Run, dify: Simulator) -> None:
    result = opendify("run", dify.keys["chat"], DIFY_API_BASE=dify.base_url)
    assert result.returncode == 2
    assert "'Simulated Chat' is no workflow but a chat app: opendify chat talks to it." in said(result)


def test_ctrl_c_stops_the_run_in_dify_too(
    dify: Simulator, environment: Callable[..., dict[str, str]]
) -> None:
    dify.reset()
    process = subprocess.Popen(
        [*COMMAND, "run", dify.keys["workflow"], "--input", "text=[[slow:100:0.1]]"],
        env=environment(DIFY_API_BASE=dify.base_url, PYTHONUNBUFFERED="1"),
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("✓ Start")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "Stopped, in Dify too." in told
    assert dify.counts().stopped == 1


def test_in_a_terminal_nodes_are_drawn_while_they_work(
    dify: Simulator, environment: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    run = ("run", dify.keys["workflow"], "--input", "text=[[slow:8:0.1]]")
    shown = in_a_terminal(*run, env=environment(DIFY_API_BASE=dify.base_url), cwd=tmp_path)
    assert shown.returncode == 0
    assert re.search(r"[⠀-⣿] +LLM +llm", shown.plain), "it was never seen at work"
    assert re.search(r"✓ +LLM +llm +[0-9.]+ s +\d+ tokens", shown.plain)


def test_a_form_that_the_run_waits_for_is_asked_in_the_terminal(
    environment: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    answers = {"remark": "Fine by me\n", "tone": "2\n", "What shall happen?": "Reject\n"}
    with Simulator(behaviour="1.16", pace=0) as newer:
        run = ("run", newer.keys["review"], "--input", "text=[[reply:A draft]]")
        env = environment(DIFY_API_BASE=newer.base_url)
        shown = in_a_terminal(*run, env=env, cwd=tmp_path, answers=answers)
    assert (shown.returncode, shown.output) == (0, "Rejected: Fine by me\n"), shown.terminal
    assert "Draft: A draft" in shown.terminal
    assert "Remark: [remark]" in shown.terminal


def test_a_run_that_waits_for_a_person_where_there_is_none_says_so(opendify: Run) -> None:
    with Simulator(behaviour="1.16", pace=0) as newer:
        result = opendify("run", newer.keys["review"], "--input", "text=Hi", DIFY_API_BASE=newer.base_url)
    assert (result.returncode, result.stdout) == (1, "")
    assert "It waits for a person: run it in a terminal to answer its form." in said(result)
