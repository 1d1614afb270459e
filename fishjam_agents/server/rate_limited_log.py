"""Warnings that could come fifty times a second, logged at most once a minute."""

from __future__ import annotations

import logging
from time import monotonic

SILENCE_SECONDS = 60.0
"""Seconds during which the same warning is not repeated."""


class RateLimitedLog:
    """One warning.

    Args:
        log: Where it is logged.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._quiet_until = float("-inf")
        self._unsaid = 0

    def warning(self, message: str, *arguments: object) -> None:
        """Log a warning, unless the last one is too recent."""
        if self._due():
            self._log.warning(message, *arguments)

    def exception(self, message: str, *arguments: object) -> None:
        """Log the exception that is handled with its traceback, unless the last one is too recent."""
        if self._due():
            self._log.exception(f"{message} (%d more since the last time)", *arguments, self._unsaid)
            self._unsaid = 0

    def _due(self) -> bool:
        now = monotonic()
        if now < self._quiet_until:
            self._unsaid += 1
            return False
        self._quiet_until = now + SILENCE_SECONDS
        return True
