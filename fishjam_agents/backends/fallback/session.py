"""A connection to whichever backend serves the call, seen as a connection to the first one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from fishjam_agents.backends.fallback.active_backend import ActiveBackend, Memory
from fishjam_agents.backends.fallback.input_adapter import InputAdapter
from fishjam_agents.backends.fallback.output_adapter import OutputAdapter
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
from fishjam_agents.errors import BackendError

_GLANCE = 0.1
"""Seconds between two looks at whether it is quiet."""
_PAUSE = 0.7
"""Seconds without speech after which nobody speaks where no turns are announced: models take as long to find
the end of a turn."""
_BREATH = 10.0
"""Seconds without sound after which a reply counts as over: full-duplex models tell of no end."""
_PATIENCE = 60.0
"""Seconds after which what users said counts as left without an answer: models may keep silent."""

Probe: TypeAlias = Callable[[int], Awaitable[bool]]
"""Check that the backend of that index accepts a connection; one that does not rests again."""


class FallbackSession(BackendSession):
    """A live connection to one of the backends.

    Args:
        session: Its own.
        memory: Of the call.
        tenure: Whose it is.
        feed: Makes its entries.
        speaker: Makes our events.
        probe: Tries a backend that is preferred to it.

    Attributes:
        returning: Whether it is left for a backend that is preferred.
    """

    def __init__(
        self,
        session: BackendSession | InlineSession,
        memory: Memory,
        tenure: ActiveBackend,
        feed: InputAdapter,
        speaker: OutputAdapter,
        probe: Probe,
    ) -> None:
        self.returning = False
        self._session = session
        self._memory = memory
        self._tenure = tenure
        self._feed = feed
        self._speaker = speaker
        self._probe = probe
        self._loop = asyncio.get_running_loop()
        self._sending = False
        self._speech_at = 0.0

    async def begin(self) -> None:
        """Tell a backend that takes over what nobody has answered yet."""
        exchange = self._memory.pending_input
        if not self._waited_for():
            exchange.settle()
        for entry in exchange.unanswered():
            if not await self._pass_on(entry):
                exchange.drop(entry)

    async def send(self, entry: BackendInput) -> None:
        """Pass an entry on; while the backend is being left, wait for the end instead."""
        if self.returning:
            await asyncio.Future()
        self._sending = True
        try:
            self._prepare(entry)
            passed = await self._pass_on(entry)
        except BaseException:
            self._memory.pending_input.drop(entry)
            raise
        finally:
            self._sending = False
        if passed or not isinstance(entry, TextInput):
            self._memory.pending_input.sent(entry)
        if not passed:
            self._memory.pending_input.drop(entry)
        if isinstance(entry, ToolResultInput):
            self._speaker.answered(entry)

    def _prepare(self, entry: BackendInput) -> None:
        """Record an entry before the backend gets it, since the backend may answer at once."""
        self._memory.pending_input.asked(entry)
        self._memory.told_at = self._loop.time()
        if isinstance(entry, UpdateInput):
            self._memory.updated(entry)
        elif isinstance(entry, InterruptInput):
            self._speaker.interrupted(entry)
        elif isinstance(entry, TextInput):
            if entry.verbatim and entry.reply is not None:
                self._memory.will_say(entry.reply, entry.text)
            else:
                transcript = self._memory.transcript
                (transcript.note if entry.note else transcript.user)(entry.text)
        elif isinstance(entry, AudioInput) and entry.speech:
            self._speech_at = self._loop.time()

    async def _pass_on(self, entry: BackendInput) -> bool:
        passed = False
        for own in self._feed.inputs(entry):
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
        tasks = {
            asyncio.create_task(self._watch(), name="fallback-watch"),
            asyncio.create_task(self._unanswered(), name="fallback-unanswered"),
        }
        if isinstance(self._session, BackendSession):
            tasks.add(asyncio.create_task(self._read(self._session), name="fallback-read"))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, session: BackendSession) -> None:
        await session.read()
        raise BackendError(f"{self._tenure.name} ended the session: it is tried again", retryable=True)

    async def _unanswered(self) -> None:
        raise BackendError(await self._speaker.unanswered, retryable=True)

    # --- the way back ---

    async def _watch(self) -> None:
        """Wait for a quiet moment in which a backend that is preferred can be connected to."""
        # A connection that is renewed before counts as failed.
        earliest = self._loop.time() + REFRESH_INTERVAL + _GLANCE
        while True:
            better = self._memory.standings.better(self._tenure.index)
            if not better:
                await asyncio.Future()
            index = min(better, key=lambda known: (max(better[known], earliest), known))
            await asyncio.sleep(max(better[index], earliest) - self._loop.time())
            if not await self._probe(index):
                continue
            while True:
                if self._quiet():
                    self.returning = True
                    raise SessionRefresh(f"{self._tenure.name} stood in long enough")
                await asyncio.sleep(_GLANCE)

    def _quiet(self) -> bool:
        """Return whether nobody would notice: nobody speaks, the bot included, and nothing is owed."""
        memory, now = self._memory, self._loop.time()
        return not (
            self._sending
            or memory.pending_input.turn_open
            or (memory.pending_input.owed and self._waited_for())
            or (self._speaker.open and now - memory.sounds_until < _BREATH)
            or self._tenure.pending
            or now < memory.sounds_until
            or now - self._speech_at < _PAUSE
        )

    def _waited_for(self) -> bool:
        """Return whether an answer to the last input may still come."""
        return self._loop.time() - self._memory.told_at < _PATIENCE
