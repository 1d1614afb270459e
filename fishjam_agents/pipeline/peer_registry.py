"""Peers in the room, and those of their tracks that the bot listens to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from fishjam_agents.hearing.microphone import QUIET_AFTER
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.session import MediaServer, PeerType, RoomView, track_metadata


class Input(Protocol):
    """Input of the bot from one track: a microphone, or a voice of a mix."""

    track: str

    def quiet_for(self, now: float) -> float:
        """Seconds since the last packet; 0 before the first."""
        ...

    def change_track(self, track: str) -> None:
        """Go on under the id of another track, perhaps from another device."""
        ...

    def end(self, reason: str) -> None:
        """The peer left, or the connection was lost."""
        ...


InputT = TypeVar("InputT", bound=Input)


class PeerRegistry(Generic[InputT]):
    """Peers, and one input for each audio track that counts as a microphone.

    Args:
        settings: Whom the bot hears.
        server: Rules of the media server.
        room: What is known of the room, or None; then peers are known by their audio alone.
        own_tracks: Ids of the bot's own tracks.
        make: Builds the input of a peer and track.
        joined: Told of every peer that is there, once.
        left: Told of every peer that is gone.
    """

    def __init__(
        self,
        settings: HearingSettings,
        server: MediaServer,
        room: RoomView | None,
        own_tracks: set[str],
        make: Callable[[str, str], InputT],
        joined: Callable[[str], None],
        left: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._server = server
        self._room = room
        self._own = own_tracks
        self._make = make
        self._joined = joined
        self._left = left
        self._present: set[str] = set()
        self._listed: set[str] = set()
        self._gone: dict[str, float | None] = {}
        self._inputs: dict[tuple[str, str], InputT | None] = {}
        self._unsubscribe: Callable[[], None] = lambda: None

    @property
    def inputs(self) -> Iterable[InputT]:
        """Every input, in the order they were first heard."""
        return [microphone for microphone in self._inputs.values() if microphone is not None]

    def open(self) -> None:
        """Begin to follow the room."""
        if self._room is not None:
            self._unsubscribe = self._room.subscribe(self.reconcile)
            self.reconcile()

    def close(self) -> None:
        """Stop following the room."""
        self._unsubscribe()

    def input(self, frame: Any, now: float) -> InputT | None:
        """The input of an audio frame; None when it is not listened to."""
        key = (frame.peer_id, frame.track.id)
        try:
            return self._inputs[key]
        except KeyError:
            return self._admit(key, track_metadata(frame.track), now)

    def _admit(self, key: tuple[str, str], metadata: Mapping[str, Any], now: float) -> InputT | None:
        peer, track = key
        if self._is_late(peer, now):
            return None
        if not self._counts(peer, track, metadata):
            self._inputs[key] = None
            return None
        self._arrived(peer)
        microphone = self._returned(peer, track, now)
        if microphone is None:
            microphone = self._make(peer, track)
        else:
            # The track is back under a new id, as after a reconnect: the same microphone, the same turn.
            self._inputs.pop((peer, microphone.track), None)
            microphone.change_track(track)
        self._inputs[key] = microphone
        return microphone

    def _is_late(self, peer: str, now: float) -> bool:
        """Return whether this is audio that was on its way when its peer left, and no sign of its return."""
        if peer not in self._gone:
            return False
        since = self._gone[peer]
        if since is None:
            since = self._gone[peer] = now
        if now - since < self._server.late_audio:
            return True
        del self._gone[peer]
        return False

    def _counts(self, peer: str, track: str, metadata: Mapping[str, Any]) -> bool:
        if track in self._own:
            return False
        kind = metadata.get("type")
        if kind is not None and kind not in self._settings.tracks:
            return False
        return self._settings.agents or not (self._is_agent(peer) or self._server.is_marked(metadata))

    def _is_agent(self, peer: str) -> bool:
        view = self._room.peers.get(peer) if self._room is not None else None
        return view is not None and view.type is not PeerType.WEBRTC

    def _returned(self, peer: str, track: str, now: float) -> InputT | None:
        view = self._room.peers.get(peer) if self._room is not None else None
        listed = view.tracks if view is not None and track in view.tracks else None
        for (heard, old), microphone in self._inputs.items():
            if heard != peer or microphone is None:
                continue
            if microphone.quiet_for(now) >= QUIET_AFTER or (listed is not None and old not in listed):
                return microphone
        return None

    def _arrived(self, peer: str) -> None:
        if peer not in self._present:
            self._present.add(peer)
            self._joined(peer)

    def reconcile(self) -> None:
        """Compare with the room as it is now."""
        if self._room is None:
            return
        peers = self._room.peers
        connected = {peer for peer, view in peers.items() if view.connected}
        for peer, view in peers.items():
            if view.connected and (self._settings.agents or view.type is PeerType.WEBRTC):
                self._arrived(peer)
        # Audio can run ahead of the room's listing: only who was listed before can have left.
        for peer in self._listed - connected:
            self._leave(peer)
            self._gone[peer] = None
        for peer in connected:
            self._gone.pop(peer, None)
        self._listed = connected
        if not self._settings.agents:
            for key, microphone in list(self._inputs.items()):
                if microphone is not None and self._is_agent(key[0]):
                    microphone.end("left")
                    self._inputs[key] = None

    def _leave(self, peer: str) -> None:
        for key in [key for key in self._inputs if key[0] == peer]:
            microphone = self._inputs.pop(key)
            if microphone is not None:
                microphone.end("left")
        if peer in self._present:
            self._present.discard(peer)
            self._left(peer)
