"""End of a call that was asked for: once the goodbye has been heard, unless somebody speaks."""

from __future__ import annotations

from fishjam_agents import events
from fishjam_agents.backends import port
from fishjam_agents.events import Event
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.ports import BackendInputSink, PlaybackControl
from fishjam_agents.pipeline.room_audio import RoomAudio
from fishjam_agents.turns.machine import CANCELLED

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
    """End of a call that is to come, unless somebody interrupts it, or speaks before it and is answered.

    An `event_stream.Watcher`.

    Args:
        context: The call.
        playback: The replies.
        audio: The room's audio.
        backend: Told when the end is called off.
    """

    def __init__(
        self, context: CallContext, playback: PlaybackControl, audio: RoomAudio, backend: BackendInputSink
    ) -> None:
        self._context = context
        self._playback = playback
        self._audio = audio
        self._backend = backend
        self._begun = context.now()
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
        elif isinstance(event, events.UserText):
            self._contradicted = True
            self._tell()
        elif isinstance(event, events.BargeInConfirmed):
            self._contradicted = True
        elif isinstance(event, events.ReplyStarted) and self._contradicted:
            # The conversation goes on.
            self._context.events.unwatch(self)

    def tick(self, now: float) -> None:
        """Take notice of the time: called every 20 ms with call time."""
        speaks, heard = self._playback.current_reply is not None, self._audio.is_anyone_in_speech()
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
            self._context.events.unwatch(self)
            self._context.end.request("bot")

    def _tell(self) -> None:
        """Tell the model before the words that it answers."""
        if not self._told and self._context.capabilities.text:
            self._told = True
            self._backend.put(port.TextInput(_CALLED_OFF, note=True))
