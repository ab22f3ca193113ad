"""What agent-chat apps, and the New Agent apps of Dify 1.16, send: the steps of one turn."""

from __future__ import annotations

import json
import time
from collections.abc import Generator

from opendify.simulator import chat
from opendify.simulator.apps import Tool
from opendify.simulator.conversations import Thought
from opendify.simulator.model import Script, Usage, count
from opendify.simulator.turns import Steps, Stopped, Turn
from opendify.simulator.wire import Step

_SENT = (
    "image has been created and sent to user already, you do not need to create it, "
    "just tell the user to check it now."
)


def steps(turn: Turn) -> Steps:
    """The events of one turn: a round that calls a tool, if one is called, and a round that answers."""
    preset = chat.preset_answer(turn)
    if preset is not None:
        yield from chat.say_preset(turn, preset)
        return
    said: list[str] = []
    try:
        yield from _rounds(turn, said)
    except Stopped:
        yield from chat.end(turn, "".join(said), Usage().json(turn.seconds))


def _rounds(turn: Turn, said: list[str]) -> Steps:
    tool, usage, default = _tool(turn), Usage(), None
    if tool is not None and "error0" not in turn.asked:
        observation = yield from _call(turn, tool)
        usage = Usage(count(turn.question), count(tool.name))
        default = f"The tool said: {observation}. That is my final answer."
    script = turn.script(default=default)
    if script.failure and not script.pieces:
        yield 0.0, chat.failed(turn, script.failure)
        return
    yield from _answer(turn, script, usage, said, called=tool is not None)


def _call(turn: Turn, tool: Tool) -> Generator[Step, None, str]:
    """The round that calls a tool. Gives what the tool said."""
    thought = _begin(turn)
    arguments = _arguments(turn, tool)
    observation = tool.result.replace("{now}", time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()))
    if tool.draws:
        observation += _SENT

    def call() -> None:
        thought.tool = tool.name
        thought.tool_labels = {tool.name: _labels(tool)}
        thought.tool_input = json.dumps({tool.name: arguments})

    def observe() -> None:
        thought.observation = json.dumps({tool.name: observation})

    image = turn.draw() if tool.draws else None

    def attach() -> None:
        thought.files = [image.id] if image else []

    if turn.late:  # its row is complete before it is first read: all copies show the observation
        call()
        attach()
        observe()
    yield 0.0, _event(turn, thought)
    yield turn.pace, turn.envelope.event("agent_message", id=turn.message_id, answer="")
    call()
    yield turn.pace, _event(turn, thought)
    attach()
    if image is not None:
        yield 0.0, turn.file_event(image)
    observe()
    yield 0.0, _event(turn, thought)
    return observation


def _answer(turn: Turn, script: Script, usage: Usage, said: list[str], *, called: bool) -> Steps:
    """The round that answers."""
    react = turn.spec.strategy == "react"
    thought = _begin(turn)
    if turn.late and not script.failure:
        thought.thought = script.text
    yield 0.0, _event(turn, thought)
    say = turn.envelope.delta("agent_message", lambda text: {"id": turn.message_id, "answer": text})
    first = None
    for wait, text in script.pieces:
        # The ReAct parser looks at one character at a time, and sends what it has looked at.
        for at, part in enumerate(text if react else [text]):
            yield 0.0 if at else wait, say(part)
        said.append(text)
        first = turn.seconds if first is None else first
    if script.failure:
        yield 0.0, chat.failed(turn, script.failure)
        return
    answer = "".join(said)
    thought.thought = answer
    if not react:
        yield 0.0, _event(turn, thought)
    if turn.spec.mode == "agent":
        yield 0.0, turn.envelope.event("message", id=turn.message_id, answer=answer)
    times = (None, None) if called else (first, turn.seconds)
    yield from chat.end(turn, answer, (usage + script.usage).json(turn.seconds, *times))


def _tool(turn: Turn) -> Tool | None:
    """The tool that the model calls: the one that is asked for, or else the app's first."""
    if "notool" in turn.asked:
        return None
    if "tool" not in turn.asked:
        wanted = "draw" if "file" in turn.asked else ""
        return next((tool for tool in turn.spec.tools if tool.name == wanted or not wanted), None)
    name = turn.asked.text("tool").partition(":")[0]
    unknown = Tool(name, f"there is not a tool named {name}")
    return next((tool for tool in turn.spec.tools if tool.name == name), unknown)


def _arguments(turn: Turn, tool: Tool) -> object:
    given = turn.asked.text("tool").partition(":")[2]
    if not given:
        return dict(tool.arguments)
    try:
        return json.loads(given)
    except ValueError:
        return {"input": given}


def _labels(tool: Tool) -> dict[str, str]:
    label = tool.label or tool.name
    languages = ("zh_Hans", "en_US", "pt_BR", "ja_JP") if tool.label else ("en_US", "zh_Hans")
    return dict.fromkeys(languages, label)


def _begin(turn: Turn) -> Thought:
    kept = turn.message.thoughts if turn.message else []
    thought = Thought(position=len(kept) + 1)
    kept.append(thought)
    return thought


def _event(turn: Turn, thought: Thought) -> bytes:
    return turn.envelope.event(
        "agent_thought",
        id=thought.id,
        position=thought.position,
        thought=thought.thought,
        observation=thought.observation,
        tool=thought.tool,
        tool_labels=thought.tool_labels,
        tool_input=thought.tool_input,
        message_files=thought.files,
    )
