"""A simulated Dify, for tests of whatever talks to one.

>>> from opendify.simulator import Simulator
>>> with Simulator(pace=0) as dify:
...     dify.keys["chat"], dify.counts().stops
('app-sim-chat', 0)
"""

from importlib.util import find_spec

if find_spec("aiohttp") is None:
    raise ModuleNotFoundError(
        "The simulator needs aiohttp, which is not installed: pip install 'opendify[gateway]'", name="aiohttp"
    )

from opendify.simulator.apps import AppSpec, Behaviour, Field, Mode, Moderation, Segment, Tool
from opendify.simulator.conversation_variables import ConversationVariable
from opendify.simulator.counts import Counts, GenerationRequest
from opendify.simulator.defaults import default_apps
from opendify.simulator.simulator import Simulator, serve

__all__ = [
    "AppSpec",
    "Behaviour",
    "ConversationVariable",
    "Counts",
    "Field",
    "GenerationRequest",
    "Mode",
    "Moderation",
    "Segment",
    "Simulator",
    "Tool",
    "default_apps",
    "serve",
]
