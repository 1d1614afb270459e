"""Digits, letters and names, said one by one: who dictates pauses after each, and is not through."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from fishjam_agents.turns.endpointing import PAUSE, Adaptive, EndOfTurn, Pause, check_seconds
from fishjam_agents.units import Seconds

SHORT = 1.2
"""Seconds of a sound that may be a digit, a letter, a name, or three digits said in one breath."""
_REMEMBERED = 4
_FIRST = 1.2
"""Quiet after a first short sound, of no known pace yet: people dictate with gaps of up to a second."""
_FACTOR = 1.5
_EXTRA = 0.25
_LEAST = 0.9
_UNEVEN = 3.0
"""Longest of the remembered pauses by the shortest from which on they are no pace."""


@dataclass(slots=True)
class Pace:
    """Sounds and pauses of one speaker's turn, for as long as they are those of a dictation."""

    _onset: float | None = None
    _last_sound: float = 0.0
    _quiet: float = 0.0
    _length: float = 0.0
    _pauses: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def follow(self, pause: Pause) -> None:
        """Take note of a pause as it goes on; below 0.2 s it parts no sounds."""
        if pause.onset != self._onset:
            self._onset = pause.onset
            self._last_sound = self._quiet = 0.0
            self._pauses.clear()
        if pause.quiet + 1e-9 < PAUSE:
            return
        if pause.spoken != self._last_sound:
            self._length = pause.spoken - self._last_sound - self._quiet
            if self._last_sound:
                self._pauses.append(self._quiet)
            self._last_sound = pause.spoken
        self._quiet = pause.quiet

    def wait(self, most: float) -> float | None:
        """Seconds of quiet within which the next of the short sounds is due, `most` of them at most.

        None after a longer sound, and where the pauses before it were no pace.
        """
        if self._onset is None or not self._last_sound or self._length > SHORT:
            return None
        if not self._pauses:
            return min(_FIRST, most)
        longest = max(self._pauses)
        if longest > _UNEVEN * min(self._pauses):
            return None
        return min(max(_FACTOR * longest + _EXTRA, _LEAST), most)


@dataclass(frozen=True, slots=True)
class Dictation(EndOfTurn):
    """Waits for the next digit, letter or name while short sounds come at a steady pace; else `Adaptive`.

    After a first short sound 1.2 s of quiet end the turn, then 1.5 times the longest of the last four pauses
    and 0.25 s, 0.9 s at least. A short answer ("yes") waits as long: it is for places where people dictate.

    Attributes:
        most: Quiet that ends any turn.
    """

    most: Seconds = 2.0

    def __post_init__(self) -> None:
        check_seconds("most", self.most, 0.6, 10.0)

    def fresh(self) -> EndOfTurn:
        """One that has heard nobody yet."""
        return _OneDictation(self.most)

    def silence(self, pause: Pause) -> float:
        """As `Adaptive`: this one has heard nobody (`fresh`)."""
        return Adaptive().silence(pause)

    def __str__(self) -> str:
        return f"dictation, adaptive and up to {self.most:g} s between short sounds"


@dataclass(frozen=True, slots=True)
class _OneDictation(Dictation):
    pace: Pace = field(default_factory=Pace)

    def silence(self, pause: Pause) -> float:
        self.pace.follow(pause)
        return max(Adaptive().silence(pause), self.pace.wait(self.most) or 0.0)

    def rule(self, pause: Pause) -> str:
        return "no pace" if self.pace.wait(self.most) is None else "pace over"
