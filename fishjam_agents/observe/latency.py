"""Seconds the parts of a backend took to the first sound of its replies (`reply_latency`)."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TimedReply:
    """One reply.

    Attributes:
        reply: Its id.
        at: When it was told, seconds of the call.
        parts: Seconds by the names of the parts, in their order.
    """

    reply: str
    at: float
    parts: Mapping[str, float]

    @property
    def whole(self) -> float:
        """All of it."""
        return sum(self.parts.values())


def timed_replies(events: Iterable[Mapping[str, Any]]) -> list[TimedReply]:
    """The replies of a timeline of which that is known."""
    found = (event for event in events if event["kind"] == "reply_latency")
    return [TimedReply(event["reply"], event["at"], event["parts"]) for event in found]


def names(replies: Sequence[TimedReply]) -> list[str]:
    """The parts there are, in their order."""
    return list(dict.fromkeys(name for reply in replies for name in reply.parts))


def median(replies: Sequence[TimedReply], part: str | None = None) -> float:
    """Of a part, or of all of them: the middle of what the replies took, seconds."""
    return statistics.median(reply.whole if part is None else reply.parts.get(part, 0.0) for reply in replies)


def describe_latency(events: Iterable[Mapping[str, Any]]) -> str | None:
    """All of it in a line; None where no reply was timed."""
    replies = timed_replies(events)
    if not replies:
        return None
    parts = ", ".join(f"{name} {1000 * median(replies, name):.0f}" for name in names(replies))
    many = "1 reply" if len(replies) == 1 else f"median of {len(replies)} replies"
    return f"From the turn's end to the first sound: {1000 * median(replies):.0f} ms ({parts}; {many})"
