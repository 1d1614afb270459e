"""Load of this process: how late its event loop is, and how busy. Measured once for all its calls.

Beyond its capacity a process degrades in an order: first silent microphones are judged by a part of their
frames (`hearing.thinning`), then a worker takes no further calls; what is said and heard comes last.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Literal, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from fishjam_agents.hearing.thinning import Thinning
from fishjam_agents.playout.ticker import Ticker

logger = logging.getLogger(__name__)

INTERVAL = 0.25
"""Seconds between two samples."""
WINDOW = 20
"""Intervals that are averaged, 5 s: a load of a few seconds counts, a single stall does not."""
RECENT = 8
"""Intervals, 2 s, that count for thinning: soon, since a loop that has a tenth more to do than it can is late
by a tenth of the time that this lasts."""
THINNED = 0.85
"""Share of a limit above which detection is thinned."""
RELIEF = 0.8
"""Share of a limit below which what was over it no longer is."""
_UNTOLD = 1.0
"""Seconds without a sample after which what was before tells nothing."""

LoadState: TypeAlias = Literal["relieved", "thinned", "overloaded"]
"""Within its capacity; near it, so that detection is thinned; over a limit."""


@dataclass(frozen=True, slots=True)
class Load:
    """Average of the last seconds.

    Attributes:
        lag: Seconds that the event loop was late.
        cpu: Share of one core; more than 1 where threads work beside the loop.
        busy: Share of one core that the loop's own thread used.
    """

    lag: float = 0.0
    cpu: float = 0.0
    busy: float = 0.0


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """Most that a process may be loaded with; None is no limit.

    Attributes:
        lag: Seconds that the event loop may be late.
        cpu: Share of one core.
    """

    lag: float | None = 0.05
    cpu: float | None = 0.9


class _Sample(NamedTuple):
    at: float
    lag: float
    cpu: float
    busy: float


class ProcessLoad:
    """Load of the process that an event loop runs in.

    Args:
        used: Tells the seconds of CPU that the process has used, and the thread of the loop.

    Attributes:
        used: The same.
        limits: What is too much.
        load: Average of 5 s.
        state: What the load is taken for.
        over: Limits that it is over, by their names.
        overloads: How often it went over a limit.
        thinning: Whether detection is thinned, for the microphones of all calls.
    """

    _shared: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, ProcessLoad]] = WeakKeyDictionary()

    def __init__(self, used: Callable[[], tuple[float, float]]) -> None:
        self.limits = LoadLimits()
        self.load = Load()
        self.state: LoadState = "relieved"
        self.over: set[Literal["lag", "cpu"]] = set()
        self.overloads = 0
        self.thinning = Thinning()
        self.used = used
        self._samples: deque[_Sample] = deque(maxlen=WINDOW + 1)
        self._watchers: dict[int, Callable[[], None]] = {}
        self._next_key = 0
        self._ticker: Ticker | None = None
        self._leave_ticker: Callable[[], None] | None = None
        self._due = 0.0
        self._late = 0.0
        self._ticks = 0

    @classmethod
    def shared(cls) -> ProcessLoad:
        """The load of the running loop's process."""
        loop = asyncio.get_running_loop()
        shared = cls._shared.get(loop)
        if shared is None:
            # A loop in virtual time has no use for the CPU of real time.
            used = getattr(loop, "cpu_used", None)
            shared = cls._shared[loop] = cls(used or _cpu_used)
        return shared

    @property
    def is_watched(self) -> bool:
        """True while a call watches it, by whose ticks it is measured."""
        return bool(self._watchers)

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Measure by the tick of calls, and tell of each new `state`.

        Args:
            changed: Called when it has changed; at once, if it is not `relieved`.

        Returns:
            The function that ends it.
        """
        key = self._next_key
        self._next_key += 1
        self._watchers[key] = changed
        if self._leave_ticker is None:
            self._ticker = Ticker.shared()
            self._leave_ticker = self._ticker.subscribe(self._tick)
        if self.state != "relieved":
            changed()

        def leave() -> None:
            self._watchers.pop(key, None)
            if not self._watchers and self._leave_ticker is not None:
                self._leave_ticker()
                self._leave_ticker = None

        return leave

    def _tick(self, now: float) -> None:
        assert self._ticker is not None
        self._late += self._ticker.lag
        self._ticks += 1
        if now >= self._due:
            lag = self._late / self._ticks
            self._due, self._late, self._ticks = now + INTERVAL, 0.0, 0
            self.sample(now, lag)

    def sample(self, now: float, lag: float) -> None:
        """Take a sample; while a call watches, that is done by its ticks.

        Args:
            now: Loop time.
            lag: Seconds that the loop was late since the last sample, on the average.
        """
        lag = max(0.0, lag)
        samples = self._samples
        if samples and now - samples[-1].at - lag > _UNTOLD:
            samples.clear()
            self.over.clear()
            self._become("relieved")
        samples.append(_Sample(now, lag, *self.used()))
        if len(samples) < 2:
            return
        self.load = _average(samples)
        if len(samples) <= RECENT:
            # A call that begins, or a process, is busy for a moment.
            return
        self._judge("lag", self.load.lag, self.limits.lag)
        self._judge("cpu", self.load.cpu, self.limits.cpu)
        near: LoadState = "thinned" if self._is_near() else "relieved"
        self._become("overloaded" if self.over else near)

    def _judge(self, name: Literal["lag", "cpu"], value: float, limit: float | None) -> None:
        if limit is not None and value > limit:
            self.over.add(name)
        elif limit is None or value < RELIEF * limit:
            self.over.discard(name)

    def _become(self, state: LoadState) -> None:
        if state == self.state:
            return
        if state == "overloaded":
            self.overloads += 1
        before, self.state = self.state, state
        self.thinning.active = state != "relieved"
        load = f"{self.load.cpu:.0%} of a core, the event loop {1000 * self.load.lag:.0f} ms late"
        if "overloaded" in (before, state):
            told = "beyond its capacity" if state == "overloaded" else "no longer beyond its capacity"
            logger.warning("This process is %s (%s)", told, load)
        else:
            logger.info("Detection of silent microphones is %s (%s)", _OF_DETECTION[state], load)
        for changed in tuple(self._watchers.values()):
            changed()

    def _is_near(self) -> bool:
        """Return whether detection is to be thinned, by the last two seconds."""
        recent = _average(tuple(islice(self._samples, len(self._samples) - RECENT - 1, None)))
        usual = LoadLimits()
        share = THINNED * (RELIEF if self.thinning.active else 1.0)
        lag, cpu = self.limits.lag or usual.lag, self.limits.cpu or usual.cpu
        return (lag is not None and recent.lag > share * lag) or (
            cpu is not None and recent.busy > share * cpu
        )


_OF_DETECTION = {"thinned": "thinned", "relieved": "no longer thinned"}


def _average(samples: Sequence[_Sample]) -> Load:
    first, last = samples[0], samples[-1]
    seconds = last.at - first.at
    lag = sum(sample.lag for sample in samples) / len(samples)
    if seconds <= 0:
        return Load(lag)
    return Load(lag, (last.cpu - first.cpu) / seconds, (last.busy - first.busy) / seconds)


def _cpu_used() -> tuple[float, float]:
    return time.process_time(), time.thread_time()
