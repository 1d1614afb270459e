"""Object of the measurements: a voice detector and the turn machine, joined as in a microphone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fishjam_agents.audio.detection import Detection
from fishjam_agents.audio.detectors import DetectorName
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.second_opinion import NetworkName
from fishjam_agents.audio.vad import FRAME_SAMPLES, PRESETS, SAMPLE_RATE, PresetName
from fishjam_agents.audio.vad_plain import PlainDetector
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.turns.machine import (
    Confirmed,
    Decision,
    SpeechEnded,
    TurnEnded,
    TurnMachine,
    TurnStarted,
    Withdrawn,
)
from fishjam_agents.turns.settings import TurnSettings

RATE = SAMPLE_RATE
FRAME = FRAME_SAMPLES / SAMPLE_RATE


class FrameDetector(Protocol):
    """Interface of a voice detector that can be measured; `audio.vad.Detector` is one."""

    def feed(
        self, frame: Samples, in_speech: bool, accumulating: bool, playing: None, barge_in: bool, /
    ) -> Decision:
        """Judge the next 20 ms: int16 mono at 16 kHz, shape (320,)."""
        ...


@dataclass(frozen=True, slots=True)
class Vad:
    """A voice detector that can be measured.

    Attributes:
        name: As `--vad` names it.
        make: A fresh detector for one microphone.
        start: Sum of scores at which the turn machine suspects speech.
        turns: Settings that choose it for a whole bot.
        hearing: The others of them.
    """

    name: str
    make: Callable[[], FrameDetector]
    start: float
    turns: TurnSettings
    hearing: HearingSettings = HearingSettings()  # noqa: RUF009 - frozen


def _preset(name: PresetName) -> Vad:
    return Vad(name, lambda: Detection(preset=name), PRESETS[name].start, TurnSettings(preset=name))


def _other(name: DetectorName) -> Vad:
    settings = HearingSettings(vad=name)
    return Vad(name, lambda: Detection(name), PlainDetector.start, TurnSettings(), settings)


def _corrected(label: str, second_opinion: NetworkName | None, near_voice: bool) -> Vad:
    return Vad(
        label,
        lambda: Detection(second_opinion=second_opinion, near_voice=near_voice),
        PRESETS["default"].start,
        TurnSettings(),
        HearingSettings(second_opinion=second_opinion, near_voice=near_voice),
    )


VADS: dict[str, Vad] = {
    **{name: _preset(name) for name in PRESETS},
    **{name: _other(name) for name in ("silero", "webrtc", "energy")},
    "default+silero": _corrected("default+silero", "silero", False),
    "default+near": _corrected("default+near", None, True),
    "default+silero+near": _corrected("default+silero+near", "silero", True),
}
"""Choices of `--vad`: the presets of the default detector, and the others."""


@dataclass(slots=True)
class Span:
    """A stretch that was taken for speech. Seconds from the beginning of the stream.

    Attributes:
        onset: Where the turn machine says that it began.
        suspected: When that was decided.
        confirmed: When it became a barge-in, or a turn; None when it never did.
        ended: When it was decided that it is over; None when the stream ended first.
        begun: Where the audio of its turn begins, pre-roll aside: at the onset, or at what led to it softly.
    """

    onset: float
    suspected: float
    confirmed: float | None = None
    ended: float | None = None
    begun: float = 0.0

    @property
    def until(self) -> float:
        """Time at which it was over; infinity for one that outlasts its stream."""
        return float("inf") if self.ended is None else self.ended


def listen(vad: Vad, samples: Samples, *, bot_speaks: bool) -> list[Span]:
    """Feed a whole recording to fresh ears.

    Args:
        vad: The detector.
        samples: int16 mono at 16 kHz, shape (n,); an incomplete last frame is left out.
        bot_speaks: Whether the bot has a reply under way all the time: then sounds are suspected and
            confirmed as barge-ins, else they become turns.

    Returns:
        What was taken for speech, in order. A decision is dated at the end of the frame that brought it.
    """
    detector = vad.make()
    machine = TurnMachine(vad.turns, vad.start)
    spans: list[Span] = []
    for number in range(len(samples) // FRAME_SAMPLES):
        frame = samples[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES]
        at = (number + 1) * FRAME
        decision = detector.feed(frame, machine.in_speech, True, None, bot_speaks)
        for event in machine.feed(decision, at, bot_speaks):
            if isinstance(event, (Confirmed, TurnStarted)):
                if spans[-1].confirmed is None:
                    spans[-1].confirmed = at
                    spans[-1].begun = machine.beginning(event.at, getattr(detector, "lead", 0.0))
            elif isinstance(event, (TurnEnded, Withdrawn)):
                spans[-1].ended = at
            elif isinstance(event, SpeechEnded):
                if not machine.announced:
                    spans[-1].ended = at
            elif not spans or spans[-1].ended is not None:
                spans.append(Span(event.at, at))
    return spans
