"""Settings of the bot's room and of the length of its work."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from fishjam_agents.errors import SettingError
from fishjam_agents.urls import NO_HOST, NO_ORIGIN, read_authority, read_origin


@dataclass(frozen=True, slots=True)
class FishjamSettings:
    """The media server.

    Attributes:
        id: `local` (an embedded server is started), a Fishjam id, or the URL of a Fishjam.
        management_token: Its management token; `local` needs none.
        host: Address the embedded server listens on.
        port: Port the embedded server listens on; 0 takes any.
        allowed_hosts: Further names the embedded server is reached by, `name` or `name:port`.
        allowed_origins: Pages of other origins that may use the embedded server, as `http://localhost:5173`.
    """

    id: str = "local"
    management_token: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int = 5002
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

    max_call: float | None = None
    empty_room: float | None = None
    reconnect: float = 60.0

    def __post_init__(self) -> None:
        for name in ("max_call", "empty_room"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise SettingError(name, f"must be positive, not {value:g}", section="limits")
        if not 0 <= self.reconnect < math.inf:
            raise SettingError(
                "reconnect", f"must be 0 or more seconds, not {self.reconnect:g}", section="limits"
            )
