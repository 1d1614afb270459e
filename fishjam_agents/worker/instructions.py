"""Places in instructions for what is known of a call, as in `You talk to {peer.metadata.name:-a caller}`."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from fishjam_agents.worker.room_snapshot import RoomSnapshot

logger = logging.getLogger(__name__)

LONGEST_VALUE = 500
"""Characters that a value may put into the instructions: people write their metadata themselves."""

_PLACE = re.compile(r"\{(room\.id|peer\.id|(?:peer\.metadata|variables)\.[\w-]+)(?::-([^{}]*))?\}")


def fill(text: str, room: RoomSnapshot, variables: Mapping[str, Any]) -> str:
    """Instructions with their places filled; other braces stay as they are.

    `{peer.metadata.NAME}` and `{peer.id}` are those of the first person in the room, `{room.id}` the room's,
    `{variables.NAME}` what the calls API was given. `{...:-words}` gives the words where there is no value,
    as in a shell; without them nothing stands there.

    Args:
        text: The instructions.
        room: The room, as the bot joins it.
        variables: Values of the call.
    """
    values: dict[str, Any] = {"room.id": room.id}
    if room.people:
        person = room.people[0]
        values["peer.id"] = person.id
        for part in reversed(person.metadata):
            values |= {f"peer.metadata.{name}": value for name, value in part.items()}
    values |= {f"variables.{name}": value for name, value in variables.items()}

    def replaced(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        value = _shown(values.get(name))
        if value == "" and default is None:
            logger.warning("the instructions have no value for {%s}", name, extra={"room": room.id})
        return value or default or ""

    return _PLACE.sub(replaced, text)


def _shown(value: Any) -> str:
    """A value as one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(str(value).split())[:LONGEST_VALUE]
