"""One HTTP connection with deadlines, which uvicorn leaves to a proxy that is not there."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 10.0
"""Seconds a request may take to arrive, and a new connection to send a first one. Our choice."""

ANSWER_SECONDS = 120.0
"""Seconds its answer may take to be made and read; an hour's recording is 115 MB. Our choice."""

MAX_HEADERS = 128
"""Lines before the body of a request. h11 bounds only what is incomplete: of 64 kB at once it reads all."""

_TOO_MANY = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_CLOSE_SECONDS = 1.0


class HttpConnection(H11Protocol):
    """uvicorn's protocol, with an end to requests that drip in and to answers that nobody reads."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._stage = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the server."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Called by the transport."""
        if self.conn.their_state is h11.IDLE and _too_many_headers(self.conn.trailing_data[0] + data):
            self._refuse(_TOO_MANY)
            return
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the transport."""
        self._disarm()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Called when the request asks for a WebSocket, which has deadlines of its own."""
        self._disarm()
        self._stage = "upgraded"
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Called when an answer is sent."""
        self._stage = ""
        # Requests that came in one go with the one before them are read in here.
        if _too_many_headers(self.conn.trailing_data[0]):
            self._refuse(_TOO_MANY)
            return
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        """Begin the deadline of what the connection waits for now, if that has changed."""
        if self._stage == "upgraded" or self.transport.is_closing():
            return
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering and self.conn.their_state is not h11.SEND_BODY:
            stage, seconds = "answer", ANSWER_SECONDS
        elif self.timeout_keep_alive_task is not None and not answering:
            # Between two requests uvicorn itself waits no longer than its `timeout_keep_alive`.
            stage, seconds = "idle", 0.0
        else:
            stage, seconds = "request", REQUEST_SECONDS
        if stage != self._stage:
            self._stage = stage
            self._disarm()
            if seconds:
                self._deadline = self.loop.call_later(seconds, self._too_late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        if self._stage == "answer" or self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
        else:
            self._refuse(_TOO_LATE)

    def _refuse(self, answer: bytes) -> None:
        self._disarm()
        self.transport.write(answer)
        self.transport.close()
        self.loop.call_later(_CLOSE_SECONDS, self.transport.abort)


def _too_many_headers(data: bytes) -> bool:
    """Return whether the request that `data` begins with has too many headers, as far as it has come."""
    end = data.find(b"\r\n\r\n")
    return data.count(b"\n", 0, len(data) if end < 0 else end) > MAX_HEADERS
