"""Conversations measure what the room heard."""

from __future__ import annotations

import asyncio
import shutil

import numpy as np
import pytest

from audio_fixtures.corpus import RATE, rng_for
from fishjam_agents.testing import VirtualClock
from quality.bench import Bench
from quality.categories import echo
from quality.conversation import Call, _ramp, disturb, skipped
from quality.echo_calls import EchoOutcome, alone, interrupted
from quality.echo_room import EchoRoom, echo_path
from quality.microphone import VADS
from quality.sounds import at_level, grunt, to_samples, white

BENCH = Bench(VADS["default"], 1, quick=True)


def test_a_reply_that_numbers_its_samples_tells_what_is_missing() -> None:
    ramp = _ramp(2.0)
    assert skipped(ramp) == 0
    assert skipped(np.concatenate((ramp[:8000], np.zeros(4000, np.int16), ramp[6400:]))) == 0
    assert skipped(np.concatenate((ramp[:8000], ramp[9600:]))) == 1600
    with pytest.raises(ValueError, match="163 s"):
        _ramp(200)


def test_a_grunt_silences_the_reply_and_a_sentence_ends_it() -> None:
    rng = rng_for(1, "test")
    short = to_samples(at_level(grunt(rng, 0.2), -25.0))
    long = to_samples(at_level(grunt(rng, 0.8), -25.0))
    first, second = disturb(BENCH, rng, [("grunt", short), ("groan", long), ("grunt", short)])
    assert (first.kind, first.paused, first.interrupted, first.skipped) == ("grunt", True, False, 0)
    assert first.resumed is not None
    assert 0.2 < first.resumed < 0.5
    assert (second.kind, second.interrupted) == ("groan", True)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_without_an_echo_the_bot_is_interrupted_by_its_callers_and_by_nothing_else() -> None:
    outcome = EchoOutcome()
    path = echo_path(rng_for(1), echo._CONTROL, 0.1, room=False)
    alone(BENCH, rng_for(1), path, outcome)
    interrupted(BENCH, rng_for(1), path, -30.0, outcome)
    assert outcome.replying > 5
    assert (outcome.suspected, outcome.confirmed) == (0, 0)
    assert (outcome.caught, outcome.interruptions) == (2, 2)


def test_silence_disturbs_nothing() -> None:
    (trial,) = disturb(BENCH, rng_for(1), [("tick", np.full(16, 1, np.int16))])
    assert (trial.paused, trial.resumed, trial.interrupted, trial.skipped) == (False, None, False, 0)


@pytest.mark.parametrize("room", [False, True])
@pytest.mark.parametrize("loss", [-6.0, -20.0])
def test_an_echo_loses_what_it_is_said_to_lose(loss: float, room: bool) -> None:
    path = echo_path(rng_for(1), loss, 0.15, room=room)
    assert 10 * np.log10(sum(gain**2 for _, gain in path.taps)) == pytest.approx(loss)
    assert path.taps[0][0] == 2400
    assert len(path.taps) == (41 if room else 1)


def test_the_bots_voice_comes_back_later_and_softer() -> None:
    path = echo_path(rng_for(1), -12.0, 0.1, room=False)
    voice = to_samples(at_level(white(rng_for(2), 3.0), -30.0))

    async def scene() -> tuple[np.ndarray, np.ndarray]:
        async with EchoRoom(path, np.zeros(1, np.float32), 5.0) as room:
            call = Call(BENCH, room)
            async with call.running():
                call.bot.play(voice, RATE)
                await asyncio.sleep(0.31)
                start = round(room.now * RATE) - 320 - 1600
                frame = room.behind(np.zeros(320, np.int16))
                return frame, room.played()[start : start + 320]

    frame, before = VirtualClock().run(scene())
    assert np.any(before)
    assert np.allclose(frame, before * 10 ** (-12 / 20), atol=1)
