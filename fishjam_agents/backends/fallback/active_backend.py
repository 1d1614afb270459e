"""One backend's time in a call, and all that outlives it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fishjam_agents.backends.fallback.health import HealthTracker
from fishjam_agents.backends.fallback.pending_input import PendingInput
from fishjam_agents.backends.fallback.transcript import Transcript
from fishjam_agents.backends.port import (
    Backend,
    BackendContext,
    BackendEvent,
    BackendWarning,
    Capabilities,
    Samples,
    ToolDeclaration,
    UpdateInput,
)

_SEPARATOR = "~"
_SAID_REMEMBERED = 256
"""Ids of `say` that are remembered; more do not wait to be spoken."""


@dataclass(slots=True)
class ActiveBackend:
    """The time from when a backend takes over to when the next one does; it may reconnect in between.

    Attributes:
        index: Which backend.
        number: Unique in the call: part of the ids that the call knows of what this one says.
        backend: Its settings.
        name: What it is called in messages.
        outer: What the pipeline was told that the backend can do.
        begun: Whether it was told what nobody had answered when it took over.
        told: The conversation before it took over, which it was told; empty for the first.
        memory: Its `BackendContext.memory`.
        frames: The user's turn as far as it has come, for a backend that wants turns whole.
        pending: Its tool calls without a result.
        called: Its tool calls since the words that are not answered yet, with a result or without.
        total_cost: What it said the call cost so far.
        missing: What it was not told because it cannot take it; each is warned of once.
    """

    index: int
    number: int
    backend: Backend
    name: str
    outer: Capabilities
    told: str = ""
    begun: bool = False
    memory: dict[str, Any] = field(default_factory=dict)
    frames: list[Samples] = field(default_factory=list)
    pending: set[str] = field(default_factory=set)
    called: dict[str, None] = field(default_factory=dict)
    total_cost: float = 0.0
    missing: set[str] = field(default_factory=set)

    @property
    def inner(self) -> Capabilities:
        """Capabilities of the backend."""
        return self.backend.capabilities

    def lacks(self, what: str, emit: Callable[[BackendEvent], None]) -> None:
        """Something is not sent to it; the call is warned once."""
        if what not in self.missing:
            self.missing.add(what)
            emit(BackendWarning(f"{self.name} stands in and takes no {what}: none goes to it"))

    def instructions(self, wanted: str | None) -> str | None:
        """The system prompt, with what was said before."""
        return "\n\n".join(part for part in (wanted, self.told) if part) or None

    def known_as(self, own: str) -> str:
        """Return the ID by which the call knows an ID of this backend."""
        return f"{own}{_SEPARATOR}{self.number}"

    def own(self, name: str) -> str | None:
        """This backend's own id for what the call knows; None if it is another one's. The app's stay."""
        own, _, number = name.rpartition(_SEPARATOR)
        if not own or not number.isdecimal():
            return name
        return own if number == str(self.number) else None


class Memory:
    """State that outlives connections and backends: the same object for a whole call.

    Args:
        standings: How the backends fare.
        conversation: The call.

    Attributes:
        exchange: What was said and not answered.
        transcript: What was said.
        tenure: Whose time it is.
        served: Whose it was when a backend was connected to last, None before.
        said: Words that the app gave to speak, by the id of their reply.
        spent: Price of the tenures that are over.
        sounds_until: When what was said so far has been played, if nothing held it up, loop time.
        told_at: When the backend was told something last, loop time.
    """

    def __init__(self, standings: HealthTracker, conversation: BackendContext) -> None:
        self.standings = standings
        self.pending_input = PendingInput(continuous=conversation.turn_mode == "backend")
        self.transcript = Transcript()
        self.tenure: ActiveBackend | None = None
        self.served: ActiveBackend | None = None
        self.said: OrderedDict[str, str] = OrderedDict()
        self.spent = 0.0
        self.sounds_until = 0.0
        self.told_at = 0.0
        self._update = UpdateInput()
        self._tenures = 0

    def begin(self, index: int, backend: Backend, name: str, outer: Capabilities) -> ActiveBackend:
        """A backend takes over."""
        self._tenures += 1
        self.tenure = ActiveBackend(index, self._tenures, backend, name, outer, str(self.transcript))
        return self.tenure

    def serves(self, tenure: ActiveBackend, emit: Callable[[BackendEvent], None]) -> None:
        """A backend is connected to; that one which is preferred is back is told."""
        before, self.served = self.served, tenure
        if before is not None and tenure.index < before.index:
            emit(BackendWarning(f"{tenure.name} serves again: {before.name} stood in for it"))

    def end(self) -> None:
        """The backend is left for another one."""
        if self.tenure is not None:
            self.spent += self.tenure.total_cost
        self.tenure = None

    def updated(self, entry: UpdateInput) -> None:
        """Remember new instructions and tools for whoever takes over."""
        if entry.instructions is not None:
            self._update = replace(self._update, instructions=entry.instructions)
        if entry.tools is not None:
            self._update = replace(self._update, tools=entry.tools)

    def instructions(self, conversation: BackendContext) -> str | None:
        """The system prompt as it is now."""
        update = self._update.instructions
        return conversation.instructions if update is None else update

    def tools(self, conversation: BackendContext) -> Sequence[ToolDeclaration]:
        """The tools on offer now."""
        update = self._update.tools
        return conversation.tools if update is None else update

    def will_say(self, reply: str, text: str) -> None:
        """The app gave words to speak, under an id of its own."""
        self.said[reply] = text
        if len(self.said) > _SAID_REMEMBERED:
            self.said.popitem(last=False)
