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


_Outbox = dict[int, list[bytes]]
"""Position of a listener to the frames it gets in one write."""


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
        finished: list[tuple[Peer, Source]] = []
        outbox: _Outbox = {}
        for route in routes:
            self._close_window(route, ticks, taps, outbox)
            if route.source.finished:
                finished.append((route.peer, route.source))
        self._send(outbox)
        return finished

    def flush(self, source: Source, ticks: int, peers: Iterable[Peer], taps: Iterable[Tap]) -> None:
        """Hand on what a source has to give between two ticks; `ticks` is the latest one."""
        routes = self._routes
        if routes is None:
            routes = self._routes = self._work_out(tuple(peers))
        for route in routes:
            if route.source is source:
                outbox: _Outbox = {}
                self._close_window(route, ticks, taps, outbox)
                self._send(outbox)
                return

    def _close_window(self, route: _Route, ticks: int, taps: Iterable[Tap], outbox: _Outbox) -> None:
        """Ask a source what it sounded like, and hand it on or put it into the outbox."""
        source = route.source
        sounded = source.advance(ticks)
        for source_listener in route.as_it_is:
            source_listener.hear_source(route.peer, source, sounded, ticks)
        if not sounded:
            return
        for tap in taps:
            tap.add(route.peer, source)
        for rate, encoder, positions, plain in route.by_rate:
            for packet in source.packets(rate):
                if positions:
                    data = frame(encoder.encode(packet))
                    for position in positions:
                        outbox.setdefault(position, []).append(data)
                for audio_listener in plain:
                    audio_listener.hear_packet(route.peer, packet)

    def _send(self, outbox: _Outbox) -> None:
        listeners = self._listeners
        for position, frames in outbox.items():
            listeners[position].hear(frames[0] if len(frames) == 1 else b"".join(frames), len(frames))

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
