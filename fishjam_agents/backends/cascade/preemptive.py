"""Preemptive generation: an answer that is begun while it is only likely that the turn is over.

A speaker pauses, and 0.4 s later or so that pause is the end of the turn, or it is not. What is made
meanwhile is held back, all of it: no word of it is heard, in the history or in a tool before the turn has
ended with the words that were answered.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade.components import Message
from fishjam_agents.backends.cascade.reply import Reply


@dataclass(frozen=True, slots=True)
class ConversationSnapshot:
    """Basis of an answer beside the words. An answer that was made on another basis is out of date."""

    version: int
    instructions: str | None
    tools: Sequence[port.ToolDeclaration]
    notes: Sequence[str]


class PreemptiveGeneration:
    """One answer begun before its turn was over.

    Args:
        reply: Makes it, held back until `admitted` is done.
        admitted: What `reply` waits for.
        basis: What it is based on.
        paused: Media time of the speaker's last sound.
        transcribe: Understands what the speaker has said so far; "" when that means nothing.
        messages: The conversation with these words; None when it is out of date already.

    Attributes:
        since: When it began, loop time.
        understood: When the words were there, loop time, and the language model was asked.
        peer: Who speaks.
        task: The work; it fails with what a part failed with.
    """

    def __init__(
        self,
        reply: Reply,
        admitted: asyncio.Future[None],
        basis: ConversationSnapshot,
        peer: str | None,
        paused: float,
        transcribe: Callable[[], Awaitable[str]],
        messages: Callable[[str], Sequence[Message] | None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.reply = reply
        self.basis = basis
        self.peer = peer
        self.paused = paused
        self.since = self.understood = loop.time()
        self._admitted = admitted
        self._transcribe = transcribe
        self._messages = messages
        self._wanted = True
        self._words: asyncio.Future[str | None] = loop.create_future()
        self.task = loop.create_task(self._run(), name=f"{reply.id}, before its turn is over")
        self.task.add_done_callback(self._over)

    async def transcript(self) -> str | None:
        """Wait for the transcript and return it; None if that failed."""
        # Whoever stops waiting does not stop the work.
        await asyncio.wait([self._words])
        return self._words.result()

    @property
    def failed(self) -> bool:
        """True if it failed, and the turn has to be answered without it."""
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)

    def accept(self) -> None:
        """The turn has ended as expected: the answer is heard, as far as it is there, and goes on."""
        if not self._admitted.done():
            self._admitted.set_result(None)

    def discard(self) -> None:
        """Nobody wants the answer, at most the words."""
        self._wanted = False
        if self._words.done():
            self.task.cancel()

    async def _run(self) -> None:
        words = await self._transcribe()
        self.understood = asyncio.get_running_loop().time()
        self._words.set_result(words)
        messages = self._messages(words) if words and self._wanted else None
        if messages is not None:
            await self.reply.run(messages)

    def _over(self, task: asyncio.Task[None]) -> None:
        if not self._words.done():
            self._words.set_result(None)
        # Told to whoever adopts it; a part that fails for an answer that nobody wants fails silently.
        if not task.cancelled():
            task.exception()


def same_words(one: str, other: str) -> bool:
    """Return whether two transcripts say the same, whatever their case, accents and punctuation."""
    return _normal(one) == _normal(other)


def _normal(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(sign if sign.isalnum() else " " for sign in folded if sign not in "'\u2019").split()
