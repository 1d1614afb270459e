"""Speech to text over a Realtime session of the type `transcription`: the settings, and a call's part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from fishjam_agents.backends.cascade import (
    LLMUsage,
    Speech,
    StreamingSpeechToText,
    Transcript,
    TranscriptPiece,
)
from fishjam_agents.errors import BackendError
from fishjam_agents_openai.live.keeper import Keeper
from fishjam_agents_openai.live.settings import LiveSettings
from fishjam_agents_openai.live.turn import LiveTurn, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTranscription(LiveSettings, StreamingSpeechToText):
    """Words while they are spoken; its settings are those of `LiveSettings`."""

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[_Connected]:
        """Keep a connection for the length of a call; it is begun here and not waited for."""
        await self.load()
        keeper = Keeper(self)
        task = asyncio.get_running_loop().create_task(keeper.run(), name="openai transcription")
        try:
            yield _Connected(self, keeper)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await keeper.close()

    def hear(self, speech: Speech) -> AsyncIterator[TranscriptPiece]:
        """Only what `connect` yields understands."""
        raise BackendError("enter connect() first: it yields the part that understands")


class _Connected(StreamingSpeechToText):
    def __init__(self, settings: LiveSettings, keeper: Keeper) -> None:
        self._settings = settings
        self._keeper = keeper
        # Of turns whose connection was lost: they are asked about again.
        self._progress: WeakKeyDictionary[Speech, Progress] = WeakKeyDictionary()

    async def hear(self, speech: Speech) -> AsyncIterator[TranscriptPiece]:
        if speech.is_over and not len(speech.samples):
            yield Transcript("", final=True)
            return
        connection = await self._keeper.connection()
        turn = LiveTurn(speech, self._progress.setdefault(speech, Progress()), connection)
        try:
            while True:
                await self._news(turn, speech)
                for costs in turn.costs():
                    yield LLMUsage(costs)
                for transcript in turn.transcripts():
                    yield transcript
                    if transcript.final:
                        return
                turn.raise_failure(self._settings.source("the transcript"))
        finally:
            await turn.leave()

    async def _news(self, turn: LiveTurn, speech: Speech) -> None:
        """Wait for news of a turn: as long as it goes on, and then for a while."""
        loop, limit = asyncio.get_running_loop(), self._settings.timeout
        try:
            async with asyncio.timeout(None) as timer:
                forget = speech.when_over(lambda: timer.reschedule(loop.time() + limit))
                try:
                    await turn.news()
                finally:
                    forget()
        except TimeoutError as error:
            # What says nothing now will hardly do so for the next turn.
            turn.abandon()
            what = self._settings.source("the transcript")
            raise BackendError(f"{what} did not come in time: try again", retryable=True) from error
