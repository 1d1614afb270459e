"""Asking the model something beside the conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fishjam_agents.backends import Capabilities, Parrot, port
from fishjam_agents.errors import BackendError, SessionError
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]
ASKS = Capabilities(out_of_band=True, replies_wait=True)


def asked(*answers: Any) -> Scripted:
    return Scripted(offers=ASKS, script=[Step(port.OutOfBandInput, answer=answer) for answer in answers])


def test_a_question_is_answered_and_nothing_is_spoken(converse: Converse) -> None:
    model = asked(
        [2.0, port.OutOfBandResponse("q1", '{"mood": "good"}')], [port.OutOfBandResponse("q2", "Two.")]
    )

    class Curious(AgentPipeline):
        backend = model
        told: list[str] = []  # noqa: RUF012

        async def on_peer_joined(self, peer: str) -> None:
            self.told.append(await self.ask("The caller's mood as JSON."))

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        await asyncio.sleep(3)
        assert await call.bot.ask("How many have called?") == "Two."

    call = converse(Curious(), script)
    assert Curious.told == ['{"mood": "good"}']
    assert [entry.text for entry in model.entries if isinstance(entry, port.OutOfBandInput)] == [
        "The caller's mood as JSON.",
        "How many have called?",
    ]
    assert not call.of("reply_started")
    model.finish()


def test_several_questions_at_once_each_get_their_own_answer(converse: Converse) -> None:
    model = asked(
        [],
        [],
        [
            port.OutOfBandResponse("q3", "c"),
            port.OutOfBandResponse("q1", "a"),
            port.OutOfBandResponse("q2", "b"),
        ],
    )

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        assert await asyncio.gather(*map(call.bot.ask, "abc")) == ["a", "b", "c"]

    bot = AgentPipeline()
    bot.backend = model
    converse(bot, script)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([], r"did not answer a question within 5 s: give it longer"),
        ([port.OutOfBandResponse("q1", error="it is overloaded")], r"\(it is overloaded\): ask again"),
        ([6.0, port.OutOfBandResponse("q1", "too late")], "within 5 s"),
    ],
)
def test_a_question_without_an_answer_is_an_error_that_says_so(
    converse: Converse, answer: Any, message: str
) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        with pytest.raises(BackendError, match=message):
            await call.bot.ask("Well?", within=5)
        await asyncio.sleep(2)

    bot = AgentPipeline()
    bot.backend = asked(answer)
    assert not converse(bot, script).of("error")


def test_the_end_of_the_call_ends_a_question_and_nothing_is_asked_after_it(converse: Converse) -> None:
    class Late(AgentPipeline):
        backend = asked([])
        errors: list[str] = []  # noqa: RUF012

        async def on_peer_joined(self, peer: str) -> None:
            await self._asks()

        async def on_stop(self) -> None:
            await self._asks()

        async def _asks(self) -> None:
            try:
                await self.ask("Well?")
            except BackendError as error:
                self.errors.append(str(error))

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        await asyncio.sleep(1)

    converse(Late(), script)
    assert sorted(Late.errors) == [
        "the call ended before the model had answered: ask sooner",
        "the call is over, nobody answers any more: ask before, as in on_ending",
    ]


class Summing(AgentPipeline):
    def __init__(self, model: Scripted, question: str = "Sum up.") -> None:
        super().__init__()
        self.backend = model
        self.question = question
        self.told: list[str] = []

    async def on_ending(self) -> None:
        try:
            self.told.append(await self.ask(self.question))
        except BackendError as error:
            self.told.append(str(error))

    async def on_stop(self) -> None:
        self.told.append("stopped")


@pytest.mark.parametrize("end", ["stop", "end_call"])
def test_a_summary_can_be_had_when_the_bot_ends_the_call(converse: Converse, end: str) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        getattr(call.bot, end)()
        await asyncio.sleep(30)

    bot = Summing(asked([2.0, port.OutOfBandResponse("q1", "They said hello.")]))
    converse(bot, script)
    assert bot.told == ["They said hello.", "stopped"]


def test_nobody_is_heard_and_nothing_is_said_while_the_call_is_ending(converse: Converse) -> None:
    model = asked([3.0, port.OutOfBandResponse("q1", "Nothing.")])

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        speech_ = call.bot.play(np.full(48000, 3000, np.int16))
        await asyncio.sleep(0.5)
        call.bot.stop()
        await asyncio.sleep(0.1)
        assert speech_.interrupted
        await alice.speak(speech("alice_yes.wav"))
        await asyncio.sleep(20)

    bot = Summing(model)
    call = converse(bot, script)
    assert bot.told == ["Nothing.", "stopped"]
    assert not call.of("user_started_speaking")


def test_an_end_that_takes_too_long_is_cut_off_and_a_bug_in_it_ends_nothing(
    converse: Converse, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        call.bot.stop()
        await asyncio.sleep(30)

    class Wrong(Summing):
        async def on_ending(self) -> None:
            raise ValueError("a bug")

    slow, wrong = Summing(asked([])), Wrong(asked())
    converse(slow, script)
    assert "The hook on_ending did not finish within 5 s and was cancelled" in caplog.text
    failed = converse(wrong, script)
    assert [event.where for event in failed.of("error")] == ["on_ending"]
    assert slow.told == wrong.told == ["stopped"]


def test_without_a_model_the_end_is_not_waited_for(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        call.room.session.deliver(ConnectionResetError("gone"))
        await asyncio.sleep(30)

    bot = Summing(asked([]))
    with pytest.raises(SessionError):
        converse(bot, script)
    assert bot.told == ["stopped"]


def test_with_a_session_for_each_peer_one_of_them_is_asked(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        alice, _ = await call.arrive("alice", "bob")
        with pytest.raises(BackendError, match="there is no session for carol yet"):
            await call.bot.ask("Who are you?", peer="carol")
        await alice.speak(speech("alice_yes.wav"))
        answering = asyncio.create_task(call.bot.ask("Who was that?"))
        await asyncio.sleep(1)
        assert len([entry for entry in model.entries if isinstance(entry, port.OutOfBandInput)]) == 1
        model.sessions[0].answer([port.OutOfBandResponse("q2", "Alice.")])
        assert await answering == "Alice."

    bot = AgentPipeline()
    bot.backend = model = Scripted(offers=ASKS)
    bot.hearing = HearingSettings(mode="per_peer")
    converse(bot, script)


def test_a_backend_that_answers_no_questions_says_so(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        with pytest.raises(BackendError, match="Parrot answers nothing beside the conversation"):
            await call.bot.ask("Well?")

    bot = AgentPipeline()
    bot.backend = Parrot()
    converse(bot, script)
