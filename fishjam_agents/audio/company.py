"""Rule by which the speaker of a microphone is alone: where nobody else is heard, nobody need be kept out.

They are, once there was quiet for 10 s, pauses of the speaker taken together, without another voice and
without any sound that comes within 22 dB of theirs. It ends when the speaker is heard after a weaker voice
that was neither the end nor the beginning of what they said. From then on three times as much quiet is
waited for.
"""

from __future__ import annotations

_CALM = 500
"""Frames, 10 s, of quiet after which the speaker is alone. Somebody who cries every few seconds often does so
while the speaker is heard, so that less is soon together."""
_GROWTH, _MOST_CALM = 3, 3000
"""Factor by which the wait for quiet grows when somebody else was heard, and the longest: 60 s."""
_BELOW = 22.0
"""dB below the speaker under which a sound is quiet: a soft voice is louder, and so are music and typing
10 dB below a speaker's mean."""
_SOUND = 5
"""Frames, 0.1 s, of anything louder that begin the wait for quiet anew."""
_OWN = 50
"""Frames, 1 s, after the speaker in which a weaker voice is likely theirs."""
_GAP = 8
"""Quiet frames that end a stretch of a weaker voice."""
_STRETCH = 32
"""Frames, 0.64 s, of a stretch in which somebody may be talking: no quiet."""
_LEADS = 60
"""Frames, 1.2 s, of one that may be the soft beginning of what the speaker says."""
_SAID = 25
"""Voiced frames, 0.5 s, of a weaker voice that are somebody else's when the speaker is heard again."""
_SAME = 5.0
"""dB below the level before the weaker voice at which it is the speaker who is heard again."""


class Company:
    """Judges whether anybody but the speaker is there, from the frames of one microphone.

    Attributes:
        alone: Whether nobody is, as far as is known.
        heard: Whether a weaker voice was, since the speaker was known, or alone.
    """

    __slots__ = (
        *("_before", "_calm", "_frames", "_gap", "_needed", "_others", "_since", "_sound", "_voiced"),
        *("alone", "heard"),
    )

    def __init__(self) -> None:
        self._needed = _CALM
        self.restart()

    def restart(self) -> None:
        """Begin with another speaker. How much quiet is waited for stays."""
        self.alone = self.heard = False
        self._calm = self._sound = 0
        self._since = 0
        self._others = 0
        self._before = 0.0
        self._end_stretch()

    def _end_stretch(self) -> None:
        self._frames = self._voiced = self._gap = 0

    def quiet(self, above: float) -> None:
        """Take a frame without a voice.

        Args:
            above: dB by which it is louder than the speaker.
        """
        self._since += 1
        if self._frames:
            self._frames += 1
            self._gap += 1
            if self._gap > _GAP:
                self._others += self._voiced
                if self._voiced >= _SOUND:
                    self._calm = 0
                self._end_stretch()
        if self._since <= _OWN:
            return
        if above > -_BELOW and not self.alone:
            self._sound += 1
            if self._sound >= _SOUND:
                self._calm = 0
            return
        self._sound = 0
        self._calm += 1
        if self._calm >= self._needed:
            self._others = 0
            self.alone, self.heard = True, False

    def voice(self, level: float, speaker: float, near: bool, weak: bool) -> float:
        """Take a frame with a voice.

        Args:
            level: Its level, dBFS.
            speaker: The level that the speaker is known by.
            near: Whether it is the speaker, over some frames.
            weak: Whether it is too weak for the speaker.

        Returns:
            The level that the speaker is known by now: where they are heard again, what it was before the
            weaker voice, which was followed meanwhile.
        """
        self._since += 1
        if near:
            return self._hear_again(level, speaker)
        if self._frames or (weak and self._since > _OWN):
            if not self._frames and not self._others:
                self._before = speaker
            self._frames += 1
            self._voiced += 1
            self._gap = 0
            if self._frames > _STRETCH:
                self._calm = 0
                self.heard = True
        return speaker

    def _hear_again(self, level: float, speaker: float) -> float:
        others = self._others + (self._voiced if self._frames > _LEADS else 0)
        self._end_stretch()
        self._since = 0
        if others < _SAID:
            # Too little to be said by anybody: soft first words, before a short gap.
            self._others = 0
            return speaker
        self._others = others
        if level < self._before - _SAME:
            return speaker
        self._others = self._calm = 0
        self.heard = True
        if not self.alone:
            return speaker
        self.alone = False
        self._needed = min(_GROWTH * self._needed, _MOST_CALM)
        return max(speaker, self._before)
