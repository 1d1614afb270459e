"""Settings of the bot's room, of the length of its work, and of a process that serves many rooms."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fishjam_agents.errors import SettingError
from fishjam_agents.loopback import is_loopback
from fishjam_agents.units import Seconds, Share
from fishjam_agents.urls import NO_HOST, NO_ORIGIN, is_redis_url, read_authority, read_origin

MOST_SHARDS = 1000
"""Machines that may share the rooms: each looks at all of them, and asks for each room who comes first."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """HTTPS of the embedded server, on the same port as plain HTTP.

    Attributes:
        mode: `auto`: where other machines can reach it; `off`: never.
        certificate: PEM file with a certificate and its chain; without one, one is made on the spot.
        key: PEM file with its key.
    """

    mode: Literal["auto", "off"] = "auto"
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise SettingError(
                None,
                "has one of certificate and key",
                "give both of them",
                section="tls",
                fields=["certificate", "key"],
            )
        if self.certificate is not None and self.mode == "off":
            raise SettingError(
                None, "is off and has a certificate", "keep one of them", section="tls", fields=["mode"]
            )

    @property
    def wanted(self) -> Literal["auto", "off"] | tuple[Path, Path]:
        """As the embedded server takes it."""
        return self.mode if self.certificate is None or self.key is None else (self.certificate, self.key)


@dataclass(frozen=True, slots=True)
class FishjamSettings:
    """The media server.

    Attributes:
        id: `local` (an embedded server is started), a Fishjam id, or the URL of a Fishjam.
        management_token: Its management token; `local` needs none.
        host: Address the embedded server listens on.
        port: Port the embedded server listens on; 0 takes any.
        tls: HTTPS of the embedded server.
        sandbox: Whether the embedded server gives tokens by name to demos without a backend; by default where
            only this machine can reach it.
        allowed_hosts: Further names the embedded server is reached by, `name` or `name:port`.
        allowed_origins: Pages of other origins that may use the embedded server, as `http://localhost:5173`.
    """

    id: str = "local"
    management_token: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int = 5002
    tls: TlsSettings = TlsSettings()
    sandbox: bool | None = None
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise SettingError("port", f"must be between 0 and 65535, not {self.port}", section="fishjam")
        for host in self.allowed_hosts:
            if read_authority(host) is None:
                raise SettingError("allowed_hosts", NO_HOST.format(host), section="fishjam")
        for origin in self.allowed_origins:
            if read_origin(origin) is None:
                raise SettingError("allowed_origins", NO_ORIGIN.format(origin), section="fishjam")


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """The room.

    Attributes:
        id: An existing room.
        create: Make a room, and delete it at the end. The default where no id is given.
    """

    id: str | None = None
    create: bool | None = None

    def __post_init__(self) -> None:
        if self.id is not None and self.create:
            raise SettingError(
                None, "has both id and create", "keep one of them", section="room", fields=["id", "create"]
            )
        if self.id is None and self.create is False:
            raise SettingError(
                None,
                "has neither an id nor create",
                "give one of them",
                section="room",
                fields=["id", "create"],
            )


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Limits of the bill. All in seconds; None is no limit.

    Attributes:
        max_call: A call ends after this long.
        empty_room: A call ends when nobody but bots has been in the room for this long.
        reconnect: A call ends when the connection to the room has been lost for this long; 0 ends it at once.
    """

    max_call: Seconds | None = None
    empty_room: Seconds | None = None
    reconnect: Seconds = 60.0

    def __post_init__(self) -> None:
        for name in ("max_call", "empty_room"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise SettingError(name, f"must be positive, not {value:g}", section="limits")
        if not 0 <= self.reconnect < math.inf:
            raise SettingError(
                "reconnect", f"must be 0 or more seconds, not {self.reconnect:g}", section="limits"
            )


@dataclass(frozen=True, slots=True)
class ShardSettings:
    """One of several machines that share the rooms of a Fishjam, and nothing else.

    Attributes:
        index: Which of them this is, from 0: a number, or a name that ends with it, as a pod's (`bots-2`).
        count: How many there are, the same on each of them.
        takeover: Seconds that people in a room of another machine wait for a bot before this one takes it;
            None leaves it to the other one.
    """

    index: int | str
    count: int
    takeover: Seconds | None = 10.0

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_SHARDS:
            raise SettingError(
                "count", f"must be between 1 and {MOST_SHARDS}, not {self.count}", section="shard"
            )
        number = self.number
        last = self.count - 1
        if number is None:
            raise SettingError(
                "index",
                f"{self.index} does not end with a number",
                f"use one from 0 to {last}, or the name of a StatefulSet's pod, as bots-{last}",
                section="shard",
            )
        if not 0 <= number <= last:
            raise SettingError(
                "index",
                f"must be between 0 and {last}, since count is {self.count}, not {number}",
                section="shard",
            )
        if self.takeover is not None and not 0 < self.takeover < math.inf:
            raise SettingError(
                "takeover", f"must be a positive number of seconds, not {self.takeover:g}", section="shard"
            )

    @property
    def number(self) -> int | None:
        """Number of this machine; None of a name that has none at its end."""
        if isinstance(self.index, int):
            return self.index
        found = re.fullmatch(r"(?:.*-)?([0-9]{1,6})", self.index.strip())
        return None if found is None else int(found[1])


@dataclass(frozen=True, slots=True)
class ClaimsSettings:
    """The store in which processes note who serves which room, shared by all that serve one Fishjam.

    Attributes:
        path: A SQLite file, for the processes of one machine.
        url: A Redis, for those of many: `redis://`, `rediss://` (TLS) or `unix://`.
    """

    path: Path | None = None
    url: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.path is None) == (self.url is None):
            raise SettingError(
                None, "is a path or a url", "give one of them", section="claims", fields=["path", "url"]
            )
        if self.url is not None and not is_redis_url(self.url):
            raise SettingError(
                "url", "is no address of a Redis", "write it as redis://HOST:6379/0", section="claims"
            )

    @property
    def address(self) -> str:
        """The one or the other."""
        return self.url or str(self.path)


@dataclass(frozen=True, slots=True)
class WorkersSettings:
    """A program that serves many rooms. Durations in seconds; None is no limit.

    Attributes:
        processes: Processes on this machine that share the rooms.
        max_calls: Most calls at once in one process.
        max_loop_lag: A process whose event loop is later than this takes no further rooms.
        max_cpu: A process that keeps more than this share of one core busy takes no further rooms.
        drain: Time that calls have to end by themselves when the program is asked to end.
        shard: Which of several machines this is; None where it is the only one.
        claims: Where processes note who serves which room; None takes a file in the user's state folder.
    """

    processes: int = 1
    max_calls: int | None = None
    max_loop_lag: Seconds | None = 0.05
    max_cpu: Share | None = 0.9
    drain: Seconds = 60.0
    shard: ShardSettings | None = None
    claims: ClaimsSettings | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.processes <= 256:
            raise SettingError(
                "processes", f"must be between 1 and 256, not {self.processes}", section="workers"
            )
        for name in ("max_calls", "max_loop_lag", "max_cpu"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise SettingError(name, f"must be positive, not {value:g}", section="workers")
        if not 0 <= self.drain < math.inf:
            raise SettingError("drain", f"must be 0 or more seconds, not {self.drain:g}", section="workers")


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The HTTP interface of the program: `/calls`, `/healthz`, `/readyz`, `/metrics`.

    Attributes:
        host: Address it listens on.
        port: Port it listens on; 0 takes any.
        token: What callers of `/calls` present as their bearer token.
        webhook_secret: Secret with which Fishjam signs its webhooks; with it `/webhooks/fishjam` takes them.
    """

    host: str = "127.0.0.1"
    port: int = 8081
    token: str | None = field(default=None, repr=False)
    webhook_secret: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise SettingError("port", f"must be between 0 and 65535, not {self.port}", section="api")
        if self.webhook_secret == "":
            raise SettingError("webhook_secret", "is empty", "give Fishjam's, or remove it", section="api")
        if not self.token and not is_loopback(self.host):
            raise SettingError(
                "host",
                f"{self.host} can be reached from other machines",
                "set api.token, too",
                section="api",
            )
