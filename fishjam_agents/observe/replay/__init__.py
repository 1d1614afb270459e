"""Calls written down as their turn machines saw them, and run over again.

A call writes a `call.jsonl` (`CallRecorder`); `replayed` feeds it to the machines again, with the settings of
the call or with others, and `differences` compares.
"""

from __future__ import annotations

from fishjam_agents.observe.replay.difference import Difference, differences
from fishjam_agents.observe.replay.reader import RecordError, Recording, read_recording
from fishjam_agents.observe.replay.run import Happened, as_events, check_replayed, recorded, replayed
from fishjam_agents.observe.replay.writer import CallRecorder

__all__ = [
    "CallRecorder",
    "Difference",
    "Happened",
    "RecordError",
    "Recording",
    "as_events",
    "check_replayed",
    "differences",
    "read_recording",
    "recorded",
    "replayed",
]
