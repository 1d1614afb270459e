"""Interfaces of recorders: of what is decided (`observe.replay`), and of sound (`observe.recording`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from fishjam_agents.audio.samples import Samples
from fishjam_agents.events import Event
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.turns.decision_log import DecisionLogs
from fishjam_agents.turns.settings import TurnSettings


class Record(DecisionLogs, Protocol):
    """The record of one call."""

    def close(self, at: float) -> None:
        """The call ended at `at`, call time in seconds."""
        ...


class Recorder(Protocol):
    """Makes the records of calls. Must neither block nor raise: a call does not wait for its record."""

    def open(
        self,
        call: str,
        turns: TurnSettings,
        hearing: HearingSettings,
        redact: Callable[[str], str | None] | None = None,
    ) -> Record:
        """Begin the record of a call.

        Args:
            call: Its id.
            turns: Its settings of turn-taking.
            hearing: Its settings of hearing.
            redact: Returns the part of a text that may be shown, None for nothing; None where the bot hides
                nothing.
        """
        ...


class SoundRecording(Protocol):
    """The recording of one call. Times are call time, in seconds."""

    @property
    def path(self) -> Path:
        """The file of the sound."""
        ...

    def heard(self, track: str, data: bytes, now: float) -> None:
        """Take a packet of a microphone: 16-bit little-endian mono PCM at the room's rate."""
        ...

    def sent(self, samples: Samples, end: float) -> None:
        """Take a chunk of the bot's voice, whose last sample plays at `end`."""
        ...

    def cut(self, at: float) -> None:
        """Take back what would play at `at` or later."""
        ...

    def event(self, event: Event) -> None:
        """Take an event of the call, its words as they may be shown."""
        ...

    def tick(self, now: float) -> None:
        """Take notice of the time; called every 20 ms."""
        ...

    async def finish(self, now: float) -> Sequence[Path]:
        """End the recording, within a bound; returns its files, complete."""
        ...


class SoundRecorder(Protocol):
    """Makes recordings. Must neither block nor raise: a call does not wait for its recording."""

    def open(self, call: str, room_rate: int, voice_rate: int) -> SoundRecording:
        """Begin the recording of a call.

        Args:
            call: Its id.
            room_rate: Hz of the room's audio.
            voice_rate: Hz of the bot's track.
        """
        ...
