"""One voice of a mix: packets in, a frame of 20 ms whenever the mix wants one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.samples import Samples
from fishjam_agents.hearing.echo_canceller import EchoCanceller
from fishjam_agents.hearing.loudspeaker import Loudspeaker
from fishjam_agents.hearing.microphone import is_damaged
from fishjam_agents.hearing.ring import Ring

LEAD = 2
"""Frames a voice collects before it is mixed in: packets of 20 ms may come 20 ms late without a gap."""
MAX_BACKLOG = 0.5
"""Seconds a voice may be behind; what is older is dropped, because the others go on meanwhile."""
_QUIET_PEAK = 256
"""A frame with a lower peak (-42 dBFS) is quiet, whatever the noise."""
_ABOVE_NOISE = 2.0
"""A frame whose peak is not so many times that of the voice's noise is quiet, too."""
_NOISE_RISE = 1.005
"""Growth of the noise per frame, at most: it doubles in 2.8 s, longer than speech without a pause."""
_PAUSE = 10
"""Quiet frames after which nobody is within a word: 200 ms, as the turn machine counts a pause."""


class MixInput:
    """One (peer, track) of a mix: what a `PeerRegistry` is given in place of a microphone.

    Args:
        peer: Id of the speaker.
        track: Id of the track.
        format: What packets hold: 16-bit mono at the rate asked of the server.
        ended: Told that the peer left or the connection was lost, with the reason.
        reference: What the bot says; None without echo guard.
        canceller: What takes the echo out of the voice; None without one.

    Attributes:
        peer: Id of the speaker.
        track: Id of the track; changes when the peer's track returns under a new one.
        damaged: Packets dropped because they were empty, odd or too long.
        loud: Whether the voice is within a word, by the frames that were mixed.
        loudspeaker: The bot's voice in it; None without echo guard.
        ring: What was mixed of it lately, where there is a loudspeaker.
        canceller: What takes the echo out of what is mixed.
    """

    def __init__(
        self,
        peer: str,
        track: str,
        format: AudioFormat,
        ended: Callable[[MixInput, str], None],
        reference: EchoReference | None = None,
        canceller: EchoCanceller | None = None,
    ) -> None:
        self.peer = peer
        self.track = track
        self.damaged = 0
        self.loud = False
        self.loudspeaker = None if reference is None else Loudspeaker(reference, format.sample_rate)
        self.ring = Ring()
        self.canceller = canceller
        self._rate = format.sample_rate
        self._size = format.frame_samples
        self._max = round(MAX_BACKLOG * format.sample_rate)
        self._ended = ended
        self._queue = np.empty(0, np.int16)
        self._flowing = False
        self._last_packet: float | None = None
        self._noise = float(_QUIET_PEAK)
        self._quiet = 0

    @property
    def backlog(self) -> int:
        """Frames that wait to be mixed."""
        return len(self._queue) // self._size

    def stalled(self, now: float) -> bool:
        """Return whether its packets stopped within a word, and all that was missed could still come."""
        return self.loud and not self._flowing and self.quiet_for(now) <= MAX_BACKLOG

    def feed(self, data: bytes, now: float, barge_in: bool) -> bool:
        """Take a packet.

        Args:
            data: 16-bit little-endian mono PCM.
            now: Call time, seconds.
            barge_in: Of no weight here: the mix is told when it is made.

        Returns:
            False when the packet was dropped because it was damaged.
        """
        if is_damaged(data, self._rate):
            self.damaged += 1
            return False
        self._last_packet = now
        self._queue = np.concatenate((self._queue, np.frombuffer(data, np.int16)))[-self._max :]
        return True

    def quiet_for(self, now: float) -> float:
        """Seconds since the last packet; 0 before the first."""
        return 0.0 if self._last_packet is None else now - self._last_packet

    def change_track(self, track: str) -> None:
        """Go on under the id of another track, perhaps from another device."""
        self.track = track
        if self.canceller is not None:
            self.canceller.reset()

    def next_frame(self) -> Samples | None:
        """20 ms, or None while there is nothing to mix in. Skips what is quiet while it is behind."""
        size = self._size
        if not self._flowing:
            if len(self._queue) < size * LEAD:
                return None
            self._flowing = True
        while len(self._queue) >= size:
            frame, self._queue = self._queue[:size], self._queue[size:]
            if not self._is_quiet(frame) or len(self._queue) <= size * LEAD:
                return frame
        self._flowing = False
        return None

    def _is_quiet(self, frame: Samples) -> bool:
        peak = max(int(frame.max()), -int(frame.min()))
        self._noise = min(peak, self._noise * _NOISE_RISE + 1.0)
        quiet = peak < max(_QUIET_PEAK, _ABOVE_NOISE * self._noise)
        self._quiet = self._quiet + 1 if quiet else 0
        self.loud = self._quiet < _PAUSE and (self.loud or not quiet)
        return quiet

    def clear(self) -> None:
        """Forget what has come."""
        self._queue = self._queue[:0]
        self.ring.clear()
        if self.canceller is not None:
            self.canceller.reset()
        self._flowing = False
        self.loud = False
        self._last_packet = None

    def end(self, reason: str) -> None:
        """The peer left, or the connection was lost."""
        self.clear()
        self._ended(self, reason)
