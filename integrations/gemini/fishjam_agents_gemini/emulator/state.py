"""State of a session at the service: the conversation, and the handles it can be resumed by."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

_HANDLES_KEPT = 64


@dataclass(frozen=True, slots=True)
class HistoryMessage:
    """One entry of a conversation.

    Attributes:
        role: Who.
        text: Words, where there are any.
        audio: 16-bit PCM, at 16 kHz of the user and at 24 kHz of the model.
        results: Ids and results of answered tool calls.
        images: Number of stills.
    """

    role: Literal["user", "model"]
    text: str = ""
    audio: bytes = b""
    results: tuple[tuple[str, object], ...] = ()
    images: int = 0


@dataclass(slots=True)
class Session:
    """A conversation as the model knows it.

    Attributes:
        history: What was said, in order; also what a client seeded.
        pending: Ids of tool calls that wait for an answer.
        answered: Ids of tool calls that were answered.
        calls: Names of all tools that were called, by id, in order.
    """

    history: tuple[HistoryMessage, ...] = ()
    pending: frozenset[str] = frozenset()
    answered: frozenset[str] = frozenset()
    calls: Mapping[str, str] = field(default_factory=dict)

    def copy(self) -> Session:
        """The same conversation, to go on from."""
        return Session(self.history, self.pending, self.answered, self.calls)


@dataclass(slots=True)
class Handles:
    """Resumption handles. An old one still works, and gives the conversation as it was then."""

    _sessions: OrderedDict[str, Session] = field(default_factory=OrderedDict)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def issue(self, session: Session) -> str:
        """A handle for the conversation as it is now."""
        handle = f"handle-{next(self._ids)}"
        self._sessions[handle] = session.copy()
        if len(self._sessions) > _HANDLES_KEPT:
            self._sessions.popitem(last=False)
        return handle

    def resume(self, handle: str) -> Session | None:
        """The conversation of a handle, None when it is unknown or expired."""
        known = self._sessions.get(handle)
        return None if known is None else known.copy()

    def expire(self) -> None:
        """Refuse every handle given so far."""
        self._sessions.clear()
