"""Recording taps: the sound of a room, placed by the room's sample counter as it is played.

A chunk that continued its timeline late lands where it was played. What is kept is sums, so that a recording
costs memory by its length and not by how many speak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ...audio.resampling import Resampler
from ...audio.samples import Samples
from ...errors import FishjamAgentsError
from ...session import PeerType
from ..peer import Peer
from .mix import RECORDING_RATE, Mix
from .sources import Source

__all__ = ["RECORDING_RATE", "RecentSound", "Recorder", "Recording", "Tap"]

_MAX_TRACKS = 256
"""Tracks remembered before those are dropped that ended. A track that is resampled costs some kilobytes."""

Sink = Callable[[Peer, int, Samples], None]
"""Takes what a peer sounded like: the position of its first sample since the start, and int16 at 16 kHz."""


class _TrackResampler:
    """One track on its way to the recording's rate."""

    def __init__(self, peer: Peer, rate: int, zero: int, sink: Sink) -> None:
        self._peer = peer
        self._rate = rate
        self._zero = zero
        self._sink = sink
        # Aligned in time; what it holds back comes with the next piece, or when the stretch is over.
        self._resampler = Resampler(rate, RECORDING_RATE)
        self._next = 0
        self.end = -1

    def add(self, position: int, samples: Samples) -> None:
        """Take samples at the track's own rate and position."""
        if position != self.end:
            self.finish()
            self._next = round(position * RECORDING_RATE / self._rate) - self._zero
        self.end = position + len(samples)
        self._give(self._resampler.process(samples))

    def finish(self) -> None:
        """The stretch is over."""
        if self.end >= 0:
            self._give(self._resampler.flush())
            self.end = -1

    def _give(self, samples: Samples) -> None:
        if len(samples):
            self._sink(self._peer, self._next, samples)
            self._next += len(samples)


class Tap:
    """Hands the sound of a room on from one position until it is detached.

    Args:
        position: Room time of sample 0, in seconds.
        sink: Where the sound goes.
        stopped: Called when it ends.
    """

    def __init__(self, position: float, sink: Sink, stopped: Callable[[Tap], None]) -> None:
        self.position = position
        self._zero = round(position * RECORDING_RATE)
        self._sink = sink
        self._stopped = stopped
        self._resamplers: dict[str, _TrackResampler] = {}

    def add(self, peer: Peer, source: Source) -> None:
        """Take what `source` sounded like in the window it has just closed."""
        segments = source.segments()
        if not segments:
            return
        resampler = self._resamplers.get(source.track.id)
        if resampler is None:
            resampler = self._new_resampler(peer, source)
        for segment in segments:
            resampler.add(segment.position, segment.samples)

    def detach(self) -> None:
        """Take nothing more. Does nothing the second time."""
        resamplers, self._resamplers = self._resamplers, {}
        for resampler in resamplers.values():
            resampler.finish()
        self._stopped(self)

    def _new_resampler(self, peer: Peer, source: Source) -> _TrackResampler:
        if len(self._resamplers) >= _MAX_TRACKS:
            for track_id, resampler in tuple(self._resamplers.items()):
                if track_id not in peer.sources and track_id != source.track.id:
                    resampler.finish()
                    del self._resamplers[track_id]
        resampler = _TrackResampler(peer, source.recording_rate, self._zero, self._sink)
        self._resamplers[source.track.id] = resampler
        return resampler


@dataclass(frozen=True, slots=True)
class Recording:
    """A finished recording. All arrays are int16 at 16 kHz and equally long.

    Attributes:
        seconds: Its length.
        room: Stereo, shape (n, 2): left all callers, right all agents and VAPI peers.
    """

    seconds: float
    room: Samples
    _views: dict[str, Samples]

    def heard(self, peer_id: str) -> Samples:
        """All that `peer_id` heard, mono, shape (n,): every other peer's tracks mixed, gaps as zeros.

        Raises:
            FishjamAgentsError: The recording was not made for it.
        """
        view = self._views.get(peer_id)
        if view is None:
            raise FishjamAgentsError(
                f"what {peer_id} heard was not recorded: name it in `views` when the recording begins"
            )
        return view


@dataclass(frozen=True, slots=True)
class RecentSound:
    """The latest sound of a room.

    Attributes:
        start: Room time of its first sample, seconds.
        samples: Its length in samples, at `RECORDING_RATE`.
    """

    start: float
    samples: int
    _mix: Mix
    _first: int

    @property
    def duration(self) -> float:
        """Its length, seconds."""
        return self.samples / RECORDING_RATE

    def seconds(self) -> Iterator[Samples]:
        """The room's sound as `Recording.room` has it, a second at a time."""
        return self._mix.seconds(self._first * RECORDING_RATE + self.samples, self._first)


class Recorder(Tap):
    """Records a room from one position until `stop`.

    Args:
        position: Room time of sample 0, in seconds.
        stopped: Called when the recording ends.
        views: Peers of whom it is to be known what they heard. Each costs as much as the room's sound.
        keep: Whole seconds of the room's sound that are kept, the latest; None keeps all.
    """

    def __init__(
        self,
        position: float,
        stopped: Callable[[Tap], None],
        views: Iterable[str] = (),
        keep: int | None = None,
    ) -> None:
        super().__init__(position, self._take, stopped)
        self._keep = keep
        self._room = Mix(2, keep)
        self._views = {peer_id: Mix() for peer_id in views}

    def stop(self, position: float) -> Recording:
        """End the recording at room time `position`, in seconds."""
        self.detach()
        length = max(round(position * RECORDING_RATE) - self._zero, 0)
        views = {peer_id: mix.samples(length)[:, 0] for peer_id, mix in self._views.items()}
        return Recording(length / RECORDING_RATE, self._room.samples(length), views)

    def recent(self, position: float) -> RecentSound:
        """Return what is kept of the room's sound, up to room time `position`; the recording goes on."""
        end = max(round(position * RECORDING_RATE) - self._zero, 0)
        first = 0 if self._keep is None else max(end // RECORDING_RATE - self._keep, 0)
        return RecentSound(self.position + first, end - first * RECORDING_RATE, self._room.copy(), first)

    def _take(self, peer: Peer, at: int, samples: Samples) -> None:
        self._room.add(at, samples, 0 if peer.type is PeerType.WEBRTC else 1)
        for peer_id, mix in self._views.items():
            if peer_id != peer.id:
                mix.add(at, samples)
