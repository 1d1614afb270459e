"""Parts that all browsers of a server share: the encoders, and the views of each peer."""

from __future__ import annotations

import sys
from weakref import WeakKeyDictionary

from ...protocol import TrackType
from ..media.clock import RoomClock
from ..media.sources import Source
from ..peer import Peer
from ..tasks import Tasks
from .addresses import host_addresses
from .camera import BrowserCamera
from .connection import interface_addresses
from .signalling import EndpointView, TrackView, endpoint_metadata
from .voices import Voices


class Media:
    """Parts that all browsers of a server share.

    Args:
        clock: Room time.
        tasks: Owner of what takes time.
        host: Address the server listens on.
    """

    def __init__(self, clock: RoomClock, tasks: Tasks, host: str) -> None:
        self.clock = clock
        self.tasks = tasks
        self.voices = Voices()
        self.views = Views()
        self._host = host

    def addresses(self) -> list[str]:
        """Return this machine's present addresses: a laptop changes its networks."""
        return host_addresses(self._host, sys.platform, interface_addresses())


class Views:
    """Views of peers for browsers: worked out once after each change of a peer, however many look."""

    def __init__(self) -> None:
        self._views: WeakKeyDictionary[Peer, tuple[int, EndpointView]] = WeakKeyDictionary()

    def of(self, peer: Peer, viewer: Peer) -> EndpointView:
        """Return `viewer`'s view of `peer`; the same object until something changes, if it hears everyone."""
        if viewer.config.manual:
            return _view(peer, viewer)
        version, view = self._views.get(peer, (-1, None))
        if view is None or version != peer.version:
            view = _view(peer, viewer)
            self._views[peer] = peer.version, view
        return view


def _view(peer: Peer, viewer: Peer) -> EndpointView:
    tracks = {
        source.track.id: TrackView(
            "video" if source.track.type == TrackType.VIDEO else "audio",
            source.track.metadata,
            source.speaking,
        )
        for source in peer.sources.values()
        if _is_sent(source) and viewer.hears(peer, source.track)
    }
    return EndpointView(endpoint_metadata(peer.metadata), tracks)


def _is_sent(source: Source) -> bool:
    """Return whether browsers can get it: a simulated caller's still is no video."""
    return source.track.type == TrackType.AUDIO or isinstance(source, BrowserCamera)
