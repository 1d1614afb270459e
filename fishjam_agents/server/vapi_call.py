"""One VAPI peer: a room and a call at Vapi, joined through the call's media socket.

The cloud takes any key and call id at creation and reports a failure later, as PeerCrashed. A peer that is in
hears one peer at a time, everyone hears it, and it leaves with its call (Fishjam docs, VAPI Integration).
The media socket (Vapi docs, WebSocket Transport) has raw PCM in binary frames, JSON in text frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import uuid
from urllib.parse import quote

import httpx
import numpy as np
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.protocol import State

from ..audio.formats import FRAMES_PER_SECOND, SAMPLE_BYTES
from ..fishjam.dial import DirectDial
from ..fishjam.direct import DirectConnection
from ..loopback import is_loopback_url
from ..protocol import Track, TrackType
from ..session import PeerType
from .media.clock import RoomClock
from .media.sources import AgentTrack
from .media.voice_activity import QUIET_TICKS, loud_windows
from .peer import Peer
from .room import Room
from .settings import VapiOptions

RATE = 16000
"""Hz both ways, as Fishjam wants calls for its peers to be made."""
CALL_SECONDS = 5.0
"""Seconds for attempts to find the call, and to open its socket; our choice."""
FAILURE_SECONDS = 1.0
"""Seconds from its creation until a peer may crash: in the cloud, too, its creator finds it first."""
GOODBYE_SECONDS = 0.3
"""Seconds Vapi may take to close the socket of an ended call; a server that stops waits for it."""

_SILENCE = bytes(RATE // FRAMES_PER_SECOND * SAMPLE_BYTES)
_log = logging.getLogger(__name__)


class CannotJoinError(Exception):
    """The call of a peer cannot be joined, for a reason that is told in PeerCrashed."""


class VapiCall:
    """One peer and its call: the peer's attachment and audio listener."""

    def __init__(self, room: Room, peer: Peer, options: VapiOptions, clock: RoomClock, url: str) -> None:
        self._room = room
        self._peer = peer
        self._options = options
        self._clock = clock
        self._url = url.rstrip("/")
        self._over = asyncio.Event()
        self._socket: DirectConnection | None = None
        self._source = AgentTrack(Track(str(uuid.uuid4()), int(TrackType.AUDIO), "null"), RATE)
        self._heard: dict[str, bytes] = {}
        self._speaker: str | None = None
        self._quiet = 0
        self._company = False

    async def run(self) -> None:
        """Join, stay until the call or the peer is over, and leave."""
        earliest = asyncio.get_running_loop().time() + FAILURE_SECONDS
        try:
            async with asyncio.timeout(CALL_SECONDS):
                socket = await self._dial(await self._media_url())
        except (CannotJoinError, TimeoutError) as error:
            await self._crash(earliest, str(error) or f"no answer within {CALL_SECONDS:g} s")
            return
        except Exception:
            # A bug of ours: the backend is told that the peer is gone, and the log why.
            await self._crash(earliest, "the embedded server failed, see its log")
            raise
        async with socket:
            if self._room.peers.get(self._peer.id) is self._peer and not self._over.is_set():
                await self._attend(socket)

    async def _crash(self, earliest: float, reason: str) -> None:
        await self._pause(earliest)
        self._room.crash_peer(self._peer, f"cannot join the VAPI call {self._options.call_id}: {reason}")

    async def _pause(self, until: float) -> None:
        """Wait until a moment of the loop's clock, or until it no longer matters."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._over.wait()

    async def _media_url(self) -> str:
        """Return the address of the call's media socket, from Vapi's REST interface."""
        call = f"{self._url}/call/{quote(self._options.call_id)}"
        headers = {"Authorization": f"Bearer {self._options.api_key}"}
        try:
            async with httpx.AsyncClient(timeout=CALL_SECONDS, trust_env=not is_loopback_url(call)) as http:
                answer = await http.get(call, headers=headers)
            transport = answer.json().get("transport") if answer.is_success else None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OverflowError) as error:
            raise CannotJoinError(f"Vapi cannot be reached ({type(error).__name__})") from error
        except (ValueError, AttributeError, RecursionError) as error:
            raise CannotJoinError("Vapi answered with something that is no call") from error
        if not answer.is_success:
            raise CannotJoinError(f"Vapi answered with {answer.status_code}")
        url = transport.get("websocketCallUrl") if isinstance(transport, dict) else None
        if not isinstance(url, str):
            raise CannotJoinError("its transport is not vapi.websocket")
        return url

    async def _dial(self, url: str) -> DirectConnection:
        try:
            socket = await DirectDial(
                url,
                additional_headers={"Authorization": f"Bearer {self._options.api_key}"},
                compression=None,
                open_timeout=None,
                close_timeout=GOODBYE_SECONDS,
                proxy=None if is_loopback_url(url) else True,
                # A key goes to no other host than the one Vapi named.
                create_connection=DirectConnection,
            )
        except (OSError, InvalidHandshake, InvalidURI, ValueError, OverflowError) as error:
            # The URL is Vapi's: a port beyond 65535 or a label of 64 letters shows only here.
            raise CannotJoinError(f"its media socket does not open ({type(error).__name__})") from error
        assert isinstance(socket, DirectConnection)
        return socket

    async def _attend(self, socket: DirectConnection) -> None:
        self._socket = socket
        self._room.connect(self._peer, self, audio_listener=self)
        self._room.add_track(self._peer, self._source)
        unsubscribe = self._clock.subscribe(self._ticked)
        listening = asyncio.create_task(self._listen(socket), name=f"VAPI call of {self._peer.id}")
        over = asyncio.create_task(self._over.wait(), name=f"end of the VAPI call of {self._peer.id}")
        try:
            await asyncio.wait({listening, over}, return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                await self._hang_up(socket, listening)
        finally:
            unsubscribe()
            for task in (listening, over):
                task.cancel()
            await asyncio.gather(listening, over, return_exceptions=True)
            self._room.remove_peer(self._peer, "the VAPI call ended")

    async def _hang_up(self, socket: DirectConnection, listening: asyncio.Task[None]) -> None:
        try:
            await socket.send(json.dumps({"type": "end-call"}))
        except ConnectionClosed:
            return
        await asyncio.wait({listening}, timeout=GOODBYE_SECONDS)

    async def _listen(self, socket: DirectConnection) -> None:
        try:
            await socket.listen(self._take)
        except ConnectionClosed:
            _log.debug("the VAPI call of %s ended", self._peer.id)

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._source.playout.write(message, self._clock.now)
            return
        try:
            event = json.loads(message)
        except (ValueError, RecursionError):
            return
        match event:
            case {"type": "user-interrupted"}:
                self._source.playout.interrupt(self._clock.now)
            case {"type": "status-update", "status": "ended"}:
                self._over.set()

    def detach(self, code: int, reason: str) -> None:
        """Part of `peer.Attachment`: the peer or its room was removed, and the call ends with it."""
        self._over.set()

    # --- what it hears ---

    def hear_packet(self, publisher: Peer, packet: bytes) -> None:
        """Part of `peer.AudioListener`."""
        self._heard[publisher.id] = self._heard.get(publisher.id, b"") + packet

    def _ticked(self, ticks: int) -> None:
        heard, self._heard = self._heard, {}
        socket = self._socket
        if socket is None or self._over.is_set():
            return
        if socket.state is State.OPEN:
            # What a socket that pushes back does not take is lost, as live audio is.
            socket.post(self._one_of(heard))
        if self._options.auto_close:
            self._look_around()

    def _one_of(self, heard: dict[str, bytes]) -> bytes:
        """Return the audio of the one peer it listens to: whoever speaks first, until they are quiet."""
        loud = {peer_id for peer_id, packet in heard.items() if any(_loud(packet))}
        self._quiet = 0 if self._speaker in loud else self._quiet + 1
        if self._speaker not in heard or self._quiet >= QUIET_TICKS:
            self._speaker = next((peer_id for peer_id in heard if peer_id in loud), self._speaker)
            if self._speaker not in heard:
                self._speaker = next(iter(heard), None)
        return _SILENCE if self._speaker is None else heard[self._speaker]

    def _look_around(self) -> None:
        """End the call when everybody who was there has left."""
        others = any(peer.connected and peer.type is not PeerType.VAPI for peer in self._room.peers.values())
        if self._company and not others:
            self._over.set()
        self._company = others


def _loud(packet: bytes) -> bytes:
    return loud_windows(np.frombuffer(packet[: len(packet) // SAMPLE_BYTES * SAMPLE_BYTES], "<i2"))
