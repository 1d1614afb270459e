"""Managing rooms and peers over REST."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self, TypeVar

import httpx

from . import requests
from .addressing import agent_base_url, base_url, is_loopback
from .agent import Agent
from .errors import UnreachableError
from .models import AgentOptions, Peer, PeerOptions, Room, RoomOptions
from .notifier import FishjamNotifier
from .requests import Request

REQUEST_TIMEOUT = 10.0
"""Seconds for one request, from connecting to the last byte of the answer."""

T = TypeVar("T")


class AsyncFishjamClient:
    """Makes and removes rooms, peers and agents. Use it as an async context manager, or call `aclose`.

    Every method raises `UnreachableError` if the server does not answer within 10 s, a subclass of
    `HTTPError` if it refuses (`UnauthorizedError`, `NotFoundError`, ...), and `ProtocolError` if what
    answers is no Fishjam.

    Attributes:
        url: Base URL of the server.
    """

    def __init__(self, fishjam_id: str, management_token: str) -> None:
        """Does not contact the server; `check_credentials` does.

        Args:
            fishjam_id: The ID of an app in Fishjam's cloud, or the URL of a server.
            management_token: The app's management token.

        Raises:
            ConfigError: The ID cannot be used as written.
        """
        self.url = base_url(fishjam_id)
        self._management_token = management_token
        self._http = httpx.AsyncClient(
            headers=requests.headers(management_token),
            timeout=REQUEST_TIMEOUT,
            trust_env=not is_loopback(self.url),
            # Loading certificates takes longer than the rest of the start; plain HTTP has none to verify,
            # and redirects, which could lead elsewhere, are not followed.
            verify=self.url.startswith("https://"),
            follow_redirects=False,
        )

    def __repr__(self) -> str:
        return f"AsyncFishjamClient({self.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def notifier(self) -> FishjamNotifier:
        """A notifier for the same server and token."""
        return FishjamNotifier(self.url, self._management_token)

    async def check_credentials(self) -> None:
        """Ask the server whether it knows the ID and the token.

        Raises:
            InvalidFishjamCredentialsError: It does not.
        """
        await self._call(requests.check_credentials())

    async def create_room(self, options: RoomOptions | None = None) -> Room:
        """Make a room."""
        return await self._call(requests.create_room(options or RoomOptions()))

    async def get_room(self, room_id: str) -> Room:
        """The room as it is now."""
        return await self._call(requests.get_room(room_id))

    async def get_all_rooms(self) -> list[Room]:
        """All rooms, livestreams included."""
        return await self._call(requests.get_all_rooms())

    async def delete_room(self, room_id: str) -> None:
        """Delete a room and everybody in it."""
        await self._call(requests.delete_room(room_id))

    async def create_peer(self, room_id: str, options: PeerOptions | None = None) -> tuple[Peer, str]:
        """Make a peer for a browser or an app; returns it and its token."""
        access = await self._call(requests.create_peer(room_id, options or PeerOptions()))
        return access.peer, access.token

    async def create_agent(self, room_id: str, options: AgentOptions | None = None) -> Agent:
        """Make an agent. It is in the room until deleted, and hears once `Agent.connect` is entered."""
        access = await self._call(requests.create_agent(room_id, options or AgentOptions()))
        return Agent(access.peer.id, room_id, access.token, agent_base_url(self.url, access.websocket_url))

    async def delete_peer(self, room_id: str, peer_id: str) -> None:
        """Delete a peer or an agent; if it is connected, it is cut off."""
        await self._call(requests.delete_peer(room_id, peer_id))

    async def refresh_peer_token(self, room_id: str, peer_id: str) -> str:
        """A new token for a peer; tokens are valid for a day."""
        return await self._call(requests.refresh_peer_token(room_id, peer_id))

    async def _call(self, request: Request[T]) -> T:
        try:
            # httpx bounds each phase of a request by itself; an answer that drips in has no end there.
            async with asyncio.timeout(REQUEST_TIMEOUT):
                response = await self._http.request(
                    request.method, self.url + request.path, json=request.body
                )
        except (TimeoutError, httpx.TimeoutException) as error:
            raise UnreachableError(
                f"{self.url} did not answer {request} within {REQUEST_TIMEOUT:.0f} s: is it overloaded?"
            ) from error
        except httpx.TransportError as error:
            raise UnreachableError(f"cannot reach {self.url}: is the server running? ({error})") from error
        return request.answer(response.status_code, response.content)
