"""One ordered queue from the pipeline to a backend, bounded where it may lose and nowhere else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from fishjam_agents.backends.port import AudioInput, BackendInput, UpdateInput
from fishjam_agents.backends.replacement import Replacement

OutboxEntry: TypeAlias = BackendInput | Replacement


class Outbox:
    """Entries in the order they were written.

    Audio is bounded in seconds and drops its own oldest audio; every other input is kept, and nothing
    overtakes anything.

    Args:
        max_audio: Seconds of audio held while the backend does not take any.

    Attributes:
        dropped: Seconds of audio dropped so far.
    """

    def __init__(self, max_audio: float = 10.0) -> None:
        self._max_audio = max_audio
        self._entries: deque[OutboxEntry] = deque()
        self._audio = 0.0
        self._returned: AudioInput | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.dropped = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, item: OutboxEntry) -> None:
        """Append an entry. Never waits, never fails."""
        self._entries.append(item)
        if isinstance(item, AudioInput):
            self._audio += item.seconds
            if self._audio > self._max_audio:
                self._drop_oldest()
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _drop_oldest(self) -> None:
        while self._audio > self._max_audio:
            for index, item in enumerate(self._entries):
                if isinstance(item, AudioInput) and item is not self._returned:
                    del self._entries[index]
                    self._audio -= item.seconds
                    self.dropped += item.seconds
                    break
            else:
                return

    async def peek(self) -> OutboxEntry:
        """Wait for the oldest input and leave it in place, so that a failed send loses nothing."""
        while not self._entries:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._entries[0]

    def sent(self, item: OutboxEntry) -> None:
        """Take the input that was peeked out, unless it has been dropped meanwhile."""
        if self._entries and self._entries[0] is item:
            self._entries.popleft()
            if item is self._returned:
                self._returned = None
            elif isinstance(item, AudioInput):
                self._audio -= item.seconds

    def put_back(self, items: Sequence[BackendInput]) -> None:
        """Put what was sent before all others, for another backend; its audio is one, and never dropped."""
        audio = [item for item in items if isinstance(item, AudioInput)]
        self._entries.extendleft(reversed([item for item in items if not isinstance(item, AudioInput)]))
        if not audio:
            return
        samples = np.concatenate([item.samples for item in audio])
        seconds = sum(item.seconds for item in audio)
        self._returned = AudioInput(audio[-1].peer, samples, seconds, speech=True)
        self._entries.insert(len(items) - len(audio), self._returned)

    def drop_updates(self) -> None:
        """Take out what was meant for a backend that does not go on."""
        self._entries = deque(item for item in self._entries if not isinstance(item, UpdateInput))

    def take_replacement(self) -> Replacement | None:
        """Take the oldest replacement of the backend out; None where none waits."""
        for index, item in enumerate(self._entries):
            if isinstance(item, Replacement):
                del self._entries[index]
                return item
        return None

    def amend(self, update: UpdateInput) -> bool:
        """Have the latest replacement that waits begin with an update; return whether one waits."""
        for index in reversed(range(len(self._entries))):
            item = self._entries[index]
            if isinstance(item, Replacement):
                self._entries[index] = item.updated(update)
                return True
        return False
