"""Switches of a running call: of the bot's voice, and of its listening."""

from __future__ import annotations

from fishjam_agents import events
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.replies import Replies
from fishjam_agents.pipeline.room_audio import RoomAudio
from fishjam_agents.pipeline.turn_taking.controller import TurnController
from fishjam_agents.playout.audio_output import AudioOutput


class Switches:
    """Switches of output and input, which tell of each change (`mute_changed`).

    Args:
        context: The call.
        replies: The bot's replies.
        output: Their output, with the sound under them.
        audio: The room's audio.
        turns: The turn controller.
    """

    def __init__(
        self,
        context: CallContext,
        replies: Replies,
        output: AudioOutput,
        audio: RoomAudio,
        turns: TurnController,
    ) -> None:
        self._context = context
        self._replies = replies
        self._output = output
        self._audio = audio
        self._turns = turns

    @property
    def is_muted(self) -> bool:
        """True while the bot's voice is switched off."""
        return self._replies.is_muted

    def mute(self, muted: bool) -> None:
        """Switch the bot's voice off or on."""
        if muted == self.is_muted:
            return
        self._replies.is_muted = muted
        self._context.emit(events.MuteChanged(self._context.now(), "output", muted))
        if muted:
            self._turns.confirm(everything=True)
        self._output.mute_background(muted)

    @property
    def is_listening(self) -> bool:
        """True while the call listens."""
        return not self._audio.is_closed

    def listen(self, listening: bool) -> None:
        """Hear everybody, or nobody."""
        if listening == self.is_listening:
            return
        self._context.emit(events.MuteChanged(self._context.now(), "input", not listening))
        self._set_listening(listening)

    def _set_listening(self, listening: bool) -> None:
        self._audio.set_closed(not listening)
        self._turns.listening_changed(listening)

    def close(self) -> None:
        """Hear nobody and say nothing from now on: the call ends."""
        self._set_listening(False)
        self._replies.is_muted = True
        self._turns.confirm(everything=True)
