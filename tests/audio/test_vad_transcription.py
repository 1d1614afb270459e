"""The detector against a slow, line by line transcription of its definition.

The transcription does everything in the written order, the turn machine in the middle: score, gate,
sequential test, end of turn, noise update. The detector learns the noise of a frame only when the next
one comes, told by then what the turn machine made of it; the results must be the same.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import webrtcvad

from fishjam_agents.audio.tones import Tones
from fishjam_agents.audio.vad import PRESETS, Detector
from fishjam_agents.audio.wav import load_speech

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


@dataclass
class ReferenceFrame:
    score: float
    tail: bool
    level: float
    noise: float
    state: int


@dataclass
class ReferenceDetector:
    bias: float = -3.45
    start: float = 4.0
    hang: int = 30
    buf: np.ndarray = field(default_factory=lambda: np.zeros(640))
    webrtc: webrtcvad.Vad = field(default_factory=lambda: webrtcvad.Vad(2))
    smoothed: np.ndarray = field(default_factory=lambda: np.zeros(5))
    history: list[np.ndarray] = field(default_factory=list)
    cur: np.ndarray = field(default_factory=lambda: np.full(5, np.inf))
    blocks: np.ndarray = field(default_factory=lambda: np.zeros((8, 5)))
    c: int = 0
    j: int = 0
    tones: Tones = field(default_factory=Tones)
    t: int = -1
    t0: int = 0
    evidence: float = 0.0
    st: int = 0
    q: int = 0
    v: float = 0.0
    nv: int = 0
    m: float = -100.0
    s: float = 2.0
    run: list[float] = field(default_factory=list)

    def power(self) -> np.ndarray:
        n = np.arange(512)
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / 512)
        return (np.abs(np.fft.rfft(self.buf[128:] * hann)) ** 2)[:128] * 2 / (512 * 192)

    def pitch(self) -> float:
        x = np.diff([sum(self.buf[i : i + 4]) for i in range(0, 640, 4)])
        best = 0.0
        for lag in range(10, 58):
            here, there = x[57:159], x[57 - lag : 159 - lag]
            energy = np.sum(here * here) * np.sum(there * there)
            best = max(best, np.sum(here * there) / math.sqrt(energy + 1e-9))
        return best

    def raw_score(self, pcm: np.ndarray) -> tuple[float, float]:
        self.tones.take(pcm)
        w = self.webrtc.is_speech(pcm.tobytes(), 16000)
        self.buf = np.concatenate([self.buf[320:], pcm / 32768])
        p = self.power()
        e = np.array([p[3:8].sum(), p[8:16].sum(), p[16:32].sum(), p[32:64].sum(), p[64:128].sum()])
        self.smoothed = np.where(self.smoothed < 1e-10, e, 0.5 * self.smoothed + 0.5 * e)
        self.history.append(self.smoothed)
        self.cur = np.minimum(self.cur, self.smoothed)
        n = np.maximum(1.6 * np.minimum(self.blocks.min(axis=0), self.cur), 1e-10)
        self.c += 1
        if self.c == 10:
            self.blocks[self.j] = self.cur
            self.j = (self.j + 1) % 8
            self.cur = np.full(5, np.inf)
            self.c = 0
        d = np.clip(10 * np.log10(np.maximum(e, 1e-10) / n), 0, 20)
        snr = d.mean() / 10
        vb = min(d[1:4].mean() / 10, 1.0)
        z = self.bias + 2.2 * w - 0.6 * snr + 8.2 * (self.pitch() if vb else 0.0) * vb
        if z > 0:
            parts = np.repeat(p / 2, 2)
            if self.tones.hears(float(e.sum()), parts):
                z = -1.0
        else:
            self.tones.rest()
        return z, 10 * math.log10(e[1] + e[2] + e[3] + 1e-10)

    def feed(self, pcm: np.ndarray) -> ReferenceFrame:
        self.t += 1
        z, level = self.raw_score(pcm)
        zz = min(max(z, -3.0), 3.0)
        if level < self.m + 3 + max(self.s, 1.0):
            zz = min(zz, -1.0)
        voiced = zz > 0
        if self.st == 0:
            if self.evidence == 0 and voiced:
                self.t0, self.v = self.t, 0.0
            self.evidence = min(max(self.evidence + zz, 0.0), self.start)
        if self.st or self.evidence > 0:
            self.v = self.v + 1 if voiced else max(0.0, self.v - 0.25)
        if self.st == 0 and self.evidence >= self.start:
            self.st, self.q = 1, 0
        tail = z > -1.5 and level > self.m + 3
        if self.st:
            self.nv = 0 if voiced else self.nv + 1
            alive = voiced or (self.st == 2 and self.nv <= 8 and tail)
            self.q = 0 if alive else self.q + 1
            if self.st == 1:
                if voiced and self.t - self.t0 + 1 >= 17 and self.v >= 8:
                    self.st = 2
                elif self.q >= 14:
                    self.st, self.evidence, self.v = 0, 0.0, 0.0
            elif self.q >= self.hang:
                self.st, self.evidence, self.v = 0, 0.0, 0.0
        frame = ReferenceFrame(zz, tail, level, self.m, self.st)
        self.learn(level)
        return frame

    def learn(self, level: float) -> None:
        dv = level - self.m
        if self.st:
            self.run = []
            self.m += (0.02 / 20 if dv > 0 else 0.02 / 0.7) * dv
            return
        out = abs(dv) >= 3 + max(self.s, 1.0)
        if not out or (self.run and (self.run[0] > self.m) != (dv > 0)):
            self.run = []
        if out:
            self.run.append(level)
        if len(self.run) == 8:
            # Another noise: all that was known before these frames is void.
            self.m, self.s = float(np.mean(sorted(self.run)[:4])), 2.0
            self.run = []
            self.blocks[:] = np.inf
            self.cur = np.min(self.history[-8:], axis=0)
            self.c = 0
            return
        self.m += 0.02 / 0.7 * dv
        self.s += 0.02 / 0.7 * (min(1.25 * abs(dv), 12.0) - self.s)


def noise(seconds, level):
    samples = np.random.default_rng(4).normal(0, 32768 * 10 ** (level / 20), round(16000 * seconds))
    return samples


def call(level, bed):
    """Speech, coughs and beeps at `level` dB over a bed of white noise at `bed` dBFS."""
    names = ["alice_question", "cough", "grunt", "bob_yes", "alice_pause"]
    beep = np.where(np.arange(8000) < 4000, 6000 * np.sin(2 * np.pi * 1000 * np.arange(8000) / 16000), 0)
    quiet = np.zeros(8000)
    sound = np.concatenate([beep, quiet, *(load_speech(FIXTURES / f"{name}.wav", 16000) for name in names)])
    sound = sound * 10 ** (level / 20)
    if bed is not None:
        sound += noise(len(sound) / 16000, bed)
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize(
    ("level", "bed", "preset"),
    [
        (0, None, "default"),
        (0, -45, "default"),
        (-20, -65, "default"),
        (-20, -65, "sensitive"),
        (0, -45, "noisy"),
    ],
)
def test_detector_equals_the_transcription(level, bed, preset):
    reference = ReferenceDetector(PRESETS[preset].bias, PRESETS[preset].start)
    detector = Detector(preset)
    in_speech = False
    states = set()
    samples = call(level, bed)
    for start in range(0, len(samples) - 319, 320):
        frame = samples[start : start + 320]
        decision = detector.feed(frame, in_speech)
        expected = reference.feed(frame)
        assert decision.score == pytest.approx(expected.score, abs=1e-3)
        assert decision.voiced == (expected.score > 0)
        assert decision.tail == expected.tail
        assert decision.level == pytest.approx(expected.level, abs=1e-3)
        assert decision.noise == pytest.approx(expected.noise, abs=1e-3)
        in_speech = expected.state != 0
        states.add(expected.state)
    assert states == {0, 1, 2}
