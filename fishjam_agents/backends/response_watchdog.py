"""Watch over answers that a model owes: a dead connection is told from a model that only keeps silent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fishjam_agents.errors import BackendError

PONG = 5.0
"""Longest wait for the answer to a ping once the model is late, seconds."""
_TOLERATED = 2
"""Turns in a row without any answer over a living connection, after which a new one is tried."""


class ResponseWatchdog:
    """Watches over the answers that are owed on one connection.

    Args:
        service: The service in messages.
        timeout: Seconds an answer may take.
        ping: Waits for a sign of life of the connection; raises if it has ended.
        declined: Takes the number of turns in a row that were not answered, for a model that may decline to
            answer. None for one that has failed then.
    """

    def __init__(
        self,
        service: str,
        timeout: float,
        ping: Callable[[], Awaitable[None]],
        declined: Callable[[int], None] | None = None,
    ) -> None:
        self._service = service
        self._timeout = timeout
        self._ping = ping
        self._declined = declined
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._since: float | None = None
        self._certain = self._counts = True
        self._silent = 0

    @property
    def owed(self) -> bool:
        """True while an answer is owed for certain."""
        return self._since is not None and self._certain

    def begin(self, *, certain: bool = True, counts: bool = True) -> None:
        """Begin to wait: the user's turn is over, something was written, a tool has answered.

        Args:
            certain: Whether the model is sure to be answering; what only may be takes no other's place.
            counts: Whether a model that says nothing fails to answer.
        """
        if certain or not self.owed:
            self._since, self._certain, self._counts = self._loop.time(), certain, counts
            self._changed.set()

    def over(self, *, answered: bool = False) -> None:
        """Stop waiting: the answer came (`answered`), was declined, or is not wanted any more."""
        self._since = None
        if answered:
            self._silent = 0

    async def watch(self) -> None:
        """Look after the connection whenever an answer is late.

        Raises:
            BackendError: The connection is dead, or the service does not answer at all.
            SessionRefresh: It ended as announced, if `ping` says so.
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
        try:
            async with asyncio.timeout(min(PONG, self._timeout)):
                await self._ping()
        except TimeoutError as error:
            raise self._failure(f"no answer for {self._timeout:g} s and no sign of life") from error
        if self._since is None:
            return
        self._since = None
        if not self._counts:
            return
        self._silent += 1
        if self._declined is not None:
            self._declined(self._silent)
        elif self._silent >= _TOLERATED:
            raise self._failure(f"{self._silent} turns were not answered within {self._timeout:g} s")

    def _failure(self, what: str) -> BackendError:
        return BackendError(
            what, subject=f"{self._service}:", action="a new connection is made", retryable=True
        )
