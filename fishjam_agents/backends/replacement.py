"""Another backend that goes on with a call in the place of the one that serves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fishjam_agents.backends.conversation import PastConversation
from fishjam_agents.backends.inputs import ToolDeclaration, UpdateInput
from fishjam_agents.backends.port import Backend
from fishjam_agents.errors import BackendError


@dataclass(frozen=True, slots=True)
class Replacement:
    """A backend for the rest of a call, in order with the inputs: what comes after it is the new one's.

    Attributes:
        backend: The backend.
        instructions: Its system prompt.
        tools: The tools on offer.
        conversation: What was said so far, for a session that does not know it.
        opened: Called once its session is open; what it puts follows what was put before.
        failed: Called when no session can be opened; what it puts in the place of this one goes on. None
            where nobody can: then it is tried as often as a backend that was lost.
    """

    backend: Backend
    instructions: str | None
    tools: Sequence[ToolDeclaration]
    conversation: PastConversation
    opened: Callable[[], None] = lambda: None
    failed: Callable[[BackendError], None] | None = None

    def updated(self, update: UpdateInput) -> Replacement:
        """Return it with the instructions and tools of an update that came before it took over."""
        return replace(
            self,
            instructions=self.instructions if update.instructions is None else update.instructions,
            tools=self.tools if update.tools is None else update.tools,
        )


def goes_on_with(before: Backend, after: Backend) -> bool:
    """Return whether a backend knows from `BackendContext.memory` what was said to another one."""
    return type(before) is type(after) and after.remembers
