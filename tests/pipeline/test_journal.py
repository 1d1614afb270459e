"""Calls that write a journal, and calls that go on from one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from fishjam_agents import AgentPipeline, tool
from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import LLMToolCall
from fishjam_agents.backends.conversation import PastConversation
from fishjam_agents.journal import journal as journals
from fishjam_agents.journal.entries import InstructionsChanged, JournalEntry, ToolEnded, ToolIntended
from fishjam_agents.journal.journal import CallJournal
from fishjam_agents.journal.recovery import recover
from fishjam_agents.journal.store import CallPlace, OpenedJournal
from fishjam_agents.journal.writer import JournalWriter
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.testing.memory_journals import MemoryJournals
from tests.cascade.calls import bot, said
from tests.cascade.components import LETTER, Answers, Speaks, Understands

from .conftest import speech, tone

LONG = "One one one one. Two two two two. Three three three three. Four four four four."
PLACE = CallPlace("memory", "room", "bot")
Script = Callable[[MemoryCall], Awaitable[None]]


class Desk(AgentPipeline):
    """Books seats, and notes what it was asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.started: list[float] = []
        self.takes = 0.0

    @tool
    async def book(self, seat: int) -> str:
        """Book a seat."""
        self.started.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.takes)
        self.done.append(f"booked {seat}")
        return f"booked {seat}"

    @tool(idempotent=True)
    async def look_up(self, seat: int) -> str:
        """Look a seat up."""
        self.done.append(f"looked {seat}")
        return "free"


class Told:
    """Processes that serve one call after another, and their journal."""

    def __init__(self) -> None:
        self.store = MemoryJournals()
        self.opened = OpenedJournal(asyncio.run(self.store.open(PLACE, 0, 60)).key)
        self.entries: Sequence[tuple[int, JournalEntry]] = ()

    def serve(self, served: AgentPipeline, script: Script) -> MemoryCall:
        """Run a bot until the script ends, which is when its process is lost."""
        earlier = recover(self.entries, 1003.0) if self.opened.key.epoch > 1 else None
        key = self.opened.key
        served.journal = CallJournal(key, JournalWriter(self.store), lambda: 1000.0, earlier)

        async def until_lost(call: MemoryCall) -> None:
            await script(call)
            self.entries = tuple(await self.store.read(key.call))

        call = MemoryCall(served, trouble=True).play(until_lost)
        self.opened = asyncio.run(self.store.open(PLACE, 0, 1e9))
        assert self.opened.key.epoch == key.epoch + 1
        return call

    @property
    def past(self) -> PastConversation:
        return recover(self.entries, 1003.0)


def spoken(answer: Sequence[Any], then: Sequence[Any] = ("Fine.",)) -> tuple[Desk, Answers]:
    model = Answers([answer, then])
    served = bot(Understands([["Tell me."]]), model, Speaks(), Desk)
    assert isinstance(served, Desk)
    return served, model


async def asks(call: MemoryCall) -> Any:
    (alice,) = await call.arrive("alice")
    await alice.speak(speech("alice_question.wav"))
    return alice


async def asks_and_hears(call: MemoryCall) -> None:
    await asks(call)
    await call.wait_for("reply_ended")
    await asyncio.sleep(0.5)


async def asks_and_is_cut_off(call: MemoryCall) -> None:
    await asks(call)
    await call.wait_for("reply_first_audio")
    await asyncio.sleep(1.5)


async def stays(call: MemoryCall) -> None:
    await call.arrive("alice")
    await asyncio.sleep(6)


def test_a_reply_goes_on_where_it_was_heard_to() -> None:
    told = Told()
    first, _ = spoken([LONG])
    told.serve(first, asks_and_is_cut_off)
    (line,) = told.past.unheard
    assert f"{line.heard} {line.unheard}" == LONG
    # What is written is at most a fifth of a second behind, and never ahead.
    assert 1.5 - 0.2 - 2 * LETTER <= len(line.heard) * LETTER <= 1.5 + 1e-6
    second, model = spoken([line.unheard])
    second.greeting = tone(1.0)
    call = told.serve(second, stays)
    before = said(model)
    assert before[1:3] == [("user", "Tell me."), ("assistant", f"{line.heard} [interrupted]")]
    gap = before[3][1]
    assert gap.startswith("[The line was lost for 3 s and is back. Do not greet again. You were cut off: ")
    assert f'heard was "{line.heard}", not heard was "{line.unheard}"' in gap
    assert len(before) == 4
    # No greeting, and one reply: what had not been heard.
    ended = [event for event in call.events if event["kind"] == "reply_ended"]
    assert [event["heard"]["text"] for event in ended] == [line.unheard]
    assert second.continued
    assert not first.continued


async def is_cut_off_in_mid_turn(call: MemoryCall) -> None:
    (alice,) = await call.arrive("alice")
    speaking = asyncio.create_task(alice.speak(speech("alice_long.wav")))
    await asyncio.sleep(1.5)
    speaking.cancel()


def test_who_was_speaking_is_asked_for_it() -> None:
    told = Told()
    first, _ = spoken(["Yes."])
    told.serve(first, is_cut_off_in_mid_turn)
    assert told.past.half == ""
    second, model = spoken(["Say it again, please."])
    told.serve(second, stays)
    role, gap = said(model)[1]
    assert role == "user"
    assert gap.endswith("The user was speaking and was not heard any more: ask for the rest.]")


def test_words_that_came_in_the_middle_of_a_turn_are_told() -> None:
    so_far = [port.UserTranscript(words, peer="alice") for words in ("I would", "I would like")]
    first = AgentPipeline()
    first.backend = Scripted([Step(port.TurnStartedInput, [0.3, *so_far])])
    told = Told()
    told.serve(first, is_cut_off_in_mid_turn)
    assert told.past.half == "I would like"
    second, model = spoken(["What would you like?"])
    told.serve(second, stays)
    assert 'was not heard any more after "I would like": ask for the rest.]' in said(model)[1][1]


def test_a_turn_that_came_to_nothing_leaves_nothing_to_ask_for() -> None:
    told = Told()
    first, _ = spoken(["Yes."])
    told.serve(first, asks_and_hears)
    kinds = [entry.kind for _, entry in told.entries]
    assert "user_speaks" in kinds
    assert told.past.half is None


def test_a_third_process_finds_all_of_it_said_once() -> None:
    told = Told()
    first, _ = spoken([LONG])
    told.serve(first, asks_and_is_cut_off)
    (line,) = told.past.unheard
    second, _ = spoken([line.unheard])
    told.serve(second, stays)
    past = told.past
    assert not past.unheard
    assert not past.unanswered
    third, model = spoken(["Indeed."])
    told.serve(third, asks_and_hears)
    texts = [text for role, text in said(model) if role == "assistant"]
    assert texts == [f"{line.heard} [interrupted]", line.unheard]


def test_a_barge_in_is_the_users_and_owes_nothing() -> None:
    async def cuts(call: MemoryCall) -> None:
        alice = await asks(call)
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(1)
        await alice.speak(speech("alice_long.wav"))
        await asyncio.sleep(3)

    told = Told()
    first, _ = spoken([LONG], [])
    call = told.serve(first, cuts)
    (cut,) = [event for event in call.events if event["kind"] == "reply_interrupted"]
    lines = [line for line in told.past.lines if not hasattr(line, "peer")]
    assert [getattr(line, "heard", None) for line in lines] == [cut["heard"]["text"].strip()]
    assert not told.past.unheard
    assert told.past.unanswered


def test_between_turns_the_model_is_told_with_the_next_words() -> None:
    told = Told()
    first, _ = spoken(["Yes."])
    told.serve(first, asks_and_hears)
    quiet, model = spoken(["Hello?"])
    told.serve(quiet, stays)
    assert not model.asked
    third, model = spoken(["Yes again."])
    told.serve(third, asks_and_hears)
    roles = [role for role, _ in said(model)]
    assert roles == ["system", "user", "assistant", "user"]
    assert said(model)[-1][1].endswith("Do not greet again.] Tell me.")


def test_a_turn_without_words_is_asked_for() -> None:
    async def ends_before_it_is_understood(call: MemoryCall) -> None:
        await asks(call)
        await call.wait_for("user_turn_ended")
        await asyncio.sleep(0.5)

    told = Told()
    first = bot(Understands([[30.0, "late"]]), Answers([["x"]]), Speaks(), Desk)
    told.serve(first, ends_before_it_is_understood)
    second, model = spoken(["Pardon?"])
    told.serve(second, stays)
    assert said(model)[-1][1].endswith("The user's last words were lost: ask for them.]")


def test_new_instructions_outlive_their_process() -> None:
    async def instructs(call: MemoryCall) -> None:
        call.bot.instructions = "Be kind."
        await asks_and_hears(call)

    told = Told()
    first, _ = spoken(["Yes."])
    told.serve(first, instructs)
    assert any(isinstance(entry, InstructionsChanged) for _, entry in told.entries)
    for _ in range(2):
        following, model = spoken(["Yes."])
        told.serve(following, asks_and_hears)
        assert said(model)[0] == ("system", "Be kind.")


async def waits_for_tool(call: MemoryCall) -> None:
    await asks(call)
    await call.wait_for("tool_started")
    await asyncio.sleep(0.5)


def test_a_tool_of_unknown_outcome_is_not_run_again_by_mistake() -> None:
    told = Told()
    first, _ = spoken([LLMToolCall("c1", "book", {"seat": 7})])
    first.takes = 19.0
    told.serve(first, waits_for_tool)
    assert [line.name for line in told.past.unknown] == ["book"]
    # The model calls at once for the same again, is refused, and insists.
    again = [LLMToolCall("c1", "book", {"seat": 7})]
    model = Answers([again, again, ["Booked."]])
    second = bot(Understands([["Tell me."]]), model, Speaks(), Desk)
    assert isinstance(second, Desk)
    call = told.serve(second, stays)
    assert 'book({"seat":7}) had been called. The outcome is unknown' in said(model, 0)[-1][1]
    assert said(model, 1)[-1][1].endswith("Call it once more only if that is wanted once more.")
    assert second.done == ["booked 7"]
    outcomes = [event["outcome"] for event in call.events if event["kind"] == "tool_called"]
    assert outcomes == ["repeated", "ok"]


def test_an_idempotent_tool_is_run_again_and_its_answer_told() -> None:
    told = Told()
    told.entries = [(1, ToolIntended(999.0, "c1", "look_up", {"seat": 7}))]
    told.opened = asyncio.run(told.store.open(PLACE, 0, 1e9))
    second, model = spoken(["It is free."])
    told.serve(second, stays)
    assert second.done == ["looked 7"]
    assert "was run again and answered: free" in said(model)[-1][1]
    # On disk under the call that it answers.
    again = [entry for _, entry in told.entries if isinstance(entry, (ToolIntended, ToolEnded))]
    assert [type(entry).__name__ for entry in again] == ["ToolIntended", "ToolEnded"]
    assert isinstance(again[0], ToolIntended)
    assert again[0].again == "c1~1"


def test_a_tool_waits_until_its_intent_is_written() -> None:
    told = Told()
    first, _ = spoken([LLMToolCall("c1", "book", {"seat": 7})])

    async def slow(call: MemoryCall) -> None:
        await asks(call)
        told.store.delay = 0.7
        await call.wait_for("tool_called")

    call = told.serve(first, slow)
    (started,) = [event["at"] for event in call.events if event["kind"] == "tool_started"]
    zero = call.events[0]["at"]
    assert first.started[0] - zero - started >= 0.7 - 0.05
    kinds = [entry.kind for _, entry in told.entries]
    assert "tool_intended" in kinds


@pytest.mark.parametrize(
    ("is_away", "waits"), [(True, 0.0), (False, journals.INTENT_DEADLINE)], ids=["away", "slow"]
)
def test_a_store_that_takes_nothing_costs_the_journal_and_not_the_call(is_away: bool, waits: float) -> None:
    told = Told()
    told.store.is_away = is_away
    told.store.delay = 0.0 if is_away else 20.0
    first, _ = spoken([LLMToolCall("c1", "book", {"seat": 7})])

    async def alone(call: MemoryCall) -> None:
        await asks(call)
        await call.wait_for("tool_called")
        await call.wait_for("reply_ended")
        told.store.is_away, told.store.delay = False, 0.0
        await asyncio.sleep(25)

    call = told.serve(first, alone)
    assert first.done == ["booked 7"]
    (error,) = [event for event in call.events if event["kind"] == "error"]
    assert (error["where"], "may be run twice" in error["message"]) == ("journal", True)
    (intended,) = [event["at"] for event in call.events if event["kind"] == "tool_started"]
    # One that is known to be away is not waited for.
    assert error["at"] - intended == pytest.approx(waits, abs=0.1)
    # Nothing of it is lost once the store is back.
    assert [entry.kind for _, entry in told.entries][:2] == ["call_began", "peer_came"]
    assert told.past.lines[-1] == recover(told.entries, 1003.0).lines[-1]


def test_every_beginning_of_a_journal_is_a_conversation() -> None:
    told = Told()
    first, _ = spoken(["Let me see.", LLMToolCall("c1", "book", {"seat": 7})], [LONG])
    told.serve(first, asks_and_hears)
    for end in range(len(told.entries) + 1):
        past = recover(told.entries[:end], 1003.0)
        for line in past.unheard:
            assert f"{line.heard} {line.unheard}".strip() in (LONG, "Let me see.")
        assert len(past.unknown) <= 1
