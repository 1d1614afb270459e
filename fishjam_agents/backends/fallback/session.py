"""A connection to whichever backend serves the call, seen as a connection to the first one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from fishjam_agents.backends.fallback.adapter import BackendAdapter
from fishjam_agents.backends.fallback.state import ActiveBackend, FallbackState
from fishjam_agents.backends.link import REFRESH_INTERVAL
from fishjam_agents.backends.port import (
    AudioInput,
    BackendInput,
    BackendSession,
    InlineSession,
    InterruptInput,
    SessionRefresh,
    TextInput,
    ToolResultInput,
    UpdateInput,
)
from fishjam_agents.errors import TRIED_AGAIN, BackendError
from fishjam_agents.race import race

_LOOK_INTERVAL = 0.1
"""Seconds between two looks at whether it is quiet."""
_PAUSE = 0.7
"""Seconds without speech after which nobody speaks where no turns are announced: models take as long to find
the end of a turn."""
_SILENT_END = 10.0
"""Seconds without sound after which a reply counts as over: full-duplex models tell of no end."""
_ANSWER_TIMEOUT = 60.0
"""Seconds after which what users said counts as left without an answer: models may keep silent."""

Probe: TypeAlias = Callable[[int], Awaitable[bool]]
"""Check that the backend of that index accepts a connection; one that does not rests again."""


class FallbackSession(BackendSession):
    """A live connection to one of the backends.

    Args:
        session: Its own.
        state: Of the call.
        active: The backend.
        adapter: Its adapter.
        probe: Tries a backend that is preferred to it.

    Attributes:
        returning: Whether it is left for a backend that is preferred.
    """

    def __init__(
        self,
        session: BackendSession | InlineSession,
        state: FallbackState,
        active: ActiveBackend,
        adapter: BackendAdapter,
        probe: Probe,
    ) -> None:
        self.returning = False
        self._session = session
        self._state = state
        self._active = active
        self._adapter = adapter
        self._probe = probe
        self._loop = asyncio.get_running_loop()
        self._sending = False
        self._speech_at = 0.0

    async def begin(self) -> None:
        """Send a backend that takes over what nobody has answered yet."""
        pending = self._state.pending_input
        if not self._is_waited_for():
            pending.settle()
        for item in pending.unanswered():
            if not await self._pass_on(item):
                pending.drop(item)

    async def send(self, item: BackendInput) -> None:
        """Pass an input on; while the backend is being left, wait for the end instead."""
        if self.returning:
            await asyncio.Future()
        self._sending = True
        try:
            self._prepare(item)
            passed = await self._pass_on(item)
        except BaseException:
            self._state.pending_input.drop(item)
            raise
        finally:
            self._sending = False
        if passed or not isinstance(item, TextInput):
            self._state.pending_input.sent(item)
        if not passed:
            self._state.pending_input.drop(item)
        if isinstance(item, ToolResultInput):
            self._adapter.result_sent(item)

    def _prepare(self, item: BackendInput) -> None:
        """Record an input before the backend gets it, since the backend may answer at once."""
        self._state.pending_input.asked(item)
        self._state.sent_at = self._loop.time()
        if isinstance(item, UpdateInput):
            self._state.update(item)
        elif isinstance(item, InterruptInput):
            self._adapter.interrupt(item)
        elif isinstance(item, TextInput):
            if item.reply is not None:
                self._state.will_say(item.reply, item.text if item.verbatim else None)
            else:
                transcript = self._state.transcript
                (transcript.note if item.note else transcript.user)(item.text)
        elif isinstance(item, AudioInput) and item.speech:
            self._speech_at = self._loop.time()

    async def _pass_on(self, item: BackendInput) -> bool:
        passed = False
        for own in self._adapter.inputs(item):
            passed = True
            if isinstance(self._session, InlineSession):
                self._session.handle(own)
            else:
                await self._session.send(own)
        return passed

    async def read(self) -> None:
        """Read until the connection ends, or a backend that is preferred works again.

        Raises:
            BackendError: It failed.
            ConversationEnded: The conversation is over.
            SessionRefresh: It, or another backend, is to be connected to at once.
        """
        work = {"watch": self._watch(), "unanswered": self._unanswered()}
        if isinstance(self._session, BackendSession):
            work["read"] = self._read(self._session)
        await race("fallback", **work)

    async def _read(self, session: BackendSession) -> None:
        await session.read()
        raise BackendError("ended the session", subject=self._active.name, action=TRIED_AGAIN, retryable=True)

    async def _unanswered(self) -> None:
        raise BackendError(await self._adapter.unanswered, retryable=True)

    # --- the way back ---

    async def _watch(self) -> None:
        """Wait for a quiet moment in which a backend that is preferred can be connected to."""
        # A connection that is renewed before counts as failed.
        earliest = self._loop.time() + REFRESH_INTERVAL + _LOOK_INTERVAL
        while True:
            better = self._state.policy.health.better(self._active.index)
            if not better:
                await asyncio.Future()
            index = min(better, key=lambda known: (max(better[known], earliest), known))
            await asyncio.sleep(max(better[index], earliest) - self._loop.time())
            if not await self._probe(index):
                continue
            while True:
                if self._quiet():
                    self.returning = True
                    raise SessionRefresh(f"{self._active.name} stood in long enough")
                await asyncio.sleep(_LOOK_INTERVAL)

    def _quiet(self) -> bool:
        """Return whether nobody would notice: nobody speaks, the bot included, and nothing is owed."""
        state, now = self._state, self._loop.time()
        return not (
            self._sending
            or state.pending_input.turn_open
            or (state.pending_input.owed and self._is_waited_for())
            or (self._adapter.open and now - state.sounds_until < _SILENT_END)
            or self._active.pending
            or now < state.sounds_until
            or now - self._speech_at < _PAUSE
        )

    def _is_waited_for(self) -> bool:
        """Return whether an answer to the last input may still come."""
        return self._loop.time() - self._state.sent_at < _ANSWER_TIMEOUT
