"""Reasons for which a call ended, when nothing went wrong."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from fishjam_agents.events import EndReason


class CallOutcome(enum.Enum):
    """Reason for which a call ended; the value ends a sentence for people: "the call ended: ..."."""

    STOPPED = "it was stopped"
    FINISHED = "the bot ended it"
    MAX_CALL = "limits.max_call was reached"
    EMPTY_ROOM = "nobody was left in the room"


REASONS: Mapping[CallOutcome, EndReason] = {
    CallOutcome.STOPPED: "stopped",
    CallOutcome.FINISHED: "bot",
    CallOutcome.MAX_CALL: "max_call",
    CallOutcome.EMPTY_ROOM: "empty_room",
}
"""Reason in the event `call_ended`."""
