"""Messages of a client, taken together as the model is given them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .state import HistoryMessage

INPUT_RATE = 16000
OUTPUT_RATE = 24000
"""Hz of what the model hears and says."""


@dataclass(slots=True)
class Request:
    """Request that the model is to answer.

    Attributes:
        audio: The user's turn: 16-bit PCM at 16 kHz.
        text: What the user wrote.
        results: Ids and results of tool calls.
        images: Stills that came with it.
    """

    audio: bytes = b""
    text: str = ""
    results: tuple[tuple[str, Any], ...] = ()
    images: int = 0

    def said(self) -> HistoryMessage:
        """As the conversation keeps it."""
        return HistoryMessage("user", self.text, self.audio, self.results, self.images)


@dataclass(frozen=True, slots=True)
class Received:
    """A message of the client: its name (`audio`, `activityStart`, ...) and what it carried."""

    name: str
    value: Any = None
