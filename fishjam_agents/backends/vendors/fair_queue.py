"""A queue in which each owner has its turn: who asks for much waits behind his own requests."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Entries by owner, round robin; those of one owner in order."""

    def __init__(self) -> None:
        self._lines: OrderedDict[Hashable, deque[T]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def __bool__(self) -> bool:
        return bool(self._lines)

    def __iter__(self) -> Iterator[T]:
        return (entry for line in list(self._lines.values()) for entry in list(line))

    def put(self, owner: Hashable, entry: T) -> None:
        """Add an entry behind those of its owner."""
        self._lines.setdefault(owner, deque()).append(entry)

    def pop(self) -> T:
        """Remove the next entry; its owner's others wait for all other owners."""
        owner, line = self._lines.popitem(last=False)
        entry = line.popleft()
        if line:
            self._lines[owner] = line
        return entry

    def remove(self, owner: Hashable, entry: T) -> None:
        """Remove an entry, if it is there."""
        line = self._lines.get(owner)
        if line is None or entry not in line:
            return
        line.remove(entry)
        if not line:
            del self._lines[owner]
