"""`server`: the embedded Fishjam alone."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer


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
    from fishjam_agents.server import EmbeddedServer

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def leave() -> None:
        # The next Ctrl-C finds Python's own handler and ends at once.
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        stop.set()

    async with EmbeddedServer(host, port, token) as embedded:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, leave)
        print(f"Fishjam runs at {embedded.url}. Point a client at it:", flush=True)
        print(f"  export FISHJAM_ID={embedded.url}")
        print(f"  export FISHJAM_MANAGEMENT_TOKEN={embedded.token}")
        print("Ctrl-C ends it.", flush=True)
        await stop.wait()
    print("goodbye", flush=True)
