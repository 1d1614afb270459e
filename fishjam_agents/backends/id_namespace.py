"""Ids of replies and tool calls that several connections make, kept apart in the call."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from typing import assert_never

from fishjam_agents.backends.events import (
    BackendEvent,
    Interrupted,
    OutOfBandResponse,
    PauseTranscript,
    ReplyAudio,
    ReplyAudioEnded,
    ReplyTextDelta,
    ToolCall,
    ToolCallCancelled,
    UserSpeech,
    VendorEvent,
)
from fishjam_agents.events import (
    BackendFailure,
    BackendUsage,
    BackendWarning,
    PreemptiveReply,
    ReplyLatency,
    ReplyStarted,
    UserTranscript,
    VendorAvailable,
    VendorUnavailable,
)


@dataclass(frozen=True, slots=True)
class IdNamespace:
    """Ids of one of several connections: the call knows `id` as `id@number`, whatever the separator is.

    Args:
        separator: One character, not that of another layer which does the same.
        number: Number of the connection, unique in the call.
        fixed: Ids that the app gave, of words to speak, which are the same everywhere.
    """

    separator: str
    number: int
    fixed: Container[str] = ()

    def public(self, own: str) -> str:
        """Return the id by which the call knows an id of this connection."""
        return own if own in self.fixed else f"{own}{self.separator}{self.number}"

    def own(self, public: str) -> str | None:
        """Return the connection's id for what the call knows; None if it is another one's."""
        own, number = split_id(public, self.separator)
        return own if number in (None, self.number) else None

    def renamed(self, event: BackendEvent) -> BackendEvent:
        """Return an event of the connection as the call is told of it."""
        match event:
            case ReplyStarted() | ReplyAudio() | ReplyTextDelta() | ReplyAudioEnded() | ReplyLatency():
                return replace(event, reply=self.public(event.reply))
            case Interrupted(reply):
                return event if reply is None else replace(event, reply=self.public(reply))
            case ToolCall() | ToolCallCancelled():
                return replace(event, call=self.public(event.call))
            case UserSpeech() | UserTranscript() | PauseTranscript():
                return event
            case PreemptiveReply() | OutOfBandResponse():
                return event
            case VendorEvent() | BackendUsage() | BackendWarning() | BackendFailure():
                return event
            case VendorUnavailable() | VendorAvailable():
                return event
            case _:
                assert_never(event)


def split_id(public: str, separator: str) -> tuple[str, int | None]:
    """Return a connection's own id, and its number; None for an id that belongs to no connection."""
    own, _, number = public.rpartition(separator)
    return (own, int(number)) if own and number.isdecimal() else (public, None)
