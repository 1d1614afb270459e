"""Audio of the load generator: real speech over a little noise, as work for voice detection."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.machine import ROOT
from fishjam_agents.audio.gain import amplify, dbfs
from fishjam_agents.audio.mixing import mix
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import load_speech

RATE = 16000
FRAME = 320
_FIXTURES = ROOT / "audio_fixtures"
_UTTERANCES = (
    *("alice_question", "bob_question", "alice_long", "bob_long"),
    *("alice_yes", "bob_yes", "bob_numbers", "alice_pause"),
)
KEY = 8
"""Bytes at the beginning of a frame by which what is said back is told: no two frames begin alike."""
_HALF = 200
"""Frames of four seconds, after which the other one speaks."""
_PAUSE = 40
"""The last of them, in which a user's turn ends before the bot answers."""
_LEAD_IN = 1.0
"""Noise before the utterance of a trial, seconds: a microphone that has been open for a while."""


def fixture(name: str) -> list[dict[str, Any]]:
    """The sounds in a file of `audio_fixtures`, each with `start` and `end` in seconds."""
    sounds: list[dict[str, Any]] = json.loads((_FIXTURES / "fixtures.json").read_text())[f"{name}.wav"][
        "sounds"
    ]
    return sounds


def noise(seconds: float, level: float, seed: int) -> Samples:
    """White noise at `level` dBFS: int16 mono at 16 kHz, shape (n,)."""
    wave = np.random.default_rng(seed).normal(0.0, 32768 * 10 ** (level / 20), round(seconds * RATE))
    return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)


def frames(samples: Samples) -> list[bytes]:
    """The samples as 20 ms frames of 640 bytes; an incomplete last one is left out."""
    return [samples[at : at + FRAME].tobytes() for at in range(0, len(samples) - FRAME + 1, FRAME)]


def conversation() -> list[bytes]:
    """One user's speech to repeat, with pauses, about 16 s.

    The noise makes every frame differ from every other, so that an echo tells which frame it answers.
    """
    speech = np.concatenate([load_speech(_FIXTURES / f"{name}.wav", RATE) for name in _UTTERANCES[:4]])
    return frames(mix([speech, noise(len(speech) / RATE, -65, seed=1)]))


def quiet() -> list[bytes]:
    """A user who listens: noise at -65 dBFS, 4 s to repeat."""
    return frames(noise(4.0, -65, seed=2))


@dataclass(frozen=True, slots=True)
class Scene:
    """Sound of one call, which is heard over and over again.

    Attributes:
        microphones: Frames of each microphone, 20 ms each, as many for all.
        answered: Keys of the frames that are said back, all of them the first microphone's.
    """

    microphones: tuple[list[bytes], ...]
    answered: frozenset[bytes]


def scene(name: str) -> Scene:
    """The scene of that name.

    `conversation`: one speaks, and all is said back, so that both directions are on all the time. `quiet`:
    one listens. `half`: one speaks for four seconds and is quiet for four, in which the bot speaks. `mix`:
    one of four speaks, and all of that is said back.
    """
    match name:
        case "conversation" | "quiet":
            spoken = conversation() if name == "conversation" else quiet()
            return Scene((spoken,), _keys(spoken))
        case "half":
            spoken = conversation()
            spoken = spoken[: len(spoken) // (2 * _HALF) * 2 * _HALF]
            silent = frames(noise(len(spoken) * FRAME / RATE, -65, seed=5))
            in_turn = [
                spoken[at] if at % (2 * _HALF) < _HALF - _PAUSE else silent[at] for at in range(len(spoken))
            ]
            return Scene((in_turn,), _keys(f for at, f in enumerate(in_turn) if at % (2 * _HALF) >= _HALF))
        case "mix":
            spoken = conversation()
            # The sum begins as the speaker's frame does.
            others = tuple(
                [bytes(KEY) + frame[KEY:] for frame in frames(noise(len(spoken) * FRAME / RATE, -65, seed))]
                for seed in (6, 7, 8)
            )
            return Scene((spoken, *others), _keys(spoken))
        case _:
            raise ValueError(f"there is no scene {name!r}")


def _keys(spoken: Iterable[bytes]) -> frozenset[bytes]:
    return frozenset(frame[:KEY] for frame in spoken)


def bot_voice() -> list[bytes]:
    """Words of a bot that does not say back what it hears, to repeat: 20 ms frames."""
    return frames(load_speech(_FIXTURES / "bob_numbers.wav", RATE))


@dataclass(frozen=True, slots=True)
class Trial:
    """One interruption.

    Attributes:
        frames: What the microphone sends, 20 ms each.
        onset: Number of the first audible frame: the first in which the voice is louder than the noise.
        level: Of the utterance, dBFS.
    """

    frames: list[bytes]
    onset: int
    level: float


def trials(count: int) -> list[Trial]:
    """Interruptions at -20 to -40 dBFS, 20 to 30 dB above white noise, at any phase of the 20 ms frame."""
    random = np.random.default_rng(7)
    made = []
    for number in range(count):
        name = _UTTERANCES[number % len(_UTTERANCES)]
        sound = fixture(name)[0]
        start, end = (round(sound[key] * RATE) for key in ("start", "end"))
        level = -20.0 - 20.0 * number / max(count - 1, 1)
        words = load_speech(_FIXTURES / f"{name}.wav", RATE)[start:end]
        words = amplify(words, level - dbfs(words))
        silence = np.zeros(round(_LEAD_IN * RATE) + int(random.integers(FRAME)), np.int16)
        voice = np.concatenate((silence, words))
        floor = level - random.uniform(20, 30)
        wave = mix([voice, noise(len(voice) / RATE + 1.0, floor, seed=number)])
        audible = (at for at in range(0, len(voice), FRAME) if dbfs(voice[at : at + FRAME]) > floor)
        made.append(Trial(frames(wave), next(audible) // FRAME, level))
    return made
