"""Loudest speaker in a mix, where that can be said."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from fishjam_agents.audio.formats import FRAMES_PER_SECOND
from fishjam_agents.hearing.ring import SECONDS

K = TypeVar("K", bound=Hashable)

CLEARLY = 4.0
"""Times the energy of anybody else that the loudest must have to be named: 6 dB."""


class Loudness(Generic[K]):
    """Energies of the voices of a mix, 20 ms each, for as long as a turn can begin before it is noticed."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, Mapping[K, float]]] = deque(
            maxlen=round(SECONDS * FRAMES_PER_SECOND)
        )
        self._turn: dict[K, float] | None = None

    def add(self, end: float, energies: Mapping[K, float]) -> None:
        """Take what each voice had in the frame that ends at media time `end`; the quiet may be left out."""
        self._recent.append((end, energies))
        if self._turn is not None:
            _sum(self._turn, energies)

    def since(self, start: float) -> K | None:
        """The one who was clearly loudest since `start`, None when there is no such."""
        total: dict[K, float] = {}
        for end, energies in self._recent:
            if end > start + 1e-6:
                _sum(total, energies)
        return _loudest(total)

    def open_turn(self, start: float) -> None:
        """A turn began at `start`: everything since then counts for it."""
        self._turn = {}
        for end, energies in self._recent:
            if end > start + 1e-6:
                _sum(self._turn, energies)

    def of_turn(self) -> K | None:
        """The one who has been clearly loudest in the turn so far."""
        return None if self._turn is None else _loudest(self._turn)

    def close_turn(self) -> None:
        """The turn is over."""
        self._turn = None


def _sum(total: dict[K, float], energies: Mapping[K, float]) -> None:
    for key, energy in energies.items():
        total[key] = total.get(key, 0.0) + energy


def _loudest(total: Mapping[K, float]) -> K | None:
    best: K | None = None
    first = second = 0.0
    for key, energy in total.items():
        if energy > first:
            best, first, second = key, energy, first
        elif energy > second:
            second = energy
    return best if first > 0.0 and first >= CLEARLY * second else None
