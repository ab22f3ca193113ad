"""Questions that say what the model is to do, and what must come of it: the same for all clients."""

import json
from collections.abc import Mapping, Sequence

from opendify.gateway.zero_width import strip

Arguments = Mapping[str, object]

CITY = 'Zürich "am See", 北京 🌦'
ARGUMENTS = {"city": CITY, "days": 3, "unit": "celsius"}
RESULT = f"21 degrees in {CITY}"
PLANET = {"name": "Mars", "moons": ["Phobos", "Deimos"]}


def call(name: str, arguments: Arguments) -> str:
    """The model calls this tool."""
    return f"[[call:{name}:{json.dumps(arguments, ensure_ascii=False)}]]"


def answer(value: object) -> str:
    """The model answers with this JSON."""
    return f"[[json:{json.dumps(value)}]]"


def then(*turns: str) -> str:
    """The model does one thing after the other, a turn for each."""
    return " [[then]] ".join(turns)


def in_one(conversations: Sequence[str | None], remembers: bool) -> bool:
    """Did the requests go on in the conversation of the first where Dify remembers, else all in new ones?"""
    first, *later = conversations
    return first is None and (None in later) is not remembers and len(set(later)) == 1


def bare(texts: Sequence[str]) -> list[str]:
    """Texts without the invisible ids of memory mode 2."""
    return [strip(text) for text in texts]


def said(result: str, call: str = "get_weather") -> str:
    """What the model says to the result of a tool."""
    return f"The tool {call} said: {result}"


CHAT = "Simulated Chat"
MODELS = {
    CHAT: True,
    "memory 0": False,
    "memory 1": False,
    "memory 2": True,
    "Simulated Agent": True,
    "Simulated Chatflow": True,
    "Simulated Completion": False,
    "Simulated Workflow": False,
}
"""Models of the gateway, one for each way to remember and each kind of app: does Dify remember?"""

WEATHER = f"How is the weather? {call('get_weather', ARGUMENTS)}"
SLOW_WEATHER = then(f"{WEATHER} [[pace:0.02]]", "[[pace:0.02]]")
"""The model takes its time for each word, so that a client sees them one by one."""
OSLO = {"city": "Oslo", "days": 1, "unit": "celsius"}
TWICE = then(call("get_weather", {"city": "Oslo"}), WEATHER)
"""The model calls once with as little as it must, and once more when it has seen the result."""
