"""Turns of `hearing.mode: per_peer`: everybody has a backend session and turns of their own.

Each peer's microphones have a `LocalTurnController` whose playback is what concerns that peer
(`PeerPlayback`), so the rules of a conversation of two hold for each. They share the bot's one output: here
is decided which reply may begin, and who may speak over which.
"""

from __future__ import annotations

from collections.abc import Sequence

from fishjam_agents.audio.samples import Samples
from fishjam_agents.events import Heard
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.replies import Replies
from fishjam_agents.pipeline.turn_taking.controller import TurnController
from fishjam_agents.pipeline.turn_taking.local import LocalTurnController
from fishjam_agents.pipeline.turn_taking.peer_sessions import PeerSessions
from fishjam_agents.turns.machine import TurnEvent

_BREATH = 0.3
"""Seconds of silence between what is said to one and what is said to the next."""
_PATIENCE = 5.0
"""Seconds a reply waits for others than its addressee to stop talking: they may be talking to each other."""


class PerPeerTurnController(TurnController):
    """Turns of a call with a controller for each peer.

    Args:
        context: The call.
        replies: The replies to all peers.
        sessions: The peers' backend sessions; opened and closed here.
    """

    def __init__(self, context: CallContext, replies: Replies, sessions: PeerSessions) -> None:
        self._context = context
        self._replies = replies
        self._sessions = sessions
        self._anybody = context.hearing.interrupts == "anybody"
        self._turns: dict[str, LocalTurnController] = {}
        self._sounded: tuple[str | None, float] = (None, float("-inf"))
        self._head: tuple[str, float] = ("", 0.0)

    @property
    def controllers(self) -> Sequence[LocalTurnController]:
        """Controllers of the peers that have been heard."""
        return tuple(self._turns.values())

    # --- the room ---

    def deliver(self, microphone: Microphone, frame: Samples | None, happened: Sequence[TurnEvent]) -> None:
        """Take a frame of a microphone, or its silence (None), with what follows from it."""
        peer = microphone.peer or ""
        turns = self._turns.get(peer)
        if turns is None:
            playback = PeerPlayback(self, self._replies, peer)
            turns = self._turns[peer] = LocalTurnController(self._context, playback, self._sessions)
            self._sessions.open(peer)
        turns.deliver(microphone, frame, happened)
        if happened:
            self.settle()

    def left(self, peer: str) -> None:
        """End what the bot would have told a peer who is gone, and their session."""
        if self._turns.pop(peer, None) is not None:
            self._replies.interrupt(everything=True, of=lambda reply: self.addressee(reply) == peer)
            self._sessions.close(peer)

    def listening_changed(self, listening: bool) -> None:
        """Do nothing: the microphones have ended what they heard."""

    def tick(self) -> None:
        """Pass the time on, and hold or release what is being said."""
        for turns in self._turns.values():
            turns.tick()
        self.settle()

    # --- the backend: what has no peer is known from the session it came by ---

    def reply_begins(self, asked: bool, peer: str | None = None) -> None:
        """Take notice that a reply of a peer's session is about to begin."""
        if peer in self._turns:
            self._turns[peer].reply_begins(asked)

    def user_speech(self, speaking: bool, peer: str | None = None) -> None:
        """Take what the turn detection of a peer's model says."""
        if peer in self._turns:
            self._turns[peer].user_speech(speaking)

    def interrupted(self, peer: str | None = None) -> None:
        """Take notice that a peer's model interrupts its reply."""
        if peer in self._turns:
            self._turns[peer].interrupted()

    def confirm(self, *, everything: bool = False) -> Heard | None:
        """End the replies to everybody; return what was heard of the one playing."""
        return self._replies.interrupt(everything=everything)

    def written(self, peer: str | None) -> None:
        """End the replies that concern who wrote; those to others go on."""
        self._replies.interrupt(of=lambda reply: self._concerns(reply, peer))

    # --- whose reply it is, and who may do what to it ---

    def addressee(self, reply: str) -> str | None:
        """Return the peer whom a reply answers; None for what is said to everybody."""
        return self._sessions.addressee(reply)

    def caller(self, call: str) -> str | None:
        """Return the peer whose words brought a tool call about."""
        return self._sessions.addressee(call)

    def answers(self, peer: str) -> list[str]:
        """Return the replies under way that answer a peer."""
        return [reply for reply in self._replies.live if self.addressee(reply) == peer]

    def may_interrupt(self, peer: str | None) -> bool:
        """Return whether a peer's speech now is said over the bot. Called only while a reply is under way."""
        current = self._replies.current_reply
        return current is not None and self._concerns(current, peer)

    def _concerns(self, reply: str, peer: str | None) -> bool:
        return self._anybody or self.addressee(reply) in (None, peer)

    def _is_spoken_over(self, reply: str) -> bool:
        """Return whether somebody speaks who may interrupt a reply."""
        return any(turns.is_in_speech and self._concerns(reply, peer) for peer, turns in self._turns.items())

    def settle(self) -> None:
        """Hold what is being said while somebody speaks over it who may; else let it go on."""
        replies = self._replies
        reply = replies.current_reply
        if reply is None or not replies.sounds(reply):
            replies.resume()
            return
        self._sounded = (self.addressee(reply), self._context.now())
        if self._is_spoken_over(reply):
            replies.pause()
        else:
            replies.resume()

    def may_begin(self, reply: str) -> bool:
        """Return whether a reply may sound now: it queues behind the others, and waits for whoever speaks."""
        if self._replies.current_reply != reply:
            return False
        now = self._context.now()
        if self._head[0] != reply:
            self._head = (reply, now)
        addressee = self.addressee(reply)
        last, sounded = self._sounded
        if last != addressee and now - sounded < _BREATH:
            return False
        if not any(turns.is_in_speech for turns in self._turns.values()):
            return True
        has_waited = now - self._head[1] >= _PATIENCE
        return has_waited and not self._is_spoken_over(reply)


class PeerPlayback:
    """Playback as far as it concerns one peer: replies to it, and those it may interrupt.

    A `ports.PlaybackControl`.

    Args:
        turns: Decides which replies the peer may interrupt.
        replies: The replies to all peers.
        peer: The peer.
    """

    def __init__(self, turns: PerPeerTurnController, replies: Replies, peer: str) -> None:
        self._turns = turns
        self._replies = replies
        self._peer = peer

    @property
    def is_active(self) -> bool:
        """True while there is something to interrupt: an answer to the peer, or the current reply."""
        return self._may_interrupt or bool(self._turns.answers(self._peer))

    @property
    def is_paused(self) -> bool:
        """True while the peer waits for an answer that is there."""
        answers = self._turns.answers(self._peer)
        if not answers:
            return False
        return self._replies.is_paused or not any(self._replies.sounds(reply) for reply in answers)

    @property
    def current_reply(self) -> str | None:
        """Id of the reply that the peer would interrupt."""
        if self._may_interrupt:
            return self._replies.current_reply
        return next(iter(self._turns.answers(self._peer)), None)

    @property
    def _may_interrupt(self) -> bool:
        return self._turns.may_interrupt(self._peer)

    def pause(self) -> None:
        """Hold what the peer may interrupt."""
        self._turns.settle()

    def resume(self) -> None:
        """Let it go on."""
        self._turns.settle()

    def interrupt(self, *, everything: bool = False) -> Heard | None:
        """End the replies to the peer, and what it may interrupt; return what was heard of the first."""
        doomed = set(self._turns.answers(self._peer))
        current = self._replies.current_reply
        if current is not None and self._may_interrupt:
            doomed.add(current)
        return self._replies.interrupt(everything=everything, of=doomed.__contains__)
