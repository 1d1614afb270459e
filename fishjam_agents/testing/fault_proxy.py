"""A TCP proxy on this machine that makes a network's faults: cut, reset, half open, slow, stalled, garbled.

async with FaultProxy(server.url) as proxy:
    ...  # connect to proxy.url in place of server.url
    proxy.inject(Reset(), path="/socket/agent")
    with proxy.inject(Refuse()):
        ...  # nobody listens
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlsplit

from fishjam_agents.testing.faults import ActiveFault, Fault, Refuse, Scope, usual_scope
from fishjam_agents.testing.proxied_connection import ProxiedConnection

_HOST = "127.0.0.1"
_BACKLOG = 1024
_FULL = 0.05
"""Seconds of patience where the table of files is full."""
CONNECT_SECONDS = 10.0
"""Seconds in which the target has to take a connection; then the client is reset."""
_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@dataclass(frozen=True, slots=True)
class ProxyStatistics:
    """Counts since the proxy began.

    Attributes:
        connections: Connections that were accepted, those that were refused by RST or FIN included.
        open: Connections of which an end is open.
        bytes_up: Bytes that came from clients.
        bytes_down: Bytes that came from the target.
        bytes_swallowed: Bytes of both that were lost on purpose.
        bytes_garbled: Bytes of both that were changed on purpose.
    """

    connections: int
    open: int
    bytes_up: int
    bytes_down: int
    bytes_swallowed: int
    bytes_garbled: int


class Injection(ActiveFault):
    """A fault that is in force until it is cleared. Leaving it as a context manager clears it, too."""

    def __init__(
        self,
        proxy: FaultProxy,
        fault: Fault,
        scope: Scope | Collection[ProxiedConnection],
        path: str | tuple[str, ...],
        count: int | None,
    ) -> None:
        super().__init__(fault)
        self._proxy = proxy
        self._path = path
        self._left = count
        self._for_later = scope in ("next", "all")
        self._on: set[ProxiedConnection] = set()

    def clear(self) -> None:
        """Take the fault back. Connections that lost bytes by it are reset; no TCP goes on behind a gap."""
        self._for_later = False
        self._proxy._withdrawn(self)
        for connection in self._on:
            connection.withdraw(self)
        self._on.clear()

    def __enter__(self) -> Injection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def _refuses_all(self) -> bool:
        return (
            isinstance(self.fault, Refuse) and self._for_later and not self._path and self.fault.how == "port"
        )

    def _forget(self, connection: ProxiedConnection) -> bool:
        """Forget a connection that is over, and return whether there is nothing left to take back."""
        self._on.discard(connection)
        return not self._for_later and not self._on

    def _apply(self, connection: ProxiedConnection) -> None:
        if self._left == 0 or connection in self._on or not connection.path.startswith(self._path):
            return
        if self._left is not None:
            self._left -= 1
        self._on.add(connection)
        connection.apply(self)

    def _offer(self, connection: ProxiedConnection, *, with_path: bool) -> None:
        if self._for_later and bool(self._path) == with_path:
            self._apply(connection)


class FaultProxy:
    """Passes bytes between clients and one target, until told otherwise.

    A context manager. It sees bytes: HTTP, WebSockets and TLS go through it alike, a WebSocket's frames are
    followed where a fault is in the middle or the header of one, and nothing is ever sent twice. What is left
    to chance is by `seed`.

    Args:
        target: Where connections lead: a URL, or `host:port`. Its path is of no account.
        seed: The same seed and the same bytes give the same faults.

    Attributes:
        url: Address for clients: the target's scheme and path, this proxy's host and port.
        connections: Connections of which an end is open, oldest first.
    """

    def __init__(self, target: str, *, seed: int = 0) -> None:
        self.url = ""
        self.connections: list[ProxiedConnection] = []
        self._random = random.Random(seed)
        self._target = target
        self._address = _address(target)
        self._injections: list[Injection] = []
        self._port = 0
        self._listening: socket.socket | None = None
        self._placeholder: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepted = 0
        self._past = ProxyStatistics(0, 0, 0, 0, 0, 0)

    @property
    def target(self) -> str:
        """Address to which new connections lead; set it when the target has moved to another port."""
        return self._target

    @target.setter
    def target(self, target: str) -> None:
        self._address = _address(target)
        self._target = target

    @property
    def statistics(self) -> ProxyStatistics:
        """Counts since the proxy began."""
        past, live = self._past, self.connections
        return ProxyStatistics(
            self._accepted,
            len(live),
            past.bytes_up + sum(connection.bytes_up for connection in live),
            past.bytes_down + sum(connection.bytes_down for connection in live),
            past.bytes_swallowed + sum(connection.bytes_swallowed for connection in live),
            past.bytes_garbled + sum(connection.bytes_garbled for connection in live),
        )

    async def __aenter__(self) -> FaultProxy:
        # Keeps the port while nobody listens on it; it never listens itself.
        self._placeholder = _bound(0)
        self._port = self._placeholder.getsockname()[1]
        self.url = _readdressed(self._target, self._port)
        self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._injections.clear()
        accepting = [self._accepting] if self._accepting is not None else []
        self._deafen()
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*accepting, *self._tasks, return_exceptions=True)
        left = list(self.connections)
        for connection in left:
            connection.abort()
        for connection in left:
            await connection.closed.wait()

    def inject(
        self,
        fault: Fault,
        scope: Scope | Collection[ProxiedConnection] | None = None,
        *,
        path: str | tuple[str, ...] = "",
        count: int | None = None,
    ) -> Injection:
        """Let a fault happen.

        Args:
            fault: The fault.
            scope: Connections it is for: those that are open (`live`), those to come (`next`), both (`all`),
                or some of `connections`. None takes what the fault is usually for: `live` for `Cut` and
                `Reset`, `next` for `Refuse`, else `all`.
            path: Only connections whose first HTTP request is for a path that begins so, or in one of these
                ways. Connections through TLS have none.
            count: How many connections it is for at most; None is all.

        Returns:
            The fault in force, to be cleared.

        Raises:
            ValueError: Open connections are to be refused, or a closed port is to refuse by path or count.
        """
        scope = usual_scope(fault) if scope is None else scope
        if isinstance(fault, Refuse):
            if scope != "next":
                raise ValueError("Refuse is for connections to come: use Cut or Reset for others")
            if fault.how == "port" and (path or count is not None):
                raise ValueError("a port that nobody listens on knows no path and no count: use how='reset'")
        injection = Injection(self, fault, scope, path, count)
        self._injections.append(injection)
        if injection._refuses_all():
            injection.struck.set()
            self._deafen()
        for connection in list(self.connections if scope in ("live", "all") else _chosen(scope)):
            injection._apply(connection)
        return injection

    def clear(self) -> None:
        """Take all faults back."""
        for injection in list(self._injections):
            injection.clear()

    # --- inside ---

    def _withdrawn(self, injection: Injection) -> None:
        if injection in self._injections:
            self._injections.remove(injection)
        if self._placeholder is not None and not any(other._refuses_all() for other in self._injections):
            self._listen()

    def _listen(self) -> None:
        if self._listening is None:
            self._listening = _bound(self._port)
            self._listening.listen(_BACKLOG)
            self._accepting = asyncio.create_task(self._accept(self._listening))

    def _deafen(self) -> None:
        if self._listening is None or self._accepting is None:
            return
        self._accepting.cancel()
        # The loop would watch a number that belongs to another socket soon.
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().remove_reader(self._listening)
        self._listening.close()
        self._listening = None

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError:
                await asyncio.sleep(_FULL)
                continue
            self._accepted += 1
            task = asyncio.create_task(self._connect(accepted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        connection = ProxiedConnection(self._path_known, self._random.random)
        try:
            await loop.connect_accepted_socket(lambda: connection.client, accepted)
        except BaseException:
            accepted.close()
            raise
        self.connections.append(connection)
        try:
            for injection in list(self._injections):
                injection._offer(connection, with_path=False)
            if not connection.severed:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await loop.create_connection(lambda: connection.target, *self._address)
                connection.begin()
            await connection.closed.wait()
        except OSError:
            connection.reset("client")
        finally:
            connection.abort()
            self._forget(connection)

    def _path_known(self, connection: ProxiedConnection) -> None:
        for injection in list(self._injections):
            injection._offer(connection, with_path=True)

    def _forget(self, connection: ProxiedConnection) -> None:
        self.connections.remove(connection)
        self._injections = [one for one in self._injections if not one._forget(connection)]
        past = self._past
        self._past = ProxyStatistics(
            0,
            0,
            past.bytes_up + connection.bytes_up,
            past.bytes_down + connection.bytes_down,
            past.bytes_swallowed + connection.bytes_swallowed,
            past.bytes_garbled + connection.bytes_garbled,
        )


def _address(target: str) -> tuple[str, int]:
    parts = urlsplit(target if "://" in target else f"//{target}")
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    if not parts.hostname or port is None:
        raise ValueError(f"{target} leads nowhere: give a URL or host:port")
    return parts.hostname, port


def _readdressed(target: str, port: int) -> str:
    if "://" not in target:
        return f"{_HOST}:{port}"
    return urlsplit(target)._replace(netloc=f"{_HOST}:{port}").geturl()


def _bound(port: int) -> socket.socket:
    """A socket at a port that may be shared with others of this program, 0 for any."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        # Where there is none (Windows), the port is not kept while nobody listens.
        if hasattr(socket, "SO_REUSEPORT"):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((_HOST, port))
    except BaseException:
        made.close()
        raise
    return made


def _chosen(scope: Scope | Collection[ProxiedConnection]) -> Collection[ProxiedConnection]:
    return () if isinstance(scope, str) else scope
