"""One reply on its way to the room: its audio, its words, how far it has got."""

from __future__ import annotations

import numpy as np

from fishjam_agents.audio.energy_minima import back_to_dip
from fishjam_agents.audio.samples import Samples
from fishjam_agents.events import Heard
from fishjam_agents.playout.heard_text import heard_text

_NOTHING: Samples = np.empty(0, np.int16)


class Reply:
    """Buffered audio and text of one reply. Counts are samples at the track's rate.

    Attributes:
        id: The reply's id.
        written: Samples given by the backend.
        position: Next sample to send.
        reached: How far it has been heard, where it goes on after a pause and repeats something.
        generated: Whether the backend has given all of it.
        priority: Its place among the replies that wait.
        interruptible: Whether a pause holds it once it sounds.
    """

    __slots__ = (
        "_base",
        "_broken",
        "_part",
        "_part_start",
        "_parts",
        "_words",
        "generated",
        "id",
        "interruptible",
        "position",
        "priority",
        "reached",
        "written",
    )

    def __init__(self, reply: str, priority: int = 0, interruptible: bool = True) -> None:
        self.id = reply
        self.priority = priority
        self.interruptible = interruptible
        self.written = 0
        self.position = 0
        self.reached = 0
        self.generated = False
        self._parts: list[Samples] = []
        self._base = 0
        # Where the last audio was taken from: in which part, and the index of that part's first sample.
        self._part = 0
        self._part_start = 0
        self._words: list[tuple[str, float | None]] = []
        self._broken: tuple[int, ...] = ()

    @property
    def unsent(self) -> int:
        """Samples written and not sent."""
        return self.written - self.position

    @property
    def is_uninterruptible(self) -> bool:
        """True if a pause leaves it alone: it sounds and is not interruptible."""
        return self.position > 0 and not self.interruptible

    def write(self, samples: Samples) -> None:
        """Append audio."""
        self._parts.append(samples)
        self.written += len(samples)

    def add_text(self, text: str, at: float | None) -> None:
        """Append words; `at` is where they begin in the audio, seconds, if the backend knows."""
        self._words.append((text, at))

    def break_off(self) -> None:
        """The words given last are not spoken to their end."""
        if self._words:
            self._broken = *self._broken, len(self._words) - 1

    def rewind(self, samples: int, sample_rate: int) -> None:
        """Go back to the nearest dip in energy, by at most `samples`; what was heard stays heard.

        What was repeated once is not repeated again: however often it is paused, a reply makes progress.
        """
        here, floor = self.position, min(self.position, self.reached)
        self.reached = max(self.reached, here)
        self.position = max(self._base, floor, here - samples)
        if self.position < here:
            before = self.take(here - self.position)
            self.position = here - back_to_dip(before, sample_rate)

    def take(self, samples: int) -> Samples:
        """Give the next audio, up to `samples`, and move on."""
        unsent = self.written - self.position
        if samples > unsent:
            samples = unsent
        if samples and samples == unsent == len(self._parts[-1]):
            # A model that speaks in real time: what was written last is what goes out.
            self.position += samples
            return self._parts[-1]
        if not samples:
            return _NOTHING
        parts, at, start = self._parts, self._part, self._part_start
        if self.position < start:
            at, start = 0, self._base
        while start + len(parts[at]) <= self.position:
            start += len(parts[at])
            at += 1
        self._part, self._part_start = at, start
        first = self.position - start
        self.position += samples
        piece = parts[at][first : first + samples]
        if len(piece) == samples:
            return piece
        pieces, missing = [piece], samples - len(piece)
        while missing:
            at += 1
            pieces.append(parts[at][:missing])
            missing -= len(pieces[-1])
        return np.concatenate(pieces)

    def peek(self, samples: int) -> Samples:
        """Give the next audio, `samples` of it, and stay.

        Where the backend has not given so much yet it is continued by what came before, backwards, which
        leaves no step. After the reply's end nothing comes.
        """
        here = self.position
        ahead = self.take(samples)
        missing = 0 if self.generated else samples - len(ahead)
        if missing:
            self.position = max(self._base, here - missing)
            known = self.take(here + len(ahead) - self.position)
            ahead = np.concatenate((ahead, known[::-1][:missing]))
        self.position = here
        return ahead

    def forget(self, before: int) -> None:
        """Let go of audio that can no longer be played again: all parts that end at or before `before`."""
        parts, gone, base = self._parts, 0, self._base
        while gone < len(parts) and base + len(parts[gone]) <= before:
            base += len(parts[gone])
            gone += 1
        if gone:
            del parts[:gone]
            self._base = base
            self._part, self._part_start = 0, base

    def heard(self, samples: int, sample_rate: int) -> Heard:
        """Return the part a listener has heard after `samples` of this reply."""
        samples = max(samples, self.reached)
        seconds = samples / sample_rate
        given = self.written / sample_rate
        text, exact = heard_text(self._words, seconds, given, complete=self.generated, broken=self._broken)
        return Heard(self.id, seconds, text, text_exact=exact)
