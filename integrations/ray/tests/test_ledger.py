"""The ledger: who has which room, whatever watchers and replicas believe."""

from __future__ import annotations

import pytest
from fishjam_agents_ray.ledger import KEPT_RECORDS, Ledger
from fishjam_agents_ray.reports import LeftCalls, Report, ReportedCall

from fishjam_agents.worker.call_record import CallRecord
from fishjam_agents.worker.call_service import CallRequest
from fishjam_agents.worker.call_state import CallPhase


@pytest.fixture
def ledger() -> Ledger:
    """A ledger whose watcher rules."""
    ledger = Ledger()
    assert ledger.settle(ledger.begin("watcher"))
    return ledger


def test_a_room_is_claimed_once(ledger: Ledger) -> None:
    assert ledger.claim("a", "room") == "claimed"
    assert ledger.claim("b", "room") == "held"
    assert ledger.claim("a", "room") == "claimed"
    ledger.release("b", "room")
    assert ledger.claim("b", "room") == "held"
    ledger.release("a", "room")
    assert ledger.claim("b", "room") == "claimed"


def test_no_room_is_given_away_before_all_replicas_have_reported() -> None:
    ledger = Ledger()
    assert ledger.claim("a", "room") == "unsettled"
    epoch = ledger.begin("watcher")
    assert ledger.claim("a", "room") == "unsettled"
    # The ledger before this one was lost: what goes on is reported, and stays where it is.
    ledger.report("b", Report(7, epoch, [ReportedCall("room", "bot")]))
    ledger.settle(epoch)
    assert ledger.claim("a", "room") == "held"
    assert ledger.claim("a", "other") == "claimed"


def test_an_agent_is_noted_only_under_a_claim_that_holds(ledger: Ledger) -> None:
    ledger.claim("a", "room")
    assert not ledger.note_agent("b", "room", "agent")
    assert ledger.note_agent("a", "room", "agent")
    assert ledger.read().agents == {"a": {"room": "agent"}}
    assert ledger.note_agent("a", "room", None)
    assert ledger.read().agents == {"a": {}}


def test_a_report_frees_what_it_does_not_tell_of_and_one_that_comes_late_changes_nothing(
    ledger: Ledger,
) -> None:
    ledger.report("a", Report(2, 0, [ReportedCall("room", "bot", agent="agent")]))
    ledger.report("a", Report(1, 0))
    assert ledger.claim("b", "room") == "held"
    assert ledger.read().agents["a"] == {"room": "agent"}
    ledger.report("a", Report(3, 0))
    assert ledger.claim("b", "room") == "claimed"


@pytest.mark.parametrize("phase", [CallPhase.ENDED, CallPhase.PARKED])
def test_a_call_that_is_over_holds_no_room(ledger: Ledger, phase: CallPhase) -> None:
    ledger.report("a", Report(1, 0, [ReportedCall("room", "bot", phase)]))
    assert ledger.claim("b", "room") == "claimed"


def test_the_dead_are_heard_no_more_and_their_rooms_are_free(ledger: Ledger) -> None:
    epoch = ledger.begin("watcher")
    ledger.settle(epoch)
    ledger.report("a", Report(1, epoch, [ReportedCall("room", "bot", agent="agent")]))
    left = LeftCalls(over={"other": ReportedCall("other", "bot", CallPhase.ENDED)})
    assert ledger.bury(epoch, ["a"], left)
    # A machine that was cut off wakes up: it has nothing any more, and is told so.
    assert ledger.report("a", Report(2, epoch, [ReportedCall("room", "bot")])).buried
    assert ledger.claim("a", "third") == "buried"
    assert not ledger.note_agent("a", "room", "agent")
    assert ledger.claim("b", "room") == "claimed"
    view = ledger.read()
    assert (view.reports, view.agents, view.left) == ({}, {}, left)


def test_a_watcher_that_does_not_rule_any_more_can_do_nothing(ledger: Ledger) -> None:
    old = ledger.begin("old")
    new = ledger.begin("new")
    assert new > old
    ledger.report("a", Report(1, new, [ReportedCall("room", "bot")]))
    assert not ledger.settle(old)
    assert not ledger.bury(old, ["a"], LeftCalls())
    assert ledger.claim("b", "room") == "unsettled"
    assert ledger.settle(new)
    assert ledger.claim("b", "room") == "held"


def test_epochs_only_grow_also_over_a_ledger_that_is_lost() -> None:
    future = 10**20
    ledger = Ledger()
    # This machine's clock is behind that of the ledger before.
    assert ledger.report("a", Report(1, future)).epoch == future
    assert ledger.begin("watcher") > future


def test_a_replica_that_starts_knows_the_epoch_with_its_first_answer(ledger: Ledger) -> None:
    epoch = ledger.begin("watcher")
    assert ledger.report("a", Report(0)).epoch == epoch
    assert ledger.read().reports["a"].floor == epoch


def test_one_of_two_replicas_that_report_one_room_is_told_to_let_go(ledger: Ledger) -> None:
    assert ledger.report("a", Report(1, 0, [ReportedCall("room", "bot")])).lost == []
    assert ledger.report("b", Report(1, 0, [ReportedCall("room", "bot")])).lost == ["room"]
    assert ledger.report("a", Report(2, 0, [ReportedCall("room", "bot")])).lost == []


def test_a_call_that_moved_is_forgotten_where_it_was_when_another_replica_has_it(ledger: Ledger) -> None:
    moved = ReportedCall("room", "bot", CallPhase.ENDED, moves=True, request=CallRequest("id"))
    assert ledger.report("a", Report(1, 0, [moved])).lost == []
    ledger.claim("b", "room")
    assert ledger.report("a", Report(2, 0, [moved])).lost == ["room"]


def test_a_leader_is_idle_when_others_alone_ask(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("fishjam_agents_ray.ledger.time.monotonic", lambda: now)
    ledger.begin("watcher")
    now += 3
    assert ledger.read("other").leader_idle == 3
    assert ledger.read("watcher").leader_idle == 0


def test_records_are_told_from_a_version_on_and_the_last_ones_kept(ledger: Ledger) -> None:
    def record(number: int, status: str = "running") -> CallRecord:
        return CallRecord(f"call {number}", "room", "bot", status, False, 0.0)  # type: ignore[arg-type]

    ledger.report("a", Report(1, records=[record(1), record(2)]))
    _, version, first = ledger.records(0)
    assert len(first) == 2
    ledger.report("a", Report(2, records=[record(1, "ended")]))
    _, _, changed = ledger.records(version)
    assert [(found.id, found.status) for found in changed] == [("call 1", "ended")]
    ledger.report("a", Report(3, records=[record(number) for number in range(KEPT_RECORDS)]))
    assert len(ledger.records(0)[2]) == KEPT_RECORDS


def test_the_order_to_end_a_call_reaches_its_replica_once(ledger: Ledger) -> None:
    ledger.end_calls({"id": "a"})
    assert ledger.report("b", Report(1)).end == []
    assert ledger.report("a", Report(1)).end == ["id"]
    assert ledger.report("a", Report(2)).end == []


def test_metrics_stay_known_between_the_reports_that_tell_them(ledger: Ledger) -> None:
    ledger.report("a", Report(1, metrics={"calls": 1.0}, call_metrics="text"))
    ledger.report("a", Report(2))
    report = ledger.read().reports["a"]
    assert (report.metrics, report.call_metrics) == ({"calls": 1.0}, "text")
