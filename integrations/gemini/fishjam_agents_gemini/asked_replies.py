"""Replies that the app asks for, with instructions of its own, in a quiet moment.

The Live API has no message for that: the model is told as if the user had written, in brackets. What is
written interrupts what is being said (API reference, BidiGenerateContentClientContent), so it waits until
nothing is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fishjam_agents.backends.port import BackendEvent, ReplyAudioEnded, ReplyStarted, TextInput

from .session_continuity import SessionContinuity

_LOOK = 0.05
"""Seconds between looks for a quiet moment, once one is sought."""
TOLD = "[Not said by the user, who does not see this. Say now: {}]"


class AskedReplies:
    """Replies of a connection that the app asks for, one after the other.

    Args:
        memory: Of the call: those that have not begun are asked for again on the next connection.
        emit: Takes our events.
        quiet: Whether the model is free to answer.
    """

    def __init__(
        self,
        memory: SessionContinuity,
        emit: Callable[[BackendEvent], None],
        quiet: Callable[[], bool],
    ) -> None:
        self._memory = memory
        self._emit = emit
        self._quiet = quiet
        self._wanted = asyncio.Event()
        self._under_way: str | None = None
        if memory.asked:
            self._wanted.set()

    @property
    def under_way(self) -> bool:
        """True if the model has been asked for one and has not begun."""
        return self._under_way is not None

    def add(self, item: TextInput) -> None:
        """Ask for one as soon as that interrupts nothing."""
        self._memory.asked.append(item)
        self._wanted.set()

    async def watch(self, ask: Callable[[str], Awaitable[None]]) -> None:
        """Ask for what is wanted, each in a quiet moment, until cancelled.

        Args:
            ask: Tells the model.
        """
        while True:
            await self._wanted.wait()
            while not self._quiet():  # noqa: ASYNC110 - a quiet moment is many things together
                await asyncio.sleep(_LOOK)
            self._wanted.clear()
            if self._memory.asked and self._under_way is None:
                item = self._memory.asked[0]
                self._under_way = item.reply
                await ask(TOLD.format(item.text))

    def begins(self) -> str | None:
        """The model begins to speak: the id of the reply if it is one of these."""
        reply = self._under_way
        if reply is not None:
            self._next(reply)
        return reply

    def over(self) -> None:
        """The model has come to the end of its turn: it says nothing to what it was asked."""
        reply = self._under_way
        if reply is not None:
            self._next(reply)
            # Whoever waits for the end of what is said is not to wait for ever.
            self._emit(ReplyStarted(reply))
            self._emit(ReplyAudioEnded(reply))

    def takes_back(self, reply: str) -> None:
        """Ask no more for one that has not begun; what is under way is dropped as it comes."""
        if reply != self._under_way:
            self._forget(reply)

    def _next(self, reply: str) -> None:
        self._under_way = None
        self._forget(reply)
        if self._memory.asked:
            self._wanted.set()

    def _forget(self, reply: str) -> None:
        for item in list(self._memory.asked):
            if item.reply == reply:
                self._memory.asked.remove(item)
