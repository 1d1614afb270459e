"""A call that went wrong, made into a test: its `call.jsonl` fed to the turn machines again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fishjam_agents.observe.replay import as_events, check_replayed, read_recording, replayed


def replay_events(
    record: str | Path, *, turns: dict[str, Any] | None = None, peer: str | None = None
) -> list[dict[str, Any]]:
    """Return the events of this version's turn machines for a recorded call.

        events = replay_events("tests/calls/cut_short.jsonl", turns={"end_silence": 0.9})
        assert [event["kind"] for event in events].count("user_turn_ended") == 1

    Args:
        record: The `call.jsonl`.
        turns: Settings of turn-taking that differ from those of the call, by their names.
        peer: Only events of this peer's microphones.

    Returns:
        Events in the order they were decided, as a timeline has them: `at` (decided) and `media_at` (meant)
        in seconds, `kind`, `peer`, and of a `user_turn_ended` its `start` and `reason`. `user_turn_started`
        comes on top of the timeline's kinds.

    Raises:
        RecordError: The file is no such record.
        ConfigError: A setting is none, is out of range, or cannot be replayed.
    """
    recording = read_recording(record)
    changes = turns or {}
    check_replayed(changes)
    events = as_events(recording, replayed(recording, recording.turns(changes)))
    return [event for event in events if peer in (None, event["peer"])]
