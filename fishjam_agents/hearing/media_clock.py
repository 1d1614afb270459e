"""Media time: the moment at which audio was spoken, from the arrival of packets that bear no time."""

from __future__ import annotations

JITTER = 0.12
"""Seconds that packets may be late; what is later counts as missing."""
_WATCHED = 0.2
"""Seconds over which the most punctual packet counts: ten packets, of which jitter does not delay all."""
_FINE = 0.005
"""Seconds that are not made up: frames of which each follows on from the last are recorded in few words."""
_MOST_HELD = 0.5
"""Seconds that stages may hold back; one that swallows sound does not stop the clock."""


class MediaClock:
    """Media time of one microphone: call time, as far behind it as packets are late by jitter. Pure.

    Samples alone would not do: a lost packet is told by nobody, and a sender's clock runs 100 ppm slow or
    fast, so that their sum falls behind, for good. What remains of the distance to call time when the most
    punctual of some packets has come is no jitter, and is made up.

    Args:
        sample_rate: Hz.

    Attributes:
        media: Call time in seconds at the end of the last frame. Never runs back, nor ahead of call time.
    """

    __slots__ = ("_held", "_least", "_rate", "_since", "media")

    def __init__(self, sample_rate: int) -> None:
        self.media = 0.0
        self._rate = sample_rate
        self.restart()

    def restart(self) -> None:
        """Packets have stopped; `begin` follows."""
        self._held = 0
        self._since: float | None = None
        self._least = float("inf")

    def begin(self, at: float) -> None:
        """Sound begins at a call time."""
        self.media = max(self.media, at)

    def heard(self, samples: int, now: float) -> None:
        """A frame ends, at call time `now`.

        A burst after a stall must not carry media time past call time: it replaces the silence that was
        counted in its stead.
        """
        self._held -= samples
        end = self.media + samples / self._rate
        if end > now:
            end = now
        if end > self.media:
            self.media = end

    def received(self, samples: int, now: float) -> None:
        """All frames have been heard that a packet of `samples` completes."""
        # What waits for the next packet, or in a stage, has not been heard yet.
        held = self._held + samples
        over = now
        if held:
            held = min(max(held, 0), round(_MOST_HELD * self._rate))
            over = now - held / self._rate
        self._held = held
        if over - JITTER > self.media:
            self.media = over - JITTER
        if over - self.media < self._least:
            self._least = over - self.media
        if self._since is None:
            self._since = now
        elif now - self._since >= _WATCHED:
            if self._least > _FINE:
                self.media += self._least
            self._since = now
            self._least = float("inf")

    def pass_to(self, now: float) -> None:
        """Nothing came until call time `now`."""
        self.media = max(self.media, now)
        self._since = None
        self._least = float("inf")
