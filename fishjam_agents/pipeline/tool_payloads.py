"""Arguments and results of tools as events show them: not at all, or as the bot redacts them, and bounded."""

from __future__ import annotations

from typing import Any

from fishjam_agents.pipeline.redactor import Redactor
from fishjam_agents.tools.results import UnspeakableError, written

MAX_SHOWN = 2000
"""Characters of arguments or of a result that an event holds."""
_MAX_REDACTED = 20_000
"""Characters that are given to `redact`: more than are shown, so that a secret is seen as a whole."""


class ToolPayloads:
    """Makes them for one call.

    Args:
        shown: Whether they are to be shown.
        redactor: Changes a text to what may be shown.
    """

    def __init__(self, shown: bool, redactor: Redactor) -> None:
        self._shown = shown
        self._redactor = redactor

    def text(self, value: Any) -> str | None:
        """Arguments or a result as an event has them; None where they are not shown."""
        if not self._shown:
            return None
        try:
            payload = written(value, _MAX_REDACTED)
        except UnspeakableError:
            return None
        shown = self._redactor.text(payload)
        return shown if shown is None or len(shown) <= MAX_SHOWN else f"{shown[: MAX_SHOWN - 1]}…"
