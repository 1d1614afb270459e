"""`python -m quality.cost`: what voice detection costs, CPU of the whole process per 20 ms frame."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from statistics import median

import numpy as np

from fishjam_agents.audio.detectors import VoiceDetector, make_detector
from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.near_voice import NearVoice
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.second_opinion import SecondOpinion, make_network
from fishjam_agents.audio.vad import FRAME_SAMPLES, SAMPLE_RATE, Decision
from fishjam_agents.errors import MissingExtraError
from fishjam_agents.hearing.echo_canceller import EchoCanceller
from fishjam_agents.hearing.loudspeaker import Loudspeaker
from fishjam_agents.hearing.ring import Ring
from quality.figures import markdown
from quality.microphone import VADS

_FRAMES = 1500
_ROUNDS = 5
_WARM = 100
_NOBODY = Decision(-2.0, False, False, -60.0, -60.0, 0.0)


def speech_like(seconds: float, level: float) -> Samples:
    """Noise in syllables at `level` dBFS over quieter noise: work for every part of a detector."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(round(seconds * SAMPLE_RATE))
    syllables = np.repeat(rng.choice([0.03, 1.0], len(noise) // 3200 + 1), 3200)[: len(noise)]
    samples: Samples = (noise * syllables * 32768 * 10 ** (level / 20)).astype(np.int16)
    return samples


def cost(detector: VoiceDetector, reference: EchoReference | None = None) -> list[float]:
    """Microseconds per frame in each of some rounds; with a reference, while the bot speaks."""
    heard = speech_like(_FRAMES * 0.02, -30.0)
    playing = np.roll(heard, -8 * FRAME_SAMPLES)
    loudspeaker = None if reference is None else Loudspeaker(reference, SAMPLE_RATE)
    ring = Ring()
    at = 0.0

    def run(frames: Iterator[Samples]) -> float:
        nonlocal at
        begun = time.process_time()
        count = 0
        for frame in frames:
            at += 0.02
            source = None
            if loudspeaker is not None and reference is not None:
                reference.sent(playing[count * FRAME_SAMPLES : (count + 1) * FRAME_SAMPLES], at)
                source = loudspeaker.playing(at, False, ring)
            detector.feed(frame, False, False, source)
            count += 1
        return 1e6 * (time.process_time() - begun) / count

    frames = [heard[i : i + FRAME_SAMPLES] for i in range(0, len(heard), FRAME_SAMPLES)]
    run(iter(frames[:_WARM]))
    return [run(iter(frames)) for _ in range(_ROUNDS)]


def idle_guard() -> float:
    """Microseconds per frame that the echo guard costs a microphone while the bot is silent."""
    reference = EchoReference(SAMPLE_RATE)
    begun = time.process_time()
    for frame in range(100 * _FRAMES):
        reference.window(0.02 * frame)
    return 1e6 * (time.process_time() - begun) / (100 * _FRAMES)


def canceller(speaks: bool) -> list[float]:
    """Microseconds per frame that the echo canceller adds, in each of some rounds."""
    heard = speech_like(_FRAMES * 0.02, -30.0)
    reference = EchoReference(SAMPLE_RATE)
    cancel = EchoCanceller(reference, SAMPLE_RATE)
    at = 0.0
    rounds = []
    for _ in range(_ROUNDS):
        begun = time.process_time()
        for begin in range(0, len(heard), FRAME_SAMPLES):
            at += 0.02
            frame = heard[begin : begin + FRAME_SAMPLES]
            if speaks:
                reference.sent(frame, at + 0.02)
            cancel.clean(frame, at)
        rounds.append(1e6 * (time.process_time() - begun) / _FRAMES)
    return rounds


def second_opinion(awake: bool) -> list[float]:
    """Microseconds per frame that a second opinion adds, in each of some rounds."""
    heard = speech_like(_FRAMES * 0.02, -30.0)
    second = SecondOpinion(make_network("silero"))
    decision = Decision(2.0, True, True, -30.0, -60.0, 30.0) if awake else _NOBODY
    while not awake and second.awake:
        second.judge(heard[:FRAME_SAMPLES], decision, False, False, False)
    rounds = []
    for _ in range(_ROUNDS):
        begun = time.process_time()
        for first in range(0, len(heard), FRAME_SAMPLES):
            second.judge(heard[first : first + FRAME_SAMPLES], decision, awake, awake, False)
        rounds.append(1e6 * (time.process_time() - begun) / _FRAMES)
    return rounds


def near_voice() -> float:
    """Microseconds per frame that following the near voice adds, half of the frames voiced."""
    near = NearVoice()
    voiced = Decision(2.0, True, True, -30.0, -60.0, 30.0)
    begun = time.process_time()
    for frame in range(10 * _FRAMES):
        near.judge(voiced if frame & 1 else _NOBODY, True, False)
    return 1e6 * (time.process_time() - begun) / (10 * _FRAMES)


def main() -> int:
    """Print the table."""
    rows = []
    names = [vad.name for vad in VADS.values() if vad.hearing.vad != "default"]
    for name in ("default", *names):
        try:
            alone = cost(make_detector(name))
        except MissingExtraError as error:
            sys.stderr.write(f"{error}\n")
            continue
        guarded = cost(make_detector(name), EchoReference(SAMPLE_RATE))
        begun = time.process_time()
        for _ in range(_ROUNDS):
            make_detector(name)
        made = 1e3 * (time.process_time() - begun) / _ROUNDS
        rows.append((name, f"{median(alone):.0f}", f"{median(guarded):.0f}", f"{made:.1f}"))
    rows.append(("the guard alone", f"{idle_guard():.1f}", "", ""))
    try:
        silent, speaks = (f"{median(canceller(each)):.1f}" for each in (False, True))
        rows.append(("the canceller `aec3` alone", silent, speaks, ""))
    except MissingExtraError as error:
        sys.stderr.write(f"{error}\n")
    try:
        asleep, awake = (f"{median(second_opinion(each)):.1f}" for each in (False, True))
        rows.append(("a second opinion that sleeps, that is awake: alone", asleep, awake, ""))
    except MissingExtraError as error:
        sys.stderr.write(f"{error}\n")
    rows.append(("the near voice alone", f"{near_voice():.1f}", "", ""))
    columns = ("detector", "bot silent, us", "bot speaks, with echo guard, us", "one microphone more, ms")
    sys.stdout.write(markdown(columns, rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
