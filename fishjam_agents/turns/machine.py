"""Turn-taking of one microphone: a pure state machine, one decision per 20 ms.

A sound is suspected first and decided upon later. While the bot listens, a word ends its turn after the full
end silence and not after the shorter cancel time, so that "Yes ... and also" stays one turn. How much voice a
sound needs is said in `turns.voicing`, what else an interruption needs in `turns.policies`, how much quiet
ends a turn in `turns.endpointing`. No suspicion stays without a verdict for longer than 1.5 s.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.turns.decision import Decision
from fishjam_agents.turns.endpointing import PAUSE
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
from fishjam_agents.turns.judge import BargeInJudge
from fishjam_agents.turns.noise import NoiseMemory
from fishjam_agents.turns.resumption import Resumption
from fishjam_agents.turns.settings import TurnSettings
from fishjam_agents.turns.turn_ending import TurnEnding
from fishjam_agents.turns.voicing import Voicing

__all__ = [
    "CANCELLED",
    "VERDICT",
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

_TAIL_FRAMES = 8
"""Soft ends of words keep speech alive for at most 160 ms after the last voiced frame."""
VERDICT = 1.5
"""Seconds after its onset at which a suspicion has its verdict, whatever goes on."""
_LATE_WORDS = 1.0
"""Seconds of quiet in which a recogniser may still say what was heard."""
_SAME_ONSET = 1e-6
"""Seconds up to which two onsets are one."""
_APART = 12
"""Unvoiced frames after which a sound that is taken for noise counts as another one."""
_KEPT = 1.0
"""Seconds before its last sound that the turn of a sound that was taken for noise begins at most: what a
microphone keeps, less the pre-roll."""


class State(enum.Enum):
    """State of a microphone."""

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
        announced: Whether anybody was told of the current sound. What is taken for noise is followed in
            silence, so that nobody waits for it.
    """

    __slots__ = (
        "_between",
        "_ending",
        "_evidence",
        "_judge",
        "_last_sound",
        "_missing",
        "_noise",
        "_noticed",
        "_onset",
        "_quiet",
        "_settings",
        "_speaking",
        "_start",
        "_unvoiced",
        "_voicing",
        "_withdraw",
        "announced",
        "barge_in",
        "judges_words",
        "state",
    )

    def __init__(self, settings: TurnSettings | None = None, start: float = 4.0) -> None:
        self._start = start
        self._settings = settings or TurnSettings()
        self._withdraw = self._settings.withdraw
        self._judge = BargeInJudge(self._settings.policies)
        self._ending = TurnEnding(self._settings.ending)
        self._between = Resumption()
        self._noise = NoiseMemory()
        self._voicing = Voicing()
        self.judges_words = self._ending.uses_words or self._judge.needs_words
        self.state = State.IDLE
        self.barge_in = False
        self._unvoiced = 0
        self._missing = 0.0
        self._reset()

    def _reset(self) -> None:
        self.state = State.IDLE
        self.announced = False
        self._evidence = 0.0
        self._voicing.clear()
        self._quiet = 0
        self._onset = 0.0
        self._noticed = 0.0
        self._last_sound = 0.0
        self._speaking = False
        self._judge.clear()
        self._ending.clear()

    @property
    def in_speech(self) -> bool:
        """True while sound is being followed; noise tracking slows down meanwhile."""
        return self.state is not State.IDLE

    @property
    def accumulating(self) -> bool:
        """True while scores are being summed up: only then it matters how far below zero a score is."""
        return self._evidence > 0.0 and self.state is State.IDLE

    @property
    def turn_open(self) -> bool:
        """True if a turn has started and not ended."""
        return self.state is State.SPEAKING

    @property
    def paused_since(self) -> float | None:
        """Media time of an open turn's last sound, while it is quiet; else None."""
        return self._last_sound if self.state is State.SPEAKING and self._quiet else None

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
        if barge_in and self._between.bot_since is None:
            self._between.bot_since = at
        if state is State.SPEAKING:
            self._unvoiced = 0 if voiced else self._unvoiced + 1
            return self._in_turn(decision, voiced, at)
        if state is State.SUSPECTED:
            if not self.announced:
                self._follow_noise(voiced, at, barge_in)
            self._voicing.add(decision)
            return self._suspected(voiced, at)
        if self._evidence == 0.0:
            if not voiced:
                return NOTHING
            self._onset = at - FRAME_SECONDS
            self._voicing.clear()
        evidence = self._evidence + decision.score
        self._evidence = 0.0 if evidence < 0.0 else min(evidence, self._start)
        if self._evidence == 0.0:
            return NOTHING
        self._voicing.add(decision)
        return self._suspect(at, barge_in) if self._evidence >= self._start else NOTHING

    def _suspect(self, at: float, barge_in: bool) -> Sequence[TurnEvent]:
        self.state = State.SUSPECTED
        self.barge_in = barge_in
        self._quiet = self._unvoiced = 0
        self._last_sound = self._noticed = at
        self.announced = not self._noise.covers(at)
        return self._announce() if self.announced else NOTHING

    def _announce(self) -> Sequence[TurnEvent]:
        self.announced = True
        if self.barge_in:
            return (Suspected(self._onset),)
        self._speaking = True
        return (SpeechStarted(self._onset),)

    def _follow_noise(self, voiced: bool, at: float, barge_in: bool) -> None:
        self.barge_in = barge_in
        if voiced and self._voicing.gap >= _APART:
            self._onset = at - FRAME_SECONDS
            self._voicing.clear()

    def _suspected(self, voiced: bool, at: float) -> Sequence[TurnEvent]:
        if voiced:
            self._quiet = 0
            self._last_sound = at
            if not self.barge_in and self._voicing.is_word:
                return self._open_turn()
            if self.barge_in and self._voicing.is_voice and self.allowed:
                return self.confirm()
        else:
            self._quiet += 1
            if self._quiet_long_enough(self._quiet * FRAME_SECONDS):
                return self._cancel()
        if self.announced and at - self._onset + 1e-9 >= VERDICT:
            return self._give_up(at)
        return NOTHING

    def _quiet_long_enough(self, quiet: float) -> bool:
        """Return whether a suspected sound is over; a recogniser that lags is waited for."""
        if quiet + 1e-9 < self._withdraw:
            return False
        if not (self.announced and self.barge_in and self._judge.waits(self._voicing)):
            return True
        return quiet >= _LATE_WORDS or self._last_sound + quiet - self._onset + 1e-9 >= VERDICT

    def _give_up(self, at: float) -> Sequence[TurnEvent]:
        """A sound that goes on without a verdict is followed in silence from here on."""
        if not self._voicing.is_voice:
            self._noise.unending(at)
        self.announced = self._speaking = False
        return (Withdrawn(self._last_sound) if self.barge_in else SpeechEnded(self._last_sound),)

    def _open_turn(self) -> Sequence[TurnEvent]:
        if not self.announced and self._onset < self._last_sound - _KEPT:
            self._onset = self._noticed = self._last_sound - _KEPT
        announced = () if self.announced else tuple(self._announce())
        self.state = State.SPEAKING
        self._noise.clear()
        if (pause := self._between.pause(self._onset)) is not None:
            self._ending.resumed(pause)
        if not self.barge_in:
            return (*announced, TurnStarted(self._onset))
        self._speaking = True
        return (*announced, Confirmed(self._onset), SpeechStarted(self._onset), TurnStarted(self._onset))

    def beginning(self, onset: float, lead: float) -> float:
        """Media time at which a sound began that something softer led to.

        Args:
            onset: Of the sound, as its events tell it: dated back over what is softer, but over no gap.
            lead: Seconds of what is softer, gaps included, up to the frame that made the suspicion.

        Returns:
            The onset where that is as early, or where another sound is followed by now.
        """
        return onset if onset >= self._noticed else min(onset, self._noticed - lead)

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
        self._speaking = self.announced = True
        started = (SpeechStarted(at), TurnStarted(at))
        return (Confirmed(at), *started) if barge_in else started

    def _cancel(self) -> Sequence[TurnEvent]:
        if self.barge_in:
            self._noise.withdrawn(self._last_sound)
        event: TurnEvent = Withdrawn(self._last_sound) if self.barge_in else SpeechEnded(self._last_sound)
        announced = self.announced
        self._reset()
        return (event,) if announced else NOTHING

    def confirm(self) -> Sequence[TurnEvent]:
        """Confirm a suspected barge-in: by length of voice, or because words or the model said so."""
        if self.state is not State.SUSPECTED or not self.barge_in:
            return NOTHING
        return self._open_turn()

    @property
    def allowed(self) -> bool:
        """True if the policies let the suspected sound be an interruption, as things stand."""
        return self._judge.allows(self._voicing)

    @property
    def words(self) -> str:
        """Words understood of the current sound or turn; "" while there are none."""
        return self._judge.words

    def expect_words(self) -> Sequence[TurnEvent]:
        """Somebody transcribes while the bot speaks: a policy may wait for words."""
        self._judge.transcribed = True
        return NOTHING

    def understood(self, text: str, final: bool, onset: float | None = None) -> Sequence[TurnEvent]:
        """Take what somebody understood of the current sound: a barge-in may be confirmed by its words.

        Args:
            text: The words (`Transcript.add`).
            final: Whether they are settled.
            onset: Where the sound that they are of began, of which they are all words so far; those of an
                earlier sound than this come too late. None where that is not known.

        Returns:
            What follows from it, in order.
        """
        judge = self._judge
        judge.transcribes()
        if self.state is State.IDLE or (onset is not None and onset < self._onset - _SAME_ONSET):
            return NOTHING
        judge.understood(text, final, whole=onset is not None)
        # A word confirms before its length does, but only where somebody judges the words: "mhm" is one, too.
        judged = self.state is State.SUSPECTED and judge.needs_words
        return self.confirm() if judged and judge.words and self.allowed else NOTHING

    def model_done(self) -> Sequence[TurnEvent]:
        """Take note that the model heard the user stop; it counts from the next frame on."""
        self._ending.model_done = True
        return NOTHING

    def predicted(self, pause: float, probability: float) -> Sequence[TurnEvent]:
        """Take what the policy's model says of the turn up to a pause; it counts from the next frame on.

        Args:
            pause: Where the pause began (`paused_since`); of another one than this it is out of date.
            probability: That the turn is complete, 0 to 1.
        """
        if pause == self.paused_since:
            self._ending.probability = probability
        return NOTHING

    def transcribed(self, pause: float, text: str) -> Sequence[TurnEvent]:
        """Take the words of the turn up to a pause; they count from the next frame on, and in this pause.

        Args:
            pause: Where the pause began (`paused_since`); of another one than this they are out of date.
            text: All words of the turn.
        """
        if pause == self.paused_since:
            self._ending.words = text
        return NOTHING

    def _in_turn(self, decision: Decision, voiced: bool, at: float) -> Sequence[TurnEvent]:
        if at - self._onset >= self._settings.max_turn:
            return self.end(at, "limit")
        if voiced or (self._unvoiced <= _TAIL_FRAMES and decision.tail):
            self._ending.sounds(voiced, self._quiet * FRAME_SECONDS)
            self._quiet = 0
            self._last_sound = at
            if voiced and not self._speaking:
                self._speaking = True
                return (SpeechStarted(at - FRAME_SECONDS),)
            return NOTHING
        self._quiet += 1
        quiet = self._quiet * FRAME_SECONDS
        rule = self._ending.rule(quiet, decision.snr, self._onset, self._last_sound, self.words)
        return self._paused(quiet) if rule is None else self._end_turn(self._last_sound, "silence", rule)

    def _paused(self, quiet: float) -> Sequence[TurnEvent]:
        if self._speaking and quiet + 1e-9 >= PAUSE:
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
        quiet = self._quiet * FRAME_SECONDS + self._missing
        if self.state is State.SUSPECTED:
            late = self._last_sound + quiet - self._onset + 1e-9 >= VERDICT
            return self._cancel() if late or self._quiet_long_enough(quiet) else NOTHING
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
        return self._cancel() if self.state is State.SUSPECTED else self._end_turn(at, reason)

    def _end_turn(self, at: float, reason: str, rule: str = "") -> Sequence[TurnEvent]:
        ended = TurnEnded(self._onset, at, reason, rule or None, self._ending.probability)
        self._judge.turn_over(at - self._onset)
        self._between.turn_ended(at if reason == "silence" else None)
        events = (SpeechEnded(at), ended) if self._speaking else (ended,)
        self._reset()
        return events
