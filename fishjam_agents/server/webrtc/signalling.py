"""Negotiation with one browser, without socket, clock or WebRTC: what it was told, and what it must be told.

The client is always the SDP offerer and the server always answers; the server begins a round with
`offer_data`, which counts the sections it needs for its own tracks (Fishjam's web client SDK, `ts-client`):

* `tracks_added` locks the client's commands until the next answer, so a round follows at once.
* One round at a time: what happens meanwhile is told after the answer.
* The counts of `offer_data` never fall: a section that carried a track is never used for another one.
* The mids of an answer are those of both directions, all of them, every time.

What a browser should know is compared with what it was told, so nothing depends on the order of events.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from ...protocol.peer_encoder import (
    encode_connected,
    encode_endpoint_added,
    encode_endpoint_removed,
    encode_endpoint_updated,
    encode_offer_data,
    encode_sdp_answer,
    encode_track_updated,
    encode_tracks_added,
    encode_tracks_removed,
    encode_vad_notification,
)
from .sdp import Kind, OfferError, Section

MAX_TRACKS = 16
"""Tracks that one browser may publish. Our choice."""

MAX_METADATA_CHARACTERS = 64 * 1024
"""Metadata of a peer or a track, which is kept and sent to everybody. Our choice."""


@dataclass(frozen=True, slots=True)
class TrackView:
    """A track as the browser should see it.

    Attributes:
        kind: `audio` or `video`.
        metadata: JSON text.
        speaking: Whether someone speaks on it; None where nobody looks.
    """

    kind: Kind
    metadata: str
    speaking: bool | None = None


@dataclass(frozen=True, slots=True)
class EndpointView:
    """Another peer as the browser should see it.

    Attributes:
        metadata: JSON text.
        tracks: Track id to each track that the browser receives.
    """

    metadata: str
    tracks: Mapping[str, TrackView]


RoomView = Mapping[str, EndpointView]
"""Peer id to every other peer."""


@dataclass(frozen=True, slots=True)
class LocalTrack:
    """A track that the browser publishes.

    Attributes:
        id: As the browser named it.
        kind: `audio` or `video`.
        metadata: JSON text.
    """

    id: str
    kind: Kind
    metadata: str


@dataclass(frozen=True, slots=True)
class Offered:
    """Changes by an offer.

    Attributes:
        added: Mid to each track that the browser publishes from now on.
        removed: Ids of those it publishes no more.
        outgoing: Mid to track id of everything the server sends.
    """

    added: Mapping[str, LocalTrack]
    removed: tuple[str, ...]
    outgoing: Mapping[str, str]


@dataclass(slots=True)
class _Told:
    endpoint: str
    track: TrackView
    mid: str | None = None


@dataclass(slots=True)
class Negotiation:
    """State of one browser's negotiation: what it was told, and the round that is under way."""

    _endpoints: dict[str, EndpointView] = field(default_factory=dict)
    # Endpoints with tracks that wait for the end of the round.
    _unannounced: set[str] = field(default_factory=set)
    _tracks: dict[str, _Told] = field(default_factory=dict)
    _local: dict[str, LocalTrack] = field(default_factory=dict)
    # Sections that ever carried a track of the server, by kind, and those that were asked for last.
    _used: dict[Kind, set[str]] = field(default_factory=lambda: {"audio": set(), "video": set()})
    _asked: dict[Kind, int] = field(default_factory=lambda: {"audio": 0, "video": 0})
    _in_round: bool = False
    _wanted: bool = False

    @property
    def local_tracks(self) -> Mapping[str, LocalTrack]:
        """Mid to each track that the browser publishes."""
        return self._local

    def connected(self, peer_id: str, metadata: str, view: RoomView) -> list[bytes]:
        """Answer `connect`: who is here, and then what they publish."""
        endpoints = {peer_id: metadata}
        for other, endpoint in view.items():
            self._endpoints[other] = EndpointView(endpoint.metadata, {})
            endpoints[other] = endpoint.metadata
        return [encode_connected(peer_id, endpoints), *self.update(view)]

    def update(self, view: RoomView) -> list[bytes]:
        """Tell what changed; tracks that are new begin a round, or wait for the end of this one."""
        events: list[bytes] = []
        for peer_id in [known for known in self._endpoints if known not in view]:
            # It takes the endpoint's tracks with it.
            events.append(encode_endpoint_removed(peer_id))
            del self._endpoints[peer_id]
            self._tracks = {key: told for key, told in self._tracks.items() if told.endpoint != peer_id}
        for peer_id, endpoint in view.items():
            known = self._endpoints.get(peer_id)
            if known is endpoint:
                continue
            self._endpoints[peer_id] = endpoint
            if known is None or known.metadata != endpoint.metadata:
                tell = encode_endpoint_added if known is None else encode_endpoint_updated
                events.append(tell(peer_id, endpoint.metadata))
            events += self._track_changes(peer_id, endpoint.tracks)
            if any(key not in self._tracks for key in endpoint.tracks):
                self._unannounced.add(peer_id)
        if self._unannounced and not self._in_round:
            events += self._new_tracks(view)
        return events

    def renegotiate(self) -> list[bytes]:
        """Answer `renegotiate_tracks`."""
        if self._in_round:
            self._wanted = True
            return []
        return [self._begin()]

    def offered(
        self,
        sections: Iterable[Section],
        mid_to_track: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> Offered:
        """Take an offer.

        Args:
            sections: Its media sections.
            mid_to_track: The client's names of what it sends.
            metadata: Track id to JSON text.

        Raises:
            OfferError: It cannot be answered.
        """
        local: dict[str, LocalTrack] = {}
        free: dict[Kind, list[str]] = {"audio": [], "video": []}
        for section in sections:
            if section.sends:
                local[section.mid] = self._local_track(section, mid_to_track, metadata)
            elif section.receives:
                kind = cast(Kind, section.kind)
                if section.mid not in self._used[kind]:
                    free[kind].append(section.mid)
        if len({track.id for track in local.values()}) != len(local):
            raise OfferError("two media sections of the offer carry the same track")
        if len(local) > MAX_TRACKS:
            raise OfferError(f"a peer cannot publish more than {MAX_TRACKS} tracks")
        for told in self._tracks.values():
            if told.mid is None and free[told.track.kind]:
                told.mid = free[told.track.kind].pop(0)
                self._used[told.track.kind].add(told.mid)
        before = {track.id for track in self._local.values()}
        after = {track.id for track in local.values()}
        added = {mid: track for mid, track in local.items() if track.id not in before}
        self._local = local
        self._in_round = True
        return Offered(added, tuple(before - after), self._outgoing())

    def answered(self, sdp: str, view: RoomView) -> list[bytes]:
        """The answer to the offer is made: tell it, and what happened meanwhile."""
        self._in_round = False
        mids = self._outgoing() | {mid: track.id for mid, track in self._local.items()}
        events = [encode_sdp_answer(sdp, mids)]
        events += self.update(view)
        if self._wanted and not self._in_round:
            events.append(self._begin())
        return events

    def local_metadata(self, track_id: str, metadata: str) -> bool:
        """The browser describes one of its tracks; False if there is none of that id, or nothing is new."""
        for mid, track in self._local.items():
            if track.id == track_id and track.metadata != metadata:
                self._local[mid] = LocalTrack(track.id, track.kind, metadata)
                return True
        return False

    def _track_changes(self, peer_id: str, tracks: Mapping[str, TrackView]) -> list[bytes]:
        """Tell what is gone or different among the tracks of one endpoint that were announced."""
        gone = [key for key, told in self._tracks.items() if told.endpoint == peer_id and key not in tracks]
        for key in gone:
            del self._tracks[key]
        events: list[bytes] = []
        if gone:
            events.append(encode_tracks_removed(peer_id, gone))
        for key, track in tracks.items():
            told = self._tracks.get(key)
            if told is None or told.track == track:
                continue
            if told.track.metadata != track.metadata:
                events.append(encode_track_updated(peer_id, key, track.metadata))
            if told.track.speaking != track.speaking:
                events.append(encode_vad_notification(key, bool(track.speaking)))
            told.track = track
        return events

    def _new_tracks(self, view: RoomView) -> list[bytes]:
        """Announce the tracks nobody spoke of yet, and begin the round that brings them."""
        events: list[bytes] = []
        speaking: list[bytes] = []
        waiting, self._unannounced = self._unannounced, set()
        for peer_id in [known for known in view if known in waiting]:
            tracks = view[peer_id].tracks
            new = {key: track for key, track in tracks.items() if key not in self._tracks}
            if not new:
                continue
            for key, track in new.items():
                self._tracks[key] = _Told(peer_id, track)
                if track.speaking:
                    speaking.append(encode_vad_notification(key, bool(track.speaking)))
            events.append(encode_tracks_added(peer_id, {key: track.metadata for key, track in new.items()}))
        return [*events, *speaking, self._begin()] if events else []

    def _begin(self) -> bytes:
        self._in_round = True
        self._wanted = False
        for kind in self._asked:
            waiting = sum(told.track.kind == kind and told.mid is None for told in self._tracks.values())
            self._asked[kind] = max(self._asked[kind], len(self._used[kind]) + waiting)
        return encode_offer_data(self._asked["audio"], self._asked["video"])

    def _outgoing(self) -> dict[str, str]:
        return {told.mid: key for key, told in self._tracks.items() if told.mid is not None}

    def _local_track(
        self, section: Section, mid_to_track: Mapping[str, str], metadata: Mapping[str, str]
    ) -> LocalTrack:
        track_id = mid_to_track.get(section.mid)
        if not track_id:
            raise OfferError("a media section that sends is missing in mid_to_track_id")
        known = self._local.get(section.mid)
        if known is not None and known.id == track_id:
            return known
        text = metadata.get(track_id, "")
        if len(text) > MAX_METADATA_CHARACTERS:
            raise OfferError(f"metadata is longer than {MAX_METADATA_CHARACTERS} characters")
        return LocalTrack(track_id, cast(Kind, section.kind), text)


def endpoint_metadata(metadata: Mapping[str, object] | None) -> str:
    """Metadata of a peer as clients expect it: a client's and a server's part, which may be empty."""
    return json.dumps(metadata if metadata is not None else {"peer": {}, "server": {}})
