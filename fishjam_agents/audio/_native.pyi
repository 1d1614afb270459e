"""The compiled module, made of the C files in `native/`; ask `fishjam_agents.audio.compiled` for it."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.echo import Echo, EchoSource
from fishjam_agents.audio.echo_match import EchoMatch
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.vad import Decision

SOURCES: str
"""`native_sources.digest()` of the sources that it was built from."""

class Detector:
    """The compiled twin of `vad.Detector`; `vad.default_detector` makes it.

    Args:
        bias: `vad.Preset.bias`.
        start: `vad.Preset.start`.
        decision: The class of decisions, a named tuple.
        make_webrtc: Makes a webrtcvad, at first and for each restart.
    """

    start: float
    echo: Echo | None

    def __new__(
        cls,
        bias: float,
        start: float,
        decision: type[Decision],
        make_webrtc: Callable[[], Callable[[bytes, int, int], bool]],
    ) -> Detector: ...
    def restart(self) -> None: ...
    def feed(
        self,
        frame: Samples,
        in_speech: bool,
        accumulating: bool = True,
        playing: EchoSource | None = None,
    ) -> Decision: ...

class EchoGuard:
    """The twin of `audio.echo.EchoGuard`; it cannot be copied or pickled."""

    def __init__(self, margin: float) -> None: ...
    @property
    def delay(self) -> int | None: ...
    @property
    def gain(self) -> list[float]: ...
    @property
    def untold(self) -> int: ...
    def take_skip(self, suspected: bool = False, /) -> bool: ...
    def suspect(self) -> None: ...
    def learn(self, match: EchoMatch, /) -> None: ...
    def frame(self, window: npt.NDArray[np.float64], /) -> GuardedFrame: ...
    def expect(
        self, bands: Sequence[float], level: float, window: npt.NDArray[np.float64], /
    ) -> Echo | None: ...

class GuardedFrame:
    """The twin of `audio.echo.GuardedFrame`; `EchoGuard.frame` makes it, with its own copy of the window."""

    def expect(self, bands: Sequence[float], level: float, /) -> Echo | None: ...

LIKENESS_LONGEST: int
"""Samples of `voice` that `likeness` takes at most."""

def likeness(
    sound: npt.NDArray[np.float64], voice: npt.NDArray[np.float64], alike: npt.NDArray[np.float64], /
) -> None:
    """The twin of `audio.echo_match.likeness`, which returns what is filled in here."""

class LevelMeter:
    """The twin of `audio.echo_reference.LevelMeter`.

    Raises:
        ValueError: So many samples cannot be transformed.
    """

    def __init__(self, size: int) -> None: ...
    def powers(self, samples: Samples, /) -> list[float]: ...
    def skip(self, samples: Samples, /) -> None: ...
    def measure(self, chunks: Sequence[Samples], rows: npt.NDArray[np.float64], /) -> None: ...
