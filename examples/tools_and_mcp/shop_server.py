"""The shop's storeroom as an MCP server, spoken to over its standard input and output."""

from typing import Annotated

from mcp.server import MCPServer
from pydantic import Field

server = MCPServer("storeroom")


@server.tool()
def stock(article: Annotated[str, Field(description='In the plural, like "boots".')], size: int = 40) -> str:
    """Return how many of an article are in the storeroom."""
    return f"{3 if size < 45 else 0} {article} of size {size}"


if __name__ == "__main__":
    server.run("stdio")
