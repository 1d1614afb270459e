"""The shop's storeroom as an MCP server, spoken to over its standard input and output."""

from mcp.server import MCPServer

server = MCPServer("storeroom")


@server.tool()
def stock(article: str, size: int = 40) -> str:
    """How many of an article are in the storeroom."""
    return f"{3 if size < 45 else 0} {article} of size {size}"


if __name__ == "__main__":
    server.run("stdio")
