"""Turns by the model, which hears the active speaker all the time; our suspicion only silences the bot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fishjam_agents import events
from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.events import Heard
from fishjam_agents.hearing.microphone import ECHO_PRE_ROLL, Microphone
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.ports import BackendInputSink, PlaybackControl
from fishjam_agents.pipeline.turn_taking.controller import FloorTurnController
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
"""Seconds of silence a model gets when the bot stops listening: it finds the end of a turn within 0.8 s."""


class BackendTurnController(FloorTurnController):
    """Turns of one conversation, which the model decides on.

    Where the bot's own voice may be in the microphone, the model gets silence until somebody speaks over it.
    """

    def __init__(self, context: CallContext, playback: PlaybackControl, backend: BackendInputSink) -> None:
        super().__init__(context, playback, backend)
        self._source: Microphone | None = None
        self._withheld: float | None = None
        self._suspected: tuple[Microphone, Suspected, float] | None = None
        self._heard_by_model = False

    def deliver(self, microphone: Microphone, frame: Samples | None, happened: Sequence[TurnEvent]) -> None:
        """Take a frame of a microphone, or its silence (None), with what follows from it."""
        if (
            frame is not None
            and not happened
            and self._source is microphone
            and self._withheld is None
            and not microphone.echo_expected
        ):
            # So it is with nearly every frame.
            self._send(microphone.peer, frame, speech=microphone.machine.announced)
            return
        self._microphones[microphone] = None
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
                self._pass(microphone, np.zeros(microphone.missing_samples, np.int16))
        elif microphone.echo_expected and not microphone.machine.announced:
            if self._withheld is None:
                self._withheld = microphone.media - FRAME_SECONDS
            self._pass(microphone, np.zeros_like(frame))
        else:
            begun = [event.at for event in happened if isinstance(event, (Suspected, SpeechStarted))]
            since, self._withheld = self._withheld, None
            if since is None or not begun:
                self._pass(microphone, frame)
                return
            # What was withheld of the word comes late, which costs a model nothing.
            for held in microphone.recent(max(since, begun[0] - ECHO_PRE_ROLL)):
                self._pass(microphone, held)

    def _pass(self, microphone: Microphone, frame: Samples) -> None:
        self._send(microphone.peer, frame, speech=microphone.machine.announced)

    def left(self, peer: str) -> None:
        """Tell the model the end of what the peer was saying, which cannot come as silence now."""
        super().left(peer)
        if self._source is not None and self._source.peer == peer:
            self._source = None
            self._backend.put(port.AudioEndedInput(peer))

    def _suspect(self, microphone: Microphone, event: Suspected) -> None:
        if self._context.turns.silence_locally:
            self._playback.pause()
        self._suspected = (microphone, event, self._context.now())
        self._publish_barge_in(events.BargeInSuspected, microphone, event)

    def reply_begins(self, asked: bool, peer: str | None = None) -> None:
        """Take a new reply of the model's over one under way as its verdict that it was interrupted."""
        if self._suspected is not None and self._playback.is_active and not asked:
            self.confirm()

    def listening_changed(self, listening: bool) -> None:
        """Give the model the silence it needs to find the end of what was being said."""
        if listening or self._source is None:
            return
        peer, rate = self._source.peer, self._context.capabilities.input_rate
        self._backend.put(port.AudioInput(peer, np.zeros(round(_CLOSING * rate), np.int16), _CLOSING))
        self._backend.put(port.AudioEndedInput(peer))
        self._source = self._withheld = None

    def user_speech(self, speaking: bool, peer: str | None = None) -> None:
        """Take that the model hears the user as its verdict, if the bot speaks and the policies agree."""
        if speaking:
            self._heard_by_model = True
            self._confirm_if_allowed()

    def _confirm_if_allowed(self) -> None:
        if self._suspected is None or self._suspected[0].machine.allowed:
            self.confirm()

    def confirm(self, *, everything: bool = False) -> Heard | None:
        """End the reply, by the verdict of the model or of the app."""
        self._heard_by_model = False
        if self._suspected is not None:
            microphone, suspected, _ = self._suspected
            self._suspected = None
            self._publish_barge_in(events.BargeInConfirmed, microphone, Confirmed(suspected.at))
        return super().confirm(everything=everything)

    def tick(self) -> None:
        """Withdraw a suspicion without a verdict, at its limit at the latest."""
        if self._heard_by_model:
            self._confirm_if_allowed()
        if self._suspected is None:
            if self._playback.is_paused:
                super().tick()
            return
        microphone, suspected, since = self._suspected
        waited = self._context.now() - since
        timeout = self._context.turns.verdict_timeout
        if waited >= (max(timeout, VERDICT) if microphone.machine.announced else timeout):
            self._suspected = None
            self._heard_by_model = False
            self._publish_barge_in(events.BargeInWithdrawn, microphone, Withdrawn(suspected.at))
            self._playback.resume()
