"""The session loses its connection and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fishjam_agents.backends.port import (
    AudioEntry,
    Capabilities,
    TextEntry,
    TurnEndedEntry,
    TurnStartedEntry,
)
from fishjam_agents.fishjam import Reconnected
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import Scripted, Step
from tests.pipeline.conftest import Conversation, speech

Converse = Callable[..., Conversation]


async def cut_off_in_mid_sentence(call: Conversation) -> None:
    (alice,) = await call.joins("alice")
    alice.say(speech("alice_question.wav"))
    await call.until("user_started_speaking")
    await asyncio.sleep(0.5)
    # What comes over the wire stops, and three seconds later the connection is back.
    alice.muted = True
    alice.hush()
    await asyncio.sleep(0.2)
    call.room.session.deliver(Reconnected(3.0, 2))
    await call.until("user_turn_ended")
    await asyncio.sleep(0.2)


def test_an_outage_of_the_agent_socket_cuts_the_open_turn_and_the_model_is_told(converse: Converse) -> None:
    bot = AgentPipeline()
    bot.backend = Scripted(
        [Step(TurnStartedEntry), Step(TurnEndedEntry), Step(TextEntry)], Capabilities(text=True)
    )
    call = converse(bot, cut_off_in_mid_sentence)
    bot.backend.finish()
    (outage,) = call.of("outage")
    assert (outage.what, outage.seconds) == ("agent_socket", 3.0)
    (turn,) = call.of("user_turn_ended")
    assert turn.reason == "outage"
    (note,) = [entry for entry in bot.backend.entries if isinstance(entry, TextEntry)]
    assert "lost for 3.0 s" in note.text


def test_a_model_that_takes_no_text_gets_the_cut_turn_only(converse: Converse) -> None:
    bot = AgentPipeline()
    bot.backend = Scripted([Step(TurnStartedEntry), Step(TurnEndedEntry)])
    call = converse(bot, cut_off_in_mid_sentence)
    bot.backend.finish()
    assert call.kinds.count("outage") == 1
    assert any(isinstance(entry, AudioEntry) for entry in bot.backend.entries)
