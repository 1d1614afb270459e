"""Cost per voice of a mix, beside one microphone for each voice: packets in, turn events out."""

from __future__ import annotations

import time
from collections.abc import Callable

from bench import sounds
from bench.table import Row, spread
from fishjam_agents.audio.formats import FRAME_SECONDS, AudioFormat
from fishjam_agents.hearing.microphone import Deliver, Microphone
from fishjam_agents.hearing.mixer import Mixer
from fishjam_agents.turns.settings import TurnSettings

_FORMAT = AudioFormat(sounds.RATE, 1)
_VOICES = (1, 2, 4, 8)


def _microphone(peer: str | None, track: str, deliver: Deliver) -> Microphone:
    return Microphone(peer, track, _FORMAT, TurnSettings(), [], deliver, lambda *_: None)


def _ignore(*_: object) -> None:
    """Nobody listens."""


def _mixed(count: int) -> Callable[[bytes, bytes, float], None]:
    mixer = Mixer(_FORMAT, _microphone, _ignore)
    speaker, *others = [mixer.add(f"peer-{n}", f"mic-{n}") for n in range(count)]

    def step(speech: bytes, quiet: bytes, now: float) -> None:
        speaker.feed(speech, now, False)
        for other in others:
            other.feed(quiet, now, False)
        mixer.tick(now, False)

    return step


def _apart(count: int) -> Callable[[bytes, bytes, float], None]:
    speaker, *others = [_microphone(f"peer-{n}", f"mic-{n}", _ignore) for n in range(count)]

    def step(speech: bytes, quiet: bytes, now: float) -> None:
        speaker.feed(speech, now, False)
        for other in others:
            other.feed(quiet, now, False)

    return step


def _us(make: Callable[[int], Callable[[bytes, bytes, float], None]], count: int, times: int) -> list[float]:
    """Microseconds of CPU for 20 ms of the whole room, once per repetition."""
    speech, quiet = sounds.conversation(), sounds.quiet()
    measured = []
    for _ in range(times):
        step = make(count)
        begun = time.process_time()
        for n, frame in enumerate(speech):
            step(frame, quiet[n % len(quiet)], (n + 1) * FRAME_SECONDS)
        measured.append(1e6 * (time.process_time() - begun) / len(speech))
    return measured


async def measure(quick: bool) -> list[Row]:
    """20 ms of rooms in which one speaks and the others are quiet."""
    times = 1 if quick else 7
    return [
        Row(
            f"20 ms of a room with {count} voice{'s' if count > 1 else ''}, mixed",
            "",
            spread(_us(_mixed, count, times), 0, "us"),
            f"a microphone each {spread(_us(_apart, count, times), 0, 'us')}",
        )
        for count in _VOICES
    ]
