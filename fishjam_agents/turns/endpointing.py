"""Policies for the end of a turn: how much quiet ends it.

The turn machine asks the policy at every 20 ms of quiet inside a turn, so that what is learned meanwhile
(words, the model's verdict) counts at once. Acoustics alone cannot tell a pause to think from the end: of 400
ms pauses the voice detector took 440 to 720 ms for quiet, by the noise, and nothing below 500 ms kept
them whole (measured on 108 pauses in pink noise). What ends turns sooner has to know the words.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from fishjam_agents.audio.samples import Samples
from fishjam_agents.errors import SettingError
from fishjam_agents.units import Seconds

PAUSE = 0.2
"""Seconds of quiet after which speech counts as paused, and a policy that hears is asked."""


@dataclass(frozen=True, slots=True)
class Pause:
    """State of a speaker's pause. Durations in seconds.

    Attributes:
        quiet: How long it has been quiet.
        snr: How far the speaker's voice stands above the noise, dB.
        spoken: From the turn's onset to its last sound.
        words: What has been understood of the turn, "" while nothing has, or where nobody transcribes.
        model_done: Whether the model's own turn detection heard the user stop (`UserSpeech(speaking=False)`).
        probability: Answer of the policy's own `predict` about the sound up to this pause: that the turn is
            complete, 0 to 1. None while there is none.
        onset: Where the turn began, media time: another one is another turn.
        settled: Whether the words are all of those up to this pause; else more may come of them.
    """

    quiet: float
    snr: float
    spoken: float
    words: str = ""
    model_done: bool = False
    probability: float | None = None
    onset: float = 0.0
    settled: bool = False


@dataclass(frozen=True, slots=True)
class EndOfTurn(ABC):
    """Policy of how much quiet ends a turn: subclass it, or wrap a function in `Model`.

    `silence` runs on the frame path: it must neither block nor take longer than a fraction of a millisecond.
    A policy that `hears` is asked about the sound of a turn, too, once in each pause and off that path.

    Attributes:
        types: The policies that `turns.end_of_turn` of a config.yaml may name.
        needs_words: Whether it is of little use without transcripts.
        uses_words: Whether it looks at words where there are any.
        hears: Whether `predict` is asked.
    """

    types: ClassVar[dict[str, type[EndOfTurn]]] = {}
    needs_words: ClassVar[bool] = False
    uses_words: ClassVar[bool] = False
    hears: ClassVar[bool] = False

    @abstractmethod
    def silence(self, pause: Pause) -> float:
        """Seconds of quiet after which the turn is over, as things stand: 0 ends it now."""

    def fresh(self) -> EndOfTurn:
        """The policy for one microphone: itself, or a new object where it learns about its speaker."""
        return self

    def resumed(self, quiet: float) -> None:  # noqa: B027 - only who learns listens
        """The speaker went on after so many seconds of quiet, whether or not the turn had been ended."""

    def rule(self, pause: Pause) -> str:
        """Name the rule that ends a turn now, for events and reports; "" where there is only one."""
        return ""

    def load(self) -> str | None:
        """Load what `predict` needs, before the first call and in a thread.

        Returns:
            What was loaded, for `check`; None where there is nothing to load.

        Raises:
            FishjamAgentsError: It cannot be: a sentence that says what to do.
        """
        return None

    def verify(self) -> None:
        """See whether what `load` loads is there, without reading it.

        Raises:
            FishjamAgentsError: It is not.
        """
        return None

    def predict(self, sound: Samples) -> float | None:
        """Judge by its sound whether a turn is complete: the answer becomes `Pause.probability`.

        Called in a thread, once in each pause, when it is 0.2 s long. One thread serves all calls of a
        process: an answer that takes longer than the pause comes to nothing.

        Args:
            sound: The turn so far with its pre-roll, its last 8 s, and the quiet: int16 mono at 16 kHz.

        Returns:
            Probability that it is complete, 0 to 1; None for no answer.
        """
        return None


_ADAPTIVE = (0.58, 0.74)
_AT_20_DB = 0.6
_PER_DB = 0.01


@dataclass(frozen=True, slots=True)
class Adaptive(EndOfTurn):
    """0.6 s for a voice 20 dB above the noise, 10 ms more for each dB less, 0.58 to 0.74 s in all.

    Noise hides the soft ends and beginnings of words, so that pauses seem longer than they are: a measured
    rule.
    """

    def silence(self, pause: Pause) -> float:
        """Seconds of quiet that end the turn, by the noise."""
        low, high = _ADAPTIVE
        return min(max(_AT_20_DB + _PER_DB * (20.0 - pause.snr), low), high)

    def __str__(self) -> str:
        return "adaptive, 0.58 to 0.74 s by the noise"


@dataclass(frozen=True, slots=True)
class Fixed(EndOfTurn):
    """Always the same.

    Attributes:
        seconds: Quiet that ends a turn.
    """

    seconds: Seconds = 0.6

    def __post_init__(self) -> None:
        check_seconds("seconds", self.seconds, 0.1, 10.0)

    def silence(self, pause: Pause) -> float:
        """The seconds it was given."""
        return self.seconds

    def __str__(self) -> str:
        return f"fixed, {self.seconds:g} s"


_REMEMBERED = 12
_ENOUGH = 4
"""Pauses of a speaker before anything is concluded from them."""
_QUANTILE = 0.9
_FACTOR = 1.1
_EXTRA = 0.1


@dataclass(frozen=True, slots=True)
class PerSpeaker(EndOfTurn):
    """Learns how long this speaker's pauses are: 1.1 times the longest but one tenth, and 0.1 s.

    It looks at the last 12 pauses, in turns and right after them, and is `Adaptive` until it has seen 4. The
    rule cut a third fewer turns than a fixed 0.6 s at the same median in a simulation, whose pauses
    were invented: an option for that reason.

    Attributes:
        least: Never less, in seconds.
        most: Never more.
    """

    least: Seconds = 0.5
    most: Seconds = 0.9

    def __post_init__(self) -> None:
        check_seconds("least", self.least, 0.1, 10.0)
        check_seconds("most", self.most, self.least, 10.0)

    def fresh(self) -> EndOfTurn:
        """One that knows nobody yet."""
        return _OneSpeaker(self.least, self.most)

    def silence(self, pause: Pause) -> float:
        """As `Adaptive`: this one has heard nobody (`fresh`)."""
        return Adaptive().silence(pause)

    def __str__(self) -> str:
        return f"adaptive per speaker, {self.least:g} to {self.most:g} s"


@dataclass(frozen=True, slots=True)
class _OneSpeaker(PerSpeaker):
    pauses: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def resumed(self, quiet: float) -> None:
        self.pauses.append(quiet)

    def silence(self, pause: Pause) -> float:
        if len(self.pauses) < _ENOUGH:
            return Adaptive().silence(pause)
        ranked = sorted(self.pauses)
        long = ranked[min(int(_QUANTILE * len(ranked)), len(ranked) - 1)]
        return min(max(_FACTOR * long + _EXTRA, self.least), self.most)


_ENDS = tuple(".?!…。？！")  # noqa: RUF001 - the marks of other scripts are meant


def is_sentence(words: str) -> bool:
    """Return whether words end as a sentence does: with a full stop, question or exclamation mark."""
    return words.rstrip(" \"'”’»)").endswith(_ENDS)  # noqa: RUF001 - typographic quotes are meant


@dataclass(frozen=True, slots=True)
class Punctuation(EndOfTurn):
    """Sooner after what reads like a whole sentence, later after half of one; without words `Adaptive`.

    Attributes:
        complete: Quiet that ends a turn whose transcript ends with a full stop, question or exclamation mark.
        incomplete: Quiet that ends another one.
    """

    needs_words: ClassVar[bool] = True

    complete: Seconds = 0.4
    incomplete: Seconds = 1.0

    def __post_init__(self) -> None:
        check_seconds("complete", self.complete, 0.1, 10.0)
        check_seconds("incomplete", self.incomplete, 0.1, 10.0)
        if self.complete > self.incomplete:
            raise SettingError(
                "complete",
                f"is {self.complete:g} s, longer than incomplete with {self.incomplete:g} s",
                "a whole sentence is to be answered sooner than half of one",
                fields=["incomplete"],
            )

    def silence(self, pause: Pause) -> float:
        """Seconds of quiet, by the last character of what was understood."""
        if not pause.words:
            return Adaptive().silence(pause)
        return self.complete if is_sentence(pause.words) else self.incomplete

    def __str__(self) -> str:
        return f"by punctuation, {self.complete:g} s after a sentence, else {self.incomplete:g} s"


@dataclass(frozen=True, slots=True)
class BackendEnds(EndOfTurn):
    """As soon as the model's own turn detection hears the user stop; our quiet only bounds it.

    For `turns.mode: local` with a model that tells where speech ends. With `mode: backend` the model
    decides anyway.

    Attributes:
        limit: Quiet that ends a turn about which the model says nothing.
    """

    limit: Seconds = 2.0

    def __post_init__(self) -> None:
        check_seconds("limit", self.limit, 0.3, 10.0)

    def silence(self, pause: Pause) -> float:
        """Nothing more once the model is sure, else the limit."""
        return 0.0 if pause.model_done else self.limit

    def __str__(self) -> str:
        return f"by the model, {self.limit:g} s at most"


@dataclass(frozen=True, slots=True)
class Model(EndOfTurn):
    """A judgement from outside, such as a semantic turn model's.

    `complete` is called at every 20 ms of quiet inside a turn, from the frame path: it must not block. A
    model that needs longer runs elsewhere, on the words it is given here, and this function returns its
    latest answer.

    Attributes:
        complete: How sure it is that the turn is over: 0 to 1. None leaves it to `Adaptive`.
        least: Quiet that ends a turn of which it is sure.
        most: Quiet that ends any turn.
    """

    complete: Callable[[Pause], float | None]
    least: Seconds = 0.3
    most: Seconds = 1.5

    def __post_init__(self) -> None:
        check_seconds("least", self.least, 0.0, 10.0)
        check_seconds("most", self.most, self.least, 10.0)

    def silence(self, pause: Pause) -> float:
        """Between `most` and `least`, in proportion to how sure the model is."""
        sure = self.complete(pause)
        if sure is None:
            return Adaptive().silence(pause)
        return self.most + (self.least - self.most) * min(max(sure, 0.0), 1.0)

    def __str__(self) -> str:
        return f"by a model, {self.least:g} to {self.most:g} s"


EndOfTurn.types.update(
    adaptive=Adaptive, fixed=Fixed, per_speaker=PerSpeaker, punctuation=Punctuation, backend=BackendEnds
)


def check_seconds(name: str, value: float, low: float, high: float) -> None:
    """Check a setting in seconds.

    Raises:
        SettingError: It is out of its bounds.
    """
    if not low <= value <= high:
        raise SettingError(name, f"must be between {low:g} and {high:g} seconds, not {value:g}")
