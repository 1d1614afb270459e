"""Understanding of one turn: words are told as they come, and kept until the turn is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import assert_never

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade.closing import ENDING, end
from fishjam_agents.backends.cascade.components import EndOfSpeech, LLMUsage, SpeechToText, Transcript
from fishjam_agents.backends.cascade.fallback_component import FallbackComponent
from fishjam_agents.backends.cascade.nonspeech import spoken_words
from fishjam_agents.backends.cascade.speech import Speech
from fishjam_agents.errors import BackendError


class Listening:
    """Has one turn understood.

    Args:
        speech: Its sound.
        stt: Who understands.
        emit: Takes events.
        told: Whether words are told as they come, or only asked for.

    Attributes:
        speech: Its sound.
        words: What is understood so far, without what is no words.
        ended: Media time of the turn's last sound, once it is known.
    """

    def __init__(
        self,
        speech: Speech,
        stt: FallbackComponent[SpeechToText],
        emit: Callable[[port.BackendEvent], None],
        *,
        told: bool = True,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.speech = speech
        self.words = ""
        self.ended: float | None = None
        self._stt = stt
        self._emit = emit
        self._told = told
        self._task: asyncio.Task[None] | None = None
        self._paused_at: float | None = None
        self._stable = self._loop.create_future()
        self._worded = self._loop.create_future()
        # Takes the final words of a turn that was answered before they came.
        self._reword: Callable[[str], None] | None = None

    def start(self) -> None:
        """Begin to listen while the turn goes on."""
        self._task = self._loop.create_task(self.run(), name=f"words of {self.speech.peer}")
        self._task.add_done_callback(self._over)

    async def run(self) -> None:
        """Understand the turn.

        Raises:
            BackendError: A part failed, and all that could stand in for it.
        """
        speech = self.speech
        asked = self._stt.ask(lambda part: part.hear(speech), restart=True, speech=speech)
        async with aclosing(asked) as pieces:
            async for piece in pieces:
                match piece:
                    case LLMUsage():
                        self._emit(port.BackendUsage(piece.amounts))
                    case EndOfSpeech():
                        self._emit(port.UserSpeech(False))
                    case Transcript():
                        self._understood(piece)
                    case _:
                        assert_never(piece)

    @property
    def goes_on(self) -> bool:
        """True while more may come by itself."""
        return self._task is not None and not self._task.done()

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            await end(self._task, deadline=ENDING)

    # --- pauses ---

    def pause(self, media_at: float) -> None:
        """Take note that the speaker is quiet since this moment, media time."""
        self._paused_at = media_at
        self._stable = self._loop.create_future()
        self.speech.pause(media_at)

    def resume(self) -> None:
        """Take note that the speaker goes on."""
        self._paused_at = None
        self.speech.resume()

    async def stable(self) -> str:
        """Wait until all that was said before the current pause is understood, and return the words."""
        words: str = await asyncio.shield(self._stable)
        return words

    # --- the end ---

    async def final(self, wait: float, reword: Callable[[str], None]) -> str:
        """Return the words of the turn, which is over: "" where nobody said any.

        Args:
            wait: Seconds for the final transcript, where words are there; what is understood by then is the
                turn.
            reword: Takes the final words of such a turn, if they come and are others.

        Raises:
            BackendError: Nothing was understood, because every part failed.
        """
        task = self._task
        if task is None:
            await self.run()
            return self.words
        await asyncio.wait([task], timeout=wait)
        if not task.done():
            await asyncio.wait([task, self._worded], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            self._reword = reword
            self._warn(f"it was not final {wait:g} s after the end of the turn")
            return self.words
        error = task.exception()
        if error is not None:
            if not isinstance(error, BackendError) or not error.retryable or not self.words:
                raise error
            self._warn(str(error))
            self._tell(final=True)
        return self.words

    def _warn(self, why: str) -> None:
        self._emit(port.BackendWarning(f"a transcript is answered as far as it came: {why}"))

    def _over(self, task: asyncio.Task[None]) -> None:
        failed = task.cancelled() or task.exception() is not None
        if not self._stable.done():
            if failed:
                self._stable.cancel()
            else:
                self._stable.set_result(self.words)
        if failed and self._reword is not None:
            # It stays as it was answered.
            self._tell(final=True)

    # --- words ---

    def _understood(self, piece: Transcript) -> None:
        words = spoken_words(piece.text, self.speech.samples)
        changed, self.words = words != self.words, words
        if words and not self._worded.done():
            self._worded.set_result(None)
        stable = piece.stable and self._paused_at is not None
        if (stable or piece.final) and not self._stable.done():
            self._stable.set_result(words)
            if words and self._paused_at is not None:
                self._emit(port.PauseTranscript(words, self._paused_at, self.speech.peer))
        if piece.final or changed:
            self._tell(final=piece.final, end=self._end(piece, stable))
        if piece.final and self._reword is not None:
            self._reword(words)

    def _end(self, piece: Transcript, stable: bool) -> float | None:
        """Return where the last of these words ended, media time, as far as that is known."""
        if piece.end is not None:
            return self.speech.media_at(piece.end)
        return self.ended if piece.final else self._paused_at if stable else None

    def _tell(self, *, final: bool, end: float | None = None) -> None:
        if self._told and self.words:
            speech = self.speech
            self._emit(port.UserTranscript(self.words, final, speech.peer, speech.start, end))
