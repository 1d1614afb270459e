"""The bot's own voice comes back through a loudspeaker: it neither interrupts nor reaches the model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import numpy as np
import pytest

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port as p
from fishjam_agents.hearing.settings import EchoName, HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.playout.settings import PlayoutSettings
from fishjam_agents.testing import MemoryCall, MemoryPeer, Scripted
from fishjam_agents.turns.settings import TurnSettings
from quality.echo_room import EchoPath, EchoRoom
from tests.pipeline.conftest import speech

DELAY = 0.16
ROOM_NOISE = (np.random.default_rng(3).standard_normal(16000) * 8).astype(np.float32)
VOICE = np.concatenate([speech(name, 24000) for name in ("bob_long.wav", "bob_numbers.wav", "bob_long.wav")])


def call(
    script: Callable[[MemoryCall, MemoryPeer], Awaitable[None]],
    *,
    echo: EchoName = "guard",
    mode: Literal["active_speaker", "mix"] = "active_speaker",
    turn_mode: str = "local",
    loss: float = -12.0,
    rate: int = 24000,
) -> tuple[MemoryCall, Scripted]:
    """A bot that speaks while a caller's loudspeaker returns `loss` dB of it."""
    backend = Scripted(offers=p.Capabilities(own_turn_detection=True, cancel=True))
    bot = AgentPipeline()
    bot.backend = backend
    bot.turns = TurnSettings(mode=turn_mode)  # type: ignore[arg-type]
    bot.hearing = HearingSettings(mode=mode, echo=echo)
    bot.playout = PlayoutSettings(sample_rate=rate)  # type: ignore[arg-type]

    async def lead(happened: MemoryCall) -> None:
        (alice,) = await happened.arrive("alice")
        bot.play(VOICE, 24000)
        await script(happened, alice)

    path = EchoPath([(round(DELAY * 16000), 10 ** (loss / 20))])
    return MemoryCall(bot, room=EchoRoom(path, ROOM_NOISE, 30.0, rate)).play(lead), backend


def rms(sound: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(sound.astype(np.float64)))))


async def only_listen(_: MemoryCall, __: MemoryPeer) -> None:
    await asyncio.sleep(len(VOICE) / 24000 + 1.0)


@pytest.mark.parametrize("echo", ["guard", "aec3"])
@pytest.mark.parametrize("rate", [16000, 24000])
def test_the_bots_echo_is_no_barge_in(rate: int, echo: EchoName) -> None:
    happened, _ = call(only_listen, rate=rate, echo=echo)
    assert not [kind for kind in happened.kinds if kind.startswith(("barge_in", "user_"))]
    assert happened.of("reply_ended")


def test_without_the_guard_the_bot_interrupts_itself() -> None:
    happened, _ = call(only_listen, echo="none")
    assert happened.of("barge_in_suspected")


def test_who_speaks_over_the_echo_interrupts() -> None:
    async def script(_: MemoryCall, alice: MemoryPeer) -> None:
        await asyncio.sleep(2.5)
        await alice.speak(speech("alice_long.wav"))

    happened, _ = call(script, loss=-20.0)
    (confirmed,) = happened.of("barge_in_confirmed")
    assert confirmed.media_at == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize("mode", ["active_speaker", "mix"])
@pytest.mark.parametrize("loss", [-6.0, -12.0])
def test_behind_the_canceller_who_is_no_louder_than_the_echo_interrupts(
    loss: float, mode: Literal["active_speaker", "mix"]
) -> None:
    words = speech("alice_long.wav")
    echo = rms(VOICE) * 10 ** (loss / 20)
    words = (words * (echo / rms(words))).astype(np.int16)

    async def script(_: MemoryCall, alice: MemoryPeer) -> None:
        await asyncio.sleep(2.5)
        await alice.speak(words)

    happened, _ = call(script, loss=loss, echo="aec3", mode=mode)
    (confirmed,) = happened.of("barge_in_confirmed")
    assert confirmed.media_at == pytest.approx(3.0, abs=0.35)


def test_a_turn_over_an_echo_begins_with_its_own_words() -> None:
    async def script(_: MemoryCall, alice: MemoryPeer) -> None:
        await asyncio.sleep(2.5)
        await alice.speak(speech("alice_long.wav"))
        await asyncio.sleep(1.0)

    before = []
    for loss in (-20.0, -100.0):
        happened, backend = call(script, loss=loss)
        (turn,) = happened.of("user_turn_ended")
        heard = sum(entry.seconds for entry in backend.entries if isinstance(entry, p.AudioInput))
        before.append(heard - (turn.at - turn.start))
    assert before == [pytest.approx(0.1, abs=0.03), pytest.approx(0.3, abs=0.03)]


def test_a_model_that_owns_turns_hears_silence_instead_of_the_echo() -> None:
    _, backend = call(only_listen, turn_mode="backend")
    heard = np.concatenate([e.samples for e in backend.entries if isinstance(e, p.AudioInput)])
    # Loud enough for a model to hear; the first half second is before the bot speaks, the room's noise stays.
    assert np.abs(heard).max() < 100


def test_the_model_hears_who_speaks_over_the_echo_from_the_first_sound() -> None:
    words = speech("alice_long.wav")

    async def script(_: MemoryCall, alice: MemoryPeer) -> None:
        await asyncio.sleep(2.5)
        await alice.speak(words)

    happened, backend = call(script, turn_mode="backend", loss=-30.0)
    (suspected, *_) = happened.of("barge_in_suspected")
    assert suspected.media_at == pytest.approx(3.0, abs=0.1)
    heard = np.concatenate([e.samples for e in backend.entries if isinstance(e, p.AudioInput)])
    # Where the words lie in what the model heard: the echo under them is too quiet to move the best match.
    places = np.correlate(heard.astype(float), words[:4000].astype(float), "valid")
    at = int(places.argmax())
    piece = heard[at : at + 4000].astype(float)
    assert np.corrcoef(piece, words[:4000].astype(float))[0, 1] > 0.95


@pytest.mark.parametrize("after", [0.0, 0.2, 0.4, 0.8])
@pytest.mark.parametrize("name", ["bob_long.wav", "alice_long.wav"])
def test_who_begins_with_the_bot_and_has_no_echo_is_not_taken_for_one(
    converse: Callable[..., MemoryCall], after: float, name: str
) -> None:
    bot = AgentPipeline()
    bot.backend = Scripted(offers=p.Capabilities(cancel=True))

    async def script(happened: MemoryCall) -> None:
        (alice,) = await happened.arrive("alice")
        bot.play(VOICE, 24000)
        await happened.wait_for("reply_first_audio")
        await asyncio.sleep(after)
        await alice.speak(speech(name))

    happened = converse(bot, script)
    (began,) = happened.of("reply_first_audio")
    (confirmed, *_) = happened.of("barge_in_confirmed")
    assert confirmed.at - began.at - after < 1.8


@pytest.mark.parametrize(("loss", "pauses"), [(0.01, 0), (0.05, 2)])
def test_lost_packets_neither_stop_the_bot_nor_move_the_times_of_turns(loss: float, pauses: int) -> None:
    words = speech("alice_question.wav")

    bot = AgentPipeline()
    bot.backend = Scripted(offers=p.Capabilities(cancel=True))
    began = 0.0

    async def script(happened: MemoryCall) -> None:
        nonlocal began
        (alice,) = await happened.arrive("alice")
        alice.loss = loss
        for _ in range(4):
            bot.play(VOICE, 24000)
            await asyncio.sleep(len(VOICE) / 24000 + 1.0)
        began = happened.room.now
        await alice.speak(words)
        await happened.wait_for("user_turn_ended")

    path = EchoPath([(round(DELAY * 16000), 10 ** (-12 / 20))])
    happened = MemoryCall(bot, room=EchoRoom(path, ROOM_NOISE, 120.0, 24000)).play(script)
    assert len(happened.of("barge_in_suspected")) <= pauses
    assert len(happened.of("reply_ended")) == 4
    (turn,) = happened.of("user_turn_ended")
    assert turn.start == pytest.approx(began, abs=0.15)
    assert turn.media_at == pytest.approx(began + len(words) / 16000, abs=0.2)
