"""Peers in a call: the first is greeted, and nothing more is said when the last has left."""

from __future__ import annotations

from collections.abc import Callable

from fishjam_agents import events
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.replies import Replies
from fishjam_agents.pipeline.turn_taking.controller import TurnController
from fishjam_agents.pipeline.turn_taking.crosstalk import CrossTalk


class Presence:
    """Peers that are there, as the parts of a call need to know.

    Args:
        context: The call.
        replies: The bot's replies.
        turns: The turn controller.
        crosstalk: The filter of copied turns, None without one.
        greet: Called when the first joins.

    Attributes:
        was_visited: Whether anybody has ever been there.
    """

    def __init__(
        self,
        context: CallContext,
        replies: Replies,
        turns: TurnController,
        crosstalk: CrossTalk | None,
        greet: Callable[[], None],
    ) -> None:
        self.was_visited = False
        self._context = context
        self._replies = replies
        self._turns = turns
        self._crosstalk = crosstalk
        self._greet: Callable[[], None] | None = greet
        self._present: set[str] = set()

    def joined(self, peer: str) -> None:
        """Take notice of a peer that is there."""
        self.was_visited = True
        self._present.add(peer)
        self._replies.is_unattended = False
        self._context.emit(events.PeerJoined(self._context.now(), peer))
        self._context.start_hook("on_peer_joined", peer)
        greet, self._greet = self._greet, None
        if greet is not None:
            greet()

    def left(self, peer: str) -> None:
        """Take notice of a peer that is gone."""
        self._context.emit(events.PeerLeft(self._context.now(), peer))
        self._context.start_hook("on_peer_left", peer)
        self._turns.left(peer)
        if self._crosstalk is not None:
            self._crosstalk.left(peer)
        self._present.discard(peer)
        if not self._present:
            # Whoever comes next is not to hear what another one was told.
            self._replies.is_unattended = True
            self._turns.confirm(everything=True)
