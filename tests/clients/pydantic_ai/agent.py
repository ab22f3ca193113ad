"""Agents of pydantic-ai over OpenDify: tools, every kind of output type, plain and streamed."""

import asyncio
import json
import os
import sys
from typing import Literal

from pydantic import BaseModel
from pydantic_ai import Agent, AgentRunResultEvent, NativeOutput, PromptedOutput, ToolOutput

model = f"openai-chat:{os.environ['MODEL']}"
ran: list[dict[str, object]] = []


class Planet(BaseModel):
    """A planet."""

    name: str
    moons: list[str]


def get_weather(city: str, days: int = 1, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
    """Tell the weather of a city.

    Args:
        city: Its name.
        days: For how many days.
        unit: Of the temperature.
    """
    ran.append({"city": city, "days": days, "unit": unit})
    return f"{21 if unit == 'celsius' else 70} degrees in {city}"


agents = {
    "text": Agent(model, instructions="You know the weather.", tools=[get_weather]),
    "tool": Agent(model, tools=[get_weather], output_type=ToolOutput(Planet)),
    "native": Agent(model, tools=[get_weather], output_type=NativeOutput(Planet)),
    "prompted": Agent(model, tools=[get_weather], output_type=PromptedOutput(Planet)),
}


async def plain(agent: Agent, questions: list[str]) -> dict[str, object]:
    """Ask one question after the other in one conversation."""
    history, outputs = [], []
    for question in questions:
        result = await agent.run(question, message_history=history)
        history = result.all_messages()
        outputs.append(result.output)
    return {"outputs": outputs}


async def streamed(agent: Agent, questions: list[str]) -> dict[str, object]:
    """Ask one question, and listen: to text, or to what there is of an object."""
    async with agent.run_stream(questions[0]) as result:
        parts = [part async for part in result.stream_output(debounce_by=None)]
        return {"outputs": [await result.get_output()], "parts": len(parts)}


async def events(agent: Agent, questions: list[str]) -> dict[str, object]:
    """Ask one question, and listen to all that happens."""
    kinds: list[str] = []
    async with agent.run_stream_events(questions[0]) as happening:
        async for event in happening:
            kinds.append(event.event_kind)
            if isinstance(event, AgentRunResultEvent):
                output = event.result.output
    return {"outputs": [output], "events": kinds}


async def main(which: str, way: str, *questions: str) -> None:
    told = await {"plain": plain, "streamed": streamed, "events": events}[way](agents[which], list(questions))
    print(json.dumps({"ran": ran, **told}, default=BaseModel.model_dump))


asyncio.run(main(*sys.argv[1:]))
