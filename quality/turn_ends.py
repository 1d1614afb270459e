"""Ends of turns under a policy: turn machines that are fed what one microphone heard, as a replay feeds them.

Voice detection hears each stream once; policies differ in what they make of it. Predictions come as late as
on a machine, and words if wanted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.audio.log_mel import SAMPLES
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.vad import FRAME_SAMPLES, SAMPLE_RATE
from fishjam_agents.turns.decision import Decision
from fishjam_agents.turns.endpointing import EndOfTurn
from fishjam_agents.turns.machine import SpeechEnded, TurnEnded, TurnMachine, TurnStarted
from fishjam_agents.turns.settings import TurnSettings
from quality.microphone import VADS
from quality.stream import Stream

_PREDICTION = 0.04
"""Seconds from the question to the answer of the model: docs/turn-taking.md, some load included."""
_WORDS = 0.1
"""Seconds from a pause of 0.2 s to the words: what a small recogniser needs."""

Recogniser = Callable[[float], str]
"""Words of the turn that pauses at a time of the stream; "" for none."""


@dataclass(frozen=True, slots=True)
class End:
    """End of a turn. Seconds of the stream.

    Attributes:
        at: When it was decided.
        turn: The turn.
    """

    at: float
    turn: TurnEnded


@lru_cache(maxsize=64)
def _heard(stream: Stream, vad: str) -> Sequence[Decision]:
    """Decisions of voice detection on each frame, with turns that end as by default."""
    detector, machine = VADS[vad].make(), TurnMachine(start=VADS[vad].start)
    decisions = []
    for number in range(len(stream.samples) // FRAME_SAMPLES):
        frame = stream.samples[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES]
        decision = detector.feed(frame, machine.in_speech, machine.accumulating, None, False)
        machine.feed(decision, (number + 1) * FRAME_SECONDS)
        decisions.append(decision)
    return decisions


_predictions: dict[tuple[EndOfTurn, bytes], float | None] = {}
"""By policy and digest: policies of a table are asked about the same sounds."""


def _predicted(policy: EndOfTurn, sound: Samples) -> float | None:
    key = policy, hashlib.blake2b(np.ascontiguousarray(sound)).digest()
    if key not in _predictions:
        _predictions[key] = policy.predict(sound)
    return _predictions[key]


class _Hearing:
    """A turn machine and what a call has around it."""

    def __init__(
        self, policy: EndOfTurn, samples: Samples, recogniser: Recogniser | None, start: float
    ) -> None:
        self.ends: list[End] = []
        self._policy = policy
        self._samples = samples
        self._recogniser = recogniser
        self._settings = TurnSettings(end_of_turn=policy)
        self._machine = TurnMachine(self._settings, start)
        self._due: list[tuple[float, Callable[[], object]]] = []
        self._heard_from = 0.0

    def feed(self, decision: Decision, at: float) -> None:
        """Take the decision on the frame that ends at `at`."""
        while self._due and self._due[0][0] <= at + 1e-9:
            self._due.pop(0)[1]()
        for event in self._machine.feed(decision, at):
            if isinstance(event, TurnStarted):
                self._heard_from = event.at - self._settings.pre_roll
            elif isinstance(event, TurnEnded):
                self.ends.append(End(at, event))
            elif isinstance(event, SpeechEnded) and self._machine.paused_since is not None:
                self._paused(self._machine.paused_since, at)

    def _paused(self, pause: float, at: float) -> None:
        if self._policy.hears:
            start = max(round(self._heard_from * SAMPLE_RATE), 0)
            sound = self._samples[start : round(at * SAMPLE_RATE)][-SAMPLES:]
            answer = _predicted(self._asked, sound)
            if answer is not None:
                told = partial(self._machine.predicted, pause, answer)
                self._due.append((at + _PREDICTION, told))
        if self._recogniser is not None and (words := self._recogniser(pause)):
            self._due.append((at + _WORDS, partial(self._understood, pause, words)))

    @property
    def _asked(self) -> EndOfTurn:
        """The policy, or the default one of its kind: presets ask the same model."""
        return _default(type(self._policy))

    def _understood(self, pause: float, words: str) -> None:
        self._machine.transcribed(pause, words)


@lru_cache(maxsize=8)
def _default(kind: type[EndOfTurn]) -> EndOfTurn:
    return kind()


def turn_ends(
    policy: EndOfTurn, stream: Stream, recogniser: Recogniser | None = None, vad: str = "default"
) -> list[End]:
    """Hear a stream and return the ends of its turns.

    Args:
        policy: Ends them.
        stream: What is heard.
        recogniser: Gives words; None for no words.
        vad: Voice detection, of `microphone.VADS`.
    """
    hearing = _Hearing(policy, stream.samples, recogniser, VADS[vad].start)
    for number, decision in enumerate(_heard(stream, vad)):
        hearing.feed(decision, (number + 1) * FRAME_SECONDS)
    return hearing.ends
