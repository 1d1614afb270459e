"""Whose turn is it, as one microphone tells it: a pure state machine, one decision per 20 ms.

The rules and constants are the detector study's (`facts/vad.md` section 2, two-step start), with one change:
while the bot listens, a word ends its turn after the full end silence and not after the shorter cancel time,
so that "Yes ... and also" stays one turn. What else an interruption needs is up to `turns.policies`, how much
quiet ends a turn to `turns.endpointing`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from fishjam_agents.turns.decision import Decision
from fishjam_agents.turns.endpointing import Pause
from fishjam_agents.turns.events import (
    CANCELLED,
    Confirmed,
    SpeechEnded,
    SpeechStarted,
    Suspected,
    TurnEnded,
    TurnEvent,
    TurnStarted,
    Withdrawn,
)
from fishjam_agents.turns.policies import Sound
from fishjam_agents.turns.settings import TurnSettings
from fishjam_agents.turns.transcript import Transcript

__all__ = [
    "CANCELLED",
    "FRAME",
    "Confirmed",
    "Decision",
    "SpeechEnded",
    "SpeechStarted",
    "State",
    "Suspected",
    "TurnEnded",
    "TurnEvent",
    "TurnMachine",
    "TurnStarted",
    "Withdrawn",
]

FRAME = 0.02
_CONFIRM_FRAMES = 18
"""A barge-in is confirmed 360 ms after its onset at the earliest: the shortest span that lets no voiced burst
of
300 ms through (docs/quality.md; the study, on fewer bursts, found 340 ms)."""
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
_SAME_BREATH = 1.2
"""Seconds after a turn in which its speaker, going on, had only paused."""


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
        judges_words: Whether any policy looks at words.
        barge_in: Whether the current sound began while the bot was speaking.
    """

    __slots__ = (
        "_ended",
        "_ending",
        "_evidence",
        "_frames",
        "_last_sound",
        "_missing",
        "_model_done",
        "_onset",
        "_policies",
        "_quiet",
        "_settings",
        "_speaking",
        "_start",
        "_transcribed",
        "_unvoiced",
        "_voiced",
        "_withdraw_frames",
        "_words",
        "barge_in",
        "judges_words",
        "state",
    )

    def __init__(self, settings: TurnSettings | None = None, start: float = 4.0) -> None:
        self._start = start
        self._settings = settings or TurnSettings()
        self._withdraw_frames = round(self._settings.withdraw / FRAME)
        self._policies = self._settings.policies
        self._ending = self._settings.ending.fresh()
        self._ended: float | None = None
        self._transcribed = False
        self.judges_words = self._ending.needs_words or any(policy.needs_words for policy in self._policies)
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
        self._words: Transcript | None = None
        self._model_done = False

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
                    self._went_on()
                    return (TurnStarted(self._onset),)
            elif self._frames >= _CONFIRM_FRAMES and self._voiced >= _CONFIRM_VOICED and self.allowed:
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
        self._went_on()
        return (Confirmed(self._onset), SpeechStarted(self._onset), TurnStarted(self._onset))

    def _went_on(self) -> None:
        if self._ended is not None and self._onset - self._ended <= _SAME_BREATH:
            self._ending.resumed(self._onset - self._ended)

    @property
    def allowed(self) -> bool:
        """Whether the policies let the suspected sound be an interruption, as things stand."""
        if not self._policies:
            return True
        words = self.words or None
        sound = Sound(self._frames * FRAME, self._voiced * FRAME, words, self._transcribed)
        return all(policy.allows(sound) for policy in self._policies)

    @property
    def words(self) -> str:
        """What has been understood of the current sound or turn; "" while nothing has."""
        return "" if self._words is None else str(self._words)

    def expect_words(self) -> Sequence[TurnEvent]:
        """Somebody transcribes while the bot speaks: a policy may wait for words."""
        self._transcribed = True
        return NOTHING

    def understood(self, text: str, final: bool) -> Sequence[TurnEvent]:
        """Take what somebody understood of the current sound: a barge-in may be confirmed by its words.

        Args:
            text: The words (`Transcript.add`).
            final: Whether they are settled.

        Returns:
            What follows from it, in order.
        """
        self._transcribed = True
        if self.state is State.IDLE:
            return NOTHING
        if self._words is None:
            self._words = Transcript()
        self._words.add(text, final)
        # A word confirms before its length does, but only where somebody judges the words: "mhm" is one, too.
        judged = self.state is State.SUSPECTED and any(policy.needs_words for policy in self._policies)
        return self.confirm() if judged and self.words and self.allowed else NOTHING

    def model_done(self) -> Sequence[TurnEvent]:
        """The model's own turn detection heard the user stop; what follows, follows at the next frame."""
        self._model_done = True
        return NOTHING

    def _in_turn(self, decision: Decision, voiced: bool, at: float) -> Sequence[TurnEvent]:
        if at - self._onset >= self._settings.max_turn:
            return self.end(at, "limit")
        if voiced or (self._unvoiced <= _TAIL_FRAMES and decision.tail):
            if voiced:
                self._model_done = False
                if self._quiet * FRAME + 1e-9 >= _PAUSE:
                    self._ending.resumed(self._quiet * FRAME)
            self._quiet = 0
            self._last_sound = at
            if voiced and not self._speaking:
                self._speaking = True
                return (SpeechStarted(at - FRAME),)
            return NOTHING
        self._quiet += 1
        quiet = self._quiet * FRAME
        pause = Pause(quiet, decision.snr, self._last_sound - self._onset, self.words, self._model_done)
        if quiet + 1e-9 >= self._ending.silence(pause):
            return self.end(self._last_sound, "silence")
        return self._paused(quiet)

    def _paused(self, quiet: float) -> Sequence[TurnEvent]:
        if self._speaking and quiet + 1e-9 >= _PAUSE:
            self._speaking = False
            return (SpeechEnded(self._last_sound),)
        return NOTHING

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
        self._ended = at if reason == "silence" else None
        events = (SpeechEnded(at), ended) if self._speaking else (ended,)
        self._reset()
        return events
