"""Evidence that a sound is a voice: how many of its frames are voiced, and how they hang together.

A knock, a tap or a key makes a voiced run of at most 120 ms, because a detector looks at 40 ms at a time; a
syllable lasts longer, or the sound does not die away before the next one. So many short sounds in a row are
no voice, however many voiced frames they have together. Noise tears speech to shreds: where the voice hardly
stands above it, only their sum can tell.
"""

from __future__ import annotations

from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.turns.decision import Decision

_DECAY = 0.25
"""Share of a voiced frame that each unvoiced one takes back."""
_CONFIRM_FRAMES = 18
"""A barge-in is confirmed 360 ms after its onset at the earliest: the shortest span that lets no voiced burst
of 300 ms through (docs/quality.md)."""
_CONFIRM_VOICED = 8.0
"""Voiced frames that a confirmed barge-in needs."""
_NOISY = 12.5
"""dB above the noise below which the sum alone counts; speech 10 dB above it by its mean level is at 15."""
_NOISY_VOICED = 9.0
_WORD_VOICED = 8.5
"""Voiced frames that make a turn while the bot listens: five at the end of a cancel time (14 quiet frames,
each costing a quarter)."""
_SYLLABLE = 7
"""Voiced frames in a row that no knock of 0.1 s has, nor any of a series of them 0.14 s apart or more. Of
computed interruptions over 0.6 s, 99 % have so many at 10 dB and better, as many as by the sum alone."""
_GAP = 4
"""Quiet frames that part two syllables, or two knocks 0.2 s apart."""
_GROUP_WORD = 6.5
"""Voiced frames of a group that make a word while the bot listens: more than any knock of 0.1 s has."""


class Voicing:
    """Voiced frames of one sound, from its onset.

    Attributes:
        frames: Since the onset.
        gap: Quiet frames since the last voiced one.
    """

    __slots__ = (
        "_group",
        "_group_best",
        "_longest",
        "_run",
        "_snr",
        "_total",
        "frames",
        "gap",
    )

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin with another sound."""
        self.frames = 0
        self.gap = 0
        self._snr = 0.0
        self._total = 0.0
        self._run = 0
        self._longest = 0
        self._group = 0.0
        self._group_best = 0.0

    def add(self, decision: Decision) -> None:
        """Take the decision on the next frame."""
        self.frames += 1
        self._snr = decision.snr
        if not decision.voiced:
            if not decision.tail:
                self.gap += 1
                self._run = 0
            self._total = max(0.0, self._total - _DECAY)
            self._group = max(0.0, self._group - _DECAY)
            return
        if self.gap >= _GAP:
            self._group = 0.0
        self.gap = 0
        self._run += 1
        self._total += 1.0
        self._group += 1.0
        self._group_best = max(self._group_best, self._group)
        self._longest = max(self._longest, self._run)

    @property
    def seconds(self) -> float:
        """Seconds of the sound that have a voice; pauses take a quarter of their length off."""
        return self._total * FRAME_SECONDS

    @property
    def is_word(self) -> bool:
        """Return whether it makes a turn while the bot listens."""
        return self._total >= _WORD_VOICED and self._group_best >= _GROUP_WORD

    @property
    def is_voice(self) -> bool:
        """Return whether it makes an interruption, as far as sound can tell."""
        if self.frames < _CONFIRM_FRAMES:
            return False
        if self._total >= _CONFIRM_VOICED and self._longest >= _SYLLABLE:
            return True
        return self._snr < _NOISY and self._total >= _NOISY_VOICED
