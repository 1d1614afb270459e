"""A reply that the app asked the model for, and that may never come."""

from __future__ import annotations

from fishjam_agents import events
from fishjam_agents.events import Event
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.ports import PlaybackControl
from fishjam_agents.pipeline.room_audio import RoomAudio
from fishjam_agents.pipeline.speech_handle import SpeechHandle

BEGINS = 30.0
"""Seconds of quiet in which a reply that was asked for has to begin."""


class AwaitedReply:
    """Watch over one such reply: an `event_stream.Watcher`, for as long as nothing of it has come.

    Args:
        context: The call.
        playback: The replies.
        speech: The reply.
        audio: The room's audio.
    """

    def __init__(
        self, context: CallContext, playback: PlaybackControl, speech: SpeechHandle, audio: RoomAudio
    ) -> None:
        self._audio = audio
        self._context = context
        self._playback = playback
        self._speech = speech
        self._quiet_since = context.now()

    def event(self, event: Event) -> None:
        """Take an event of the call: while somebody speaks nobody is late."""
        if isinstance(event, events.ReplyStarted) and event.reply == self._speech.id:
            self._context.events.unwatch(self)
        elif isinstance(event, events.UserStartedSpeaking | events.UserStoppedSpeaking):
            self._quiet_since = event.at

    def tick(self, now: float) -> None:
        """Take notice of the time: called every 20 ms with call time."""
        if self._speech.done:
            self._context.events.unwatch(self)
        elif self._playback.current_reply is not None or self._audio.is_anyone_in_turn():
            self._quiet_since = now
        elif now - self._quiet_since > BEGINS:
            self._context.events.unwatch(self)
            message = (
                f"the model said nothing to what it was asked to say within {BEGINS:g} s: it is given up"
            )
            self._context.emit(events.BackendWarning(message, at=now))
            self._speech.interrupt()
