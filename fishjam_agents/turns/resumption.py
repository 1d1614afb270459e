"""A speaker who goes on after a turn that was taken for complete."""

from __future__ import annotations

_SAME_BREATH = 1.2
"""Seconds after a turn in which its speaker, going on, had only paused."""
_REACTION = 0.2
"""Seconds of the bot's voice to which nobody has reacted yet: people take 0.2 s to begin to speak in turn
(Levinson and Torreira, "Timing in turn-taking", 2015)."""


class Resumption:
    """Tells a pause between two turns of a speaker from an answer to what the bot said in between.

    Attributes:
        bot_since: Since when the bot has had a reply under way after the last turn; None if it has not.
    """

    __slots__ = ("_ended", "bot_since")

    def __init__(self) -> None:
        self._ended: float | None = None
        self.bot_since: float | None = None

    def turn_ended(self, at: float | None) -> None:
        """A turn was taken for complete, its last sound at `at`; None where it was cut."""
        self._ended = at
        self.bot_since = None

    def pause(self, onset: float) -> float | None:
        """Seconds that the speaker who goes on at `onset` had paused; None for a turn of its own."""
        if self._ended is None or onset - self._ended > _SAME_BREATH:
            return None
        if self.bot_since is not None and onset - self.bot_since > _REACTION:
            return None
        return onset - self._ended
