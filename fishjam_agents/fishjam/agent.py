"""An agent in a room: hears the other peers' audio and speaks on tracks of its own."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from ..errors import ConfigError, ProtocolError
from ..protocol import (
    Authenticated,
    Track,
    TrackChunkEncoder,
    TrackData,
    TrackImage,
    TrackType,
    decode_agent_response,
    encode_add_track,
    encode_auth_request,
    encode_capture_image,
    encode_interrupt,
    encode_remove_track,
)
from ..session import OutgoingAudioTrackOptions, TrackEncoding
from .addressing import AGENT_SOCKET, socket_url
from .direct import DirectConnection
from .errors import AgentAuthError, SessionClosedError
from .sockets import binary, end_of_session, handshake, open_socket

PCM_SAMPLE_RATES = (16000, 24000)
"""Rates of PCM16 that Fishjam takes from an agent, Hz."""

_WHAT = "agent session"


class Agent:
    """An agent peer, as `create_agent` returns it: knows where to connect and with which token.

    Attributes:
        id: The agent's peer id.
        room_id: The room it belongs to.
    """

    def __init__(self, id: str, room_id: str, token: str, fishjam_url: str) -> None:
        """Usually made by `AsyncFishjamClient.create_agent`.

        Args:
            id: Peer id.
            room_id: Room id.
            token: The agent's peer token.
            fishjam_url: Base URL of the server, `http://` or `https://`.
        """
        self.id = id
        self.room_id = room_id
        self._token = token
        self._url = socket_url(fishjam_url, AGENT_SOCKET)

    def __repr__(self) -> str:
        return f"Agent(id={self.id!r}, room_id={self.room_id!r})"

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AgentSession]:
        """Join the room. Leaving the context leaves the room; the agent may connect again later.

        Raises:
            UnreachableError: The server cannot be reached within 10 s.
            AgentAuthError: It does not take the token.
            SessionLostError: It broke off, or did not answer within 10 s.
            ProtocolError: What it answered is not Fishjam's protocol.
        """
        async with open_socket(self._url) as socket:
            await self._authenticate(socket)
            yield AgentSession(self, socket)

    async def _authenticate(self, socket: ClientConnection) -> None:
        try:
            answer = await handshake(socket, _WHAT, encode_auth_request(self._token))
        except ConnectionClosed as error:
            raise AgentAuthError(error.rcvd.reason if error.rcvd else "") from error
        if not isinstance(decode_agent_response(answer), Authenticated):
            raise ProtocolError(
                f"{self._url} answered the authentication with something else: is it a Fishjam server?"
            )


class AgentSession:
    """An agent's open connection to its room.

    Attributes:
        agent: The agent that is connected.
    """

    def __init__(self, agent: Agent, socket: DirectConnection) -> None:
        """Made by `Agent.connect`."""
        self.agent = agent
        self._socket = socket
        self._leaving = False

    async def receive(self) -> AsyncIterator[TrackData | TrackImage]:
        """Yield what the other peers say and the stills that were asked for.

        Empty messages and messages of kinds this version does not know are skipped. Ends after `disconnect`.

        Raises:
            ProtocolError: The server sent something that is no message of Fishjam; the session is over.
            SessionClosedError: The server ended the session, because the peer or its room was removed.
            SessionLostError: The connection broke.
        """
        receive = self._socket.recv
        while True:
            try:
                message = await receive()
            except ConnectionClosed as error:
                if self._leaving:
                    return
                raise end_of_session(_WHAT, error.rcvd, error.sent) from error
            if message:
                frame = decode_agent_response(binary(message))
                if isinstance(frame, (TrackData, TrackImage)):
                    yield frame

    async def listen(self, hear: Callable[[TrackData | TrackImage], object]) -> None:
        """Give what `receive` would yield to `hear` as soon as it is read; no task wakes up for it.

        Use one of the two. Returns after `disconnect`, raises what `receive` raises.

        Args:
            hear: Synchronous and quick: the event loop waits for it. What it raises ends the listening and
                is raised here.
        """

        def take(message: str | bytes) -> None:
            if message:
                frame = decode_agent_response(binary(message))
                if isinstance(frame, (TrackData, TrackImage)):
                    hear(frame)

        try:
            await self._socket.listen(take)
        except ConnectionClosed as error:
            if not self._leaving:
                raise end_of_session(_WHAT, error.rcvd, error.sent) from error

    async def add_track(self, options: Any = None) -> OutgoingTrack:
        """Publish an audio track. Fishjam does not acknowledge it; audio may follow at once.

        Args:
            options: An `OutgoingAudioTrackOptions`, or anything with its attributes; 16 kHz mono PCM16 if
                left out.

        Raises:
            ConfigError: Fishjam would not take such a track.
            SessionError: The session is over.
        """
        options = OutgoingAudioTrackOptions() if options is None else options
        metadata = _checked_metadata(options)
        track = Track(uuid.uuid4().hex, TrackType.AUDIO, metadata)
        await self._send(
            encode_add_track(
                track,
                encoding=int(options.encoding),
                sample_rate=options.sample_rate,
                channels=options.channels,
            )
        )
        return OutgoingTrack(track.id, self, options)

    async def remove_track(self, track: OutgoingTrack | str) -> None:
        """Take a track of ours away once what was sent on it has been played.

        Raises:
            SessionError: The session is over.
        """
        await self._send(encode_remove_track(track if isinstance(track, str) else track.id))

    async def capture_image(self, track_id: str) -> None:
        """Ask for one still of a peer's video track; it comes through `receive` as a `TrackImage`.

        Fishjam gives one per second and track and answers no more than that.

        Raises:
            SessionError: The session is over.
        """
        await self._send(encode_capture_image(track_id))

    async def disconnect(self) -> None:
        """Leave the room; only needed outside `async with agent.connect()`."""
        self._leaving = True
        await self._socket.close()

    # Up to its first suspension this runs inside whoever calls it, perhaps no task at all (see
    # `session.Session`). A socket that is not open would start a timeout there, so it is asked first.
    async def _send(self, message: bytes) -> None:
        socket = self._socket
        if self._leaving:
            raise SessionClosedError("the agent session was left: connect again to send", "")
        if socket.state is not State.OPEN:
            raise end_of_session(_WHAT, socket.protocol.close_rcvd, socket.protocol.close_sent)
        if socket.post(message):
            return
        try:
            await socket.send(message)
        except ConnectionClosed as error:
            raise end_of_session(_WHAT, error.rcvd, error.sent) from error


class OutgoingTrack:
    """The agent's voice: audio sent here is played to the room in real time.

    Attributes:
        id: Track id.
        session: The session it belongs to.
        options: What it was published with.
    """

    def __init__(self, id: str, session: AgentSession, options: Any) -> None:
        """Made by `AgentSession.add_track`."""
        self.id = id
        self.session = session
        self.options = options
        self._encode = TrackChunkEncoder(id).encode
        self._interrupt = encode_interrupt(id)
        self._send = session._send

    async def send_chunk(self, data: bytes) -> None:
        """Queue audio for real-time playout.

        Args:
            data: Signed 16-bit little-endian mono PCM of any length at the track's rate, or one Opus packet.

        Raises:
            SessionError: The session is over.
        """
        await self._send(self._encode(data))

    async def interrupt(self) -> None:
        """Drop what was sent and has not been played. Audio sent afterwards plays normally.

        Raises:
            SessionError: The session is over.
        """
        await self._send(self._interrupt)


def _checked_metadata(options: Any) -> str:
    """Check options against what Fishjam's engine takes; the metadata as JSON text.

    An agent whose track the engine refuses is cut off without a word, so this says it first.
    """
    encoding = int(options.encoding)
    if encoding not in set(TrackEncoding):
        raise ConfigError(f"{options.encoding!r} is no track encoding: use PCM16 or Opus")
    if options.channels != 1:
        raise ConfigError(f"an agent's track cannot have {options.channels} channels: mix it down to mono")
    if encoding != TrackEncoding.TRACK_ENCODING_OPUS and options.sample_rate not in PCM_SAMPLE_RATES:
        raise ConfigError(
            f"Fishjam takes no PCM at {options.sample_rate} Hz: resample it to 16000 or 24000 Hz"
        )
    try:
        return json.dumps(options.metadata, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the metadata of a track must be JSON ({error}): use plain values only") from error
