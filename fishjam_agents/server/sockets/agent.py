"""The agent socket, `/socket/agent/websocket` (Fishjam protos, `agent_notifications.proto`)."""

from __future__ import annotations

import logging
import re

from ...errors import ProtocolError
from ...protocol import (
    AddTrack,
    AuthRequest,
    CaptureImage,
    InterruptTrack,
    RemoveTrack,
    Track,
    TrackChunk,
    TrackType,
    decode_agent_request,
    encode_authenticated,
    encode_track_image,
)
from ...session import FISHJAM, PeerType, TrackEncoding
from ..media.clock import RoomClock
from ..media.sources import AgentTrack
from ..peer import Peer, metadata_text
from ..room import Room
from ..rooms import Rooms
from ..tokens import TokenError
from .authenticated import AuthenticatedSocket
from .network import Network
from .websocket import Connection

_log = logging.getLogger(__name__)

MAX_TRACKS = 64
"""Tracks of one agent. Every one is asked 50 times a second for what it plays. Our choice."""

MAX_METADATA_CHARACTERS = 64 * 1024
"""Metadata of a track: read, kept, and sent to everybody with every frame of audio. Our choice."""

_REASON_CHARACTERS = 200
"""Longest reason of an agent's crash, which is told to every backend and quotes what the agent sent."""

_UUID4 = re.compile(
    r"[0-9a-f]{8}(?P<dash>-?)[0-9a-f]{4}(?P=dash)4[0-9a-f]{3}(?P=dash)[89ab][0-9a-f]{3}(?P=dash)[0-9a-f]{12}",
    re.IGNORECASE,
)


class AgentSocket(AuthenticatedSocket):
    """One agent's connection: its tracks come in, everyone else's go out.

    Args:
        rooms: Where tokens lead to.
        clock: Room time, for the arrival of audio.
        network: What messages suffer on their way in.
    """

    def __init__(self, rooms: Rooms, clock: RoomClock, network: Network) -> None:
        super().__init__()
        self._rooms = rooms
        self._clock = clock
        self._network = network
        self._link = network.link(super().received)
        self._room: Room | None = None
        self._peer: Peer | None = None
        self._tracks: dict[str, AgentTrack] = {}

    def received(self, message: bytes) -> None:
        """Part of `websocket.Endpoint`."""
        # No timer per frame where nothing is late.
        if self._network.bends or not self._link.empty:
            self._link.send(message)
        else:
            super().received(message)

    def closed(self) -> None:
        """Part of `websocket.Endpoint`."""
        super().closed()
        self._link.close()
        if self._room is not None and self._peer is not None:
            self._room.disconnect(self._peer, self)

    def hear(self, frames: bytes, count: int) -> None:
        """Part of `peer.Listener`."""
        if self.connection is not None:
            self.connection.send_frames(frames, count)

    def authenticate(self, connection: Connection, message: bytes) -> bool:
        """Admit the agent its token names; a connected one is taken over."""
        try:
            request = decode_agent_request(message)
        except ProtocolError:
            request = None
        if not isinstance(request, AuthRequest):
            connection.close(1000, "unauthenticated")
            return False
        try:
            room, peer = self._rooms.admit(request.token)
            if peer.type is not PeerType.AGENT:
                raise TokenError("invalid token")
        except TokenError as error:
            connection.close(1000, str(error))
            return False
        self._room, self._peer = room, peer
        connection.send(encode_authenticated())
        room.connect(peer, self, self)
        return True

    def handle(self, message: bytes) -> None:
        """Take a message of the agent."""
        try:
            request = decode_agent_request(message)
        except ProtocolError as error:
            _log.warning("closing the agent's socket: %s", error)
            self.detach(1003, "invalid message")
            return
        match request:
            case TrackChunk():
                track = self._tracks.get(request.track_id)
                if track is None:
                    self._crash(f"track {request.track_id} does not exist: add it before sending audio")
                else:
                    track.playout.write(request.data, self._clock.now)
            case InterruptTrack():
                track = self._tracks.get(request.track_id)
                if track is not None:
                    track.playout.interrupt(self._clock.now)
            case AddTrack():
                self._add_track(request)
            case RemoveTrack():
                track = self._tracks.pop(request.track_id, None)
                if track is not None:
                    track.removing = True
            case CaptureImage():
                self._capture(request.track_id)
            case _:
                # A second auth_request is ignored.
                pass

    def _capture(self, track_id: str) -> None:
        def reply(picture: bytes) -> None:
            if self.connection is not None:
                self.connection.send(encode_track_image(track_id, "image/jpeg", picture))

        if self._room is not None and self._peer is not None:
            self._room.capture(self._peer, track_id, self._clock.now, reply)

    def _add_track(self, request: AddTrack) -> None:
        if self._room is None or self._peer is None:
            return
        track_id = request.track.id
        encoding = request.encoding
        if not _UUID4.fullmatch(track_id):
            self._crash(f"invalid track id {track_id}: it must be a UUID v4")
        elif len(self._peer.sources) >= MAX_TRACKS:
            self._crash(f"an agent cannot have more than {MAX_TRACKS} tracks: remove one first")
        elif len(request.track.metadata) > MAX_METADATA_CHARACTERS:
            self._crash(f"metadata is longer than {MAX_METADATA_CHARACTERS} characters: keep it short")
        elif self._room.has_track(track_id):
            self._crash(f"track {track_id} exists already: choose another id")
        elif request.track.type not in (TrackType.UNSPECIFIED, TrackType.AUDIO):
            self._crash("an agent cannot publish video: set the track's type to audio")
        elif request.channels != 1:
            self._crash(f"a track cannot have {request.channels} channels: send mono")
        elif encoding == TrackEncoding.TRACK_ENCODING_OPUS:
            self._crash("the embedded server plays no Opus yet: send PCM16")
        elif encoding not in TrackEncoding.__members__.values():
            self._crash(f"unknown track encoding {encoding}: send PCM16")
        elif request.sample_rate not in FISHJAM.track_rates:
            self._crash(f"a PCM16 track cannot have {request.sample_rate} Hz: send 16000 or 24000")
        else:
            track = Track(track_id, int(TrackType.AUDIO), metadata_text(request.track.metadata))
            self._tracks[track_id] = AgentTrack(track, request.sample_rate)
            self._room.add_track(self._peer, self._tracks[track_id])

    def _crash(self, reason: str) -> None:
        # In the engine (`membrane_rtc_engine`) an invalid request takes the whole agent endpoint down.
        if self._room is not None and self._peer is not None:
            self._room.crash_peer(self._peer, reason[:_REASON_CHARACTERS])
