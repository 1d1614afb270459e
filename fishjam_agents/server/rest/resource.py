"""One resource of the REST API, and the parts of the server that resources act on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from ..broadcasts import Broadcasts
from ..moq import MoqAccess
from ..recordings import Recordings
from ..rooms import Rooms
from ..sandbox import Sandbox
from ..vapi import VapiCalls

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

Routes: TypeAlias = Mapping[str, Mapping[str, Handler]]
"""Path to method to handler. Whoever answers GET answers HEAD."""


@dataclass(frozen=True, slots=True)
class RestContext:
    """Parts of the server that requests act on.

    Attributes:
        rooms: Every room.
        recordings: Recordings of compositions.
        calls: The calls of VAPI peers.
        moq: Signs access to MoQ.
        broadcasts: Connections to livestreams.
        url: Called for the server's base URL, known once it listens.
        peer_url: Called for the `peer_websocket_url` of a new peer with a request's scheme and `Host`.
        sandbox: Rooms for whoever asks by name; None where nobody is given any.
    """

    rooms: Rooms
    recordings: Recordings
    calls: VapiCalls
    moq: MoqAccess
    broadcasts: Broadcasts
    url: Callable[[], str]
    peer_url: Callable[[str, str], str]
    sandbox: Sandbox | None


class Resource:
    """Base of the resources; `resources.py` lists them.

    Args:
        context: What its requests act on.
    """

    def __init__(self, context: RestContext) -> None:
        self._context = context

    def routes(self) -> Routes:
        """Routes that ask for the management token."""
        return {}

    def public_routes(self) -> Routes:
        """Routes that ask for no token."""
        return {}
