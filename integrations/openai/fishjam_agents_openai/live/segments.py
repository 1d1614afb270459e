"""Segments of turns: what was committed together, and which item of the service it became. Pure.

The service names an item only when it is committed, and its events of several items come in any order
(OpenAI, Realtime transcription guide). Acknowledgements of `commit` and `clear` come in the order in which
those were sent: so the first item that is new belongs to the first segment that has none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from fishjam_agents.backends.cascade.speech import RATE


@dataclass(eq=False, slots=True)
class Segment:
    """Sound between two commits.

    Attributes:
        start: Its first sample, of its turn.
        changed: Called when its words, or what is known of it, have changed.
        end: The sample after its last one; None while it grows.
        words: What was understood of it.
        settled: Whether that is final.
        failed: Why it will never be.
        item: Id of the service's item.
        dropped: Whether nobody wants it any more.
        costs: What it has cost, by the service's own names.
    """

    start: int
    changed: Callable[[], None]
    end: int | None = None
    words: str = ""
    settled: bool = False
    failed: str | None = None
    item: str | None = None
    dropped: bool = False
    costs: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Length; 0 while it grows."""
        return 0.0 if self.end is None else (self.end - self.start) / RATE

    def drop(self) -> None:
        """Have it known as one that nobody wants, without keeping the turn and its sound."""
        self.dropped = True
        self.changed = _nobody


def _nobody() -> None:
    """Nobody is told of what becomes of a dropped segment."""


@dataclass(slots=True)
class Segments:
    """Segments of one connection.

    Attributes:
        open: The one whose sound is in the service's input buffer.
    """

    open: Segment | None = None
    # Committed and cleared ones whose acknowledgement has not come, oldest first.
    _sent: deque[Segment] = field(default_factory=deque)
    _items: dict[str, Segment] = field(default_factory=dict)

    @property
    def awaited(self) -> list[Segment]:
        """Segments that are wanted and not settled, oldest first."""
        known = [one for one in self._items.values() if one not in self._sent and one is not self.open]
        every = [*known, *self._sent, *([self.open] if self.open is not None else [])]
        return [one for one in every if not (one.settled or one.dropped)]

    def close(self) -> Segment:
        """Take the open segment for committed, or cleared."""
        assert self.open is not None
        segment, self.open = self.open, None
        self._sent.append(segment)
        return segment

    def committed(self, item: str) -> None:
        """Take the acknowledgement of a commit."""
        while self._sent:
            segment = self._sent.popleft()
            if segment.dropped and segment.end is None:
                # It was cleared, which not every server acknowledges.
                continue
            self._name(segment, item)
            return

    def cleared(self) -> None:
        """Take the acknowledgement of a clear."""
        if self._sent and self._sent[0].dropped and self._sent[0].end is None:
            self._sent.popleft()

    def refused(self) -> None:
        """Take notice that the oldest commit was refused as empty: there is nothing to be understood."""
        while self._sent:
            segment = self._sent.popleft()
            if not (segment.dropped and segment.end is None):
                segment.settled = True
                segment.changed()
                return

    def of(self, item: str) -> Segment | None:
        """Return the segment that an event is about; None where it is of nothing that was sent."""
        segment = self._items.get(item)
        if segment is None:
            segment = next((one for one in self._sent if one.item is None), None)
            if segment is None and self.open is not None and self.open.item is None:
                segment = self.open
            if segment is not None:
                self._name(segment, item)
        return segment

    def forget(self, segment: Segment) -> None:
        """Nothing more comes of a segment."""
        if segment.item is not None:
            self._items.pop(segment.item, None)

    def _name(self, segment: Segment, item: str) -> None:
        other = self._items.get(item)
        if other is segment:
            return
        if other is not None:
            # Its words had come before anything told whose they are.
            segment.words, other.words, other.item = other.words, "", None
            other.changed()
        if segment.item is not None:
            self._items.pop(segment.item, None)
        segment.item = item
        self._items[item] = segment
        if segment.words:
            segment.changed()
