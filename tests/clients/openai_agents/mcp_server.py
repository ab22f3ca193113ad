"""A server of the Model Context Protocol: `python mcp_server.py stdio`, or `… streamable-http PORT`."""

import sys

from mcp.server import MCPServer

server = MCPServer("Library")


@server.tool()
def find_books(author: str, limit: int = 3) -> list[str]:
    """Find books by their author."""
    return [f"{author}: volume {number}" for number in range(1, limit + 1)]


@server.tool()
def lend(title: str, days: int) -> dict[str, object]:
    """Lend a book to the reader."""
    return {"title": title, "days": days, "lent": True}


if __name__ == "__main__":
    transport, *port = sys.argv[1:]
    if transport == "stdio":
        server.run("stdio")
    else:
        server.run("streamable-http", host="127.0.0.1", port=int(port[0]))
