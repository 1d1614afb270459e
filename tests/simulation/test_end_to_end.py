"""Whole calls: speech goes in over the real agent socket, a reply comes back, speech over it silences it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fishjam_agents.audio.wav import Clip, read_wav
from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.backends.port import (
    Backend,
    BackendContext,
    BackendInput,
    Capabilities,
    InlineSession,
    TurnEndedInput,
)
from fishjam_agents.backends.wav import Wav
from fishjam_agents.errors import BackendError, FishjamAgentsError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.simulation import SimulationResult, simulate

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
RATE = 16000
Signal = npt.NDArray[Any]


def bot(backend: Backend) -> AgentPipeline:
    pipeline = AgentPipeline()
    pipeline.backend = backend
    return pipeline


def spoken(name: str) -> Clip:
    return read_wav(FIXTURES / name)


def script(seconds: float, *lines: tuple[float, str]) -> Clip:
    """A caller who says each line at its time."""
    samples = np.zeros(round(seconds * RATE), np.int16)
    for at, name in lines:
        line = spoken(name).mono()[: len(samples) - round(at * RATE)]
        samples[round(at * RATE) :][: len(line)] = line
    return Clip(samples, RATE)


def similarity(words: Signal, sound: Signal) -> tuple[float, int]:
    """Peak of the normalised cross-correlation of two signals, and where in `sound` the words begin there."""
    words, sound = words.astype(float), sound.astype(float)
    size = 1 << (len(words) + len(sound)).bit_length()
    product = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(words, size))
    correlation = np.fft.irfft(product, size)[: len(sound) - len(words)]
    energy = np.cumsum(np.concatenate(([0.0], sound**2)))
    power = (energy[len(words) :] - energy[: -len(words)])[: len(correlation)]
    normalised = correlation / np.sqrt((words**2).sum() * np.maximum(power, 1e3))
    return float(normalised.max()), int(normalised.argmax())


def in_order(kinds: Sequence[str], wanted: Sequence[str]) -> bool:
    rest = iter(kinds)
    return all(kind in rest for kind in wanted)


def first(result: SimulationResult, kind: str) -> dict[str, Any]:
    return next(event for event in result.timeline["events"] if event["kind"] == kind)


def test_the_bot_answers_a_caller_with_the_callers_words(tmp_path: Path) -> None:
    clip, other = spoken("alice_yes.wav"), spoken("silence.wav")
    result = asyncio.run(simulate(bot(Parrot()), [clip, other], seconds=3.0))

    assert result.failure is None
    assert result.seconds == 3.0
    assert len(result.heard) == len(result.room) == 3 * RATE
    words = clip.mono()[round(0.40 * RATE) : round(0.80 * RATE)]
    match, at = similarity(words, result.heard)
    assert match > 0.9
    assert at > 0.81 * RATE
    # What the first caller hears is the bot alone, for the other one is silent.
    assert np.array_equal(result.heard, result.room[:, 1])
    # Sample 0 of a caller is sample 0 of the recording.
    assert np.array_equal(result.room[: len(clip.samples), 0], clip.mono())
    assert in_order(result.kinds, ["peer_joined", "user_turn_ended", "reply_started", "reply_first_audio"])
    turn = first(result, "user_turn_ended")
    assert turn["peer"] == "caller-1"
    if not result.lagged:
        assert turn["start"] == pytest.approx(0.40, abs=0.1)
        assert turn["media_at"] == pytest.approx(0.81, abs=0.1)
        assert first(result, "reply_first_audio")["at"] == pytest.approx(at / RATE, abs=0.5)

    result.write(tmp_path)
    assert json.loads((tmp_path / "timeline.json").read_text()) == result.timeline
    assert np.array_equal(read_wav(tmp_path / "heard.wav").samples, result.heard)
    assert np.array_equal(read_wav(tmp_path / "room.wav").samples, result.room)


def test_a_caller_who_speaks_over_the_reply_silences_it() -> None:
    caller = script(3.4, (0.0, "alice_yes.wav"), (1.9, "alice_long.wav"))
    onset = 1.9 + 0.4
    # A reply without a quiet moment, so that the recording shows where it was cut.
    result = asyncio.run(simulate(bot(Wav(FIXTURES / "babble.wav")), [caller], seconds=3.4))

    steps = ["reply_started", "barge_in_suspected", "barge_in_confirmed", "reply_interrupted"]
    assert in_order(result.kinds, steps)
    assert "barge_in_withdrawn" not in result.kinds
    voice = np.abs(result.room[:, 1].astype(int))
    assert voice[round((onset - 0.1) * RATE) : round(onset * RATE)].max() > 32
    assert not voice[round((onset + 0.4 + result.lag) * RATE) :].any()
    if not result.lagged:
        assert first(result, "barge_in_suspected")["media_at"] == pytest.approx(onset, abs=0.1)
        sounding = np.flatnonzero(voice)
        seconds = (sounding[-1] - sounding[0]) / RATE
        assert first(result, "reply_interrupted")["heard"]["seconds"] == pytest.approx(seconds, abs=0.1)


@dataclass(frozen=True, slots=True)
class Fragile(Backend):
    """Fails for good at the end of the first turn."""

    capabilities = Capabilities(wants_turn_audio=True)

    @asynccontextmanager
    async def connect(self, conversation: BackendContext) -> AsyncIterator[InlineSession]:
        yield _FragileSession()


class _FragileSession(InlineSession):
    def handle(self, entry: BackendInput) -> None:
        if isinstance(entry, TurnEndedInput):
            raise RuntimeError("the quota is used up")


def test_a_bot_that_fails_in_the_middle_leaves_a_recording_up_to_there() -> None:
    result = asyncio.run(simulate(bot(Fragile()), [spoken("alice_yes.wav")], seconds=30.0))
    assert isinstance(result.failure, BackendError)
    assert "the quota is used up" in str(result.failure)
    assert "backend_failure" in result.kinds
    assert 0.8 < result.seconds < 30.0
    assert len(result.heard) == round(result.seconds * RATE)


def test_a_bot_that_cannot_begin_is_an_error() -> None:
    class Speechless(AgentPipeline):
        pass

    with pytest.raises(FishjamAgentsError, match="Speechless has no backend"):
        asyncio.run(simulate(Speechless(), [spoken("silence.wav")], seconds=1.0))


def test_a_call_needs_a_caller() -> None:
    with pytest.raises(ValueError, match="at least one caller"):
        asyncio.run(simulate(bot(Parrot()), []))
