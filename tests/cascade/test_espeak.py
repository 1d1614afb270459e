"""espeak-ng, the program, as a voice."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest

from fishjam_agents.audio.gain import dbfs
from fishjam_agents.backends.cascade.espeak import Espeak
from fishjam_agents.errors import BackendError, ConfigError

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 20))


async def spoken(voice: Espeak, text: str) -> np.ndarray:
    async with aclosing(voice.speak(text)) as pieces:
        return np.frombuffer(b"".join([piece async for piece in pieces]), "<i2")


@needs_espeak
def test_a_sentence_is_spoken() -> None:
    async def scenario() -> None:
        short = await spoken(Espeak(), "Yes.")
        long = await spoken(Espeak("de", speed=120), "Die Ampel ist gelb, und der Bus kommt nicht.")
        assert dbfs(long) > -30
        assert 0.2 < len(short) / 22050 < 2 < len(long) / 22050 < 8

    run(scenario())


@needs_espeak
def test_a_sentence_nobody_wants_any_more_leaves_no_process_behind() -> None:
    async def scenario() -> None:
        pieces = Espeak(speed=80).speak("This sentence is long. " * 200)
        assert await anext(pieces) is not None
        await pieces.aclose()

    run(scenario())


@needs_espeak
def test_a_voice_that_does_not_exist_is_told() -> None:
    async def scenario() -> None:
        with pytest.raises(BackendError, match="says nothing with voice 'klingonisch'"):
            await spoken(Espeak("klingonisch"), "Yes.")

    run(scenario())


def test_without_the_program_check_and_speaking_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="espeak-ng is not installed: install it"):
        Espeak().check()

    async def scenario() -> None:
        with pytest.raises(BackendError, match="espeak-ng cannot be started"):
            await spoken(Espeak(), "Yes.")

    run(scenario())


@needs_espeak
def test_check_knows_the_voices_of_the_program() -> None:
    for voice in ("en", "pl+f3", "en-uk"):
        Espeak(voice).check()
    with pytest.raises(
        ConfigError, match="espeak-ng has no voice 'xx-nope': use one of `espeak-ng --voices`"
    ):
        Espeak("xx-nope").check()


@needs_espeak
def test_it_is_as_loud_as_those_who_speak_to_it_and_has_room_to_full_scale() -> None:
    async def scenario() -> None:
        text = "The bus is late, so please wait at the station until five past nine."
        usual, loud = await spoken(Espeak(), text), await spoken(Espeak(volume=100), text)
        assert np.abs(usual.astype(int)).max() < 32768 * 10 ** (-3 / 20)
        assert 2 < dbfs(loud) - dbfs(usual) < 4

    run(scenario())


@pytest.mark.parametrize(
    "settings", [{"volume": 0}, {"speed": 10}, {"pitch": 100}, {"voice": "-x"}, {"voice": ""}]
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Espeak(**settings)


@needs_espeak
def test_a_process_that_has_said_everything_is_not_killed(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        for _ in range(40):
            await spoken(Espeak(), "Yes.")

    run(scenario())
    # asyncio logs "Unknown child process" of one that ends while it is killed.
    assert not caplog.records
