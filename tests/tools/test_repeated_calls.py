"""Calls that are taken back, and calls for the same again."""

from __future__ import annotations

import asyncio

import pytest

from fishjam_agents.testing import VirtualClock
from tests.tools.desk import BOOKED, Desk, at_desk

WAS_BOOKED = 'book({"table":"A"}) was called before and not stopped; it answered: booked A'


def test_a_call_of_a_cancellable_tool_that_is_taken_back_ends_and_is_not_answered(
    virtual_clock: VirtualClock,
) -> None:
    async def script(desk: Desk) -> None:
        desk.call("a", "search", seconds=3)
        await asyncio.sleep(1)
        desk.runner.cancel("a")
        desk.runner.cancel("a")
        desk.runner.cancel("never")
        await asyncio.sleep(5)

    desk = at_desk(virtual_clock, script)
    assert desk.entries == []
    assert desk.notes == []
    assert desk.told == [("search", "a", "cancelled")]
    assert desk.times["a"] == pytest.approx(1)


def test_what_began_goes_on_when_its_call_is_taken_back_and_its_effect_is_told(
    virtual_clock: VirtualClock,
) -> None:
    async def script(desk: Desk) -> None:
        desk.call("a", "book", table="A")
        await asyncio.sleep(1)
        desk.runner.cancel("a")
        await asyncio.sleep(5)

    BOOKED.clear()
    desk = at_desk(virtual_clock, script)
    assert desk.entries == []
    assert desk.notes == [("a", f"[{WAS_BOOKED}]")]
    assert desk.told == [("book", "a", "ok")]
    assert BOOKED == ["A"]


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("after", [0.0, 1.0, 10.0, 50.0])
def test_a_call_for_the_same_gets_the_answer_of_the_one_that_was_taken_back(
    virtual_clock: VirtualClock, after: float, lost: bool
) -> None:
    async def script(desk: Desk) -> None:
        desk.call("a", "book", table="A")
        await asyncio.sleep(1)
        desk.runner.cancel("a", lost=lost)
        await asyncio.sleep(after)
        desk.call("b", "book", table="A")
        await asyncio.sleep(5)
        assert BOOKED == ["A"]
        # Told that it is done, the model may want it once more.
        desk.call("c", "book", table="A")
        await asyncio.sleep(5)

    BOOKED.clear()
    desk = at_desk(virtual_clock, script)
    assert BOOKED == ["A", "A"]
    answer, more = desk.entries
    assert (answer.call, answer.error) == ("b", False)
    assert more.call == "c"
    if after < 2 or lost:
        assert answer.result == "booked A"
    else:
        assert answer.result.startswith(WAS_BOOKED)
    assert bool(desk.notes) == (after > 2)
    assert sorted(desk.told) == [("book", "a", "ok"), ("book", "b", "repeated"), ("book", "c", "ok")]


def test_after_a_lost_session_the_same_may_be_asked_for_in_other_words(virtual_clock: VirtualClock) -> None:
    async def script(desk: Desk) -> None:
        desk.call("a", "book", table="A", seconds=1)
        await asyncio.sleep(2)
        desk.call("b", "book", table="B", seconds=3)
        for call in ("a", "b"):
            desk.runner.cancel(call, lost=True)
        desk.call("c", "book", table="the first", seconds=1)
        desk.call("d", "book", table="B", seconds=3)
        desk.call("e", "book", table="C", seconds=1)
        await asyncio.sleep(5)

    BOOKED.clear()
    desk = at_desk(virtual_clock, script)
    assert BOOKED == ["A", "B", "C"]
    answers = {entry.call: entry.result for entry in desk.entries if entry.call != "a"}
    assert answers["c"].startswith('book({"table":"A","seconds":1}) was called before')
    assert (answers["d"], answers["e"]) == ("booked B", "booked C")


def test_what_changes_nothing_is_looked_up_anew(virtual_clock: VirtualClock) -> None:
    async def script(desk: Desk) -> None:
        desk.call("a", "search", seconds=1)
        await asyncio.sleep(2)
        desk.runner.cancel("a", lost=True)
        desk.call("b", "search", seconds=1)
        await asyncio.sleep(2)

    desk = at_desk(virtual_clock, script)
    assert [(entry.call, entry.result) for entry in desk.entries] == [("a", "found"), ("b", "found")]
    assert desk.told == [("search", "a", "ok"), ("search", "b", "ok")]


def test_a_new_session_may_use_the_ids_of_the_lost_one_again(virtual_clock: VirtualClock) -> None:
    async def script(desk: Desk) -> None:
        for table, again in (("A", 1.0), ("B", 4.0)):
            desk.call("call-1", "book", table=table)
            await asyncio.sleep(again)
            desk.runner.cancel("call-1", lost=True)
            desk.call("call-1", "book", table=table)
            await asyncio.sleep(20)
            desk.runner.cancel("call-1", lost=True)
            await asyncio.sleep(16)

    BOOKED.clear()
    desk = at_desk(virtual_clock, script)
    assert BOOKED == ["A", "B"]
    assert [entry.result for entry in desk.entries] == ["booked A", "booked B", "booked B"]


def test_a_call_for_something_else_is_run(virtual_clock: VirtualClock) -> None:
    async def script(desk: Desk) -> None:
        desk.call("a", "book", table="Monday")
        desk.runner.cancel("a")
        desk.call("b", "book", table="Tuesday")
        await asyncio.sleep(5)
        desk.call("c", "wait", seconds=9)
        desk.runner.cancel("c", lost=True)
        await asyncio.sleep(6)
        desk.call("d", "wait", seconds=9)
        await asyncio.sleep(1)

    BOOKED.clear()
    desk = at_desk(virtual_clock, script)
    assert BOOKED == ["Monday", "Tuesday"]
    # What failed was not done: it may be tried again.
    assert [entry.call for entry in desk.entries] == ["b"]
    assert desk.told[2:] == [("wait", "c", "timeout"), ("wait", "d", "timeout")]


def test_a_call_that_comes_again_is_not_run_again(virtual_clock: VirtualClock) -> None:
    async def script(desk: Desk) -> None:
        for _ in range(3):
            desk.call("a", "wait", seconds=1)
        await asyncio.sleep(2)
        desk.call("a", "wait", seconds=1)
        desk.runner.cancel("b")
        desk.call("b", "wait", seconds=1)
        await asyncio.sleep(2)

    desk = at_desk(virtual_clock, script)
    assert [entry.call for entry in desk.entries] == ["a"]
