"""One voice in two microphones: whether what one heard is what another heard louder.

Waveforms are compared, since two people who speak at once have levels in common and no waveform. A voice
reaches the other microphone later, through a room, and its packets come at times of their own, so that some
delay either way is allowed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.samples import Samples

LAG = 0.2
"""Seconds by which the one may be later than the other: sound takes 30 ms for 10 m, packets take the rest."""
_RATE = 8000
_LOUDER = 2.0
"""Energy of the original as against its copy: 3 dB."""
_SHORT, _LONG = 0.3, 1.0
_OWN = (0.42, 0.22)
"""Similarity below which sounds of 0.3 and of 1 s have nothing in common. Of 400 pairs of sentences of two
people 99 % stayed below 0.37 and 0.17, while a copy 25 dB down reaches 0.99, and one that comes mostly by way
of the room (0.5 s of reverberation, 6 dB above the direct sound) 0.5 in the middle."""
_ALIKE = 0.38
"""Mean similarity of a copy."""
_FAINT = 0.03
"""Share of the loudest piece's power below which a piece is a pause, and shows nothing."""
Floats = npt.NDArray[np.float64]


def similarity(heard: Floats, other: Floats) -> float:
    """Greatest normalised correlation of a sound with any part of another, 0 to 1.

    Args:
        heard: The sound, shape (n,).
        other: What another microphone heard, from `LAG` earlier to `LAG` later, shape (m,), m > n.
    """
    count, total = len(heard), len(other)
    energy = float(heard @ heard)
    if total < count or energy <= 0.0:
        return 0.0
    size = 1 << (total + count - 1).bit_length()
    products = np.fft.irfft(np.fft.rfft(other, size) * np.conj(np.fft.rfft(heard, size)), size)
    sums = np.concatenate(([0.0], np.cumsum(other * other)))
    energies = sums[count:] - sums[:-count]
    least = 1e-3 * float(energies.max()) + 1e-9
    return float(
        np.max(np.abs(products[: total - count + 1]) / np.sqrt(energy * np.maximum(energies, least)))
    )


def coarse(frames: Sequence[Samples]) -> Floats:
    """Frames of 20 ms as one sound at 8 kHz, or at the next rate above that divides theirs."""
    if not frames:
        return np.empty(0)
    wave = np.concatenate(frames).astype(np.float64)
    factor = max(1, round(len(frames[0]) * 50 / _RATE))
    if factor > 1:
        wave = wave[: len(wave) // factor * factor].reshape(-1, factor).mean(axis=1)
    steady: Floats = wave - wave.mean()
    return steady


class Comparison:
    """Pieces of one turn, each held against what the others heard at the same time."""

    __slots__ = ("_loudest", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[tuple[float, float, float]] = []
        self._loudest = 0.0

    def add(self, heard: Floats, others: Sequence[Floats], seconds: float) -> None:
        """Take a piece.

        Args:
            heard: The piece, as `coarse` gives it.
            others: What other microphones heard, each from `LAG` before it to `LAG` after it.
            seconds: Length of the piece.
        """
        if not len(heard):
            return
        power = float(heard @ heard) / len(heard)
        alike = 0.0
        for other in others:
            middle = other[max(0, len(other) - len(heard)) // 2 :][: len(heard)]
            if float(middle @ middle) >= _LOUDER * float(heard @ heard):
                alike = max(alike, similarity(heard, other))
        least = float(np.interp(seconds, (_SHORT, _LONG), _OWN))
        self._loudest = max(self._loudest, power)
        self._pieces.append((power, alike, least))

    @property
    def is_copy(self) -> bool:
        """Return whether all of the turn is what others said, louder."""
        pieces = [piece for piece in self._pieces if piece[0] >= _FAINT * self._loudest]
        if not pieces or any(alike < least for _, alike, least in pieces):
            return False
        return sum(alike for _, alike, _ in pieces) / len(pieces) >= _ALIKE
