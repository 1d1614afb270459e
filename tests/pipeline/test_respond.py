"""What the app asks the model to say (`respond`): its handle, a greeting, and a model that says nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import numpy as np
import pytest

from fishjam_agents.backends import Parrot, port
from fishjam_agents.errors import BackendError, FishjamAgentsError
from fishjam_agents.events import Heard
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.pipeline.own_words import Instructions
from fishjam_agents.testing import MemoryCall, Scripted, Step
from tests.pipeline.conftest import speech, tone

Converse = Callable[..., MemoryCall]
CAN = port.Capabilities(respond=True, cancel=True)


def bot(*script: Step) -> tuple[AgentPipeline, Scripted]:
    pipeline = AgentPipeline()
    pipeline.backend = model = Scripted(script, CAN)
    return pipeline, model


def says(reply: str) -> list[port.BackendEvent]:
    return [port.ReplyStarted(reply), port.ReplyAudio(reply, tone(1.0)), port.ReplyAudioEnded(reply)]


def test_a_reply_that_is_asked_for_has_a_handle_before_the_model_speaks(converse: Converse) -> None:
    pipeline, model = bot(Step(port.TextInput, says("say-1")))

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        reply = pipeline.respond("Ask for the order number.")
        assert not reply.done
        assert (await reply).heard.seconds == 1.0

    converse(pipeline, script)
    model.finish()
    assert model.entries == [port.TextInput("Ask for the order number.", reply="say-1", instructs=True)]


def test_a_greeting_by_instructions_opens_the_call_for_the_first_who_joins(converse: Converse) -> None:
    pipeline, model = bot(Step(port.TextInput, says("say-1")))
    pipeline.greeting = Instructions("Greet the caller.")

    async def script(call: MemoryCall) -> None:
        await asyncio.sleep(2.0)
        assert not model.entries
        await call.arrive("alice", "bob")
        await call.wait_for("reply_ended")

    converse(pipeline, script)
    model.finish()


def test_a_model_that_says_nothing_is_waited_for_in_quiet_only_so_long(converse: Converse) -> None:
    pipeline, model = bot(Step(port.TextInput), Step(port.InterruptInput))
    waited: list[float] = []

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        asked = asyncio.get_running_loop().time()
        music = pipeline.play(tone(20.0))
        reply = pipeline.respond("Ask for the order number.")
        await music
        assert (await reply).interrupted
        waited.append(asyncio.get_running_loop().time() - asked)

    call = converse(pipeline, script)
    model.finish()
    assert waited[0] == pytest.approx(50.0, abs=0.5)
    (warning,) = call.of("backend_warning")
    assert warning.message.startswith("the model said nothing to what it was asked to say within 30 s")
    assert model.entries[-1] == port.InterruptInput(Heard("say-1", 0.0))


def test_who_speaks_for_long_is_heard_out_and_the_reply_is_not_given_up(converse: Converse) -> None:
    pipeline, model = bot(
        Step(port.TurnStartedInput), Step(port.TextInput), Step(port.TurnEndedInput, says("say-1"))
    )
    story = speech("bob_long.wav")
    story = np.tile(story, math.ceil(40 * 16000 / len(story)))

    async def script(call: MemoryCall) -> None:
        (bob,) = await call.arrive("bob")
        speaking = asyncio.create_task(bob.speak(story))
        await call.wait_for("user_started_speaking")
        await asyncio.sleep(1.0)
        reply = pipeline.respond("Ask for the order number.")
        await speaking
        assert (await reply).heard.seconds == 1.0

    call = converse(pipeline, script)
    model.finish()
    assert len(call.of("user_started_speaking")) == 1
    assert not call.of("backend_warning")


def test_a_backend_that_cannot_be_told_what_to_say_is_one_sentence(converse: Converse) -> None:
    pipeline = AgentPipeline()
    pipeline.backend = Parrot()

    async def script(call: MemoryCall) -> None:
        with pytest.raises(BackendError, match=r"Parrot cannot be told what to say: use say\(\), play\(\)"):
            pipeline.respond("Greet.")

    converse(pipeline, script)
    pipeline.greeting = Instructions("Greet.")
    sentence = "greeting has instructions, but Parrot cannot be told what to say here: give a wav"
    with pytest.raises(FishjamAgentsError, match=sentence):
        pipeline.verify()
    pipeline.backend = Scripted(offers=CAN)
    pipeline.greeting = "Hello."
    sentence = "greeting is a text, but Scripted cannot speak given words here: give instructions or a wav"
    with pytest.raises(FishjamAgentsError, match=sentence):
        pipeline.verify()
