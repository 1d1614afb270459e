"""Recording taps: what a caller hears, and the whole room, placed by the room's sample counter.

During the call only references to what sounded are kept; the sound is put in its place, resampled and
mixed when the recording ends. So a chunk that continued its timeline late lands where it was played, and a
tick costs a list entry per source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..audio.resampling import resample
from ..audio.samples import Samples
from ..session import PeerType
from .peer import Peer
from .sources import Source

RECORDING_RATE = 16000
"""Sample rate of recordings, Hz."""

_Mix = NDArray[np.int32]


@dataclass(slots=True)
class _Tape:
    """One track: stretches of samples without a gap, by the position of their first sample."""

    peer_id: str
    peer_type: PeerType
    rate: int
    stretches: list[tuple[int, list[Samples]]] = field(default_factory=list)
    end: int = -1


@dataclass(frozen=True, slots=True)
class Recording:
    """A finished recording. All arrays are int16 at 16 kHz and equally long.

    Attributes:
        seconds: Its length.
        room: Stereo, shape (n, 2): left all callers, right all agents and VAPI peers.
    """

    seconds: float
    room: Samples
    _peers: dict[str, _Mix]

    def heard(self, peer_id: str) -> Samples:
        """All that `peer_id` hears, mono, shape (n,): every other peer's tracks mixed, gaps as zeros."""
        mix = np.zeros(len(self.room), np.int32)
        for other, track in self._peers.items():
            if other != peer_id:
                mix += track
        return _saturate(mix)


class Recorder:
    """Records a room from one position until `stop`.

    Args:
        position: Room time of sample 0, in seconds.
        stopped: Called when the recording ends.
    """

    def __init__(self, position: float, stopped: Callable[[Recorder], None]) -> None:
        self.position = position
        self._stopped = stopped
        self._tapes: dict[str, _Tape] = {}

    def add(self, peer: Peer, source: Source) -> None:
        """Keep what `source` sounded like in the window it has just closed."""
        segments = source.segments()
        if not segments:
            return
        tape = self._tapes.get(source.track.id)
        if tape is None:
            tape = self._tapes[source.track.id] = _Tape(peer.id, peer.type, source.recording_rate)
        for segment in segments:
            if segment.position != tape.end:
                tape.stretches.append((segment.position, []))
            tape.stretches[-1][1].append(segment.samples)
            tape.end = segment.position + len(segment.samples)

    def stop(self, position: float) -> Recording:
        """End the recording at room time `position`, in seconds, and mix it."""
        self.detach()
        return self.mix(position)

    def detach(self) -> None:
        """Record nothing more."""
        self._stopped(self)

    def mix(self, position: float) -> Recording:
        """What was recorded up to room time `position`, in seconds. Once detached, any thread may ask."""
        zero = round(self.position * RECORDING_RATE)
        length = max(round(position * RECORDING_RATE) - zero, 0)
        peers: dict[str, _Mix] = {}
        room = np.zeros((length, 2), np.int32)
        for tape in self._tapes.values():
            mix = peers.setdefault(tape.peer_id, np.zeros(length, np.int32))
            sound = np.zeros(length, np.int32)
            for start, pieces in tape.stretches:
                samples = resample(np.concatenate(pieces), tape.rate, RECORDING_RATE)
                _place(sound, round(start * RECORDING_RATE / tape.rate) - zero, samples)
            mix += sound
            room[:, 0 if tape.peer_type is PeerType.WEBRTC else 1] += sound
        return Recording(length / RECORDING_RATE, _saturate(room), peers)


def _place(mix: _Mix, at: int, samples: Samples) -> None:
    begin, end = max(at, 0), min(at + len(samples), len(mix))
    if begin < end:
        mix[begin:end] += samples[begin - at : end - at]


def _saturate(mix: _Mix) -> Samples:
    return np.clip(mix, -32768, 32767).astype(np.int16)
