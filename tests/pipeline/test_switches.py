"""The bot's voice and ears, switched off and on by the app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fishjam_agents.backends import Parrot, port
from fishjam_agents.fishjam import Reconnected
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]


class Bot(AgentPipeline):
    backend = Parrot()


def test_a_muted_bot_is_silent_at_once_and_what_it_would_say_ends_unheard(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        playing = call.bot.play(speech("alice_long.wav", 24000), interruptible=False)
        await asyncio.sleep(1.0)
        assert not call.bot.muted
        call.bot.mute()
        call.bot.mute()
        assert call.bot.muted
        assert playing.interrupted
        assert playing.heard.seconds == pytest.approx(1.0, abs=0.03)
        assert (await call.bot.play(speech("alice_yes.wav", 24000))).heard.seconds == 0
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_interrupted", 2)
        call.bot.unmute()
        await asyncio.sleep(1.0)
        await alice.speak(speech("alice_yes.wav"))
        await call.wait_for("reply_ended")

    call = converse(Bot(), script)
    off, on = call.of("mute_changed")
    assert [(e.direction, e.muted) for e in (off, on)] == [("output", True), ("output", False)]
    wave = call.room.played()
    assert not wave[round((off.at + 0.04) * 24000) : round(on.at * 24000)].any()
    assert call.of("reply_interrupted")[1].heard.seconds == 0
    assert not call.bot.muted


def test_the_backend_learns_that_its_reply_was_muted(converse: Converse) -> None:
    bot = AgentPipeline()
    reply = [port.ReplyStarted("r1"), port.ReplyTextDelta("r1", "unheard words"), port.ReplyAudioEnded("r1")]

    def unheard(entry: port.BackendInput) -> None:
        assert isinstance(entry, port.InterruptInput)
        assert entry.heard is not None
        assert (entry.heard.reply, entry.heard.seconds, entry.heard.text) == ("r1", 0.0, "")

    bot.backend = Scripted(
        [Step(port.TextInput, reply), Step(port.InterruptInput, check=unheard)],
        port.Capabilities(text=True, truncate=True),
    )

    async def script(call: MemoryCall) -> None:
        await asyncio.sleep(0.1)
        call.bot.mute()
        call.bot.send_text("say something")
        await asyncio.sleep(1.0)

    call = converse(bot, script)
    bot.backend.finish()
    assert [k for k in call.kinds if k.startswith("reply")] == ["reply_started", "reply_interrupted"]


def test_a_voice_stays_muted_through_an_outage(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        call.bot.mute()
        (track,) = call.room.session.tracks
        track.ready = False
        await asyncio.sleep(1.0)
        track.ready = True
        call.room.session.deliver(Reconnected(1.0, 1))
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_interrupted")
        await asyncio.sleep(2.0)

    assert not converse(Bot(), script).room.played().any()


@pytest.mark.parametrize("mode", ["active_speaker", "mix"])
def test_closed_ears_hear_nothing_and_cut_the_open_turn(converse: Converse, mode: str) -> None:
    class Listener(Bot):
        hearing = HearingSettings(mode=mode)  # type: ignore[arg-type]

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        alice.say(speech("alice_long.wav"))
        await asyncio.sleep(1.5)
        assert call.bot.listening
        call.bot.listen(False)
        call.bot.listen(False)
        assert not call.bot.listening
        await call.wait_for("reply_ended")
        bob = call.room.join("bob")
        await bob.speak(speech("bob_long.wav"))
        await asyncio.sleep(3.0)
        call.bot.listen()
        await alice.speak(speech("alice_yes.wav"))
        await call.wait_for("reply_ended", 2)

    call = converse(Listener(), script)
    cut, heard = call.of("user_turn_ended")
    off, on = call.of("mute_changed")
    assert (cut.reason, heard.reason) == ("app", "silence")
    assert cut.at == off.at
    assert heard.start > on.at - 0.05
    assert not [e for e in call.observed if e.kind.startswith("user") and off.at < e.at < on.at]
    # Whoever comes meanwhile is known all the same.
    assert {e.peer for e in call.of("peer_joined")} == {"alice", "bob"}


def test_ears_close_on_a_suspicion_and_the_bot_goes_on(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        call.bot.play(speech("alice_long.wav", 24000))
        await asyncio.sleep(1.0)
        alice.say(speech("bob_long.wav"))
        await call.wait_for("barge_in_suspected")
        call.bot.listen(False)
        await call.wait_for("reply_ended")

    call = converse(Bot(), script)
    assert [k for k in call.kinds if k.startswith("barge")] == ["barge_in_suspected", "barge_in_withdrawn"]
    assert not call.of("reply_interrupted")


def test_ears_stay_closed_through_an_outage(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        call.bot.listen(False)
        call.room.session.deliver(Reconnected(1.0, 1))
        alice.republish("alice-again")
        await alice.speak(speech("alice_question.wav"))
        await asyncio.sleep(2.0)

    assert not converse(Bot(), script).of("user_started_speaking")


def test_a_model_that_finds_turns_itself_gets_silence_and_then_nothing(converse: Converse) -> None:
    bot = AgentPipeline()
    bot.backend = Scripted(offers=port.Capabilities(own_turn_detection=True))
    bot.turns = TurnSettings(mode="backend")
    sent: list[int] = []

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        alice.say(speech("alice_long.wav"))
        await asyncio.sleep(1.0)
        entries = call.bot.backend.entries  # type: ignore[attr-defined]
        call.bot.listen(False)
        await asyncio.sleep(0.1)
        sent.append(len(entries))
        await asyncio.sleep(2.0)
        sent.append(len(entries))

    converse(bot, script)
    assert sent[0] == sent[1]
    last, ended = bot.backend.entries[-2:]
    assert isinstance(last, port.AudioInput)
    assert last.seconds == 1.0
    assert not last.samples.any()
    assert ended == port.AudioEndedInput("alice")
