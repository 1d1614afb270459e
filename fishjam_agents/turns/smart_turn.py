"""End of a turn by its meaning: what a network hears in its sound, and the words where there are any.

The rules did best of those that were tried with recorded prompts, whose hesitations have invented lengths;
docs/quality-end-of-turn.md holds what they do in a whole turn machine.
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
    undecided: Seconds
    sentence: Seconds


_PRESETS: Mapping[Preset, _Preset] = {
    "default": _Preset(0.88, 0.6, 0.4, 0.9, 1.0),
    "quick": _Preset(0.8, 0.3, 0.3, 0.58, 0.8),
    "patient": _Preset(0.93, 0.75, 0.4, 1.0, 1.0),
    "dictation": _Preset(0.8, 0.5, 0.58, 0.58, 1.0),
}
_NOISY = 15.0
"""dB above the noise below which a voice is not to be answered sooner than without a model: noise makes the
network trustful. Speech 12 dB above white or pink noise has about that much on the scale of `Pause.snr`."""


@dataclass(frozen=True, slots=True)
class SmartTurn(EndOfTurn):
    """Sooner after what sounds complete, later after what does not; without a prediction `Adaptive`.

    Of the two that judge, the network and the words, both must call a turn complete to end it soon; `most` is
    waited after what does not read like a whole sentence, whatever it sounds like, but no longer than
    `sentence` while more words may come. Words count once the transcript has shown that it has punctuation.

    Attributes:
        model: A file of Smart Turn v3; None for that of the installed `pipecat-ai`.
        preset: `quick` for quick talk, `patient` where people think aloud, `dictation` for places where
            digits, letters and names are said; what follows replaces a value of it.
        sure: Probability above which a turn sounds complete: 0.88; `patient` 0.93, `quick` 0.8.
        unsure: Probability below which it sounds unfinished: 0.6; `patient` 0.75, `quick` 0.3, `dictation`
            0.5.
        least: Quiet that ends a complete turn: 0.4 s; `quick` 0.3, `dictation` 0.58 at least.
        undecided: Quiet that ends a turn between the two, where no words come, no less than that of
            `Adaptive`: 0.9 s; `patient` 1.0, `quick` 0.58.
        sentence: Quiet that ends a turn that reads like a whole sentence and does not sound complete: 1 s;
            `quick` 0.8.
        most: Quiet that ends any turn.
    """

    uses_words: ClassVar[bool] = True
    hears: ClassVar[bool] = True

    model: Path | None = None
    preset: Preset = "default"
    sure: Share | None = None
    unsure: Share | None = None
    least: Seconds | None = None
    undecided: Seconds | None = None
    sentence: Seconds | None = None
    most: Seconds = 1.5

    def __post_init__(self) -> None:
        for name, share in (("sure", self.sure), ("unsure", self.unsure)):
            if share is not None and not 0.0 <= share <= 1.0:
                raise SettingError(name, f"must be between 0 and 1, not {share:g}")
        sure, unsure, least, undecided, sentence = self.values
        if unsure > sure:
            raise SettingError(
                "unsure",
                f"is {unsure:g}, more than sure with {sure:g}",
                "a turn cannot sound complete and unfinished",
                fields=["sure"],
            )
        # The prediction is there a moment after 0.2 s.
        check_seconds("least", least, 0.25, 10.0)
        check_seconds("undecided", undecided, least, 10.0)
        check_seconds("sentence", sentence, least, 10.0)
        check_seconds("most", self.most, max(least, 0.6), 10.0)

    @property
    def values(self) -> _Preset:
        """The preset with what replaces its values; a greater `least` lifts those above it."""
        usual = _PRESETS[self.preset]
        least = usual.least if self.least is None else self.least
        return _Preset(
            usual.sure if self.sure is None else self.sure,
            usual.unsure if self.unsure is None else self.unsure,
            least,
            max(usual.undecided, least) if self.undecided is None else self.undecided,
            max(usual.sentence, least) if self.sentence is None else self.sentence,
        )

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
        values = self.values
        return _OneSpeaker(self.model, self.preset, *values, self.most, _Heard(values))

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
        sure, unsure, soonest, undecided, sentence = self.heard.values
        complete, unfinished = pause.probability > sure, pause.probability < unsure
        reads = is_sentence(pause.words) if pause.words and self.heard.punctuates else None
        if reads is False:
            # Partial transcripts are often without punctuation, until the next one.
            wait = self.most if unfinished or pause.settled else sentence
            rule = "unfinished" if unfinished else "reads unfinished"
        elif reads and not complete:
            wait, rule = sentence, "sounds unfinished" if unfinished else "undecided"
        elif unfinished:
            wait, rule = self.most, "unfinished"
        elif not complete:
            wait, rule = undecided, "undecided"
        elif pause.snr < _NOISY:
            wait, rule = soonest, "complete, in noise"
        else:
            return soonest, "complete"
        return max(usual, min(wait, self.most)), rule

    def _dictated(self, pause: Pause, usual: float) -> tuple[float, str]:
        _, unsure, soonest, *_ = self.heard.values
        least = max(usual, soonest)
        paced = self.heard.pace.wait(self.most)
        if pause.probability is not None and pause.probability < unsure:
            return max(least, self.most), "unfinished"
        if paced is not None:
            return max(least, paced), "pace over"
        return least, "no prediction" if pause.probability is None else "no pace"
