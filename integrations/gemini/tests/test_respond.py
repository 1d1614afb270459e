"""What the app asks the model to say, over Google's client."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.asked_replies import TOLD
from fishjam_agents_gemini.emulator import Connection, GeminiEmulator, Request, say

from fishjam_agents.backends import port as p
from fishjam_agents.events import Heard
from integrations.gemini.tests.talk import talking, voice

Run = Callable[..., None]
GREET = p.TextInput("Greet the caller.", reply="say-1", instructs=True)


@pytest.mark.parametrize(
    ("model", "name"), [("gemini-3.8-live", "text"), ("gemini-2.5-flash-native-audio", "client_content")]
)
def test_the_model_opens_the_call_under_the_id_that_is_wanted(run: Run, model: str, name: str) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(say("good morning"))
        async with talking(Gemini(model)) as talk:
            talk.put(GREET)
            assert (await talk.until(p.ReplyAudioEnded)).reply == "say-1"
            connection = await emulator.connection(0)
        assert TOLD.format("Greet the caller.") in json.dumps(connection.of(name))
        assert talk.reply_text("say-1").split() == ["good", "morning"]

    run(test)


def test_a_turn_that_is_open_and_its_answer_go_first(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.extend([say("the answer"), say("good morning")])
        async with talking() as talk:
            talk.begin_turn()
            talk.audio(voice(0.2))
            talk.put(GREET)
            talk.audio(voice(0.2))
            talk.end_turn()
            assert (await talk.until(p.ReplyAudioEnded)).reply == "gemini-1"
            assert (await talk.until(p.ReplyAudioEnded, 2)).reply == "say-1"
            connection = await emulator.connection(0)
        assert connection.names() == ["activityStart", "audio", "activityEnd", "text"]

    run(test)


def test_a_model_that_has_nothing_to_say_ends_the_reply(run: Run) -> None:
    async def nothing(connection: Connection, request: Request) -> None:
        await connection.finish_turn()

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.extend([nothing, say("the answer")])
        async with talking() as talk:
            talk.put(GREET)
            assert (await talk.until(p.ReplyAudioEnded)).reply == "say-1"
            assert not len(talk.reply_audio("say-1"))
            talk.say(voice(0.2))
            assert (await talk.until(p.ReplyAudioEnded, 2)).reply == "gemini-1"

    run(test)


@pytest.mark.usefixtures("impatient")
def test_one_that_had_not_begun_is_asked_for_again_after_a_lost_connection(run: Run) -> None:
    async def lost(connection: Connection, request: Request) -> None:
        await connection.abort()

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.extend([lost, say("good morning")])
        async with talking() as talk:
            talk.put(GREET)
            assert (await talk.until(p.ReplyAudioEnded)).reply == "say-1"
            assert len(talk.reply_audio("say-1"))

    run(test)


def test_one_that_is_taken_back_in_time_is_not_asked_for(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(say("the answer"))
        async with talking() as talk:
            talk.begin_turn()
            talk.put(GREET, p.InterruptInput(Heard("say-1", 0.0)))
            talk.audio(voice(0.2))
            talk.end_turn()
            assert (await talk.until(p.ReplyAudioEnded)).reply == "gemini-1"
            connection = await emulator.connection(0)
        assert "text" not in connection.names()

    run(test)
