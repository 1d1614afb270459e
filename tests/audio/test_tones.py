"""Tones of machines open no turn and end no reply; voices do, sung ones among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from fishjam_agents.audio.vad import Detector, default_detector
from fishjam_agents.turns.machine import Confirmed, Suspected, TurnEvent, TurnMachine, TurnStarted

RATE = 16000
SECONDS = 4.0
AT = np.arange(round(SECONDS * RATE)) / RATE


@pytest.fixture(autouse=True, params=[Detector, default_detector], ids=["python", "compiled"])
def either_detector(request, monkeypatch):
    """Whatever is said here of the detector holds for both."""
    monkeypatch.setitem(globals(), "Detector", request.param)


def lines(*frequencies: float) -> np.ndarray:
    return sum((np.sin(2 * np.pi * f * AT + i) for i, f in enumerate(frequencies)), np.zeros(len(AT)))


def cadence(wave: np.ndarray, *on_off: float) -> np.ndarray:
    """Switch the wave on and off, for so many seconds in turn."""
    period = sum(on_off)
    edges = np.cumsum(on_off)
    return wave * (np.searchsorted(edges, AT % period, side="right") % 2 == 0)


def modulated(frequency: float, by: float) -> np.ndarray:
    return (1 + np.cos(2 * np.pi * by * AT)) * np.sin(2 * np.pi * frequency * AT)


def in_turn(sounds: Sequence[Sequence[float]], each: float, gap: float) -> np.ndarray:
    pieces = [np.concatenate((lines(*s)[: round(each * RATE)], np.zeros(round(gap * RATE)))) for s in sounds]
    return np.concatenate(pieces)


def hum(base: float, fall: float) -> np.ndarray:
    rng = np.random.default_rng(3)
    return sum(
        (rng.uniform(0.4, 1) / n**fall * np.sin(2 * np.pi * n * base * AT + 6 * rng.random()))
        for n in range(1, 16)
    )


def glide(first: float, last: float) -> np.ndarray:
    return np.sin(2 * np.pi * np.cumsum(np.linspace(first, last, len(AT))) / RATE)


DTMF = [
    (697, 1209),
    (770, 1336),
    (852, 1477),
    (941, 1633),
    (697, 1477),
    (941, 1336),
    (770, 1209),
    (852, 1336),
]
PURE = {
    "dial tone, North America": lines(350, 440),
    "dial tone, United Kingdom": lines(350, 450),
    "dial tone, France": lines(330, 440),
    "dial tone, Europe": lines(425),
    "dial tone, Japan": lines(400),
    "stutter dial tone": cadence(lines(350, 440), 0.1, 0.1),
    "busy, North America": cadence(lines(480, 620), 0.5, 0.5),
    "reorder": cadence(lines(480, 620), 0.25, 0.25),
    "busy, Europe": cadence(lines(425), 0.5, 0.5),
    "congestion": cadence(lines(425), 0.25, 0.25),
    "busy, United Kingdom": cadence(lines(400), 0.375, 0.375),
    "ringback, North America": cadence(lines(440, 480), 2, 2),
    "ringback, United Kingdom": cadence(lines(400, 450), 0.4, 0.2, 0.4, 2),
    "ringback, Europe": cadence(lines(425), 1, 3),
    "DTMF": in_turn(DTMF, 0.1, 0.1),
    "DTMF, short": in_turn(DTMF * 3, 0.06, 0.06),
    "DTMF, held": lines(770, 1336),
    "fax CNG": cadence(lines(1100), 0.5, 3),
    "fax CED": lines(2100),
    "special information": in_turn([(950,), (1400,), (1800,)] * 3, 0.33, 0.0),
    "hold beep": cadence(lines(440), 0.2, 1),
    "record beep": cadence(lines(1400), 0.5, 1),
    "kettle": glide(900, 2600),
}
OTHER = {
    "dial tone, Australia": lines(413, 438),
    "ringback, Japan": cadence(modulated(400, 16), 1, 2),
    "ringback, India": cadence(modulated(400, 25), 0.4, 0.2, 0.4, 2),
    "ringback, Australia": cadence(lines(400, 425, 450), 0.4, 0.2, 0.4, 2),
    "kettle over rumble": glide(900, 2600) + lines(20),
    "low beep": cadence(lines(262), 0.3, 1),
    "square beep": cadence(np.sign(lines(440)), 0.3, 0.7),
    "hum 100": hum(100, 1.0),
    "hum 120": hum(120, 1.0),
    "buzz 100": hum(100, 0.3),
    "buzz 120": hum(120, 0.3),
}


def hear(
    wave: np.ndarray, level: float, snr: float | None, late: int, *, bot_speaks: bool
) -> list[TurnEvent]:
    loud = wave[np.abs(wave) > 0.01 * np.abs(wave).max()]
    gain = 32768 * 10 ** (level / 20) / np.sqrt(np.mean(loud * loud))
    samples = np.concatenate((np.zeros(RATE + late), gain * wave, np.zeros(RATE)))
    if snr is not None:
        noise = np.random.default_rng(5).standard_normal(len(samples))
        samples += noise * 32768 * 10 ** ((level - snr) / 20)
    heard = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    detector, machine = Detector(), TurnMachine()
    found: list[TurnEvent] = []
    for number, first in enumerate(range(0, len(heard) - 319, 320)):
        decision = detector.feed(heard[first : first + 320], machine.in_speech, machine.accumulating)
        found += machine.feed(decision, 0.02 * (number + 1), bot_speaks)
    return found


@pytest.mark.parametrize("snr", [None, 25])
@pytest.mark.parametrize("name", PURE)
def test_a_tone_of_one_or_two_lines_is_not_even_suspected(name: str, snr: float | None) -> None:
    for level, late in ((-15, 0), (-35, 150)):
        found = hear(PURE[name], level, snr, late, bot_speaks=True)
        # Digits that fall on the edges of frames may be suspected once.
        assert sum(isinstance(event, Suspected) for event in found) <= ("short" in name)


@pytest.mark.parametrize("snr", [None, 20])
@pytest.mark.parametrize("name", [*PURE, *OTHER])
def test_no_tone_opens_a_turn_or_ends_a_reply(name: str, snr: float | None) -> None:
    wave = {**PURE, **OTHER}[name]
    for level, late in ((-15, 0), (-35, 150)):
        for bot_speaks in (False, True):
            found = hear(wave, level, snr, late, bot_speaks=bot_speaks)
            assert not any(isinstance(event, (Confirmed, TurnStarted)) for event in found)


FORMANTS = {
    "a": ((730, 90), (1090, 110), (2440, 170)),
    "o": ((570, 80), (840, 90), (2410, 170)),
    "u": ((300, 60), (870, 80), (2240, 170)),
    "i": ((270, 60), (2290, 100), (3010, 170)),
}


def sung(pitch: float, vowel: str, vibrato: float = 0.02) -> np.ndarray:
    """A second of a vowel through resonances, at a pitch that moves 5.5 times a second."""
    at = AT[:RATE]
    phase = 2 * np.pi * np.cumsum(pitch * (1 + vibrato * np.sin(2 * np.pi * 5.5 * at))) / RATE
    wave = np.zeros(len(at))
    for n in range(1, int(7000 / pitch) + 1):
        f = n * pitch
        gains = [((1 - (f / c) ** 2) ** 2 + (f * width / c**2) ** 2) ** -0.5 for c, width in FORMANTS[vowel]]
        wave += n**-1.2 * np.prod(gains) * np.sin(n * phase + n * n)
    return wave * np.minimum(1, np.minimum(at / 0.05, (1 - at) / 0.08))


@pytest.mark.parametrize("vowel", FORMANTS)
@pytest.mark.parametrize("pitch", [85, 110, 130, 180, 220, 300, 400])
def test_a_sung_vowel_is_a_voice_however_low_or_high(pitch: float, vowel: str) -> None:
    found = hear(sung(pitch, vowel), -25, 25, 0, bot_speaks=False)
    assert any(isinstance(event, TurnStarted) for event in found)


def test_a_beep_in_a_voice_does_not_hide_it() -> None:
    wave = np.concatenate((lines(1000)[: RATE // 2], sung(200, "a")))
    found = hear(wave, -25, None, 0, bot_speaks=False)
    (started,) = [event for event in found if isinstance(event, TurnStarted)]
    assert 1.45 < started.at < 1.75
