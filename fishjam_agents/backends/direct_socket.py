"""A WebSocket for the clients of vendors, which dial by themselves."""

from __future__ import annotations

import asyncio
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidHandshake, InvalidStatus

from fishjam_agents.secrecy import shown_url


class DirectConnection(ClientConnection):
    """A connection that is never redirected and always closed: give it to `connect` as `create_connection`.

    websockets follows redirects to other hosts, and keeps from them `Authorization` and cookies only: a key
    in another header, as Google's `x-goog-api-key` is, would be shown to whatever host is named.
    """

    async def close(self, *args: Any, **options: Any) -> None:
        """Close it within `close_timeout`, and cut it off where that is not taken.

        websockets begins to count when what it has to send is sent, which never is to a host that stalls.
        """
        try:
            async with asyncio.timeout(self.close_timeout):
                await super().close(*args, **options)
        except TimeoutError:
            self.transport.abort()
            await asyncio.shield(self.connection_lost_waiter)

    async def handshake(self, *args: Any, **options: Any) -> None:
        """Shake hands.

        Raises:
            InvalidHandshake: The server answers with something else, such as a redirect.
        """
        try:
            await super().handshake(*args, **options)
        except InvalidStatus as error:
            location = error.response.headers.get("Location")
            if location is None or not 300 <= error.response.status_code < 400:
                raise
            raise InvalidHandshake(
                f"it redirects to {shown_url(location)}, where no key is sent: give that address"
            ) from error
