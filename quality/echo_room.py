"""Rooms whose callers have loudspeakers: the bot's voice comes back in their microphones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audio_fixtures.corpus import RATE
from fishjam_agents.audio.samples import Samples
from fishjam_agents.testing import MemoryPeer, MemoryRoom
from quality.sounds import Rng, Wave, to_samples


@dataclass(frozen=True, slots=True)
class EchoPath:
    """Path from the bot's track to the caller's microphone.

    Attributes:
        taps: Delay in samples and gain of each reflection.
        drift: Share by which the delay grows with time: clocks that are 200 ppm apart have 0.0002.
        moves: Room time, seconds, and samples by which the delay changes then, as with another loudspeaker.
    """

    taps: Sequence[tuple[int, float]]
    drift: float = 0.0
    moves: tuple[float, int] = (0.0, 0)

    def later(self, now: float) -> float:
        """Samples by which the echo comes later at a room time than at its begin."""
        at, by = self.moves
        return now * self.drift * RATE + (by if now >= at else 0)


def echo_path(rng: Rng, loss: float, delay: float, *, room: bool) -> EchoPath:
    """A path that returns the voice `loss` dB (negative) below what was played, `delay` seconds later.

    Args:
        rng: Chooses the reflections.
        loss: Level of the echo against the voice, dB, of all reflections together.
        delay: Until the first of them, seconds.
        room: Whether 40 reflections follow, which decay by 60 dB in 0.25 s.
    """
    taps = [(round(delay * RATE), 1.0)]
    if room:
        for later in np.sort(rng.uniform(0.002, 0.2, 40)):
            gain = float(rng.choice([-1.0, 1.0])) * 0.3 * 10 ** (-60 * later / 0.25 / 20)
            taps.append((round((delay + later) * RATE), gain))
    total = sum(gain * gain for _, gain in taps) ** 0.5
    return EchoPath([(at, gain / total * 10 ** (loss / 20)) for at, gain in taps])


class EchoRoom(MemoryRoom):
    """A room whose callers have loudspeakers.

    Args:
        path: From the bot's track to every microphone.
        noise: What every microphone hears besides, at 16 kHz; begins again at its end.
        seconds: Room time after which no echo comes back.
        bot_rate: Hz of the bot's track, a whole number of kHz.
        loss: Share of every caller's packets that never arrive, 0 to 1.
    """

    def __init__(
        self, path: EchoPath, noise: Wave, seconds: float, bot_rate: int = RATE, loss: float = 0.0
    ) -> None:
        super().__init__(RATE)
        self._loss = loss
        self._path = path
        self._noise = noise
        self._bot_rate = bot_rate
        self._canvas = np.zeros(round(seconds * bot_rate), np.float32)
        self._seen = 0

    def join(self, peer: str, *args: Any, **kwargs: Any) -> MemoryPeer:
        """Somebody comes in, near their loudspeaker."""
        member = super().join(peer, *args, **kwargs)
        member.acoustics = self.behind
        member.loss = self._loss
        return member

    def behind(self, frame: Samples) -> Samples:
        """A frame of the caller's, with echo and noise behind it."""
        for track in self.session.tracks:
            for position, samples in track.heard[self._seen :]:
                samples = samples[: max(0, len(self._canvas) - position)]
                self._canvas[position : position + len(samples)] += samples
            self._seen = len(track.heard)
        start = round(self.now * RATE) - len(frame)
        total = frame.astype(np.float32)
        steps = np.arange(len(frame)) * (self._bot_rate / RATE)
        later = self._path.later(self.now)
        for delay, gain in self._path.taps:
            at = (start - delay - later) * self._bot_rate / RATE + steps
            first = max(0, int(at[0]))
            piece = self._canvas[first : max(0, int(at[-1]) + 2)]
            if len(piece):
                total += np.float32(gain) * np.interp(at - first, np.arange(len(piece)), piece, left=0)
        return to_samples(total + np.take(self._noise, range(start, start + len(frame)), mode="wrap"))
