"""Floor of the room: events of the microphones in, events that the bot acts on out.

The first to speak holds the floor until their turn ends. Others who speak meanwhile are heard next: one
who is still speaking takes the floor at once, a turn that is already over waits until the room is quiet. Who
gives way (`Floor.give_way`), or speaks on past the limit of a turn while somebody waits, is behind the others
until they are quiet: nobody waits for them, and what they said is heard after the others.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, assert_never

from fishjam_agents.turns.machine import (
    CANCELLED,
    Confirmed,
    SpeechEnded,
    SpeechStarted,
    Suspected,
    TurnEnded,
    TurnEvent,
    TurnStarted,
    Withdrawn,
)

K = TypeVar("K", bound=Hashable)

_BACKGROUND = 3.0
"""Seconds of quiet after which what was in the background counts as somebody again."""


@dataclass(frozen=True, slots=True)
class GaveWay:
    """The turn that has the floor since `at` loses it, unfinished; it is heard later."""

    at: float


@dataclass(frozen=True, slots=True)
class FloorEvent(Generic[K]):
    """Something the bot acts on: `event` of the microphone `key`."""

    key: K
    event: Suspected | Confirmed | Withdrawn | TurnStarted | TurnEnded | GaveWay


class Floor(Generic[K]):
    """The floor of one room. Pure: the same events give the same answers.

    Attributes:
        holder: Microphone that holds the floor, None when nobody does.
        behind: Microphones that nobody waits for, whatever they hear.
    """

    def __init__(self) -> None:
        self.holder: K | None = None
        self.behind: set[K] = set()
        self._background: dict[K, float] = {}
        self._suspects: dict[K, Suspected] = {}
        self._open: dict[K, TurnStarted] = {}
        self._finished: list[tuple[K, TurnStarted, TurnEnded]] = []

    @property
    def turn_open(self) -> bool:
        """True if the holder is in a turn, as against a mere suspicion."""
        return self.holder in self._open

    @property
    def held_since(self) -> float | None:
        """Onset of the turn that has the floor; None without one."""
        started = None if self.holder is None else self._open.get(self.holder)
        return None if started is None else started.at

    def handle(self, key: K, event: TurnEvent) -> Sequence[FloorEvent[K]]:
        """Take an event of one microphone.

        Args:
            key: The microphone.
            event: What its turn machine said.

        Returns:
            What the bot has to act on, in order.
        """
        if key in self.behind and not self._comes_back(key, event):
            if isinstance(event, TurnEnded):
                self._end(key, event)
            elif isinstance(event, TurnStarted):
                self._open[key] = event
            return []
        match event:
            case Suspected():
                self._suspects[key] = event
                if self.holder is None:
                    self.holder = key
                return [FloorEvent(key, event)] if self.holder == key else []
            case Withdrawn():
                return self._withdraw(key, event)
            case Confirmed():
                self._suspects.pop(key, None)
                if self.holder != key and self.turn_open:
                    return []
                self.holder = key
                return [FloorEvent(key, event)]
            case TurnStarted():
                self._open[key] = event
                if self.holder is None or not self.turn_open:
                    self.holder = key
                return [FloorEvent(key, event)] if self.holder == key else []
            case TurnEnded():
                return self._end(key, event)
            case SpeechStarted() | SpeechEnded():
                return []
            case _:
                assert_never(event)

    def _comes_back(self, key: K, event: TurnEvent) -> bool:
        """Return whether a peer in the background has been quiet for long enough to be heard again."""
        if not isinstance(event, (Suspected, TurnStarted)) or key not in self._background:
            return False
        if event.at - self._background[key] < _BACKGROUND:
            return False
        del self._background[key]
        self.behind.discard(key)
        return True

    def leave(self, key: K) -> None:
        """A microphone is gone: whoever has the same one next is somebody else."""
        self.behind.discard(key)
        self._background.pop(key, None)

    def forget(self, key: K) -> None:
        """Drop the turns of a microphone that wait for the floor."""
        self._finished = [kept for kept in self._finished if kept[0] != key]

    def _withdraw(self, key: K, event: Withdrawn) -> Sequence[FloorEvent[K]]:
        self._suspects.pop(key, None)
        if self.holder != key:
            return []
        self.holder = next(iter(self._suspects), None)
        return [] if self.holder is not None else [FloorEvent(key, event)]

    def _end(self, key: K, event: TurnEnded) -> Sequence[FloorEvent[K]]:
        started = self._open.pop(key, TurnStarted(event.start))
        if key in self._background:
            self._background[key] = event.end
        elif event.reason != "limit":
            self.behind.discard(key)
        if self.holder != key:
            if event.reason != CANCELLED:
                self._finished.append((key, started, event))
            return []
        answers: list[FloorEvent[K]] = [FloorEvent(key, event)]
        answers += self._pass_on()
        if event.reason == "limit" and (self.holder is not None or self._finished):
            self.behind.add(key)
        return answers

    def _pass_on(self) -> Sequence[FloorEvent[K]]:
        """Give the floor to the next who is speaking."""
        self.holder = next((key for key in self._open if key not in self.behind), None)
        if self.holder is None:
            return []
        return [FloorEvent(self.holder, self._open[self.holder])]

    def give_way(self, background: bool = False) -> Sequence[FloorEvent[K]]:
        """Take the floor from a turn that is open: it is behind the others, until it ends.

        Args:
            background: It is no person who was passed over, but something that goes on in the background: it
                stays behind until it has been quiet for 3 s.

        Returns:
            What the bot has to act on, in order; nothing while no turn has the floor.
        """
        key, since = self.holder, self.held_since
        if key is None or since is None:
            return []
        self.behind.add(key)
        if background:
            self._background[key] = since
        return [FloorEvent(key, GaveWay(since)), *self._pass_on()]

    def next_waiting(self) -> Sequence[FloorEvent[K]]:
        """The oldest turn that waited for the floor, as its start and end; empty while anyone holds it.

        Whatever its speaker said after it is part of it, so that it waits for them while they go on.
        """
        first = next((kept for kept in self._finished if kept[0] not in self._open), None)
        if self.holder is not None or first is None:
            return []
        key, started, ended = first
        self._finished.remove(first)
        later = [end for other, _, end in self._finished if other == key]
        self._finished = [kept for kept in self._finished if kept[0] != key]
        if later:
            ended = replace(later[-1], start=ended.start)
        return [FloorEvent(key, started), FloorEvent(key, ended)]
