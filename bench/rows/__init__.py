"""One module per row of the table: `async def measure(quick: bool) -> list[Row]`."""
