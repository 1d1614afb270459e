"""Who rules over turns: what all ways share, and our own voice detection. The model's is in `backend_owner`.

Both silence the bot at the first suspicion; they differ in who confirms it and in what the backend hears.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from fishjam_agents import events
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.events import Event, Heard, Turn
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.pipeline.room import Room
from fishjam_agents.pipeline.turn_taking.waiting_turns import Waiting
from fishjam_agents.turns.floor import Floor, FloorEvent, GaveWay
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


class TurnController:
    """Common base of both ways: events about speech, and the silence before a verdict.

    Attributes:
        last_speaker: Who spoke last; None before anybody did, and of a mix, where nobody was loudest.
    """

    def __init__(self, room: Room) -> None:
        self.last_speaker: str | None = None
        # Whose words are to be answered, if anybody has said any.
        self._asking: str | None = None
        self._asked = False
        self._room = room
        self._floor: Floor[Microphone] = Floor()
        self._introduced: str | None = None

    def deliver(self, microphone: Microphone, frame: Samples | None, happened: Sequence[TurnEvent]) -> None:
        """Take a frame of a microphone, or its silence (None), with what follows from it."""
        raise NotImplementedError

    def tick(self) -> None:
        """Called every 20 ms."""
        room = self._room
        if room.paused() and not self._anyone_heard():
            room.resume()

    def _anyone_heard(self) -> bool:
        """Whether the bot waits for somebody who speaks, or who may be speaking."""
        return self._floor.holder is not None or self._room.anyone_in_speech(self._floor.behind)

    def reply_begins(self, asked: bool) -> None:
        """A reply is about to begin: it waits while somebody speaks. `asked` if the app wanted it."""
        if not self._room.bot_speaks() and self._anyone_heard():
            self._room.pause()

    def user_speech(self, speaking: bool) -> None:
        """The model's own turn detection spoke; of no weight unless it owns turns."""

    def interrupted(self) -> None:
        """The model interrupts its reply."""
        self.confirm()

    def confirm(self, *, everything: bool = False) -> Heard | None:
        """End the replies under way; what was heard of the one playing.

        Args:
            everything: Also those that are not interruptible, or asked for and not begun: the app wants it.
        """
        return self._room.interrupt_replies(everything) if everything or self._room.bot_speaks() else None

    def may_interrupt(self, peer: str | None) -> bool:
        """Return whether a peer's speech now is said over the bot. Called only while a reply is under way."""
        return True

    def caller(self, call: str) -> str | None:
        """Whose words brought a tool call about: the turn that is being answered."""
        return self._asking if self._asked else self.last_speaker

    def left(self, peer: str) -> None:
        """A peer is gone; its microphones have ended what they heard."""

    def _introduce(self, peer: str | None) -> None:
        """Tell the model who speaks, if that is asked for and somebody else than before."""
        if self._room.speaker_notes and peer is not None and peer != self._introduced:
            self._introduced = peer
            self._room.put(port.TextInput(f"[{self._room.name(peer)} speaks]", note=True))

    def _publish(self, microphone: Microphone, event: TurnEvent) -> Turn | None:
        room, peer, track = self._room, microphone.peer, microphone.track
        if isinstance(event, SpeechStarted):
            self.last_speaker = peer
            room.emit(events.UserStartedSpeaking(room.now(), event.at, peer, track))
            room.hook("on_speech_started", peer)
        elif isinstance(event, SpeechEnded):
            room.emit(events.UserStoppedSpeaking(room.now(), event.at, peer, track))
        elif isinstance(event, TurnEnded):
            turn = Turn(room.next_turn(), peer, track, event.start, event.end, event.reason)
            room.emit(
                events.UserTurnEnded(room.now(), event.end, peer, track, event.start, turn.id, event.reason)
            )
            if event.reason != CANCELLED:
                room.hook("on_turn", turn)
            return turn
        return None

    def _publish_barge_in(
        self, make: Callable[..., Event], microphone: Microphone, event: Suspected | Confirmed | Withdrawn
    ) -> None:
        room = self._room
        room.emit(make(room.now(), event.at, microphone.peer, microphone.track, room.current_reply()))


class LocalTurnController(TurnController):
    """Our voice detection decides: the backend hears turns, one speaker at a time."""

    def __init__(self, room: Room) -> None:
        super().__init__(room)
        self._speaker: Microphone | None = None
        self._answering: str | None = None
        self._asked_at: float | None = None
        self._waiting = Waiting()
        self._talked_through: set[Microphone] = set()
        self._bot_spoke = False
        self._whole = room.capabilities.wants_turn_audio
        self._wants_pauses = room.capabilities.wants_pauses
        self._pauses = 0
        self._paused = False

    def deliver(self, microphone: Microphone, frame: Samples | None, happened: Sequence[TurnEvent]) -> None:
        """Take a frame of a microphone, or its silence (None), with what follows from it."""
        if frame is not None and self._speaker is microphone and not self._whole:
            self._send(microphone.peer, frame)
        for event in self._judge(microphone, happened):
            turn = self._publish(microphone, event)
            answers = self._floor.handle(microphone, event)
            if turn is not None and not answers and turn.reason != CANCELLED:
                self._waiting.add(microphone, turn)
            for answer in answers:
                self._act(answer, turn)
            if self._wants_pauses and self._speaker is microphone:
                self._tell_pause(microphone, event)

    def _judge(self, microphone: Microphone, happened: Sequence[TurnEvent]) -> Sequence[TurnEvent]:
        """Take back the turns that nobody is to be answered for."""
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
        """The speaker pauses, which may be the end of the turn, or goes on."""
        room = self._room
        if isinstance(event, SpeechStarted) and self._paused:
            self._paused = False
            room.put(port.TurnResumedInput(microphone.peer))
        elif isinstance(event, SpeechEnded) and microphone.machine.turn_open and self._pauses < _PAUSES:
            self._pauses += 1
            self._paused = True
            audio = room.for_backend(microphone.turn_audio(event.at)) if self._whole else None
            room.put(port.TurnPausedInput(microphone.peer, event.at, audio))

    def _act(self, answer: FloorEvent[Microphone], turn: Turn | None) -> None:
        room, microphone, event = self._room, answer.key, answer.event
        if isinstance(event, Suspected):
            room.pause()
            self._publish_barge_in(events.BargeInSuspected, microphone, event)
        elif isinstance(event, Withdrawn):
            self._publish_barge_in(events.BargeInWithdrawn, microphone, event)
            room.resume()
        elif isinstance(event, Confirmed):
            self._publish_barge_in(events.BargeInConfirmed, microphone, event)
            self.confirm()
        elif isinstance(event, TurnStarted):
            self._open(microphone, event)
        elif isinstance(event, GaveWay):
            self._speaker = None
            room.put(port.TurnCancelledInput(microphone.peer))
        elif turn is not None:
            self._speaker = None
            if turn.reason == CANCELLED:
                room.put(port.TurnCancelledInput(turn.peer))
                return
            audio = room.for_backend(microphone.turn_audio(turn.end)) if self._whole else None
            self._waiting.asked(microphone)
            self._ask(port.TurnEndedInput(turn, audio))

    def _open(self, microphone: Microphone, event: TurnStarted) -> None:
        room = self._room
        if room.paused() and microphone.peer == self._answering:
            # The speaker went on before the answer began: it is an answer to half a question.
            self.confirm()
        self._speaker = microphone
        self._pauses, self._paused = 0, False
        self._introduce(microphone.peer)
        room.put(port.TurnStartedInput(microphone.peer, event.at))
        if not self._whole:
            for frame in microphone.turn_frames():
                self._send(microphone.peer, frame)

    def _send(self, peer: str | None, frame: Samples) -> None:
        samples = self._room.for_backend(frame)
        seconds = len(samples) / self._room.capabilities.input_rate
        self._room.put(port.AudioInput(peer, samples, seconds, speech=True))

    def user_speech(self, speaking: bool) -> None:
        """The model heard the user stop: the policy that ends turns may want to know."""
        if not speaking and self._speaker is not None:
            self._speaker.machine.model_done()

    def _ask(self, entry: port.TurnEndedInput) -> None:
        self._answering = self._asking = entry.turn.peer
        self._asked = True
        self._asked_at = self._room.now()
        # In a mix it may be clear only now who was loudest.
        self._introduce(entry.turn.peer)
        self._room.put(entry)

    def left(self, peer: str) -> None:
        """A peer is gone; its microphones have ended what they heard."""
        for microphone in [behind for behind in self._floor.behind if behind.peer == peer]:
            self._floor.leave(microphone)

    def reply_begins(self, asked: bool) -> None:
        """A reply is about to begin: it waits while somebody speaks."""
        if not asked:
            self._asked_at = None
        super().reply_begins(asked)
        if self._room.paused() and not self._room.bot_speaks():
            self._waiting.hold_reply(self._room.now())

    def tick(self) -> None:
        """Called every 20 ms."""
        self._bound_floor()
        super().tick()
        room = self._room
        if self._waiting and not room.bot_speaks() and not room.anyone_in_speech(self._floor.behind):
            self._serve_waiting()

    def _bound_floor(self) -> None:
        """See that nobody who goes on and on keeps the others from their answers."""
        floor, room = self._floor, self._room
        if not room.paused():
            self._waiting.release_reply()
        bot_spoke, self._bot_spoke = self._bot_spoke, room.bot_speaks()
        if bot_spoke and not self._bot_spoke:
            # Who talks on through a whole answer was not waiting for one.
            for microphone in [behind for behind in floor.behind if behind.machine.turn_open]:
                self._talked_through.add(microphone)
                self._waiting.forget(microphone)
                floor.forget(microphone)
        since = floor.held_since
        if floor.holder is None or since is None or room.settings.mode != "local":
            # Who presses a button is speaking.
            return
        if floor.holder.peer == self._answering:
            # What they say now makes the answer that is held out of date.
            self._waiting.release_reply()
        passed = self._waiting.passes_over(floor.holder, since, room.now())
        if passed is not None:
            for answer in floor.give_way(passed == "background"):
                self._act(answer, None)

    def _serve_waiting(self) -> None:
        if self._asked_at is not None and self._room.now() - self._asked_at < _ANSWER_TIME:
            return
        served = self._floor.next_waiting()
        if not served:
            return
        room = self._room
        turn, audio = self._waiting.take(served[0].key)
        self._introduce(turn.peer)
        room.put(port.TurnStartedInput(turn.peer, turn.start))
        samples = room.for_backend(audio)
        if self._whole:
            self._ask(port.TurnEndedInput(turn, samples))
            return
        seconds = len(samples) / room.capabilities.input_rate
        room.put(port.AudioInput(turn.peer, samples, seconds, speech=True))
        self._ask(port.TurnEndedInput(turn))
