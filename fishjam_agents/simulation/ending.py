"""End of a simulated call."""

from __future__ import annotations

QUIET_SECONDS = 3.0
"""The bot has nothing more to say when it was silent for this long after the callers finished."""
LONGEST_SECONDS = 600.0
"""No simulated call is longer."""


class EndRule:
    """Decides the end of a call. Pure: times are seconds since the call's zero.

    Args:
        callers_end: When the last caller has finished.
        seconds: Ends the call then, whatever happens; None ends it when all is said.
    """

    def __init__(self, callers_end: float, seconds: float | None = None) -> None:
        self._limit = LONGEST_SECONDS if seconds is None else min(seconds, LONGEST_SECONDS)
        self._ends_when_quiet = seconds is None
        self._last_sound = callers_end

    @property
    def limit(self) -> float:
        """The latest end."""
        return self._limit

    def over(self, at: float, bot_sounds: bool) -> bool:
        """Return whether the call is over at `at`; `bot_sounds` is the state at the moment before it."""
        if bot_sounds:
            self._last_sound = max(self._last_sound, at)
        if at >= self._limit:
            return True
        return self._ends_when_quiet and at - self._last_sound >= QUIET_SECONDS
