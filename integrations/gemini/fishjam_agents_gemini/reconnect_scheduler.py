"""Leaving a connection when nobody notices: the service announced its end, or settings changed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from fishjam_agents.backends.port import SessionRefresh
from fishjam_agents.errors import BackendError

_LOOK = 0.05
"""Seconds between looks for a quiet moment, once one is sought."""
_MARGIN = 2.0
"""Seconds before the announced end at which the connection is left, whatever is going on."""
_HANDLE = 1.0
"""Seconds that a new handle is waited for in a quiet moment: it follows the end of a turn."""
_SENDING = 0.5


class ReconnectScheduler:
    """Decides when the connection is left.

    Args:
        quiet: Whether it may be left now.

    Attributes:
        pending: Whether a moment to leave is sought.
        leaving: Whether nothing may be sent any more.
        unfinished: Whether it had to be left in the middle of something.
    """

    def __init__(self, quiet: Callable[[], bool]) -> None:
        self._quiet = quiet
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self._deadline: float | None = None
        self._why = ""
        self._handle_at = float("-inf")
        self._busy_at = float("-inf")
        self.unfinished = False
        self.leaving = False

    @property
    def pending(self) -> bool:
        """True while a moment to leave is sought."""
        return self._wanted.is_set()

    def announced(self, time_left: str | None) -> None:
        """The service will end the connection in so many seconds (`10s`; a minute if it does not say)."""
        number = re.match(r"\s*(\d+(?:\.\d+)?)", str(time_left or ""))
        seconds = float(number[1]) if number else 60.0
        self._deadline = self._loop.time() + seconds - min(_MARGIN, seconds / 4)
        self._why = "the service goes away"
        self._wanted.set()

    def wish(self, why: str) -> None:
        """Something can only be changed on a new connection."""
        self._why = self._why or why
        self._wanted.set()

    def handle_came(self) -> None:
        """The session can be resumed from here."""
        self._handle_at = self._loop.time()

    def busy(self) -> None:
        """The model speaks: the handle by which that is known is still to come."""
        self._busy_at = self._loop.time()

    def instead_of(self, failure: BackendError) -> BackendError | SessionRefresh:
        """Return the outcome of a lost connection: after an announcement it is no surprise."""
        return SessionRefresh(self._why) if self._deadline is not None and failure.retryable else failure

    async def watch(self, sending: Callable[[], bool]) -> None:
        """Wait for the moment.

        Args:
            sending: Whether an input is half sent.

        Raises:
            SessionRefresh: It is now.
        """
        await self._wanted.wait()
        while not self._now():  # noqa: ASYNC110 - a quiet moment is many things together
            await asyncio.sleep(_LOOK)
        self.leaving = True
        given_up = self._loop.time() + _SENDING
        while sending() and self._loop.time() < given_up:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK / 10)
        raise SessionRefresh(self._why)

    def _now(self) -> bool:
        now = self._loop.time()
        if self._deadline is not None and now >= self._deadline:
            self.unfinished = not self._quiet()
            return True
        if not self._quiet():
            self._busy_at = now
            return False
        return self._handle_at >= self._busy_at or now - self._busy_at >= _HANDLE
