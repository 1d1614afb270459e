"""Judgement of a sound over the bot's voice by the policies: by its length and by the words in it."""

from __future__ import annotations

from collections.abc import Sequence

from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.turns.policies import BargeInPolicy, Sound
from fishjam_agents.turns.policy_answers import verdict
from fishjam_agents.turns.transcript import Transcript
from fishjam_agents.turns.voicing import Voicing

_LEAST_WORD = 0.1
"""Seconds of voice that may have been a word."""
_SENTENCE = 1.0
"""Seconds of a turn of which something is understood by whoever understands anything."""
_WORDLESS = 2
"""Such turns in a row without a word after which none is waited for: the recogniser has failed, or is too
late to be of use. The next word that comes is proof of the contrary."""


class BargeInJudge:
    """Asks the policies of one microphone.

    Args:
        policies: What an interruption must satisfy.

    Attributes:
        transcribed: Whether somebody transcribes while the bot speaks.
        needs_words: Whether any policy looks at words.
    """

    __slots__ = ("_policies", "_settled", "_wordless", "_words", "needs_words", "transcribed")

    def __init__(self, policies: Sequence[BargeInPolicy]) -> None:
        self._policies = policies
        self.needs_words = any(policy.needs_words for policy in policies)
        self.transcribed = False
        self._wordless = 0
        self.clear()

    def clear(self) -> None:
        """Forget the words: the next sound is another."""
        self._words: Transcript | None = None
        self._settled = False

    def transcribes(self) -> None:
        """Words come, of whatever sound."""
        self.transcribed = True
        self._wordless = 0

    def turn_over(self, seconds: float) -> None:
        """Take note that a turn is over that lasted so long."""
        if self.words or seconds < _SENTENCE:
            return
        self._wordless += 1
        if self._wordless >= _WORDLESS:
            self.transcribed = False

    def understood(self, text: str, final: bool, whole: bool = False) -> None:
        """Take words of the current sound (`Transcript.add`); with `whole` they are all of it so far."""
        if self._words is None or whole:
            self._words = Transcript()
        self._words.add(text, final)
        self._settled = final

    @property
    def words(self) -> str:
        """Words understood of the current sound; "" while there are none."""
        return "" if self._words is None else str(self._words)

    def allows(self, voicing: Voicing) -> bool:
        """Return whether the sound may be an interruption, as things stand."""
        if not self._policies:
            return True
        sound = self._sound(voicing)
        return all(verdict(policy.allows, policy.allows(sound)) for policy in self._policies)

    def waits(self, voicing: Voicing) -> bool:
        """Return whether words that have not come yet may make an interruption of a sound that is over."""
        if not (self.needs_words and self.transcribed) or self._settled or voicing.seconds < _LEAST_WORD:
            return False
        sound = self._sound(voicing)
        return any(verdict(policy.waits, policy.waits(sound)) for policy in self._policies)

    def _sound(self, voicing: Voicing) -> Sound:
        return Sound(voicing.frames * FRAME_SECONDS, voicing.seconds, self.words or None, self.transcribed)
