"""An agent of openai-agents over OpenDify whose tools are those of a server of the Model Context Protocol."""

import asyncio
import json
import os
import sys
from pathlib import Path

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from agents.mcp import MCPServer, MCPServerStdio, MCPServerStreamableHttp
from openai import AsyncOpenAI

set_tracing_disabled(True)
model = OpenAIChatCompletionsModel(model=os.environ["MODEL"], openai_client=AsyncOpenAI())


def server(address: str) -> MCPServer:
    """The server at an address, or one that is started here and spoken to over its standard input."""
    if address == "stdio":
        program = Path(__file__).with_name("mcp_server.py")
        return MCPServerStdio({"command": sys.executable, "args": [str(program), "stdio"]})
    return MCPServerStreamableHttp({"url": address})


async def main(address: str, question: str) -> None:
    async with server(address) as library:
        agent = Agent("Librarian", instructions="You know books.", model=model, mcp_servers=[library])
        result = await Runner.run(agent, question)
    outputs = [item.output for item in result.new_items if item.type == "tool_call_output_item"]
    print(json.dumps({"outputs": outputs, "final": result.final_output}))


asyncio.run(main(*sys.argv[1:]))
