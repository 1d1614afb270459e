"""History of a call: what was said, seen and done, bounded, in a form for another connection."""

from __future__ import annotations

import base64
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from fishjam_agents.audio.samples import Samples

RATE = 24000
"""Hz of `audio/pcm`, both ways; the service takes no other."""
_CHARACTERS = 40_000
_LINES = 400
_AUDIO = 15.0
"""Seconds of turns whose words are not known (yet) that are kept as sound."""
_IMAGES = 2
_REPLIES = 32
"""Replies that may still turn out to have been interrupted."""
CUT = " [interrupted]"


@dataclass(slots=True, eq=False)
class HistoryItem:
    """Something of the conversation.

    Attributes:
        kind: What.
        text: Words; of a call its arguments as JSON, of a result its text, of an image its data URL.
        call: Id of a call and its result.
        name: The tool of a call.
        peer: Who spoke.
        audio: A user's turn whose words are not known.
        told: Id of the item by which the connection that is open was told of it.
    """

    kind: Literal["user", "assistant", "image", "call", "result"]
    text: str = ""
    call: str = ""
    name: str = ""
    peer: str | None = None
    audio: list[Samples] = field(default_factory=list)
    told: str | None = None

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return sum(len(samples) for samples in self.audio) / RATE

    def item(self, beta: bool = False) -> dict[str, Any] | None:
        """It as an item to create; None when there is nothing of it."""
        if self.kind == "call":
            return {"type": "function_call", "call_id": self.call, "name": self.name, "arguments": self.text}
        if self.kind == "result":
            return {"type": "function_call_output", "call_id": self.call, "output": self.text}
        text = self.text.strip()
        content: dict[str, Any]
        if self.kind == "image":
            content = {"type": "input_image", "image_url": self.text}
        elif self.kind == "assistant" and text:
            content = {"type": "text" if beta else "output_text", "text": text}
        elif text:
            content = {"type": "input_text", "text": text}
        elif self.audio:
            content = {"type": "input_audio", "audio": encoded(np.concatenate(self.audio))}
        else:
            return None
        role = "assistant" if self.kind == "assistant" else "user"
        return {"type": "message", "role": role, "content": [content]}


class History:
    """The lines, oldest first. What is too much goes: the oldest words, sounds and pictures."""

    def __init__(self) -> None:
        self._lines: deque[HistoryItem] = deque()
        self._replies: OrderedDict[str, HistoryItem] = OrderedDict()
        self._told = 0

    def add(self, line: HistoryItem) -> HistoryItem:
        """Append a line."""
        self._lines.append(line)
        self._bound()
        return line

    def understood(self, line: HistoryItem, text: str) -> None:
        """The words of a turn are known."""
        line.text, line.audio = text, []
        self._bound()

    def spoken(self, reply: str, text: str) -> None:
        """More words of a reply."""
        line = self._replies.get(reply)
        if line is None:
            line = self._replies[reply] = self.add(HistoryItem("assistant"))
            if len(self._replies) > _REPLIES:
                self._replies.popitem(last=False)
        line.text += text

    def heard(self, reply: str, text: str) -> Iterator[dict[str, Any]]:
        """No more of a reply than this was heard.

        Yields:
            What a connection that was told more is to be sent.
        """
        line = self._replies.get(reply)
        if line is None or line.text.strip() == text.strip():
            return
        line.text = f"{text}{CUT}" if text else ""
        if line.told is None:
            return
        yield {"type": "conversation.item.delete", "event_id": "delete", "item_id": line.told}
        line.told = None
        item = line.item()
        if item is None:
            return
        before = "root"
        for other in self._lines:
            if other is line:
                break
            before = other.told or before
        yield {
            "type": "conversation.item.create",
            "previous_item_id": before,
            "item": self._named(line, item),
        }

    def retold(self, pending: set[str], beta: bool = False) -> Iterator[dict[str, Any]]:
        """The conversation as items for a connection that knows nothing of it.

        Args:
            pending: Calls whose result is still to come; others without one are left out.
            beta: Whether items have their old form.
        """
        answered = {line.call for line in self._lines if line.kind == "result"}
        called: set[str] = set()
        for line in self._lines:
            line.told = None
            if line.kind == "call":
                if line.call not in answered and line.call not in pending:
                    continue
                called.add(line.call)
            item = line.item(beta)
            if item is not None and (line.kind != "result" or line.call in called):
                yield {"type": "conversation.item.create", "item": self._named(line, item)}

    def _named(self, line: HistoryItem, item: dict[str, Any]) -> dict[str, Any]:
        self._told += 1
        line.told = f"past_{self._told}"
        return {"id": line.told, **item}

    def _bound(self) -> None:
        lines = self._lines
        while len(lines) > _LINES or (
            len(lines) > 1 and sum(len(line.text) for line in lines if line.kind != "image") > _CHARACTERS
        ):
            lines.popleft()
        images = [line for line in lines if line.kind == "image"]
        for line in images[:-_IMAGES]:
            lines.remove(line)
        sounds = [line for line in lines if line.audio]
        while len(sounds) > 1 and sum(line.seconds for line in sounds) > _AUDIO:
            sounds.pop(0).audio = []


def encoded(samples: Samples) -> str:
    """Sound as it is sent."""
    return base64.b64encode(np.ascontiguousarray(samples, "<i2").tobytes()).decode()
