"""`hearing.mode: per_peer`: everybody has a backend session and turns of their own; the bot has one voice.

Each peer's microphones have a `LocalTurnController` that sees of the room only that peer's place in it
(`PeerTurnContext`), so the rules of a conversation of two hold for each. Here is what they share: which reply
may begin, and who may speak over which.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.events import Event, Heard
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.pipeline.turn_taking.local import LocalTurnController
from fishjam_agents.pipeline.turn_taking.peer_sessions import Sessions
from fishjam_agents.turns.machine import TurnEvent

if TYPE_CHECKING:
    from fishjam_agents.pipeline.call import Call

_BREATH = 0.3
"""Seconds of silence between what is said to one and what is said to the next."""
_PATIENCE = 5.0
"""Seconds a reply waits for others than its addressee to stop talking: they may be talking to each other."""


class PerPeerTurnController:
    """The owners of the turns of a call, one for each peer; `Call` uses it like one owner of them all.

    Args:
        call: The call.
        connect: Makes the link of a session, given who takes its events.
        limit: How many sessions may be open.
        anybody: Whether anybody's speech ends a reply, or only that of the one it answers.

    Attributes:
        sessions: The peers' backend sessions.
    """

    def __init__(
        self,
        call: Call,
        connect: Callable[[Callable[[port.BackendEvent], None]], BackendLink],
        limit: int,
        anybody: bool,
    ) -> None:
        self.call = call
        self.sessions = Sessions(connect, limit, self._event)
        self._anybody = anybody
        self._owners: dict[str, LocalTurnController] = {}
        self._sounded: tuple[str | None, float] = (None, float("-inf"))
        self._head: tuple[str, float] = ("", 0.0)

    # --- what microphones and peers do ---

    def deliver(self, microphone: Microphone, frame: Samples | None, happened: Sequence[TurnEvent]) -> None:
        """Take a frame of a microphone, or its silence (None), with what follows from it."""
        peer = microphone.peer or ""
        owner = self._owners.get(peer)
        if owner is None:
            owner = self._owners[peer] = LocalTurnController(PeerTurnContext(self, peer))
            self.sessions.open(peer)
        owner.deliver(microphone, frame, happened)
        if happened:
            self.settle()

    def left(self, peer: str) -> None:
        """A peer is gone: so is what the bot would have told them, and their session."""
        if self._owners.pop(peer, None) is not None:
            self.call.replies.interrupt(everything=True, of=lambda reply: self.addressee(reply) == peer)
            self.sessions.close(peer)

    def tick(self) -> None:
        """Called every 20 ms."""
        for owner in self._owners.values():
            owner.tick()
        self.settle()

    # --- what backends do ---

    def _event(self, peer: str, event: port.BackendEvent) -> None:
        owner = self._owners.get(peer)
        if owner is not None and isinstance(event, port.Interrupted):
            if event.reply is None or self.call.replies.speech(event.reply) is not None:
                owner.interrupted()
            return
        if owner is not None and isinstance(event, port.UserSpeech):
            owner.user_speech(event.speaking)
            return
        if isinstance(event, port.BackendFailure):
            message = f"the session of {self.call.name(peer)}: {event.message}"
            self.call.emit(replace(event, message=message, at=self.call.now()))
            self.call.replies.end_unfinished(lambda reply: self.addressee(reply) == peer)
            return
        if owner is not None and isinstance(event, port.ReplyStarted):
            owner.reply_begins(asked=False)
        self.call.backend_event(event)

    def reply_begins(self, asked: bool) -> None:
        """A reply is about to begin: whose it is, its session has told."""

    def user_speech(self, speaking: bool) -> None:
        """The model's own turn detection spoke: whose, its session has told."""

    def interrupted(self) -> None:
        """The model interrupts its reply: whose it is, its session has told."""

    def confirm(self, *, everything: bool = False) -> Heard | None:
        """End the replies to everybody; what was heard of the one playing."""
        return self.call.interrupt_replies(everything)

    # --- whose reply it is, and who may do what to it ---

    def addressee(self, reply: str) -> str | None:
        """Whom a reply answers, None for what is said to everybody."""
        return self.sessions.addressee(reply)

    def caller(self, call: str) -> str | None:
        """Return the peer whose words brought a tool call about."""
        return self.sessions.addressee(call)

    def answers(self, peer: str) -> list[str]:
        """The replies under way that answer a peer."""
        return [reply for reply in self.call.replies.live if self.addressee(reply) == peer]

    def may_interrupt(self, peer: str | None) -> bool:
        """Return whether a peer's speech now is said over the bot. Called only while a reply is under way."""
        current = self.call.current_reply()
        return current is not None and self._hears(current, peer)

    def _hears(self, reply: str, peer: str | None) -> bool:
        return self._anybody or self.addressee(reply) in (None, peer)

    def settle(self) -> None:
        """Hold what is being said while somebody speaks over it who may; else let it go on."""
        call = self.call
        reply = call.current_reply()
        if reply is None or not call.sounds(reply):
            call.resume()
            return
        self._sounded = (self.addressee(reply), call.now())
        if any(m.machine.announced and self._hears(reply, m.peer) for m in call.microphones):
            call.pause()
        else:
            call.resume()

    def may_begin(self, reply: str) -> bool:
        """Return whether a reply may sound now: it queues behind the others, and waits for whoever speaks."""
        call = self.call
        if call.current_reply() != reply:
            return False
        now = call.now()
        if self._head[0] != reply:
            self._head = (reply, now)
        addressee = self.addressee(reply)
        last, sounded = self._sounded
        if last != addressee and now - sounded < _BREATH:
            return False
        speaking = [m.peer for m in call.microphones if m.machine.announced]
        if not speaking:
            return True
        waited = now - self._head[1] >= _PATIENCE
        return waited and not any(self._hears(reply, peer) for peer in speaking)


class PeerTurnContext:
    """Room as one peer's owner of turns sees it: its peer, and the replies to it. An `owners.Room`."""

    speaker_notes = False

    def __init__(self, owners: PerPeerTurnController, peer: str) -> None:
        call = owners.call
        self.settings = call.settings
        self.capabilities = call.capabilities
        self._owners = owners
        self._call = call
        self._peer = peer
        # A resampler has a past, so that each voice needs its own.
        self._resampler = call.resampler()

    def now(self) -> float:
        """Call time, seconds."""
        return self._call.now()

    def emit(self, event: Event) -> None:
        """Publish an event."""
        self._call.emit(event)

    def hook(self, name: str, *arguments: object) -> None:
        """Start a hook."""
        self._call.hook(name, *arguments)

    def put(self, entry: port.BackendInput) -> None:
        """Pass an entry to the peer's session."""
        self._owners.sessions.put(entry)

    def for_backend(self, samples: Samples) -> Samples:
        """Audio at the backend's rate."""
        return self._resampler(samples)

    def interrupt_replies(self, everything: bool = False) -> Heard | None:
        """Interrupt the replies to the peer, and what is said if it may; what was heard of the first."""
        owners, replies = self._owners, self._call.replies
        doomed = set(owners.answers(self._peer))
        current = self._call.current_reply()
        if current is not None and self._may_interrupt():
            doomed.add(current)
        return replies.interrupt(everything=everything, of=doomed.__contains__)

    def pause(self) -> None:
        """Hold what the peer may interrupt."""
        self._owners.settle()

    def resume(self) -> None:
        """Let it go on."""
        self._owners.settle()

    def paused(self) -> bool:
        """Return whether the peer waits for an answer that is there."""
        answers = self._owners.answers(self._peer)
        if not answers:
            return False
        return self._call.paused() or not any(self._call.sounds(reply) for reply in answers)

    def bot_speaks(self) -> bool:
        """Return whether there is anything to interrupt: an answer to the peer, or the current reply."""
        return self._may_interrupt() or bool(self._owners.answers(self._peer))

    def _may_interrupt(self) -> bool:
        return self._owners.may_interrupt(self._peer)

    def current_reply(self) -> str | None:
        """Return the reply that the peer would interrupt."""
        if self._may_interrupt():
            return self._call.current_reply()
        return next(iter(self._owners.answers(self._peer)), None)

    def anyone_in_speech(self, but: Container[Microphone] = ()) -> bool:
        """Return whether a microphone of the peer is in speech."""
        own = (m for m in self._call.microphones if m.peer == self._peer and m not in but)
        return any(m.machine.announced for m in own)

    def name(self, peer: str) -> str:
        """Return the name of a peer."""
        return self._call.name(peer)

    def next_turn(self) -> str:
        """An id for a turn, unique in the call."""
        return self._call.next_turn()
