"""The embedded Fishjam as one object: start it, use its URL and token, stop it."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..audio.wav import Clip
from ..errors import FishjamAgentsError, MissingExtraError
from ..session import PeerType
from .agent_socket import AgentSocket
from .callers import Caller
from .clock import RoomClock
from .microphone import PreparedClip
from .network import Network
from .paths import normal_path
from .peer_socket import PeerSocket
from .recorder import Recorder
from .rooms import Rooms
from .server_socket import ServerSocket
from .settings import PeerConfig
from .websocket import Connection, Endpoint

if TYPE_CHECKING:
    import uvicorn

STOP_SECONDS = 2.0
"""How long `EmbeddedServer.stop` may take."""


class EmbeddedServer:
    """Fishjam on this machine: REST, the three sockets and the media of audio rooms.

    Use it as `async with EmbeddedServer() as server:`, on any asyncio loop. It installs no signal handler.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        token: Management token; None makes a random one.
        delay: Seconds every message from an agent takes to arrive.
        jitter: Largest extra delay, in seconds, drawn evenly for each message; the order stays.
        seed: Seed of that draw.

    Attributes:
        token: The management token.
        rooms: The rooms, their peers and their notifications.
        clock: Room time.
        network: Delay and jitter; may be changed at any time.

    Raises:
        FishjamAgentsError: `host` can be reached from other machines and no token was given.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        *,
        delay: float = 0.0,
        jitter: float = 0.0,
        seed: int = 0,
    ) -> None:
        if not token and not _is_loopback(host):
            raise FishjamAgentsError(
                f"{host} can be reached from other machines: give the server a token of your own"
            )
        self.token = token or secrets.token_urlsafe(24)
        self.rooms = Rooms()
        self.clock = RoomClock()
        self.clock.subscribe(self.rooms.tick)
        self.network = Network(delay, jitter, seed)
        self._host = host
        self._port = port
        self._server: uvicorn.Server | None = None
        self._socket: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        return self._port

    @property
    def url(self) -> str:
        """Its base URL: what a client takes as Fishjam id."""
        return f"http://{_authority(self._host, self._port)}"

    async def start(self) -> None:
        """Listen, and start the room clock at zero.

        Raises:
            FishjamAgentsError: The port is in use, or the address is not one of this machine.
            MissingExtraError: Starlette or uvicorn is not installed.
        """
        if self._server is not None:
            raise FishjamAgentsError("the embedded server runs already: stop it first")
        uvicorn, RestApi = _import_web()  # noqa: N806
        self._socket = await _listen(self._host, self._port)
        self._port = self._socket.getsockname()[1]

        def websocket(*, server_state: Any, **_: Any) -> Connection:
            return Connection(self._endpoint, server_state.connections)

        api = RestApi(self.rooms, self.token, self._peer_url)
        config = uvicorn.Config(
            api.app(),
            # uvicorn calls its WebSocket protocol class with keywords and expects nothing but a protocol.
            ws=websocket,
            http="h11",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        # Not `serve`: it takes over SIGINT and SIGTERM, which belong to the program.
        await server.startup(sockets=[self._socket])
        self._server = server
        self.clock.start()

    async def stop(self) -> None:
        """Close every socket and stop listening, within 2 s. Does nothing when stopped."""
        server, self._server = self._server, None
        if server is None:
            return
        self.clock.stop()
        listening = [self._socket] if self._socket is not None else []
        try:
            async with asyncio.timeout(STOP_SECONDS - 0.5):
                await server.shutdown(sockets=listening)
        except TimeoutError:
            pass
        for connection in tuple(server.server_state.connections):
            connection.transport.abort()
        # One turn of the loop, in which aborted transports report their end.
        await asyncio.sleep(0)

    async def __aenter__(self) -> EmbeddedServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def add_caller(
        self,
        room_id: str,
        clip: Clip | PreparedClip | None = None,
        *,
        at: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Caller:
        """A simulated caller joins a room with an open microphone, and says `clip`.

        Args:
            room_id: The room.
            clip: What it says, if anything; more with `Caller.say`.
            at: Room time of the clip's first sample, in seconds; None is the next tick.
            metadata: The server's part of its peer metadata.

        Raises:
            RequestError: The room does not exist, or is full.
        """
        room = self.rooms.get(room_id)
        peer = room.add_peer(PeerConfig(PeerType.WEBRTC, dict(metadata or {})))
        caller = Caller(room, peer, self.clock)
        caller.join()
        if clip is not None:
            caller.say(clip, at)
        return caller

    def record(self, room_id: str, position: float | None = None) -> Recorder:
        """Record a room from room time `position` on, in seconds; None is the latest tick.

        Raises:
            RequestError: The room does not exist.
        """
        return self.rooms.get(room_id).record(self.clock.position if position is None else position)

    def _endpoint(self, path: str) -> Endpoint | None:
        match normal_path(path):
            case "/socket/agent/websocket":
                return AgentSocket(self.rooms, self.clock, self.network)
            case "/socket/peer/websocket":
                return PeerSocket(self.rooms)
            case "/socket/server/websocket":
                return ServerSocket(self.token, self.rooms.notifications)
            case _:
                return None

    def _peer_url(self) -> str:
        # With its scheme: without one, clients assume https (facts 1.3).
        return f"ws://{_authority(self._host, self._port)}/socket/peer/websocket"


def _import_web() -> tuple[Any, Any]:
    try:
        import uvicorn

        from .rest import RestApi
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] in ("uvicorn", "starlette"):
            raise MissingExtraError("the embedded Fishjam server", "server") from error
        raise
    return uvicorn, RestApi


async def _listen(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise FishjamAgentsError(
            f"cannot listen on {host} ({error.strerror}): use 127.0.0.1 or an address of this machine"
        ) from error
    # `localhost` may name both loopbacks; most clients try IPv4.
    family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] is not socket.AF_INET)
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # Bound is not enough: two sockets may share a port until one of them listens.
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise FishjamAgentsError(
            f"cannot listen on {host} port {port} ({error.strerror}): "
            "stop what uses the port, or choose another one (0 takes any)"
        ) from error
    listening.setblocking(False)
    return listening


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _authority(host: str, port: int) -> str:
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
