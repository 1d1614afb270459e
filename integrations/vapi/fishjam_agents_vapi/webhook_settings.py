"""Settings of the webhook, apart from what serves it: reading a configuration pays for no server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fishjam_agents.errors import SettingError

SECRET_HEADER = "x-vapi-secret"


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Address at which Vapi asks for the results of tools.

    Attributes:
        port: Port to listen on.
        host: Address to listen on; a reverse proxy or a tunnel leads there.
        public_url: Address under which Vapi reaches it. With it, calls are created so that Vapi asks there;
            without it, `server.url` has to be set at Vapi.
        secret: Expected in the header `x-vapi-secret`; requests without it are refused.
    """

    port: int
    host: str = "127.0.0.1"
    public_url: str | None = None
    secret: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise SettingError("port", f"must be between 0 and 65535, not {self.port}")
        if self.public_url is not None and not self.public_url.startswith(("https://", "http://")):
            raise SettingError("public_url", f"must begin with https:// or http://, not {self.public_url!r}")

    def as_server(self) -> dict[str, Any] | None:
        """As Vapi's `server`; None without a public address."""
        if self.public_url is None:
            return None
        headers = {} if self.secret is None else {"headers": {SECRET_HEADER: self.secret}}
        return {"url": self.public_url, **headers}
