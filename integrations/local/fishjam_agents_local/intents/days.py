"""Days on which words of a conversation were said: "tomorrow" stays the same day after midnight."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from itertools import takewhile


class DaysOfWords:
    """Memory of when each of a caller's utterances was first shown.

    A conversation is shown again and again, longer each time. It may have lost its beginning since, and its
    end may be another one: an answer was begun before all was said.

    Args:
        today: Tells what day it is.
    """

    def __init__(self, today: Callable[[], datetime.date]) -> None:
        self._today = today
        self._known: list[tuple[str, datetime.date]] = []

    def of(self, said: Sequence[str]) -> list[datetime.date]:
        """Return the day of each utterance, in their order."""
        lost = max(range(len(self._known) + 1), key=lambda lost: (self._alike(said, lost), -lost))
        days = [day for _, day in self._known[lost:]][: self._alike(said, lost)]
        days += [self._today()] * (len(said) - len(days))
        self._known = list(zip(said, days, strict=True))
        return days

    def _alike(self, said: Sequence[str], lost: int) -> int:
        """Number of utterances that are the known ones, if so many at the beginning are lost."""
        pairs = zip((text for text, _ in self._known[lost:]), said, strict=False)
        return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
