"""Ending of one microphone's turns: its policy, and what that is told of the present pause."""

from __future__ import annotations

from fishjam_agents.turns.endpointing import PAUSE, EndOfTurn, Pause
from fishjam_agents.turns.policy_answers import seconds


class TurnEnding:
    """Asks the policy of one microphone.

    Args:
        policy: How much quiet ends a turn.

    Attributes:
        uses_words: Whether it looks at words.
        model_done: Whether the backend's own turn detection heard the user stop.
        probability: Prediction of the policy's model for the present pause; None while there is none.
        words: Words of the turn up to the present pause; None where nobody was asked for them.
    """

    __slots__ = ("_policy", "model_done", "probability", "uses_words", "words")

    def __init__(self, policy: EndOfTurn) -> None:
        self._policy = policy.fresh()
        self.uses_words = policy.needs_words or policy.uses_words
        self.clear()

    def clear(self) -> None:
        """Forget what was told: the next turn is another."""
        self.model_done = False
        self.probability: float | None = None
        self.words: str | None = None

    def sounds(self, voiced: bool, quiet: float) -> None:
        """Take note of a frame that belongs to the turn, after so many seconds of quiet."""
        self.probability = self.words = None
        if voiced:
            self.model_done = False
            if quiet + 1e-9 >= PAUSE:
                self._policy.resumed(quiet)

    def resumed(self, quiet: float) -> None:
        """Take note that the speaker went on after a turn that was ended, with so much quiet between."""
        self._policy.resumed(quiet)

    def rule(self, quiet: float, snr: float, onset: float, last_sound: float, words: str) -> str | None:
        """Return the rule by which the turn is over, "" for the only one; None while it is not over.

        Args:
            quiet: Seconds of quiet.
            snr: Level of the voice above the noise, dB.
            onset: Where the turn began, media time.
            last_sound: Its last sound, media time.
            words: What was understood of it while it went on.
        """
        settled = self.words is not None
        words, policy = self.words or words, self._policy
        spoken, probability = last_sound - onset, self.probability
        pause = Pause(quiet, snr, spoken, words, self.model_done, probability, onset, settled)
        if quiet + 1e-9 < seconds(policy.silence, policy.silence(pause)):
            return None
        return policy.rule(pause)
