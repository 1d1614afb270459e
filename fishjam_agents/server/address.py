"""Addresses of this machine: at which the server listens, and those that others reach it by."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from importlib import import_module
from typing import Any

from ..errors import FishjamAgentsError


async def listen(host: str, port: int) -> socket.socket:
    """A listening socket on `host`; port 0 takes a free one.

    Raises:
        FishjamAgentsError: The port is in use, or the address is not one of this machine.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        # The codec of host names refuses labels of more than 63 letters before anybody is asked.
        why = error.strerror if isinstance(error, OSError) else "no name of a host"
        raise FishjamAgentsError(
            f"cannot listen on {host} ({why}): use 127.0.0.1 or an address of this machine"
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


def authority(host: str, port: int) -> str:
    """Host and port as they stand in a URL of this machine."""
    if is_wildcard(host):
        host = "127.0.0.1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_wildcard(host: str) -> bool:
    """Return whether a server on `host` listens on every address of this machine."""
    return host in ("0.0.0.0", "::")


def machine_names() -> list[str]:
    """Names by which others in the network may know this machine: its own, and the one mDNS gives it."""
    name = socket.gethostname().lower().rstrip(".")
    return [name, f"{name.partition('.')[0]}.local"] if name else []


def machine_addresses() -> list[str]:
    """Addresses by which other machines may reach this one; first the one that it reaches them by itself.

    Loopback and link-local addresses, which need a zone that no browser takes, are left out.
    """
    found = [_outgoing(socket.AF_INET, "192.0.2.1"), _outgoing(socket.AF_INET6, "2001:db8::1")]
    try:
        ifaddr: Any = import_module("ifaddr")
    except ModuleNotFoundError:
        # It comes with the extra `webrtc`; without it one address of each kind is known.
        pass
    else:
        for adapter in ifaddr.get_adapters():
            found += [str(ip.ip if ip.is_IPv4 else ip.ip[0]) for ip in adapter.ips]
    return [address for address in dict.fromkeys(found) if address and _is_reachable(address)]


def _outgoing(family: socket.AddressFamily, elsewhere: str) -> str:
    """Address from which this machine would send to `elsewhere`; nothing is sent. Empty without a network."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as connected:
            connected.connect((elsewhere, 9))
            return str(connected.getsockname()[0])
    except OSError:
        return ""


def _is_reachable(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified)
