"""One browser in a room: what the room and the browser have to do with each other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import betterproto

from ...errors import ProtocolError
from ...json_limits import read_json, strict_json
from ...protocol import decode, encode
from ...protocol.generated import media_peer
from ...protocol.generated.media import ChannelMessage
from ...protocol.peer_encoder import encode_error
from ..media.sources import Source
from ..peer import REFUSED, Peer, metadata_text
from ..room import Room
from .camera import BrowserCamera
from .connection import Channel, Connection
from .media import Media
from .microphone import BrowserMicrophone
from .sdp import OfferError, read_offer
from .signalling import (
    MAX_METADATA_CHARACTERS,
    LocalTrack,
    Negotiation,
    Offered,
    RoomView,
    endpoint_metadata,
)
from .tracks import OutboundTrack

_log = logging.getLogger(__name__)

ANSWER_SECONDS = 10.0
"""Longest time an answer may take: it asks nobody but this machine."""


CONNECT_SECONDS = 30.0
"""Seconds a browser may take to connect after its first answer: as long as it may be silent later on."""

MAX_CHANNELS = 8
"""Data channels that are fanned out for one browser: its client opens two. Our choice."""


class Browser:
    """Part of `peer.SourceListener`: a WebRTC peer from its `connect` to its end.

    Args:
        room: The room.
        peer: Its peer, which is connected.
        media: What all browsers of a server share.
        send: Sends an event to it.
        close: Closes its socket with a code and a reason.
        leave: Disconnects the peer and leaves its socket open.
    """

    def __init__(
        self,
        room: Room,
        peer: Peer,
        media: Media,
        send: Callable[[bytes], None],
        close: Callable[[int, str], None],
        leave: Callable[[], None],
    ) -> None:
        self._room = room
        self._peer = peer
        self._media = media
        self._send = send
        self._close = close
        self._leave = leave
        self._negotiation = Negotiation()
        self._connection: Connection | None = None
        self._joined = False
        self._ended = False
        self._update: asyncio.Handle | None = None
        self._answering = False
        self._deadline: asyncio.TimerHandle | None = None
        self._sources: dict[str, BrowserMicrophone | BrowserCamera] = {}
        self._outbound: dict[str, OutboundTrack] = {}
        self._views: dict[str, Callable[[], None]] = {}
        self._unwatch = room.watch(self._room_changed)

    def handle(self, event: media_peer.MediaEvent) -> None:
        """Take an event of the browser's."""
        if self._ended:
            return
        content: Any
        which, content = betterproto.which_one_of(event, "content")
        if which == "connect":
            self._connect(content.metadata_json)
        elif not self._joined:
            self._fail("the first media event must be `connect`")
        elif which == "disconnect":
            # The client takes a closed socket for a lost one, and would be back in half a second.
            self._leave()
        elif which == "update_endpoint_metadata":
            self._describe_peer(content.metadata_json)
        elif which == "update_track_metadata":
            self._describe_track(content.track_id, content.metadata_json)
        elif which == "renegotiate_tracks":
            self._tell(self._negotiation.renegotiate())
        elif which == "candidate":
            self._begun().add_candidate(content.candidate)
        elif which == "sdp_offer":
            self._offer(content)
        # The rest is about the variants of simulcast and their bit rates, which nobody asks for here, and
        # `unmute_track`, which a change of the track's metadata follows.

    def hear_source(self, publisher: Peer, source: Source, sounded: bool, ticks: int) -> None:
        """Part of `peer.SourceListener`."""
        track = self._outbound.get(source.track.id)
        if track is None or track.kind != "audio":
            return
        for packet in self._media.voices.packets(source, sounded, ticks):
            track.push(packet.payload, packet.position)

    def end(self) -> None:
        """The peer is disconnected: end its connection. Does nothing the second time."""
        if self._ended:
            return
        self._ended = True
        self._unwatch()
        if self._update is not None:
            self._update.cancel()
        if self._deadline is not None:
            self._deadline.cancel()
        self._outbound = {}
        for unview in self._views.values():
            unview()
        if self._connection is not None:
            what = f"the end of the connection of {self._peer.id}"
            self._media.tasks.spawn(self._connection.close(), what)

    def _begun(self) -> Connection:
        """The connection, which begins with the browser's first word of it."""
        if self._connection is None:
            codec = self._room.config.video_codec
            self._connection = Connection(self._media.addresses(), self, codec)
        return self._connection

    # --- what the browser says ---

    def _connect(self, metadata: str) -> None:
        value = _client_metadata(metadata)
        if value is _REFUSED:
            self._fail(f"the peer's metadata is no JSON of up to {MAX_METADATA_CHARACTERS} characters")
            return
        if not self._joined:
            self._joined = True
            self._room.update_peer_metadata(self._peer, value)
            own = endpoint_metadata(self._peer.metadata)
            self._tell(self._negotiation.connected(self._peer.id, own, self._view()))

    def _describe_peer(self, metadata: str) -> None:
        value = _client_metadata(metadata)
        if value is not _REFUSED and value != self._peer.client_metadata:
            self._room.update_peer_metadata(self._peer, value)

    def _describe_track(self, track_id: str, metadata: str) -> None:
        source = self._sources.get(track_id)
        if source is None or len(metadata) > MAX_METADATA_CHARACTERS:
            return
        text = metadata_text(metadata)
        if self._negotiation.local_metadata(track_id, text):
            self._room.track_metadata_updated(self._peer, source.describe(text))

    def _offer(self, offer: media_peer.MediaEventSdpOffer) -> None:
        if self._answering:
            self._fail("an offer came before the last one was answered")
            return
        try:
            metadata = {key: metadata_text(text) for key, text in offer.track_id_to_metadata_json.items()}
            offered = self._negotiation.offered(read_offer(offer.sdp), offer.mid_to_track_id, metadata)
            for track in offered.added.values():
                if self._room.has_track(track.id):
                    raise OfferError(f"track {track.id} exists already: choose another id")
                if track.kind == "video" and self._room.config.room_type == "audio_only":
                    raise OfferError("the room is for audio only: publish no video")
        except OfferError as error:
            self._fail(str(error))
            return
        self._answering = True
        # Begun here and not in the task: one begun after the browser's end would be ended by nobody.
        answer = self._answer(self._begun(), offer.sdp, offered)
        self._media.tasks.spawn(answer, f"an answer to {self._peer.id}")

    async def _answer(self, connection: Connection, sdp: str, offered: Offered) -> None:
        for track_id in offered.removed:
            self._unpublish(track_id)
        sources = {mid: self._source(track) for mid, track in offered.added.items()}
        sent = {mid: self._track(track_id) for mid, track_id in offered.outgoing.items()}
        outgoing = {mid: track for mid, track in sent.items() if track is not None}
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await connection.answer(sdp, sources, outgoing)
        except (OfferError, TimeoutError) as error:
            if not self._ended:
                self._fail(str(error) or "the offer was not answered in time")
            return
        finally:
            self._answering = False
        if self._ended:
            return
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(CONNECT_SECONDS, self._give_up)
        self._send_tracks({offered.outgoing[mid]: track for mid, track in outgoing.items()})
        for source in sources.values():
            self._sources[source.track.id] = source
            self._room.add_track(self._peer, source)
        self._tell(self._negotiation.answered(answer, self._view()))

    def _send_tracks(self, outbound: dict[str, OutboundTrack]) -> None:
        """Send these tracks from now on, and no others."""
        for track_id in self._outbound.keys() - outbound.keys():
            self._views.pop(track_id, lambda: None)()
            self._outbound[track_id].stop()
        for track_id in outbound.keys() - self._outbound.keys():
            camera = self._camera(track_id)
            if camera is not None:
                self._views[track_id] = camera.view(outbound[track_id])
        self._outbound = outbound

    def _track(self, track_id: str) -> OutboundTrack | None:
        """Return the sender of a track to the browser; None if the track has gone meanwhile."""
        track = self._outbound.get(track_id)
        if track is not None:
            return track
        camera = self._camera(track_id)
        if camera is not None:
            return OutboundTrack("video", camera.codec, camera.want_keyframe)
        return OutboundTrack() if self._room.has_track(track_id) else None

    def _camera(self, track_id: str) -> BrowserCamera | None:
        for other in self._room.peers.values():
            source = other.sources.get(track_id)
            if isinstance(source, BrowserCamera):
                return source
        return None

    # --- data channels ---

    def channel_opened(self, label: str, channel: Channel) -> None:
        """Part of `connection.ConnectionEvents`."""
        if not self._ended and len(self._peer.channels) < MAX_CHANNELS:
            self._room.open_channel(self._peer, label, channel)

    def channel_closed(self, label: str) -> None:
        """Part of `connection.ConnectionEvents`."""
        if not self._ended:
            self._room.close_channel(self._peer, label)

    def data_received(self, label: str, message: bytes) -> None:
        """Part of `connection.ConnectionEvents`."""
        if self._ended or label not in self._peer.channels:
            return
        try:
            decoded = decode(ChannelMessage, message)
        except ProtocolError as error:
            _log.debug("a message of %s in the channel %s is left out: %s", self._peer.id, label, error)
            return
        # The client writes a placeholder: who sent it is known here alone.
        decoded.source = self._peer.id
        self._room.send_data(self._peer, label, encode(decoded), decoded.destinations)

    # --- what the room says ---

    def _room_changed(self) -> None:
        if self._joined and self._update is None:
            self._update = asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._update = None
        self._tell(self._negotiation.update(self._view()))

    def _view(self) -> RoomView:
        views = self._media.views
        return {
            other.id: views.of(other, self._peer)
            for other in self._room.peers.values()
            if other is not self._peer and other.ready
        }

    def _tell(self, events: Sequence[bytes]) -> None:
        for event in events:
            self._send(event)

    def lost(self, state: str) -> None:
        """Part of `connection.ConnectionEvents`."""
        # A client that is told so connects anew (Fishjam's web client SDK).
        self._close(1011, "media connection lost")

    def _give_up(self) -> None:
        if self._connection is not None and not self._connection.connected:
            self.lost("not connected in time")

    def _fail(self, reason: str) -> None:
        """End it with an error after which the client does not connect anew (Fishjam's web client SDK)."""
        _log.warning("the browser %s is refused: %s", self._peer.id, reason)
        self._send(encode_error(reason))
        self._close(1000, REFUSED)

    def _source(self, track: LocalTrack) -> BrowserMicrophone | BrowserCamera:
        def voice_changed(speaking: bool) -> None:
            self._room.voice_changed(self._peer, track.id, speaking)

        def now() -> float:
            return self._media.clock.now

        metadata = track.metadata or "null"
        if track.kind == "video":
            return BrowserCamera(track.id, metadata, self._media.tasks, now)

        def arrived() -> None:
            self._room.flush(microphone, self._media.clock.ticks)

        microphone = BrowserMicrophone(track.id, metadata, voice_changed, now, arrived)
        return microphone

    def _unpublish(self, track_id: str) -> None:
        source = self._sources.pop(track_id, None)
        if source is not None:
            self._room.remove_track(self._peer, source)


_REFUSED = object()


def _client_metadata(text: str) -> Any:
    """The client's part of a peer's metadata; `_REFUSED` if it cannot be kept."""
    if not text:
        return {}
    if len(text) > MAX_METADATA_CHARACTERS:
        return _REFUSED
    try:
        value = read_json(text)
        strict_json(value)
    except ValueError:
        return _REFUSED
    return value
