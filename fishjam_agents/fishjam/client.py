"""Managing rooms, peers, livestreams and recordings over REST: one client that blocks, one that awaits."""

from __future__ import annotations

import asyncio
import threading
import time
import warnings
import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from ..errors import ConfigError
from ..loopback import is_loopback_url
from ..secrecy import guard_libraries, shown_url
from . import requests
from .addressing import base_url, origin
from .async_endpoints import AsyncEndpoints
from .blocking_endpoints import BlockingEndpoints
from .calls import DEADLINE, RETRIES, Call, deprecation, encode
from .listing import all_rooms
from .models import Room
from .requests import Request

if TYPE_CHECKING:
    from .notifier import FishjamNotifier

T = TypeVar("T")

ROOMS_AT_ONCE = 20
"""Rooms that are read in one turn of the loop: about two milliseconds (`python -m bench.listing`)."""


def _reachable(url: str) -> str:
    try:
        httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigError(
            f"the URL {shown_url(url)!r} cannot be used ({error}): write it like http://127.0.0.1:5002"
        ) from error
    return url


class Client(ABC):
    """Base of both clients: the server, the token, and the settings of every request.

    Attributes:
        url: Base URL of the server.
    """

    def __init__(
        self, fishjam_id: str, management_token: str, *, deadline: float = DEADLINE, retries: int = RETRIES
    ) -> None:
        """Does not contact the server; `check_credentials` does.

        Args:
            fishjam_id: The ID of an app in Fishjam's cloud, or the URL of a server.
            management_token: The app's management token.
            deadline: Seconds for one call, all its attempts included.
            retries: Further attempts of an idempotent call which got no answer or a 503.

        Raises:
            MissingFishjamIdError: The ID is empty.
            ConfigError: The ID cannot be used as written.
        """
        self.url = _reachable(base_url(fishjam_id))
        self._management_token = management_token
        self._deadline = deadline
        self._retries = retries
        self._warned = False
        guard_libraries()
        self._prepare()

    @abstractmethod
    def _prepare(self) -> None:
        """Set up what carries requests."""

    def __getstate__(self) -> dict[str, Any]:
        # Connections and locks belong to one process.
        return {name: value for name, value in vars(self).items() if name not in ("_http", "_opening")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._prepare()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({shown_url(self.url)!r})"

    def livestream_whip_url(self) -> str:
        """Return the URL to publish a livestream (WHIP) with a `create_livestream_streamer_token` token."""
        return origin(self.url) + "/api/v1/live/api/whip"

    def livestream_whep_url(self) -> str:
        """Return the URL to watch a livestream (WHEP) with a `create_livestream_viewer_token` token."""
        return origin(self.url) + "/api/v1/live/api/whep"

    def notifier(self) -> FishjamNotifier:
        """Make a notifier for the same server and token."""
        # Imported here because it brings WebSockets, which REST does without.
        from .notifier import FishjamNotifier

        return FishjamNotifier(self.url, self._management_token)

    def _new_call(self, request: Request[T]) -> Call[T]:
        return Call(request, self.url, deadline=self._deadline, retries=self._retries)

    def _http_settings(self) -> dict[str, Any]:
        return {
            "headers": requests.headers(self._management_token),
            "timeout": self._deadline,
            "trust_env": not is_loopback_url(self.url),
            # Loading certificates takes longer than the rest of the start; plain HTTP has none to verify,
            # and redirects, which could lead elsewhere, are not followed.
            "verify": self.url.startswith("https://"),
            "follow_redirects": False,
        }

    def _heed(self, headers: Mapping[str, str], *, frames: int) -> None:
        """Warn once that the server finds this version old; the caller is so many frames up."""
        if not self._warned and (warning := deprecation(headers.get("x-fishjam-api-deprecated"))):
            self._warned = True
            kind, message = warning
            warnings.warn(message, kind, stacklevel=frames + 1)


class FishjamClient(Client, BlockingEndpoints):
    """Client for rooms, peers, agents, tokens and recordings; a method blocks until the server has answered.

    Every method raises `UnreachableError` if no answer comes within the deadline, a subclass of `HTTPError`
    if the server refuses (`UnauthorizedError`, `NotFoundError`, ...), and `ProtocolError` if what answers is
    no Fishjam.

    Threads may share it. `with` or `close` ends its connections; so does the garbage collector. It can be
    pickled, and opens connections of its own where it is unpickled.

    Attributes:
        url: Base URL of the server.
    """

    def _prepare(self) -> None:
        self._http: httpx.Client | None = None
        self._opening = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        with self._opening:
            http, self._http = self._http, None
        if http is not None:
            http.close()

    @classmethod
    def create_and_verify(cls, *, fishjam_id: str, management_token: str) -> Self:
        """Make a client and check its credentials.

        Raises:
            InvalidFishjamCredentialsError: The server does not know this pair of ID and token.
        """
        client = cls(fishjam_id, management_token)
        try:
            client.check_credentials()
        except BaseException:
            client.close()
            raise
        return client

    def _call(self, request: Request[T]) -> T:
        call = self._new_call(request)
        end = time.monotonic() + self._deadline
        while True:
            try:
                status, content = self._send(request, end)
            except (httpx.RequestError, UnicodeError) as error:
                delay = call.failed(error)
            else:
                if not call.refused(status):
                    return call.result(status, content)
                delay = call.delay()
            time.sleep(delay)

    def _send(self, request: Request[Any], end: float) -> tuple[int, bytes]:
        left = max(end - time.monotonic(), 0.001)
        with self._connections().stream(
            request.method, self.url + request.path, timeout=left, **encode(request)
        ) as response:
            self._heed(response.headers, frames=4)
            content = bytearray()
            # httpx bounds each phase of a request by itself; an answer that drips in has no end there.
            for part in response.iter_bytes():
                content += part
                if time.monotonic() > end:
                    raise httpx.ReadTimeout("the answer drips in", request=response.request)
            return response.status_code, bytes(content)

    def _connections(self) -> httpx.Client:
        with self._opening:
            if self._http is None:
                self._http = httpx.Client(**self._http_settings())
                weakref.finalize(self, self._http.close)
            return self._http


class AsyncFishjamClient(Client, AsyncEndpoints):
    """`FishjamClient` for asyncio: the same methods, to be awaited.

    Use it as an async context manager, or call `aclose`. It belongs to the event loop of its first call.

    Attributes:
        url: Base URL of the server.
    """

    def _prepare(self) -> None:
        self._http = httpx.AsyncClient(**self._http_settings())

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

    @classmethod
    async def create_and_verify(cls, *, fishjam_id: str, management_token: str) -> Self:
        """Make a client and check its credentials.

        Raises:
            InvalidFishjamCredentialsError: The server does not know this pair of ID and token.
        """
        client = cls(fishjam_id, management_token)
        try:
            await client.check_credentials()
        except BaseException:
            await client.aclose()
            raise
        return client

    async def iter_all_rooms(self) -> AsyncIterator[Room]:
        """All rooms, livestreams included, as `get_all_rooms`; other tasks run while many are read."""
        listed: Iterator[Any] = await self._call(all_rooms())
        for index, room in enumerate(listed):
            if index % ROOMS_AT_ONCE == 0:
                await asyncio.sleep(0)
            yield Room.from_dict(room)

    async def _call(self, request: Request[T]) -> T:
        call = self._new_call(request)
        try:
            async with asyncio.timeout(self._deadline):
                while True:
                    try:
                        response = await self._send(request)
                    except (httpx.RequestError, UnicodeError) as error:
                        delay = call.failed(error)
                    else:
                        self._heed(response.headers, frames=3)
                        if not call.refused(response.status_code):
                            return call.result(response.status_code, response.content)
                        delay = call.delay()
                    await asyncio.sleep(delay)
        except TimeoutError as error:
            raise call.timed_out() from error

    async def _send(self, request: Request[Any]) -> httpx.Response:
        try:
            return await self._http.request(request.method, self.url + request.path, **encode(request))
        except AttributeError as error:
            # A connection that is reset as it is made has no socket on uvloop, and anyio asks it who it is.
            if error.name != "getpeername":
                raise
            raise httpx.ConnectError("the connection was reset as it was made") from error
