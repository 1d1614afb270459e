"""A shop's bot: its model may look up orders, ask for the opening hours, and count shoes on an MCP server."""

from model import Demo

from fishjam_agents import AgentPipeline, ToolError, tool

ORDERS = {7: "on its way", 8: "in the post office"}


class Shop(AgentPipeline):
    backend = Demo()
    instructions = "You answer for a shoe shop. Be brief."

    @tool(timeout=5)
    async def order_status(self, number: int) -> str:
        """Look up where an order is.

        Args:
            number: The number on the receipt, like 7.
        """
        if number not in ORDERS:
            raise ToolError(f"there is no order {number}: ask for the number on the receipt")
        return ORDERS[number]


def opening_hours(day: str) -> dict[str, str]:
    """Return the opening hours of the shop.

    Args:
        day: Day of the week, like "Saturday".
    """
    return {"from": "9:00", "to": "13:00" if day.lower() == "saturday" else "18:00"}
