"""Underruns, losses and a late loop become events, once a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from fishjam_agents.events import AudioDropped, AudioUnderrun, Event, LoopLag
from fishjam_agents.pipeline.audio_health import AudioHealth
from fishjam_agents.playout.ticker import Ticker


@dataclass
class Output:
    underruns: int = 0
    dropped: float = 0.0


@dataclass
class Watched:
    output: Output = field(default_factory=Output)
    lost: float = 0.0
    told: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ticker = Ticker()
        self.health = AudioHealth(
            *(self.told.append, self.output, lambda: self.lost, self.ticker)  # type: ignore[arg-type]
        )

    def ticks(self, since: float, until: float, late: float = 0.0) -> None:
        """Tick from one time to another; the first tick comes late."""
        for number in range(round((until - since) / 0.02)):
            self.ticker.lag = 0.0 if number else late
            self.health.tick(since + number * 0.02)


def test_a_call_without_trouble_tells_nothing() -> None:
    watched = Watched()
    watched.ticks(0, 10)
    assert watched.told == []


def test_what_happens_in_one_second_is_told_together() -> None:
    watched = Watched()
    for at in range(5):
        watched.output.underruns += 10
        watched.ticks(at, at + 1)
    watched.health.tell(5.0)
    assert sum(event.times for event in watched.told if isinstance(event, AudioUnderrun)) == 50
    times = [event.at for event in watched.told]
    assert all(after - before >= 0.98 for before, after in pairwise(times))


def test_the_worst_lag_of_a_second_is_told_and_what_the_lead_rides_out_is_not() -> None:
    watched = Watched()
    watched.ticks(0, 0.5)
    watched.ticks(0.79, 0.9, late=0.29)
    watched.ticks(1.05, 3, late=0.15)
    watched.ticks(3.09, 5, late=0.09)
    assert [(round(event.at, 1), event.seconds) for event in watched.told if isinstance(event, LoopLag)] == [
        (1.1, 0.29)
    ]


def test_losses_of_both_directions_are_told_apart() -> None:
    watched = Watched()
    watched.ticks(0, 1)
    watched.lost, watched.output.dropped = 0.04, 2.5
    watched.health.tell(1.0)
    assert watched.told == [AudioDropped(1.0, "input", 0.04), AudioDropped(1.0, "output", 2.5)]
