"""The model owes an answer: is the connection dead, or is the model only silent?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fishjam_agents.backends.port import BackendEvent, BackendNotice, SessionRefresh
from fishjam_agents.errors import BackendError

from .settings import GeminiSettings

PONG = 5.0
"""Seconds for the answer to a ping once the model is late."""
_PATIENCE = 2
"""Turns in a row without any answer over a living connection, after which a new one is tried."""
_DECLINED = 3
"""Turns in a row without any answer of a model that may decline to answer, which are told of."""


class ResponseWatchdog:
    """Watches over answers that are owed.

    Args:
        settings: The backend.
        live: Google's session.
        failure: What the end of the connection is.
        emit: Takes warnings.
    """

    def __init__(
        self,
        settings: GeminiSettings,
        live: Any,
        failure: Callable[[BaseException], BackendError | SessionRefresh],
        emit: Callable[[BackendEvent], None],
    ) -> None:
        self._settings = settings
        self._live = live
        self._failure = failure
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._since: float | None = None
        self._holds = self._counts = True
        self._silent = 0

    @property
    def owed(self) -> bool:
        """True while an answer is owed that the connection is not left without."""
        return self._since is not None and self._holds

    def begin(self, *, holds: bool = True, counts: bool = True) -> None:
        """An answer is due: the user's turn is over, something was written, a tool has answered.

        Args:
            holds: Whether it is sure enough to hold the connection.
            counts: Whether a model that says nothing fails to answer.
        """
        if holds or self._since is None:
            self._since, self._holds, self._counts = self._loop.time(), holds, counts
            self._changed.set()

    def goes_on(self) -> None:
        """The model is in the middle of an answer: the rest of it is due, and may be late in its turn."""
        if self._since is None or not self._holds:
            self._since, self._holds, self._counts = self._loop.time(), False, False
            self._changed.set()

    def over(self, *, answered: bool = False) -> None:
        """Nothing is owed any more: it came (`answered`), was declined, or the user speaks again."""
        self._since = None
        if answered:
            self._silent = 0

    async def watch(self) -> None:
        """Look after the connection whenever an answer is late.

        Raises:
            BackendError: The connection is dead, or the service does not answer at all.
            SessionRefresh: It ended as announced.
        """
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._since is not None:
                late_at = self._since + self._settings.answer_timeout
                if self._loop.time() >= late_at:
                    await self._late()
                else:
                    await asyncio.sleep(late_at - self._loop.time())

    async def _late(self) -> None:
        from websockets.exceptions import ConnectionClosed

        waited = f"{self._settings.answer_timeout:g} s"
        try:
            async with asyncio.timeout(PONG):
                await self._ping()
        except ConnectionClosed as error:
            raise self._failure(error) from error
        except (TimeoutError, OSError) as error:
            raise BackendError(
                f"Gemini: no answer for {waited} and no sign of life: a new connection is made",
                retryable=True,
                failure="network",
            ) from error
        if self._since is None:
            return
        self._since = None
        if not self._counts:
            return
        self._silent += 1
        # Such a model may decline to answer what was not meant for it.
        declines = self._settings.proactive_audio or self._settings.family.proactive_audio == "always"
        if declines and self._silent == _DECLINED:
            self._emit(
                BackendNotice(
                    f"Gemini has answered none of the last {self._silent} turns: it may take them for not "
                    "meant for it; if it never answers, check model and instructions"
                )
            )
        if self._silent >= _PATIENCE and not declines:
            raise BackendError(
                f"Gemini: {self._silent} turns were not answered within {waited}: a new connection is made",
                retryable=True,
                failure="network",
            )

    async def _ping(self) -> None:
        # The client has no ping of its own, and has kept its socket under this name since its first version.
        socket = getattr(self._live, "_ws", None)
        if socket is not None:
            await (await socket.ping())
