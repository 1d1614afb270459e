"""The sound of a scenario, ready before its call begins: lines, texts and beds of noise."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fishjam_agents.audio.gain import amplify, dbfs
from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.samples import FULL_SCALE, Samples, saturate
from fishjam_agents.audio.wav import Clip, read_wav
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.testing.scenario import Caller, Echo, Line, Noise, Scenario
from fishjam_agents.testing.time_spec import TimeSpec

RATE = 16000
"""Callers speak and are recorded at this rate, Hz."""
SPEAKING_DEADLINE = 30.0
"""Seconds espeak-ng may take for one line."""
_SPEAKER = "espeak-ng"
_BED_SECONDS = 10
"""A computed noise repeats after this long."""
_COMPUTED_LEVEL = -45.0
_MAINS = 50.0


class SpeechUnavailableError(FishjamAgentsError):
    """A text cannot be spoken here, because espeak-ng is not installed."""


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """Speech that is said in one go.

    Attributes:
        key: Where the scenario has its first line: `callers.ann.lines[0]`.
        at: When it begins; None is when the caller joins, else the call's zero.
        samples: int16 mono at 16 kHz.
    """

    key: str
    at: TimeSpec | None
    samples: Samples


@dataclass(frozen=True, slots=True, eq=False)
class CallerPart:
    """Actions of one caller, with their sound: int16 mono at 16 kHz.

    Attributes:
        name: What the timeline calls them.
        lines: What they say.
        joins: None is before the call's zero.
        leaves: None is never.
        mutes: When the microphone falls silent, and for how long; None is for good.
        presses: When the button of push to talk goes down, and for how long; None is for good.
        noise: Noise that repeats, None without any.
        echo: How the bot comes back with the call, None if it does not.
        echo_changes: How it comes back from a moment on; first, where its caller has that.
        camera: The still their camera shows, None without one.
    """

    name: str
    lines: Sequence[Utterance]
    joins: TimeSpec | None = None
    leaves: TimeSpec | None = None
    mutes: Sequence[tuple[TimeSpec, float | None]] = ()
    presses: Sequence[tuple[TimeSpec, float | None]] = ()
    noise: Samples | None = None
    echo: Echo | None = None
    echo_changes: Sequence[tuple[str, TimeSpec, Echo]] = ()
    camera: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The callers of a call with every sound ready, so that nothing is computed while calls last.

    Attributes:
        parts: What each caller does.
        seconds: Length of the call, None ends it when all is said.
        delay: Seconds each message of the bot takes to the server.
        jitter: Largest extra delay, in seconds.
    """

    parts: Sequence[CallerPart]
    seconds: float | None = None
    delay: float = 0.0
    jitter: float = 0.0


def prepare(callers: Scenario | Sequence[Clip] | Prepared) -> Prepared:
    """Callers with every sound read, spoken and resampled; see `parts_of`."""
    if isinstance(callers, Prepared):
        return callers
    parts = parts_of(callers)
    if isinstance(callers, Scenario):
        return Prepared(parts, callers.seconds, callers.delay, callers.jitter)
    return Prepared(parts)


def parts_of(callers: Scenario | Sequence[Clip]) -> list[CallerPart]:
    """Return the callers' parts, every sound read, spoken and resampled.

    Args:
        callers: A scenario; or one recording for each caller, spoken from the call's zero on.

    Raises:
        AudioError: A recording cannot be used.
        SpeechUnavailableError: A text is to be spoken, and espeak-ng is not installed.
        FishjamAgentsError: espeak-ng failed.
    """
    if isinstance(callers, Scenario):
        reason = unspeakable(callers)
        if reason is not None:
            raise SpeechUnavailableError(reason)
        return [_part(name, caller) for name, caller in callers.callers.items()]
    return [
        CallerPart(
            f"caller-{number}",
            [Utterance(f"callers.{number}", None, resample(clip.mono(), clip.sample_rate, RATE))],
        )
        for number, clip in enumerate(callers, 1)
    ]


def _part(name: str, caller: Caller) -> CallerPart:
    return CallerPart(
        name,
        _utterances(name, caller.lines),
        _moment(caller.joins),
        _moment(caller.leaves),
        [(TimeSpec.parse(mute.at), mute.seconds) for mute in caller.mutes],
        [(TimeSpec.parse(press.at), press.seconds) for press in caller.presses],
        None if caller.noise is None else noise_sound(caller.noise),
        None if caller.echo is None or caller.echo.at is not None else caller.echo,
        [] if caller.echo is None else list(_echo_changes(caller.echo)),
        None if caller.camera is None else _picture(caller.camera),
    )


def _echo_changes(echo: Echo) -> Iterator[tuple[str, TimeSpec, Echo]]:
    if echo.at is not None:
        yield "echo.at", TimeSpec.parse(echo.at), echo
    for index, change in enumerate(echo.changes):
        level = echo.level if change.level is None else change.level
        echo = replace(echo, level=level, delay=echo.delay if change.delay is None else change.delay)
        yield f"echo.changes[{index}]", TimeSpec.parse(change.at), echo


def _utterances(name: str, lines: Sequence[Line]) -> list[Utterance]:
    """Lines with their sounds; one without a moment of its own goes on where the one before ends."""
    said: list[Utterance] = []
    for index, line in enumerate(lines):
        sound = line_sound(line)
        if line.at is None and said:
            before = said.pop()
            said.append(replace(before, samples=np.concatenate((before.samples, sound))))
        else:
            said.append(Utterance(f"callers.{name}.lines[{index}]", _moment(line.at), sound))
    return said


def _picture(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FishjamAgentsError(
            f"the picture {path} cannot be read ({error.strerror}): check the path"
        ) from error


def _moment(text: str | None) -> TimeSpec | None:
    return None if text is None else TimeSpec.parse(text)


def line_sound(line: Line) -> Samples:
    """Return the sound of a line: int16 mono at 16 kHz, shape (n,).

    Raises:
        AudioError: The recording cannot be used.
        FishjamAgentsError: It is text, and espeak-ng failed or is not installed.
    """
    clip = _spoken(line.text or "", line.voice) if line.wav is None else read_wav(line.wav)
    samples = resample(clip.mono(), clip.sample_rate, RATE)
    end = len(samples) if line.end is None else round(line.end * RATE)
    samples = samples[round(line.start * RATE) : end]
    return amplify(samples, line.gain) if line.gain else samples


def unspeakable(scenario: Scenario) -> str | None:
    """Return the reason for which a scenario cannot be played on this machine; None if it can."""
    lines = (line for caller in scenario.callers.values() for line in caller.lines)
    text = next((line.text for line in lines if line.text is not None), None)
    if text is None or shutil.which(_SPEAKER) is not None:
        return None
    return f"{text!r} cannot be spoken: install {_SPEAKER}, or give a wav in place of the text"


def _spoken(text: str, voice: str) -> Clip:
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "spoken.wav"
        try:
            subprocess.run(
                [_SPEAKER, "-v", voice, "-w", str(wav), "--stdin"],
                input=text.encode(),
                capture_output=True,
                timeout=SPEAKING_DEADLINE,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            told = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip() or str(error)
            raise FishjamAgentsError(
                f"espeak-ng could not speak {text!r} ({told}): check the voice"
            ) from error
        return read_wav(wav)


def noise_sound(noise: Noise) -> Samples:
    """Noise to repeat: int16 mono at 16 kHz, shape (n,); the same each time.

    Raises:
        AudioError: The recording cannot be used.
    """
    if noise.wav is not None:
        clip = read_wav(noise.wav)
        samples = resample(clip.mono(), clip.sample_rate, RATE)
        return samples if noise.level is None else amplify(samples, noise.level - dbfs(samples))
    level = _COMPUTED_LEVEL if noise.level is None else noise.level
    size = _BED_SECONDS * RATE
    if noise.kind == "hum":
        phase = 2 * np.pi * _MAINS / RATE * np.arange(size)
        wave = sum(np.sin(phase * harmonic) / harmonic for harmonic in (1, 2, 3, 5))
    else:
        # Power falls by 0, 3 or 6 dB per octave: the definitions of white, pink and brown noise.
        slope = {"white": 0.0, "pink": 0.5, "brown": 1.0}[noise.kind or "white"]
        spectrum = np.fft.rfft(np.random.default_rng(20).standard_normal(size))
        wave = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 20) ** slope, size)
    rms = np.sqrt(np.mean(np.square(wave)))
    return saturate(np.rint(wave / rms * FULL_SCALE * 10 ** (level / 20)))
