"""Sounds of one microphone that turned out to be none of anybody's words, and are noise for a while."""

from __future__ import annotations

_IN_A_ROW = 3
_WINDOW = 5.0
"""Seconds between two sounds of a row, and seconds for which noise stays noise."""


class NoiseMemory:
    """Remembers withdrawn sounds. Times are media time, in seconds.

    After three in a row, and after one that went on without becoming a word, what follows is followed in
    silence: nobody stops for it before it is certainly a voice.
    """

    __slots__ = ("_count", "_last", "_until")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything: somebody has spoken."""
        self._count = 0
        self._last = float("-inf")
        self._until = float("-inf")

    def withdrawn(self, at: float) -> None:
        """Take note of a sound that was over at `at` before it was a word."""
        self._count = self._count + 1 if at - self._last <= _WINDOW else 1
        self._last = at
        if self._count >= _IN_A_ROW:
            self._until = at + _WINDOW

    def unending(self, at: float) -> None:
        """Take note of a sound that goes on at `at` without being a word."""
        self._last = at
        self._count = _IN_A_ROW
        self._until = at + _WINDOW

    def covers(self, at: float) -> bool:
        """Return whether a sound that begins at `at` is noise until it proves to be a voice."""
        return at < self._until
