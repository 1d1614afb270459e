"""Metrics of calls: their names, labels and buckets. docs/operations.md has them as a table.

Labels have few values: bots of the file, backends, and what the events may say. No room, no peer, no call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PREFIX = "fishjam_agents_"

RESPONSE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Seconds of an answer, and of its parts; people notice a pause from about 0.2 s."""
REACTION = (0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
"""Seconds in which the bot falls silent."""
LAG = (0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
"""Seconds that the event loop is late; what is less than the first is no event."""
OUTAGE = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds without a connection."""
TOOL = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds of a tool."""
CALL = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)
"""Seconds of a call."""

PARTS = ("end_of_turn", "transcript", "model", "voice", "playout")
"""Parts of an answer, in their order."""
OTHER = "other"
"""Value of a label beyond the values that it may have."""


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """A metric.

    Attributes:
        name: Its name without `PREFIX`, and without the `_total` that counters end with.
        kind: What its values are.
        labels: Names of its labels.
        help: What it tells.
        buckets: Upper bounds of a histogram.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """Its name as Prometheus shows it."""
        return f"{PREFIX}{self.name}{'_total' if self.kind == 'counter' else ''}"


_BOT, _BACKEND = ("bot",), ("bot", "backend")

METRICS = (
    MetricDefinition("bots", "gauge", _BOT, "Bots that are in a call."),
    MetricDefinition(
        "call_seconds",
        "histogram",
        ("bot", "reason"),
        "Length of calls that are over, by why they ended.",
        CALL,
    ),
    MetricDefinition("turns", "counter", _BOT, "Turns of callers."),
    MetricDefinition(
        "replies", "counter", ("bot", "outcome"), "Replies, by whether they were played or interrupted."
    ),
    MetricDefinition(
        "response_seconds",
        "histogram",
        _BACKEND,
        "From the end of a caller's speech to the first audio of the answer.",
        RESPONSE,
    ),
    MetricDefinition(
        "response_part_seconds",
        "histogram",
        (*_BACKEND, "part"),
        "The same in its parts: end_of_turn, transcript, model, voice, playout.",
        RESPONSE,
    ),
    MetricDefinition(
        "transcript_delay_seconds",
        "histogram",
        (*_BACKEND, "words"),
        "From the end of a word to a transcript with it, where that end is known: partial, final.",
        RESPONSE,
    ),
    MetricDefinition(
        "barge_in_seconds",
        "histogram",
        _BOT,
        "From the onset of a sound over the bot to its falling silent.",
        REACTION,
    ),
    MetricDefinition(
        "barge_ins",
        "counter",
        ("bot", "verdict"),
        "Sounds over the bot: confirmed ended its reply, withdrawn were no speech.",
    ),
    MetricDefinition("underruns", "counter", _BOT, "Gaps in replies, because audio came too late."),
    MetricDefinition(
        "dropped_audio_seconds",
        "counter",
        ("bot", "direction"),
        "Audio that was dropped: input of callers, output of the bot.",
    ),
    MetricDefinition(
        "lost_connections",
        "counter",
        ("bot", "connection"),
        "Connections that were lost, counted as they are: backend, agent_socket.",
    ),
    MetricDefinition(
        "connections_away",
        "gauge",
        ("bot", "connection"),
        "Connections of calls that are lost now.",
    ),
    MetricDefinition(
        "away_seconds",
        "counter",
        ("bot", "connection"),
        "Time of calls without a connection, added when it is back or the call ends.",
    ),
    MetricDefinition(
        "outage_seconds",
        "histogram",
        ("bot", "connection"),
        "Lost connections that came back: backend, agent_socket.",
        OUTAGE,
    ),
    MetricDefinition(
        "late_seconds", "histogram", _BOT, "Lateness of the event loop in a call, from 0.1 s on.", LAG
    ),
    MetricDefinition(
        "backend_failures", "counter", (*_BACKEND, "failure"), "Failures of backends, by their kind."
    ),
    MetricDefinition(
        "usage", "counter", (*_BACKEND, "unit"), "Tokens or seconds that were used, by the vendor's names."
    ),
    MetricDefinition("cost", "counter", _BACKEND, "Price of it in the currency of the configured prices."),
    MetricDefinition("tool_seconds", "histogram", ("bot", "outcome"), "Calls of tools.", TOOL),
    MetricDefinition("errors", "counter", _BOT, "Errors of user code, stages and tool servers."),
)
"""The metrics, in the order in which they are shown."""
