"""The session loses its connection and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fishjam_agents.backends import Parrot
from fishjam_agents.backends.port import (
    AudioInput,
    Capabilities,
    TextInput,
    TurnEndedInput,
    TurnStartedInput,
)
from fishjam_agents.fishjam import Reconnected
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]


async def cut_off_in_mid_sentence(call: MemoryCall) -> None:
    (alice,) = await call.arrive("alice")
    alice.say(speech("alice_question.wav"))
    await call.wait_for("user_started_speaking")
    await asyncio.sleep(0.5)
    # What comes over the wire stops, and three seconds later the connection is back.
    alice.muted = True
    alice.stop_speaking()
    await asyncio.sleep(0.2)
    call.room.session.deliver(Reconnected(3.0, 2))
    await call.wait_for("user_turn_ended")
    await asyncio.sleep(0.2)


def test_an_outage_of_the_agent_socket_cuts_the_open_turn_and_the_model_is_told(converse: Converse) -> None:
    bot = AgentPipeline()
    bot.backend = Scripted(
        [Step(TurnStartedInput), Step(TurnEndedInput), Step(TextInput)], Capabilities(text=True)
    )
    call = converse(bot, cut_off_in_mid_sentence)
    bot.backend.finish()
    (outage,) = call.of("outage")
    assert (outage.what, outage.seconds) == ("agent_socket", 3.0)
    (turn,) = call.of("user_turn_ended")
    assert turn.reason == "outage"
    (note,) = [entry for entry in bot.backend.entries if isinstance(entry, TextInput)]
    assert "lost for 3.0 s" in note.text


def test_a_model_that_takes_no_text_gets_the_cut_turn_only(converse: Converse) -> None:
    bot = AgentPipeline()
    bot.backend = Scripted([Step(TurnStartedInput), Step(TurnEndedInput)])
    call = converse(bot, cut_off_in_mid_sentence)
    bot.backend.finish()
    assert call.kinds.count("outage") == 1
    assert any(isinstance(entry, AudioInput) for entry in bot.backend.entries)


def test_a_reply_goes_on_after_an_outage_where_it_was(converse: Converse) -> None:
    class Bot(AgentPipeline):
        backend = Parrot()

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(words)
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(1.0)
        (track,) = call.room.session.tracks
        track.ready = False
        await asyncio.sleep(3.0)
        track.ready = True
        call.room.session.deliver(Reconnected(3.0, 1))
        await call.wait_for("reply_ended")

    words = speech("alice_long.wav")
    call = converse(Bot(), script)
    (generated,) = call.of("reply_generated")
    (ended,) = call.of("reply_ended")
    assert ended.heard.seconds == generated.seconds
    # All of it was played, and there is one gap of the outage's length.
    (track,) = call.room.session.tracks
    assert sum(len(samples) for _, samples in track.heard) / 24000 == pytest.approx(
        generated.seconds, abs=0.02
    )
    assert ended.at - call.of("reply_first_audio")[0].at == pytest.approx(generated.seconds + 3, abs=0.15)
