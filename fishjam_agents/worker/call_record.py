"""A call as the calls API tells of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

CallStatus: TypeAlias = Literal["starting", "running", "restarting", "parked", "ended"]
"""`parked` is a call that crashed too often; it and `ended` are final."""

FINAL: frozenset[CallStatus] = frozenset({"parked", "ended"})


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call.

    Attributes:
        id: Its id.
        room: The room.
        bot: The kind of bot.
        status: What it is at.
        requested: Whether it was asked for by the API, and not by a rule.
        started: When it was begun, seconds since the epoch.
        ended: When it ended, None while it has not.
        reason: Why it ended, or why it failed last; None while it goes well.
        failures: Crashes in a row.
        process: Which process serves it; empty where there is one.
        journal: Id of its journal, the same for all processes that served it; None without one.
        waits: What it waits for at its vendor, None while it does not.
    """

    id: str
    room: str
    bot: str
    status: CallStatus
    requested: bool
    started: float
    ended: float | None = None
    reason: str | None = None
    failures: int = 0
    process: str = ""
    journal: str | None = None
    waits: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The record as JSON data."""
        return asdict(self)
