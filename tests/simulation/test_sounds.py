"""The sound of a scenario before its call."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from fishjam_agents.audio.gain import dbfs
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.simulation import SpeechUnavailableError, prepare, unspeakable
from fishjam_agents.simulation.sounds import RATE, line_sound, noise_sound
from fishjam_agents.testing.scenario import Caller, Line, Mute, Noise, Press, Scenario
from fishjam_agents.testing.time_spec import TimeSpec

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
SPOKEN = Scenario({"ann": Caller((Line(text="One two three four."),))})


def test_a_line_is_the_part_of_a_recording_at_its_level() -> None:
    whole = read_wav(FIXTURES / "rate_16000.wav").samples
    part = line_sound(Line(wav=FIXTURES / "rate_16000.wav", start=0.3, end=0.8))
    assert np.array_equal(part, whole[round(0.3 * RATE) : round(0.8 * RATE)])
    louder = line_sound(Line(wav=FIXTURES / "rate_16000.wav", start=0.3, end=0.8, gain=6))
    assert dbfs(louder) - dbfs(part) == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize("rate", [8000, 24000, 48000])
def test_a_line_of_any_rate_lasts_as_long(rate: int) -> None:
    wav = FIXTURES / f"rate_{rate}.wav"
    assert len(line_sound(Line(wav=wav))) / RATE == pytest.approx(read_wav(wav).seconds, abs=0.001)


@pytest.mark.parametrize("kind", ["white", "pink", "brown", "hum"])
def test_computed_noise_has_its_level_and_is_the_same_each_time(kind: str) -> None:
    noise = noise_sound(Noise(kind=kind, level=-40))  # type: ignore[arg-type]
    assert dbfs(noise) == pytest.approx(-40, abs=0.2)
    assert np.array_equal(noise, noise_sound(Noise(kind=kind, level=-40)))  # type: ignore[arg-type]
    assert dbfs(noise_sound(Noise(kind=kind))) == pytest.approx(-45, abs=0.3)  # type: ignore[arg-type]


def test_noise_falls_with_frequency_by_its_colour() -> None:
    def slope(kind: str) -> float:
        spectrum = np.abs(np.fft.rfft(noise_sound(Noise(kind=kind, level=-20)))) ** 2  # type: ignore[arg-type]
        bands = [spectrum[(low := 5000) : 2 * low].mean(), spectrum[40000:80000].mean()]
        return float(10 * np.log10(bands[0] / bands[1]))

    # Three octaves apart: 0, 3 and 6 dB each.
    assert slope("white") == pytest.approx(0, abs=0.5)
    assert slope("pink") == pytest.approx(9, abs=0.5)
    assert slope("brown") == pytest.approx(18, abs=0.7)


def test_recorded_noise_keeps_its_level_unless_it_is_given_one() -> None:
    recorded = read_wav(FIXTURES / "babble.wav").samples
    assert np.array_equal(noise_sound(Noise(wav=FIXTURES / "babble.wav")), recorded)
    assert dbfs(noise_sound(Noise(wav=FIXTURES / "babble.wav", level=-30))) == pytest.approx(-30, abs=0.2)


def test_a_scenario_is_prepared_with_its_times() -> None:
    lines = (Line(wav=FIXTURES / "alice_yes.wav", at="1 s after reply_ended"),)
    caller = Caller(lines, joins="2", mutes=(Mute("3", 1.0),), presses=(Press("4"),), noise=Noise(kind="hum"))
    cast = prepare(Scenario({"ann": caller}, seconds=9, delay=0.1, jitter=0.02))
    assert (cast.seconds, cast.delay, cast.jitter) == (9, 0.1, 0.02)
    (part,) = cast.parts
    assert (part.name, part.joins, part.leaves) == ("ann", TimeSpec(2.0), None)
    assert part.mutes == [(TimeSpec(3.0), 1.0)]
    assert part.presses == [(TimeSpec(4.0), None)]
    assert part.lines[0].at == TimeSpec.parse(lines[0].at or "")
    assert prepare(cast) is cast


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_a_text_is_spoken() -> None:
    assert unspeakable(SPOKEN) is None
    sound = line_sound(Line(text="One two three four."))
    assert 0.5 < len(sound) / RATE < 3
    assert dbfs(sound) > -40
    assert len(line_sound(Line(text="-v"))) > 0
    with pytest.raises(FishjamAgentsError, match=r"espeak-ng could not speak 'Yes\.' .*: check the voice"):
        line_sound(Line(text="Yes.", voice="zzqq"))


def test_a_text_that_cannot_be_spoken_here_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    reason = "'One two three four.' cannot be spoken: install espeak-ng, or give a wav in place of the text"
    assert unspeakable(SPOKEN) == reason
    with pytest.raises(SpeechUnavailableError, match="cannot be spoken: install espeak-ng"):
        prepare(SPOKEN)
