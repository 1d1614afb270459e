"""Schedule of a scene's actions: at a time, or some time after an event. Pure."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fishjam_agents.testing.time_spec import TimeSpec

Action = Callable[[], None]

_EARLY = 0.01
"""Half a tick, by which actions may be early: of two runs, in which an event came a few milliseconds
apart, both go on in the same tick."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Something a scenario has in it that did not happen in the call.

    Attributes:
        key: Where the scenario has it: `callers.ann.lines[1]`.
        why: What kept it from happening, in words.
    """

    key: str
    why: str


@dataclass(slots=True)
class _Waiting:
    moment: TimeSpec
    key: str
    action: Action
    missing: int


@dataclass(slots=True, order=True)
class _Timed:
    time: float
    number: int
    key: str = field(compare=False)
    action: Action = field(compare=False)


class Scheduler:
    """Actions of a scene and their times, in seconds since the call's zero."""

    def __init__(self) -> None:
        self._timed: list[_Timed] = []
        self._waiting: list[_Waiting] = []
        self._numbers = itertools.count()

    @property
    def pending(self) -> bool:
        """True while an action has its time and waits for it."""
        return bool(self._timed)

    def add(self, moment: TimeSpec, key: str, action: Action) -> None:
        """Do something, which the scenario has at `key`, at a moment."""
        if moment.after is None:
            self.at(moment.seconds, key, action)
        else:
            self._waiting.append(_Waiting(moment, key, action, moment.after.number))

    def at(self, time: float, key: str, action: Action) -> None:
        """Do something at a time. Nobody misses what has no key."""
        heapq.heappush(self._timed, _Timed(time, next(self._numbers), key, action))

    def saw(self, event: Mapping[str, Any]) -> None:
        """An event has come, its times in seconds since the call's zero."""
        for waiting in tuple(self._waiting):
            after = waiting.moment.after
            if after is None or not after.fits(event):
                continue
            waiting.missing -= 1
            if waiting.missing == 0:
                self._waiting.remove(waiting)
                self.at(event[after.time] + waiting.moment.seconds, waiting.key, waiting.action)

    def perform(self, time: float) -> None:
        """Do what is due."""
        while self._timed and self._timed[0].time <= time + _EARLY:
            heapq.heappop(self._timed).action()

    def missed(self) -> list[Missed]:
        """Return the actions that have not happened so far, and why."""
        never = [Missed(waiting.key, f"{waiting.moment.after} never came") for waiting in self._waiting]
        late = [
            Missed(timed.key, f"the call was over before {timed.time:.2f} s")
            for timed in sorted(self._timed)
            if timed.key
        ]
        return never + late
