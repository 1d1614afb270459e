"""Handshakes of WebSockets that the network broke off, told from those that something else answered."""

from __future__ import annotations


def is_cut_handshake(error: BaseException) -> bool:
    """Return whether a handshake failed because the connection ended, whatever is wrong with the network.

    websockets says of it that it got no valid HTTP response, as of a server that speaks something else; only
    the cause tells them apart.
    """
    # Loaded by whoever has such an error; backends that connect to nothing need none of it.
    from websockets.exceptions import InvalidMessage

    return isinstance(error, InvalidMessage) and isinstance(error.__cause__, EOFError)
