"""The listener of the calls API, on the loop of the program."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fishjam_agents.errors import MissingExtraError
from fishjam_agents.server.address import authority, listen
from fishjam_agents.server.listener import Listener
from fishjam_agents.worker.call_service import CallService
from fishjam_agents.worker.settings import ApiSettings

STOP_SECONDS = 2.0
"""Seconds that answers under way have when it stops."""


@asynccontextmanager
async def api_server(settings: ApiSettings, service: CallService) -> AsyncIterator[str]:
    """Serve the API; yields its URL.

    Raises:
        FishjamAgentsError: The port is in use, or the address is not one of this machine.
        MissingExtraError: Starlette or uvicorn is not installed.
    """
    try:
        import uvicorn

        from fishjam_agents.server.rest.http import HttpConnection
        from fishjam_agents.worker.calls_api import CallsApi
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] in ("uvicorn", "starlette", "h11"):
            raise MissingExtraError("the calls API (api)", "server") from error
        raise
    listening = await listen(settings.host, settings.port)
    config = uvicorn.Config(
        CallsApi(service, settings.token).app(),
        http=HttpConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # As the embedded server does it: `serve` would take over the signals, and sockets of its own would take
    # connections without end.
    await server.startup(sockets=[])
    state = server.server_state
    listener = Listener(
        listening,
        lambda: HttpConnection(config=config, server_state=state, app_state=server.lifespan.state),
        state.connections,
    )
    try:
        yield f"http://{authority(settings.host, listening.getsockname()[1])}"
    finally:
        await listener.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await server.shutdown(sockets=[listening])
        for connection in tuple(state.connections):
            connection.transport.abort()
        # One turn of the loop, in which aborted transports report their end.
        await asyncio.sleep(0)
