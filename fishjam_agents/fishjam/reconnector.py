"""Keeps an agent's session connected: one task that waits for its socket to close and opens the next."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import TypeAlias
from weakref import WeakKeyDictionary

from ..backoff import Backoff
from ..errors import ProtocolError
from .direct import DirectConnection
from .errors import AgentAuthError, NotFoundError, SessionClosedError, SessionLostError
from .reconnect import PASSING, STEADY, Reconnected
from .sockets import end_of_session

GIVE_UP_AFTER = 60.0
"""Seconds after which an agent that cannot come back gives up, unless told otherwise."""

Refresh: TypeAlias = Callable[[], "Awaitable[str | None] | str | None"]
"""Asks whether the agent is still wanted: its token for the next attempt, or None to end the session."""

HURRIED_WITHIN = 1.0
"""Seconds within which the next attempt comes after `hurry`, left to chance: all agents of a process do."""

TAKEN_OVER = "peer already connected"
"""Reason for which Fishjam refuses, or cuts off, a peer's second socket (`fishjam-dev/fishjam`)."""

_log = logging.getLogger(__name__)


class Reconnector:
    """Makes a session's connection anew.

    Attributes:
        error: Why it gave up, once it has.
    """

    def __init__(
        self,
        what: str,
        dial: Callable[[str | None], AbstractAsyncContextManager[DirectConnection]],
        adopt: Callable[[DirectConnection], Awaitable[None]],
        *,
        refresh: Refresh | None,
        give_up_after: float,
        backoff: Backoff,
    ) -> None:
        """Does nothing until `watching`.

        Args:
            what: Names the connection in messages.
            dial: Opens an authenticated socket, with the token given or the one it has.
            adopt: Makes the session use a new socket.
            refresh: Asked before every attempt that follows a goodbye; without it a goodbye is the end.
            give_up_after: Seconds until a lost connection is given up.
            backoff: Waits between attempts.
        """
        self.error: Exception | None = None
        self._what = what
        self._dial = dial
        self._adopt = adopt
        self._refresh = refresh
        self._give_up_after = give_up_after
        self._backoff = backoff
        self._failures = 0
        self._damaged_at = -math.inf
        self._hurry = asyncio.Event()
        self._outcomes: WeakKeyDictionary[DirectConnection, asyncio.Future[Reconnected | None]] = (
            WeakKeyDictionary()
        )

    async def after(self, socket: DirectConnection) -> Reconnected | None:
        """Wait for what follows the end of `socket`: a new connection, or None when the session was left.

        Raises:
            SessionError: The connection is given up.
        """
        outcome = self._outcomes[socket]
        # Not `shield`: who is cancelled just as the session is given up would leave its error to nobody.
        await asyncio.wait({outcome})
        return outcome.result()

    def forgives(self, damaged: ProtocolError) -> bool:
        """Return whether a connection that brought a damaged message is to be made anew, as a lost one.

        A server that speaks another protocol brings the next one at once.
        """
        now = asyncio.get_running_loop().time()
        last, self._damaged_at = self._damaged_at, now
        if now - last < STEADY:
            return False
        _log.warning("%s: %s", self._what, damaged)
        return True

    def check(self) -> None:
        """Raise why the connection was given up, if it was."""
        if self.error is not None:
            raise self.error

    def hurry(self) -> None:
        """The server can be reached again, as somebody else knows: make the next attempt within a second."""
        self._hurry.set()

    @asynccontextmanager
    async def watching(self, socket: DirectConnection, resources: AsyncExitStack) -> AsyncIterator[None]:
        """Keep the session connected within the context.

        Args:
            socket: Its first socket.
            resources: What closes that socket.
        """
        task = asyncio.create_task(self._watch(socket, resources), name=self._what)
        self._expect(socket)
        # From here on the task holds the socket that is open, and nobody one that was.
        del socket, resources
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def leave(self) -> None:
        """The session is left on purpose: whoever waits in `after` is told so."""
        for outcome in self._outcomes.values():
            if not outcome.done():
                outcome.set_result(None)

    def _expect(self, socket: DirectConnection) -> asyncio.Future[Reconnected | None]:
        outcome = self._outcomes[socket] = asyncio.get_running_loop().create_future()
        return outcome

    async def _watch(self, socket: DirectConnection, resources: AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        outcome = self._outcomes[socket]
        try:
            while True:
                began = loop.time()
                await socket.wait_closed()
                await resources.aclose()
                if outcome.done():
                    return
                if loop.time() - began >= STEADY:
                    self._failures = 0
                lost_at = loop.time()
                socket, resources, attempts = await self._come_back(socket)
                previous, outcome = outcome, self._expect(socket)
                if not previous.done():
                    previous.set_result(Reconnected(loop.time() - lost_at, attempts))
        except Exception as error:  # noqa: BLE001 - `refresh` is user code; whoever waits is told either way
            self.error = error
            if not outcome.done():
                outcome.set_exception(error)
                # Nobody may be waiting; then it is `check` that tells.
                outcome.exception()
        finally:
            await resources.aclose()
            self.leave()

    async def _come_back(self, socket: DirectConnection) -> tuple[DirectConnection, AsyncExitStack, int]:
        lost = end_of_session(self._what, socket.protocol.close_rcvd, socket.protocol.close_sent)
        if isinstance(lost, SessionClosedError) and (self._refresh is None or lost.reason == TAKEN_OVER):
            # Two sessions of one agent would take the room from each other for ever.
            raise lost
        _log.warning("%s", lost)
        last: Exception = lost
        attempts = 0
        goodbye = isinstance(lost, SessionClosedError)
        refused: AgentAuthError | None = None
        renewed = False
        try:
            async with asyncio.timeout(self._give_up_after):
                while True:
                    # A token that was refused is asked for at once: the server is there.
                    if self._failures and (refused is None or renewed):
                        await self._pause(self._backoff.delay(self._failures))
                    attempts += 1
                    self._failures += 1
                    token: str | None = None
                    renewed = refused is not None
                    try:
                        if goodbye or refused is not None:
                            token = await self._ask(lost)
                        async with AsyncExitStack() as resources:
                            opened = await resources.enter_async_context(self._dial(token))
                            await self._adopt(opened)
                            self._hurry.clear()
                            return opened, resources.pop_all(), attempts
                    except AgentAuthError as error:
                        # A socket whose end the server has not noticed still holds the place.
                        if error.reason != TAKEN_OVER:
                            # A token lives for a day, a call may last longer. A fresh one is no older.
                            if self._refresh is None or token is not None:
                                raise
                            refused = error
                        last = error
                    except _NotWantedError as error:
                        raise (refused or lost) from error.__cause__
                    except PASSING as error:
                        last = error
                        goodbye = goodbye or isinstance(error, SessionClosedError)
                    _log.info("%s: attempt %d failed (%s)", self._what, attempts, last)
        except TimeoutError as error:
            code = lost.code if isinstance(lost, SessionLostError) else 1000
            # Without the advice of the last attempt: a message has one.
            reason = str(last).partition(": ")[0]
            raise SessionLostError(
                f"the {self._what} was lost and did not come back within {self._give_up_after:g} s "
                f"({reason}): is the server still running?",
                code,
            ) from error

    async def _pause(self, seconds: float) -> None:
        """Wait, shorter where somebody knows that the server is back."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._hurry.wait()
        if self._hurry.is_set():
            self._hurry.clear()
            await asyncio.sleep(min(random.uniform(0, HURRIED_WITHIN), max(until - loop.time(), 0)))

    async def _ask(self, lost: Exception) -> str:
        assert self._refresh is not None
        try:
            token = self._refresh()
            if inspect.isawaitable(token):
                token = await token
        except NotFoundError as error:
            raise _NotWantedError from error
        if token is None:
            raise _NotWantedError
        return token


class _NotWantedError(Exception):
    """The agent's peer or its room is gone."""
