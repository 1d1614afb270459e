"""Whose turn is it, as one microphone tells it: a pure state machine, one decision per 20 ms.

The rules and constants are the detector study's (`facts/vad.md` section 2, two-step start, section 5,
endpointing), with one change: while the bot listens, a word ends its turn after the full end silence and
not after the shorter cancel time, so that "Yes ... and also" stays one turn.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fishjam_agents.turns.settings import TurnSettings

FRAME = 0.02
_CONFIRM_FRAMES = 17
"""A barge-in is confirmed 340 ms after its onset at the earliest: the shortest span that lets no voiced
burst of 300 ms through."""
_CONFIRM_VOICED = 8.0
"""Voiced frames that a confirmed barge-in needs."""
_WORD_VOICED = 8.5
"""Voiced frames that make a turn while the bot listens: five at the end of a cancel time (14 quiet
frames, each costing a quarter)."""
_DECAY = 0.25
_TAIL_FRAMES = 8
"""Soft ends of words keep speech alive for at most 160 ms after the last voiced frame."""
_PAUSE = 0.2
"""Quiet after which speech counts as paused."""


class Decision(Protocol):
    """What voice detection says of one 20 ms frame (`audio.vad.Decision`)."""

    @property
    def score(self) -> float:
        """Evidence for speech, -3 to 3."""
        ...

    @property
    def voiced(self) -> bool:
        """Whether the score is above zero."""
        ...

    @property
    def tail(self) -> bool:
        """Whether a frame after speech still belongs to it."""
        ...

    @property
    def snr(self) -> float:
        """Level of the speaker above the noise, dB."""
        ...


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Sound that is taken for speech; `at` is its onset."""

    at: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Speech pauses; `at` is its last sound."""

    at: float


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """A turn is certain; `at` is its onset."""

    at: float


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A turn from `start` to `end` is complete."""

    start: float
    end: float
    reason: str = "silence"


@dataclass(frozen=True, slots=True)
class Suspected:
    """Somebody may be speaking over the bot since `at`."""

    at: float


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Somebody speaks over the bot since `at`."""

    at: float


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The suspicion of a barge-in is over; `at` is the last sound."""

    at: float


TurnEvent = SpeechStarted | SpeechEnded | TurnStarted | TurnEnded | Suspected | Confirmed | Withdrawn


CANCELLED = "cancelled"
"""The reason of a turn that is nobody's to answer: who spoke took it back."""


class State(enum.Enum):
    """Where a microphone stands."""

    IDLE = 0
    SUSPECTED = 1
    SPEAKING = 2


NOTHING: tuple[TurnEvent, ...] = ()


class TurnMachine:
    """Turn-taking of one microphone. Times are media time, in seconds; no clock is read here.

    Args:
        settings: The user's settings.
        start: Sum of scores that makes a suspicion (leaky sequential test, `audio.vad.Preset.start`).

    Attributes:
        state: Where the microphone stands.
        barge_in: Whether the current sound began while the bot was speaking.
    """

    __slots__ = (
        "_evidence",
        "_frames",
        "_last_sound",
        "_missing",
        "_onset",
        "_quiet",
        "_settings",
        "_speaking",
        "_start",
        "_unvoiced",
        "_voiced",
        "_withdraw_frames",
        "barge_in",
        "state",
    )

    def __init__(self, settings: TurnSettings | None = None, start: float = 4.0) -> None:
        self._start = start
        self._settings = settings or TurnSettings()
        self._withdraw_frames = round(self._settings.withdraw / FRAME)
        self.state = State.IDLE
        self.barge_in = False
        self._unvoiced = 0
        self._missing = 0.0
        self._reset()

    def _reset(self) -> None:
        self.state = State.IDLE
        self._evidence = 0.0
        self._voiced = 0.0
        self._quiet = 0
        self._frames = 0
        self._onset = 0.0
        self._last_sound = 0.0
        self._speaking = False

    @property
    def in_speech(self) -> bool:
        """Whether sound is being followed; noise tracking slows down meanwhile."""
        return self.state is not State.IDLE

    @property
    def weighing(self) -> bool:
        """Whether scores are being summed up: only then it matters how far below zero a score is."""
        return self._evidence > 0.0 and self.state is State.IDLE

    @property
    def turn_open(self) -> bool:
        """Whether a turn has started and not ended."""
        return self.state is State.SPEAKING

    def feed(self, decision: Decision, at: float, barge_in: bool = False) -> Sequence[TurnEvent]:
        """Take the decision on one 20 ms frame.

        Args:
            decision: What voice detection says of the frame.
            at: Media time at the end of the frame. Never decreases.
            barge_in: Whether the bot is speaking, or holds a reply that it paused.

        Returns:
            What follows from the frame, in order; usually nothing.
        """
        self._missing = 0.0
        voiced = decision.voiced
        state = self.state
        if state is State.IDLE:
            if self._evidence == 0.0:
                if not voiced:
                    return NOTHING
                self._onset = at - FRAME
                self._voiced = 0.0
                self._frames = 0
            evidence = self._evidence + decision.score
            self._evidence = 0.0 if evidence < 0.0 else min(evidence, self._start)
            self._frames += 1
            if self._evidence == 0.0:
                return NOTHING
            self._voiced = self._voiced + 1.0 if voiced else max(0.0, self._voiced - _DECAY)
            if self._evidence < self._start:
                return NOTHING
            self.state = State.SUSPECTED
            self.barge_in = barge_in
            self._quiet = self._unvoiced = 0
            self._last_sound = at
            if barge_in:
                return (Suspected(self._onset),)
            self._speaking = True
            return (SpeechStarted(self._onset),)
        self._frames += 1
        if voiced:
            self._voiced += 1.0
            self._unvoiced = 0
        else:
            self._voiced = max(0.0, self._voiced - _DECAY)
            self._unvoiced += 1
        if state is State.SUSPECTED:
            return self._suspected(voiced, at)
        return self._in_turn(decision, voiced, at)

    def _suspected(self, voiced: bool, at: float) -> Sequence[TurnEvent]:
        if voiced:
            self._quiet = 0
            self._last_sound = at
            if not self.barge_in:
                if self._voiced >= _WORD_VOICED:
                    self.state = State.SPEAKING
                    return (TurnStarted(self._onset),)
            elif self._frames >= _CONFIRM_FRAMES and self._voiced >= _CONFIRM_VOICED:
                return self.confirm()
            return NOTHING
        self._quiet += 1
        if self._quiet < self._withdraw_frames:
            return NOTHING
        return self._cancel()

    def open(self, at: float, barge_in: bool = False) -> Sequence[TurnEvent]:
        """Open a turn by hand (push to talk).

        Args:
            at: Where it begins, media time.
            barge_in: Whether the bot is speaking.

        Returns:
            What follows from it, in order; nothing when a turn is open already.
        """
        if self.state is State.SPEAKING:
            return NOTHING
        self._reset()
        self.state = State.SPEAKING
        self.barge_in = barge_in
        self._onset = self._last_sound = at
        self._speaking = True
        started = (SpeechStarted(at), TurnStarted(at))
        return (Confirmed(at), *started) if barge_in else started

    def _cancel(self) -> Sequence[TurnEvent]:
        event: TurnEvent = Withdrawn(self._last_sound) if self.barge_in else SpeechEnded(self._last_sound)
        self._reset()
        return (event,)

    def confirm(self) -> Sequence[TurnEvent]:
        """Confirm a suspected barge-in: by length of voice, or because words or the model said so."""
        if self.state is not State.SUSPECTED or not self.barge_in:
            return NOTHING
        self.state = State.SPEAKING
        self._speaking = True
        return (Confirmed(self._onset), SpeechStarted(self._onset), TurnStarted(self._onset))

    def _in_turn(self, decision: Decision, voiced: bool, at: float) -> Sequence[TurnEvent]:
        if at - self._onset >= self._settings.max_turn:
            return self.end(at, "limit")
        if voiced or (self._unvoiced <= _TAIL_FRAMES and decision.tail):
            self._quiet = 0
            self._last_sound = at
            if voiced and not self._speaking:
                self._speaking = True
                return (SpeechStarted(at - FRAME),)
            return NOTHING
        self._quiet += 1
        quiet = self._quiet * FRAME
        if quiet + 1e-9 >= self.end_silence(decision.snr):
            return self.end(self._last_sound, "silence")
        return self._paused(quiet)

    def _paused(self, quiet: float) -> Sequence[TurnEvent]:
        if self._speaking and quiet + 1e-9 >= _PAUSE:
            self._speaking = False
            return (SpeechEnded(self._last_sound),)
        return NOTHING

    def end_silence(self, snr: float) -> float:
        """Quiet that ends a turn, in seconds: 0.6 s at 20 dB above the noise, 10 ms more per dB less."""
        fixed = self._settings.end_silence
        return fixed if fixed is not None else min(max(0.6 + 0.01 * (20.0 - snr), 0.58), 0.74)

    def silence(self, duration: float) -> Sequence[TurnEvent]:
        """Take the absence of packets: it counts as quiet, but a turn waits longer for its end.

        Audio that arrives later replaces it: the next `feed` forgets what was missing.

        Args:
            duration: Seconds without packets since the last call.

        Returns:
            What follows from it, in order.
        """
        if self.state is State.IDLE:
            self._evidence = 0.0
            return NOTHING
        self._missing += duration
        quiet = self._quiet * FRAME + self._missing
        if self.state is State.SUSPECTED:
            return self._cancel() if quiet + 1e-9 >= self._settings.withdraw else NOTHING
        if quiet + 1e-9 >= self._settings.missing_limit:
            return self.end(self._last_sound, "missing")
        return self._paused(quiet)

    def end(self, at: float, reason: str) -> Sequence[TurnEvent]:
        """End whatever is going on: the peer left, the connection was lost, the turn is too long.

        Args:
            at: Where the speech ends, media time.
            reason: Why, as `events.Turn.reason` lists it.

        Returns:
            What follows from it, in order.
        """
        if self.state is State.IDLE:
            self._evidence = 0.0
            return NOTHING
        if self.state is State.SUSPECTED:
            return self._cancel()
        ended = TurnEnded(self._onset, at, reason)
        events = (SpeechEnded(at), ended) if self._speaking else (ended,)
        self._reset()
        return events
