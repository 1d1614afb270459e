"""Sound of one turn on its way to a recogniser, while it is being said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from fishjam_agents.audio.samples import Samples

RATE = 16000
"""Hz of all sound that speech to text gets."""
_BLOCK = RATE
"""Samples that are given at a time at most: services bound the length of a message."""


@dataclass(frozen=True, slots=True)
class Paused:
    """Mark that the speaker is quiet: have what was said until here understood, the turn may be over.

    No more sound follows unless the speaker goes on.

    Attributes:
        at: Where the last sound ended, seconds of this speech.
    """

    at: float


SpeechPiece: TypeAlias = Samples | Paused


class Speech:
    """Speech of one speaker in one turn: its sound from the onset on, its pauses, and its end.

    All of it is kept until the turn is understood, so that a part that begins anew has it from the beginning.
    Whoever follows it may be several, each at a pace of its own.

    Args:
        peer: Who speaks.
        start: Onset of the turn, media time.
        before: Seconds of sound before the onset.
    """

    def __init__(self, peer: str | None = None, start: float = 0.0, before: float = 0.0) -> None:
        self.peer = peer
        self.start = start
        self._before = before
        # Grown by doubling: whoever follows takes views of it at every frame.
        self._buffer: Samples = np.empty(0, np.int16)
        # What is heard in a pause: the speaker's if they go on.
        self._quiet: list[Samples] = []
        self._length = 0
        self._paused: Paused | None = None
        self._is_over = False
        self._when_over: list[Callable[[], None]] = []
        self._waiting: set[asyncio.Future[None]] = set()

    @classmethod
    def complete(cls, audio: Samples, peer: str | None = None, start: float = 0.0) -> Speech:
        """A turn that is over.

        Args:
            audio: int16 mono at 16 kHz, shape (n,).
            peer: Who spoke.
            start: Onset of the turn, media time.
        """
        speech = cls(peer, start)
        if len(audio):
            speech.append(audio)
        speech.end()
        return speech

    @property
    def is_over(self) -> bool:
        """True once the turn has ended."""
        return self._is_over

    @property
    def seconds(self) -> float:
        """Length of the sound that is there."""
        return self._length / RATE

    @property
    def samples(self) -> Samples:
        """The sound that is there: int16 mono at 16 kHz, shape (n,)."""
        return self._buffer[: self._length]

    def media_at(self, at: float) -> float:
        """Return the media time of a moment, given in seconds of this speech."""
        return self.start - self._before + at

    # --- who hears it ---

    def append(self, samples: Samples) -> None:
        """Take more sound."""
        if self._paused is not None:
            self._quiet.append(samples)
            return
        end = self._length + len(samples)
        if end > len(self._buffer):
            grown = np.empty(max(end, 2 * len(self._buffer)), np.int16)
            grown[: self._length] = self._buffer[: self._length]
            self._buffer = grown
        self._buffer[self._length : end] = samples
        self._length = end
        self._wake()

    def pause(self, media_at: float) -> None:
        """Take note that the speaker is quiet since this moment, media time."""
        self._paused = Paused(media_at - self.start + self._before)
        self._wake()

    def resume(self) -> None:
        """Take note that the speaker goes on: what was heard meanwhile belongs to it."""
        self._paused = None
        quiet, self._quiet = self._quiet, []
        for samples in quiet:
            self.append(samples)
        self._wake()

    def end(self) -> None:
        """Take note that the turn is over; the quiet since its last pause is none of it."""
        self._is_over = True
        self._quiet.clear()
        callbacks, self._when_over = self._when_over, []
        for callback in callbacks:
            callback()
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    # --- who understands it ---

    async def over(self) -> None:
        """Wait until the turn is over."""
        while not self._is_over:
            await self._more()

    def when_over(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have a function called when the turn ends, at once if it has.

        Returns:
            What takes that back.
        """
        if self._is_over:
            callback()
            return lambda: None
        self._when_over.append(callback)

        def forget() -> None:
            if callback in self._when_over:
                self._when_over.remove(callback)

        return forget

    async def follow(self, start: int = 0) -> AsyncIterator[SpeechPiece]:
        """Yield the sound as it comes, and a `Paused` at each pause, until the turn is over.

        Args:
            start: The first sample that is wanted.

        Returns:
            int16 mono at 16 kHz, a second at a time at most, and marks. Pauses that were over before anybody
            was asked about them are left out.
        """
        at, told = start, None
        while True:
            if at < self._length:
                block = self.samples[at : at + _BLOCK]
                at += len(block)
                yield block
            elif self._paused is not None and self._paused is not told:
                told = self._paused
                yield told
            elif self._is_over:
                return
            else:
                await self._more()

    async def _more(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)
