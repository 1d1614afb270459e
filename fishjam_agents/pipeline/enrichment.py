"""Text that a bot adds to a turn before its model answers (`BotHooks.enrich`), within a bound."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from fishjam_agents import events
from fishjam_agents.backends import port
from fishjam_agents.backends.tracebacks import defined_at
from fishjam_agents.events import Turn, TurnEnriched
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.ports import BackendInputSink

logger = logging.getLogger(__name__)

_LONGEST = 8000
"""Characters of such a text; it is part of every later request of a cascade."""


class Enrichment:
    """Asks the bot for text about a turn, and waits no longer than `turns.enrich_within`.

    Args:
        context: The call.
    """

    def __init__(self, context: CallContext) -> None:
        self._context = context

    @property
    def is_wanted(self) -> bool:
        """True if the bot overrides the hook."""
        return self._context.hooks.has("enrich")

    async def text(self, turn: Turn) -> str | None:
        """Return the text as the model is told it; None where there is none, or it came too late."""
        if not self.is_wanted:
            return None
        context, hooks = self._context, self._context.hooks
        begun, limit = context.now(), context.turns.enrich_within
        hook = getattr(hooks.bot, "enrich", None)
        answer = await hooks.ask("enrich", limit, turn)
        text, outcome = answer.value, answer.outcome
        if outcome == "late":
            logger.warning(
                "The hook enrich%s took longer than turns.enrich_within (%g s): its text for %s is dropped, "
                "and the model answers without",
                *(defined_at(hook), limit, turn.id),
                extra={"call": context.id},
            )
        elif outcome == "ok" and text is not None and not isinstance(text, str):
            outcome = "failed"
            message = f"enrich returned {type(text).__name__}{defined_at(hook)}: return text, or None"
            context.emit(events.ErrorRaised(context.now(), message, "enrich"))
        added = text.strip()[:_LONGEST] if outcome == "ok" and isinstance(text, str) else ""
        told: TurnEnriched = events.TurnEnriched(
            *(context.now(), turn.id, outcome, round(context.now() - begun, 3), len(added))
        )
        context.emit(told)
        return f"[{added}]" if added else None


class EnrichingSink:
    """Way of turns to a backend that does not ask for text itself: what follows a turn waits with it.

    Args:
        enrichment: Asks the bot.
        backend: Taker of what is said.
        run: Owns a task of the call.
        asks_itself: Returns whether the backend that serves the call asks for the text.
    """

    def __init__(
        self,
        enrichment: Enrichment,
        backend: BackendInputSink,
        run: Callable[..., None],
        asks_itself: Callable[[], bool],
    ) -> None:
        self._enrichment = enrichment
        self._backend = backend
        self._run = run
        self._asks_itself = asks_itself
        self._held: deque[port.BackendInput] = deque()
        self._asking = False

    def put(self, entry: port.BackendInput) -> None:
        """Pass an entry on, in order. Never waits."""
        if self._asking:
            self._held.append(entry)
        elif (
            isinstance(entry, port.TurnEndedInput) and self._enrichment.is_wanted and not self._asks_itself()
        ):
            self._asking = True
            self._run(self._enrich(entry), "enrich")
        else:
            self._backend.put(entry)

    async def _enrich(self, entry: port.TurnEndedInput) -> None:
        try:
            text = await self._enrichment.text(entry.turn)
            if text is not None:
                self._backend.put(port.TextInput(text, note=True))
        finally:
            self._backend.put(entry)
            self._asking = False
            while self._held and not self._asking:
                self.put(self._held.popleft())
