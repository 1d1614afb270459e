"""Runs the turn machines of a recorded call over again."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from fishjam_agents import events
from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.errors import ConfigError
from fishjam_agents.observe.replay.format import Command, Frames, Silence
from fishjam_agents.observe.replay.reader import Recording
from fishjam_agents.turns.machine import (
    Confirmed,
    SpeechEnded,
    SpeechStarted,
    Suspected,
    TurnEnded,
    TurnEvent,
    TurnMachine,
    TurnStarted,
    Withdrawn,
)
from fishjam_agents.turns.settings import TurnSettings

KINDS: Mapping[type[TurnEvent], str] = {
    SpeechStarted: events.UserStartedSpeaking.kind,
    SpeechEnded: events.UserStoppedSpeaking.kind,
    TurnStarted: "user_turn_started",
    TurnEnded: events.UserTurnEnded.kind,
    Suspected: events.BargeInSuspected.kind,
    Confirmed: events.BargeInConfirmed.kind,
    Withdrawn: events.BargeInWithdrawn.kind,
}
"""Names of a machine's events in the timeline of a call, which does not show where turns start."""


_DETECTION = "it decides what is heard, and a record holds what was heard, not the sound: simulate the call"
_ELSEWHERE = "the turn machine does not know it, so that it changes nothing here: leave it out"
NOT_REPLAYED: Mapping[str, str] = {
    "preset": _DETECTION,
    "mode": _ELSEWHERE,
    "silence_locally": _ELSEWHERE,
    "verdict_timeout": _ELSEWHERE,
    "pre_roll": _ELSEWHERE,
}
"""Settings of turn-taking that a replay cannot change, and why."""


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a machine.

    Attributes:
        microphone: Its microphone's number in the record.
        at: Media time at which it was decided: at the end of the frame, or of the silence, that brought it.
        event: The event, with the backdated times it speaks of.
    """

    microphone: int
    at: float
    event: TurnEvent

    @property
    def kind(self) -> str:
        """Kind of the event, as timelines name it."""
        return KINDS[type(self.event)]

    @property
    def media_at(self) -> float:
        """The moment in the speaker's audio that is meant; of a turn's end, where its speech ended."""
        return self.event.end if isinstance(self.event, TurnEnded) else self.event.at


def recorded(recording: Recording) -> list[Happened]:
    """Return the events of the machines in the call."""
    return list(_run(recording, None))


def replayed(recording: Recording, turns: TurnSettings | None = None) -> list[Happened]:
    """Return the events of the machines when they are fed the same again.

    The decisions of voice detection are those of the call: it is not run again.

    Args:
        recording: The call.
        turns: Other settings than those of the call; None is the same, which gives the same events.
    """
    return list(_run(recording, turns or recording.turns()))


def check_replayed(names: Iterable[str]) -> None:
    """Check that a replay with other values of these settings of turn-taking means something.

    Raises:
        ConfigError: One is no setting, or has no say here.
    """
    known = [item.name for item in fields(TurnSettings)]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean turns.{near[0]}?" if near else f"use one of {', '.join(known)}"
            raise ConfigError(f"turns.{name} is not a setting: {advice}")
        if name in NOT_REPLAYED:
            raise ConfigError(f"turns.{name} cannot be replayed: {NOT_REPLAYED[name]}")


def as_events(recording: Recording, happened: Sequence[Happened]) -> list[dict[str, Any]]:
    """Events in the shape of a timeline's (`observe.timeline`), on its time axis."""
    zero = recording.header.zero
    shown: list[dict[str, Any]] = []
    for each in happened:
        event = {"at": each.at + zero, "media_at": each.media_at + zero, "kind": each.kind}
        event["peer"] = recording.name(each.microphone)
        if isinstance(each.event, TurnEnded):
            event |= {"start": each.event.start + zero, "reason": each.event.reason}
        shown.append(event)
    return sorted(shown, key=lambda event: event["at"])


def _run(recording: Recording, turns: TurnSettings | None) -> Iterator[Happened]:
    """Yield the recorded events where `turns` is None, else those of machines with these settings."""
    machines = {
        number: None if turns is None else TurnMachine(turns, opened.start)
        for number, opened in recording.microphones.items()
    }
    clocks = dict.fromkeys(machines, 0.0)
    for entry in recording.inputs:
        number, machine = entry.microphone, machines[entry.microphone]
        if isinstance(entry, Frames):
            for at, decision in zip(entry.at, entry.decisions, strict=True):
                clocks[number] = at
                if machine is not None:
                    yield from _told(number, at, machine.feed(decision, at, entry.bot))
        elif isinstance(entry, Silence):
            for duration in _pieces(entry):
                clocks[number] += duration
                if machine is not None:
                    yield from _told(number, clocks[number], machine.silence(duration))
        elif machine is not None:
            yield from _told(number, clocks[number], _obey(machine, entry))
        if machine is None:
            yield from _told(number, clocks[number], entry.events)


def _told(microphone: int, at: float, happened: Sequence[TurnEvent]) -> Iterator[Happened]:
    for event in happened:
        yield Happened(microphone, at, event)


def _obey(machine: TurnMachine, command: Command) -> Sequence[TurnEvent]:
    answer: Sequence[TurnEvent] = getattr(machine, command.name)(**command.arguments)
    return answer


def _pieces(silence: Silence) -> Sequence[float]:
    """The durations; of what was summed up, because it changed nothing, frames of 20 ms."""
    if not silence.idle:
        return silence.durations
    total = silence.durations[0]
    count = max(1, min(round(total / FRAME_SECONDS), 100_000))
    return [total / count] * count
