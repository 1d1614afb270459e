"""`server`: the embedded Fishjam alone."""

from __future__ import annotations

import asyncio
import shlex
from typing import Annotated

import typer

from fishjam_agents.cli.loops import freeze_gc, run_on_loop
from fishjam_agents.cli.output import say
from fishjam_agents.errors import ConfigError


def server(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes any.", min=0, max=65535)] = 5002,
    token: Annotated[
        str | None,
        typer.Option(help="Management token; a random one if none is given.", show_default=False),
    ] = None,
    webhook_url: Annotated[
        str | None,
        typer.Option(help="Where notifications of rooms without a webhook are posted.", show_default=False),
    ] = None,
    webhook_secret: Annotated[
        str | None,
        typer.Option(
            help="Key of the webhooks' signature; a random one if none is given.", show_default=False
        ),
    ] = None,
) -> None:
    """Run a Fishjam on this machine until Ctrl-C."""
    from fishjam_agents.config.access import NO_TOKEN, can_be_token
    from fishjam_agents.loopback import is_loopback

    if token is not None and not can_be_token(token):
        raise ConfigError(f"--token {NO_TOKEN}")
    if token is None and not is_loopback(host):
        raise ConfigError(f"--host {host} can be reached from other machines: give a --token, too")
    if webhook_url is not None:
        from fishjam_agents.server.settings import is_webhook_url

        if not is_webhook_url(webhook_url):
            raise ConfigError(
                f"--webhook-url {webhook_url} is no webhook: give a URL with a path, as http://HOST:PORT/PATH"
            )
    run_on_loop(_serve(host, port, token, webhook_url, webhook_secret))


async def _serve(
    host: str, port: int, token: str | None, webhook_url: str | None, webhook_secret: str | None
) -> None:
    from fishjam_agents.cli.interrupts import interrupts
    from fishjam_agents.server import EmbeddedServer

    stop = asyncio.Event()
    with interrupts(stop.set):
        embedded = EmbeddedServer(host, port, token, webhook_url=webhook_url, webhook_secret=webhook_secret)
        async with embedded:
            signed = ""
            if webhook_url is not None:
                signed = f"Webhooks go to {webhook_url}, signed with {shlex.quote(embedded.webhook_secret)}\n"
            say(
                f"Fishjam runs at {embedded.url}. Point a client at it:\n"
                f"  export FISHJAM_ID={embedded.url}\n"
                f"  export FISHJAM_MANAGEMENT_TOKEN={shlex.quote(embedded.token)}\n"
                f"{signed}Ctrl-C ends it."
            )
            freeze_gc()
            await stop.wait()
    say("goodbye")
