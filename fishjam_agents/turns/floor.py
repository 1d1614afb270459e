"""Who holds the floor of the room: what the microphones say, made into what the bot acts on.

The first to speak holds the floor until their turn ends. Others who speak meanwhile are heard next: one
who is still speaking takes the floor at once, a turn that is already over waits until the room is quiet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from fishjam_agents.turns.machine import (
    CANCELLED,
    Confirmed,
    Suspected,
    TurnEnded,
    TurnEvent,
    TurnStarted,
    Withdrawn,
)

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class FloorEvent(Generic[K]):
    """Something the bot acts on: `event` of the microphone `key`.

    `late` marks a turn that waited for the floor and is delivered after the fact.
    """

    key: K
    event: Suspected | Confirmed | Withdrawn | TurnStarted | TurnEnded
    late: bool = False


class Floor(Generic[K]):
    """The floor of one room. Pure: the same events give the same answers.

    Attributes:
        holder: Microphone that holds the floor, None when nobody does.
    """

    def __init__(self) -> None:
        self.holder: K | None = None
        self._suspects: dict[K, Suspected] = {}
        self._open: dict[K, TurnStarted] = {}
        self._finished: deque[tuple[K, TurnStarted, TurnEnded]] = deque()

    @property
    def turn_open(self) -> bool:
        """Whether the holder is in a turn, as against a mere suspicion."""
        return self.holder in self._open

    @property
    def waiting(self) -> bool:
        """Whether finished turns wait for a quiet room (`next_waiting`)."""
        return bool(self._finished)

    def handle(self, key: K, event: TurnEvent) -> Sequence[FloorEvent[K]]:
        """Take an event of one microphone.

        Args:
            key: The microphone.
            event: What its turn machine said.

        Returns:
            What the bot has to act on, in order.
        """
        if isinstance(event, Suspected):
            self._suspects[key] = event
            if self.holder is None:
                self.holder = key
            return [FloorEvent(key, event)] if self.holder == key else []
        if isinstance(event, Withdrawn):
            return self._withdraw(key, event)
        if isinstance(event, Confirmed):
            self._suspects.pop(key, None)
            if self.holder != key and self.turn_open:
                return []
            self.holder = key
            return [FloorEvent(key, event)]
        if isinstance(event, TurnStarted):
            self._open[key] = event
            if self.holder is None or not self.turn_open:
                self.holder = key
            return [FloorEvent(key, event)] if self.holder == key else []
        if isinstance(event, TurnEnded):
            return self._end(key, event)
        return []

    def _withdraw(self, key: K, event: Withdrawn) -> Sequence[FloorEvent[K]]:
        self._suspects.pop(key, None)
        if self.holder != key:
            return []
        self.holder = next(iter(self._suspects), None)
        return [] if self.holder is not None else [FloorEvent(key, event)]

    def _end(self, key: K, event: TurnEnded) -> Sequence[FloorEvent[K]]:
        started = self._open.pop(key, TurnStarted(event.start))
        if self.holder != key:
            if event.reason != CANCELLED:
                self._finished.append((key, started, event))
            return []
        answers: list[FloorEvent[K]] = [FloorEvent(key, event)]
        self.holder = next(iter(self._open), None)
        if self.holder is not None:
            answers.append(FloorEvent(self.holder, self._open[self.holder], late=True))
        return answers

    def next_waiting(self) -> Sequence[FloorEvent[K]]:
        """The oldest turn that waited for the floor, as its start and end; empty while anyone holds it."""
        if self.holder is not None or not self._finished:
            return []
        key, started, ended = self._finished.popleft()
        return [FloorEvent(key, started, late=True), FloorEvent(key, ended, late=True)]
