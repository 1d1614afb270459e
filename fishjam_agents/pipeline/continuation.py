"""A conversation that goes on after its process was lost: its open tools, and the line about the gap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from fishjam_agents import events
from fishjam_agents.backends.conversation import UNKNOWN_OUTCOME, PastConversation, ToolLine
from fishjam_agents.backends.port import TextInput
from fishjam_agents.events import Event
from fishjam_agents.journal.entries import ToolEnded
from fishjam_agents.journal.journal import CallJournal
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.tools import CallTools
from fishjam_agents.tools.results import written

PEOPLE_DEADLINE = 2.0
"""Seconds that are waited for somebody who can hear the bot go on."""
_SHOWN = 300
"""Characters of the arguments of a call that the model is reminded of."""


class Continuation:
    """The first steps of a call that goes on.

    Args:
        context: The call.
        journal: Its journal, with what was said before.
        conversation: What was said before.
        tools: Its tools.
        put: Passes text to the backend.
        is_visited: Whether somebody is there already.
    """

    def __init__(
        self,
        context: CallContext,
        journal: CallJournal,
        conversation: PastConversation,
        tools: CallTools,
        put: Callable[[TextInput], None],
        *,
        is_visited: bool,
    ) -> None:
        self._context = context
        self._journal = journal
        self._conversation = conversation
        self._tools = tools
        self._put = put
        self._there = asyncio.Event()
        if is_visited:
            self._there.set()
        context.events.watch(self)

    def event(self, event: Event) -> None:
        """Part of `Watcher`."""
        if isinstance(event, events.PeerJoined):
            self._there.set()

    async def run(self) -> None:
        """Run again what may be, and tell the model of the gap; it goes on where an answer is owed."""
        try:
            lines = self._conversation.unknown
            answers = await asyncio.gather(*(self._settle(line) for line in lines))
            try:
                async with asyncio.timeout(PEOPLE_DEADLINE):
                    await self._there.wait()
            except TimeoutError:
                # Whoever comes hears the rest; the model is told in any case.
                pass
            if self._context.capabilities.text:
                results = {line.call: answer for line, answer in zip(lines, answers, strict=True)}
                self._put(TextInput(gap_line(self._conversation, results), note=not owes(self._conversation)))
        finally:
            self._context.events.unwatch(self)

    async def _settle(self, line: ToolLine) -> str | None:
        """The answer of a tool that was run again; None of one that must not be."""
        answer = await self._tools.run_again(line)
        if answer is None:
            # Whoever goes on after this process finds the call answered.
            self._journal.put(ToolEnded(self._journal.now(), line.call, "unknown", UNKNOWN_OUTCOME))
        return answer


def owes(conversation: PastConversation) -> bool:
    """Return whether the bot has something to say by itself: it was cut off, or owes an answer."""
    return bool(conversation.unheard) or conversation.unanswered or conversation.half is not None


def gap_line(conversation: PastConversation, results: Mapping[str, str | None]) -> str:
    """Return the line that tells the model of the gap.

    Args:
        conversation: What was said before.
        results: Answers of tools that were run again, by the ids of their calls; None for the others.
    """
    parts = [f"The line was lost for {conversation.lost:.0f} s and is back. Do not greet again."]
    unheard = conversation.unheard
    if unheard:
        heard = " ".join(line.heard for line in unheard if line.heard)
        rest = " ".join(line.unheard for line in unheard)
        before = f'heard was "{heard}", ' if heard else ""
        parts.append(
            f'You were cut off: {before}not heard was "{rest}". Say the part that was not heard, and repeat '
            "nothing that was."
        )
    for line in conversation.unknown:
        called = f"{line.name}({written(line.arguments, _SHOWN)})"
        result = results.get(line.call)
        parts.append(
            f"{called} had been called. {UNKNOWN_OUTCOME} Say so, and call it again only if the user wants "
            "that."
            if result is None
            else f"{called} had been called, was run again and answered: {result}"
        )
    if conversation.half is not None:
        heard = f' after "{conversation.half}"' if conversation.half else ""
        parts.append(f"The user was speaking and was not heard any more{heard}: ask for the rest.")
    elif conversation.unworded:
        parts.append("The user's last words were lost: ask for them.")
    elif conversation.unanswered and not unheard:
        parts.append("The user has no answer to the last words yet: give it.")
    return f"[{' '.join(parts)}]"
