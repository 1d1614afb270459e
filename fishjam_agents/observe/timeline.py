"""The timeline of a call: every event on one time axis, as JSON and as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fishjam_agents.events import Event
from fishjam_agents.json_limits import readable_json

VERSION = 1
"""Of the JSON's shape."""

_TIMES = ("at", "media_at", "start")
_SHOWN_FIRST = ("at", "media_at", "kind", "peer")
_IN_COLUMNS = frozenset({*_SHOWN_FIRST, "track"})


class Timeline:
    """An observer that collects the events of a call."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []

    def __call__(self, event: Event) -> None:
        """Take one event."""
        self._events.append(event.as_dict())

    @property
    def kinds(self) -> list[str]:
        """The kinds of the events so far, in the order they came."""
        return [event["kind"] for event in self._events]

    def document(
        self, duration: float, *, offset: float = 0.0, names: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The timeline as JSON data: `{"version": 1, "duration": …, "events": [{"at": …, "kind": …}, …]}`.

        Args:
            duration: Of the call, seconds.
            offset: Where on the wanted time axis call time has its zero, seconds: it is added to `at`,
                `media_at` and `start`.
            names: Peer ids to what to call them.
        """
        shown = [shown_event(event, offset, names or {}) for event in self._events]
        return {
            "version": VERSION,
            "duration": _round(duration),
            "events": sorted(shown, key=lambda event: event["at"]),
        }


def to_json(timeline: Mapping[str, Any]) -> str:
    """A timeline as the text of its file, one event a line, so that two calls can be compared with `diff`."""
    head = {key: value for key, value in timeline.items() if key != "events"}
    lines = ",\n".join(readable_json(event) for event in timeline["events"])
    return f'{json.dumps(head)[:-1]}, "events": [\n{lines}\n]}}\n'


def render(timeline: Mapping[str, Any]) -> str:
    """A timeline as a table for the terminal: when, when in the audio, what, who, and the rest.

    Tracks are left to the JSON: which peer it was says enough.
    """
    rows = [("at", "media_at", "event", "peer", "")]
    for event in timeline["events"]:
        rest = ", ".join(f"{key} {_cell(event[key])}" for key in event if key not in _IN_COLUMNS)
        media = f"{event['media_at']:.2f}" if "media_at" in event else ""
        rows.append((f"{event['at']:.2f}", media, event["kind"], event.get("peer", ""), rest))
    at, media_at, kind, peer = (max(len(row[column]) for row in rows) for column in range(4))
    return "\n".join(
        f"{row[0]:>{at}}  {row[1]:>{media_at}}  {row[2]:<{kind}}  {row[3]:<{peer}}  {row[4]}".rstrip()
        for row in rows
    )


def shown_event(
    event: Mapping[str, Any], offset: float = 0.0, names: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """An event (`Event.as_dict`) as it stands in a timeline.

    Args:
        event: The event.
        offset: What is added to its times, seconds.
        names: Peer ids to what to call them.
    """
    shown: dict[str, Any] = {}
    for key in (*_SHOWN_FIRST, *event):
        if key not in event or key in shown:
            continue
        value = event[key]
        if key in _TIMES:
            value = _round(value + offset)
        elif key == "peer":
            value = names.get(value, value)
        elif isinstance(value, float):
            value = _round(value) if math.isfinite(value) else None
        elif isinstance(value, Mapping):
            value = {name: None if _is_no_number(item) else item for name, item in value.items()}
        shown[key] = value
    return shown


def _is_no_number(value: Any) -> bool:
    # What a service counts may be NaN, which is no JSON.
    return isinstance(value, float) and not math.isfinite(value)


def _round(seconds: float) -> float:
    # Adding zero turns the -0.0 that rounding may leave into 0.0.
    return round(float(seconds), 3) + 0.0


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        text = f" {value['text']!r}" if value.get("text") else ""
        if "seconds" in value:
            return f"{value['seconds']:.2f} s{text}"
        if value and all(isinstance(number, float) for number in value.values()):
            return ", ".join(f"{name} {number:.2f}" for name, number in value.items())
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.2f}"
    # What a model or a peer says must not move the cursor.
    text = str(value)
    return text if text.isprintable() else repr(text)
