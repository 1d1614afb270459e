"""Events of one call for the pages that show it: bounded history, and a frame for all viewers at once.

JSON is made once for each event and the frame once for each batch, however many watch. Nothing here waits:
a viewer that does not keep up is told so and dropped.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from ...json_limits import readable_json
from ..sockets.frames import text_frame

MAX_HISTORY_BYTES = 1024 * 1024
"""JSON of the events that are kept, over half an hour of brisk conversation; the oldest go first."""


class Viewer(Protocol):
    """One page that watches."""

    def send(self, frame: bytes) -> None:
        """Take a WebSocket frame. Must return at once."""
        ...

    def end(self) -> None:
        """Close: nothing more is to come."""
        ...


class EventFeed:
    """The events of one call.

    Args:
        now: Call time, seconds.

    Attributes:
        dropped: Events that are no longer kept.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.dropped = 0
        self._now = now
        # Each with its size in bytes.
        self._history: deque[tuple[str, int]] = deque()
        self._bytes = 0
        self._pending: list[str] = []
        self._flush: asyncio.Handle | None = None
        self._viewers: set[Viewer] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def viewers(self) -> int:
        """Number of viewers."""
        return len(self._viewers)

    def publish(self, event: Mapping[str, Any]) -> None:
        """Take an event in the form of a timeline. Viewers get it at the end of this turn of the loop."""
        text = readable_json(event, allow_nan=False)
        size = len(text.encode())
        self._history.append((text, size))
        self._bytes += size
        while self._bytes > MAX_HISTORY_BYTES and len(self._history) > 1:
            self._bytes -= self._history.popleft()[1]
            self.dropped += 1
        if self._viewers:
            self._pending.append(text)
            if self._flush is None:
                self._flush = self._loop.call_soon(self._send_pending)

    async def history(self) -> Sequence[dict[str, Any]]:
        """The events that are kept."""
        kept = [text for text, _ in self._history]
        # A megabyte of them takes longer than a frame of audio may wait.
        return await asyncio.to_thread(lambda: [json.loads(text) for text in kept])

    def watch(self, viewer: Viewer, hello: Mapping[str, Any]) -> None:
        """Send a viewer all that happened, then what happens; each event once.

        Args:
            viewer: Who watches.
            hello: What its first message says beside the events.
        """
        self._send_pending()
        self._viewers.add(viewer)
        head = {**hello, "now": self._seconds(), "dropped": self.dropped}
        viewer.send(_message(head, (text for text, _ in self._history)))

    def unwatch(self, viewer: Viewer) -> None:
        """Send a viewer nothing more."""
        self._viewers.discard(viewer)

    def send_clock(self) -> None:
        """Tell every viewer the time."""
        if self._viewers:
            self._send(text_frame(json.dumps({"type": "clock", "now": self._seconds()})))

    def close(self, reason: str) -> None:
        """Tell every viewer that the call is over, and for what reason."""
        self._send_pending()
        self._send(text_frame(json.dumps({"type": "over", "reason": reason})))
        for viewer in tuple(self._viewers):
            viewer.end()
        self._viewers.clear()

    def _send_pending(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        events, self._pending = self._pending, []
        if events:
            self._send(_message({"type": "events", "now": self._seconds()}, events))

    def _send(self, frame: bytes) -> None:
        # Who is dropped in the middle of this is taken out of the set.
        for viewer in tuple(self._viewers):
            viewer.send(frame)

    def _seconds(self) -> float:
        return round(self._now(), 3)


def _message(head: Mapping[str, Any], events: Iterable[str]) -> bytes:
    return text_frame(f'{json.dumps(head)[:-1]}, "events": [{", ".join(events)}]}}')
