"""Sources of sound in a room: one per published audio track."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ...audio.formats import FRAMES_PER_SECOND, SAMPLE_BYTES
from ...audio.resampling import StreamResampler, live_resampler
from ...protocol import Track
from .playout import GAP_SECONDS, Playout, Segment

_FLUSH_TICKS = round(GAP_SECONDS * FRAMES_PER_SECOND) + 1
"""A pause so long cannot be continued any more: a begun packet goes out, filled up with zeros."""


class Source(Protocol):
    """An audio track, asked once per tick what it sounded like in the window that is over."""

    @property
    def track(self) -> Track:
        """Id, type and metadata as the room knows them."""
        ...

    @property
    def speaking(self) -> bool | None:
        """True while someone speaks; None for a source whose voice activity is nobody's concern."""
        ...

    @property
    def finished(self) -> bool:
        """True once it has played to its end and is to be removed."""
        ...

    def advance(self, ticks: int) -> bool:
        """Close the window that ends at tick `ticks`; False if nothing is sent for it."""
        ...

    def packets(self, sample_rate: int) -> Sequence[bytes]:
        """Return a listener's packets of the window at `sample_rate`: 20 ms of PCM16 each."""
        ...

    def segments(self) -> Sequence[Segment]:
        """Return the audio of the window, at `recording_rate`; digital silence may be left out."""
        ...

    @property
    def recording_rate(self) -> int:
        """Sample rate of `segments`, Hz."""
        ...


class AgentTrack:
    """A track an agent speaks on.

    Attributes:
        track: Id, type and metadata.
        playout: Queue and ground truth of what is played when.
        removing: Set by `remove_track`: it ends when what is queued has been played.
        speaking: Fishjam's engine derives voice activity from what browsers send, and from nothing else.
    """

    speaking = None

    def __init__(self, track: Track, sample_rate: int) -> None:
        self.track = track
        self.playout = Playout(sample_rate)
        self.removing = False
        self._window: list[Segment] = []
        self._idle_ticks = 0
        self._packetizers: dict[int, _Packetizer] = {}

    @property
    def recording_rate(self) -> int:
        """Sample rate of the track, Hz."""
        return self.playout.sample_rate

    @property
    def finished(self) -> bool:
        """True once a removed track has played to its end."""
        return self.removing and self.playout.idle

    def advance(self, ticks: int) -> bool:
        """Play the window that ends at tick `ticks`."""
        self._window = self.playout.play(ticks * self.playout.sample_rate // FRAMES_PER_SECOND)
        if self._window:
            self._idle_ticks = 0
            return True
        self._idle_ticks += 1
        return self._idle_ticks == _FLUSH_TICKS

    def segments(self) -> Sequence[Segment]:
        """Return the audio that was played, at the track's own rate and position."""
        return self._window

    def packets(self, sample_rate: int) -> Sequence[bytes]:
        """Return the audio that was played, cut into 20 ms from the start of the agent's speech."""
        packetizer = self._packetizers.get(sample_rate)
        if packetizer is None:
            packetizer = _Packetizer(self.playout.sample_rate, sample_rate)
            self._packetizers[sample_rate] = packetizer
        return packetizer.take(self._window) if self._window else packetizer.flush()


class _Packetizer:
    """Turns pieces of any length into whole 20 ms packets at one sample rate."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._resampler: StreamResampler = live_resampler(from_rate, to_rate)
        self._size = to_rate // FRAMES_PER_SECOND * SAMPLE_BYTES
        self._kept = b""
        self._next: int | None = None

    def take(self, segments: Sequence[Segment]) -> list[bytes]:
        packets: list[bytes] = []
        for segment in segments:
            if segment.position != self._next:
                packets += self.flush()
            self._next = segment.position + len(segment.samples)
            data = self._kept + self._resampler.process(segment.samples).tobytes()
            whole = len(data) - len(data) % self._size
            packets += [data[start : start + self._size] for start in range(0, whole, self._size)]
            self._kept = data[whole:]
        return packets

    def flush(self) -> list[bytes]:
        if self._next is None:
            return []
        self._next = None
        data = self._kept + self._resampler.flush().tobytes()
        self._kept = b""
        return [
            data[start : start + self._size].ljust(self._size, b"\0")
            for start in range(0, len(data), self._size)
        ]
