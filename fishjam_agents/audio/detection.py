"""Voice detection of one microphone: a detector, and what corrects its decisions."""

from __future__ import annotations

from fishjam_agents.audio.detectors import DetectorName, make_detector
from fishjam_agents.audio.echo import Echo, EchoSource
from fishjam_agents.audio.near_voice import NearVoice
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.second_opinion import NetworkName, SecondOpinion, make_network
from fishjam_agents.audio.vad import Decision, PresetName


class Detection:
    """Decisions on one microphone's frames; one object per stream, causal.

    Args:
        vad: The detector.
        preset: How readily it takes a sound for speech.
        second_opinion: Who is asked where it may be wrong, a key of `audio.second_opinion.NETWORKS`; None for
            nobody.
        near_voice: Whether voices far below that of the speaker count for nothing.

    Raises:
        MissingExtraError: A package is not installed.

    Attributes:
        start: Sum of scores at which the turn machine suspects speech.
        second: Who is asked; None for nobody.
        near: What is known of the speaker's voice; None where all voices count.
    """

    def __init__(
        self,
        vad: DetectorName = "default",
        preset: PresetName = "default",
        second_opinion: NetworkName | None = None,
        near_voice: bool = False,
    ) -> None:
        self._detector = make_detector(vad, preset)
        self.start = self._detector.start
        self.second = None if second_opinion is None else SecondOpinion(make_network(second_opinion))
        self.near = NearVoice() if near_voice else None

    @property
    def echo(self) -> Echo | None:
        """The echo of the bot's voice expected in the last frame; None while none is."""
        return self._detector.echo

    def restart(self) -> None:
        """Forget the noise and who spoke, not the echo: what comes next may be another room, or device."""
        self._detector.restart()
        if self.second is not None:
            self.second.restart()
        if self.near is not None:
            self.near.restart()

    def feed(
        self,
        frame: Samples,
        in_speech: bool,
        accumulating: bool = True,
        playing: EchoSource | None = None,
        barge_in: bool = False,
    ) -> Decision:
        """Judge the next 20 ms.

        Args:
            frame: int16 mono at 16 kHz, shape (320,).
            in_speech: Whether the turn machine follows a sound.
            accumulating: As `vad.Detector.feed` has it.
            playing: As `vad.Detector.feed` has it.
            barge_in: Whether the bot is speaking.
        """
        decision = self._detector.feed(frame, in_speech, accumulating, playing)
        if self.second is not None:
            echo = self._detector.echo is not None
            decision = self.second.judge(frame, decision, in_speech, barge_in, echo)
        if self.near is not None:
            decision = self.near.judge(decision, in_speech, self._detector.echo is not None)
        return decision
