"""A peer's session: the peer socket and one WebRTC connection, as Fishjam's web client has them.

The client is always the SDP offerer; the server begins a round with `offer_data`, whose counts are those of
the sections that it sends in (Fishjam's web client SDK, `ts-client`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

import betterproto
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.sdp import candidate_from_sdp
from websockets.exceptions import ConnectionClosed

from fishjam_agents.errors import FishjamAgentsError, ProtocolError
from fishjam_agents.fishjam.addressing import PEER_SOCKET, socket_url
from fishjam_agents.fishjam.direct import DirectConnection
from fishjam_agents.fishjam.sockets import binary, end_of_session, handshake, open_socket
from fishjam_agents.loopback import is_loopback_url
from fishjam_agents.protocol import decode, encode
from fishjam_agents.protocol.generated import media_peer, media_server
from fishjam_agents.protocol.generated import peer as schema
from fishjam_agents.server.webrtc.addresses import LOOPBACK, host_addresses
from fishjam_agents.server.webrtc.connection import gather_at, interface_addresses
from fishjam_agents.server.webrtc.sdp import is_mdns
from fishjam_agents.server.webrtc.tracks import OutboundTrack, PacketSink, tap_audio, tap_video

logger = logging.getLogger(__name__)

JOIN_DEADLINE = 30.0
"""Seconds from the socket being open until sound flows: an answer, ICE and DTLS, with STUN if asked for."""

_CLOSE_DEADLINE = 3.0
_WHAT = "peer session"


class PeerTokenError(FishjamAgentsError):
    """The server does not take the peer's token."""

    exit_code = 2

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the server refused the peer token ({reason or 'no reason given'}): "
            "make a new one, its room may be gone or it is too old"
        )


class RoomEvents(Protocol):
    """Callbacks by which a session tells of the room. Names are those peers give themselves, or "" ."""

    def peer_joined(self, peer_id: str, name: str) -> None:
        """Another peer is in the room."""

    def peer_left(self, peer_id: str) -> None:
        """Another peer is no longer in the room."""

    def track_added(self, track_id: str, peer_id: str) -> PacketSink:
        """Another peer's sound is negotiated; what is returned takes its packets."""


class PeerSession:
    """One peer that is connected; make it with `join`.

    Attributes:
        id: Its peer id.
        voice: Its microphone: what is pushed into it is sent.
    """

    def __init__(self, socket: DirectConnection, url: str, name: str, events: RoomEvents) -> None:
        self.id = ""
        self.voice = OutboundTrack()
        self._socket = socket
        self._url = url
        self._events = events
        self._metadata = json.dumps({"name": name, "displayName": name} if name else {})
        self._names: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._waiting: dict[int, _Receiver] = {}
        self._heard: set[str] = set()
        self._voice_id = ""
        self._connection: RTCPeerConnection | None = None
        self._flows = asyncio.Event()
        self._answered_once = False
        self._deferred: media_server.MediaEventOfferDataTrackTypes | None = None
        self._offering: asyncio.Task[None] | None = None
        self._candidates: list[str] = []

    async def connect(self) -> None:
        """Ask to be let into the room."""
        await self._send(connect=media_peer.MediaEventConnect(metadata_json=self._metadata))

    async def flows(self) -> None:
        """Wait until sound can be sent."""
        await self._flows.wait()

    async def read(self) -> None:
        """Take what the server tells until it ends the session.

        Raises:
            SessionError: It has ended it, or is gone.
        """
        try:
            async for message in self._socket:
                try:
                    which, event = betterproto.which_one_of(
                        decode(schema.PeerMessage, binary(message)), "content"
                    )
                except ProtocolError:
                    # What is unknown is passed over, as by the web client.
                    continue
                if which == "server_media_event" and event is not None:
                    await self._take(*betterproto.which_one_of(event, "content"))
        except ConnectionClosed as closed:
            raise end_of_session(_WHAT, closed.rcvd, closed.sent) from closed
        raise end_of_session(_WHAT, self._socket.protocol.close_rcvd, self._socket.protocol.close_sent)

    async def close(self) -> None:
        """End the media; leaving `join` closes the socket."""
        self.voice.stop()
        if self._offering is not None:
            # Cancelled in the middle of gathering it would leave sockets open.
            await asyncio.wait({self._offering}, timeout=_CLOSE_DEADLINE / 2)
            self._offering.cancel()
        if self._connection is not None:
            await self._connection.close()

    async def _send(self, **content: Any) -> None:
        event = media_peer.MediaEvent(**content)
        await self._socket.send(encode(schema.PeerMessage(peer_media_event=event)))

    async def _take(self, which: str, event: Any) -> None:
        match which:
            case "connected":
                await self._connected(event)
            case "endpoint_added" | "endpoint_updated":
                self._joined(event.endpoint_id, event.metadata_json)
            case "endpoint_removed":
                if self._names.pop(event.endpoint_id, None) is not None:
                    self._events.peer_left(event.endpoint_id)
            case "tracks_added":
                self._owners |= dict.fromkeys(event.track_id_to_track, event.endpoint_id)
            case "offer_data":
                if self._answered_once and not self._flows.is_set():
                    # aiortc finds sections that its answer does not have, while it still connects.
                    self._deferred = event.tracks_types
                else:
                    if self._offering is not None:
                        # One round of negotiation after the other; what went wrong in it ends the session.
                        await self._offering
                    await self._offer(event.tracks_types)
            case "sdp_answer":
                await self._answered(event)
            case "candidate":
                self._candidates.append(event.candidate)
                await self._add_candidates()
            case "error":
                raise FishjamAgentsError(f"the server refused the caller ({event.message}): see the server")
            case _:
                pass

    async def _connected(self, event: media_server.MediaEventConnected) -> None:
        self.id = event.endpoint_id
        self._voice_id = f"{self.id}:{uuid.uuid4()}"
        servers = [
            RTCIceServer(list(server.urls), server.username or None, server.credential or None)
            for server in event.ice_servers
        ]
        # No servers of its own: aiortc's default is one of a third party.
        connection = RTCPeerConnection(RTCConfiguration(servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._connection = connection

        def changed() -> None:
            if connection.connectionState != "connected":
                return
            self._flows.set()
            types, self._deferred = self._deferred, None
            if types is not None:
                self._offering = asyncio.create_task(self._offer(types), name="offer of a caller")
                self._offering.add_done_callback(_tell_failure)

        connection.on("connectionstatechange", changed)
        connection.addTransceiver(self.voice, "sendonly")
        for peer_id, endpoint in event.endpoint_id_to_endpoint.items():
            self._joined(peer_id, endpoint.metadata_json)
        await self._send(renegotiate_tracks=media_peer.MediaEventRenegotiateTracks())

    def _joined(self, peer_id: str, metadata: str) -> None:
        if peer_id in self._names or peer_id == self.id:
            return
        self._names[peer_id] = _name(metadata)
        self._events.peer_joined(peer_id, self._names[peer_id])

    async def _offer(self, types: media_server.MediaEventOfferDataTrackTypes) -> None:
        connection = self._connection
        if connection is None:
            raise ProtocolError("the server began a round of negotiation before it answered connect")
        for kind, wanted in (("audio", types.audio), ("video", types.video)):
            there = [
                one
                for one in connection.getTransceivers()
                if one.kind == kind and one.direction == "recvonly"
            ]
            for _ in range(wanted - len(there)):
                receiver = connection.addTransceiver(kind, "recvonly").receiver
                if kind == "audio":
                    tap = _Receiver()
                    self._waiting[id(receiver)] = tap
                    tap_audio(receiver, tap)
                else:
                    tap_video(receiver, _Unseen())
        if is_loopback_url(self._url):
            host = urlsplit(self._url).hostname or LOOPBACK
            transport = connection.getTransceivers()[0].sender.transport.transport
            gather_at(transport, host_addresses(host, sys.platform, interface_addresses()))
        await connection.setLocalDescription(await connection.createOffer())
        (voice,) = (one for one in connection.getTransceivers() if one.sender.track is self.voice)
        await self._send(
            sdp_offer=media_peer.MediaEventSdpOffer(
                sdp=connection.localDescription.sdp,
                mid_to_track_id={voice.mid or "": self._voice_id},
                track_id_to_metadata_json={
                    self._voice_id: json.dumps({"type": "microphone", "paused": False})
                },
            )
        )

    async def _answered(self, event: media_server.MediaEventSdpAnswer) -> None:
        connection = self._connection
        if connection is None:
            raise ProtocolError("the server answered an offer that was not made")
        for one in connection.getTransceivers():
            track_id = event.mid_to_track_id.get(one.mid or "")
            tap = self._waiting.get(id(one.receiver))
            if one.direction != "recvonly" or tap is None or track_id is None or track_id in self._heard:
                continue
            self._heard.add(track_id)
            tap.sink = self._events.track_added(track_id, self._owners.get(track_id, ""))
        try:
            await connection.setRemoteDescription(RTCSessionDescription(event.sdp, "answer"))
        except Exception as error:  # aiortc raises what its parser stumbles over
            why = f"{type(error).__name__}: {error}"
            raise ProtocolError(
                f"the server's SDP answer cannot be used ({why}): is it a Fishjam server?"
            ) from error
        self._answered_once = True
        await self._add_candidates()

    async def _add_candidates(self) -> None:
        """Take the server's candidates that came apart from its answer; names of mDNS are left out."""
        connection = self._connection
        if connection is None or not self._answered_once:
            return
        taken, self._candidates = self._candidates, []
        for text in taken:
            if text and not is_mdns(text):
                try:
                    candidate = candidate_from_sdp(text.removeprefix("candidate:"))
                except (ValueError, IndexError, AssertionError):
                    continue
                # The one transport of the bundle, whichever section it is told for.
                candidate.sdpMid = connection.getTransceivers()[0].mid
                await connection.addIceCandidate(candidate)


def _tell_failure(offering: asyncio.Task[None]) -> None:
    if not offering.cancelled() and (error := offering.exception()) is not None:
        logger.warning("somebody who joined is not heard: the offer failed (%s)", error)


class _Receiver:
    """Taker of the packets of a section, which gets its track with the answer."""

    def __init__(self) -> None:
        self.sink: PacketSink | None = None

    def put(self, sequence: int, timestamp: int, payload: bytes) -> None:
        if self.sink is not None:
            self.sink.put(sequence, timestamp, payload)


class _Unseen:
    """Taker of video that nobody looks at: it is not even decoded."""

    def begin(self, codec: str) -> None:
        """Nothing is done with it."""

    def put_frame(self, timestamp: int, frame: bytes) -> None:
        """Nothing is done with it."""

    def asks_for_keyframe(self) -> bool:
        """Return that none is needed."""
        return False


@asynccontextmanager
async def join(url: str, token: str, name: str, events: RoomEvents) -> AsyncIterator[PeerSession]:
    """Join a room as a peer; leaving the context leaves it.

    Args:
        url: The server's base URL.
        token: The peer's token.
        name: What it calls itself in its metadata; "" for nothing.
        events: Told of the room.

    Raises:
        PeerTokenError: The server does not take the token.
        UnreachableError: There is no server.
        SessionError: It broke off.
    """
    async with open_socket(socket_url(url, PEER_SOCKET)) as socket:
        request = schema.PeerMessage(auth_request=schema.PeerMessageAuthRequest(token=token))
        try:
            answer = await handshake(socket, _WHAT, encode(request))
        except ConnectionClosed as closed:
            raise PeerTokenError("" if closed.rcvd is None else closed.rcvd.reason) from closed
        which, _ = betterproto.which_one_of(decode(schema.PeerMessage, answer), "content")
        if which != "authenticated":
            raise ProtocolError("the server did not answer the peer's token: is it a Fishjam server?")
        session = PeerSession(socket, url, name, events)
        try:
            await session.connect()
            yield session
        finally:
            closing = asyncio.create_task(session.close())
            await asyncio.wait({closing}, timeout=_CLOSE_DEADLINE)
            closing.cancel()


def _name(metadata: str) -> str:
    """Return the name that a peer has, by itself or by the application; "" without one."""
    try:
        written = json.loads(metadata)
    except ValueError:
        return ""
    parts = [written.get(part) for part in ("peer", "server")] if isinstance(written, Mapping) else []
    for part in parts:
        for key in ("name", "displayName"):
            if isinstance(part, Mapping) and isinstance(name := part.get(key), str) and name:
                return name
    return ""
