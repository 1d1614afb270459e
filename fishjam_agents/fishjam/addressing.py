"""From a Fishjam ID to the URLs of one server.

Rules are those of Fishjam's own SDKs, with two differences: a host without a scheme is an error that says
what to write (theirs ask the cloud for an app of that name), and a socket address without a scheme takes
that of the server's URL (theirs assume TLS, which a local server does not speak).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..errors import ConfigError
from ..secrecy import shown_url
from ..urls import has_host
from .errors import MissingFishjamIdError

CLOUD_URL = "https://fishjam.io/api/v1/connect"
"""Address for an ID that is no URL."""

AGENT_SOCKET = "/socket/agent/websocket"
PEER_SOCKET = "/socket/peer/websocket"
SERVER_SOCKET = "/socket/server/websocket"


def base_url(fishjam_id: str) -> str:
    """The URL under which a server answers, without a trailing slash.

    Args:
        fishjam_id: The ID of an app in the cloud, or an `http://` or `https://` URL.

    Raises:
        MissingFishjamIdError: It is empty.
        ConfigError: It is neither an ID nor such a URL.
    """
    fishjam_id = fishjam_id.strip()
    if not fishjam_id:
        raise MissingFishjamIdError
    if re.match(r"https?://", fishjam_id):
        return _checked(fishjam_id.rstrip("/"))
    if scheme := re.match(r"wss?://", fishjam_id):
        rest = fishjam_id[scheme.end() :]
        http = "https" if scheme.group().startswith("wss") else "http"
        raise ConfigError(
            f"the Fishjam ID {shown_url(fishjam_id)!r} is a WebSocket address: "
            f"write {shown_url(f'{http}://{rest}')}"
        )
    if fishjam_id == "localhost" or not re.fullmatch(r"[A-Za-z0-9_-]+", fishjam_id):
        raise ConfigError(
            f"the Fishjam ID {shown_url(fishjam_id)!r} is neither an ID nor a URL: "
            f"for a server write {shown_url(f'http://{fishjam_id}')}"
            if "://" not in fishjam_id
            else f"the Fishjam ID {shown_url(fishjam_id)!r} is no web address: write http:// or https://"
        )
    return f"{CLOUD_URL}/{fishjam_id}"


def _checked(url: str) -> str:
    if not has_host(url):
        raise ConfigError(
            f"the URL {shown_url(url)!r} names no host, or a wrong port: write it like http://127.0.0.1:5002"
        )
    return url


def socket_url(url: str, path: str) -> str:
    """The WebSocket URL of one of the server's sockets: `http` becomes `ws`, `https` `wss`."""
    return "ws" + url.removeprefix("http").rstrip("/") + path


def agent_base_url(url: str, peer_websocket_url: str | None) -> str:
    """Return the address of an agent: the node that REST named at the agent's creation, else the server.

    Args:
        url: The server's base URL.
        peer_websocket_url: `peer_websocket_url` of the answer, if it has one.
    """
    if not peer_websocket_url:
        return url
    scheme, separator, rest = peer_websocket_url.partition("://")
    if not separator:
        scheme, rest = urlsplit(url).scheme, peer_websocket_url
    scheme = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    return f"{scheme}://{rest.removesuffix(PEER_SOCKET).removesuffix(AGENT_SOCKET)}".rstrip("/")


def origin(url: str) -> str:
    """Scheme, host and port of a URL: where livestreams live."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
