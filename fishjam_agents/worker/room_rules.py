"""Rules by which rooms get a bot, and which one; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fishjam_agents.errors import SettingError
from fishjam_agents.worker.room_snapshot import RoomSnapshot

RoomTypeName = Literal[
    "conference", "audio_only", "livestream", "audio_only_livestream", "full_feature", "broadcaster"
]
"""Types of rooms (Fishjam's OpenAPI document, `RoomType`); the last two are older names."""

_OLD_NAMES = {"full_feature": "conference", "broadcaster": "livestream"}
_LIVESTREAMS = frozenset({"livestream", "audio_only_livestream"})
"""In these people watch, and nobody talks to a bot: they get one only where a rule names them."""


@dataclass(frozen=True, slots=True)
class RoomRule:
    """Rooms that get one kind of bot. A room gets the bot of the first rule it fits.

    Several conditions of one rule must all be met.

    Attributes:
        bot: The bot, a key of `bots`; may be left out where a file has only one.
        id: Ids of rooms that exist.
        create: Make so many rooms at the start, and delete them at the end.
        type: Rooms of this type.
        peer: Entries in the metadata of a person in the room. What the application says of the person (the
            server's part) counts before what the person says.
        every: Every room but livestreams.
    """

    bot: str | None = None
    id: tuple[str, ...] = ()
    create: int | None = None
    type: RoomTypeName | None = None
    peer: Mapping[str, Any] = field(default_factory=dict)
    every: bool = False

    def __post_init__(self) -> None:
        conditions = [name for name in ("id", "type", "peer") if getattr(self, name)]
        if self.create is not None and self.create < 1:
            raise SettingError("create", f"must be 1 or more rooms, not {self.create}", section="rooms")
        if self.create is not None and (conditions or self.every):
            other = conditions[0] if conditions else "every"
            raise SettingError(
                None,
                f"has both create and {other}",
                "make two entries of it",
                section="rooms",
                fields=["create", other],
            )
        if self.every and conditions:
            raise SettingError(
                None,
                f"has both every and {conditions[0]}",
                "keep one of them",
                section="rooms",
                fields=["every", conditions[0]],
            )
        if not (conditions or self.every or self.create):
            raise SettingError(
                None,
                "fits no room",
                "add id, create, type, peer, or every: true",
                section="rooms",
            )

    def fits(self, room: RoomSnapshot) -> bool:
        """Return whether a room gets this rule's bot; false of a rule whose rooms are not made yet."""
        kind = _kind(room.type)
        if kind in _LIVESTREAMS and self.type is None and not self.id:
            return False
        return (
            self.create is None
            and (not self.id or room.id in self.id)
            and (self.type is None or kind == _kind(self.type))
            and (not self.peer or any(_says(self.peer, person.metadata) for person in room.people))
        )

    def with_rooms(self, ids: Iterable[str]) -> RoomRule:
        """The same rule once its rooms are made."""
        return replace(self, create=None, id=tuple(ids))


def _kind(type: str) -> str:
    """The type of a room by its name of today."""
    return _OLD_NAMES.get(type, type)


def _says(wanted: Mapping[str, Any], metadata: Sequence[Mapping[str, Any]]) -> bool:
    for key, value in wanted.items():
        told = [part[key] for part in metadata if key in part]
        if not told or told[0] != value:
            return False
    return True


def select_bot(rules: Iterable[RoomRule], room: RoomSnapshot) -> str | None:
    """The bot of the first rule that a room fits; None if it fits none.

    Args:
        rules: In their order. Each names its bot.
        room: The room, now.
    """
    return next((rule.bot for rule in rules if rule.fits(room)), None)
