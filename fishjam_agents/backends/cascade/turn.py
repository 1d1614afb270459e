"""A turn on its way to an answer, and what took how long."""

from __future__ import annotations

from dataclasses import dataclass

from fishjam_agents.backends.cascade.components import Message
from fishjam_agents.backends.cascade.history import History
from fishjam_agents.backends.cascade.listening import Listening
from fishjam_agents.backends.cascade.preemptive import PreemptiveGeneration
from fishjam_agents.backends.cascade.reply import Reply
from fishjam_agents.events import Turn


@dataclass(slots=True)
class SpokenTurn:
    """A turn that is being answered.

    Attributes:
        turn: The turn.
        listening: What understands it.
        notes: What the model is to know with it.
        ended: When its end was known, loop time.
        goes_on: Whether its beginning kept the turn before it from its answer, which is due if this one turns
            out to be no words.
        understood: When its words were.
        asked: When the language model was asked.
    """

    turn: Turn
    listening: Listening
    notes: list[str]
    ended: float
    goes_on: bool = False
    understood: float = 0.0
    asked: float = 0.0
    _history: History | None = None
    _said: Message | None = None
    _known: tuple[str, ...] = ()
    _later: str = ""

    def enter(self, history: History, words: str) -> None:
        """Have the model know what was said, with the notes that go along."""
        self._history, self._known = history, tuple(self.notes)
        self._said = history.user(" ".join([*self._known, self._later or words]))

    def reword(self, words: str) -> None:
        """Take the final words of a turn that was answered, or is about to be, with what was there before."""
        if not words:
            return
        self._later = words
        if self._history is not None and self._said is not None:
            self._said = self._history.reworded(self._said, " ".join([*self._known, words]))

    def times(self, reply: Reply, adopted: PreemptiveGeneration | None) -> dict[str, float]:
        """Return the seconds each step took until the first sound of the reply; empty if there was none."""
        if reply.sounded is None:
            return {}
        since, understood, asked = self.ended, self.understood, self.asked
        if adopted is not None:
            # The model was asked as soon as the words were there.
            since, asked = adopted.since, adopted.understood
            understood = asked
        worded = asked if reply.worded is None else reply.worded
        begun = worded if reply.begun_at is None else min(reply.begun_at, worded)
        parts = {
            "stt": understood - since,
            "waited": asked - understood,
            "llm": begun - asked,
            "sentence": worded - begun,
            "tts": reply.sounded - worded,
        }
        if adopted is not None:
            # With this the parts are as long as the speaker waited.
            parts["ahead"] = max(reply.sounded, self.asked) - self.ended - sum(parts.values())
        return {name: round(seconds, 4) for name, seconds in parts.items()}
