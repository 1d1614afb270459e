from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.hearing.loudness import Loudness
from fishjam_agents.hearing.microphone import Deliver, Microphone
from fishjam_agents.hearing.mixer import Mixer
from fishjam_agents.turns.machine import TurnEnded, TurnEvent
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech

FORMAT = AudioFormat(16000, 1)


class Mix:
    """A mixer on a clock of its own; what it delivers is kept."""

    def __init__(self) -> None:
        self.now = 0.0
        self.frames: list[np.ndarray | None] = []
        self.media: list[float] = []
        self.happened: list[tuple[str | None, TurnEvent]] = []
        self.mixer = Mixer(FORMAT, self.make, self.deliver)

    def make(self, peer: str | None, track: str, deliver: Deliver) -> Microphone:
        return Microphone(peer, track, FORMAT, TurnSettings(), [], deliver, lambda *_: None)

    def deliver(self, microphone: Microphone, frame: np.ndarray | None, events: Sequence[TurnEvent]) -> None:
        self.frames.append(frame)
        self.media.append(microphone.media)
        self.happened += [(microphone.peer, event) for event in events]

    def play(self, voices: dict, seconds: float) -> None:
        """Feed each voice its samples in packets of 20 ms, then silence, and tick."""
        for step in range(round(seconds * 50)):
            self.now += 0.02
            for voice, samples in voices.items():
                packet = np.zeros(320, np.int16)
                part = samples[step * 320 : (step + 1) * 320]
                packet[: len(part)] = part
                voice.feed(packet.tobytes(), self.now, False)
            self.mixer.tick(self.now, False)

    @property
    def turns(self) -> list[str | None]:
        return [name for name, event in self.happened if isinstance(event, TurnEnded)]


def test_voices_are_summed_sample_for_sample() -> None:
    mix = Mix()
    alice, bob = mix.mixer.add("alice", "a"), mix.mixer.add("bob", "b")
    one, two = np.full(3200, 1000, np.int16), np.full(3200, 234, np.int16)
    mix.play({alice: one, bob: two}, 0.4)
    heard = np.concatenate([frame for frame in mix.frames if frame is not None])
    assert (heard == 1234).sum() == 3200
    assert set(np.unique(heard)) == {0, 1234}


def test_a_loud_turn_is_named_and_a_duet_is_not() -> None:
    mix = Mix()
    alice, bob = mix.mixer.add("alice", "a"), mix.mixer.add("bob", "b")
    one, two = speech("alice_long.wav"), speech("bob_long.wav")
    mix.play({alice: one, bob: np.zeros(0, np.int16)}, 6)
    assert mix.turns == ["alice"]
    mix.play({alice: one, bob: two}, 6)
    assert mix.turns == ["alice", None]
    mix.play({alice: one // 8, bob: two}, 6)
    assert mix.turns == ["alice", None, "bob"]


def test_a_stalled_voice_stalls_nobody_and_media_time_follows_the_clock() -> None:
    mix = Mix()
    alice, bob = mix.mixer.add("alice", "a"), mix.mixer.add("bob", "b")
    mix.play({alice: np.zeros(0, np.int16), bob: np.zeros(0, np.int16)}, 1)
    mix.play({bob: speech("bob_question.wav")}, 4)
    assert mix.turns == ["bob"]
    assert mix.media == sorted(mix.media)
    assert mix.media[-1] == pytest.approx(mix.now, abs=0.05)
    alice.feed(bytes(32000), mix.now, False)
    mix.play({alice: np.zeros(0, np.int16), bob: np.zeros(0, np.int16)}, 1)
    assert mix.media[-1] <= mix.now + 1e-9


def test_a_late_burst_is_caught_up_in_the_next_pause() -> None:
    mix = Mix()
    alice = mix.mixer.add("alice", "a")
    mix.play({alice: np.zeros(0, np.int16)}, 0.2)
    alice.feed(bytes(2 * 6400), mix.now, False)
    mark = np.full(320, 5000, np.int16)
    mix.play({alice: mark}, 0.2)
    loud = [index for index, frame in enumerate(mix.frames) if frame is not None and frame.any()]
    assert len(loud) == 1
    assert loud[0] <= 10 + 3, "the silence of the burst was skipped"


def test_when_nobody_sends_the_turn_ends_and_ticks_count_as_silence() -> None:
    mix = Mix()
    alice = mix.mixer.add("alice", "a")
    mix.play({alice: speech("alice_long.wav")}, 2)
    mix.play({}, 2)
    assert mix.turns == ["alice"]
    (ended,) = [event for _, event in mix.happened if isinstance(event, TurnEnded)]
    assert ended.reason == "missing"


def test_the_last_to_leave_ends_the_turn_at_once() -> None:
    mix = Mix()
    alice = mix.mixer.add("alice", "a")
    mix.play({alice: speech("alice_long.wav")}, 2)
    alice.end("left")
    (ended,) = [event for _, event in mix.happened if isinstance(event, TurnEnded)]
    assert ended.reason == "left"
    assert not mix.mixer.microphone.machine.in_speech


@pytest.mark.parametrize("data", [b"", b"\0", bytes(40000)])
def test_a_damaged_packet_is_dropped(data: bytes) -> None:
    voice = Mix().mixer.add("alice", "a")
    assert not voice.feed(data, 1.0, False)
    assert voice.damaged == 1


def test_the_loudest_must_be_clearly_so() -> None:
    loudness: Loudness[str] = Loudness()
    assert loudness.since(0) is None
    loudness.add(0.02, {"alice": 3.9, "bob": 1.0})
    assert loudness.since(0) is None
    loudness.add(0.04, {"alice": 1.0})
    assert loudness.since(0) == "alice"
    loudness.open_turn(0.02)
    loudness.add(0.06, {"bob": 4.0})
    assert loudness.of_turn() == "bob"
    loudness.close_turn()
    assert loudness.of_turn() is None
