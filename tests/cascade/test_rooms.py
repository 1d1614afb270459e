"""A cascade that hears several people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.testing import MemoryCall
from tests.cascade.calls import bot, said
from tests.cascade.components import Answers, Speaks, Understands
from tests.pipeline.conftest import converse, speech

__all__ = ["converse"]
Converse = Callable[..., MemoryCall]


def test_the_language_model_reads_who_speaks_and_does_not_answer_that(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        alice = call.room.join("a", about={"peer": {}, "server": {"name": "Alice"}})
        bob = call.room.join("b", about={"peer": {"name": "Bob"}, "server": {}})
        await asyncio.sleep(0.5)
        for peer in (alice, alice, bob):
            count = len(call.of("reply_ended"))
            await peer.speak(speech("alice_question.wav"))
            await call.wait_for("reply_ended", count + 1)

    llm = Answers([["Yes."]])
    pipeline = bot(Understands([["One."], ["Two."], ["Three."]]), llm, Speaks())
    pipeline.hearing = HearingSettings(speaker_notes=True)
    call = converse(pipeline, script)
    assert len(call.of("reply_started")) == 3
    heard = [text for role, text in said(llm) if role == "user"]
    assert heard == ["[Alice speaks] One.", "Two.", "[Bob speaks] Three."]


def test_everybody_has_a_conversation_of_their_own(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        for peer in (alice, bob, alice):
            count = len(call.of("reply_ended"))
            await peer.speak(speech("alice_question.wav"))
            await call.wait_for("reply_ended", count + 1)

    llm = Answers([["Yes."]])
    pipeline = bot(Understands([["One."], ["Two."], ["Three."]]), llm, Speaks())
    pipeline.hearing = HearingSettings(mode="per_peer")
    call = converse(pipeline, script)
    asked = [[text for role, text in said(llm, request) if role == "user"] for request in range(3)]
    assert asked == [["One."], ["Two."], ["One.", "Three."]]
    assert [event.peer for event in call.of("user_transcript") if event.final] == ["alice", "bob", "alice"]
