"""Input of the emulated Realtime service: input buffer, its own voice detection, transcription."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed

from fishjam_agents.audio.samples import Samples

RATE = 24000
_LOUD = 500
"""Peak of a frame, of 32768, that is taken for speech."""
_QUIET = 0.5
"""Seconds of quiet that end a turn, unless the session says otherwise."""
_PADDING = 0.3
"""Seconds before speech that belong to it."""
_WRITTEN_AFTER = 0.2
"""Seconds after which a turn is written down that the model does not answer with sound meanwhile."""
_SHORTEST = 0.1
"""Seconds below which a buffer is not committed."""

Tell = Callable[..., Awaitable[None]]


def audio_item(item: str) -> dict[str, Any]:
    """Return an item of the conversation that was heard, as the service tells of it."""
    content = [{"type": "input_audio", "transcript": None}]
    return {"id": item, "type": "message", "role": "user", "status": "completed", "content": content}


class InputBuffer:
    """The input of one connection.

    Args:
        tell: Sends an event.
        ids: For items.
        words: What the next turn is understood as, given its length in seconds.
    """

    def __init__(self, tell: Tell, ids: itertools.count[int], words: Callable[[float], str]) -> None:
        self._tell = tell
        self._ids = ids
        self._words = words
        self._audio = b""
        self._turn = b""
        self._heard = 0.0
        self._loud_until = 0.0
        self._session: Mapping[str, Any] = {}
        self.speech: str | None = None
        self._unwritten: deque[tuple[str, float, str]] = deque()
        self._later: asyncio.Task[None] | None = None

    def configure(self, session: Mapping[str, Any]) -> None:
        """Take the input half of a session: `audio.input`, or the flat fields of the beta."""
        self._session = session

    @property
    def detection(self) -> Mapping[str, Any] | None:
        """The turn detection, None where turns are the client's."""
        return self._session.get("turn_detection")

    async def append(self, data: bytes) -> bool:
        """More sound.

        Returns:
            Whether somebody begins to speak.
        """
        self._audio += data
        samples = np.frombuffer(data[: len(data) & ~1], "<i2")
        self._heard += len(samples) / RATE
        if self.detection is None:
            return False
        if len(samples) and int(np.abs(samples.astype(int)).max()) > _LOUD:
            self._loud_until = self._heard
            if self.speech is None:
                self.speech = f"item_{next(self._ids)}"
                at = max(0, round(1000 * (self._heard - len(samples) / RATE - _PADDING)))
                await self._tell("input_audio_buffer.speech_started", audio_start_ms=at, item_id=self.speech)
                return True
        return False

    async def pause(self) -> bool:
        """Return whether a turn has just ended; it is then committed."""
        if self.detection is None or self.speech is None:
            return False
        quiet = (self.detection.get("silence_duration_ms") or 1000 * _QUIET) / 1000
        if self._heard - self._loud_until <= quiet:
            return False
        item, self.speech = self.speech, None
        at = round(1000 * self._heard)
        await self._tell("input_audio_buffer.speech_stopped", audio_end_ms=at, item_id=item)
        await self.commit(item)
        return True

    def voice(self) -> Samples:
        """The last turn without the quiet around it: int16 mono at 24 kHz."""
        samples = np.frombuffer(self._turn[: len(self._turn) & ~1], "<i2").astype(np.int16)
        loud = np.flatnonzero(np.abs(samples.astype(int)) > _LOUD)
        return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]

    async def clear(self) -> None:
        """Forget what is not committed."""
        self._audio = b""
        await self._tell("input_audio_buffer.cleared")

    async def commit(self, item: str | None = None) -> bool:
        """Make an item of the buffer; False when there is too little of it."""
        seconds = len(self._audio) / 2 / RATE
        self._turn, self._audio = self._audio, b""
        if seconds < _SHORTEST:
            return False
        item = item or f"item_{next(self._ids)}"
        await self._tell("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        message = audio_item(item)
        await self._tell("conversation.item.added", item=message, previous_item_id=None)
        await self._tell("conversation.item.done", item=message, previous_item_id=None)
        if self._session.get("transcription") is not None:
            self._unwritten.append((item, seconds, self._words(seconds)))
            self._later = asyncio.get_running_loop().create_task(self._write_late())
        return True

    async def write(self) -> None:
        """Write down the turns that are not yet."""
        while self._unwritten:
            await self._transcribe(*self._unwritten.popleft())

    async def end(self) -> None:
        """The connection is over: nothing more is written down."""
        if self._later is not None:
            self._later.cancel()
            await asyncio.gather(self._later, return_exceptions=True)

    async def _write_late(self) -> None:
        await asyncio.sleep(_WRITTEN_AFTER)
        with contextlib.suppress(ConnectionClosed):
            await self.write()

    async def _transcribe(self, item: str, seconds: float, words: str) -> None:
        kind = "conversation.item.input_audio_transcription"
        place = {"item_id": item, "content_index": 0}
        half = len(words) // 2
        for piece in (words[:half], words[half:]):
            await self._tell(f"{kind}.delta", **place, delta=piece)
        usage = {"type": "duration", "seconds": seconds}
        await self._tell(f"{kind}.completed", **place, transcript=words, usage=usage)
