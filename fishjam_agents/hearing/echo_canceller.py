"""Echo cancelling: WebRTC's AEC3 takes the bot's voice out of a microphone.

It comes with the extra `aec3` (`pywebrtc-audio`, compiled). It works sample by sample, so microphone and
voice are kept on one count of samples, whatever the network does to packets (`arrivals`), and the voice is
given to it as much later as the echo has become (`echo_delay`). It comes before the user's stages: what is no
linear filter, as a noise suppressor or a gain control, hides the echo from it.
"""

from __future__ import annotations

from importlib.util import find_spec
from math import floor
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.audio.resampling import live_resampler
from fishjam_agents.audio.samples import Samples, saturate
from fishjam_agents.errors import MissingExtraError
from fishjam_agents.hearing.echo_delay import EchoDelay

LEAD = 0.02
"""Seconds by which the voice is given to the canceller before it plays: AEC3 finds an echo that follows by 20
to 500 ms. What a server and a jitter buffer delay is 50 to 300 ms."""
TAIL = 0.8
"""Seconds after the bot's last sound in which its echo may still ring: the longest delay, and a room."""
_SLIP = 0.015
"""Seconds by which microphone and voice may slip against each other: a packet of 20 ms that is lost is made
up, and what clocks drift apart in a minute is not."""
_MOST_MADE_UP = 0.5
"""Seconds of missing sound up to which silence is put in its place; after more, the canceller begins anew."""
_AHEAD = 0.02
"""Seconds by which the voice may be given yet earlier, for an echo that comes sooner than it did: what has
not been sent cannot be given, and a playout sends 0.04 s ahead at least."""
_LATEST, _COMFORTABLE = 0.4, 0.1
"""Seconds after which an echo comes too late for AEC3, and the delay that such a one is given."""
_SLEW = 0.0005
"""Share by which the voice is slowed down or sped up to follow a drift: AEC3 follows that without a trace."""
_STEP = 0.001
"""Seconds of difference from which on the voice is moved at once: slewing would take over 2 s."""
_MOVED = 0.005
"""Seconds of difference from which on the canceller begins anew: then it takes nearly all sound for echo, for
half a second, and else some of the echo for a caller, for a quarter."""
_HALF = 8
"""Samples on either side from which one between two is made."""
_DELAYS = {16000: 128, 24000: 223}
"""Samples by which the canceller's output is late at each rate."""


class _Processor(Protocol):
    def process(self, near: Samples, far: Samples) -> Samples: ...

    def reset(self) -> None: ...


def require() -> None:
    """See whether echoes can be cancelled.

    Raises:
        MissingExtraError: `pywebrtc-audio` is not installed.
    """
    if find_spec("pywebrtc_audio") is None:
        raise MissingExtraError("hearing.echo: aec3", "aec3")


def _processor(sample_rate: int) -> _Processor:
    try:
        import pywebrtc_audio
    except ImportError as error:
        raise MissingExtraError("hearing.echo: aec3", "aec3") from error
    if sample_rate == 24000:
        processor: _Processor = pywebrtc_audio.AudioProcessor(
            sample_rate, echo_cancellation=True, high_pass_filter=True
        )
    else:
        # Half as dear, and does the same; it does not take 24 kHz.
        processor = pywebrtc_audio.EchoCanceller(sample_rate)
    return processor


class EchoCanceller:
    """Takes the bot's voice out of one microphone while the bot speaks and shortly after.

    Sound comes out 8 ms late at 16 kHz and 9 ms late at 24 kHz, whether or not the bot speaks. While it is
    silent the microphone's sound is passed as it is: cancelling costs it 2 dB and its lowest tones.

    Args:
        reference: The bot's voice.
        sample_rate: Hz of the microphone, 16000 or 24000.

    Raises:
        MissingExtraError: `pywebrtc-audio` is not installed.

    Attributes:
        active: Whether the last frame was cleaned.
    """

    def __init__(self, reference: EchoReference, sample_rate: int) -> None:
        self.active = False
        self._reference = reference
        self._processor = _processor(sample_rate)
        self._size = round(FRAME_SECONDS * sample_rate)
        self._silence: Samples = np.zeros(self._size, np.int16)
        self._resampler = live_resampler(reference.sample_rate, sample_rate)
        self._delayed: Samples = np.zeros(_DELAYS[sample_rate] + self._size, np.int16)
        self._fade = np.linspace(0.0, 1.0, self._size, dtype=np.float32)
        self._until: float | None = None
        self._delay = EchoDelay(reference, sample_rate)
        self._shift = 0.0
        self._seen: float | None = None
        self._fraction = 0.0
        self._taps = _interpolator(0.0)

    def clean(self, frame: Samples, at: float, suspected: bool = False) -> Samples:
        """Take the bot's voice out of a frame.

        Args:
            frame: int16 mono, 20 ms.
            at: Call time at its end, seconds: a step of a frame or more says that sound is missing before it.
            suspected: Whether a sound is being followed in what was cleaned: it may be an echo of another
                delay.

        Returns:
            As many samples, later by the canceller's delay.
        """
        delayed = self._delayed
        delayed[: -self._size] = delayed[self._size :]
        delayed[-self._size :] = frame
        passed: Samples = delayed[: self._size].copy()
        if self._reference.until <= at - TAIL:
            was, self.active, self._until = self.active, False, None
            if was:
                self._delay.rest()
            return _blend(self._cancel_last(frame), passed, self._fade) if was else passed
        cleaned = self._cancel(frame, at, suspected)
        if self.active:
            return cleaned
        self.active = True
        return _blend(passed, cleaned, self._fade)

    def reset(self) -> None:
        """Forget the echo: what comes next is another device, or another room."""
        self._processor.reset()
        self._delay.reset()
        self._shift = 0.0
        self._seen = None
        self._until = None
        self._delayed.fill(0)

    def _cancel(self, frame: Samples, at: float, suspected: bool) -> Samples:
        """Cancel with the voice that plays up to `LEAD` after `at`, seconds; later, as the echo is."""
        begin = at + LEAD - FRAME_SECONDS
        if self._until is None:
            self._until = begin
            self._resampler.clear()
        slip = begin - self._until
        if not -_MOST_MADE_UP < slip < _MOST_MADE_UP:
            self._processor.reset()
            self._delay.rest()
            self._until = begin
        elif slip < -_SLIP:
            self._delay.rest()
            self._until = begin
        while begin - self._until > _SLIP:
            self._processor.process(self._silence, self._voice(FRAME_SECONDS))
            self._delay.take(self._silence, self._until - LEAD, False)
        self._delay.take(frame, at, suspected)
        self._align()
        return self._processor.process(frame, self._voice(FRAME_SECONDS))

    def _cancel_last(self, frame: Samples) -> Samples:
        return self._processor.process(frame, self._silence)

    def _align(self) -> None:
        """Give the voice as much later as the echo has become, so that the canceller sees one delay."""
        delay = self._delay.seconds
        if delay is None:
            return
        if self._seen is None:
            seen = delay - self._shift
            self._seen = seen if seen < _LATEST else _COMFORTABLE
        elif delay - self._seen < -_AHEAD:
            self._seen = delay
            self._processor.reset()
        apart = delay - self._seen - self._shift
        if not -_STEP <= apart <= _STEP:
            self._shift += apart
            if not -_MOVED <= apart <= _MOVED:
                self._processor.reset()
            return
        most = _SLEW * FRAME_SECONDS
        self._shift += min(max(apart, -most), most)

    def _voice(self, seconds: float) -> Samples:
        assert self._until is not None
        self._until += seconds
        reference, rate = self._reference, self._reference.sample_rate
        if not self._shift:
            return self._resampler.process(reference.sound(self._until, seconds))
        later = self._shift * rate
        whole = floor(later)
        if later - whole != self._fraction:
            self._fraction = later - whole
            self._taps = _interpolator(self._fraction)
        margin = _HALF / rate
        sound = reference.sound(self._until - whole / rate + margin, seconds + 2 * margin)
        between = np.convolve(sound.astype(np.float32), self._taps, "valid")
        return self._resampler.process(saturate(between))


def _interpolator(fraction: float) -> npt.NDArray[np.float32]:
    """Filter that delays by `_HALF` samples and a fraction of one."""
    at = np.arange(2 * _HALF + 1) - _HALF - fraction
    taps: npt.NDArray[np.float32] = np.sinc(at) * np.cos(0.5 * np.pi * at / (_HALF + 1)) ** 2
    return taps.astype(np.float32)


def _blend(before: Samples, after: Samples, fade: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Samples:
    """Fade from one sound to another, without a click."""
    blended: Samples = np.rint(before + fade * (after.astype(np.float32) - before)).astype(np.int16)
    return blended
