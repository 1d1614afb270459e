"""End of a turn by its meaning: what a network hears in its sound, and the words where there are any.

The rules are those that did best in a simulation over recorded prompts in five languages, whose lengths of
hesitations were invented; docs/quality-end-of-turn.md holds what they do in a whole turn machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.smart_turn import find_model, load_model
from fishjam_agents.errors import SettingError
from fishjam_agents.turns.dictation import Pace
from fishjam_agents.turns.endpointing import Adaptive, EndOfTurn, Pause, check_seconds, is_sentence
from fishjam_agents.units import Seconds, Share

Preset = Literal["default", "quick", "patient", "dictation"]


class _Preset(NamedTuple):
    """Values of a preset."""

    sure: Share
    unsure: Share
    least: Seconds


_PRESETS: Mapping[Preset, _Preset] = {
    "default": _Preset(0.8, 0.3, 0.4),
    "quick": _Preset(0.8, 0.3, 0.3),
    "patient": _Preset(0.93, 0.75, 0.4),
    "dictation": _Preset(0.8, 0.5, 0.58),
}
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
        preset: `quick` for quick talk, `patient` where people think aloud, `dictation` for places where
            digits, letters and names are said; what follows replaces a value of it.
        sure: Probability above which a turn sounds complete: 0.8; `patient` 0.93.
        unsure: Probability below which it sounds unfinished: 0.3; `patient` 0.75, `dictation` 0.5.
        least: Quiet that ends a complete turn: 0.4 s; `quick` 0.3, `dictation` 0.58 at least.
        most: Quiet that ends any turn.
    """

    uses_words: ClassVar[bool] = True
    hears: ClassVar[bool] = True

    model: Path | None = None
    preset: Preset = "default"
    sure: Share | None = None
    unsure: Share | None = None
    least: Seconds | None = None
    most: Seconds = 1.5

    def __post_init__(self) -> None:
        for name, share in (("sure", self.sure), ("unsure", self.unsure)):
            if share is not None and not 0.0 <= share <= 1.0:
                raise SettingError(name, f"must be between 0 and 1, not {share:g}")
        sure, unsure, least = self.values
        if unsure > sure:
            raise SettingError(
                "unsure",
                f"is {unsure:g}, more than sure with {sure:g}",
                "a turn cannot sound complete and unfinished",
                fields=["sure"],
            )
        # The prediction is there a moment after 0.2 s.
        check_seconds("least", least, 0.25, 10.0)
        check_seconds("most", self.most, max(least, 0.6), 10.0)

    @property
    def values(self) -> _Preset:
        """The preset with what replaces its values."""
        given = zip((self.sure, self.unsure, self.least), _PRESETS[self.preset], strict=True)
        return _Preset(*(usual if value is None else value for value, usual in given))

    def verify(self) -> None:
        """See whether the model is there."""
        find_model(self.model)

    def load(self) -> str:
        """Load the model, which all calls share."""
        load_model(self.model)
        return f"Smart Turn: {find_model(self.model)}; about 0.05 s of CPU a pause"

    def predict(self, sound: Samples) -> float:
        """Ask the model."""
        return load_model(self.model)(sound)

    def fresh(self) -> EndOfTurn:
        """One that has heard nobody yet."""
        speaker = (self.model, self.preset, self.sure, self.unsure, self.least, self.most)
        return _OneSpeaker(*speaker, _Heard(self.values))

    def silence(self, pause: Pause) -> float:
        """As `Adaptive`: this one has heard nobody (`fresh`)."""
        return Adaptive().silence(pause)

    def __str__(self) -> str:
        return (
            f"smart_turn ({self.preset}), {self.values.least:g} s after a complete turn, "
            f"{self.most:g} s after an unfinished one"
        )


@dataclass(slots=True)
class _Heard:
    """Memory of one speaker: the values, their pace, and whether their words come with punctuation."""

    values: _Preset
    pace: Pace = field(default_factory=Pace)
    punctuates: bool = False


@dataclass(frozen=True, slots=True)
class _OneSpeaker(SmartTurn):
    heard: _Heard = field(default_factory=lambda: _Heard(_PRESETS["default"]))

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
        sure, unsure, soonest = self.heard.values
        complete, unfinished = pause.probability > sure, pause.probability < unsure
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
            return max(usual, soonest), "complete, in noise"
        return soonest, "complete"

    def _dictated(self, pause: Pause, usual: float) -> tuple[float, str]:
        _, unsure, soonest = self.heard.values
        least = max(usual, soonest)
        paced = self.heard.pace.wait(self.most)
        if pause.probability is not None and pause.probability < unsure:
            return max(least, self.most), "unfinished"
        if paced is not None:
            return max(least, paced), "pace over"
        return least, "no prediction" if pause.probability is None else "no pace"
