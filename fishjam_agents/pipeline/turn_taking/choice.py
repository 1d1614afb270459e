"""The turn controller that a call's settings ask for."""

from __future__ import annotations

from typing import assert_never

from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.ports import BackendInputSink
from fishjam_agents.pipeline.replies import Replies
from fishjam_agents.pipeline.turn_taking.backend import BackendTurnController
from fishjam_agents.pipeline.turn_taking.controller import TurnController
from fishjam_agents.pipeline.turn_taking.local import LocalTurnController
from fishjam_agents.pipeline.turn_taking.peer_sessions import PeerSessions
from fishjam_agents.pipeline.turn_taking.per_peer import PerPeerTurnController
from fishjam_agents.pipeline.turn_taking.push_to_talk import PushToTalkTurnController
from fishjam_agents.playout.audio_output import AudioOutput


def make_turns(
    context: CallContext,
    replies: Replies,
    backend: BackendInputSink,
    turns: BackendInputSink,
    output: AudioOutput,
) -> TurnController:
    """Make the turn controller of a call.

    Args:
        context: The call.
        replies: Its replies.
        backend: Taker of what the backend is told.
        turns: The same where turns are ours: text may be added to them.
        output: Plays the replies.
    """
    if isinstance(backend, PeerSessions):
        per_peer = PerPeerTurnController(context, replies, backend)
        output.ask(per_peer.may_begin)
        return per_peer
    match context.turns.mode:
        case "local":
            return LocalTurnController(context, replies, turns)
        case "backend":
            return BackendTurnController(context, replies, backend)
        case "push_to_talk":
            return PushToTalkTurnController(context, replies, turns)
        case mode:
            assert_never(mode)
