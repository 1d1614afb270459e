"""The kit for speech to text that hears people while they speak."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from fishjam_agents.backends.cascade import Speech, Transcript
from fishjam_agents.backends.cascade.components import STT_RATE
from fishjam_agents.errors import BackendError
from fishjam_agents.testing.conformance.component_suites import SpeechToTextConformance
from fishjam_agents.testing.conformance.components import Cut, FakeComponentService

_BLOCK = 0.02
"""Seconds of sound that come at a time."""
_LATE = 0.5


class _HeardTurn:
    """A turn that is spoken bit by bit, and what a part understands of it."""

    def __init__(self, part: Any, speech: Speech | None = None) -> None:
        self.speech = Speech("ann", 10.0) if speech is None else speech
        self.pieces: list[Any] = []
        self.task = asyncio.create_task(self._hear(part))

    async def _hear(self, part: Any) -> None:
        async for piece in part.hear(self.speech):
            self.pieces.append(piece)

    def says(self, seconds: float) -> None:
        block = (8000 * np.sin(np.arange(round(_BLOCK * STT_RATE)) / 5)).astype(np.int16)
        for _ in range(round(seconds / _BLOCK)):
            self.speech.append(block)

    @property
    def last(self) -> Transcript:
        transcripts = [piece for piece in self.pieces if isinstance(piece, Transcript)]
        return transcripts[-1] if transcripts else Transcript("")

    @property
    def text(self) -> str:
        return self.last.text.strip()

    @property
    def is_stable(self) -> bool:
        return self.last.stable or self.last.final

    async def ended(self) -> str:
        self.speech.end()
        await self.task
        return self.text

    async def taken_back(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class StreamingSpeechToTextConformance(SpeechToTextConformance):
    """Checks that a `StreamingSpeechToText` has to pass, beside those of whole turns."""

    async def _until(self, turn: _HeardTurn, holds: str, text: str, far: FakeComponentService) -> None:
        """Wait until a turn has these words, or failed."""

        def there() -> bool:
            stable = holds != "stable" or turn.is_stable
            return turn.task.done() or (turn.text == text and stable)

        await self.until(there, f"{holds} transcript {text!r} (but {turn.last})", far)
        if turn.task.done():
            turn.task.result()

    def test_words_come_while_the_turn_goes_on(self) -> None:
        """Before anybody has paused."""
        self.applies(self.steered().partials, "its words come at pauses only")

        async def check(part: Any, far: FakeComponentService) -> None:
            await far.answer(self.first, self.second)
            turn = _HeardTurn(part)
            turn.says(2.0)
            await self.until(lambda: turn.text != "" or turn.task.done(), "words", far)
            assert not turn.last.final, "it was final while the turn went on"
            assert await turn.ended() == self._whole
            self.judge(turn.pieces)

        self.run(check)

    def test_a_pause_has_all_before_it_understood(self) -> None:
        """And nothing is left to be waited for if the turn ends there."""

        async def check(part: Any, far: FakeComponentService) -> None:
            if far.connects:
                await far.answer(self.first, self.second)
            turn = _HeardTurn(part)
            turn.says(1.0)
            turn.speech.pause(10.8)
            await self.until(lambda: turn.is_stable or turn.task.done(), "stable transcript", far)
            assert not turn.task.done(), f"it ended at a pause: {turn.task}"
            before = turn.text
            turn.says(0.4)
            assert await turn.ended() == before, "other words than at the pause, though nothing was said"
            self.judge(turn.pieces)
            if far.connects:
                assert before == self._whole
                assert far.requests() == 1, "the quiet after the pause was another request"

        self.run(check)

    def test_who_goes_on_after_a_pause_is_understood_as_one_turn(self) -> None:
        """With all that was said in it, once."""
        self.steered()

        async def check(part: Any, far: FakeComponentService) -> None:
            await far.answer(self.first)
            turn = _HeardTurn(part)
            turn.says(0.6)
            turn.speech.pause(10.6)
            await self._until(turn, "stable", self.said_of(self.first), far)
            await far.answer(self.other)
            turn.says(0.2)
            turn.speech.resume()
            turn.says(0.4)
            whole = f"{self.said_of(self.first)} {self.said_of(self.other)}"
            assert await turn.ended() == whole
            self.judge(turn.pieces)

        self.run(check)

    def test_what_is_taken_back_leaves_nothing(self) -> None:
        """A sound over the bot's voice that was no turn."""

        async def check(part: Any, far: FakeComponentService) -> None:
            if far.connects:
                await far.answer(self.first)
            sound = _HeardTurn(part)
            sound.says(0.6)
            if far.connects:
                await self.until(lambda: far.open_requests() == 1, "sound at the service", far)
            await sound.taken_back()
            await self.until(lambda: far.open_requests() == 0, "end of the request", far)
            if far.connects:
                await far.answer(self.other)
                assert self.said(await self.all_of(part)) == self.said_of(self.other)

        self.run(check)

    def test_late_words_belong_to_the_turn_they_were_spoken_in(self) -> None:
        """The next turn may be over before they come."""
        self.steered()

        async def check(part: Any, far: FakeComponentService) -> None:
            await far.answer(_LATE, self.first)
            await far.answer(self.other)
            first = _HeardTurn(part)
            first.says(0.6)
            first.speech.end()
            await self.until(lambda: far.open_requests() == 1, "request", far)
            second = _HeardTurn(part)
            second.says(0.6)
            assert await second.ended() == self.said_of(self.other)
            await first.task
            assert first.text == self.said_of(self.first)

        self.run(check)

    def test_a_turn_whose_connection_is_lost_is_heard_when_it_is_asked_about_again(self) -> None:
        """All of it, and nothing twice."""
        self.applies(Cut in self.steered().shows, "its wire cannot be cut")

        async def check(part: Any, far: FakeComponentService) -> None:
            await far.answer(self.first)
            turn = _HeardTurn(part)
            turn.says(0.6)
            turn.speech.pause(10.6)
            await self._until(turn, "stable", self.said_of(self.first), far)
            turn.speech.resume()
            turn.says(0.6)
            await far.answer(Cut())
            turn.speech.end()
            error: BackendError | None = None
            try:
                await turn.task
            except BackendError as raised:
                error = raised
            assert error is not None, f"it did not fail, but said {turn.text!r}"
            assert error.retryable
            await far.answer(self.first, self.other)
            again = _HeardTurn(part, turn.speech)
            await again.task
            # A service that keeps nothing has heard all of it anew, one that does the rest.
            both = self.said_of(self.first, self.other)
            assert again.text in (both, f"{self.said_of(self.first)} {both}"), again.text

        self.run(check)
