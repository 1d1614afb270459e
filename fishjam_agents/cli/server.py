"""`server`: the embedded Fishjam alone."""

from __future__ import annotations

import asyncio
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fishjam_agents.cli.loops import freeze_gc, run_on_loop
from fishjam_agents.cli.output import say
from fishjam_agents.errors import ConfigError

if TYPE_CHECKING:
    from fishjam_agents.server import EmbeddedServer


class Tls(StrEnum):
    """Choices of `--tls`."""

    AUTO = "auto"
    OFF = "off"


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
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:PORT]", help="A further name it is reached by, as of a proxy. May be given again."
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="Whose pages may use it, as http://localhost:5173, besides its own. May be given again.",
        ),
    ] = None,
    sandbox: Annotated[
        bool | None,
        typer.Option(
            help="Tokens by name for demos without a backend; by default where only this machine reaches it.",
            show_default=False,
        ),
    ] = None,
    tls: Annotated[
        Tls,
        typer.Option(help="HTTPS beside HTTP; auto: where other machines can reach it."),
    ] = Tls.AUTO,
    certificate: Annotated[
        Path | None,
        typer.Option(help="PEM file for HTTPS; else one is made on the spot.", show_default=False),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="PEM file with the certificate's key.", show_default=False)
    ] = None,
) -> None:
    """Run a Fishjam on this machine until Ctrl-C."""
    from fishjam_agents.config.access import NO_TOKEN, can_be_token
    from fishjam_agents.loopback import is_loopback
    from fishjam_agents.urls import NO_HOST, NO_ORIGIN, read_authority, read_origin

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
    for text in allow_host or ():
        if read_authority(text) is None:
            raise ConfigError(f"--allow-host {NO_HOST.format(text)}")
    for text in allow_origin or ():
        if read_origin(text) is None:
            raise ConfigError(f"--allow-origin {NO_ORIGIN.format(text)}")
    if (certificate is None) != (key is None):
        raise ConfigError("--certificate and --key belong together: give both of them")
    if certificate is not None and tls is Tls.OFF:
        raise ConfigError("--tls off needs no --certificate: leave one of them out")
    from fishjam_agents.server import EmbeddedServer

    embedded = EmbeddedServer(
        host,
        port,
        token,
        webhook_url=webhook_url,
        webhook_secret=webhook_secret,
        allowed_hosts=allow_host or (),
        allowed_origins=allow_origin or (),
        sandbox=sandbox,
        tls=tls.value if certificate is None or key is None else (certificate, key),
    )
    run_on_loop(_serve(embedded, webhook_url))


async def _serve(embedded: EmbeddedServer, webhook_url: str | None) -> None:
    from fishjam_agents.cli.interrupts import interrupts

    stop = asyncio.Event()
    with interrupts(stop.set):
        async with embedded:
            signed = ""
            if webhook_url is not None:
                signed = f"Webhooks go to {webhook_url}, signed with {shlex.quote(embedded.webhook_secret)}\n"
            others = [url for url in embedded.public_urls if url != embedded.url]
            shown = f"Others in the network reach it at {others[0]}.\n" if others else ""
            say(
                f"Fishjam runs at {embedded.url}. Point a client at it:\n"
                f"  export FISHJAM_ID={embedded.url}\n"
                f"  export FISHJAM_MANAGEMENT_TOKEN={shlex.quote(embedded.token)}\n"
                f"{signed}{shown}Ctrl-C ends it."
            )
            freeze_gc()
            await stop.wait()
    say("goodbye")
