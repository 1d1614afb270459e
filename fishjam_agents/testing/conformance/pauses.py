"""Checks of backends that are told of pauses: nothing of an answer to one is told before the turn is over."""

from __future__ import annotations

import numpy as np

from fishjam_agents.backends import port
from fishjam_agents.events import Turn
from fishjam_agents.testing.conformance.checks import Checks
from fishjam_agents.testing.conformance.fake_service import FakeService
from fishjam_agents.testing.conformance.harness import Harness

_SPOKEN = 0.6
_RESUMED = 1.2
_TOLD = (port.ReplyStarted, port.ReplyAudio, port.ReplyTextDelta, port.ToolCall, port.Interrupted)


class PauseChecks(Checks):
    """A turn that pauses, ends with the pause, or goes on."""

    def test_a_pause_that_ends_the_turn_is_answered_once_and_not_before(self) -> None:
        """With `wants_pauses`."""
        self._pauses(resumed=False)

    def test_a_pause_after_which_the_speaker_goes_on_is_answered_by_nobody(self) -> None:
        """With `wants_pauses`: only the whole turn is."""
        self._pauses(resumed=True)

    def _pauses(self, *, resumed: bool) -> None:
        self.applies(self.capabilities().wants_pauses, "wants no pauses")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            harness.put(port.TurnStartedInput("ann", 1.0))
            at = _speak(harness, _SPOKEN)
            harness.put(port.TurnPausedInput("ann", at, _audio(harness, _SPOKEN)))
            await harness.settle(0.5)
            assert not _told(harness), "an answer to a pause was told before the turn was over"
            seconds = _SPOKEN
            if resumed:
                harness.put(port.TurnResumedInput("ann"))
                at = _speak(harness, _RESUMED - _SPOKEN, at)
                seconds = _RESUMED
                await harness.settle(0.3)
                assert not _told(harness), "an answer to a pause was told though the speaker went on"
            harness.put(
                port.TurnEndedInput(Turn("turn-1", "ann", "ann-mic", 1.0, at), _audio(harness, seconds))
            )
            await harness.until(lambda: harness.of(port.ReplyAudio), "audio of a reply")
            await harness.settle(0.5)
            assert len({event.reply for event in harness.of(port.ReplyStarted)}) == 1, "more than one reply"
            finals = [event for event in harness.of(port.UserTranscript) if event.final]
            assert len(finals) <= 1, "one turn was understood more than once"

        self.run(check)


def _told(harness: Harness) -> list[port.BackendEvent]:
    return [
        event
        for event in harness.events
        if isinstance(event, _TOLD) or (isinstance(event, port.UserTranscript) and event.final)
    ]


def _audio(harness: Harness, seconds: float) -> port.Samples | None:
    if not harness.capabilities.wants_turn_audio:
        return None
    return np.full(round(seconds * harness.capabilities.input_rate), 1000, np.int16)


def _speak(harness: Harness, seconds: float, since: float = 1.0) -> float:
    """Somebody speaks; the media time of the last sound."""
    rate = harness.capabilities.input_rate
    if not harness.capabilities.wants_turn_audio:
        harness.put(port.AudioInput("ann", np.full(round(seconds * rate), 1000, np.int16), seconds))
    return since + seconds
