"""Several people and one bot: a mix, a session for each, and who is said to speak."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fishjam_agents.backends import Parrot
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from tests.pipeline.conftest import Conversation, speech

Converse = Callable[..., Conversation]


class MixBot(AgentPipeline):
    backend = Parrot()
    hearing = HearingSettings(mode="mix")


def test_people_who_speak_at_once_are_one_turn_of_a_mix(converse: Converse) -> None:
    async def script(call: Conversation) -> None:
        alice, bob = await call.joins("alice", "bob")
        alice.say(speech("alice_long.wav"))
        await asyncio.sleep(1.0)
        bob.say(speech("bob_long.wav"))
        await call.until("reply_ended")

    call = converse(MixBot(), script)
    (turn,) = call.of("user_turn_ended")
    assert turn.peer is None
    assert turn.track == "mix"
    assert turn.media_at - turn.start == pytest.approx(4.8, abs=0.2)
    assert call.of("user_started_speaking")[0].peer == "alice"


def test_in_a_mix_anybody_interrupts_and_is_named(converse: Converse) -> None:
    async def script(call: Conversation) -> None:
        alice, bob = await call.joins("alice", "bob")
        await alice.speak(speech("alice_long.wav"))
        await call.until("reply_first_audio")
        await asyncio.sleep(1.0)
        await bob.speak(speech("bob_question.wav"))
        await call.until("reply_ended")

    call = converse(MixBot(), script)
    assert [event.peer for event in call.events if event.kind.startswith("barge")] == ["bob", "bob"]
    assert [turn.peer for turn in call.of("user_turn_ended")] == ["alice", "bob"]
    media = [event.media_at for event in call.events if hasattr(event, "media_at")]
    assert media == sorted(media)


def test_who_mutes_within_a_word_holds_up_nobody_in_a_mix(converse: Converse) -> None:
    async def script(call: Conversation) -> None:
        alice, bob = await call.joins("alice", "bob")
        alice.say(speech("alice_long.wav"))
        await asyncio.sleep(2.0)
        alice.muted = True
        await call.until("user_turn_ended")
        await bob.speak(speech("bob_question.wav"))
        await call.until("user_turn_ended", 2)

    first, second = converse(MixBot(), script).of("user_turn_ended")
    assert (first.peer, first.reason) == ("alice", "silence")
    assert first.at - first.media_at < 1.3
    assert (second.peer, second.reason) == ("bob", "silence")
