"""Turns by our own voice detection: the backend hears turns, one speaker at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from fishjam_agents import events
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.events import Turn
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.ports import BackendInputSink, PlaybackControl
from fishjam_agents.pipeline.turn_taking.controller import FloorTurnController
from fishjam_agents.pipeline.turn_taking.waiting_turns import WaitingTurns
from fishjam_agents.turns.floor import FloorEvent, GaveWay
from fishjam_agents.turns.machine import (
    CANCELLED,
    Confirmed,
    SpeechEnded,
    SpeechStarted,
    Suspected,
    TurnEnded,
    TurnEvent,
    TurnStarted,
    Withdrawn,
)

_PAUSES = 3
"""Pauses of a turn that are told, where the backend wants them: who thinks aloud makes many, and each costs
it work."""
_ANSWER_TIME = 5.0
"""Seconds a turn that waited for the floor waits for the reply to the turn before it to begin."""


class LocalTurnController(FloorTurnController):
    """Our voice detection decides: the backend hears turns, one speaker at a time."""

    def __init__(self, context: CallContext, playback: PlaybackControl, backend: BackendInputSink) -> None:
        super().__init__(context, playback, backend)
        self._speaker: Microphone | None = None
        self._answering: str | None = None
        self._asked_at: float | None = None
        self._waiting = WaitingTurns()
        self._talked_through: set[Microphone] = set()
        self._bot_spoke = False
        self._whole = context.capabilities.wants_turn_audio
        self._wants_pauses = context.capabilities.wants_pauses
        self._wants_suspected = context.capabilities.wants_suspected and not self._whole
        # Whose sound the backend hears that may become an interruption, and its onset.
        self._suspect: Microphone | None = None
        self._suspected_at = 0.0
        self._pauses = 0
        self._paused = False

    def deliver(self, microphone: Microphone, frame: Samples | None, happened: Sequence[TurnEvent]) -> None:
        """Take a frame of a microphone, or its silence (None), with what follows from it."""
        self._microphones[microphone] = None
        if frame is not None and microphone in (self._speaker, self._suspect) and not self._whole:
            self._send(microphone.peer, frame, speech=True)
        if not happened:
            return
        for event in self._judge(microphone, happened):
            turn = self._publish(microphone, event)
            answers = self._floor.handle(microphone, event)
            if turn is not None and not answers and turn.reason != CANCELLED:
                self._waiting.add(microphone, turn)
            for answer in answers:
                self._act(answer, turn)
            if isinstance(event, Withdrawn) and self._suspect is microphone:
                self._forget_suspect()
            if self._wants_pauses and self._speaker is microphone:
                self._tell_pause(microphone, event)

    def _judge(self, microphone: Microphone, happened: Sequence[TurnEvent]) -> Sequence[TurnEvent]:
        """Take back the turns that are not to be answered."""
        if not any(isinstance(event, TurnEnded) for event in happened):
            return happened
        passed_over = microphone in self._talked_through
        self._talked_through.discard(microphone)
        return [
            replace(event, reason=CANCELLED)
            if isinstance(event, TurnEnded)
            and (passed_over or (event.reason == "limit" and microphone in self._floor.behind))
            else event
            for event in happened
        ]

    def _tell_pause(self, microphone: Microphone, event: TurnEvent) -> None:
        """Tell the backend that the speaker pauses, which may be the end of the turn, or goes on."""
        if isinstance(event, SpeechStarted) and self._paused:
            self._paused = False
            self._backend.put(port.TurnResumedInput(microphone.peer))
        elif isinstance(event, SpeechEnded) and microphone.machine.turn_open and self._pauses < _PAUSES:
            self._pauses += 1
            self._paused = True
            audio = self._for_backend(microphone.turn_audio(event.at)) if self._whole else None
            self._backend.put(port.TurnPausedInput(microphone.peer, event.at, audio))

    def _act(self, answer: FloorEvent[Microphone], turn: Turn | None) -> None:
        microphone, event = answer.key, answer.event
        match event:
            case Suspected():
                self._playback.pause()
                self._publish_barge_in(events.BargeInSuspected, microphone, event)
                self._let_hear(microphone, event)
            case Withdrawn():
                self._publish_barge_in(events.BargeInWithdrawn, microphone, event)
                self._playback.resume()
            case Confirmed():
                self._publish_barge_in(events.BargeInConfirmed, microphone, event)
                self.confirm()
            case TurnStarted():
                self._open(microphone, event)
            case GaveWay():
                self._speaker = None
                self._backend.put(port.TurnCancelledInput(microphone.peer))
            case TurnEnded():
                if turn is not None:
                    self._finish(microphone, turn)
            case _:
                assert_never(event)

    def _finish(self, microphone: Microphone, turn: Turn) -> None:
        self._speaker = None
        if turn.reason == CANCELLED:
            self._backend.put(port.TurnCancelledInput(turn.peer))
            return
        audio = self._for_backend(microphone.turn_audio(turn.end)) if self._whole else None
        self._waiting.asked(microphone)
        self._ask(port.TurnEndedInput(turn, audio))

    def _let_hear(self, microphone: Microphone, event: Suspected) -> None:
        """Let the backend hear a sound that may become an interruption, where its words are waited for."""
        if not self._wants_suspected or not microphone.machine.judges_words:
            return
        self._forget_suspect()
        self._suspect, self._suspected_at = microphone, event.at
        start = microphone.heard_from(event.at)
        self._backend.put(port.SpeechSuspectedInput(microphone.peer, event.at, start))
        for frame in microphone.recent(start):
            self._send(microphone.peer, frame, speech=True)

    def _forget_suspect(self) -> None:
        suspect, self._suspect = self._suspect, None
        if suspect is not None:
            self._backend.put(port.TurnCancelledInput(suspect.peer))

    def _open(self, microphone: Microphone, event: TurnStarted) -> None:
        if self._playback.is_paused and microphone.peer == self._answering:
            # The speaker went on before the answer began: it is an answer to half a question.
            self.confirm()
        is_heard = self._suspect is microphone and self._suspected_at == event.at
        if is_heard:
            self._suspect = None
        else:
            self._forget_suspect()
        self._speaker = microphone
        self._pauses, self._paused = 0, False
        self._introduce(microphone.peer)
        start = microphone.heard_from(event.at)
        self._backend.put(port.TurnStartedInput(microphone.peer, event.at, start))
        if not self._whole and not is_heard:
            for frame in microphone.turn_frames():
                self._send(microphone.peer, frame, speech=True)

    def user_speech(self, speaking: bool, peer: str | None = None) -> None:
        """Tell the policy that ends turns that the model heard the user stop."""
        if not speaking and self._speaker is not None:
            self._speaker.machine.model_done()

    def _ask(self, entry: port.TurnEndedInput) -> None:
        self._answering = self._asking = entry.turn.peer
        self._asked = True
        self._asked_at = self._context.now()
        # In a mix it may be clear only now who was loudest.
        self._introduce(entry.turn.peer)
        self._backend.put(entry)

    def left(self, peer: str) -> None:
        """Let nobody wait for a peer who is gone."""
        super().left(peer)
        for microphone in [behind for behind in self._floor.behind if behind.peer == peer]:
            self._floor.leave(microphone)

    def reply_begins(self, asked: bool, peer: str | None = None) -> None:
        """Hold a reply that is about to begin while somebody speaks."""
        if not asked:
            self._asked_at = None
        super().reply_begins(asked, peer)
        if self._playback.is_paused and not self._playback.is_active:
            self._waiting.hold_reply(self._context.now())

    def tick(self) -> None:
        """Serve who waits when the room is quiet."""
        self._bound_floor()
        super().tick()
        if self._waiting and not self._playback.is_active and not self._is_anyone_in_speech():
            self._serve_waiting()

    def _bound_floor(self) -> None:
        """Keep nobody from an answer because somebody else goes on and on."""
        floor = self._floor
        if not self._playback.is_paused:
            self._waiting.release_reply()
        bot_spoke, self._bot_spoke = self._bot_spoke, self._playback.is_active
        if bot_spoke and not self._bot_spoke:
            # Who talks on through a whole answer was not waiting for one.
            for microphone in [behind for behind in floor.behind if behind.machine.turn_open]:
                self._talked_through.add(microphone)
                self._waiting.forget(microphone)
                floor.forget(microphone)
        since = floor.held_since
        if floor.holder is None or since is None or self._context.turns.mode != "local":
            # Who presses a button is speaking.
            return
        if floor.holder.peer == self._answering:
            # What they say now makes the answer that is held out of date.
            self._waiting.release_reply()
        passed = self._waiting.passes_over(floor.holder, since, self._context.now())
        if passed is not None:
            for answer in floor.give_way(passed == "background"):
                self._act(answer, None)

    def _serve_waiting(self) -> None:
        if self._asked_at is not None and self._context.now() - self._asked_at < _ANSWER_TIME:
            return
        served = self._floor.next_waiting()
        if not served:
            return
        turn, audio = self._waiting.take(served[0].key)
        self._introduce(turn.peer)
        self._backend.put(port.TurnStartedInput(turn.peer, turn.start))
        samples = self._for_backend(audio)
        if self._whole:
            self._ask(port.TurnEndedInput(turn, samples))
            return
        seconds = len(samples) / self._context.capabilities.input_rate
        self._backend.put(port.AudioInput(turn.peer, samples, seconds, speech=True))
        self._ask(port.TurnEndedInput(turn))
