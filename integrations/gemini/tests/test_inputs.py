"""What is not speech: writing, notes, pictures, turns that are taken back, speakers who leave."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.emulator import GeminiEmulator

from fishjam_agents.backends import port as p
from integrations.gemini.tests.talk import talking, voice

Run = Callable[..., None]


def test_a_speaker_who_leaves_ends_the_turn(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(turn_mode="backend") as talk:
            talk.audio(voice(0.4))
            talk.put(p.AudioEndedInput("ann"))
            await talk.until(p.ReplyAudioEnded)
            connection = await emulator.connection(0)
        assert connection.names() == ["audio", "audioStreamEnd"]

    run(test)


@pytest.mark.parametrize(
    ("model", "name"), [("gemini-3.8-live", "text"), ("gemini-2.5-flash-native-audio", "client_content")]
)
def test_written_words_go_the_way_the_model_takes_them(run: Run, model: str, name: str) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(Gemini(model)) as talk:
            talk.put(p.TextInput("Hello"))
            await talk.until(p.ReplyAudioEnded)
            connection = await emulator.connection(0)
        assert connection.names() == [name]
        assert "Hello" in json.dumps(connection.of(name))
        assert connection.session.history[0].text == "Hello"

    run(test)


def test_a_note_is_known_and_not_answered(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            talk.put(p.TextInput("[ann speaks]", note=True))
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded)
            connection = await emulator.connection(0)
        assert [said.text for said in connection.session.history][:2] == ["[ann speaks]", ""]
        assert len(talk.of(p.ReplyStarted)) == 1

    run(test)


def test_a_turn_that_is_taken_back_is_the_beginning_of_the_next(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            talk.begin_turn()
            talk.audio(voice(0.1))
            talk.put(p.TurnCancelledInput("ann"))
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded)
            connection = await emulator.connection(0)
        assert connection.names() == ["activityStart", "audio", "activityEnd"]
        assert len(talk.of(p.ReplyStarted)) == 1

    run(test)


def test_images_pass_through_and_what_is_none_or_too_large_does_not(run: Run) -> None:
    jpeg = b"\xff\xd8\xff\xe0 a picture"

    async def test(emulator: GeminiEmulator) -> None:
        async with talking(Gemini(max_image=1000)) as talk:
            for track in ("camera", "screen"):
                talk.put(p.ImageInput(jpeg, "image/jpeg", track=track))
            talk.put(p.ImageInput(bytes(1001), "image/jpeg", track="large"))
            talk.put(p.ImageInput(b"%PDF", "application/pdf", track="paper"))
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded)
            connection = await emulator.connection(0)
        assert connection.of("video") == [("image/jpeg", jpeg)] * 2
        messages = [warning.message for warning in talk.of(p.BackendWarning)]
        assert len(messages) == 2
        assert "1001 bytes" in messages[0]
        assert "application/pdf" in messages[1]

    run(test)
