import json
from pathlib import Path

import numpy as np
import pytest

from fishjam_agents.audio.gain import amplify, dbfs
from fishjam_agents.audio.noise import CHANGE_FRAMES
from fishjam_agents.audio.resampling import resample, vad_resampler
from fishjam_agents.audio.vad import PRESETS, Detector, default_detector
from fishjam_agents.audio.wav import load_speech, read_wav

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
FACTS = json.loads((FIXTURES / "fixtures.json").read_text())
SPEECH = [name for name in FACTS if name.startswith(("alice_", "bob_"))]
SPEECH_LEVEL = -23.0


@pytest.fixture(autouse=True, params=[Detector, default_detector], ids=["python", "compiled"])
def either_detector(request, monkeypatch):
    """Whatever is said here of the detector holds for both."""
    monkeypatch.setitem(globals(), "Detector", request.param)


def white(seconds, level):
    signal = np.random.default_rng(5).normal(0, 32768 * 10 ** (level / 20), round(16000 * seconds))
    return np.clip(np.rint(signal), -32768, 32767).astype(np.int16)


def tone(hz, seconds, level=-20.0):
    phase = 2 * np.pi * hz * np.arange(round(16000 * seconds)) / 16000
    return np.rint(32768 * np.sqrt(2) * 10 ** (level / 20) * np.sin(phase)).astype(np.int16)


def decisions(samples, detector=None, in_speech=False):
    detector = detector or Detector()
    return [detector.feed(samples[i : i + 320], in_speech) for i in range(0, len(samples) - 319, 320)]


def first_start(samples, preset="default"):
    """Seconds at which the scores have added up to a start, None if they never do."""
    total = 0.0
    for index, decision in enumerate(decisions(samples, Detector(preset))):
        total = max(total + decision.score, 0.0)
        if total >= PRESETS[preset].start:
            return (index + 1) * 0.02
    return None


def in_bed(speech, bed):
    """Speech after a second of white noise at `bed` dBFS that goes on under it."""
    samples = np.concatenate([np.zeros(16000, np.int16), speech, np.zeros(8000, np.int16)])
    return np.clip(samples.astype(int) + white(len(samples) / 16000, bed), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("level", [-20, -30, -40])
@pytest.mark.parametrize("name", SPEECH)
def test_speech_is_found_soon_at_any_level(name, level):
    speech = amplify(read_wav(FIXTURES / name).samples, level - SPEECH_LEVEL)
    onset = 1.0 + FACTS[name]["sounds"][0]["start"]
    found = first_start(in_bed(speech, level - 20))
    assert found is not None
    assert -0.02 < found - onset < 0.22


@pytest.mark.parametrize("cut", [0.0, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("name", SPEECH)
def test_speech_that_is_there_from_the_first_frame_is_found_at_once(name, cut):
    start = FACTS[name]["sounds"][0]["start"] + cut
    speech = read_wav(FIXTURES / name).samples[round(start * 16000) :]
    noisy = np.clip(speech.astype(int) + white(len(speech) / 16000, -60), -32768, 32767).astype(np.int16)
    found = first_start(noisy)
    if "yes" in name and cut >= 0.2:
        return  # no voice is left to be found
    assert 0.0 < found < 0.2


@pytest.mark.parametrize("preset", PRESETS)
def test_all_presets_find_speech_and_none_hears_voices_in_noise(preset):
    assert first_start(read_wav(FIXTURES / "bob_question.wav").samples, preset) is not None
    assert first_start(np.zeros(160000, np.int16), preset) is None
    for level in (-20, -40, -60, -80):
        assert first_start(white(10, level), preset) is None


def test_sensitive_starts_no_later_and_noisy_no_earlier_than_default():
    samples = in_bed(read_wav(FIXTURES / "alice_question.wav").samples, -35)
    assert first_start(samples, "sensitive") <= first_start(samples) <= first_start(samples, "noisy")


@pytest.mark.parametrize("name", ["cough", "white", "silence"])
def test_what_is_no_voice_here_starts_nothing(name):
    assert first_start(read_wav(FIXTURES / f"{name}.wav").samples) is None


def test_babble_that_has_gone_on_for_a_while_starts_nothing():
    babble = read_wav(FIXTURES / "babble.wav").samples
    detector = Detector()
    decisions(babble, detector)
    total = 0.0
    for decision in decisions(babble, detector):
        total = max(total + decision.score, 0.0)
        assert total < PRESETS["default"].start


def test_a_grunt_starts_at_once_because_it_could_be_a_word():
    onset = FACTS["grunt.wav"]["sounds"][0]["start"]
    assert first_start(read_wav(FIXTURES / "grunt.wav").samples) - onset < 0.1


def test_a_beep_counts_for_one_frame_at_most():
    beep = np.concatenate([white(1, -60), tone(1000, 1.0), white(0.5, -60)])
    voiced = [decision.voiced for decision in decisions(beep)]
    assert sum(voiced[50:100]) <= 2
    assert decisions(beep)[75].score < 0


def test_level_gate_keeps_down_what_is_no_louder_than_the_noise_has_been():
    loud, murmur = white(3, -30), amplify(read_wav(FIXTURES / "alice_long.wav").samples, -25)[6400:]
    detector = Detector()
    decisions(loud, detector)
    assert not any(decision.voiced for decision in decisions(murmur[: 320 * CHANGE_FRAMES], detector))
    assert first_start(np.concatenate([np.zeros(48000, np.int16), murmur])) < 3.2


@pytest.mark.parametrize("before", [-30, -45, -75, None])
@pytest.mark.parametrize("wait", [0.0, 0.05, 0.1, 0.2, 0.5, 0.9, 1.5])
def test_another_noise_is_known_at_once_and_speech_in_it_found(before, wait):
    speech = read_wav(FIXTURES / "alice_question.wav").samples
    onset = FACTS["alice_question.wav"]["sounds"][0]["start"]
    speech = speech[round(onset * 16000) :].astype(int)
    past = np.zeros(32000, np.int16) if before is None else white(2, before)
    now = white(wait + len(speech) / 16000, SPEECH_LEVEL - 12).astype(int)
    now[-len(speech) :] += speech
    found = first_start(np.concatenate([past, np.clip(now, -32768, 32767).astype(np.int16)]))
    assert 0.0 < found - 2 - wait < (0.4 if before == -30 else 0.25)


def test_a_step_of_the_noise_starts_nothing_and_moves_mean_spread_and_floor():
    for before, after in ((-70, -40), (-40, -70), (-50, -38), (-100, -30)):
        detector = Detector()
        decisions(white(3, before), detector)
        heard = decisions(white(1, after), detector)
        total = 0.0
        for decision in heard:
            total = max(total + decision.score, 0.0)
            assert total < PRESETS["default"].start
        assert heard[CHANGE_FRAMES + 1].noise == pytest.approx(heard[-1].noise, abs=1.5)
        assert not any(decision.voiced for decision in heard[CHANGE_FRAMES + 1 :])


def test_after_a_restart_nothing_is_left_of_the_noise_before():
    speech = read_wav(FIXTURES / "bob_question.wav").samples
    used = Detector()
    decisions(white(3, -30), used)
    used.restart()
    assert decisions(speech, used) == decisions(speech)


def test_noise_is_learned_fast_outside_speech_and_hardly_in_it():
    detector = Detector()
    decisions(white(2, -60), detector)
    louder = white(1, -40)
    frames = [louder[i : i + 320] for i in range(0, 16000, 320)]
    before = detector.feed(frames[0], True).noise
    kept = [detector.feed(frame, True) for frame in frames][-1].noise
    learned = [detector.feed(frame, False) for frame in frames][-1].noise
    assert kept - before < 2
    assert learned - before > 12


def test_decision_tells_level_and_how_far_speech_stands_above_noise():
    speech = read_wav(FIXTURES / "alice_long.wav").samples
    samples = in_bed(speech, -50)
    detector = Detector()
    heard = decisions(samples[:22400], detector) + decisions(samples[22400:], detector, in_speech=True)
    assert all(decision.snr == 0 for decision in heard[20:60])
    assert -65 < heard[50].noise < -50
    assert heard[50].level == pytest.approx(heard[50].noise, abs=5)
    last_word = max(i for i, decision in enumerate(heard) if decision.voiced)
    assert 15 < heard[last_word].snr < 35
    assert decisions(np.zeros(320, np.int16))[0].level == pytest.approx(-100)


def test_tail_holds_for_soft_ends_only():
    samples = in_bed(read_wav(FIXTURES / "alice_long.wav").samples, -60)
    heard = decisions(samples)
    assert not any(decision.tail for decision in heard[10:60])
    assert any(decision.tail and not decision.voiced for decision in heard)
    assert all(-3 <= decision.score <= 3 for decision in heard)


@pytest.mark.parametrize("rate", [8000, 24000, 44100, 48000])
def test_speech_is_found_at_any_rate_through_the_streaming_resampler(rate):
    samples = read_wav(FIXTURES / f"rate_{rate}.wav").samples
    resampler = vad_resampler(rate)
    size = rate // 50
    heard = np.concatenate([resampler.process(samples[i : i + size]) for i in range(0, len(samples), size)])
    assert abs(first_start(heard) - first_start(load_speech(FIXTURES / "rate_16000.wav", 16000))) <= 0.04


def test_full_scale_and_extreme_input_score_without_warnings():
    for samples in (np.full(3200, 32767), np.tile([32767, -32768], 1600), np.eye(1, 3200)[0] * 32767):
        for decision in decisions(samples.astype(np.int16)):
            assert np.isfinite(decision.score)
            assert decision.level <= 3


def test_fixtures_are_what_their_table_says():
    assert {path.name for path in FIXTURES.glob("*.wav")} == set(FACTS)
    for name, facts in FACTS.items():
        clip = read_wav(FIXTURES / name)
        assert clip.sample_rate == facts["sample_rate"]
        assert clip.samples.ndim == facts["channels"]
        assert clip.seconds == pytest.approx(facts["seconds"], abs=0.001)
        at16k = resample(clip.mono(), clip.sample_rate, 16000)
        for sound in facts["sounds"]:
            assert dbfs(at16k[round(sound["start"] * 16000) : round(sound["end"] * 16000)]) > -35
        assert (FIXTURES / name).stat().st_size % 2 == (1 if name == "odd_byte.wav" else 0)
