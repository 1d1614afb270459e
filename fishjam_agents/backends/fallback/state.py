"""State of a call that outlives its backends: whose time it is, and what was said."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from fishjam_agents.backends.fallback.failover import FailoverPolicy
from fishjam_agents.backends.fallback.pending_input import PendingInput
from fishjam_agents.backends.fallback.transcript import Transcript
from fishjam_agents.backends.id_namespace import IdNamespace
from fishjam_agents.backends.port import (
    Backend,
    BackendContext,
    BackendEvent,
    BackendWarning,
    Capabilities,
    Samples,
    UpdateInput,
)

_SEPARATOR = "~"
_SAID_REMEMBERED = 256
"""Ids of `say` that are remembered; more do not wait to be spoken."""


@dataclass(slots=True)
class ActiveBackend:
    """One backend's time, from when it takes over to when the next one does; it may reconnect in between.

    Attributes:
        index: Index of the backend.
        backend: Its settings.
        name: Its name in messages.
        promised: Capabilities that the pipeline was told of.
        ids: Its ids of replies and tool calls.
        briefing: The conversation before it took over; empty for the first.
        begun: Whether it was sent what nobody had answered when it took over.
        memory: Its `BackendContext.memory`.
        frames: The user's turn as far as it has come, for a backend that wants turns whole.
        pending: Its tool calls without a result.
        called: Its tool calls since the words that are not answered yet, with a result or without.
        total_cost: Cost of the call so far, as it says.
        missing: Kinds of input that it cannot take; each is warned of once.
    """

    index: int
    backend: Backend
    name: str
    promised: Capabilities
    ids: IdNamespace
    briefing: str = ""
    begun: bool = False
    memory: dict[str, Any] = field(default_factory=dict)
    frames: list[Samples] = field(default_factory=list)
    pending: set[str] = field(default_factory=set)
    called: dict[str, None] = field(default_factory=dict)
    total_cost: float = 0.0
    missing: set[str] = field(default_factory=set)

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of the backend."""
        return self.backend.capabilities

    def lacks(self, what: str, emit: Callable[[BackendEvent], None]) -> None:
        """Warn the call once of something that is not sent to it."""
        if what not in self.missing:
            self.missing.add(what)
            emit(BackendWarning(f"{self.name} stands in and takes no {what}: none goes to it"))

    def instructions(self, wanted: str | None) -> str | None:
        """The system prompt, with what was said before."""
        return "\n\n".join(part for part in (wanted, self.briefing) if part) or None


class FallbackState:
    """State that outlives connections and backends: the same object for a whole call.

    Args:
        policy: Choice of the backend that takes over.
        context: The call.

    Attributes:
        policy: Choice of the backend that takes over.
        context: The call, with its instructions and tools as they are now.
        pending_input: Inputs without an answer.
        transcript: The conversation so far.
        active: The backend that serves the call.
        served: The one that was connected to last, None before.
        connections: Connections to each backend so far, by its index.
        said: Words that the app gave to speak, by the id of their reply; None where they are the model's.
        spent: Cost of the backends whose time is over.
        sounds_until: When what was said so far has been played, if nothing held it up, loop time.
        sent_at: When the backend was sent something last, loop time.
    """

    def __init__(self, policy: FailoverPolicy, context: BackendContext) -> None:
        self.policy = policy
        self.context = context
        self.pending_input = PendingInput(continuous=context.turn_mode == "backend")
        self.transcript = Transcript()
        self.active: ActiveBackend | None = None
        self.served: ActiveBackend | None = None
        self.connections: Counter[int] = Counter()
        self.said: OrderedDict[str, str | None] = OrderedDict()
        self.spent = 0.0
        self.sounds_until = 0.0
        self.sent_at = 0.0
        self._count = 0

    def begin(self, index: int, backend: Backend, name: str, promised: Capabilities) -> ActiveBackend:
        """Begin a backend's time."""
        self._count += 1
        ids = IdNamespace(_SEPARATOR, self._count, self.said)
        self.active = ActiveBackend(index, backend, name, promised, ids, str(self.transcript))
        return self.active

    def serves(self, active: ActiveBackend, emit: Callable[[BackendEvent], None]) -> None:
        """Take note that a backend is connected to, and tell of one that is preferred and back."""
        before, self.served = self.served, active
        if before is not None and active.index < before.index:
            emit(BackendWarning(f"{active.name} serves again: {before.name} stood in for it"))

    def end(self) -> None:
        """End the time of the backend: it is left for another one."""
        if self.active is not None:
            self.spent += self.active.total_cost
        self.active = None

    def update(self, item: UpdateInput) -> None:
        """Take new instructions and tools, also for whoever takes over."""
        context = self.context
        self.context = replace(
            context,
            instructions=context.instructions if item.instructions is None else item.instructions,
            tools=context.tools if item.tools is None else item.tools,
        )

    def is_blocking(self, tool: str) -> bool:
        """Return whether the model waits for the result of a tool."""
        return all(offered.blocking for offered in self.context.tools if offered.name == tool)

    def will_say(self, reply: str, text: str | None) -> None:
        """Take words that the app gave to speak, or None for the model's, under an id of its own."""
        self.said[reply] = text
        if len(self.said) > _SAID_REMEMBERED:
            self.said.popitem(last=False)
