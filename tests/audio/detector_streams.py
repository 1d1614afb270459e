"""Streams on which detectors are compared, and what a detector is told beside them."""

from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from fishjam_agents.audio.echo import EchoGuard, GuardedFrame
from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.vad import FRAME_SAMPLES
from fishjam_agents.audio.wav import load_speech

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
VOICES = [load_speech(FIXTURES / f"{name}.wav", 16000) for name in ("alice_long", "bob_numbers", "alice_yes")]
SECONDS = 2.5
KINDS = ("voice", "tone", "noise", "silence", "clipped", "hum")


def sound(kind, level, seed):
    """Some seconds of a kind of sound, at a level, over a little noise."""
    random = np.random.default_rng(seed)
    size = round(16000 * SECONDS)
    peak = 32768 * 10 ** (level / 20)
    at = np.arange(size) / 16000
    match kind:
        case "voice":
            voice = VOICES[seed % len(VOICES)]
            wave = np.roll(np.resize(voice, size), int(random.integers(size))) * (peak / 8000)
        case "tone":
            hz = random.choice([350.0, 440.0, 697.0, 1209.0, 2100.0], 2)
            wave = peak * (np.sin(2 * np.pi * hz[0] * at) + np.sin(2 * np.pi * hz[1] * at)) / 2
            wave *= np.floor(at * 2) % 2
        case "noise":
            wave = random.normal(0, peak / 4, size) * (1 + 9 * (np.floor(at) % 2))
        case "silence":
            return np.zeros(size, np.int16)
        case "clipped":
            wave = 4 * 32768 * np.sign(np.sin(2 * np.pi * 110 * at))
        case "hum":
            wave = peak * np.sin(2 * np.pi * 50 * at)
    wave = wave + random.normal(0, 3, size)
    return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)


streams = st.builds(
    sound, st.sampled_from(KINDS), st.sampled_from([-50.0, -30.0, -12.0, 0.0]), st.integers(0, 999)
)


class Sum:
    """As much of a turn machine as the detector is told of."""

    def __init__(self, start):
        self.start, self.sum, self.quiet = start, 0.0, 0

    def told(self):
        """Give two of `Detector.feed`'s arguments: `in_speech` and `accumulating`."""
        return self.quiet > 0, self.sum > 0 and not self.quiet

    def take(self, decision):
        """Add its score."""
        self.sum = min(max(self.sum + decision.score, 0.0), self.start)
        if self.sum >= self.start or decision.voiced:
            self.quiet = 15 if self.sum >= self.start else self.quiet
        else:
            self.quiet = max(self.quiet - 1, 0)


class Loudspeaker:
    """The bot's voice, and its echo in a microphone; two guards that are told the same."""

    def __init__(self, bot, delay, loudness):
        self.bot, self.delay, self.loudness = bot, delay, loudness
        self.reference = EchoReference(16000)
        self.guards = EchoGuard(), EchoGuard()
        self.sent = 0

    def play(self, frame, at, number, in_speech):
        """The frame with the echo in it, and what tells either detector of it."""
        while self.sent < at + FRAME_SAMPLES:
            chunk = self.bot[self.sent : self.sent + FRAME_SAMPLES]
            self.sent += FRAME_SAMPLES
            self.reference.sent(chunk, self.sent / 16000)
        start = at - self.delay
        if start >= 0:
            echo = self.bot[start : start + FRAME_SAMPLES] * self.loudness
            frame = np.clip(frame + echo, -32768, 32767).astype(np.int16)
        skips = [guard.take_skip(in_speech) for guard in self.guards]
        assert skips[0] == skips[1]
        if number % 97 == 96:
            for guard in self.guards:
                guard.suspect()
        window = None if skips[0] else self.reference.window((at + FRAME_SAMPLES) / 16000)
        return frame, [
            None if window is None else GuardedFrame(guard, window.copy()) for guard in self.guards
        ]


loudspeakers = st.none() | st.builds(
    lambda kind, seed, frames, loudness: Loudspeaker(sound(kind, -18.0, seed), frames * 160, loudness),
    st.sampled_from(["voice", "voice", "noise", "tone"]),
    st.integers(0, 99),
    st.integers(4, 40),
    st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
