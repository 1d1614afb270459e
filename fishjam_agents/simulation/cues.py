"""What happens when in a scene: at a time, or some time after an event. Pure."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fishjam_agents.testing.moments import Moment

Action = Callable[[], None]

_EARLY = 1e-6
"""A time that is a multiple of 20 ms must not be pushed a tick on by its rounding error."""


@dataclass(slots=True)
class _Waiting:
    moment: Moment
    action: Action
    missing: int


class Cues:
    """Actions of a scene and their times, in seconds since the call's zero."""

    def __init__(self) -> None:
        self._timed: list[tuple[float, int, Action]] = []
        self._waiting: list[_Waiting] = []
        self._numbers = itertools.count()

    @property
    def pending(self) -> bool:
        """Whether an action has its time and waits for it."""
        return bool(self._timed)

    def add(self, moment: Moment, action: Action) -> None:
        """Do something at a moment."""
        if moment.after is None:
            self.at(moment.seconds, action)
        else:
            self._waiting.append(_Waiting(moment, action, moment.after.number))

    def at(self, time: float, action: Action) -> None:
        """Do something at a time."""
        heapq.heappush(self._timed, (time, next(self._numbers), action))

    def saw(self, event: Mapping[str, Any]) -> None:
        """An event has come, its times in seconds since the call's zero."""
        for waiting in tuple(self._waiting):
            after = waiting.moment.after
            if after is None or not after.fits(event):
                continue
            waiting.missing -= 1
            if waiting.missing == 0:
                self._waiting.remove(waiting)
                self.at(event.get(after.time, event["at"]) + waiting.moment.seconds, waiting.action)

    def perform(self, time: float) -> None:
        """Do what is due."""
        while self._timed and self._timed[0][0] <= time + _EARLY:
            heapq.heappop(self._timed)[2]()
