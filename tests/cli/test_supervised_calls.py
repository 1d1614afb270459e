"""Calls of the API as the program gives them to its processes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from fishjam_agents.cli.supervised_calls import SupervisedCalls
from fishjam_agents.worker.call_record import CallRecord
from fishjam_agents.worker.call_service import CallRefusedError, CallRequest


class Processes:
    """A supervisor of processes that begin every call they are asked for.

    Args:
        states: By the names of processes: why they take no new room, and whether they take lost calls.
    """

    def __init__(self, states: dict[str, tuple[str | None, bool]]) -> None:
        self.heard: list[Any] = []
        self.died: list[Any] = []
        self.asked: list[str] = []
        self.members = tuple(member for member, (reason, _) in states.items() if reason is None)
        self.workers = {
            member: SimpleNamespace(
                member=member,
                not_ready=reason,
                takes_lost_calls=takes,
                channel=SimpleNamespace(send=lambda kind, member=member, **data: self._sent(member, data)),
            )
            for member, (reason, takes) in states.items()
        }

    def _sent(self, member: str, data: dict[str, Any]) -> None:
        self.asked.append(member)
        request = data["request"]
        record = CallRecord(
            id=request["id"], room=request["room"], bot="b", status="running", requested=True, started=0.0
        ).to_json()
        asyncio.get_running_loop().call_soon(
            lambda: [
                heard(self.workers[member], {"kind": "created", "record": record}) for heard in self.heard
            ]
        )


def create(states: dict[str, tuple[str | None, bool]], *, again: bool) -> list[str]:
    """Processes that are asked for a call."""

    async def ask() -> list[str]:
        processes = Processes(states)
        calls = SupervisedCalls(processes)  # type: ignore[arg-type]
        await calls.create(CallRequest("c1", room="r1", again=again))
        return processes.asked

    return asyncio.run(ask())


LATE = ("its event loop is late", True)
DRAINS = ("it is draining", False)


def test_a_call_of_a_process_that_is_gone_goes_on_in_one_that_is_over_a_limit_of_load() -> None:
    assert create({"w1": DRAINS, "w2": LATE}, again=True) == ["w2"]


def test_one_that_takes_new_rooms_is_asked_first() -> None:
    assert create({"w1": LATE, "w2": (None, True)}, again=True) == ["w2"]


@pytest.mark.parametrize(("states", "again"), [({"w1": LATE}, False), ({"w1": DRAINS}, True)])
def test_new_calls_are_kept_from_a_loaded_process_and_all_from_one_that_drains(
    states: dict[str, tuple[str | None, bool]], again: bool
) -> None:
    with pytest.raises(CallRefusedError, match="no new rooms are taken"):
        create(states, again=again)
