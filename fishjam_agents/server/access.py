"""Access out of browsers: the names the server answers to, and the pages it serves.

Two things would let any page on the web use a server that listens on loopback. Its script may send requests
there, and with DNS rebinding, a name of its own that resolves to 127.0.0.1, even read the answers. So `Host`
must name this server, and a browser that says which page it asks for (`Origin`, Fetch Standard;
`Sec-Fetch-Site`, Fetch Metadata) must ask for one of ours. Programs send neither and are not concerned.

A `Host` may name any port: what rebinding needs is a name, and a forwarded port has another number outside.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

from ..errors import ConfigError
from ..loopback import is_loopback
from ..urls import NO_HOST, NO_ORIGIN, Authority, read_authority, read_origin
from .address import is_wildcard, machine_names

_SHOWN = 100
"""Characters of what a stranger sent that its refusal repeats."""

HEADERS = (
    ("content-security-policy", "frame-ancestors 'none'"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
)
"""Sent with every answer: no page of another origin frames, embeds or keeps hold of what is served here
(Fetch Standard, section 3.7; HTML Standard, opener policies; Content Security Policy, section 6.4.2)."""


class AccessPolicy:
    """Demands on a request's Host and Origin.

    Args:
        host: The address the server listens on.
        allowed_hosts: Further names it is reached by, `name` or `name:port`.
        allowed_origins: Pages of other origins that may use it, as `https://example.org`.

    Attributes:
        port: The port it listens on, once it does.
        https: Whether it speaks HTTPS, too.

    Raises:
        ConfigError: One of them is no host or no origin.
    """

    def __init__(
        self, host: str, *, allowed_hosts: Iterable[str] = (), allowed_origins: Iterable[str] = ()
    ) -> None:
        self.port = 0
        self.https = False
        self._loopback_only = is_loopback(host)
        self._hosts = {_host_setting(text) for text in allowed_hosts}
        self._origins = {_origin_setting(text) for text in allowed_origins}
        self._names = set() if self._loopback_only else set(machine_names())
        if not is_wildcard(host):
            self._names.add(host.lower())

    def refusal(self, header: Callable[[str], list[str]], *, page: bool = False) -> str | None:
        """The sentence with which a request is refused; None where it is served.

        Args:
            header: The values of a header by its name in lower case.
            page: Whether it is a `GET` of the page, to which other sites may link.
        """
        hosts = header("host")
        host = read_authority(hosts[0]) if len(hosts) == 1 else None
        if host is None or not self._names_us(host):
            return (
                f"{_shown(hosts) or 'No host'} is not a name of this server: "
                "use its address, or list the name in allowed_hosts"
            )
        origins = header("origin")
        if not all(self._may_use(origin, host) for origin in origins):
            return f"A page of {_shown(origins)} may not use this server: list its origin in allowed_origins"
        # Browsers leave Origin out where a page embeds, links or navigates.
        foreign = set(header("sec-fetch-site")) - {"none", "same-origin"}
        if foreign and not origins and not (page and _navigates(header)):
            return "A page of another site may not use this server: open its address itself"
        return None

    def better_page(self, scheme: str, header: Callable[[str], list[str]]) -> str | None:
        """The URL of the page over HTTPS, for a browser that asked another machine for it in plain HTTP.

        Its page would get no microphone (W3C Secure Contexts). A proxy, which `allowed_hosts` names, may have
        spoken HTTPS already.

        Args:
            scheme: `http` or `https`.
            header: As of `refusal`, of a request that is served.
        """
        [host] = header("host")
        authority = read_authority(host)
        if not self.https or scheme == "https" or authority is None:
            return None
        ours = authority.host in self._names or _is_address(authority.host)
        return f"https://{host}/" if ours and not is_loopback(authority.host) else None

    def _names_us(self, host: Authority) -> bool:
        if is_loopback(host.host) or host.host in self._names:
            return True
        if host in self._hosts or Authority(host.host, None) in self._hosts:
            return True
        # No name resolves to an address that is written out, so there is nothing to rebind.
        return not self._loopback_only and _is_address(host.host)

    def _may_use(self, origin: str, host: Authority) -> bool:
        parts = read_origin(origin)
        if parts is None:
            return False
        scheme, authority = parts
        return (
            parts in self._origins
            or authority == host.at(scheme)
            or (is_loopback(authority.host) and authority.port == self.port)
        )


def _navigates(header: Callable[[str], list[str]]) -> bool:
    """Return whether a browser opens a page at its top level, as by a link."""
    return header("sec-fetch-mode") == ["navigate"] and header("sec-fetch-dest") == ["document"]


def _is_address(host: str) -> bool:
    """Return whether a host is an address of some machine. 0.0.0.0 is none, and leads to this one."""
    try:
        return not ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _host_setting(text: str) -> Authority:
    authority = read_authority(text)
    if authority is None:
        raise ConfigError(f"allowed_hosts {NO_HOST.format(text)}")
    return authority


def _origin_setting(text: str) -> tuple[str, Authority]:
    origin = read_origin(text)
    if origin is None:
        raise ConfigError(f"allowed_origins {NO_ORIGIN.format(text)}")
    return origin


def _shown(values: list[str]) -> str:
    return ", ".join(values)[:_SHOWN]
