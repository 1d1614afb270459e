"""Comparison of two calls: their timelines, event by event. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TOLERANCE = 0.06
"""Seconds by which the same event may come earlier or later in two runs: three frames. A run over sockets has
its ticks somewhere between the room's, and what waits for an event begins a tick sooner or later."""

_ROUNDING = 0.0005
"""Timelines are rounded to milliseconds."""
_TIMES = ("at", "media_at")
_OF_THE_MACHINE = frozenset({"loop_lag", "overload"})
"""Kinds of events that tell of the machine and not of the call."""


def difference(
    events: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], tolerance: float = TOLERANCE
) -> str | None:
    """The first thing in which two calls differ, in words; None when they went alike.

    Alike are calls with the same kinds of events of the same peers in the same order, each at the same time
    within the tolerance. What tells of the machine (`loop_lag`, `overload`) is left out.

    Args:
        events: The events of a timeline, in order.
        others: Those of the other one.
        tolerance: Seconds.
    """
    events, others = _of_the_call(events), _of_the_call(others)
    for number, (event, other) in enumerate(zip(events, others, strict=False), 1):
        if (event["kind"], event.get("peer")) != (other["kind"], other.get("peer")):
            return f"event {number} is {_words(event)}, and {_words(other)} there"
    if len(events) != len(others):
        rest = events[len(others) :] or others[len(events) :]
        return f"{_words(rest[0])} came only {'here' if len(events) > len(others) else 'there'}"
    for event, other in zip(events, others, strict=True):
        for time in _TIMES:
            if time in event and abs(event[time] - other[time]) > tolerance + _ROUNDING:
                name = event["kind"] if time == "at" else f"{event['kind']}.{time}"
                return f"{name} was at {event[time]:.3f} s, and at {other[time]:.3f} s there"
    return None


def distance(events: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> float:
    """Return the largest distance in time of two calls with the same events, seconds."""
    return max(
        (
            abs(event[time] - other[time])
            for event, other in zip(_of_the_call(events), _of_the_call(others), strict=True)
            for time in _TIMES
            if time in event
        ),
        default=0.0,
    )


def _of_the_call(events: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    return [event for event in events if event["kind"] not in _OF_THE_MACHINE]


def _words(event: Mapping[str, Any]) -> str:
    of = f" of {event['peer']}" if event.get("peer") else ""
    return f"{event['kind']}{of} at {event['at']:.2f} s"
