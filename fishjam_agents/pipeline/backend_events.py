"""Dispatch of the events of a backend to the parts of a call."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import assert_never

from fishjam_agents import events
from fishjam_agents.backends import port
from fishjam_agents.backends.tracebacks import of_a_user
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.out_of_band import OutOfBandRequests
from fishjam_agents.pipeline.replies import Replies
from fishjam_agents.pipeline.room_audio import RoomAudio
from fishjam_agents.pipeline.tools import CallTools
from fishjam_agents.pipeline.turn_taking.controller import TurnController

logger = logging.getLogger(__name__)


class BackendEvents:
    """Taker of the events of all backend sessions of a call.

    Args:
        context: The call.
        replies: Its replies.
        turns: Its turn controller.
        audio: The room's audio.
        tools: Its tools.
        questions: Questions beside the conversation.
    """

    def __init__(
        self,
        context: CallContext,
        replies: Replies,
        turns: TurnController,
        audio: RoomAudio,
        tools: CallTools,
        questions: OutOfBandRequests,
    ) -> None:
        self._context = context
        self._replies = replies
        self._turns = turns
        self._audio = audio
        self._tools = tools
        self._questions = questions

    def take(self, event: port.BackendEvent, peer: str | None = None) -> None:
        """Take an event of a backend session; synchronous, and never raises.

        Args:
            event: The event.
            peer: Whose session it is; None where all share one.
        """
        context = self._context
        try:
            if isinstance(event, port.ReplyAudio):
                # So it is with nearly every event.
                self._replies.add_audio(event.reply, event.samples)
            else:
                self._dispatch(event, peer)
        except Exception as error:
            if of_a_user(error):
                context.end.fail_inside(error)
                return
            logger.exception("An event of the backend could not be handled: %s", type(event).__name__)
            context.emit(events.ErrorRaised(context.now(), f"{type(event).__name__}: {error!r}", "backend"))

    def _dispatch(self, event: port.BackendEvent, peer: str | None) -> None:
        context = self._context
        match event:
            case port.ReplyAudio() | port.ReplyStarted() | port.ReplyTextDelta() | port.ReplyAudioEnded():
                if peer is not None and isinstance(event, port.ReplyStarted):
                    self._turns.reply_begins(False, peer)
                self._replies.handle(event)
            case port.UserSpeech():
                self._turns.user_speech(event.speaking, peer)
            case port.Interrupted():
                if event.reply is None or self._replies.speech(event.reply) is not None:
                    self._turns.interrupted(peer)
            case port.UserTranscript():
                context.emit(event.stamped(context.now()))
                context.start_hook("on_transcript", event.text, event.final, event.peer)
                # A transcript that comes after its turn would be taken for that of the next sound.
                if context.capabilities.transcripts:
                    self._audio.understood(event.text, event.final, event.peer, event.start)
            case port.PauseTranscript():
                self._audio.transcribed(event.text, event.at, event.peer)
            case port.ToolCall() | port.ToolCallCancelled():
                self._tools.handle(event)
            case port.OutOfBandResponse():
                self._questions.answered(event)
            case port.VendorEvent():
                context.start_hook("on_vendor_event", event.kind, event.message)
            case port.ReplyLatency() | port.PreemptiveReply() | port.BackendUsage() | port.BackendWarning():
                context.emit(event.stamped(context.now()))
            case port.VendorUnavailable() | port.VendorAvailable():
                context.emit(event.stamped(context.now()))
            case port.BackendFailure():
                self._backend_failed(event, peer)
            case _:
                assert_never(event)

    def _backend_failed(self, event: port.BackendFailure, peer: str | None) -> None:
        """End what the backend was saying; the sessions of other peers go on."""
        context = self._context
        if peer is None:
            context.emit(event.stamped(context.now()))
            self._replies.end_unfinished()
        else:
            message = f"the session of {context.peer_name(peer)}: {event.message}"
            context.emit(replace(event, message=message, at=context.now()))
            self._replies.end_unfinished(lambda reply: self._turns.addressee(reply) == peer)
