"""Agents of openai-agents over OpenDify: a function tool, a hand-off, an output type, plain and streamed."""

import asyncio
import json
import os
import sys
from typing import Literal

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from openai.types.responses import ResponseTextDeltaEvent
from pydantic import BaseModel

set_tracing_disabled(True)
model = OpenAIChatCompletionsModel(model=os.environ["MODEL"], openai_client=AsyncOpenAI())
ran: list[dict[str, object]] = []


@function_tool
def get_weather(city: str, days: int = 1, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
    """Tell the weather of a city.

    Args:
        city: Its name.
        days: For how many days.
        unit: Of the temperature.
    """
    ran.append({"city": city, "days": days, "unit": unit})
    return f"{21 if unit == 'celsius' else 70} degrees in {city}"


class Planet(BaseModel):
    name: str
    moons: list[str]


forecaster = Agent("Forecaster", instructions="You know the weather.", model=model, tools=[get_weather])
receptionist = Agent("Receptionist", instructions="You know whom to ask.", model=model, handoffs=[forecaster])
astronomer = Agent("Astronomer", instructions="You know the planets.", model=model, output_type=Planet)


async def plain(agent: Agent, questions: list[str]) -> dict[str, object]:
    """Ask one question after the other in one conversation."""
    history, finals = [], []
    for question in questions:
        history.append({"role": "user", "content": question})
        result = await Runner.run(agent, history)
        history = result.to_input_list()
        finals.append(result.final_output)
    return {"finals": finals, "last_agent": result.last_agent.name}


async def streamed(agent: Agent, questions: list[str]) -> dict[str, object]:
    """Ask one question, and listen."""
    result = Runner.run_streamed(agent, questions[0])
    deltas, items = [], []
    async for event in result.stream_events():
        if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent):
            deltas.append(event.data.delta)
        elif event.type == "run_item_stream_event":
            items.append(event.name)
    return {
        "finals": [result.final_output],
        "last_agent": result.last_agent.name,
        "deltas": deltas,
        "items": items,
    }


async def main(who: str, way: str, *questions: str) -> None:
    agent = {"forecaster": forecaster, "receptionist": receptionist, "astronomer": astronomer}[who]
    told = await {"plain": plain, "streamed": streamed}[way](agent, list(questions))
    print(json.dumps({"ran": ran, **told}, default=BaseModel.model_dump))


asyncio.run(main(*sys.argv[1:]))
