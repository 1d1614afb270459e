"""Address at which the server listens, and its form for clients."""

from __future__ import annotations

import asyncio
import socket

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
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
