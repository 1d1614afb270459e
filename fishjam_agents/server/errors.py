"""Errors with which a REST request can be refused."""

from __future__ import annotations

from ..errors import FishjamAgentsError


class RequestError(FishjamAgentsError):
    """A request the server refuses; its message becomes `{"errors": message}`.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def room_not_found(room_id: str) -> RequestError:
    """404 in Fishjam's words (`fishjam-dev/fishjam`)."""
    return RequestError(404, f"Room {room_id} does not exist")


def peer_not_found(peer_id: str) -> RequestError:
    """404 in Fishjam's words (`fishjam-dev/fishjam`)."""
    return RequestError(404, f"Peer {peer_id} does not exist")
