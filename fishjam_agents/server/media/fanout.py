"""Fan-out of audio: each tick, every source is asked once and heard by all its listeners."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...protocol import TrackDataEncoder
from ..peer import AudioListener, Listener, Peer, SourceListener
from ..sockets.frames import frame
from .recorder import Tap
from .sources import Source


@dataclass(frozen=True, slots=True)
class _Route:
    """One source and, per sample rate, an encoder, the outbox positions of listeners, and audio listeners."""

    peer: Peer
    source: Source
    as_it_is: tuple[SourceListener, ...]
    by_rate: tuple[tuple[int, TrackDataEncoder, tuple[int, ...], tuple[AudioListener, ...]], ...]


class Fanout:
    """The routes of one room, worked out once and used until `invalidate`.

    A packet is resampled and framed once per sample rate, and each listener gets one write per tick.
    """

    def __init__(self) -> None:
        self._routes: tuple[_Route, ...] | None = None
        self._listeners: tuple[Listener, ...] = ()

    def invalidate(self) -> None:
        """Peers, tracks, metadata or subscriptions changed: work the routes out anew."""
        self._routes = None

    def tick(self, ticks: int, peers: Iterable[Peer], taps: Iterable[Tap]) -> list[tuple[Peer, Source]]:
        """Close the window that ends at tick `ticks`; returns the sources that have finished."""
        routes = self._routes
        if routes is None:
            routes = self._routes = self._work_out(tuple(peers))
        listeners = self._listeners
        outbox: list[list[bytes]] = [[] for _ in listeners]
        finished: list[tuple[Peer, Source]] = []
        for route in routes:
            source = route.source
            sounded = source.advance(ticks)
            for source_listener in route.as_it_is:
                source_listener.hear_source(route.peer, source, sounded, ticks)
            if sounded:
                for tap in taps:
                    tap.add(route.peer, source)
                for rate, encoder, positions, plain in route.by_rate:
                    for packet in source.packets(rate):
                        if positions:
                            data = frame(encoder.encode(packet))
                            for position in positions:
                                outbox[position].append(data)
                        for audio_listener in plain:
                            audio_listener.hear_packet(route.peer, packet)
            if source.finished:
                finished.append((route.peer, source))
        for listener, frames in zip(listeners, outbox, strict=True):
            if frames:
                listener.hear(frames[0] if len(frames) == 1 else b"".join(frames), len(frames))
        return finished

    def _work_out(self, peers: tuple[Peer, ...]) -> tuple[_Route, ...]:
        hearing = [(peer, peer.listener) for peer in peers if peer.listener is not None]
        self._listeners = tuple(listener for _, listener in hearing)
        routes = []
        for publisher in peers:
            for source in publisher.sources.values():
                rates: dict[int, tuple[list[int], list[AudioListener]]] = {}
                for position, (peer, _) in enumerate(hearing):
                    if peer.hears(publisher, source.track):
                        rates.setdefault(peer.config.sample_rate, ([], []))[0].append(position)
                for peer in peers:
                    if peer.audio_listener is not None and peer.hears(publisher, source.track):
                        rates.setdefault(peer.config.sample_rate, ([], []))[1].append(peer.audio_listener)
                by_rate = tuple(
                    (rate, TrackDataEncoder(publisher.id, source.track), tuple(positions), tuple(plain))
                    for rate, (positions, plain) in rates.items()
                )
                as_it_is = tuple(
                    peer.source_listener
                    for peer in peers
                    if peer.source_listener is not None and peer.hears(publisher, source.track)
                )
                routes.append(_Route(publisher, source, as_it_is, by_rate))
        return tuple(routes)
