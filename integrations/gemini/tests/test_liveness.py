"""An answer that does not come: a dead connection is told from a model that only keeps silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.emulator import Connection, GeminiEmulator, Request, parrot, tone
from fishjam_agents_gemini.session import GeminiSession

from fishjam_agents.backends import port as p
from fishjam_agents.backends import response_watchdog
from fishjam_agents.testing import FaultProxy, HalfOpen
from integrations.gemini.tests.talk import FRAME, Talk, heard, numbered, spoken, talking, voice

Run = Callable[..., None]
pytestmark = pytest.mark.usefixtures("impatient")


def test_a_half_open_socket_is_noticed_and_the_turn_is_said_again(
    run: Run, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_watchdog, "PONG", 0.3)
    question = voice(0.2)

    async def frozen(connection: Connection, request: Request) -> None:
        connection.freeze()
        await asyncio.sleep(60)

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(frozen)
        async with talking(Gemini(answer_timeout=0.3)) as talk:
            talk.say(question)
            failed = await talk.until(p.BackendFailure)
            await talk.until(p.ReplyAudioEnded)
        assert failed.failure == "network"
        assert "no sign of life" in failed.message
        second = await emulator.connection(1)
        assert b"".join(second.of("audio")) == question.astype("<i2").tobytes()

    run(test)


def test_a_way_that_goes_dead_in_the_middle_of_a_reply_is_noticed(
    run: Run, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_watchdog, "PONG", 0.3)

    async def stops(connection: Connection, request: Request) -> None:
        await connection.send_audio(tone(0.1))
        connection.freeze()
        await asyncio.sleep(60)

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(stops)
        async with talking(Gemini(answer_timeout=0.3)) as talk:
            talk.say(voice(0.1))
            failed = await talk.until(p.BackendFailure)
            assert [event.reply for event in talk.of(p.ReplyAudioEnded)] == ["gemini-1"]
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded, 2)
        assert "no sign of life" in failed.message

    run(test)


def test_a_reply_that_pauses_over_a_living_socket_goes_on(run: Run) -> None:
    async def pauses(connection: Connection, request: Request) -> None:
        await connection.send_audio(tone(0.1))
        await asyncio.sleep(0.5)
        await connection.send_audio(tone(0.1))
        await connection.finish_turn()

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(pauses)
        async with talking(Gemini(answer_timeout=0.1)) as talk:
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded)
        assert not talk.of(p.BackendFailure)
        assert len(talk.reply_audio("gemini-1")) == 4800

    run(test)


def test_a_connection_that_ends_while_it_is_looked_after_is_one_that_was_lost(
    run: Run, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinged = asyncio.Event()
    ping = GeminiSession._ping

    async def told(self: GeminiSession) -> None:
        pinged.set()
        await ping(self)

    monkeypatch.setattr(GeminiSession, "_ping", told)

    async def dies(connection: Connection, request: Request) -> None:
        connection.freeze()
        await pinged.wait()
        connection.abort()

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(dies)
        async with talking(Gemini(answer_timeout=0.1)) as talk:
            talk.say(voice(0.1))
            failed = await talk.until(p.BackendFailure)
            await talk.until(p.ReplyAudioEnded)
        assert (failed.failure, failed.retryable) == ("network", True)

    run(test)


def test_a_model_that_keeps_silent_over_a_living_socket_gets_a_new_connection(
    run: Run, impatient: None
) -> None:
    async def silent(connection: Connection, request: Request) -> None:
        await asyncio.sleep(60)

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.extend([silent, silent])
        backend = Gemini("gemini-2.5-flash-native-audio", answer_timeout=0.3)
        async with talking(backend) as talk:
            await emulator.connection(0)
            for _ in range(2):
                talk.begin_turn()
                await asyncio.sleep(0.05)
                talk.audio(voice(0.1))
                talk.end_turn()
                await asyncio.sleep(0.5)
            failed = await talk.until(p.BackendFailure)
            await talk.until(p.ReplyAudioEnded)
        assert "2 turns were not answered" in failed.message

    run(test)


def test_a_model_that_may_keep_silent_is_left_in_peace(run: Run) -> None:
    async def silent(connection: Connection, request: Request) -> None:
        await asyncio.sleep(60)

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answer = silent
        async with talking(Gemini(answer_timeout=0.05)) as talk:
            while not talk.of(p.BackendWarning):
                talk.begin_turn()
                await asyncio.sleep(0.05)
                talk.audio(voice(0.1))
                talk.end_turn()
                await asyncio.sleep(0.12)
            emulator.answer = parrot
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded)
        assert not talk.of(p.BackendFailure)
        assert len(emulator.connections) == 1
        (told,) = talk.of(p.BackendWarning)
        assert "none of the last 3 turns" in told.message

    run(test)


@pytest.mark.parametrize("turn_mode", ["local", "backend"])
def test_a_way_that_goes_dead_without_a_word_is_noticed_and_nothing_is_lost(
    run: Run, monkeypatch: pytest.MonkeyPatch, turn_mode: Literal["local", "backend"]
) -> None:
    monkeypatch.setattr(response_watchdog, "PONG", 0.2)
    quiet = np.zeros(16000, np.int16)
    turns = [numbered(1, 0.2), numbered(2, 0.2)]

    async def test(emulator: GeminiEmulator) -> None:
        async with FaultProxy(emulator.url) as proxy:
            backend = Gemini(base_url=proxy.url, answer_timeout=0.2)
            async with talking(backend, turn_mode=turn_mode) as talk:
                await said(talk, turns[0])
                await talk.until(p.BackendUsage)
                proxy.inject(HalfOpen(), "live")
                await said(talk, turns[1])
                failed = await talk.until(p.BackendFailure)
                await talk.until(p.BackendUsage, 2)
        assert failed.failure == "network"
        assert "no sign of life" in failed.message
        second = emulator.connections[-1]
        assert second.resumed is not None
        known = [turn[: len(turns[0]) * 2] for turn in heard(second.session)]
        assert known == spoken(turns)
        assert len(talk.of(p.ReplyAudioEnded)) == 2

    async def said(talk: Talk, turn: np.ndarray) -> None:
        if turn_mode == "local":
            talk.say(turn)
            return
        talk.audio(turn)
        for at in range(0, len(quiet), FRAME):
            talk.audio(quiet[at : at + FRAME])
            await asyncio.sleep(0.02)

    run(test)
