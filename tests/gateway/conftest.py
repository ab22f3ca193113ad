"""The gateway as its users have it: a process of its own, in front of a simulated Dify."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest
from openai import AsyncOpenAI, OpenAI

from opendify.simulator import AppSpec, Field, Moderation, Simulator, Tool, default_apps
from opendify.simulator.nodes import LLM, Answer, Code, End, Start
from servers import Gateway, running_gateway

from .clients import ADA, BOB, WAYS, Ask, Asked
from .clients import Answer as GatewaysAnswer


def _workflow(nickname: str, *form: Field) -> AppSpec:
    return AppSpec(nickname, "workflow", form=form, graph=(Start(), LLM(), End()))


APPS = (
    AppSpec("team/desk", "chat", name="Team A/Help Desk"),
    AppSpec("chinese", "chat", name="客服 助手"),
    AppSpec("twin-1", "chat", name="Twin"),
    AppSpec("twin-2", "chat", name="Twin", system="I am the second."),
    AppSpec("unpaced", "chat"),
    AppSpec("none", "chat"),
    AppSpec("told", "chat"),
    AppSpec("marked", "chat"),
    AppSpec("preset", "chat", form=(Field("name", required=True), Field("lang", required=True))),
    AppSpec("instructed", "chat", form=(Field("instructions", "paragraph"),), system="{{instructions}}"),
    AppSpec("armed", "chat", name="armed", form=(Field("tools", "paragraph"),), system="{{tools}}"),
    AppSpec(
        "armed-flow",
        "advanced-chat",
        name="armed-flow",
        form=(Field("tools", "paragraph"),),
        graph=(Start(), LLM(system="{{#start.tools#}}"), Answer()),
    ),
    AppSpec("claude", "chat"),
    AppSpec("ears", "chat", upload_types=("image", "audio", "video", "document"), uploads=5),
    AppSpec("modest", "chat", shown={"system_parameters": {"image_file_size_limit": 1}}),
    AppSpec("boastful", "chat", shown={"system_parameters": {"image_file_size_limit": 100}}),
    AppSpec("broke", "chat", refuses=(400, "provider_quota_exceeded", "Your quota is used up.")),
    AppSpec("quiet", "agent-chat", tools=(Tool("look", "nothing"),)),
    AppSpec("noted", "agent-chat", annotations={"What is your name?": "My name is Dify, says a note."}),
    AppSpec("talkative", "workflow", form=(Field("text"),), graph=(Start(), LLM(), End())),
    AppSpec("spoken-flow", "advanced-chat", speech=True, graph=(Start(), LLM(), Answer())),
    AppSpec(
        "moderated-flow",
        "advanced-chat",
        moderation=Moderation(outputs=("badword",)),
        graph=(Start(), LLM(), Answer()),
    ),
    AppSpec("spoken-agent", "agent-chat", speech=True),
    AppSpec(
        "two-minds",
        "advanced-chat",
        name="two-minds",
        graph=(
            Start(),
            LLM(id="llm1"),
            LLM(id="llm2"),
            Answer("{{#llm1.text#}}\n---\n{{#llm2.text#}}"),
        ),
    ),
    AppSpec(
        "shown-mind",
        "advanced-chat",
        name="shown-mind",
        graph=(
            Start(),
            LLM(reasoning_format="separated"),
            Answer("<think>\n{{#llm.reasoning_content#}}\n</think>\n\n{{#llm.text#}}"),
        ),
    ),
    _workflow("required", Field("first"), Field("second", required=True), Field("query")),
    _workflow("queried", Field("first"), Field("query", "paragraph")),
    _workflow("unnamed", Field("count", "number"), Field("first"), Field("second")),
    AppSpec(
        "silent",
        "workflow",
        form=(Field("text"),),
        graph=(Start(), Code({"a": "one", "b": 2}), End({"a": "code.a", "b": "code.b"})),
    ),
)
"""Apps that the simulator lacks: names that are hard to write, forms that leave a choice."""

SETTINGS = f"""
[apps."memory 0"]
key = "app-sim-none"
conversation_memory_mode = "0"

[apps."memory 1"]
key = "app-sim-told"
conversation_memory_mode = "1"

[apps."armed by Claude"]
key = "app-sim-claude"
tool_prompt = "invoke"

[apps."memory 2"]
key = "app-sim-marked"
conversation_memory_mode = "2"

[apps.unpaced]
key = "app-sim-unpaced"
stream_pacing = "off"

[apps."quiet agent"]
key = "app-sim-quiet"
agent_steps = false

[apps."talkative workflow"]
key = "app-sim-talkative"
workflow_nodes = true

[apps.preset]
key = "app-sim-preset"
aliases = ["with defaults", "gpt-*"]
inputs = {{ name = "Grace", lang = "English" }}

[clients.ada]
key = "{ADA}"

[clients.bob]
key = "{BOB}"

[clients.guest]
key = "sk-guest"
models = ["Simulated Chat", "Team*", "preset"]
"""


@pytest.fixture(scope="session")
def dify() -> Iterator[Simulator]:
    """A simulated Dify 1.12 with one app of every kind, and more."""
    with Simulator((*default_apps(), *APPS), pace=0) as dify:
        yield dify


@pytest.fixture(scope="session")
def dify_1_16() -> Iterator[Simulator]:
    """A simulated Dify 1.16: it alone has New Agent apps."""
    with Simulator((*default_apps("1.16"), *APPS), behaviour="1.16", pace=0) as dify:
        yield dify


@pytest.fixture(scope="session")
def gateway(dify: Simulator) -> Iterator[Gateway]:
    """A gateway before the Dify 1.12, with the settings above."""
    keys = ",".join(dify.keys.values())
    with running_gateway(toml=SETTINGS, DIFY_API_BASE=dify.base_url, DIFY_API_KEYS=keys) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def gateway_1_16(dify_1_16: Simulator) -> Iterator[Gateway]:
    """A gateway before the Dify 1.16."""
    keys = ",".join(dify_1_16.keys.values())
    with running_gateway(DIFY_API_BASE=dify_1_16.base_url, DIFY_API_KEYS=keys, VALID_API_KEYS=ADA) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def openai(gateway: Gateway) -> Iterator[OpenAI]:
    """A client with the first key."""
    with OpenAI(base_url=gateway.base_url, api_key=ADA, max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def bob(gateway: Gateway) -> Iterator[OpenAI]:
    """A client with the second key."""
    with OpenAI(base_url=gateway.base_url, api_key=BOB, max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def openai_1_16(gateway_1_16: Gateway) -> Iterator[OpenAI]:
    """A client of the gateway before the Dify 1.16."""
    with OpenAI(base_url=gateway_1_16.base_url, api_key=ADA, max_retries=0) as client:
        yield client


@pytest.fixture
async def openai_async(gateway: Gateway) -> AsyncIterator[AsyncOpenAI]:
    """An asynchronous client with the first key."""
    async with AsyncOpenAI(base_url=gateway.base_url, api_key=ADA, max_retries=0) as client:
        yield client


@pytest.fixture
def user() -> str:
    """A user that nobody was before."""
    return f"user-{uuid4().hex[:12]}"


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Ask:
    """Each test that has this runs twice: with plain answers, and with streams."""
    return WAYS[request.param]


@pytest.fixture
def ask(way: Ask, openai: OpenAI, user: str) -> Ask:
    """Ask a model as a new user: `ask(model, messages, **more)`. Both plainly and streamed."""

    def ask(model: str, messages: Any, **more: Any) -> GatewaysAnswer:
        return way(openai, model, messages, **{"user": user, **more})

    return ask


@pytest.fixture
def asked(dify: Simulator) -> Asked:
    """What Dify was asked last."""
    return lambda: dify.counts().requests[-1]
