"""The embedded Fishjam as one object: start it, use its URL and token, stop it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..audio.wav import Clip
from ..errors import FishjamAgentsError, MissingExtraError
from ..loopback import is_loopback
from ..session import PeerType
from .access import AccessPolicy
from .address import authority, is_wildcard, listen, machine_addresses
from .broadcasts import Broadcasts
from .browsers import Browsers
from .callers import Caller
from .media.clock import RoomClock
from .media.microphone import PreparedClip
from .media.recorder import Recorder
from .moq import MoqAccess
from .paths import normal_path
from .playground import Playground
from .playground.socket import EventSocket
from .recordings import Recordings
from .rooms import Rooms
from .sandbox import Sandbox
from .settings import PeerConfig
from .sockets.agent import AgentSocket
from .sockets.network import Network
from .sockets.peer import PeerSocket
from .sockets.server import ServerSocket
from .sockets.throttle import Throttle
from .sockets.websocket import Connection, Endpoint
from .tasks import Tasks
from .tls import Tls, tls_context
from .vapi import VapiCalls
from .webhooks import Target, Webhooks

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from .http_server import HttpServer

STOP_SECONDS = 2.0
"""Seconds that `EmbeddedServer.stop` may take."""

DRAIN_SECONDS = 0.5
"""Seconds it waits for webhooks to be delivered and recordings to be written."""


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
        now: Seconds since the epoch, for the life of tokens. None is the wall clock for MoQ's, which say when
            they end, and the monotonic one for all others: nobody's clock that is set ends them early.
        webhook_url: Where notifications of rooms without a webhook of their own, and of recordings, go.
        webhook_secret: Key of the webhooks' signature; None makes a random one.
        vapi_url: Vapi's API, for VAPI peers; None takes the variable `VAPI_URL`, and without it Vapi's own.
        allowed_hosts: Further names that clients reach it by, `name` or `name:port`: those of a proxy or a
            container. Its address and, beyond loopback, this machine's names need not be named.
        allowed_origins: Pages of other origins that may use it, such as `http://localhost:5173`.
        tls: HTTPS beside HTTP on the same port: `auto`, where other machines can reach it and the extra
            `webrtc` is installed, with a certificate made on the spot; `off`; or the PEM files of a
            certificate and its key.
        sandbox: Whether demos without a backend get tokens by name, without saying who they are; None is
            where only this machine can reach the server.

    Attributes:
        token: The management token.
        webhook_url: The server's own webhook, or None; may be changed at any time.
        webhook_secret: Key of the webhooks' signature.
        webhooks: What was posted to backends.
        recordings: Recordings of compositions.
        moq: What signs access to MoQ.
        rooms: The rooms, their peers and their notifications.
        playground: The page on which people talk to bots: calls that are registered there are shown.
        clock: Room time.
        network: Delay and jitter; may be changed at any time.

    Raises:
        FishjamAgentsError: `host` can be reached from other machines and no token was given.
        ConfigError: A host or an origin that is allowed is none.
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
        now: Callable[[], float] | None = None,
        webhook_url: str | None = None,
        webhook_secret: str | None = None,
        vapi_url: str | None = None,
        allowed_hosts: Iterable[str] = (),
        allowed_origins: Iterable[str] = (),
        tls: Tls = "auto",
        sandbox: bool | None = None,
    ) -> None:
        if not token and not is_loopback(host):
            raise FishjamAgentsError(
                f"{host} can be reached from other machines: give the server a token of your own"
            )
        self._access = AccessPolicy(host, allowed_hosts=allowed_hosts, allowed_origins=allowed_origins)
        self.token = token or secrets.token_urlsafe(24)
        self.rooms = Rooms(now or time.monotonic)
        self.clock = RoomClock()
        self.clock.subscribe(self.rooms.tick)
        self._tasks = Tasks()
        self.webhook_url = webhook_url
        self.webhook_secret = webhook_secret or secrets.token_urlsafe(24)
        self.webhooks = Webhooks(self.webhook_secret, self._tasks, self._webhook_target)
        self.rooms.notifications.subscribe(self.webhooks.notify)
        self.recordings = Recordings(self.rooms, self.clock, self._tasks, lambda: self.url)
        self.moq = MoqAccess(now or time.time)
        self.playground = Playground(self.rooms, lambda: self.playground_url)
        self.network = Network(delay, jitter, seed)
        self._calls = VapiCalls(self.clock, self._tasks, vapi_url)
        self._browsers = Browsers(self.clock, self._tasks, host)
        self._broadcasts = Broadcasts(self._browsers)
        self._tls = tls
        wanted = is_loopback(host) if sandbox is None else sandbox
        self._sandbox = Sandbox(self.rooms) if wanted else None
        self._host = host
        self._port = port
        self._server: HttpServer | None = None

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        return self._port

    @property
    def url(self) -> str:
        """Its base URL: what a client takes as Fishjam id."""
        return f"http://{authority(self._host, self._port)}"

    @property
    def playground_url(self) -> str:
        """Address of the playground for whoever can reach the server, once started."""
        return self.public_urls[0]

    @property
    def public_urls(self) -> list[str]:
        """Its URLs for browsers, the likeliest first, once started: `url` if only this machine can reach it.

        From another machine the page is opened over HTTPS, unless `tls` is off: over plain HTTP a browser
        gives it no microphone.
        """
        if is_loopback(self._host):
            return [self.url]
        scheme = "https" if self._access.https else "http"
        hosts = machine_addresses() if is_wildcard(self._host) else [self._host]
        if self._host == "0.0.0.0":
            hosts = [host for host in hosts if ":" not in host]
        return [f"{scheme}://{authority(host, self._port)}" for host in hosts] or [self.url]

    async def start(self) -> None:
        """Listen, and start the room clock at zero.

        Raises:
            FishjamAgentsError: The port is in use, or the address is not one of this machine.
            ConfigError: The files of `tls` are no certificate and its key.
            MissingExtraError: Starlette or uvicorn is not installed.
        """
        if self._server is not None:
            raise FishjamAgentsError("the embedded server runs already: stop it first")
        make_server, app = self._web()
        secure = tls_context(self._tls, self._host)
        listening = await listen(self._host, self._port)
        self._port = self._access.port = listening.getsockname()[1]
        self._access.https = secure is not None
        throttle = Throttle()

        def websocket(connections: set[Any]) -> Connection:
            return Connection(self._endpoint, self._access.refusal, connections, throttle)

        server = make_server(app, listening, websocket=websocket, tls=secure)
        await server.start()
        self._server = server
        self._tasks.start()
        self.clock.start()

    async def stop(self) -> None:
        """Close every socket and stop listening, within 2 s. Does nothing when stopped."""
        server, self._server = self._server, None
        if server is None:
            return
        self.playground.stop()
        self.recordings.stop_all()
        self._calls.stop()
        self._broadcasts.stop()
        self.clock.stop()
        await server.stop(STOP_SECONDS - DRAIN_SECONDS - 0.3)
        await self._tasks.stop(DRAIN_SECONDS)

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

    def record(
        self,
        room_id: str,
        position: float | None = None,
        *,
        views: Iterable[str] = (),
        keep: int | None = None,
    ) -> Recorder:
        """Record a room.

        Args:
            room_id: The room.
            position: Room time to begin at, in seconds; None is the latest tick.
            views: Peers of whom it is to be known what they heard (`Recording.heard`); everything else is
                kept as one sum, however many speak.
            keep: Whole seconds of the room's sound that are kept, the latest; None keeps all. A second in
                which something sounds costs 64 kB.

        Raises:
            RequestError: The room does not exist.
        """
        position = self.clock.position if position is None else position
        return self.rooms.get(room_id).record(position, views, keep)

    def _endpoint(self, path: str) -> Endpoint | None:
        match normal_path(path):
            case "/socket/agent/websocket":
                return AgentSocket(self.rooms, self.clock, self.network)
            case "/socket/peer/websocket":
                return PeerSocket(self.rooms, self._browsers)
            case "/socket/server/websocket":
                return ServerSocket(self.token, self.rooms.notifications)
            case "/playground/events":
                return EventSocket(self.playground.tokens)
            case _:
                return None

    def _peer_url(self, scheme: str, host: str) -> str:
        # However the backend came here (a tunnel, a proxy, another name), its peers come the same way. With
        # its scheme: without one, Fishjam's server SDKs assume https.
        return f"{scheme.replace('http', 'ws')}://{host}/socket/peer/websocket"

    def _webhook_target(self, room_id: str) -> Target | None:
        room = self.rooms.find(room_id)
        url = (room and room.config.webhook_url) or self.webhook_url
        return Target(url, room is not None and room.config.batch_webhook_notifications) if url else None

    def _web(self) -> tuple[type[HttpServer], ASGIApp]:
        """HTTP server and application, imported when a server starts."""
        try:
            from .http_server import HttpServer
            from .playground.routes import PlaygroundApi
            from .rest.access_control import AccessControl
            from .rest.application import RestApi
            from .rest.resource import RestContext
            from .rest.resources import make_resources
        except ModuleNotFoundError as error:
            if error.name is not None and error.name.partition(".")[0] in ("uvicorn", "starlette"):
                raise MissingExtraError("the embedded Fishjam server", "server") from error
            raise
        context = RestContext(
            self.rooms,
            self.recordings,
            self._calls,
            self.moq,
            self._broadcasts,
            lambda: self.url,
            self._peer_url,
            self._sandbox,
        )
        resources = [
            *make_resources(context),
            PlaygroundApi(context, self.playground, self._browsers.warm_up),
        ]
        app = AccessControl(RestApi(self.token, resources).app(), self._access)
        return HttpServer, app
