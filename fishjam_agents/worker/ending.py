"""Why a call ended, when nothing went wrong."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from fishjam_agents.events import EndReason


class Ending(enum.Enum):
    """Why a call ended; the value is a sentence's end for people: "the call ended: ..."."""

    STOPPED = "it was stopped"
    FINISHED = "the bot ended it"
    MAX_CALL = "limits.max_call was reached"
    EMPTY_ROOM = "nobody was left in the room"


REASONS: Mapping[Ending, EndReason] = {
    Ending.STOPPED: "stopped",
    Ending.FINISHED: "bot",
    Ending.MAX_CALL: "max_call",
    Ending.EMPTY_ROOM: "empty_room",
}
"""What the event `call_ended` says of it."""
