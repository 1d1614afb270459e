"""Who goes on just as the first answer of a call begins, while it is not known whether there is an echo."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from fishjam_agents.backends import port
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]


class Lecturer(port.Backend):
    """Answers every turn with the same long sentence."""

    capabilities = port.Capabilities(output_rate=24000, wants_turn_audio=True, replies_wait=True)

    @asynccontextmanager
    async def connect(self, conversation: port.BackendContext) -> AsyncIterator[port.InlineSession]:
        ids = (f"r{n}" for n in itertools.count(1))

        class Session(port.InlineSession):
            def handle(self, entry: port.BackendInput) -> None:
                if isinstance(entry, port.TurnEndedInput):
                    reply = next(ids)
                    conversation.emit(port.ReplyStarted(reply))
                    conversation.emit(port.ReplyAudio(reply, speech("bob_long.wav", 24000)))
                    conversation.emit(port.ReplyAudioEnded(reply))

        yield Session()


@pytest.mark.parametrize("gap", [0.1, 0.2, 0.3, 0.5])
@pytest.mark.parametrize("level", [1.0, 0.3])
def test_who_goes_on_as_the_first_answer_begins_is_heard(
    converse: Converse, gap: float, level: float
) -> None:
    """Also who is 10 dB quieter than the bot, as an echo would be."""
    bot = AgentPipeline()
    bot.backend = Lecturer()
    words = (speech("alice_question.wav") * level).astype(np.int16)
    begun: list[float] = []

    async def script(call: MemoryCall) -> None:
        (ann,) = await call.arrive("ann")
        await ann.speak(speech("alice_question.wav"))
        first = await call.wait_for("reply_first_audio")
        await asyncio.sleep(gap)
        begun.append(first.at + gap)
        ann.say(words)
        await call.wait_for("user_turn_ended", 2)

    call = converse(bot, script)
    suspected = call.of("barge_in_suspected")[0].at - begun[0]
    lost = call.of("user_turn_ended")[1].start - begun[0]
    # Both speak until the bot pauses; what comes before the onset by at most the pre-roll is not lost.
    assert suspected <= 0.6
    assert lost - bot.turns.pre_roll <= 0.25
