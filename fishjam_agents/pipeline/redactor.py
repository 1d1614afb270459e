"""The bot's `redact`, behind a barrier: what it cannot redact is not shown."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fishjam_agents import events
from fishjam_agents.backends.tracebacks import SEE, defined_at, raised_at
from fishjam_agents.events import Event
from fishjam_agents.pipeline.hooks import Hooks

logger = logging.getLogger(__name__)


class Redactor:
    """Redacts texts of one call.

    Args:
        call: Id of the call.
        redact: Changes a text to what may be shown (`AgentPipeline.redact`).
        hooks: Told of its errors.
        emit: The same.
        now: Returns call time.
    """

    def __init__(
        self,
        call: str,
        redact: Callable[[str], str],
        hooks: Hooks,
        emit: Callable[[Event], None],
        now: Callable[[], float],
    ) -> None:
        self._call = call
        self._redact = redact
        self._hooks = hooks
        self._emit = emit
        self._now = now

    def text(self, text: str) -> str | None:
        """Return the part of a text that may be shown; None for nothing."""
        try:
            redacted: object = self._redact(text)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a bug of the bot
            # What it raises may hold what it was to hide: only its kind is told.
            self._failed(error, f"{type(error).__name__}, raised at {raised_at(error, foreign=True)}")
            return None
        if isinstance(redacted, str):
            return redacted
        found = type(redacted).__name__
        wrong = TypeError(f"redact returned a {found}: return the text that may be shown")
        self._failed(wrong, f"it returned a {found}, no text{defined_at(self._redact)}")
        return None

    def _failed(self, raised: BaseException, why: str) -> None:
        extra = {"call": self._call}
        logger.error(
            "The bot's redact failed (%s), and what it was given is not shown: %s", why, SEE, extra=extra
        )
        logger.debug("redact failed", exc_info=raised, extra=extra)
        self._emit(events.ErrorRaised(self._now(), f"failed: {why}", "redact"))
        error = raised if isinstance(raised, Exception) else RuntimeError("redact called exit()")
        self._hooks.start("on_error", error)
