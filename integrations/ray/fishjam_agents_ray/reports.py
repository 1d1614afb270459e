"""Reports of replicas on their calls, and the answers; plain data that Ray carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from fishjam_agents.worker.call_record import CallRecord
from fishjam_agents.worker.call_service import CallRequest
from fishjam_agents.worker.call_state import CallPhase

Order: TypeAlias = Literal["serve", "drain", "stop"]
"""What all replicas are to do: go on, let calls end and begin no more, let bots leave at once."""


@dataclass(frozen=True, slots=True)
class ReportedCall:
    """A call as its replica reports it.

    Attributes:
        room: The room.
        bot: The kind of bot.
        phase: What it is at.
        agent: The bot's peer, None while it has none.
        moves: Whether the replica lets go of it so that another one goes on.
        people: Who was in the room when it was over for them.
        request: What the calls API asked for; None of a call by a rule.
    """

    room: str
    bot: str
    phase: CallPhase = CallPhase.RUNNING
    agent: str | None = None
    moves: bool = False
    people: frozenset[str] = frozenset()
    request: CallRequest | None = None

    @property
    def holds_room(self) -> bool:
        """True while no other replica may begin a call in the room."""
        return self.phase in (CallPhase.RUNNING, CallPhase.RESTARTING)


@dataclass(frozen=True, slots=True)
class Report:
    """A replica's report on itself, twice a second.

    Attributes:
        seq: Its number; a report that comes late is none.
        floor: The newest epoch the replica knows: it begins nothing for a watcher of an older one.
        calls: Its calls, with those that are over while their people are still there.
        free: Calls it could begin.
        not_ready: The reason for which it begins none; None while it does.
        records: Calls as the API tells of them, those that changed since the report before.
        metrics: Values of the program's metrics, by name; None where they are not told this time.
        call_metrics: Metrics of calls, in the text form of Prometheus; None as `metrics`.
    """

    seq: int
    floor: int = 0
    calls: Sequence[ReportedCall] = ()
    free: int = 0
    not_ready: str | None = None
    records: Sequence[CallRecord] = ()
    metrics: Mapping[str, float] | None = None
    call_metrics: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The ledger's answer to a report.

    Attributes:
        ledger: Which ledger this is: another one after it was lost, which knows no records.
        epoch: The newest epoch.
        order: What to do.
        buried: Whether the replica was declared dead, and its rooms are others' now.
        end: Ids of its calls that are to end.
        lost: Rooms that it has reported and another replica has.
    """

    ledger: str
    epoch: int
    order: Order = "serve"
    buried: bool = False
    end: Sequence[str] = ()
    lost: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class LeftCalls:
    """Calls that replicas which are gone have left to whoever rules.

    Attributes:
        over: Calls that are over while their people are still there, which get no other bot.
        requested: Calls of the API that are to begin again.
    """

    over: Mapping[str, ReportedCall] = field(default_factory=dict)
    requested: Mapping[str, ReportedCall] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LedgerView:
    """The ledger's knowledge, for the watcher.

    Attributes:
        leader: The watcher that rules, or is about to; None in a ledger that is new.
        leader_idle: Seconds since it was heard of, or since the ledger began.
        settled: Whether rooms are given away: it rules.
        is_new: Whether it never was: replicas may have calls that the ledger has not been told of.
        order: What all replicas are to do.
        reports: The last report of each replica.
        silent: Seconds since then, of each.
        agents: Agents that were noted in each replica's rooms, by room.
        left: What replicas that are gone have left.
    """

    leader: str | None
    leader_idle: float
    settled: bool
    is_new: bool
    order: Order
    reports: Mapping[str, Report]
    silent: Mapping[str, float]
    agents: Mapping[str, Mapping[str, str]]
    left: LeftCalls


@dataclass(frozen=True, slots=True)
class Begun:
    """A call was begun.

    Attributes:
        replica: By whom.
        seq: The number of its last report: the next one has the call.
        record: The call.
    """

    replica: str
    seq: int
    record: CallRecord


@dataclass(frozen=True, slots=True)
class Refused:
    """A call was not begun.

    Attributes:
        status: HTTP status that says so; 503 may be asked for again, of another replica.
        message: Why not.
    """

    status: int
    message: str


BeginAnswer: TypeAlias = Begun | Refused
