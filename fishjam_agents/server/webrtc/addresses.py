"""Addresses at which a browser can reach this machine, as host candidates (RFC 8445, section 5.1.1.1).

aioice leaves out the loopback, which is all there is on a laptop without a network. A browser that has a
network sends to the loopback from that network's address. Linux lets it; of macOS and Windows that is not
known, so there the networks' addresses are offered, too. The lists are tested for every platform, a
connection on Linux alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

LOOPBACK = "127.0.0.1"


def host_addresses(host: str, platform: str, interfaces: Iterable[str]) -> list[str]:
    """Addresses to offer.

    Args:
        host: Address the server listens on.
        platform: `sys.platform`.
        interfaces: Addresses of the machine's networks.
    """
    networks = [address for address in dict.fromkeys(interfaces) if _is_usable(address)]
    ipv4 = [address for address in networks if ":" not in address]
    if host in ("localhost", LOOPBACK):
        return [LOOPBACK] if platform.startswith("linux") else [LOOPBACK, *ipv4]
    if host == "::1":
        return [host, LOOPBACK] if platform.startswith("linux") else [host, LOOPBACK, *networks]
    if host == "0.0.0.0":
        return [*ipv4, LOOPBACK]
    if host == "::":
        return [*networks, "::1", LOOPBACK]
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # A name of this machine: whatever it stands for is among these.
        return [*networks, LOOPBACK]
    return [host]


def _is_usable(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified or parsed.is_multicast)
