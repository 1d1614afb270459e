"""A tool that began is made once: whatever is said meanwhile, its answer is awaited and remembered."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade, LanguageModel, LLMChunk, LLMToolCall, Message
from fishjam_agents.backends.cascade.tool_calls import TAKEN_BACK
from fishjam_agents.errors import BackendError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, VirtualClock
from fishjam_agents.tools import ToolContext, tool
from tests.cascade.components import Answers, Speaks, Understands
from tests.cascade.drive import ENDED, drive
from tests.pipeline.conftest import converse, speech

__all__ = ["converse"]
Converse = Callable[..., MemoryCall]


@dataclass(frozen=True, eq=False)
class Books(LanguageModel):
    """Books as often as it was not told that it has, as models do; each table once."""

    tables: Sequence[str] = ("A",)
    opening: str = ""
    asked: list[list[Message]] = field(default_factory=list)
    ids: Any = field(default_factory=lambda: itertools.count(1))
    in_process: ClassVar[bool] = True

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[port.ToolDeclaration]
    ) -> AsyncIterator[LLMChunk]:
        self.asked.append(list(messages))
        await asyncio.sleep(0.2)
        done = {message.text for message in messages if message.role == "tool"}
        missing = [table for table in self.tables if f"booked {table}" not in done]
        if missing:
            if self.opening:
                yield self.opening
            for table in missing:
                yield LLMToolCall(f"call-{next(self.ids)}", "book", {"table": table})
        else:
            yield "It is booked. "


class Bot(AgentPipeline):
    """Counts what it books."""

    def __init__(self) -> None:
        super().__init__()
        self.booked: list[str] = []

    @tool
    async def book(self, table: str) -> str:
        """Book a table."""
        self.booked.append(table)
        await asyncio.sleep(2)
        return f"booked {table}"


def bot(words: Sequence[str], llm: LanguageModel, **settings: Any) -> Bot:
    pipeline = Bot()
    script = [[0.1, text] for text in words]
    pipeline.backend = Cascade([Understands(script)], [llm], [Speaks(pause=0.01)], **settings)
    return pipeline


def well_formed(messages: Sequence[Message]) -> None:
    """Every call is followed by its answers, as vendors insist."""
    waiting: list[str | None] = []
    for message in messages:
        if message.role == "tool":
            assert waiting.pop(0) == message.call
        else:
            assert not waiting, "a call without an answer"
            waiting = [call.call for call in message.calls]
    assert not waiting


MOMENTS = [0.05, 0.15, 0.25, 0.35, 0.5, 0.8, 1.2, 1.7, 2.1, 2.3, 2.45, 2.6]
"""Seconds from the end of the question to the next sound: before, while and after the tool runs."""


@pytest.mark.parametrize("words", ["Hm.", ""])
@pytest.mark.parametrize(
    "settings",
    [{}, {"filler": "One moment."}, {"preemptive": True}, {"preemptive": True, "filler": "One moment."}],
    ids=["plain", "filler", "preemptive", "both"],
)
def test_nothing_is_booked_twice_whenever_somebody_makes_a_sound(
    words: str, settings: dict[str, Any], converse: Converse
) -> None:
    sounds = itertools.cycle(["alice_yes.wav", "alice_question.wav", "cough.wav"])
    for after, opening in itertools.product(MOMENTS, ["", "Let me look. "]):
        sound = speech(next(sounds))
        llm = Books(opening=opening)
        pipeline = bot(["Book a table.", words, words, words, words], llm, **settings)

        async def script(call: MemoryCall, after: float = after, sound: Any = sound) -> None:
            (alice,) = await call.arrive("alice")
            await alice.speak(speech("alice_question.wav"))
            await call.wait_for("user_turn_ended")
            await asyncio.sleep(after)
            await alice.speak(sound)
            await call.wait_for("tool_called")
            await asyncio.sleep(4)

        call = converse(pipeline, script)
        assert pipeline.booked == ["A"], f"{settings}, a sound {after:.2f} s after the question"
        (told,) = call.of("tool_called")
        assert told.outcome == "ok"
        for messages in llm.asked:
            well_formed(messages)
        # Whoever asked is told in the end.
        assert "It is booked." in "".join(event.text for event in call.of("reply_text"))


def test_the_model_learns_that_the_reply_was_interrupted_and_the_call_made(converse: Converse) -> None:
    llm = Books(opening="Let me look whether there is a table. ")
    pipeline = bot(["Book a table.", "Hm."], llm)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(0.8)
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended")

    converse(pipeline, script)
    roles = [message.role for message in llm.asked[-1]]
    assert roles == ["user", "assistant", "assistant", "tool", "user"]
    assert llm.asked[-1][1].text.endswith("[interrupted]")
    assert [message.text for message in llm.asked[-1][3:]] == ["booked A", "Hm."]


def test_calls_beside_one_another_are_each_made_once(converse: Converse) -> None:
    llm = Books(("A", "B", "C"))
    pipeline = bot(["Book three tables.", "Hm.", "Hm."], llm)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("user_turn_ended")
        for _ in range(2):
            await asyncio.sleep(0.7)
            await alice.speak(speech("alice_yes.wav"))
        await call.wait_for("reply_ended")

    call = converse(pipeline, script)
    assert sorted(pipeline.booked) == ["A", "B", "C"]
    assert [event.outcome for event in call.of("tool_called")] == ["ok"] * 3
    assert [message.text for message in llm.asked[-1] if message.role == "tool"] == [
        "booked A",
        "booked B",
        "booked C",
    ]


def test_the_app_may_interrupt_and_the_call_is_made_all_the_same(converse: Converse) -> None:
    llm = Books()
    pipeline = bot(["Book a table.", "And now?"], llm, filler="One moment.")

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(0.2)
        pipeline.interrupt()
        await call.wait_for("tool_called")
        await asyncio.sleep(1)
        # Nobody is told before somebody asks.
        assert len(call.of("reply_started")) == 1
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended")

    converse(pipeline, script)
    assert pipeline.booked == ["A"]
    assert len(llm.asked) == 2


def test_a_filler_that_cannot_be_spoken_does_not_cost_the_call(virtual_clock: VirtualClock) -> None:
    llm = Answers([[LLMToolCall("c", "book", {})], ["Done. "]])
    voice = Speaks()
    voice.errors.append(BackendError("the voice is ill", retryable=True))
    cascade = Cascade([Understands([["Book."], ["And?"]])], [llm], [voice], filler="One moment.")
    result = port.ToolResultInput("c", "booked")
    told = drive(virtual_clock, cascade, [ENDED, 0.5, result, 0.5, ENDED, 5.0])
    assert not told.of(port.ToolCallCancelled)
    assert [(m.role, m.text) for m in llm.asked[1]] == [
        ("user", "Book."),
        ("assistant", ""),
        ("tool", "booked"),
        ("user", "And?"),
    ]


SEARCH = port.ToolDeclaration("search", "Search.", {}, cancellable=True)


def test_a_cancellable_tool_is_cancelled_and_the_model_is_told(virtual_clock: VirtualClock) -> None:
    calls = [LLMToolCall("c1", "search", {}), LLMToolCall("c2", "book", {})]
    llm = Answers([calls, ["Well. "]])
    cascade = Cascade([Understands([["Book."], ["No, wait."]])], [llm], [Speaks()])
    offered = port.UpdateInput(tools=[SEARCH, port.ToolDeclaration("book", "Book.", {})])
    speaks = port.TurnStartedInput("alice", 0.0)
    result = port.ToolResultInput("c2", "booked")
    told = drive(virtual_clock, cascade, [offered, ENDED, 0.5, speaks, 0.5, ENDED, 0.5, result, 2.0])
    assert [event.call for event in told.of(port.ToolCallCancelled)] == ["c1"]
    assert [(m.role, m.text) for m in llm.asked[1]][1:] == [
        ("assistant", ""),
        ("tool", TAKEN_BACK),
        ("tool", "booked"),
        ("user", "No, wait."),
    ]


def test_a_model_is_told_whether_a_tool_failed(virtual_clock: VirtualClock) -> None:
    llm = Answers([[LLMToolCall("c1", "book", {}), LLMToolCall("c2", "book", {})], ["Well. "]])
    answers = [port.ToolResultInput("c1", "no table", error=True), port.ToolResultInput("c2", "booked")]
    drive(virtual_clock, Cascade([Understands([["Book."]])], [llm], [Speaks()]), [ENDED, 0.5, *answers, 1.0])
    assert [(m.text, m.error) for m in llm.asked[1] if m.role == "tool"] == [
        ("no table", True),
        ("booked", False),
    ]


def test_ids_that_a_server_uses_again_are_told_apart(virtual_clock: VirtualClock) -> None:
    same = LLMToolCall("call_0", "book", {})
    llm = Answers([[same, same], [same], ["Done. "]])
    steps: list[Any] = [ENDED, 0.5]
    steps += [port.ToolResultInput(call, call) for call in ("call_0", "call_0-2")]
    steps += [0.5, port.ToolResultInput("call_0-3", "call_0-3"), 2.0]
    told = drive(virtual_clock, Cascade([Understands([["Book."]])], [llm], [Speaks()]), steps)
    assert [event.call for event in told.of(port.ToolCall)] == ["call_0", "call_0-2", "call_0-3"]
    for messages in llm.asked:
        well_formed(messages)
    assert told.text == ["Done."]


def test_a_plain_function_goes_on_in_its_thread_and_its_answer_is_used() -> None:
    gate = threading.Event()
    runs: list[str] = []

    class Payer(AgentPipeline):
        @tool
        def book(self, table: str) -> str:
            """Book."""
            runs.append(table)
            gate.wait(5)
            return f"booked {table}"

    # A call of its own id for each attempt: a thread has no virtual time.
    from tests.tools.desk import Desk

    async def main() -> Desk:
        desk = Desk(Payer.book.__get__(Payer()))
        llm = Books()
        cascade = Cascade([Understands([["Book."], ["Hm."]])], [llm], [Speaks()])
        events: list[port.BackendEvent] = []

        def emit(event: port.BackendEvent) -> None:
            events.append(event)
            if isinstance(event, port.ToolCall):
                desk.runner.call(event)
            elif isinstance(event, port.ToolCallCancelled):
                desk.runner.cancel(event.call)

        async with cascade.connect(port.BackendContext("c", emit)) as session, asyncio.timeout(10):
            assert isinstance(session, port.BackendSession)
            await session.send(ENDED)
            while not runs:  # noqa: ASYNC110 - nothing tells a test
                await asyncio.sleep(0.01)
            await session.send(port.TurnStartedInput("alice", 1.0))
            await session.send(ENDED)
            await asyncio.sleep(0.2)
            gate.set()
            while not desk.entries:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            for entry in desk.entries:
                await session.send(entry)
            while not any(isinstance(event, port.ReplyAudioEnded) for event in events):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await desk.runner.close()
        return desk

    desk = asyncio.run(main())
    assert runs == ["A"]
    assert [outcome for _, _, outcome in desk.told] == ["ok"]


@pytest.mark.parametrize("preemptive", [False, True])
@pytest.mark.parametrize("opening", ["", "Let me look. "])
def test_no_part_of_the_way_to_the_first_sound_takes_less_than_no_time(
    opening: str, preemptive: bool, converse: Converse
) -> None:
    pipeline = bot(["Book a table."], Books(opening=opening), filler="One moment.", preemptive=preemptive)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_latency")

    call = converse(pipeline, script)
    (timed,), (turn,), (audio,) = (
        *(call.of("reply_latency"), call.of("user_turn_ended"), call.of("reply_first_audio")),
    )
    assert min(value for part, value in timed.parts.items() if part != "ahead") >= 0
    assert sum(timed.parts.values()) == pytest.approx(audio.at - turn.at, abs=0.011)


def test_a_tool_is_told_whose_turn_called_it_and_not_who_spoke_meanwhile(converse: Converse) -> None:
    seen: list[str | None] = []

    class Asker(AgentPipeline):
        @tool
        async def book(self, table: str, context: ToolContext) -> str:
            """Book a table."""
            seen.append(context.peer)
            return f"booked {table}"

    pipeline = Asker()
    script_of_words = [[0.1, "Book a table."], [0.1, "Hello Alice."]]
    pipeline.backend = Cascade([Understands(script_of_words)], [Slow()], [Speaks()])

    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("user_turn_ended")
        await bob.speak(speech("bob_yes.wav"))
        await call.wait_for("tool_called")
        await asyncio.sleep(3)

    call = converse(pipeline, script)
    assert [event.peer for event in call.of("user_started_speaking")] == ["alice", "bob"]
    assert seen == ["alice"]


@dataclass(frozen=True, eq=False)
class Slow(Books):
    """Takes two seconds to begin."""

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[port.ToolDeclaration]
    ) -> AsyncIterator[LLMChunk]:
        await asyncio.sleep(2)
        async for piece in super().reply(messages, tools):
            yield piece
