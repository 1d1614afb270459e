"""The end of a call that the model asked for: when its goodbye has been heard, unless somebody speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fishjam_agents import events
from fishjam_agents.backends import port
from fishjam_agents.events import Event
from fishjam_agents.turns.machine import CANCELLED

if TYPE_CHECKING:
    from fishjam_agents.pipeline.call import Call

BEGINS = 3.0
"""Seconds that the model has to begin its goodbye."""
AFTER = 1.0
"""Seconds of quiet after the last word, in which another reply may begin."""
ENDS = 30.0
"""Seconds after which the call ends although something is still being said."""
ANSWER = 10.0
"""Seconds of quiet after which the call ends although somebody spoke: it meant nothing to the model."""
LONGEST_TURN = 60.0
"""Seconds that somebody may speak who began before the call had ended."""
_CALLED_OFF = "[The user spoke before the call had ended, so it goes on: end it again when they want to go.]"


class Goodbye:
    """Ends a call, or is called off: by who interrupts it, or speaks before the end, and is answered.

    A `background.Watcher`.

    Args:
        call: The call.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._begun = call.now()
        self._quiet_since = self._begun
        self._spoken = False
        self._contradicted = False
        self._told = False
        # Microphones in which somebody began to speak: what was said before is what the call ends for.
        self._speaking: set[str | None] = set()

    def event(self, event: Event) -> None:
        """Take an event of the call."""
        if isinstance(event, events.UserStartedSpeaking):
            self._speaking.add(event.track)
        elif isinstance(event, events.UserTurnEnded):
            if event.reason != CANCELLED and event.track in self._speaking:
                self._contradicted = True
                self._tell()
        elif isinstance(event, events.BargeInConfirmed):
            self._contradicted = True
        elif isinstance(event, events.ReplyStarted) and self._contradicted:
            # The conversation goes on.
            self._call.unwatch(self)

    def tick(self, now: float) -> None:
        """Called every 20 ms with call time."""
        call = self._call
        speaks, heard = call.replies.current is not None, call.anyone_in_speech()
        self._spoken = self._spoken or speaks
        if speaks or heard:
            self._quiet_since = now
        quiet, lasted = now - self._quiet_since, now - self._begun
        if self._contradicted:
            over = quiet > ANSWER
        elif heard:
            over = lasted > ENDS + LONGEST_TURN
        else:
            over = quiet > (AFTER if self._spoken else BEGINS) or lasted > ENDS
        if over:
            call.unwatch(self)
            call.stop("bot")

    def _tell(self) -> None:
        """The model is to know it before the words that it answers."""
        if not self._told and self._call.capabilities.text:
            self._told = True
            self._call.put(port.TextInput(_CALLED_OFF, note=True))
