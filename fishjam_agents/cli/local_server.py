"""The embedded Fishjam of a config.yaml whose `fishjam.id` is `local`."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fishjam_agents.config import Config
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.server import EmbeddedServer


@asynccontextmanager
async def local_server(settings: Config) -> AsyncIterator[EmbeddedServer]:
    """Start the server; leaving the context stops it.

    Raises:
        FishjamAgentsError: The port is in use, or the address is not one of this machine.
        MissingExtraError: Starlette or uvicorn is not installed.
    """
    fishjam = settings.fishjam
    server = EmbeddedServer(
        fishjam.host,
        fishjam.port,
        fishjam.management_token,
        tls=fishjam.tls.wanted,
        sandbox=fishjam.sandbox,
        allowed_hosts=fishjam.allowed_hosts,
        allowed_origins=fishjam.allowed_origins,
    )
    try:
        await server.start()
    except FishjamAgentsError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
            raise FishjamAgentsError(
                f"port {fishjam.port} on {fishjam.host} is in use: stop what uses it, or write "
                f"`fishjam: {{port: 0}}` in {settings.source} to take a free one"
            ) from error
        raise
    try:
        yield server
    finally:
        await server.stop()
