"""Names of peers for models and listeners."""

from __future__ import annotations

from fishjam_agents.session import PeerView, RoomView

_KEYS = ("displayName", "name", "username")
"""Metadata keys in which a name is looked for: Fishjam prescribes none."""
_LONGEST = 40


class PeerNames:
    """Names of peers: from their metadata, else in the order in which they are asked for.

    The application's word counts before that of the peer itself.

    Args:
        room: What is known of the room, or None.
    """

    def __init__(self, room: RoomView | None) -> None:
        self._room = room
        self._known: dict[str, str] = {}
        self._strangers: dict[str, str] = {}

    def __call__(self, peer: str) -> str:
        """The name of a peer, one line of at most 40 characters; `Speaker 1` where none is known."""
        view = self._room.peers.get(peer) if self._room is not None else None
        name = _name(view) if view is not None else None
        if name is not None:
            self._known[peer] = name
        if peer in self._known:
            # Also of somebody who has left, and whose words are still to be answered.
            return self._known[peer]
        return self._strangers.setdefault(peer, f"Speaker {len(self._strangers) + 1}")


def _name(view: PeerView) -> str | None:
    for part in (view.server_metadata, view.client_metadata):
        for key in _KEYS:
            value = part.get(key)
            if isinstance(value, str) and (name := _one_line(value)):
                return name
    return None


def _one_line(text: str) -> str:
    """A name as a model may be shown it: people choose their own, so no brackets and no new lines."""
    plain = "".join(" " if character.isspace() else character for character in text)
    return " ".join("".join(c for c in plain if c.isprintable() and c not in "[]{}<>").split())[:_LONGEST]
