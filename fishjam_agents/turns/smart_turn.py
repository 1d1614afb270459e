"""End of a turn by its meaning: what a network hears in its sound, and the words where there are any.

The rules are those that did best in a simulation over recorded prompts in five languages, whose lengths of
hesitations were invented; docs/quality.md holds what they do in a whole turn machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.smart_turn import find_model, load_model
from fishjam_agents.errors import SettingError
from fishjam_agents.turns.dictation import Pace
from fishjam_agents.turns.endpointing import Adaptive, EndOfTurn, Pause, check_seconds, is_sentence

Preset = Literal["default", "quick", "dictation"]

_LEAST = {"default": 0.4, "quick": 0.3, "dictation": 0.58}
_UNSURE = {"default": 0.3, "quick": 0.3, "dictation": 0.5}
_HALF = 1.0
"""Quiet after what only one of words and sound calls unfinished: complete sentences sound unfinished, too."""
_NOISY = 15.0
"""dB above the noise below which a voice is not to be answered sooner than without a model: noise makes the
network trustful. Speech 12 dB above white or pink noise has about that much on the scale of `Pause.snr`."""


@dataclass(frozen=True, slots=True)
class SmartTurn(EndOfTurn):
    """Sooner after what sounds complete, later after what does not; without a prediction `Adaptive`.

    Of the two that judge, the network and the words, both must call a turn complete to end it soon, and both
    unfinished to wait longest. Words count once the transcript has shown that it has punctuation.

    Attributes:
        model: A file of Smart Turn v3; None for that of the installed `pipecat-ai`.
        preset: `quick` for quick talk, `dictation` for places where digits, letters and names are said.
        sure: Probability above which a turn sounds complete.
        unsure: Probability below which it sounds unfinished; 0.3, or 0.5 for a dictation.
        least: Quiet that ends a complete turn: 0.4 s; `quick` 0.3, `dictation` 0.58 at least.
        most: Quiet that ends any turn.
    """

    uses_words: ClassVar[bool] = True
    hears: ClassVar[bool] = True

    model: Path | None = None
    preset: Preset = "default"
    sure: float = 0.8
    unsure: float | None = None
    least: float | None = None
    most: float = 1.5

    def __post_init__(self) -> None:
        for name, share in (("sure", self.sure), ("unsure", self.unsure)):
            if share is not None and not 0.0 <= share <= 1.0:
                raise SettingError(name, f"must be between 0 and 1, not {share:g}")
        if self.threshold > self.sure:
            raise SettingError(
                "unsure",
                f"is {self.threshold:g}, more than sure with {self.sure:g}",
                "a turn cannot sound complete and unfinished",
                fields=["sure"],
            )
        # The prediction is there a moment after 0.2 s.
        check_seconds("least", self.soonest, 0.25, 10.0)
        check_seconds("most", self.most, max(self.soonest, 0.6), 10.0)

    @property
    def soonest(self) -> float:
        """Quiet that ends a turn that is complete."""
        return _LEAST[self.preset] if self.least is None else self.least

    @property
    def threshold(self) -> float:
        """Probability below which a turn sounds unfinished."""
        return _UNSURE[self.preset] if self.unsure is None else self.unsure

    def verify(self) -> None:
        """See whether the model is there."""
        find_model(self.model)

    def load(self) -> str:
        """Load the model, which all calls share."""
        load_model(self.model)
        return f"Smart Turn: {find_model(self.model)}; about 25 ms of CPU a pause"

    def predict(self, sound: Samples) -> float:
        """Ask the model."""
        return load_model(self.model)(sound)

    def fresh(self) -> EndOfTurn:
        """One that has heard nobody yet."""
        return _OneSpeaker(self.model, self.preset, self.sure, self.unsure, self.least, self.most)

    def silence(self, pause: Pause) -> float:
        """As `Adaptive`: this one has heard nobody (`fresh`)."""
        return Adaptive().silence(pause)

    def __str__(self) -> str:
        return (
            f"smart_turn ({self.preset}), {self.soonest:g} s after a complete turn, "
            f"{self.most:g} s after an unfinished one"
        )


@dataclass(slots=True)
class _Heard:
    """Memory of one speaker: their pace, and whether their words come with punctuation."""

    pace: Pace = field(default_factory=Pace)
    punctuates: bool = False


@dataclass(frozen=True, slots=True)
class _OneSpeaker(SmartTurn):
    heard: _Heard = field(default_factory=_Heard)

    def silence(self, pause: Pause) -> float:
        if self.preset == "dictation":
            self.heard.pace.follow(pause)
        if pause.words and is_sentence(pause.words):
            self.heard.punctuates = True
        return self._decide(pause)[0]

    def rule(self, pause: Pause) -> str:
        return self._decide(pause)[1]

    def _decide(self, pause: Pause) -> tuple[float, str]:
        usual = Adaptive().silence(pause)
        if self.preset == "dictation":
            return self._dictated(pause, usual)
        if pause.probability is None:
            return usual, "no prediction"
        complete, unfinished = pause.probability > self.sure, pause.probability < self.threshold
        if pause.words and self.heard.punctuates:
            sentence = is_sentence(pause.words)
            if unfinished and not sentence:
                return max(usual, self.most), "unfinished"
            if unfinished or not sentence:
                half = min(_HALF, self.most)
                return max(usual, half), "sounds unfinished" if unfinished else "reads unfinished"
        elif unfinished:
            return max(usual, self.most), "unfinished"
        if not complete:
            return usual, "undecided"
        if pause.snr < _NOISY:
            return max(usual, self.soonest), "complete, in noise"
        return self.soonest, "complete"

    def _dictated(self, pause: Pause, usual: float) -> tuple[float, str]:
        least = max(usual, self.soonest)
        paced = self.heard.pace.wait(self.most)
        if pause.probability is not None and pause.probability < self.threshold:
            return max(least, self.most), "unfinished"
        if paced is not None:
            return max(least, paced), "pace over"
        return least, "no prediction" if pause.probability is None else "no pace"
