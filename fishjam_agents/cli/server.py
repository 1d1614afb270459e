"""`server`: the embedded Fishjam alone."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from fishjam_agents.cli.console import say


def server(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes any.", min=0, max=65535)] = 5002,
    token: Annotated[
        str | None,
        typer.Option(help="Management token; a random one if none is given.", show_default=False),
    ] = None,
) -> None:
    """Run a Fishjam on this machine until Ctrl-C."""
    asyncio.run(_serve(host, port, token))


async def _serve(host: str, port: int, token: str | None) -> None:
    from fishjam_agents.cli.interrupts import interrupts
    from fishjam_agents.server import EmbeddedServer

    stop = asyncio.Event()
    with interrupts(stop.set):
        async with EmbeddedServer(host, port, token) as embedded:
            say(
                f"Fishjam runs at {embedded.url}. Point a client at it:\n"
                f"  export FISHJAM_ID={embedded.url}\n"
                f"  export FISHJAM_MANAGEMENT_TOKEN={embedded.token}\n"
                "Ctrl-C ends it."
            )
            await stop.wait()
    say("goodbye")
