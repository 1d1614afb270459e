"""The model rules over turns: it hears the active speaker all the time, and our suspicion only silences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fishjam_agents import events
from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.events import Heard
from fishjam_agents.hearing.microphone import ECHO_PRE_ROLL, Microphone
from fishjam_agents.pipeline.room import Room
from fishjam_agents.pipeline.turn_taking.local import TurnController
from fishjam_agents.turns.machine import (
    VERDICT,
    Confirmed,
    SpeechEnded,
    SpeechStarted,
    Suspected,
    TurnEvent,
    Withdrawn,
)

_CLOSING = 1.0
"""Seconds of silence a model is given when the ears close: models take up to 0.8 s for the end of a turn."""


class BackendTurnController(TurnController):
    """The model decides: it hears the active speaker all the time, and our suspicion only silences.

    Where the bot's own voice may be in the microphone, the model gets silence until somebody speaks over it.
    """

    def __init__(self, room: Room) -> None:
        super().__init__(room)
        self._source: Microphone | None = None
        self._withheld: float | None = None
        self._suspected: tuple[Microphone, Suspected, float] | None = None
        self._heard_by_model = False

    def deliver(self, microphone: Microphone, frame: Samples | None, happened: Sequence[TurnEvent]) -> None:
        """Take a frame of a microphone, or its silence (None), with what follows from it."""
        if self._source is None or (happened and not self._source.machine.in_speech):
            self._source = microphone
        for event in happened:
            self._publish(microphone, event)
            if isinstance(event, SpeechEnded):
                # The model may find the end of a turn sooner than we do, and answers whoever has stopped.
                self._asking, self._asked = microphone.peer, True
            for answer in self._floor.handle(microphone, event):
                if isinstance(answer.event, Suspected):
                    self._suspect(microphone, answer.event)
        if self._source is microphone:
            if happened:
                self._introduce(microphone.peer)
            self._pass_on(microphone, frame, happened)

    def _pass_on(self, microphone: Microphone, frame: Samples | None, happened: Sequence[TurnEvent]) -> None:
        if frame is None:
            if microphone.missing_samples:
                self._send(microphone, np.zeros(microphone.missing_samples, np.int16))
        elif microphone.echo_expected and not microphone.machine.announced:
            if self._withheld is None:
                self._withheld = microphone.media - FRAME_SECONDS
            self._send(microphone, np.zeros_like(frame))
        else:
            begun = [event.at for event in happened if isinstance(event, (Suspected, SpeechStarted))]
            since, self._withheld = self._withheld, None
            if since is None or not begun:
                self._send(microphone, frame)
                return
            # What was withheld of the word comes late, which costs a model nothing.
            for held in microphone.recent(max(since, begun[0] - ECHO_PRE_ROLL)):
                self._send(microphone, held)

    def _send(self, microphone: Microphone, frame: Samples) -> None:
        room = self._room
        samples = room.for_backend(frame)
        seconds = len(samples) / room.capabilities.input_rate
        room.put(port.AudioInput(microphone.peer, samples, seconds, speech=microphone.machine.announced))

    def left(self, peer: str) -> None:
        """The model waits for the end of what the peer was saying, which now cannot come as silence."""
        if self._source is not None and self._source.peer == peer:
            self._source = None
            self._room.put(port.AudioEndedInput(peer))

    def _suspect(self, microphone: Microphone, event: Suspected) -> None:
        room = self._room
        if room.settings.silence_locally:
            room.pause()
        self._suspected = (microphone, event, room.now())
        self._publish_barge_in(events.BargeInSuspected, microphone, event)

    def reply_begins(self, asked: bool) -> None:
        """A new reply of the model's over one under way is its verdict that it was interrupted."""
        if self._suspected is not None and self._room.bot_speaks() and not asked:
            self.confirm()

    def ears_closed(self) -> None:
        """Nobody is heard from now on: the model needs silence to find the end of what was being said."""
        room = self._room
        if self._source is not None:
            silence = np.zeros(round(_CLOSING * room.capabilities.input_rate), np.int16)
            room.put(port.AudioInput(self._source.peer, silence, _CLOSING))
            room.put(port.AudioEndedInput(self._source.peer))
            self._source = self._withheld = None

    def user_speech(self, speaking: bool) -> None:
        """The model hears the user speak: its verdict, if the bot is speaking and the policies agree."""
        if speaking:
            self._heard_by_model = True
            self._confirm_if_allowed()

    def _confirm_if_allowed(self) -> None:
        if self._suspected is None or self._suspected[0].machine.allowed:
            self.confirm()

    def confirm(self, *, everything: bool = False) -> Heard | None:
        """The model's verdict, or the app's: the reply is over."""
        self._heard_by_model = False
        if self._suspected is not None:
            microphone, suspected, _ = self._suspected
            self._suspected = None
            self._publish_barge_in(events.BargeInConfirmed, microphone, Confirmed(suspected.at))
        return super().confirm(everything=everything)

    def tick(self) -> None:
        """Called every 20 ms: a suspicion without a verdict is withdrawn, at its limit at the latest."""
        if self._heard_by_model:
            self._confirm_if_allowed()
        if self._suspected is None:
            super().tick()
            return
        microphone, suspected, since = self._suspected
        waited = self._room.now() - since
        timeout = self._room.settings.verdict_timeout
        if waited >= (max(timeout, VERDICT) if microphone.machine.announced else timeout):
            self._suspected = None
            self._heard_by_model = False
            self._publish_barge_in(events.BargeInWithdrawn, microphone, Withdrawn(suspected.at))
            self._room.resume()
