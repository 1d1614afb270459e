"""Arguments and results of tools as events show them: not at all, or as the bot redacts them, and bounded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fishjam_agents import events
from fishjam_agents.backends.tracebacks import SEE, defined_at, raised_at
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.tools.results import UnspeakableError, written

logger = logging.getLogger(__name__)

MAX_SHOWN = 2000
"""Characters of arguments or of a result that an event holds."""
_MAX_REDACTED = 20_000
"""Characters that are given to `redact`: more than are shown, so that a secret is seen as a whole."""


class ToolPayloads:
    """Makes them for one call.

    Args:
        context: The call.
        shown: Whether they are to be shown.
        redact: Changes a text to what may be shown (`AgentPipeline.redact`).
    """

    def __init__(self, context: CallContext, shown: bool, redact: Callable[[str], str]) -> None:
        self._context = context
        self._shown = shown
        self._redact = redact

    def text(self, value: Any) -> str | None:
        """Arguments or a result as an event has them; None where they are not shown."""
        if not self._shown:
            return None
        try:
            payload = written(value, _MAX_REDACTED)
        except UnspeakableError:
            return None
        try:
            redacted: object = self._redact(payload)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a bug of the bot
            # What it raises may hold what it was to hide: only its kind is told.
            self._failed(error, f"{type(error).__name__}, raised at {raised_at(error, foreign=True)}")
            return None
        if not isinstance(redacted, str):
            found = type(redacted).__name__
            wrong = TypeError(f"redact returned a {found}: return the text that may be shown")
            self._failed(wrong, f"it returned a {found}, no text{defined_at(self._redact)}")
            return None
        return redacted if len(redacted) <= MAX_SHOWN else f"{redacted[: MAX_SHOWN - 1]}…"

    def _failed(self, raised: BaseException, why: str) -> None:
        context = self._context
        extra = {"call": context.id}
        logger.error(
            "The bot's redact failed (%s), and what it was given is not shown: %s", why, SEE, extra=extra
        )
        logger.debug("redact failed", exc_info=raised, extra=extra)
        context.emit(events.ErrorRaised(context.now(), f"failed: {why}", "redact"))
        error = raised if isinstance(raised, Exception) else RuntimeError("redact called exit()")
        context.start_hook("on_error", error)
