"""Packets that are one frame take a way of their own, to the same frames, turns and times as all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.hearing.loudspeaker import Loudspeaker
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.hearing.thinning import Thinning
from fishjam_agents.turns.machine import TurnEnded, TurnEvent
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech

VOICE = np.concatenate([np.concatenate((np.zeros(9000), speech(name), np.zeros(14000))) for name in (
    "alice_question.wav", "bob_yes.wav", "alice_long.wav"
)])  # fmt: skip
Mode = Literal["local", "backend", "push_to_talk"]


class Ear:
    """A microphone and all that it tells."""

    def __init__(self, mode: Mode, rate: int, stages: int, near: bool, guarded: bool) -> None:
        self.told: list[Any] = []
        self.predictions: list[Any] = []
        self.thinning = Thinning()
        self.microphone = Microphone(
            *("alice", "mic", AudioFormat(rate), TurnSettings(mode=mode)),
            *([_Halves() for _ in range(stages)], self._deliver, self._stage_failed),
            near_voice=near,
            thinning=self.thinning,
            predictor=self,
        )
        self.reference = EchoReference(rate, 0.0)
        if guarded:
            self.microphone.loudspeakers = Loudspeaker(self.reference, rate)

    def _deliver(self, microphone: Microphone, frame: np.ndarray | None, events: Sequence[TurnEvent]) -> None:
        sound = None if frame is None else frame.tobytes()
        self.told.append((microphone.media, sound, microphone.missing_samples, *events))
        for event in events:
            if isinstance(event, TurnEnded):
                self.told.append(microphone.turn_audio(event.end).tobytes())

    def _stage_failed(self, microphone: Microphone, stage: object, error: Exception) -> None:
        self.told.append(repr(error))

    def paused(self, microphone: Microphone, pause: float, sound: np.ndarray) -> None:
        """Part of `TurnPredictor`."""
        self.told.append((pause, sound.tobytes()))

    def resumed(self, microphone: Microphone) -> None:
        """Part of `TurnPredictor`."""
        self.told.append("resumed")


class _Halves:
    """A stage that holds a part of its input back, and fails late."""

    def __init__(self) -> None:
        self._kept = np.empty(0, np.int16)
        self._frames = 0

    def process(self, frame: np.ndarray, format: AudioFormat) -> np.ndarray:
        self._frames += 1
        if self._frames == 120:
            raise ValueError("no more")
        whole = np.concatenate((self._kept, frame))
        self._kept = whole[len(whole) - 100 :]
        return whole[: len(whole) - 100]

    def reset(self) -> None:
        self._kept = np.empty(0, np.int16)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(1, 60), st.sampled_from([0.0, 0.0, 0.03, 0.09])),
        st.tuples(st.just("odd"), st.sampled_from([1, 100, 319, 321, 640, 4000]), st.just(0.0)),
        st.tuples(st.just("lost"), st.integers(1, 70), st.just(0.0)),
        st.tuples(st.sampled_from(["damaged", "end", "restart", "track", "thin", "open", "close"]),
                  st.just(0), st.just(0.0)),
    ),
    min_size=1, max_size=14,
)  # fmt: skip


def follow(ear: Ear, script: list[tuple[str, int, float]], seed: int, barge_in: bool, rate: int) -> list[Any]:
    """Everything that a microphone tells of a script, with its end."""
    rng = np.random.default_rng(seed)
    voice = np.repeat(VOICE, rate // 16000)
    at, now, microphone = int(rng.integers(len(voice) // 2)), 0.0, ear.microphone
    bot = (rng.standard_normal(rate // 50) * 2000).astype(np.int16)

    def say(samples: int, late: float) -> None:
        nonlocal at, now
        sound = np.resize(voice[at % len(voice) :], samples) + rng.normal(0, 8, samples)
        at, now = at + samples, now + samples / rate
        if barge_in:
            ear.reference.sent(bot, now + 0.1)
        microphone.feed(np.rint(sound).astype("<i2").tobytes(), now + late * rng.random(), barge_in)

    for what, count, late in script:
        match what:
            case "say":
                for _ in range(count):
                    say(rate // 50, late)
                now += late
            case "odd":
                say(count, 0.0)
            case "lost":
                for _ in range(count):
                    now += 0.02
                    microphone.silence(now)
            case "damaged":
                assert not microphone.feed(b"odd", now, barge_in)
            case "end":
                microphone.end("left")
            case "restart":
                microphone.restart()
            case "track":
                microphone.change_track("another")
            case "thin":
                ear.thinning.active = not ear.thinning.active
            case "open":
                microphone.open(now, barge_in)
            case "close":
                microphone.close("app")
    state = (microphone.media, microphone.machine.state, microphone.machine.paused_since, microphone.damaged)
    return [*ear.told, state, [frame.tobytes() for frame in microphone.recent(0.0)]]


@settings(max_examples=60, deadline=None)
@given(
    steps, st.sampled_from(["local", "backend", "push_to_talk"]), st.sampled_from([16000, 48000]),
    st.sampled_from([0, 0, 0, 1]), st.booleans(), st.booleans(), st.integers(0, 1000), st.booleans(),
)  # fmt: skip
def test_whole_frames_are_heard_as_all_packets_are(
    script: list[tuple[str, int, float]], mode: Mode, rate: int, stages: int, near: bool, guarded: bool,
    seed: int, barge_in: bool,
) -> None:  # fmt: skip
    told = []
    for straight in (True, False):
        ear = Ear(mode, rate, stages, near, guarded)
        if not straight:
            ear.microphone._whole = -1
        told.append(follow(ear, script, seed, barge_in, rate))
    assert told[0] == told[1]


@pytest.mark.parametrize(("rate", "straight"), [(16000, True), (24000, False)])
def test_which_packets_are_whole_frames(rate: int, straight: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ear, taken = Ear("local", rate, 0, near=False, guarded=False), []
    hear = Microphone._hear_whole
    monkeypatch.setattr(Microphone, "_hear_whole", lambda *given: taken.append(1) or hear(*given))  # type: ignore[func-returns-value]
    for number in range(1, 11):
        ear.microphone.feed(bytes(rate // 25), 0.02 * number, False)
    assert len(taken) == (9 if straight else 0)
    ear.microphone.feed(bytes(rate // 50), 0.21, False)
    ear.microphone.feed(bytes(rate // 25), 0.23, False)
    assert len(taken) == (9 if straight else 0)
