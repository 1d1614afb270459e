"""An MCP server for tests: over stdio; over HTTP where a test serves its app."""

from __future__ import annotations

import asyncio
import os
import sys

from mcp.server import MCPServer
from mcp.server.mcpserver import Context

server = MCPServer("shop")


@server.tool()
def stock(article: str, size: int = 40) -> str:
    """How many of an article there are."""
    return f"3 {article} of size {size}"


@server.tool()
def parcel(weight: float) -> dict[str, float]:
    """What a parcel costs."""
    return {"euros": 4 + weight}


@server.tool()
async def slow(context: Context) -> str:
    """Take long."""
    await context.report_progress(1, 2, "looking")
    await asyncio.sleep(60)
    return "at last"


@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("the shop is closed")


@server.tool()
def crash() -> str:
    """End the server."""
    os._exit(3)


@server.tool()
def whoami() -> str:
    """What the server was started with."""
    return os.environ.get("SHOP_KEY", "nobody")


if __name__ == "__main__":
    if "counted" in sys.argv:
        with open(os.environ["SHOP_STARTS"], "a") as starts:
            starts.write("started\n")
    if "silent" in sys.argv:
        sys.stdin.read()
    if "garbage" in sys.argv:
        print("this is no JSON", flush=True)
        sys.stdin.read()
    if "talkative" in sys.argv:
        for _ in range(3):
            print("asked with the key hunter2", flush=True)
    server.run("stdio")
