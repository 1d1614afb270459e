"""A call as the reconciler sees it, and what becomes of it when it ends; pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fishjam_agents.backoff import Backoff
from fishjam_agents.errors import BackendError, ConfigError, FailureKind, SessionError
from fishjam_agents.fishjam import UnreachableError
from fishjam_agents.worker.call_outcome import CallOutcome
from fishjam_agents.worker.claims import ClaimStoreError

RESTARTS = Backoff(first=1.0, longest=30.0)
"""Delays before a crashed call is started again."""
MOST_FAILURES = 5
"""Crashes in a row after which a call is parked."""
STEADY_CALL = 60.0
"""Seconds after which a call that crashes counts as one that worked."""

_HOPELESS = frozenset({"auth", "config", "quota"})
"""Failures of a backend that the next attempt meets again."""


class CallPhase(enum.Enum):
    """State of a room's call; the value is its name in the API."""

    RUNNING = "running"
    RESTARTING = "restarting"
    PARKED = "parked"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class CallState:
    """The call of a room.

    Attributes:
        room_id: The room.
        bot: The kind of bot.
        phase: What it is at.
        agent_id: The bot's peer, None while it has none.
        failures: Crashes in a row.
        not_before: Loop time before which it is not started again.
        requested: Whether it was asked for by the API, and so waits for nobody.
        message: Why it crashed last.
        people: Who was in the room when it was over for them.
        failure: What kind of failure of its backend that was; None of any other.
    """

    room_id: str
    bot: str
    phase: CallPhase = CallPhase.RUNNING
    agent_id: str | None = None
    failures: int = 0
    not_before: float = 0.0
    requested: bool = False
    message: str | None = None
    people: frozenset[str] = frozenset()
    failure: FailureKind | None = None


def after_end(
    state: CallState,
    outcome: CallOutcome | Exception,
    lasted: float,
    now: float,
    people: Iterable[str] = (),
    *,
    server_was_away: bool = False,
) -> CallState | None:
    """The state of a call that has ended: it waits for a restart, is parked, or is over.

    A call whose bot left, or whose time was up, is over: its room gets no other one until its people have
    gone. Where they had gone already there is nothing to remember: whoever is there now came anew. A call
    that crashed starts again, later each time, and after `MOST_FAILURES` crashes in a row, or one
    that only the operator can mend, no more. One that could not ask for its claim waits until it can.

    Args:
        state: While it ran.
        outcome: Why it ended.
        lasted: Seconds it ran.
        now: Loop time.
        people: Who is in the room.
        server_was_away: Whether the server was away since it began. If its session failed, it is not to
            blame then, and starts again at once.
    """
    if outcome is CallOutcome.EMPTY_ROOM:
        return None
    if isinstance(outcome, CallOutcome):
        return replace(
            state, phase=CallPhase.ENDED, agent_id=None, failures=0, message=None, people=frozenset(people)
        )
    if server_was_away and isinstance(outcome, (SessionError, UnreachableError)):
        return replace(
            state,
            phase=CallPhase.RESTARTING,
            agent_id=None,
            not_before=now,
            message=str(outcome),
            people=frozenset(people),
        )
    if isinstance(outcome, ClaimStoreError):
        # Nothing is wrong with the call: it waits for the store.
        return replace(
            state,
            phase=CallPhase.RESTARTING,
            agent_id=None,
            not_before=now + RESTARTS.delay(1),
            message=str(outcome),
            people=frozenset(people),
        )
    failures = 1 if lasted >= STEADY_CALL else state.failures + 1
    hopeless = isinstance(outcome, ConfigError) or (
        isinstance(outcome, BackendError) and not outcome.retryable and outcome.failure in _HOPELESS
    )
    parked = hopeless or failures >= MOST_FAILURES
    return replace(
        state,
        phase=CallPhase.PARKED if parked else CallPhase.RESTARTING,
        agent_id=None,
        failures=failures,
        not_before=now if parked else now + RESTARTS.delay(failures),
        message=str(outcome) or type(outcome).__name__,
        failure=outcome.failure if isinstance(outcome, BackendError) else None,
        people=frozenset(people),
    )
