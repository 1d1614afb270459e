"""The listener of the calls API, on the loop of the program."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fishjam_agents.errors import MissingExtraError
from fishjam_agents.journal.store import JournalStore
from fishjam_agents.server.address import authority, listen
from fishjam_agents.worker.call_service import CallService
from fishjam_agents.worker.settings import ApiSettings

STOP_SECONDS = 2.0
"""Seconds that answers under way have when it stops."""


@asynccontextmanager
async def api_server(
    settings: ApiSettings, service: CallService, journals: JournalStore | None = None
) -> AsyncIterator[str]:
    """Serve the API; yields its URL.

    Args:
        settings: Where, and for whom.
        service: Whoever serves the rooms.
        journals: Where calls are written down; None nowhere.

    Raises:
        FishjamAgentsError: The port is in use, or the address is not one of this machine.
        MissingExtraError: Starlette or uvicorn is not installed.
    """
    try:
        from fishjam_agents.server.http_server import HttpServer
        from fishjam_agents.worker.calls_api import CallsApi
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] in ("uvicorn", "starlette"):
            raise MissingExtraError("the calls API (api)", "server") from error
        raise
    listening = await listen(settings.host, settings.port)
    url = f"http://{authority(settings.host, listening.getsockname()[1])}"
    server = HttpServer(CallsApi(service, settings.token, journals, settings.webhook_secret).app(), listening)
    await server.start()
    try:
        yield url
    finally:
        await server.stop(STOP_SECONDS)
