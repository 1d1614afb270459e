"""Onset: whoever speaks soon after a microphone opens loses no words to a noise it has not learned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from audio_fixtures.corpus import Utterance, sentences
from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.samples import Samples
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.hearing.stages import Stage
from fishjam_agents.turns.machine import SpeechStarted, TurnEvent, TurnStarted
from quality.bench import SPEECH_LEVELS, Bench
from quality.figures import Figure, Part, Table, per_cent, share
from quality.microphone import FRAME, RATE, Vad
from quality.sounds import NOISES, Rng, at_level, to_samples
from quality.stream import DecisionLog, Label

_SNRS = (20, 10, 5)
_AUDIBLE = 10
_WANTED = 2.0
_MORE_WANTED = 1.0
_FALSE_WANTED = 1.0
_LOSS = 0.2
"""Seconds of an utterance that may be missing from what is handed over of it."""
_ONSETS = tuple(round(0.1 * step, 1) for step in range(1, 31))
_LATE_ONSETS = tuple(5.0 + 0.1 * step for step in range(6))
_RESTART_ONSETS = (0.1, 0.8, 1.6)
_BEFORE = 3.0
"""Seconds of another noise before a restart."""
_STEPS = (-20.0, 0.0, 20.0)
"""dB by which that noise was louder."""
_AWAY = 2.0


class _Call:
    """One microphone: onsets of its turns, and of its speech with when that was decided."""

    def __init__(self, vad: Vad) -> None:
        turns, hearing = vad.turns, vad.hearing
        self.turns: list[float] = []
        self.speech: list[tuple[float, float]] = []
        self.pre_roll = turns.pre_roll
        self.now = 0.0
        self.microphone = Microphone(
            *("caller", "mic", AudioFormat(RATE), turns, [], self._deliver, self._failed), vad=hearing.vad
        )

    def _deliver(self, microphone: Microphone, frame: Samples | None, events: Sequence[TurnEvent]) -> None:
        self.turns += [event.at for event in events if isinstance(event, TurnStarted)]
        self.speech += [(self.now, event.at) for event in events if isinstance(event, SpeechStarted)]

    def _failed(self, microphone: Microphone, stage: Stage, error: Exception) -> None:
        raise error

    def hear(self, samples: Samples) -> None:
        size = round(FRAME * RATE)
        for first in range(0, len(samples) - size + 1, size):
            self.now += FRAME
            self.microphone.feed(samples[first : first + size].tobytes(), self.now, False)

    def wait(self, seconds: float) -> None:
        """Nothing is sent."""
        for _ in range(round(seconds / FRAME)):
            self.now += FRAME
            self.microphone.silence(self.now)


def _mute_with_silence(call: _Call) -> None:
    call.hear(np.zeros(round(_AWAY * RATE), np.int16))


def _mute(call: _Call) -> None:
    call.wait(_AWAY)


def _another_track(call: _Call) -> None:
    call.wait(0.2)
    call.microphone.change_track("another")


def _outage(call: _Call) -> None:
    call.wait(_AWAY)
    call.microphone.end("outage")


_RESTARTS: dict[str, Callable[[_Call], None]] = {
    "mute that sends silence": _mute_with_silence,
    "mute that sends nothing": _mute,
    "another track": _another_track,
    "outage": _outage,
}


class _Count:
    """Utterances and what was lost of them."""

    def __init__(self) -> None:
        self.tried = 0
        self.lost = 0
        self.false = 0

    def add(self, missing: float, false: int) -> None:
        self.tried += 1
        self.false += false
        self.lost += missing > _LOSS

    def merge(self, other: _Count) -> None:
        self.tried += other.tried
        self.lost += other.lost
        self.false += other.false

    @property
    def share(self) -> float:
        return share(self.lost, self.tried)

    def told(self) -> str:
        return per_cent(self.lost, self.tried)


def measure(bench: Bench) -> Part:
    """Every onset in every noise, at the start of a call and after every restart of a microphone."""
    early, late, again = {}, {}, {}
    for name in NOISES:
        for snr in _SNRS:
            early[name, snr] = _starts(bench, name, snr, _some(bench, _ONSETS))
            late[name, snr] = _starts(bench, name, snr, _some(bench, _LATE_ONSETS))
            for restart in _RESTARTS:
                again[restart, name, snr] = _restarts(bench, restart, name, snr)
    rows = [
        (
            *(name, str(snr), early[name, snr].told(), late[name, snr].told()),
            *(f"{again[restart, name, snr].share:.1f} %" for restart in _RESTARTS),
        )
        for name in NOISES
        for snr in _SNRS
    ]
    columns = ("noise", "SNR, dB", "begun after 0.1 to 3 s", "after 5 s", *(f"after {r}" for r in _RESTARTS))
    return Part(
        _figures(early, late, again), [Table("Utterances that lose over 0.2 s", columns, rows, _NOTE)]
    )


_NOTE = (
    "Sentences. Lost: what lies before the pre-roll of the turn; all of it where there is no turn. Before a "
    "restart, 3 s of noise 20 dB louder, as loud, or 20 dB quieter, then 0.1, 0.8 or 1.6 s of the other."
)


def _figures(
    early: dict[tuple[str, int], _Count],
    late: dict[tuple[str, int], _Count],
    again: dict[tuple[str, str, int], _Count],
) -> list[Figure]:
    figures = []
    for where, counts in (
        ("0.1 to 3 s after a call began", early),
        ("0.1 to 1.6 s after a restart", {(f"{a} {b}", snr): c for (a, b, snr), c in again.items()}),
    ):
        audible = _pooled(count for (_, snr), count in counts.items() if snr >= _AUDIBLE)
        soft = _pooled(count for (_, snr), count in counts.items() if snr < _AUDIBLE)
        known = _pooled(count for (_, snr), count in late.items() if snr < _AUDIBLE)
        figures += [
            Figure(
                f"utterances begun {where} that lose over 0.2 s, SNR 10 dB and better",
                f"under {_WANTED:g} %",
                audible.told(),
                audible.share < _WANTED if audible.tried else None,
            ),
            Figure(
                "the same, SNR 5 dB",
                f"at most {_MORE_WANTED:g} point more than after 5 s",
                f"{soft.told()}; after 5 s {known.told()}",
                soft.share <= known.share + _MORE_WANTED if known.tried else None,
            ),
        ]
    noise = _pooled(early.values())
    figures.append(
        Figure(
            "false speech in noise before it, while the call is young",
            f"under {_FALSE_WANTED:g} % of calls",
            f"{per_cent(noise.false, noise.tried)} calls",
            share(noise.false, noise.tried) < _FALSE_WANTED if noise.tried else None,
        )
    )
    return figures


def _pooled(counts: Iterable[_Count]) -> _Count:
    pooled = _Count()
    for count in counts:
        pooled.merge(count)
    return pooled


def _some(bench: Bench, onsets: Sequence[float]) -> Sequence[float]:
    return onsets[:: bench.amount(1, 10)]


def _starts(bench: Bench, name: str, snr: int, onsets: Sequence[float]) -> _Count:
    """The same sentences, each begun at every one of the onsets."""
    count = _Count()
    for onset in onsets:
        # The same voices and levels for every onset.
        rng = bench.rng("onset", name, snr)
        for utterance in _said(bench, rng):
            heard, label = _heard(rng, name, snr, utterance, rng.uniform(*SPEECH_LEVELS), onset)
            call = _Call(bench.vad)
            call.hear(heard)
            _judge(call, label, 0.0, count)
    return count


def _restarts(bench: Bench, restart: str, name: str, snr: int) -> _Count:
    """The same sentences as at the start of a call, after another noise and a restart."""
    count = _Count()
    other = bench.rng("before", restart, name, snr)
    for number, onset in enumerate(_some(bench, _RESTART_ONSETS)):
        rng = bench.rng("onset", name, snr)
        for place, utterance in enumerate(_said(bench, rng)):
            level = rng.uniform(*SPEECH_LEVELS)
            heard, label = _heard(rng, name, snr, utterance, level, onset)
            before = NOISES[str(other.choice(list(NOISES)))](other, _BEFORE)
            call = _Call(bench.vad)
            call.hear(to_samples(at_level(before, level - snr + _STEPS[(number + place) % len(_STEPS)])))
            _RESTARTS[restart](call)
            begun = call.now
            call.hear(heard)
            _judge(call, label, begun, count)
    return count


def _said(bench: Bench, rng: Rng) -> list[Utterance]:
    pool = sentences(bench.seed, bench.amount(48, 8))
    return [pool[index] for index in rng.permutation(len(pool))[: bench.amount(6, 1)]]


def _heard(
    rng: Rng, name: str, snr: int, utterance: Utterance, level: float, onset: float
) -> tuple[Samples, Label]:
    tape = DecisionLog()
    tape.wait(onset)
    tape.say(utterance, level)
    tape.wait(0.3)
    stream = tape.stream(at_level(NOISES[name](rng, tape.seconds + 0.1), level - snr))
    return stream.samples, stream.labels[0]


def _judge(call: _Call, label: Label, begun: float, count: _Count) -> None:
    start = begun + label.start
    turns = [at for at in call.turns if at >= begun]
    false = sum(decided < start for decided, _ in call.speech if decided > begun)
    missing = turns[0] - call.pre_roll - start if turns else label.seconds
    count.add(missing, false)
