"""Turn controllers: the interface of all of them, and the base of those that follow a floor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import assert_never

from fishjam_agents import events
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.events import Event, Heard, Turn
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.pipeline.context import CallContext, unchanged
from fishjam_agents.pipeline.ports import BackendInputSink, PlaybackControl
from fishjam_agents.turns.floor import Floor
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


class TurnController(ABC):
    """Decision of whose turn it is: all microphones of a call in, pauses and interruptions of the bot out."""

    # --- the room ---

    @abstractmethod
    def deliver(self, microphone: Microphone, frame: Samples | None, happened: Sequence[TurnEvent]) -> None:
        """Take a frame of a microphone, or its silence (None), with what follows from it."""

    @abstractmethod
    def tick(self) -> None:
        """Take notice of the time: called every 20 ms."""

    @abstractmethod
    def left(self, peer: str) -> None:
        """Take notice that a peer is gone; its microphones have ended what they heard."""

    @abstractmethod
    def listening_changed(self, listening: bool) -> None:
        """Take notice that nobody is heard from now on, or that everybody is again."""

    def may_interrupt(self, peer: str | None) -> bool:
        """Return whether a peer's speech now is said over the bot. Called only while a reply is under way."""
        return True

    # --- the backend ---

    @abstractmethod
    def reply_begins(self, asked: bool, peer: str | None = None) -> None:
        """Take notice that a reply is about to begin.

        Args:
            asked: Whether the app wanted it (`say`, `play`), not the model.
            peer: Whose session begins it; None where all share one.
        """

    @abstractmethod
    def user_speech(self, speaking: bool, peer: str | None = None) -> None:
        """Take what the model's own turn detection says; `peer` as in `reply_begins`."""

    @abstractmethod
    def interrupted(self, peer: str | None = None) -> None:
        """Take notice that the model interrupts its reply; `peer` as in `reply_begins`."""

    def addressee(self, reply: str) -> str | None:
        """Return the peer whom a reply answers; None for what is said to everybody."""
        return None

    @abstractmethod
    def caller(self, call: str) -> str | None:
        """Return whose words brought a tool call about."""

    # --- the app ---

    def written(self, peer: str | None) -> None:
        """Take notice that a peer, or somebody, wrote in place of speaking: replies give way as to speech."""
        self.confirm()

    @abstractmethod
    def confirm(self, *, everything: bool = False) -> Heard | None:
        """End the replies under way; return what was heard of the one playing.

        Args:
            everything: Also those that are not interruptible, or asked for and not begun: the app wants it.
        """


class FloorTurnController(TurnController):
    """Base of the controllers of one conversation: a floor, events about speech, silence before a verdict.

    Args:
        context: The call.
        playback: The replies.
        backend: Taker of what is said.

    Attributes:
        last_speaker: Who spoke last; None before anybody did, and of a mix, where nobody was loudest.
    """

    def __init__(self, context: CallContext, playback: PlaybackControl, backend: BackendInputSink) -> None:
        self.last_speaker: str | None = None
        # Whose words are to be answered, if anybody has said any.
        self._asking: str | None = None
        self._asked = False
        self._context = context
        self._playback = playback
        self._backend = backend
        self._for_backend = context.make_resampler()
        self._floor: Floor[Microphone] = Floor()
        # As a set that keeps their order.
        self._microphones: dict[Microphone, None] = {}
        # Sessions of a peer hear nobody else.
        self._introduces = context.hearing.speaker_notes and context.hearing.mode != "per_peer"
        self._introduced: str | None = None

    def tick(self) -> None:
        """Let the replies go on when nobody is waited for."""
        if self._playback.is_paused and not self._is_anyone_heard():
            self._playback.resume()

    def _is_anyone_heard(self) -> bool:
        """Return whether the bot waits for somebody who speaks, or who may be speaking."""
        return self._floor.holder is not None or self._is_anyone_in_speech()

    def _is_anyone_in_speech(self) -> bool:
        """Return whether a sound is followed that is not known as noise, of somebody who is waited for."""
        behind = self._floor.behind
        return any(mic.machine.announced and mic not in behind for mic in self._microphones)

    @property
    def is_in_speech(self) -> bool:
        """True while a sound is followed that is not known as noise."""
        return any(microphone.machine.announced for microphone in self._microphones)

    def left(self, peer: str) -> None:
        """Forget the microphones of a peer who is gone."""
        gone = [mic for mic in self._microphones if mic.peer == peer and not mic.machine.in_speech]
        for microphone in gone:
            del self._microphones[microphone]

    def listening_changed(self, listening: bool) -> None:
        """Do nothing: the microphones have ended what they heard."""

    def reply_begins(self, asked: bool, peer: str | None = None) -> None:
        """Hold a reply that is about to begin while somebody speaks."""
        if not self._playback.is_active and self._is_anyone_heard():
            self._playback.pause()

    def user_speech(self, speaking: bool, peer: str | None = None) -> None:
        """Pass over what the model's own turn detection says, unless it rules the turns."""

    def interrupted(self, peer: str | None = None) -> None:
        """End the replies: the model interrupts them."""
        self.confirm()

    def confirm(self, *, everything: bool = False) -> Heard | None:
        """End the replies under way; see `TurnController.confirm`."""
        return (
            self._playback.interrupt(everything=everything)
            if everything or self._playback.is_active
            else None
        )

    def caller(self, call: str) -> str | None:
        """Return whose turn is being answered, as whose words brought a tool call about."""
        return self._asking if self._asked else self.last_speaker

    def _send(self, peer: str | None, frame: Samples, *, speech: bool) -> None:
        # A call saved with nearly every frame.
        samples = frame if self._for_backend is unchanged else self._for_backend(frame)
        seconds = len(samples) / self._context.capabilities.input_rate
        self._backend.put(port.AudioInput(peer, samples, seconds, speech))

    def _introduce(self, peer: str | None) -> None:
        """Tell the model who speaks, if that is asked for and somebody else than before."""
        if self._introduces and peer is not None and peer != self._introduced:
            self._introduced = peer
            self._backend.put(port.TextInput(f"[{self._context.peer_name(peer)} speaks]", note=True))

    def _publish(self, microphone: Microphone, event: TurnEvent) -> Turn | None:
        context, peer, track = self._context, microphone.peer, microphone.track
        now = context.now()
        match event:
            case SpeechStarted(at):
                self.last_speaker = peer
                context.emit(events.UserStartedSpeaking(now, at, peer, track))
                context.start_hook("on_speech_started", peer)
            case SpeechEnded(at):
                context.emit(events.UserStoppedSpeaking(now, at, peer, track))
            case TurnEnded(start, end, reason, rule, probability):
                turn = Turn(context.next_turn_id(), peer, track, start, end, reason)
                told = (rule, None if probability is None else round(probability, 4))
                context.emit(events.UserTurnEnded(now, end, peer, track, start, turn.id, reason, *told))
                if reason != CANCELLED:
                    context.start_hook("on_turn", turn)
                return turn
            case TurnStarted() | Suspected() | Confirmed() | Withdrawn():
                # The floor judges barge-ins, and a turn begins with speech that was told.
                pass
            case _:
                assert_never(event)
        return None

    def _publish_barge_in(
        self, make: Callable[..., Event], microphone: Microphone, event: Suspected | Confirmed | Withdrawn
    ) -> None:
        context, reply = self._context, self._playback.current_reply
        context.emit(make(context.now(), event.at, microphone.peer, microphone.track, reply))
