"""LlamaIndex over OpenDify: an agent with a tool, single calls, and objects, plain and streamed."""

import asyncio
import json
import os
import sys
from typing import Literal

from llama_index.core.agent.workflow import AgentStream, FunctionAgent
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

llm = OpenAILike(
    model=os.environ["MODEL"],
    api_base=os.environ["OPENAI_BASE_URL"],
    api_key=os.environ["OPENAI_API_KEY"],
    is_chat_model=True,
    is_function_calling_model=True,
    context_window=32_000,
)
ran: list[dict[str, object]] = []


def get_weather(city: str, days: int = 1, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
    """Tell the weather of a city."""
    ran.append({"city": city, "days": days, "unit": unit})
    return f"{21 if unit == 'celsius' else 70} degrees in {city}"


class Planet(BaseModel):
    """A planet."""

    name: str
    moons: list[str]


tool = FunctionTool.from_defaults(get_weather)


async def agent(streaming: bool, question: str) -> dict[str, object]:
    """Let an agent run tools until there is an answer."""
    running = FunctionAgent(tools=[tool], llm=llm, streaming=streaming).run(question)
    deltas = [event.delta async for event in running.stream_events() if isinstance(event, AgentStream)]
    return {"final": str(await running), "deltas": deltas}


async def plain(question: str) -> dict[str, object]:
    return await agent(False, question)


async def streamed(question: str) -> dict[str, object]:
    return await agent(True, question)


async def chat_with_tools(question: str) -> dict[str, object]:
    """Ask for calls, and run none."""
    answer = await llm.achat_with_tools([tool], user_msg=question, tool_required=True)
    calls = llm.get_tool_calls_from_response(answer)
    return {"calls": [[call.tool_name, call.tool_kwargs] for call in calls]}


async def predict_and_call(question: str) -> dict[str, object]:
    """Ask for a call, and run it."""
    answer = await llm.apredict_and_call([tool], user_msg=question)
    return {"final": str(answer)}


async def structured(question: str) -> dict[str, object]:
    """Ask for an object."""
    planet = await llm.astructured_predict(Planet, PromptTemplate("{question}"), question=question)
    return {"object": planet.model_dump()}


async def main(way: str, question: str) -> None:
    ways = {
        "plain": plain,
        "streamed": streamed,
        "chat_with_tools": chat_with_tools,
        "predict_and_call": predict_and_call,
        "structured": structured,
    }
    print(json.dumps({**await ways[way](question), "ran": ran}))


asyncio.run(main(*sys.argv[1:]))
