"""Tracks of a lost connection, published again on a new one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from ..protocol import encode_remove_track
from .direct import DirectConnection
from .track_options import add_track_message


class Published(Protocol):
    """Interface of a track that is published again: `agent.OutgoingTrack`."""

    id: str
    options: Any

    def rename(self, id: str) -> None:
        """Take another track id."""
        ...


PublishedT = TypeVar("PublishedT", bound=Published)


async def republish(socket: DirectConnection, tracks: Callable[[], Sequence[PublishedT]]) -> None:
    """Publish tracks under new ids. When this returns, nothing has come between the last look and now.

    Args:
        socket: The new connection.
        tracks: Returns them: they may be added and removed while this sends.

    Raises:
        ConnectionClosed: The new connection was lost, too.
    """
    published: dict[PublishedT, None] = {}
    while True:
        for track in [track for track in tracks() if track not in published]:
            # A half-open socket may still hold the old id, and an id in use crashes the endpoint.
            published[track] = None
            track.rename(uuid.uuid4().hex)
            await socket.send(add_track_message(track.id, track.options))
        for track in [track for track in published if track not in tracks()]:
            del published[track]
            await socket.send(encode_remove_track(track.id))
        if published.keys() == set(tracks()):
            break
