"""Sounds under the bot's voice: a background, and a sound while it thinks. No I/O, no clock.

Both are recordings repeated without end, with gains that glide. They are no part of any reply: nothing of
them counts as heard, and an interrupt, which drops them too, only sets them back to where they were cut.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.gain import dbfs
from fishjam_agents.audio.mixing import mix_softly
from fishjam_agents.audio.samples import Samples, saturate

_GLIDE = 0.2
"""Seconds from silence to full level and back."""
_SEAM = 0.05
"""Seconds over which a recording's end blends into its beginning."""

_Floats: TypeAlias = npt.NDArray[np.float32]
_LoopState: TypeAlias = tuple[int, float]


class Loop:
    """A recording repeated without end.

    Args:
        samples: int16 mono, shape (n,), n above 0, at the track's rate.
        sample_rate: Hz.
        level: How loud it plays, dBFS (RMS).
        under: How much quieter it is under a voice, dB; None is silent.

    Attributes:
        on: Whether it is to play; it fades in and out.
    """

    def __init__(self, samples: Samples, sample_rate: int, level: float, under: float | None) -> None:
        seam = min(round(_SEAM * sample_rate), len(samples) // 2)
        wave = samples.astype(np.float32)
        if seam:
            rise = np.linspace(0, 1, seam, dtype=np.float32)
            wave[:seam] = wave[:seam] * rise + wave[-seam:] * rise[::-1]
            wave = wave[:-seam]
        own = dbfs(samples)
        self._wave = wave * np.float32(10 ** ((level - own) / 20) if np.isfinite(own) else 0.0)
        self._under = 0.0 if under is None else float(10 ** (-under / 20))
        self._step = 1 / (_GLIDE * sample_rate)
        self._position = 0
        self._gain = 0.0
        self.on = True

    @property
    def silent(self) -> bool:
        """True once it has faded out."""
        return not self.on and self._gain == 0.0

    @property
    def state(self) -> _LoopState:
        """Current position and gain."""
        return self._position, self._gain

    @state.setter
    def state(self, state: _LoopState) -> None:
        self._position, self._gain = state

    def take(self, samples: int, voice: bool, muted: bool = False) -> _Floats:
        """The next `samples`, under a voice or alone; all of a mute's fade is in them."""
        target = (self._under if voice else 1.0) if self.on and not muted else 0.0
        reach = 1.0 if muted else self._step * samples
        gain = min(max(target, self._gain - reach), self._gain + reach)
        wave, start = self._wave, self._position
        end = start + samples
        self._position = end % len(wave)
        piece = wave[start:end] if end <= len(wave) else np.resize(np.roll(wave, -start), samples)
        if gain == self._gain:
            return piece * np.float32(gain)
        steady, self._gain = self._gain, gain
        return piece * np.linspace(steady, gain, samples, dtype=np.float32)


BackgroundState: TypeAlias = tuple[tuple[Loop, _LoopState], ...]
"""State of a background, to return to when the audio that was sent of it is dropped."""


class BackgroundMixer:
    """Background and thinking sound of one track.

    Attributes:
        muted: Whether neither is played.
        thinking: What fills the wait for an answer, never under a voice; None is nothing.
    """

    def __init__(self) -> None:
        self.thinking: Loop | None = None
        self.muted = False
        self._background: Loop | None = None
        self._replaced: list[Loop] = []

    @property
    def background(self) -> Loop | None:
        """The sound that is always there, None for nothing. One that is replaced fades out."""
        return self._background

    @background.setter
    def background(self, loop: Loop | None) -> None:
        if self._background is not None:
            self._background.on = False
            self._replaced.append(self._background)
        self._background = loop

    def _loops(self) -> list[Loop]:
        return [loop for loop in (self._background, self.thinking, *self._replaced) if loop is not None]

    @property
    def sounds(self) -> bool:
        """True if there is anything to play where the bot says nothing."""
        return any(self._audible(loop) for loop in self._loops())

    def _audible(self, loop: Loop) -> bool:
        return not loop.silent and (not self.muted or loop.state[1] > 0)

    @property
    def state(self) -> BackgroundState:
        """Current position and gain of each loop."""
        return tuple((loop, loop.state) for loop in self._loops())

    def restore(self, state: BackgroundState) -> None:
        """Go back to an earlier state; what was added since stays as it is."""
        loops = self._loops()
        for loop, was in state:
            loop.state = was
            if loop not in loops:
                # It had faded out in what is dropped now.
                self._replaced.append(loop)

    def under(self, voice: Samples) -> Samples:
        """The voice with the background under it: int16 mono, shape (n,)."""
        return mix_softly([voice, self._take(len(voice), voice=True)]) if self.sounds else voice

    def alone(self, samples: int) -> Samples:
        """The background where nobody speaks: int16 mono, shape (samples,)."""
        return self._take(samples, voice=False)

    def _take(self, samples: int, voice: bool) -> Samples:
        pieces = [loop.take(samples, voice, self.muted) for loop in self._loops() if self._audible(loop)]
        total = sum(pieces[1:], start=pieces[0])
        self._replaced = [loop for loop in self._replaced if not loop.silent]
        return saturate(total)
