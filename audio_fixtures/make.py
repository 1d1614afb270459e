"""Build the WAV files of this folder, fixtures.json and the table in README.md.

    python audio_fixtures/make.py

Needs espeak-ng and sox (apt-get install -y espeak-ng sox). The same versions of them give the same bytes;
the files are committed, so only who changes them needs to run this.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fishjam_agents.audio.gain import amplify, dbfs
from fishjam_agents.audio.mixing import mix
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import read_wav, write_wav

HERE = Path(__file__).parent
RATE = 16000
LEVEL = -23.0
"""Of speech while it is on, dBFS: a headset at a usual setting."""

VOICES = {"alice": ("en-us+f3", 52, 165), "bob": ("en-gb+m3", 38, 165)}
"""espeak-ng voice, pitch (0-99), words per minute."""

QUESTION = "What is the weather like in Krakow today?"
LONG_QUESTION = "Could you please tell me how long the train from Krakow to Warsaw takes?"
REQUEST = (
    "I would like you to repeat after me everything that I am saying right now "
    "because I want to find out how well you can hear me"
)
INTERRUPTION = "Wait a moment please I meant the evening train"
BABBLE = (
    "There was nobody at the station when the last bus arrived, so we walked home along the river.",
    "My brother bought a new camera and now he photographs every single meal he eats.",
    "They say that the library will stay open longer in summer, which suits me very well.",
    "If you turn left behind the market you will see a small shop with a green door.",
)


@dataclass
class Sound:
    """Something placed in a file: what it is, and when it is heard."""

    what: str
    start: float
    end: float


@dataclass
class Fixture:
    """A file of this folder."""

    name: str
    purpose: str
    samples: Samples
    sounds: list[Sound] = field(default_factory=list)
    sample_rate: int = RATE


def say(text: str, voice: str, sample_rate: int = RATE) -> Samples:
    """Speech without silence around it, at LEVEL."""
    name, pitch, speed = VOICES[voice]
    return speak(text, name, pitch, speed, sample_rate)


def speak(text: str, voice: str, pitch: int, speed: int, sample_rate: int = RATE) -> Samples:
    """As `say`, with any voice of espeak-ng."""
    with tempfile.TemporaryDirectory() as folder:
        spoken, converted = f"{folder}/spoken.wav", f"{folder}/converted.wav"
        options = ["-v", voice, "-p", str(pitch), "-s", str(speed)]
        subprocess.run(["espeak-ng", *options, "-w", spoken, text], check=True)
        convert(spoken, converted, sample_rate)
        samples = read_wav(converted).samples
    segments = heard(samples, sample_rate)
    samples = samples[round(segments[0][0] * sample_rate) : round(segments[-1][1] * sample_rate)]
    on = np.concatenate(
        [samples[round(a * sample_rate) : round(b * sample_rate)] for a, b in heard(samples, sample_rate)]
    )
    return amplify(samples, LEVEL - dbfs(on))


def convert(source: str, target: str, sample_rate: int) -> None:
    """Resample a WAV with sox: without dither, so that digital silence stays silent."""
    subprocess.run(["sox", "-D", source, "-b", "16", "-r", str(sample_rate), target], check=True)


def heard(samples: Samples, sample_rate: int = RATE) -> list[tuple[float, float]]:
    """Onset and end of each stretch of sound in a clean recording, in seconds.

    Sound is what lies within 28 dB of the level that the loud half of the recording has, in steps of
    5 ms; gaps under 200 ms belong to the sound.
    """
    step = sample_rate // 200
    levels = np.array([dbfs(samples[i : i + step]) for i in range(0, len(samples) - step + 1, step)])
    audible = levels[levels > -60]
    on = levels > np.median(audible) - 28
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(int), [0]]))).reshape(-1, 2)
    segments: list[tuple[float, float]] = []
    for start, end in edges / 200:
        if segments and start - segments[-1][1] < 0.2:
            segments[-1] = (segments[-1][0], float(end))
        else:
            segments.append((float(start), float(end)))
    return segments


def silence(seconds: float, sample_rate: int = RATE) -> Samples:
    """Digital silence."""
    return np.zeros(round(seconds * sample_rate), np.int16)


def sequence(
    name: str, purpose: str, parts: Sequence[float | tuple[str, Samples]], sample_rate: int = RATE
) -> Fixture:
    """A file of sounds, each (what, samples), and of silences, each its seconds."""
    pieces: list[Samples] = []
    sounds: list[Sound] = []
    position = 0
    for part in parts:
        if isinstance(part, tuple):
            what, samples = part
            at = position / sample_rate
            sounds += [Sound(what, at + start, at + end) for start, end in heard(samples, sample_rate)]
        else:
            samples = silence(part, sample_rate)
        pieces.append(samples)
        position += len(samples)
    return Fixture(name, purpose, np.concatenate(pieces), sounds, sample_rate)


def cough() -> Samples:
    """200 ms of a cough: a burst of breath with no pitch, loud at once and then decaying."""
    noise = band_noise(np.random.default_rng(1), 0.2, 300, 5000)
    seconds = np.arange(len(noise)) / RATE
    envelope = np.minimum(seconds / 0.01, 1) * np.exp(-seconds / 0.06)
    return scale(noise * envelope, LEVEL)


def grunt() -> Samples:
    """200 ms of a voiced cough: a falling low voice with some breath. By its sound it could be a word."""
    seconds = np.arange(round(0.2 * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(130 - 150 * seconds) / RATE
    formants = [np.exp(-(((130 * k - 600) / 500) ** 2)) + 0.3 / k for k in range(1, 20)]
    voice = sum(gain * np.sin(k * phase + k * k) for k, gain in enumerate(formants, 1))
    breath = band_noise(np.random.default_rng(2), 0.2, 300, 5000)
    envelope = np.minimum(seconds / 0.015, 1) * np.minimum((0.2 - seconds) / 0.06, 1)
    return scale((voice / np.std(voice) + 0.3 * breath / np.std(breath)) * envelope, LEVEL)


def tap() -> Samples:
    """A finger on a table, 60 ms, and 0.2 s of silence: repeated, it is somebody drumming."""
    seconds = np.arange(round(0.06 * RATE)) / RATE
    wood = sum(np.sin(2 * np.pi * hertz * seconds) for hertz in (100, 140, 280, 420))
    struck = scale(wood * np.minimum(seconds / 0.001, 1) * np.exp(-seconds / 0.02), -20.0)
    return np.concatenate([struck, silence(0.2)])


def dial_tone() -> Samples:
    """0.1 s of the North American dial tone, 350 and 440 Hz (ITU-T E.180): repeated, it has no seam."""
    seconds = np.arange(round(0.1 * RATE)) / RATE
    return scale(np.sin(2 * np.pi * 350 * seconds) + np.sin(2 * np.pi * 440 * seconds), -18.0)


def babble(seconds: float) -> Samples:
    """Eight people talking at once."""
    talkers = []
    for index in range(8):
        voice = f"en-us+{'fm'[index % 2]}{1 + index // 2}"
        text = " ".join(BABBLE[(index + k) % 4] for k in range(2))
        talkers.append(amplify(speak(text, voice, 30 + 5 * index, 150 + 8 * index), -12))
    start = RATE // 2
    return scale(mix(talkers)[start : start + round(seconds * RATE)], -35.0)


def band_noise(rng: np.random.Generator, seconds: float, low: float, high: float) -> np.ndarray:
    """White noise between two frequencies in Hz, floating point, at no particular level."""
    spectrum = np.fft.rfft(rng.normal(size=round(seconds * RATE)))
    frequency = np.fft.rfftfreq(round(seconds * RATE), 1 / RATE)
    spectrum[(frequency < low) | (frequency > high)] = 0
    return np.fft.irfft(spectrum, round(seconds * RATE))


def scale(signal: np.ndarray, level: float) -> Samples:
    """The signal as int16 with an RMS of `level` dBFS."""
    gain = 32768 * 10 ** (level / 20) / np.sqrt(np.mean(np.square(signal, dtype=float)))
    scaled: Samples = np.clip(np.rint(signal * gain), -32768, 32767).astype(np.int16)
    return scaled


def speech() -> list[Fixture]:
    """One voice saying one thing."""
    fixtures = []
    for voice in VOICES:
        for what, text, purpose in (
            ("question", QUESTION, "an ordinary turn"),
            ("long", LONG_QUESTION, "a long turn"),
            ("yes", "Yes.", "one short word is a turn, too"),
        ):
            sound = (f"{voice}: {text}", say(text, voice))
            fixtures.append(sequence(f"{voice}_{what}", purpose, [0.4, sound, 0.6]))
    first, second = "I would like to know", "when the next train is leaving"
    fixtures.append(
        sequence(
            "alice_pause",
            "thinking for 400 ms inside a sentence does not end the turn",
            [
                0.4,
                (f"alice: {first}", say(first, "alice")),
                0.4,
                (f"alice: {second}", say(second, "alice")),
                1.0,
            ],
        )
    )
    numbers = "one two three four five six seven eight nine"
    fixtures.append(
        sequence(
            "bob_numbers",
            "words to count what was heard",
            [0.4, (f"bob: {numbers}", say(numbers, "bob")), 0.6],
        )
    )
    return fixtures


def sounds() -> list[Fixture]:
    """Sounds that are no turn."""
    hum = speak("[[m'm:h@mm]]", "en-us+f3", 45, 220)
    rng = np.random.default_rng(3)
    return [
        sequence("cough", "a burst without pitch", [0.6, ("cough", cough()), 0.6]),
        sequence("grunt", "a voiced cough: suspected, never confirmed", [0.6, ("grunt", grunt()), 0.6]),
        sequence("mhm", "an agreeing listener", [0.6, ("mhm", hum), 0.6]),
        Fixture("white", "a fan at -45 dBFS", scale(rng.normal(size=2 * RATE), -45)),
        Fixture("babble", "eight people in the room, -35 dBFS", babble(3.0)),
        Fixture("silence", "digital silence", silence(1.0)),
        Fixture("tap", "somebody who drums with the fingers, when it is repeated", tap()),
        Fixture("dial_tone", "a dial tone, when it is repeated", dial_tone()),
    ]


def formats() -> list[Fixture]:
    """One sentence in every shape that a WAV may have."""
    text = "Are you there?"
    fixtures = []
    master = sequence("master", "", [0.3, ("", say(text, "alice", 48000)), 0.3], 48000).samples
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/source.wav", f"{folder}/target.wav"
        write_wav(source, master, 48000)
        for sample_rate in (8000, 16000, 24000, 44100, 48000):
            convert(source, target, sample_rate)
            samples = read_wav(target).samples
            found = [Sound(f"alice: {text}", start, end) for start, end in heard(samples, sample_rate)]
            name, purpose = f"rate_{sample_rate}", "the same sentence at another rate"
            fixtures.append(Fixture(name, purpose, samples, found, sample_rate))
    mono = fixtures[1]
    stereo = np.stack([mono.samples, amplify(mono.samples, -6)], axis=1)
    fixtures.append(Fixture("stereo", "two channels, the right one 6 dB below", stereo, mono.sounds))
    fixtures.append(Fixture("odd_byte", "ends in half a sample", mono.samples, mono.sounds))
    return fixtures


def callers() -> list[Fixture]:
    """Whole sides of a call, for `simulate`. The bot is taken to answer about 0.7 s after a turn."""
    question = ("alice: question", say(QUESTION, "alice"))
    request = ("alice: request", say(REQUEST, "alice"))
    long_question = ("bob: question", say(LONG_QUESTION, "bob"))
    return [
        sequence("caller", "asks one question and listens", [0.4, question, 1.0]),
        sequence(
            "interrupter",
            "makes a request long enough that its echo still sounds 4 s later, and talks over that",
            [0.4, request, 4.0, ("alice: interruption", say(INTERRUPTION, "alice")), 1.0],
        ),
        sequence(
            "cougher",
            "asks a long question, then coughs about 1.5 s into the echoed reply",
            [0.4, long_question, 2.2, ("bob: cough", mix([grunt(), amplify(cough(), -6)])), 1.0],
        ),
    ]


def main() -> None:
    """Write every file."""
    missing = [tool for tool in ("espeak-ng", "sox") if shutil.which(tool) is None]
    if missing:
        print(
            f"{' and '.join(missing)} not found: apt-get install -y espeak-ng sox. The committed files stay."
        )
        return
    fixtures = speech() + sounds() + formats() + callers()
    facts = {}
    rows = []
    for fixture in fixtures:
        path = HERE / f"{fixture.name}.wav"
        write_wav(path, fixture.samples, fixture.sample_rate)
        if fixture.name == "odd_byte":
            path.write_bytes(path.read_bytes() + b"\x7f")
        seconds = len(fixture.samples) / fixture.sample_rate
        facts[path.name] = {
            "purpose": fixture.purpose,
            "sample_rate": fixture.sample_rate,
            "channels": fixture.samples.ndim,
            "seconds": round(seconds, 3),
            "sounds": [
                {"what": sound.what, "start": round(sound.start, 3), "end": round(sound.end, 3)}
                for sound in fixture.sounds
            ],
        }
        times = "; ".join(f"{sound.start:.2f}-{sound.end:.2f}" for sound in fixture.sounds)
        rows.append(f"| `{path.name}` | {seconds:.2f} | {times} | {fixture.purpose} |")
    (HERE / "fixtures.json").write_text(json.dumps(facts, indent=1) + "\n")
    readme = HERE / "README.md"
    head = readme.read_text().split("| file |")[0]
    table = ["| file | seconds | sound from-to, s | for |", "|---|---|---|---|", *rows]
    readme.write_text(head + "\n".join(table) + "\n")


if __name__ == "__main__":
    main()
