"""websockets' `connect` as keys and tokens need it."""

from __future__ import annotations

from typing import Any

from websockets.asyncio.client import connect

from ..secrecy import SOCKET_LOG


class DirectDial(connect):
    """`connect` that follows no redirect and writes no headers and frames into logs.

    A redirect ends with `InvalidStatus`, as any answer that is no WebSocket does. Following it would show the
    first message, which is the token, or the headers, to whatever host it names.
    """

    def __init__(self, uri: str, **options: Any) -> None:
        super().__init__(uri, **{"logger": SOCKET_LOG, **options})

    def process_redirect(self, exc: Exception) -> Exception:
        """Called by websockets for every failure: where to go instead, or the failure itself."""
        return exc
