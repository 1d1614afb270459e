"""The sound of a reply that is cut, in the room's truth: whoever cuts it, it does not click."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from fishjam_agents.backends import Parrot, port
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]
RATE = 24000


def voiced(seconds: float) -> np.ndarray:
    """A loud voiced sound that begins and ends in silence, as replies do."""
    wave = 20000 * np.sin(np.arange(round(seconds * RATE)) * 2 * np.pi * 163 / RATE)
    edge = np.linspace(0, 1, RATE // 50)
    wave[: len(edge)] *= edge
    wave[-len(edge) :] *= edge[::-1]
    return wave.astype(np.int16)


INSIDE = np.abs(np.diff(voiced(1.0).astype(int))).max()
"""The largest step between neighbouring samples inside a reply."""


class Bot(AgentPipeline):
    backend = Parrot()


class ByHand(Bot):
    turns = TurnSettings(mode="push_to_talk")


def presses(call: MemoryCall) -> None:
    call.bot.start_turn("ann")


def ends_it(call: MemoryCall) -> None:
    assert call.bot.speech is not None
    call.bot.speech.interrupt()


CUTS: dict[str, tuple[type[AgentPipeline], Callable[[MemoryCall], object]]] = {
    "interrupt": (Bot, lambda call: call.bot.interrupt()),
    "mute": (Bot, lambda call: call.bot.mute()),
    "of one": (Bot, ends_it),
    "push to talk": (ByHand, presses),
    "paused before": (Bot, lambda call: (call.bot._call.replies.pause(), call.bot.interrupt())),  # type: ignore[union-attr]
}


@pytest.mark.parametrize("how", CUTS)
@pytest.mark.parametrize("after", [1.0, 1.0071, 1.013])
def test_a_cut_does_not_click(converse: Converse, how: str, after: float) -> None:
    kind, cut = CUTS[how]

    async def script(call: MemoryCall) -> None:
        await call.arrive("ann")
        call.bot.play(voiced(5.0))
        await asyncio.sleep(after)
        cut(call)
        await asyncio.sleep(1.0)

    call = converse(kind(), script)
    wave = call.room.played().astype(int)
    assert np.abs(np.diff(wave)).max() <= INSIDE
    # The chunk in play and the fade, and no more.
    (over,) = call.of("reply_interrupted")
    assert np.flatnonzero(wave)[-1] / RATE <= over.at + 0.031


def test_a_model_that_speaks_in_real_time_is_cut_as_softly(converse: Converse) -> None:
    """Nothing of the reply lies ahead that could be faded."""
    bot = AgentPipeline()
    sound = voiced(4.0)
    begins = Step(port.TurnEndedInput, [port.ReplyStarted("r1")])
    bot.backend = Scripted(
        [Step(port.TurnStartedInput), begins, Step(port.InterruptInput)],
        offers=port.Capabilities(cancel=True),
    )

    async def script(call: MemoryCall) -> None:
        (ann,) = await call.arrive("ann")
        await ann.speak(speech("alice_yes.wav"))
        await call.wait_for("reply_started")
        for first in range(0, len(sound) // 2, 480):
            call.bot._call.take_event(port.ReplyAudio("r1", sound[first : first + 480]))  # type: ignore[union-attr]
            await asyncio.sleep(0.02)
        call.bot.interrupt()
        await asyncio.sleep(1.0)

    wave = converse(bot, script).room.played().astype(int)
    assert np.abs(np.diff(wave)).max() <= INSIDE


def test_a_fit_of_coughs_repeats_nothing_more_than_once(converse: Converse) -> None:
    """Coughs hold the reply for longer than it sounds in between: it goes on all the same."""
    cough = np.concatenate((speech("alice_yes.wav")[2000:6000], np.zeros(5600, np.int16)))
    # Syllables of noise: each sample can be found again.
    sound = np.random.default_rng(5).integers(-9000, 9000, 8 * RATE)
    sound = (sound * np.repeat(np.tile([1, 1, 1, 1, 0.05], 20), RATE // 12)[: len(sound)]).astype(np.int16)
    places = {sound[at : at + 6].tobytes(): at for at in range(len(sound) - 5)}

    async def script(call: MemoryCall) -> None:
        (ann,) = await call.arrive("ann")
        call.bot.play(sound)
        await asyncio.sleep(1.5)
        ann.say(np.tile(cough, 9))
        await call.wait_for("reply_ended")

    call = converse(Bot(), script)
    # From the fourth on they are noise.
    assert len(call.of("barge_in_withdrawn")) == 3
    times = np.zeros(len(sound) // 480 + 1, int)
    wave = call.room.played()
    for first in range(0, len(wave) - 5, 6):
        at = places.get(wave[first : first + 6].tobytes())
        if at is not None:
            times[at // 480] += 1
    assert times.max() <= 2 * 80, "20 ms were heard more than twice"
