"""Selective subscription: whom a peer hears (Fishjam docs, Selective subscriptions).

Asked when the routes of a room are worked out, never per packet.
"""

from __future__ import annotations

from typing import Any


class Subscriptions:
    """Subscriptions of one peer.

    A peer with automatic subscriptions hears everyone, and what it is subscribed to by hand counts for
    nothing; a manual one hears nobody at first. Subscriptions add up, and there is no way back.

    Args:
        manual: Whether the peer hears only what it is subscribed to.
    """

    def __init__(self, manual: bool) -> None:
        self._manual = manual
        # Dictionaries for their order: REST shows the oldest first.
        self._peers: dict[str, None] = {}
        self._tracks: dict[str, None] = {}

    def add(self, *, peer_id: str | None = None, track_ids: tuple[str, ...] = ()) -> bool:
        """Hear a peer, with all it publishes now and later, or some tracks; False if nothing changed."""
        if not self._manual:
            return False
        before = len(self._peers) + len(self._tracks)
        if peer_id is not None:
            self._peers[peer_id] = None
        self._tracks.update(dict.fromkeys(track_ids))
        return len(self._peers) + len(self._tracks) > before

    def cover(self, publisher_id: str, track_id: str) -> bool:
        """Return whether that track of that peer is heard."""
        return not self._manual or publisher_id in self._peers or track_id in self._tracks

    def as_json(self) -> dict[str, Any]:
        """As REST answers it: what was subscribed to by hand."""
        return {"peers": list(self._peers), "tracks": list(self._tracks)}
