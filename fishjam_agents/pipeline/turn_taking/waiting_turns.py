"""Turns that are over and wait for the floor, and the bounds of their patience."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fishjam_agents.audio.samples import Samples
from fishjam_agents.events import Turn
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.turns.loudness import loudness

_UNHEARD = 3.0
"""Seconds for which somebody of whom no word is understood holds the floor whoever waits."""
_QUIETER = 4.0
"""dB below who waits that make a holder somebody, or something, in the background."""
_PATIENCE = 4.5
"""Seconds for which a turn waits for a holder who is as loud."""
_COURTESY = 1.0
"""Seconds for which it waits for one who is not: a person's sentence may be about to end."""
_REMARK = 1.0
"""Seconds below which a turn is a remark, for which nobody who is as loud is passed over."""
_COMPARED = 150
"""Frames of a turn whose loudness is compared, from its end."""
_NOW = 1.3
"""Seconds of the holder's microphone that are compared."""


Passed = Literal["background", "person"]


@dataclass(frozen=True, slots=True, eq=False)
class _Turn:
    microphone: Microphone
    turn: Turn
    audio: Samples
    level: float


class WaitingTurns:
    """Turns that are over, and a reply that is held, while somebody else has the floor."""

    def __init__(self) -> None:
        self._turns: list[_Turn] = []
        self._asked = 0.0
        self._held_since: float | None = None

    def __bool__(self) -> bool:
        return bool(self._turns)

    def add(self, microphone: Microphone, turn: Turn) -> None:
        """Keep a turn that has just ended, with its audio."""
        audio = microphone.turn_audio(turn.end)
        self._turns.append(_Turn(microphone, turn, audio, _loudness_of_turn(microphone)))

    def take(self, microphone: Microphone) -> tuple[Turn, Samples]:
        """Take the turns of a microphone as one: one answer is enough for all that somebody said."""
        taken = [kept for kept in self._turns if kept.microphone is microphone]
        self.forget(microphone)
        last = taken[-1]
        self._asked = last.level
        return replace(last.turn, start=taken[0].turn.start), np.concatenate([kept.audio for kept in taken])

    def forget(self, microphone: Microphone) -> None:
        """Drop the turns of a microphone."""
        self._turns = [kept for kept in self._turns if kept.microphone is not microphone]

    def asked(self, microphone: Microphone) -> None:
        """Note the loudness of a turn that has just ended and is to be answered."""
        self._asked = _loudness_of_turn(microphone)

    def hold_reply(self, now: float) -> None:
        """Note that an answer waits for somebody to stop speaking."""
        self._held_since = now

    def release_reply(self) -> None:
        """Note that no answer waits."""
        self._held_since = None

    def passes_over(self, holder: Microphone, since: float, now: float) -> Passed | None:
        """Decide whether those who wait need not wait any longer for the holder of the floor.

        Args:
            holder: The holder.
            since: Time since which it has the floor, call time.
            now: Call time.

        Returns:
            The kind as which the holder is passed over: as something in the background, or as a person who
            has had their time. None while the others wait.
        """
        if now - since < _UNHEARD or holder.machine.words:
            return None
        for waited, level, remark in self._patience(holder, now):
            if waited >= _COURTESY and loudness(holder.recent(now - _NOW)) <= level - _QUIETER:
                return "background"
            if waited >= _PATIENCE and not remark:
                return "person"
        return None

    def _patience(self, holder: Microphone, now: float) -> Sequence[tuple[float, float, bool]]:
        """List for each the time waited, the loudness of its speaker, and whether it is a mere remark."""
        found = [
            (now - kept.turn.end, kept.level, kept.turn.end - kept.turn.start < _REMARK)
            for kept in self._turns
            if kept.microphone is not holder
        ]
        if self._held_since is not None:
            found.append((now - self._held_since, self._asked, False))
        return found


def _loudness_of_turn(microphone: Microphone) -> float:
    return loudness(microphone.turn_frames()[-_COMPARED:])
