"""The compiled module, made of the C files in `native/`; ask `fishjam_agents.audio.compiled` for it."""

from collections.abc import Callable

from fishjam_agents.audio.echo import Echo, EchoSource
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
