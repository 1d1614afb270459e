"""The model owes an answer: is the connection dead, or is the model only silent?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fishjam_agents.errors import BackendError

_PONG = 5.0
"""Longest wait for the answer to a ping once the model is late, seconds."""
_PATIENCE = 2
"""Turns in a row without any answer over a living connection, after which a new one is tried."""


class ResponseWatchdog:
    """Watches over answers that are owed.

    Args:
        timeout: Seconds an answer may take.
        ping: Waits for a sign of life of the connection.
    """

    def __init__(self, timeout: float, ping: Callable[[], Awaitable[None]]) -> None:
        self._timeout = timeout
        self._ping = ping
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._since: float | None = None
        self._silent = 0

    def begin(self) -> None:
        """Something was asked."""
        if self._since is None:
            self._since = self._loop.time()
            self._changed.set()

    def over(self, *, answered: bool = False) -> None:
        """Nothing is owed any more: it came (`answered`), or is not wanted."""
        self._since = None
        if answered:
            self._silent = 0

    async def watch(self) -> None:
        """Look after the connection whenever an answer is late.

        Raises:
            BackendError: The connection is dead, or the service does not answer at all.
        """
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._since is not None:
                late_at = self._since + self._timeout
                if self._loop.time() >= late_at:
                    await self._late()
                else:
                    await asyncio.sleep(late_at - self._loop.time())

    async def _late(self) -> None:
        waited = f"{self._timeout:g} s"
        try:
            async with asyncio.timeout(min(_PONG, self._timeout)):
                await self._ping()
        except TimeoutError as error:
            raise BackendError(
                f"OpenAI Realtime: no answer for {waited} and no sign of life: a new connection is made",
                retryable=True,
            ) from error
        if self._since is None:
            return
        self._since = None
        self._silent += 1
        if self._silent >= _PATIENCE:
            raise BackendError(
                f"OpenAI Realtime: {self._silent} turns were not answered within {waited}: a new connection "
                "is made",
                retryable=True,
            )
