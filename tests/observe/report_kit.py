"""What the tests of the report share: a call, and a reader of pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import numpy as np

RATE = 16000
_VOID = frozenset({"meta", "link"})

TIMELINE: dict[str, Any] = {
    "version": 1,
    "duration": 8.0,
    "lag": 0.004,
    "events": [
        {"at": 0.0, "kind": "peer_joined", "peer": "caller-1"},
        {"at": 0.441, "media_at": 0.4, "kind": "user_started_speaking", "peer": "caller-1", "track": "m"},
        {"at": 2.2, "media_at": 2.0, "kind": "user_stopped_speaking", "peer": "caller-1", "track": "m"},
        {
            "at": 2.58,
            "media_at": 2.0,
            "kind": "user_turn_ended",
            "peer": "caller-1",
            "track": "m",
            "start": 0.4,
            "turn": "turn-1",
            "reason": "silence",
        },
        {"at": 2.6, "kind": "user_transcript", "text": "tell me", "final": True, "peer": "caller-1"},
        {"at": 2.78, "kind": "reply_started", "reply": "r1"},
        {"at": 2.78, "kind": "reply_text", "reply": "r1", "text": "once upon a time"},
        {"at": 2.786, "kind": "reply_first_audio", "reply": "r1"},
        {"at": 2.8, "kind": "reply_generated", "reply": "r1", "seconds": 4.0},
        {
            "at": 4.06,
            "media_at": 4.0,
            "kind": "barge_in_suspected",
            "peer": "caller-1",
            "track": "m",
            "reply": "r1",
        },
        {
            "at": 4.34,
            "media_at": 4.0,
            "kind": "barge_in_confirmed",
            "peer": "caller-1",
            "track": "m",
            "reply": "r1",
        },
        {
            "at": 4.34,
            "kind": "reply_interrupted",
            "reply": "r1",
            "heard": {"seconds": 1.27, "text": "once upon", "text_exact": False},
        },
    ],
}


def recording(seconds: float) -> Any:
    """Callers left, bot right: noise where the timeline above has sound, silence elsewhere."""
    room: Any = np.zeros((round(seconds * RATE), 2), np.int16)
    noise = np.random.default_rng(1).integers(-6000, 6000, len(room), np.int16)
    room[int(0.4 * RATE) : 2 * RATE, 0] = noise[int(0.4 * RATE) : 2 * RATE]
    room[int(2.8 * RATE) : int(4.07 * RATE), 1] = noise[int(2.8 * RATE) : int(4.07 * RATE)]
    return room


@dataclass
class Element:
    name: str
    attributes: dict[str, str | None]
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, name: str | None = None, **attributes: str) -> list[Element]:
        """Every element inside of this name with these attributes; of `class_`, one word is enough."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if name in (None, child.name) and all(child.has(k, v) for k, v in attributes.items()):
                    found.append(child)
                found += child.all(name, **attributes)
        return found

    def one(self, name: str | None = None, **attributes: str) -> Element:
        (found,) = self.all(name, **attributes)
        return found

    def has(self, key: str, value: str) -> bool:
        if key == "class_":
            return value in (self.attributes.get("class") or "").split()
        return self.attributes.get(key) == value


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        assert len(element.attributes) == len(attrs), f"an attribute of <{tag}> is there twice"
        self.open[-1].children.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parsed(page: str) -> Element:
    """A page as a tree; every element must be closed where it was opened."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    (root,) = reader.open
    return root
