"""The socket of the page, `/playground/events`: what happens in a call, and what its controls ask for.

Text frames with one JSON object each; docs/playground.md lists them.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ...errors import FishjamAgentsError
from ...json_limits import read_json
from ..sockets.frames import text_frame
from ..sockets.websocket import Connection
from .call_tokens import CallTokens, Grant
from .registry import RegisteredCall

AUTH_SECONDS = 10.0
"""Seconds a page may take to say its token."""
MAX_VIEWERS = 64
"""Pages that may watch one call at once."""
VIEWER_BACKLOG_BYTES = 2 * 1024 * 1024
"""Bytes that may wait for a page, its history (`feed.MAX_HISTORY_BYTES`) included; more, and it is closed."""
MAX_VIEWER_MESSAGE_BYTES = 16 * 1024
"""Largest message of a page."""
MAX_TEXT = 4000
"""Characters of what a person writes at once."""
MAX_MESSAGES = 20
"""Messages that a page may send within a second."""

REFUSED = 4401
"""Close code for a token that opens nothing."""
FULL = 4429
"""Close code for a page too many, or one that sends too much."""
SLOW = 4408
"""Close code for a page that does not read what it is sent."""
GARBAGE = 4400
"""Close code for a message that is none of those known."""


class EventSocket:
    """One page. Part of `websocket.Endpoint` and of `feed.Viewer`.

    Args:
        tokens: Tokens of the calls.
    """

    def __init__(self, tokens: CallTokens[RegisteredCall]) -> None:
        self._tokens = tokens
        self._connection: Connection | None = None
        self._grant: Grant[RegisteredCall] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._second = 0.0
        self._messages = 0

    # --- websocket.Endpoint ---

    def opened(self, connection: Connection) -> None:
        """Part of `websocket.Endpoint`."""
        self._connection = connection
        self._deadline = self._loop.call_later(
            AUTH_SECONDS, connection.close, REFUSED, "call token refused: none was sent"
        )

    def received(self, message: bytes) -> None:
        """Part of `websocket.Endpoint`."""
        self._close(GARBAGE, "send text frames with JSON")

    def received_text(self, message: bytes) -> None:
        """Part of `websocket.Endpoint`."""
        content = _read(message)
        if self._grant is None:
            self._authenticate(content)
        elif content is None:
            self._close(GARBAGE, "send text frames with JSON")
        elif self._is_flooding():
            self._close(FULL, "too many messages")
        else:
            self._handle(self._grant, content)

    def closed(self) -> None:
        """Part of `websocket.Endpoint`."""
        self._connection = None
        self._disarm()
        if self._grant is not None:
            self._grant.call.feed.unwatch(self)

    # --- feed.Viewer ---

    def send(self, frame: bytes) -> None:
        """Part of `feed.Viewer`."""
        connection = self._connection
        if connection is None or connection.send_within(frame, VIEWER_BACKLOG_BYTES):
            return
        message = "this page reads too slowly and is shown nothing more: reload it"
        connection.send_within(_error(message), 2 * VIEWER_BACKLOG_BYTES)
        connection.close(SLOW, "reads too slowly")

    def end(self) -> None:
        """Part of `feed.Viewer`."""
        self._close(1000, "call over")

    # --- the page ---

    def _authenticate(self, content: dict[str, Any] | None) -> None:
        token = content.get("token") if content is not None and content.get("type") == "auth" else None
        grant = self._tokens.read(token) if isinstance(token, str) else None
        connection = self._connection
        if connection is None:
            return
        if grant is None:
            connection.close(REFUSED, "call token refused")
            return
        call = grant.call
        if call.feed.viewers >= MAX_VIEWERS:
            connection.close(FULL, f"{MAX_VIEWERS} pages show this call already")
            return
        self._disarm()
        self._grant = grant
        connection.admit(MAX_VIEWER_MESSAGE_BYTES)
        shown = call.source
        controls = shown.controls.as_json()
        if not grant.controls:
            # A microphone and a camera are everybody's; the button belongs to the microphone.
            controls |= {"text": False, "interrupt": False}
        about = {"id": shown.id, "room": shown.room_id, "bot_peer": shown.bot_peer, "bot": shown.bot}
        call.feed.watch(
            self, {"type": "hello", "call": about, "guest": not grant.controls, "controls": controls}
        )

    def _handle(self, grant: Grant[RegisteredCall], content: dict[str, Any]) -> None:
        call, controls = grant.call.source, grant.call.source.controls
        kind = content.get("type")
        if kind in ("text", "interrupt") and not grant.controls:
            self.send(_error("this is a guest link: it has no controls"))
            return
        try:
            match kind:
                case "text":
                    self._submit(grant, content.get("text"), content.get("peer"))
                case "interrupt" if controls.interrupt:
                    call.interrupt()
                case "interrupt":
                    self.send(_error("this bot cannot be interrupted from here"))
                case _:
                    self._close(GARBAGE, "unknown message")
        except FishjamAgentsError as error:
            self.send(_error(str(error)))

    def _submit(self, grant: Grant[RegisteredCall], text: object, peer: object) -> None:
        if not grant.call.source.controls.text:
            self.send(_error("this bot takes no text"))
        elif not isinstance(text, str) or not text.strip():
            self.send(_error("there is nothing in this text"))
        elif len(text) > MAX_TEXT:
            self.send(_error(f"this text has {len(text)} characters: send at most {MAX_TEXT} at once"))
        else:
            # A lone surrogate is JSON, but no text that a model could be sent.
            words = text.encode("utf-8", "replace").decode().strip()
            grant.call.source.submit_text(words, grant.call.speaker(grant, peer))

    def _is_flooding(self) -> bool:
        now = self._loop.time()
        if now - self._second >= 1.0:
            self._second, self._messages = now, 0
        self._messages += 1
        return self._messages > MAX_MESSAGES

    def _close(self, code: int, reason: str) -> None:
        if self._connection is not None:
            self._connection.close(code, reason)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _error(message: str) -> bytes:
    return text_frame(json.dumps({"type": "error", "message": message}))


def _read(message: bytes) -> dict[str, Any] | None:
    """A message of the page; None where it is no JSON object."""
    try:
        content = read_json(message)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
