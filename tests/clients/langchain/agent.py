"""LangChain over OpenDify: a loop of tool calls, plain and streamed, and an object by each of its methods."""

import json
import os
import sys
from typing import Literal

from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

llm = ChatOpenAI(model=os.environ["MODEL"])
ran: list[dict[str, object]] = []


@tool(parse_docstring=True)
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
    """A planet."""

    name: str
    moons: list[str]


def plain(question: str) -> dict[str, object]:
    """Ask, and run tools until there is an answer."""
    asking, messages = llm.bind_tools([get_weather]), [HumanMessage(question)]
    while (answer := asking.invoke(messages)).tool_calls:
        messages += [answer, *(get_weather.invoke(call) for call in answer.tool_calls)]
    return {"final": answer.content}


def streamed(question: str) -> dict[str, object]:
    """The same with streams: the pieces of an answer add up to it."""
    asking, messages = llm.bind_tools([get_weather]), [HumanMessage(question)]
    while True:
        pieces = list(asking.stream(messages))
        answer = sum(pieces[1:], pieces[0])
        assert isinstance(answer, AIMessageChunk)
        if not answer.tool_calls:
            return {"final": answer.content, "deltas": [piece.content for piece in pieces]}
        messages += [answer, *(get_weather.invoke(call) for call in answer.tool_calls)]


def forced(question: str) -> dict[str, object]:
    """Ask for a call of this tool and no other."""
    answer = llm.bind_tools([get_weather], tool_choice="get_weather").invoke(question)
    return {"calls": [[call["name"], call["args"]] for call in answer.tool_calls]}


def structured(method: str, question: str) -> dict[str, object]:
    """Ask for an object."""
    return {"object": llm.with_structured_output(Planet, method=method).invoke(question).model_dump()}


ways = {"plain": plain, "streamed": streamed, "forced": forced, "structured": structured}
way, *arguments = sys.argv[1:]
print(json.dumps({**ways[way](*arguments), "ran": ran}))
