"""A turn machine that passes on what it is fed and what it answers, so that a call can be replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fishjam_agents.turns.machine import Decision, TurnEvent, TurnMachine
from fishjam_agents.turns.settings import TurnSettings

COMMANDS: Mapping[str, Mapping[str, type]] = {
    "confirm": {},
    "open": {"at": float, "barge_in": bool},
    "end": {"at": float, "reason": str},
    "expect_words": {},
    "understood": {"text": str, "final": bool, "onset": float},
    "model_done": {},
    "predicted": {"pause": float, "probability": float},
    "transcribed": {"pause": float, "text": str},
}
"""Methods of a machine that are called besides those for audio, and the types of their arguments."""
OPTIONAL: Mapping[str, frozenset[str]] = {"understood": frozenset({"onset"})}
"""Arguments that may be missing."""


class DecisionLog(Protocol):
    """Takes the inputs of one machine in their order, each with what the machine answered."""

    def frame(self, decision: Decision, at: float, barge_in: bool, events: Sequence[TurnEvent]) -> None:
        """It was fed a decision (`TurnMachine.feed`)."""
        ...

    def silence(self, duration: float, idle: bool, events: Sequence[TurnEvent]) -> None:
        """It was told of missing packets; `idle` when it followed no sound, so that they changed nothing."""
        ...

    def command(self, name: str, arguments: Mapping[str, Any], events: Sequence[TurnEvent]) -> None:
        """Its method `name`, one of `COMMANDS`, was called with these arguments."""
        ...


class DecisionLogs(Protocol):
    """Source of a decision log for every turn machine of a call."""

    def open_log(self, peer: str | None, track: str, start: float) -> DecisionLog:
        """Open the log of a new machine.

        Args:
            peer: Whose microphone it rules; None for a mix.
            track: Id of the track.
            start: Sum of scores that makes a suspicion.
        """
        ...


class RecordedMachine(TurnMachine):
    """A `TurnMachine` with a decision log. Every input is written down, whoever gives it.

    Args:
        settings: The user's settings.
        start: Sum of scores that makes a suspicion.
        log: Takes what comes and what follows from it.
    """

    __slots__ = ("_log", "_nested")

    def __init__(self, settings: TurnSettings, start: float, log: DecisionLog) -> None:
        super().__init__(settings, start)
        self._log = log
        # The machine calls its own methods: only what comes from outside is an input.
        self._nested = False

    def feed(self, decision: Decision, at: float, barge_in: bool = False) -> Sequence[TurnEvent]:
        """As `TurnMachine.feed`."""
        self._nested = True
        events = super().feed(decision, at, barge_in)
        self._nested = False
        self._log.frame(decision, at, barge_in, events)
        return events

    def silence(self, duration: float) -> Sequence[TurnEvent]:
        """As `TurnMachine.silence`."""
        idle = not self.in_speech
        self._nested = True
        events = super().silence(duration)
        self._nested = False
        self._log.silence(duration, idle, events)
        return events

    def confirm(self) -> Sequence[TurnEvent]:
        """As `TurnMachine.confirm`."""
        events = super().confirm()
        if not self._nested:
            self._log.command("confirm", {}, events)
        return events

    def open(self, at: float, barge_in: bool = False) -> Sequence[TurnEvent]:
        """As `TurnMachine.open`."""
        events = super().open(at, barge_in)
        self._log.command("open", {"at": at, "barge_in": barge_in}, events)
        return events

    def end(self, at: float, reason: str) -> Sequence[TurnEvent]:
        """As `TurnMachine.end`."""
        events = super().end(at, reason)
        if not self._nested:
            self._log.command("end", {"at": at, "reason": reason}, events)
        return events

    def expect_words(self) -> Sequence[TurnEvent]:
        """As `TurnMachine.expect_words`."""
        events = super().expect_words()
        if not self._nested:
            self._log.command("expect_words", {}, events)
        return events

    def understood(self, text: str, final: bool, onset: float | None = None) -> Sequence[TurnEvent]:
        """As `TurnMachine.understood`. Words that nobody judges are not written down."""
        self._nested = True
        events = super().understood(text, final, onset)
        self._nested = False
        if self.judges_words:
            known = {} if onset is None else {"onset": onset}
            self._log.command("understood", {"text": text, "final": final, **known}, events)
        return events

    def predicted(self, pause: float, probability: float) -> Sequence[TurnEvent]:
        """As `TurnMachine.predicted`."""
        events = super().predicted(pause, probability)
        self._log.command("predicted", {"pause": pause, "probability": probability}, events)
        return events

    def transcribed(self, pause: float, text: str) -> Sequence[TurnEvent]:
        """As `TurnMachine.transcribed`. Words that nobody judges are not written down."""
        events = super().transcribed(pause, text)
        if self.judges_words:
            self._log.command("transcribed", {"pause": pause, "text": text}, events)
        return events

    def model_done(self) -> Sequence[TurnEvent]:
        """As `TurnMachine.model_done`."""
        events = super().model_done()
        self._log.command("model_done", {}, events)
        return events
