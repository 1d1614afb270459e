"""The near voice: who is 10 dB and more quieter than the speaker the microphone belongs to is not meant.

A television, a colleague and babble are voices, and no detector knows that nobody speaks to the bot. They
are farther away than whoever holds the telephone or wears the headset. The level of that voice is learned
from its turns: the 90th percentile of its voiced frames. A frame counts by how near it comes to that. Of
recorded voices, half of the voiced frames lie within 5 dB of it; of a voice 10 dB below, 1 % do.

What is weaker begins nothing. Within a sound it belongs to it for 0.3 s, as the soft end of a word does;
before one it may be its soft beginning, so it is said for how long it led to it (`NearVoice.lead`).
Somebody quieter is heard again when the speaker has been silent for 10 s and the other one has said something
and waited: a television waits for nobody.

Where nobody else was heard for a while and it is quiet, there is nothing to keep out, and every voice counts
(`audio.company`): the speaker may become quieter, and the handset may be passed on. That is over when the
speaker is heard again after somebody weaker: there are two.
"""

from __future__ import annotations

from math import log10

from fishjam_agents.audio.company import Company
from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.audio.vad import Decision

_PERCENTILE = 0.9
_STEP = 0.5
"""dB by which a frame moves the level, split by the percentile: a voice 10 dB louder is followed in 0.5 s of
voice, a quieter one in 4 s."""
_KNOWN = 40
"""Voiced frames, 0.8 s, after which the level is known: one short sentence."""
_WORD = 18
"""Frames of a sound after which it is a voice to learn from: those that may interrupt have as many."""
_BELOW, _SPAN = 7.0, 4.0
"""dB below the level at which a frame counts for nothing, and dB above that at which it counts in full."""
_BEGINS, _EVIDENCE = 0.5, 3.0
"""Least that a frame must count to begin a sound, and the score of one that counts in full."""
_BEGINS_IN_COMPANY, _EVIDENCE_IN_COMPANY = 0.75, 1.5
"""The same where a weaker voice was heard: 4 dB below the level, and three frames make a suspicion. The
loudest vowels of a voice 10 dB below come nearer for a frame or two."""
_TRACE = 0.02
"""Score of a weaker one: enough for the onset of a sound to be dated back to it, never for a suspicion."""
_HOLDS = 0.5
"""Least that frames must count, in a mean over about three, to hold a sound."""
_SMOOTH, _FADE = 0.4, 0.8
_SOFT = 15
"""Frames, 0.3 s, for which weaker sound belongs to the voice before it."""
_LEAD_GAP = 8
"""Frames without a voice within the soft beginning of a sound: between two syllables."""
_LONGEST_LEAD = 32
"""Frames, 0.64 s, of weaker voice before a sound, and of what made it one: as much as a microphone keeps
besides pre-roll and confirm time. A colleague talks for longer."""
_ABSENT = 500
"""Frames, 10 s, without the near voice after which somebody else may have the microphone."""
_SAID = 15
"""Voiced frames, 0.3 s, of something that was said."""
_WAITED = 60
"""Frames, 1.2 s, without any voice: whoever spoke waits for an answer. A television pauses for less."""


class NearVoice:
    """Keeps what is far away out of one microphone's decisions; one object per stream.

    Attributes:
        level: Of the near voice, dBFS; None while it is not known.
    """

    __slots__ = (
        *("_absent", "_before", "_before_that", "_company", "_count", "_estimate", "_followed", "_mean"),
        *("_lead", "_lead_gap", "_quiet", "_said", "_waits", "_weak", "level"),
    )

    def __init__(self) -> None:
        self._company = Company()
        self.restart()

    def restart(self) -> None:
        """Forget the voice: what comes next may be another device."""
        self.level: float | None = None
        self._estimate = 0.0
        self._count = 0
        self._mean = 0.0
        self._weak = _SOFT
        self._followed = 0
        self._lead = self._lead_gap = 0
        self._before = self._before_that = 0.0
        self._absent = self._said = self._quiet = 0
        self._waits = False
        self._company.restart()

    def judge(self, decision: Decision, in_speech: bool, echo: bool) -> Decision:
        """Take the decision on the next frame.

        Args:
            decision: What the detector says.
            in_speech: Whether a sound is being followed.
            echo: Whether the bot's own voice may be in the frame: nothing is learned of it.

        Returns:
            The decision that counts.
        """
        self._followed = self._followed + 1 if in_speech else 0
        power = 10 ** (decision.level / 10)
        together = power + self._before + self._before_that
        self._before_that, self._before = self._before, power
        if self.level is not None:
            self._wait_for(decision.voiced)
            if not in_speech:
                self._lead_on(decision.voiced, echo)
        if not decision.voiced:
            self._mean *= _FADE
            self._weak += 1
            if self.level is None:
                return decision
            if not echo:
                self._company.quiet(decision.level - self._estimate)
            if decision.tail and self._weak > _SOFT and not self._company.alone:
                return decision._replace(tail=False)
            return decision
        heard = 10 * log10(together / 3)
        if self.level is None:
            self._learn(heard, echo)
            return decision
        return self._weigh(decision, heard, in_speech, echo)

    @property
    def lead(self) -> float:
        """Seconds of voice that led to the sound that is followed, up to the frame with which it began to be.

        0 of what went on for over 0.64 s.
        """
        return self._lead * FRAME_SECONDS if self._lead <= _LONGEST_LEAD else 0.0

    def _lead_on(self, voiced: bool, echo: bool) -> None:
        if echo:
            self._lead = self._lead_gap = 0
        elif voiced:
            self._lead += 1
            self._lead_gap = 0
        elif self._lead:
            self._lead += 1
            self._lead_gap += 1
            if self._lead_gap > _LEAD_GAP:
                self._lead = self._lead_gap = 0

    def _weigh(self, decision: Decision, heard: float, in_speech: bool, echo: bool) -> Decision:
        level = self._estimate
        near = (heard - (level - _BELOW)) / _SPAN
        near = 0.0 if near < 0.0 else min(near, 1.0)
        self._mean += _SMOOTH * (near - self._mean)
        holds = self._mean >= _HOLDS
        if holds:
            self._absent = self._said = 0
            self._waits = False
        if not echo:
            self._estimate = self._company.voice(heard, self._estimate, holds, near < _HOLDS)
        if not in_speech:
            self._weak = 0
            return decision if self._company.alone else self._begin(decision, near)
        self._weak = 0 if holds else self._weak + 1
        if self._weak > _SOFT and not self._company.alone:
            return decision._replace(score=-1.0, voiced=False, tail=False)
        self._learn(heard, echo)
        return decision

    def _begin(self, decision: Decision, near: float) -> Decision:
        """Let a frame begin a sound, lead to one, or neither."""
        begins, evidence = _BEGINS, _EVIDENCE
        if self._company.heard:
            begins, evidence = _BEGINS_IN_COMPANY, _EVIDENCE_IN_COMPANY
        return decision._replace(score=min(decision.score, evidence * near) if near >= begins else _TRACE)

    def _learn(self, heard: float, echo: bool) -> None:
        """Follow the level of the voice that is being followed."""
        if echo or self._followed < _WORD:
            return
        if self._count == 0:
            self._estimate = heard
        elif heard > self._estimate:
            self._estimate += _STEP * _PERCENTILE
        else:
            self._estimate -= _STEP * (1.0 - _PERCENTILE)
        self._count += 1
        if self._count >= _KNOWN:
            self.level = self._estimate

    def _wait_for(self, voiced: bool) -> None:
        """Forget the near voice where somebody else seems to have its microphone."""
        self._absent += 1
        if voiced:
            self._said += 1
            self._quiet = 0
        else:
            self._quiet += 1
            if self._quiet == _WAITED:
                self._waits = self._waits or self._said >= _SAID
                self._said = 0
        if self._waits and self._absent >= _ABSENT and not self._company.alone:
            self.restart()
