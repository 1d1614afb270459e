from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.hearing.loudness import Loudness
from fishjam_agents.hearing.microphone import Deliver, Microphone
from fishjam_agents.hearing.mix_input import MixInput
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


def noise(seconds: float, peak: int = 600, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-peak, peak, round(seconds * 16000), np.int16)


def stall(mix: Mix, voice: MixInput, samples: np.ndarray, after: float, seconds: float, others: dict) -> None:
    """Feed a voice in time, nothing for a while, then what was missing in one burst, then the rest."""
    begin, end = round(after * 16000), round((after + seconds) * 16000)
    mix.play({voice: samples[:begin], **others}, after)
    mix.play({other: silence for other, silence in others.items()}, seconds)
    for at in range(begin, end, 320):
        voice.feed(samples[at : at + 320].tobytes(), mix.now, False)
    mix.play({voice: samples[end:], **others}, len(samples[end:]) / 16000 + 2)


@pytest.mark.parametrize("stalled", [0.1, 0.3, 0.5])
def test_a_burst_replaces_the_silence_that_was_fed_although_others_are_there(stalled: float) -> None:
    words = speech("alice_long.wav")
    mix = Mix()
    alice, bob = mix.mixer.add("alice", "a"), mix.mixer.add("bob", "b")
    mix.play({alice: noise(1), bob: noise(1)}, 1)
    stall(mix, alice, words, 1.5, stalled, {bob: np.zeros(0, np.int16)})
    assert mix.turns == ["alice"], "the turn is one"
    assert mix.media == sorted(mix.media)
    assert alice.backlog <= 3, "the delay has not stayed"
    (ended,) = [event for _, event in mix.happened if isinstance(event, TurnEnded)]
    assert ended.end == pytest.approx(1 + len(words) / 16000, abs=0.2)


def test_what_one_says_late_does_not_delay_who_speaks_in_time() -> None:
    mix = Mix()
    alice, bob = mix.mixer.add("alice", "a"), mix.mixer.add("bob", "b")
    steady = np.where(np.arange(32000) % 80 < 40, 3000, -3000).astype(np.int16)
    late = np.full(6400, 7, np.int16)
    mix.play({alice: np.zeros(0, np.int16), bob: np.zeros(0, np.int16)}, 0.2)
    mix.play({bob: steady}, 0.5)
    alice.feed(late.tobytes(), mix.now, False)
    before = len(mix.frames)
    mix.play({bob: steady}, 0.5)
    assert len(mix.frames) - before == 25, "a frame a tick, no more"


def test_noise_is_no_reason_to_stay_late() -> None:
    mix = Mix()
    alice, bob = mix.mixer.add("alice", "a"), mix.mixer.add("bob", "b")
    room = noise(8)
    mix.play({alice: room, bob: speech("bob_long.wav")}, 2)
    alice.feed(room[:6400].tobytes(), mix.now, False)
    assert alice.backlog > 15
    mix.play({alice: room, bob: speech("bob_long.wav")}, 0.5)
    assert alice.backlog <= 3


def test_a_sum_is_bent_and_never_wraps_or_reaches_the_edge() -> None:
    mix = Mix()
    voices = [mix.mixer.add(name, name) for name in ("alice", "bob", "carol")]
    loud = np.full(16000, 30000, np.int16)
    mix.play(dict.fromkeys(voices, loud), 0.5)
    heard = np.concatenate([frame for frame in mix.frames if frame is not None])
    assert 30000 < heard.max() <= 32767
    assert heard.min() >= 0


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
