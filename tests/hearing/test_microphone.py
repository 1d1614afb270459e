from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishjam_agents.audio.echo import EchoSource
from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.vad import Decision
from fishjam_agents.audio.vad_plain import Energy
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.hearing.stages import Stage
from fishjam_agents.hearing.turn_sound import TurnPredictor
from fishjam_agents.turns.machine import SpeechStarted, TurnEnded, TurnEvent, TurnStarted
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech


class Listener:
    """Feeds a microphone and keeps what it says."""

    def __init__(
        self,
        rate: int = 16000,
        stages: Sequence[Stage] = (),
        predictor: TurnPredictor[Microphone] | None = None,
        turns: TurnSettings | None = None,
        near_voice: bool = False,
    ) -> None:
        self.rate = rate
        self.now = 0.0
        self.frames: list[np.ndarray] = []
        self.events: list[TurnEvent] = []
        self.turns: list[np.ndarray] = []
        self.microphone = Microphone(
            "alice",
            "mic",
            AudioFormat(rate),
            turns or TurnSettings(),
            stages,
            self._deliver,
            self._failed,
            predictor=predictor,
            near_voice=near_voice,
        )

    def _deliver(self, microphone: Microphone, frame: np.ndarray | None, events: Sequence[TurnEvent]) -> None:
        if frame is not None:
            self.frames.append(frame)
        self.events += events
        self.turns += [microphone.turn_audio(e.end) for e in events if isinstance(e, TurnEnded)]

    def _failed(self, microphone: Microphone, stage: Stage, error: Exception) -> None:
        raise error

    def hear(self, samples: np.ndarray, packet: int | None = None) -> Listener:
        size = packet or self.rate // 50
        for start in range(0, len(samples), size):
            chunk = samples[start : start + size]
            self.now += len(chunk) / self.rate
            assert self.microphone.feed(chunk.astype(np.int16).tobytes(), self.now, False)
        return self

    def kinds(self, *types: type) -> list[TurnEvent]:
        return [e for e in self.events if isinstance(e, types)]


WORDS = ["alice_question.wav", "alice_long.wav", "bob_question.wav", "bob_long.wav", "bob_numbers.wav"]


@pytest.mark.parametrize("gain", [0, -20])
@pytest.mark.parametrize("name", WORDS)
def test_who_speaks_with_the_first_packet_is_heard(name: str, gain: int) -> None:
    words = speech(name) * 10 ** (gain / 20)
    listener = Listener().hear(np.concatenate((words, np.zeros(16000))))
    (started,) = listener.kinds(TurnStarted)
    assert started.at < 0.3  # type: ignore[union-attr]


@pytest.mark.parametrize("level", [-30, -40, -50, -60])
def test_a_noisy_room_is_no_speech_from_the_first_packet(level: int) -> None:
    noise = np.random.default_rng(-level).standard_normal(64000) * 32768 * 10 ** (level / 20)
    assert not Listener().hear(noise).kinds(SpeechStarted)


def white(seconds: float, level: float) -> np.ndarray:
    rng = np.random.default_rng(round(1000 * seconds - level))
    return rng.standard_normal(round(seconds * 16000)) * 32768 * 10 ** (level / 20)


def _nothing(listener: Listener) -> None:
    pass


def _sends_zeros(listener: Listener) -> None:
    listener.hear(np.zeros(32000))


def _sends_nothing(listener: Listener) -> None:
    for _ in range(100):
        listener.now += 0.02
        listener.microphone.silence(listener.now)


def _changes_track(listener: Listener) -> None:
    listener.now += 0.2
    listener.microphone.silence(listener.now)
    listener.microphone.change_track("mic2")


def _outage(listener: Listener) -> None:
    listener.now += 0.2
    listener.microphone.end("outage")


@pytest.mark.parametrize("before", [-28, -40, -60])
@pytest.mark.parametrize("restart", [_nothing, _sends_zeros, _sends_nothing, _changes_track, _outage])
@pytest.mark.parametrize("wait", [0.1, 0.3, 0.6, 1.0, 1.4, 1.8, 2.5])
def test_the_first_words_in_noise_are_heard_whenever_they_come_after_a_restart(
    before: int, restart: Callable[[Listener], None], wait: float
) -> None:
    listener = Listener().hear(white(2.0, before))
    restart(listener)
    words = speech("alice_question.wav")
    # 10 dB SNR: the level of the fixture is -23 dBFS.
    heard = white(wait + len(words) / 16000 + 1.0, -33)
    heard[round(wait * 16000) :][: len(words)] += words
    begun = listener.now + wait
    listener.hear(heard)
    (started,) = listener.kinds(TurnStarted)
    assert -0.1 < started.at - begun < 0.4  # type: ignore[union-attr]


@pytest.mark.parametrize("packet", [160, 320, 480, 1000, 4000])
def test_packets_of_any_size_are_the_same_speech(packet: int) -> None:
    words = np.concatenate((np.zeros(8000), speech("alice_question.wav"), np.zeros(16000)))
    events = Listener().hear(words, packet).events
    reference = Listener().hear(words).events
    assert [type(e) for e in events] == [type(e) for e in reference]


@pytest.mark.parametrize("rate", [16000, 24000])
def test_a_turn_has_its_pre_roll_and_its_tail(rate: int) -> None:
    words = resample(speech("alice_question.wav"), 16000, rate)
    quiet = np.zeros(rate)
    listener = Listener(rate).hear(np.concatenate((quiet, words, quiet)))
    (turn,) = listener.turns
    expected = 0.3 + len(words) / rate + 0.2
    assert len(turn) / rate == pytest.approx(expected, abs=0.15)
    assert np.abs(turn).max() == np.abs(words).max()


def test_media_time_follows_the_samples_and_never_call_time() -> None:
    listener = Listener().hear(np.zeros(16000))
    assert listener.microphone.media == pytest.approx(1.0, abs=0.021)
    listener.now += 0.5
    listener.microphone.silence(listener.now)
    assert listener.microphone.media == listener.now
    # The half second arrives after all, at once: it replaces the silence.
    for _ in range(25):
        listener.microphone.feed(bytes(640), listener.now, False)
    assert listener.microphone.media == listener.now


def test_absence_is_no_silence_before_120_ms() -> None:
    listener = Listener().hear(np.zeros(16000))
    before = listener.microphone.media
    listener.microphone.silence(listener.now + 0.1)
    assert listener.microphone.media == before


LINE = np.concatenate((np.zeros(4000), speech("alice_question.wav"), np.zeros(12000))).astype(np.int16)


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 2400),  # samples in a packet
            st.sampled_from([0.0, 0.0, 0.0, 0.05, 0.3, 2.0]),  # how late it comes
            st.booleans(),  # whether the bot speaks
        ),
        min_size=1,
        max_size=60,
    )
)
def test_media_time_never_runs_back_nor_ahead_however_packets_come(
    packets: list[tuple[int, float, bool]],
) -> None:
    listener = Listener()
    microphone, position, before = listener.microphone, 0, 0.0
    for size, late, bot in packets:
        packet = np.take(LINE, range(position, position + size), mode="wrap")
        position += size
        listener.now += size / 16000
        for _ in range(int(late / 0.02)):
            listener.now += 0.02
            microphone.silence(listener.now)
            assert before <= microphone.media <= listener.now + 1e-9
            before = microphone.media
        microphone.feed(packet.tobytes(), listener.now, bot)
        assert before <= microphone.media <= listener.now + 1e-9
        before = microphone.media
    microphone.end("left")
    begun = [event for event in listener.events if isinstance(event, TurnStarted)]
    ended = [event for event in listener.events if isinstance(event, TurnEnded)]
    assert [event.at for event in begun] == [event.start for event in ended]
    assert all(0 <= event.start <= event.end <= listener.now + 1e-9 for event in ended)


class _Adder:
    """Stands where a canceller does, and adds 1 to each sample."""

    active = False

    def clean(self, frame: np.ndarray, at: float, suspected: bool = False) -> np.ndarray:
        return frame + np.int16(1)

    def reset(self) -> None:
        pass


def _before_a_canceller(*stages: Stage) -> Listener:
    listener = Listener(stages=stages)
    listener.microphone.front_end.canceller = _Adder()  # type: ignore[assignment]
    listener.hear(np.zeros(1600))
    # One is lost; the next one waits for what follows.
    listener.now += 0.02
    return listener.hear(np.full(320, 7))


def test_what_waits_in_front_of_the_canceller_is_heard_when_no_more_comes() -> None:
    listener = _before_a_canceller()
    assert len(listener.frames) == 5
    listener.microphone.silence(listener.now + 0.1)
    assert len(listener.frames) == 5
    listener.microphone.silence(listener.now + 0.2)
    assert len(listener.frames) == 6
    assert np.array_equal(listener.frames[-1], np.full(320, 8))
    assert listener.microphone.media == pytest.approx(listener.now + 0.2)


def test_another_track_neither_swallows_what_waits_nor_puts_the_clock_back() -> None:
    listener = _before_a_canceller()
    listener.microphone.change_track("other")
    assert len(listener.frames) == 6
    listener.hear(np.zeros(320 * 50))
    assert len(listener.frames) == 56
    assert listener.microphone.media == pytest.approx(listener.now)


class _Doubler:
    """A stage."""

    def process(self, samples: np.ndarray, format: AudioFormat) -> np.ndarray:
        return samples * np.int16(2)

    def reset(self) -> None:
        pass


def test_stages_come_behind_the_canceller() -> None:
    listener = _before_a_canceller(_Doubler())
    listener.hear(np.full(640, 7))
    assert [int(frame[0]) for frame in listener.frames] == [2] * 5 + [16] * 3


class _Predictor:
    """Is asked, and keeps whether the question still stands."""

    asked = False

    def paused(self, microphone: Microphone, pause: float, sound: np.ndarray) -> None:
        self.asked = True

    def resumed(self, microphone: Microphone) -> None:
        self.asked = False


@pytest.mark.parametrize("end", ["silence", "end", "close"])
def test_a_question_about_a_turn_is_taken_back_when_the_turn_is_over(end: str) -> None:
    predictor = _Predictor()
    listener = Listener(predictor=predictor)
    listener.hear(np.concatenate((speech("alice_question.wav"), np.zeros(4800))))
    assert predictor.asked
    if end == "silence":
        listener.microphone.silence(listener.now + 3.0)
    else:
        getattr(listener.microphone, end)("app")
    assert len(listener.turns) == 1
    assert not predictor.asked


@pytest.mark.parametrize("mode", ["local", "backend"])
def test_the_sound_of_turns_is_kept_where_somebody_asks_for_it(mode: Literal["local", "backend"]) -> None:
    listener = Listener(turns=TurnSettings(mode=mode))
    listener.hear(np.concatenate((speech("alice_question.wav"), np.zeros(24000))))
    assert [type(event) for event in listener.events].count(TurnEnded) == 1
    (turn,) = listener.turns
    assert (len(turn) > 16000) == (mode == "local")


class Loud(Energy):
    """Takes all that is not silence for a voice."""

    def feed(
        self,
        frame: np.ndarray,
        in_speech: bool,
        accumulating: bool = True,
        playing: EchoSource | None = None,
    ) -> Decision:
        peak = float(np.abs(frame).max())
        if not peak:
            return Decision(-2.0, False, False, -100.0, -100.0, 40.0)
        return Decision(2.5, True, True, 20 * np.log10(peak / 32768), -100.0, 40.0)


@pytest.mark.parametrize("pre_roll", [0.0, 0.3, 0.5])
def test_a_soft_beginning_is_handed_over_whole_behind_its_pre_roll(pre_roll: float) -> None:
    listener = Listener(turns=TurnSettings(pre_roll=pre_roll), near_voice=True)
    listener.microphone.detection.detector = Loud()
    hushed, said, gap = np.zeros(48000), np.full(48000, 2000.0), np.zeros(1600)
    soft = np.concatenate((np.full(4000, 300.0), gap, np.full(3200, 300.0)))
    listener.hear(np.concatenate((hushed, said, hushed, soft, said, hushed)))
    first, last = listener.turns
    assert np.count_nonzero(first == 2000) == len(said)
    assert np.count_nonzero(last == 300) == len(soft) - len(gap)
    _begins_with_pre_roll(last, pre_roll)


def _begins_with_pre_roll(turn: np.ndarray, pre_roll: float) -> None:
    before = int((turn != 0).argmax())
    assert round(pre_roll * 16000) <= before <= round((pre_roll + 0.02) * 16000)


@pytest.mark.parametrize("pre_roll", [0.0, 0.3, 0.5])
def test_a_soft_beginning_without_a_gap_is_handed_over_behind_its_pre_roll_alone(pre_roll: float) -> None:
    listener = Listener(turns=TurnSettings(pre_roll=pre_roll), near_voice=True)
    listener.microphone.detection.detector = Loud()
    hushed, said, soft = np.zeros(48000), np.full(48000, 2000.0), np.full(6400, 300.0)
    listener.hear(np.concatenate((hushed, said, hushed, soft, said, hushed)))
    first, last = listener.turns
    assert np.count_nonzero(last == 300) == len(soft)
    for turn in (first, last):
        _begins_with_pre_roll(turn, pre_roll)
