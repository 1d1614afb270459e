"""Playout estimate for tracks that bring none: audio that Fishjam has played, by Fishjam's own rules.

Fishjam acknowledges nothing. It queues chunks and plays them in real time from their arrival; a chunk that
comes at most 100 ms after the queue ran dry continues the old timeline, a later one starts a new timeline
at its arrival; `interrupt` drops what has not begun to play, one chunk being the grain (the engine,
`membrane_rtc_engine`). A constant network delay cancels out: chunks and interrupts travel the same way.
"""

from __future__ import annotations

GAP = 0.1
"""Seconds after which an empty queue restarts its timeline at the next arrival."""
_ROUNDING = 1e-6
"""Seconds below which times are the same: sums of chunk lengths are not exact, the server counts samples."""


class FishjamPlayoutEstimate:
    """Times at which the chunks of one track play. A `session.PlayoutEstimate`.

    Args:
        sample_rate: Hz of the track.

    Attributes:
        end: When the last chunk sent ends; minus infinity before the first.
    """

    __slots__ = ("_chunks", "_in_play_until", "_rate", "_settled", "end")

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._chunks: list[tuple[float, float, int]] = []
        self._settled = 0
        self._in_play_until = float("-inf")
        self.end = float("-inf")

    def send(self, now: float, samples: int) -> None:
        """Note that a chunk of `samples` was sent at `now`."""
        start = self.end if now - self.end <= GAP + _ROUNDING else now
        self.end = start + samples / self._rate
        self._chunks.append((start, self.end, samples))

    def played(self, now: float) -> int:
        """Samples played by `now`, of all that were sent and not removed."""
        self._settle(now)
        if not self._chunks:
            return self._settled
        start, _, samples = self._chunks[0]
        return self._settled + min(samples, max(0, int((now - start) * self._rate)))

    def interrupt(self, now: float) -> int:
        """Remove what has not begun to play; the chunk that is playing now is played to its end."""
        self._settle(now)
        if self._chunks and self._chunks[0][0] < now - _ROUNDING:
            _, self.end, samples = self._chunks[0]
            self._settled += samples
            self._in_play_until = self.end
        else:
            # What an earlier interrupt left to be played to its end goes on.
            self.end = min(self.end, max(now, self._in_play_until))
        self._chunks.clear()
        return self._settled

    def _settle(self, now: float) -> None:
        chunks = self._chunks
        while chunks and chunks[0][1] <= now:
            self._settled += chunks.pop(0)[2]
