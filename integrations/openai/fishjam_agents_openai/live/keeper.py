"""Keeping of one connection for a call: made at its start, when it is lost, and before its hour is over."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast

from fishjam_agents.backoff import Backoff
from fishjam_agents.errors import BackendError
from fishjam_agents.loopback import is_loopback_url
from fishjam_agents.secrecy import SOCKET_LOG
from fishjam_agents_openai.live.connection import LiveConnection
from fishjam_agents_openai.live.settings import LiveSettings
from fishjam_agents_openai.realtime.failures import connection_errors

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.websocket_connection_options import WebSocketConnectionOptions


_MAX_FRAME = 4 * 2**20
"""Bytes of the largest message that is taken."""
_CLOSE_SECONDS = 1.0
_BACKOFF = Backoff(first=0.25, longest=2.0)
"""Waits between attempts to connect."""
_STEADY = 5.0
"""A connection that lasted so long, in seconds, was a good one: the next is made at once."""


class Keeper:
    """Keeps a connection.

    Args:
        settings: The part's.
    """

    def __init__(self, settings: LiveSettings) -> None:
        self._settings = settings
        self._connection: LiveConnection | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # Done with the next connection, or with why there is none.
        self._next: asyncio.Future[LiveConnection] = asyncio.get_running_loop().create_future()
        self._wanted = asyncio.Event()

    async def connection(self) -> LiveConnection:
        """Return the connection; wait for it where it is being made.

        Raises:
            BackendError: It cannot be made.
        """
        if self._connection is not None and not self._connection.lost.is_set():
            return self._connection
        self._wanted.set()
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await asyncio.shield(self._next)
        except TimeoutError as error:
            raise self._late() from error

    async def run(self) -> None:
        """Keep it until cancelled."""
        async with self._settings.client() as client:
            loop = asyncio.get_running_loop()
            failures = 0
            while True:
                try:
                    connection = await self._connect(client)
                except BackendError as error:
                    failures += 1
                    self._tell(error)
                    await self._pause(error, failures)
                    continue
                except Exception as bug:
                    # The part has a bug: whoever asks is told, now and later.
                    self._connection = None
                    self._next.set_exception(bug)
                    self._next.exception()
                    raise
                before, self._connection = self._connection, connection
                if before is not None:
                    before.retire()
                self._tell(connection)
                since = loop.time()
                try:
                    async with asyncio.timeout(self._settings.renew_after):
                        await connection.lost.wait()
                except TimeoutError:
                    failures = 0
                    continue
                self._connection = None
                failures = 0 if loop.time() - since >= _STEADY else failures + 1
                if failures:
                    await self._pause(connection.loss, failures)

    async def close(self) -> None:
        """Leave all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pause(self, error: BackendError, failures: int) -> None:
        self._wanted.clear()
        await asyncio.sleep(_BACKOFF.delay(failures))
        if not error.retryable:
            # Only the user can mend it; whoever asks finds out whether that was done.
            await self._wanted.wait()

    def _tell(self, outcome: LiveConnection | Exception) -> None:
        told, self._next = self._next, asyncio.get_running_loop().create_future()
        if isinstance(outcome, LiveConnection):
            told.set_result(outcome)
        else:
            told.set_exception(outcome)
            # Perhaps nobody waits.
            told.exception()

    async def _connect(self, client: AsyncOpenAI) -> LiveConnection:
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[LiveConnection] = loop.create_future()
        task = loop.create_task(self._hold(client, opened), name="connection of openai transcription")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await opened

    async def _hold(self, client: AsyncOpenAI, opened: asyncio.Future[LiveConnection]) -> None:
        """Have a connection, from its beginning to its end."""
        settings = self._settings
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(settings.timeout):
                    with connection_errors(settings.secrets):
                        settings.renew(client)
                        connecting = client.realtime.connect(**self._options())
                        connection = LiveConnection(settings, await stack.enter_async_context(connecting))
                        await connection.begin()
            except TimeoutError:
                _fail(opened, self._late())
            except Exception as error:  # noqa: BLE001 - whoever waits is told
                _fail(opened, error)
            else:
                if not opened.done():
                    opened.set_result(connection)
                    await connection.run()

    def _late(self) -> BackendError:
        return BackendError(
            f"OpenAI Realtime did not accept the session within {self._settings.timeout:g} s: check base_url",
            retryable=True,
        )

    def _options(self) -> dict[str, Any]:
        # Loaded with the client, in a thread.
        from fishjam_agents.backends.direct_socket import DirectConnection

        settings = self._settings
        besides = settings.besides
        # A model in the address would make a conversation of it; the session has its own.
        besides["extra_query"] = {"intent": "transcription"} | besides["extra_query"]
        if settings.beta:
            besides["extra_headers"]["openai-beta"] = "realtime=v1"
        socket: dict[str, Any] = {
            "max_size": _MAX_FRAME,
            "logger": SOCKET_LOG,
            "create_connection": DirectConnection,
            "compression": None,
            "open_timeout": settings.timeout,
            "close_timeout": _CLOSE_SECONDS,
            "ping_interval": settings.keepalive,
            "ping_timeout": settings.keepalive,
        }
        if is_loopback_url(settings.address):
            # A proxy of the environment would be asked for this machine's own servers, too.
            socket["proxy"] = None
        options = cast("WebSocketConnectionOptions", socket)
        return besides | {"websocket_connection_options": options, "max_retries": 0}


def _fail(opened: asyncio.Future[LiveConnection], error: Exception) -> None:
    # Nobody waits any more where the call is over.
    if not opened.done():
        opened.set_exception(error)
