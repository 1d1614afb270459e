"""Why a call ended, when nothing went wrong."""

from __future__ import annotations

import enum


class Ending(enum.Enum):
    """Why a call ended; the value is a sentence's end for people: "the call ended: ..."."""

    STOPPED = "it was stopped"
    FINISHED = "the bot ended it"
    MAX_CALL = "limits.max_call was reached"
    EMPTY_ROOM = "nobody was left in the room"
