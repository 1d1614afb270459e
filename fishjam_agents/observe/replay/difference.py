"""Effect of another setting: two lists of events of the same call, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fishjam_agents.observe.replay.run import Happened
from fishjam_agents.turns.machine import TurnEnded

_NEAR = 2.0
"""Seconds between two events of a kind that may still be the same one, decided or placed otherwise."""
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Difference:
    """An event that is not as it was.

    Attributes:
        before: As it was; None where it is new.
        after: As it is now; None where it is gone.
    """

    before: Happened | None
    after: Happened | None

    @property
    def at(self) -> float:
        """Time at which the first of the two was decided."""
        return min(each.at for each in (self.before, self.after) if each is not None)

    @property
    def moved(self) -> float:
        """Seconds by which it is decided later; 0 where there are not two."""
        if self.before is None or self.after is None:
            return 0.0
        return self.after.at - self.before.at


def differences(before: Sequence[Happened], after: Sequence[Happened]) -> list[Difference]:
    """Compare two runs over a call.

    Two events are the same one when microphone, kind and the moment meant in the audio are the same; of what
    is left, each takes the next of its microphone and kind within 2 s.

    Returns:
        What differs, in order of time.
    """
    rest: dict[tuple[int, str], list[Happened]] = {}
    for each in after:
        rest.setdefault((each.microphone, each.kind), []).append(each)
    found: list[Difference] = []
    unmatched: list[Happened] = []
    for each in before:
        candidates = rest.get((each.microphone, each.kind), [])
        twin = next((other for other in candidates if abs(other.media_at - each.media_at) < _SAME), None)
        if twin is None:
            unmatched.append(each)
            continue
        candidates.remove(twin)
        if not _alike(each, twin):
            found.append(Difference(each, twin))
    for each in unmatched:
        candidates = rest.get((each.microphone, each.kind), [])
        near = min(candidates, key=lambda other: abs(other.at - each.at), default=None)
        if near is not None and abs(near.at - each.at) <= _NEAR:
            candidates.remove(near)
            found.append(Difference(each, near))
        else:
            found.append(Difference(each, None))
    found += [Difference(None, each) for candidates in rest.values() for each in candidates]
    return sorted(found, key=lambda difference: difference.at)


def _alike(before: Happened, after: Happened) -> bool:
    if abs(after.at - before.at) >= _SAME:
        return False
    if isinstance(before.event, TurnEnded) and isinstance(after.event, TurnEnded):
        return abs(before.event.start - after.event.start) < _SAME and (
            before.event.reason == after.event.reason
        )
    return True
