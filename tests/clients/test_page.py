"""docs/clients.md: what it shows runs as it stands, each piece in the environment of its client."""

import re
import subprocess
from pathlib import Path

import pytest

from servers import Gateway

from .conftest import HERE, KEY, node, python
from .questions import call, said

PAGE = HERE.parent.parent / "docs" / "clients.md"
SECTION = re.compile(r"^## (.+?)$(.*?)(?=^## |\Z)", re.M | re.S)
BLOCK = re.compile(r"^```(?:py|js)\n(.*?)^```", re.M | re.S)
SECTIONS = {name: "\n".join(BLOCK.findall(text)) for name, text in SECTION.findall(PAGE.read_text("utf-8"))}
ENVIRONMENTS = {
    "openai-agents": "openai_agents",
    "Tools of an MCP server": "openai_agents",
    "pydantic-ai": "pydantic_ai",
    "LangChain": "langchain",
    "LlamaIndex": "llama_index",
}
# What a reader's question makes the model do.
CALLED = {
    "How is the weather in Paris?": call("get_weather", {"city": "Paris"}),
    "Which books are there by Lem?": call("find_books", {"author": "Lem", "limit": 1}),
}


def program(section: str, gateway: Gateway) -> str:
    """The code of a section, for the gateway that is there and questions that direct its model."""
    code = SECTIONS[section].replace("http://127.0.0.1:5000/v1", gateway.base_url).replace("sk-any", KEY)
    for question, directive in CALLED.items():
        code = code.replace(f'"{question}"', f"'{directive}'")
    return code


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_client_of_the_page_is_run_here() -> None:
    assert {name for name, code in SECTIONS.items() if code} == {*ENVIRONMENTS, "Vercel AI SDK"}


@pytest.mark.parametrize("section", ENVIRONMENTS)
def test_the_python_code_of_a_section_runs_its_tools(section: str, gateway: Gateway, tmp_path: Path) -> None:
    interpreter = python(ENVIRONMENTS[section])
    code = program(section, gateway).replace('"command": "python"', f'"command": {interpreter!r}')
    (tmp_path / "program.py").write_text(code, "utf-8")
    (tmp_path / "mcp_server.py").symlink_to(HERE / "openai_agents" / "mcp_server.py")
    finding = "mcp_server.py" in code
    expected = said("Lem: volume 1", "find_books") if finding else said("21 degrees in Paris")
    assert run(interpreter, "program.py", cwd=tmp_path) == f"{expected}\n"


def test_the_code_for_node_runs_its_tool(gateway: Gateway) -> None:
    code = program("Vercel AI SDK", gateway)
    told = run(node("vercel_ai"), "--input-type=module", "-e", code, cwd=HERE / "vercel_ai")
    assert told == f"{said('21 degrees in Paris')}\n"
