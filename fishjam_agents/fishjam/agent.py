"""An agent in a room: hears the other peers' audio and speaks on tracks of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.protocol import State

from ..backoff import Backoff
from ..errors import AudioError, ProtocolError
from ..protocol import (
    Authenticated,
    TrackChunkEncoder,
    TrackData,
    TrackImage,
    decode_agent_response,
    encode_auth_request,
    encode_capture_image,
    encode_interrupt,
    encode_remove_track,
)
from ..secrecy import shown_url
from ..session import OutgoingAudioTrackOptions
from .addressing import AGENT_SOCKET, socket_url
from .direct import DirectConnection
from .errors import AgentAuthError, AgentError, SessionClosedError
from .known_frames import KnownFrames
from .reconnect import Reconnected
from .reconnector import GIVE_UP_AFTER, Reconnector, Refresh
from .republish import republish
from .sockets import binary, end_of_session, handshake, open_socket
from .track_options import add_track_message

__all__ = [
    "Agent",
    "AgentAuthError",
    "AgentError",
    "AgentSession",
    "IncomingTrackData",
    "IncomingTrackImage",
    "OutgoingAudioTrackOptions",
    "OutgoingTrack",
]

IncomingTrackData = TrackData
IncomingTrackImage = TrackImage

_WHAT = "agent session"

MAX_CHUNK_BYTES = 1024 * 1024
"""Largest chunk sent, in bytes: what WebSocket servers take by default, and 22 s at 24 kHz. Fishjam drops
whole chunks at an interrupt, so send far less."""


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
    async def connect(
        self,
        *,
        reconnect: bool = False,
        refresh: Refresh | None = None,
        give_up_after: float = GIVE_UP_AFTER,
        backoff: Backoff | None = None,
    ) -> AsyncIterator[AgentSession]:
        """Join the room. Leaving the context leaves the room; the agent may connect again later.

        With `reconnect` a session that loses its connection opens another and publishes its tracks again,
        under new ids behind the same `OutgoingTrack`. Audio sent meanwhile is dropped; then the session
        yields a `Reconnected`. A token that is refused ends it (they live for 24 hours), as does a goodbye of
        the server, unless `refresh` says that the agent is still wanted.

        Args:
            reconnect: Make a lost connection anew.
            refresh: Asked before each attempt that follows a refused token, or a goodbye of the server, which
                may mean that the peer or its room was removed. It returns the token to use from then on;
                None, or a `NotFoundError`, ends the session.
                `lambda: client.refresh_peer_token(agent.room_id, agent.id)` does.
            give_up_after: Seconds until a lost connection is given up.
            backoff: Waits between attempts.

        Raises:
            UnreachableError: The server cannot be reached within 10 s.
            AgentAuthError: It does not take the token.
            SessionLostError: It broke off, or did not answer within 10 s.
            ProtocolError: What it answered is not Fishjam's protocol.
        """
        async with AsyncExitStack() as resources:
            socket = await resources.enter_async_context(self._dial())
            session = AgentSession(self, socket)
            if reconnect:
                reconnector = Reconnector(
                    _WHAT,
                    self._dial,
                    session._adopt,
                    refresh=refresh,
                    give_up_after=give_up_after,
                    backoff=backoff or Backoff(),
                )
                session._reconnector = reconnector
                await resources.enter_async_context(reconnector.watching(socket, resources.pop_all()))
            # It may be lost long before the session ends, and would be held for as long.
            del socket
            try:
                yield session
            finally:
                session._leaving = True

    @asynccontextmanager
    async def _dial(self, token: str | None = None) -> AsyncIterator[DirectConnection]:
        """Open an authenticated socket; a token given is kept for the next time."""
        self._token = token or self._token
        async with open_socket(self._url) as socket:
            await self._authenticate(socket)
            yield socket

    async def _authenticate(self, socket: DirectConnection) -> None:
        try:
            answer = await handshake(socket, _WHAT, encode_auth_request(self._token))
        except ConnectionClosed as error:
            raise AgentAuthError(error.rcvd.reason if error.rcvd else "") from error
        if not isinstance(decode_agent_response(answer), Authenticated):
            raise ProtocolError(
                f"{shown_url(self._url)} answered the authentication with something else: "
                "is it a Fishjam server?"
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
        self._tracks: list[OutgoingTrack] = []
        self._reconnector: Reconnector | None = None
        self._leaving = False

    @property
    def connected(self) -> bool:
        """True while the connection is up: false after the end, and during an outage."""
        return self._socket.protocol.state is State.OPEN

    def hurry(self) -> None:
        """Make the next attempt to come back within a second, since the server can be reached again.

        Does nothing while connected, nor without `reconnect`.
        """
        if self._reconnector is not None and not self.connected:
            self._reconnector.hurry()

    async def receive(self) -> AsyncIterator[TrackData | TrackImage | Reconnected]:
        """Yield what the other peers say and the stills that were asked for.

        Empty messages and messages of kinds this version does not know are skipped. Ends after `disconnect`.
        Only a session made with `reconnect` yields `Reconnected`, after every outage.

        Raises:
            ProtocolError: The server sent something that is no message of Fishjam; the session is over. One
                made with `reconnect` leaves the connection for another, and is over when that brings such
                a message within 5 s, too.
            SessionClosedError: The server ended the session, because the peer or its room was removed.
            SessionLostError: The connection broke, and did not come back.
            AgentAuthError: The connection broke, and the server takes the token no more.
        """
        socket = self._socket
        receive = socket.recv
        while True:
            try:
                message = await receive()
                frame = decode_agent_response(binary(message)) if message else None
            except ConnectionClosed as error:
                reconnected = await self._after(socket, error)
            except ProtocolError as damaged:
                reconnected = await self._without(socket, damaged)
            else:
                if isinstance(frame, (TrackData, TrackImage)):
                    yield frame
                continue
            if reconnected is None:
                return
            yield reconnected
            socket = self._socket
            receive = socket.recv

    async def listen(self, hear: Callable[[TrackData | TrackImage | Reconnected], object]) -> None:
        """Give what `receive` would yield to `hear` as soon as it is read; no task wakes up for it.

        Use one of the two. Returns after `disconnect`, raises what `receive` raises.

        Args:
            hear: Synchronous and quick: the event loop waits for it. What it raises ends the listening and
                is raised here.
        """
        known = KnownFrames()

        def take(message: str | bytes) -> None:
            if message:
                message = binary(message)
                frame = decode_agent_response(message)
                if isinstance(frame, TrackData):
                    known.learn(message, frame)
                if isinstance(frame, (TrackData, TrackImage)):
                    hear(frame)

        while True:
            socket = self._socket
            try:
                await socket.listen(take, known.read, hear)
            except ConnectionClosed as error:
                reconnected = await self._after(socket, error)
            except ProtocolError as damaged:
                reconnected = await self._without(socket, damaged)
            else:
                continue
            if reconnected is None:
                return
            hear(reconnected)

    async def _without(self, socket: DirectConnection, damaged: ProtocolError) -> Reconnected | None:
        """Leave a connection over which a damaged message came, where another one may be made."""
        if self._reconnector is None or self._leaving or not self._reconnector.forgives(damaged):
            raise damaged
        await socket.close(CloseCode.INVALID_DATA)
        return await self._reconnector.after(socket)

    async def _after(self, socket: DirectConnection, error: ConnectionClosed) -> Reconnected | None:
        """Return the next connection after a socket's end, or None after leaving; else raise its error."""
        if self._leaving:
            return None
        if self._reconnector is None:
            raise end_of_session(_WHAT, error.rcvd, error.sent) from error
        return await self._reconnector.after(socket)

    async def _adopt(self, socket: DirectConnection) -> None:
        """Publish the tracks on a new socket, then use it."""
        try:
            await republish(socket, lambda: self._tracks)
        except ConnectionClosed as error:
            raise end_of_session(_WHAT, error.rcvd, error.sent) from error
        self._socket = socket

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
        track = OutgoingTrack(uuid.uuid4().hex, self, options)
        # Encoded before it is remembered, because encoding checks the options.
        message = add_track_message(track.id, options)
        self._tracks.append(track)
        await self._send(message)
        return track

    async def remove_track(self, track: OutgoingTrack | str) -> None:
        """Take a track of ours away once what was sent on it has been played.

        Raises:
            SessionError: The session is over.
        """
        id = track if isinstance(track, str) else track.id
        self._tracks = [kept for kept in self._tracks if kept.id != id]
        await self._send(encode_remove_track(id))

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
        if self._reconnector is not None:
            self._reconnector.leave()
        await self._socket.close()

    def _post(self, message: bytes) -> bool:
        """Send a message if that takes no waiting; else return False: `_send` waits, or says why not."""
        return not self._leaving and self._socket.post(message)

    # Up to its first suspension this runs inside whoever calls it, perhaps no task at all (see
    # `session.Session`). A socket that is not open would start a timeout there, so it is asked first.
    async def _send(self, message: bytes) -> None:
        if self._post(message):
            return
        if self._leaving:
            raise SessionClosedError("the agent session was left: connect again to send", "")
        socket = self._socket
        if socket.state is not State.OPEN:
            if self._reconnector is not None:
                self._reconnector.check()
                return
            raise end_of_session(_WHAT, socket.protocol.close_rcvd, socket.protocol.close_sent)
        try:
            await socket.send(message)
        except ConnectionClosed as error:
            if self._reconnector is None:
                raise end_of_session(_WHAT, error.rcvd, error.sent) from error


class OutgoingTrack:
    """The agent's voice: audio sent here is played to the room in real time.

    Attributes:
        id: Track id; another one after the session has reconnected.
        session: The session it belongs to.
        options: What it was published with.
    """

    def __init__(self, id: str, session: AgentSession, options: Any) -> None:
        """Made by `AgentSession.add_track`."""
        self.session = session
        self.options = options
        self._send = session._send
        self.rename(id)

    def rename(self, id: str) -> None:
        """Take another track id, as after a reconnect."""
        self.id = id
        self._encode = TrackChunkEncoder(id).encode
        self._interrupt = encode_interrupt(id)

    @property
    def ready(self) -> bool:
        """True while audio reaches the room: false during an outage."""
        return self.session._socket.protocol.state is State.OPEN

    async def send_chunk(self, data: bytes) -> None:
        """Queue audio for real-time playout. During an outage of a session that reconnects it is dropped.

        Args:
            data: Signed 16-bit little-endian mono PCM at the track's rate, at most 1 MiB, or one Opus packet.

        Raises:
            AudioError: The chunk is too long.
            SessionError: The session is over.
        """
        if len(data) > MAX_CHUNK_BYTES:
            raise AudioError(
                f"a chunk of {len(data)} bytes is too long: send audio in pieces of a second or less"
            )
        await self._send(self._encode(data))

    def post_chunk(self, data: bytes) -> bool:
        """Queue audio as `send_chunk` does, if that takes no waiting.

        Returns:
            False when it was not sent; `send_chunk` waits, or says why not.
        """
        session = self.session
        # As `AgentSession._post`.
        return (
            len(data) <= MAX_CHUNK_BYTES
            and not session._leaving
            and session._socket.post(self._encode(data), gather=True)
        )

    async def interrupt(self) -> None:
        """Drop what was sent and has not been played. Audio sent afterwards plays normally.

        Raises:
            SessionError: The session is over.
        """
        await self._send(self._interrupt)
