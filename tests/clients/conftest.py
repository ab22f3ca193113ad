"""Programs such as users write, each in an environment of its own, over a gateway before a simulated Dify.

`make clients` makes the environments: .venv/clients/NAME for Python; for Node, node_modules beside a program.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opendify.simulator import AppSpec, Simulator, default_apps
from servers import Gateway, running_gateway

from .questions import CHAT

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent.parent / ".venv" / "clients"
KEY = "sk-client-0001"
SECONDS = 90.0

SETTINGS = f"""
[apps."memory 0"]
key = "app-sim-none"
conversation_memory_mode = "0"

[apps."memory 1"]
key = "app-sim-told"
conversation_memory_mode = "1"

[apps."memory 2"]
key = "app-sim-marked"
conversation_memory_mode = "2"

[clients.programs]
key = "{KEY}"
"""

Told = dict[str, Any]


@dataclass(frozen=True)
class Program:
    """A client program.

    Attributes:
        command: What runs it.
        base_url: Where it finds OpenDify.
        dify: What stands behind that.
    """

    command: tuple[str, ...]
    base_url: str
    dify: Simulator

    def __call__(self, *arguments: str, model: str = CHAT) -> Told:
        """Run it, and read the JSON that it prints last.

        `conversations` in it are those of Dify in which its requests went on: None for a new one.
        """
        self.dify.reset()
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        settings = {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": KEY, "MODEL": model}
        done = subprocess.run(
            [*self.command, *arguments],
            env=inherited | settings,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told: Told = json.loads(done.stdout.splitlines()[-1])
        return told | {"conversations": [asked.conversation_id for asked in self.dify.counts().requests]}


@pytest.fixture(scope="session")
def dify() -> Iterator[Simulator]:
    """A simulated Dify with an app of each kind, and one for each way to remember."""
    apps = (*default_apps(), *(AppSpec(name, "chat") for name in ("none", "told", "marked")))
    with Simulator(apps, pace=0) as dify:
        yield dify


@pytest.fixture(scope="session")
def gateway(dify: Simulator) -> Iterator[Gateway]:
    """A gateway in front of it."""
    keys = ",".join(dify.keys.values())
    with running_gateway(toml=SETTINGS, DIFY_API_BASE=dify.base_url, DIFY_API_KEYS=keys) as gateway:
        yield gateway


def python(client: str) -> str:
    """The Python of a client's environment; without one, the test is passed over."""
    path = ENVIRONMENTS / client / "bin" / "python"
    if not (ENVIRONMENTS / client / "installed").exists():
        pytest.skip(f"{client} is not installed; `make clients` installs it")
    return str(path)


def node(client: str) -> str:
    """Node, if it is there and the client's packages are."""
    path = shutil.which("node")
    if path is None or not (HERE / client / "node_modules" / ".package-lock.json").exists():
        pytest.skip(f"{client} is not installed; `make clients` installs it, and needs Node 20 and npm")
    return path


@pytest.fixture(scope="session")
def program(gateway: Gateway, dify: Simulator) -> Callable[[str], Program]:
    """A program by its path: `program("langchain/agent.py")`."""

    def program(path: str) -> Program:
        runtime = {".py": python, ".mjs": node}[Path(path).suffix]
        return Program((runtime(path.split("/")[0]), str(HERE / path)), gateway.base_url, dify)

    return program
