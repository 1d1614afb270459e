"""What a backend is told when its replies are cut, and what it is not told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fishjam_agents import SpeechHandle
from fishjam_agents.backends import port
from fishjam_agents.errors import BackendError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech, tone

Converse = Callable[..., MemoryCall]


def script_of_replies(*replies: str) -> list[port.BackendEvent | float]:
    return [
        event
        for reply in replies
        for event in (
            port.ReplyStarted(reply),
            port.ReplyAudio(reply, tone(4.0)),
            port.ReplyAudioEnded(reply),
        )
    ]


def cutting(script: list[Step]) -> AgentPipeline:
    bot = AgentPipeline()
    bot.backend = Scripted(script=script, offers=port.Capabilities(cancel=True, truncate=True, text=True))
    return bot


def heard_of(bot: AgentPipeline) -> list[tuple[str, float] | None]:
    assert isinstance(bot.backend, Scripted)
    bot.backend.finish()
    return [
        None if entry.heard is None else (entry.heard.reply, round(entry.heard.seconds, 1))
        for entry in bot.backend.entries
        if isinstance(entry, port.InterruptInput)
    ]


def test_the_backend_learns_what_was_heard_of_each_of_its_replies(converse: Converse) -> None:
    bot = cutting(
        [Step(None, script_of_replies("r1", "r2", "r3")), *(Step(port.InterruptInput) for _ in range(3))]
    )

    async def script(call: MemoryCall) -> None:
        await call.wait_for("reply_first_audio")
        call.bot.play(tone(1.0), priority=1)
        second = call.bot._running_call().replies.speech("r2")
        assert second is not None
        second.interrupt()
        await asyncio.sleep(1.0)
        heard = call.bot.interrupt()
        assert heard is not None
        assert heard.reply == "r1"

    call = converse(bot, script)
    assert heard_of(bot) == [("r2", 0.0), ("r1", 1.0), ("r3", 0.0)]
    assert [e.reply for e in call.of("reply_interrupted")] == ["r2", "r1", "play-1", "r3"]


def test_the_backend_is_stopped_but_told_of_no_reply_when_a_recording_is_cut(converse: Converse) -> None:
    bot = cutting([Step(port.InterruptInput)])

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        call.bot.play(tone(3.0))
        await asyncio.sleep(1.0)
        call.bot.interrupt()

    converse(bot, script)
    assert heard_of(bot) == [None]


def test_a_reply_that_is_protected_is_not_cancelled_by_who_speaks(converse: Converse) -> None:
    class Careful(AgentPipeline):
        async def on_reply_started(self, speech: SpeechHandle) -> None:
            speech.interruptible = False

    bot = Careful()
    bot.backend = Scripted(
        script=[Step(None, script_of_replies("r1")), Step(port.TurnStartedInput), Step(port.TurnEndedInput)],
        offers=port.Capabilities(cancel=True, truncate=True),
    )

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended")
        await call.wait_for("user_turn_ended")

    call = converse(bot, script)
    assert call.of("reply_ended")[0].heard.seconds == 4.0
    assert heard_of(bot) == []


def test_a_reply_whose_backend_is_lost_ends_with_what_there_is_of_it(converse: Converse) -> None:
    lost = BackendError("gone", retryable=True)
    started = [port.ReplyStarted("r1"), port.ReplyAudio("r1", tone(2.0)), lost]
    bot = cutting([Step(None, started), Step(port.TextInput, script_of_replies("r2"))])

    async def script(call: MemoryCall) -> None:
        await call.wait_for("outage")
        call.bot.send_text("go on")
        await call.wait_for("reply_ended", 2)

    call = converse(bot, script)
    assert [(e.reply, e.heard.seconds) for e in call.of("reply_ended")] == [("r1", 2.0), ("r2", 4.0)]
    heard_of(bot)


def test_a_recording_is_no_verdict_of_the_model_on_a_suspicion(converse: Converse) -> None:
    bot = AgentPipeline()
    bot.backend = Scripted(
        [Step(None, script_of_replies("r1"))], port.Capabilities(own_turn_detection=True, cancel=True)
    )
    bot.turns = TurnSettings(mode="backend")

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await call.wait_for("reply_first_audio")
        alice.say(speech("alice_yes.wav"))
        await call.wait_for("barge_in_suspected")
        call.bot.play(tone(0.5))
        await call.wait_for("barge_in_withdrawn")
        await call.wait_for("reply_ended", 2)

    assert not converse(bot, script).of("reply_interrupted")
    bot.backend.finish()
