"""The calls that the playground shows: their tokens, their peers, their feeds."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from ...session import PeerType
from ..errors import RequestError
from ..peer import Peer
from ..rooms import Rooms
from ..settings import PeerConfig
from .call import PlaygroundCall
from .call_tokens import CallTokens, Grant
from .feed import EventFeed

MAX_GUEST_LINKS = 100
"""Guest tokens of one call."""
MAX_JOINED = 100
"""Peers of the page in one call, connected or not."""
MAX_NAME = 40
"""Characters of a person's name, as many as a bot is shown of it (`pipeline.peer_names`)."""
_NAME_KEYS = ("displayName", "name", "username")
"""Keys of metadata in which names are looked for: Fishjam prescribes none. As `pipeline.peer_names`."""
MAX_NAMES = 1000
"""Names that are remembered for reports, also of people who have left."""
ABSENT_SECONDS = 60
"""Seconds after which a peer of the page is removed that is not connected: a page that was reloaded has a new
one, and one whose connection broke is back long before."""
CLOCK_SECONDS = 1.0
"""Seconds between two `clock` messages."""


class RegisteredCall:
    """One call on the playground.

    Args:
        source: The call.
        playground: Where it is registered.

    Attributes:
        source: The call.
        feed: Its events.
        token: The token of the printed link.
    """

    def __init__(self, source: PlaygroundCall, playground: Playground) -> None:
        self.source = source
        self.feed = EventFeed(source.now)
        self._playground = playground
        self.token = playground.tokens.issue(self, controls=True)
        self._absent: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(CLOCK_SECONDS, self._tick)

    @property
    def names(self) -> Mapping[str, str]:
        """Names by peers: those that people gave when they joined here, and those that metadata tell."""
        room = self._playground.rooms.find(self.source.room_id)
        peers = room.peers.values() if room is not None else ()
        told = {peer.id: name for peer in peers if (name := _peer_name(peer)) is not None}
        return {**self._names, **told}

    def link(self, url: str | None = None) -> str:
        """The link to its page, with controls.

        Args:
            url: Address of the server, where it has several; None is the one for most people.
        """
        return self._playground.link(self.token, url)

    def publish(self, event: Mapping[str, Any]) -> None:
        """Take an event of the call in the form of a timeline."""
        self.feed.publish(event)

    def close(self, reason: str) -> None:
        """The call is over: its tokens open nothing any more. Does nothing the second time."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        self._playground.forget(self)
        self.feed.close(reason)

    def join(self, grant: Grant[RegisteredCall], name: str | None) -> tuple[str, str]:
        """Make a WebRTC peer for a person.

        Args:
            grant: What the person's token opens.
            name: What to call them, in the server's part of the metadata.

        Returns:
            The peer's token and its id.

        Raises:
            RequestError: 409, the room is full; 410, it is gone; 429, too many have joined.
        """
        room = self._playground.rooms.find(self.source.room_id)
        if room is None:
            raise RequestError(410, "the room of this call is gone")
        if len(self._absent) >= MAX_JOINED:
            raise RequestError(
                429, f"{MAX_JOINED} people have joined this call with the page: try again later"
            )
        peer = room.add_peer(PeerConfig(PeerType.WEBRTC, {"name": name} if name else {}))
        self._absent[peer.id] = 0
        if name:
            self._names[peer.id] = name
            if len(self._names) > MAX_NAMES:
                del self._names[next(iter(self._names))]
        grant.peers[:] = [*(known for known in grant.peers if known in room.peers), peer.id]
        return self._playground.rooms.token(room, peer), peer.id

    def speaker(self, grant: Grant[RegisteredCall], named: object = None) -> str | None:
        """The peer of who holds a token.

        It is the one `named`, where that one joined with it and is still there; else the last that did.
        """
        room = self._playground.rooms.find(self.source.room_id)
        known = room.peers if room is not None else {}
        joined = [peer for peer in grant.peers if peer in known]
        return named if named in joined and isinstance(named, str) else joined[-1] if joined else None

    def guest_link(self, url: str | None = None) -> str:
        """A link for somebody who may join and watch.

        Args:
            url: As of `link`.

        Raises:
            RequestError: 429, there are too many.
        """
        if self._playground.tokens.count(self) > MAX_GUEST_LINKS:
            raise RequestError(429, f"this call has {MAX_GUEST_LINKS} guest links already: use one of them")
        return self._playground.link(self._playground.tokens.issue(self, controls=False), url)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(CLOCK_SECONDS, self._tick)
        self.feed.send_clock()
        self._remove_absent()

    def _remove_absent(self) -> None:
        room = self._playground.rooms.find(self.source.room_id)
        for peer_id in tuple(self._absent):
            peer = room.peers.get(peer_id) if room is not None else None
            if room is None or peer is None:
                del self._absent[peer_id]
            elif peer.connected:
                self._absent[peer_id] = 0
            else:
                self._absent[peer_id] += 1
                if self._absent[peer_id] * CLOCK_SECONDS >= ABSENT_SECONDS:
                    del self._absent[peer_id]
                    room.remove_peer(peer)


def one_line(name: str) -> str | None:
    """A name as it is shown: one line of at most `MAX_NAME` characters; None where nothing is left of it."""
    plain = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in name)
    return " ".join(plain.split())[:MAX_NAME] or None


def _peer_name(peer: Peer) -> str | None:
    """The name in a peer's metadata: the application's word counts before its own."""
    for part in (peer.config.metadata, peer.client_metadata):
        if isinstance(part, Mapping):
            for key in _NAME_KEYS:
                if isinstance(given := part.get(key), str) and (name := one_line(given)) is not None:
                    return name
    return None


class Playground:
    """The calls of one server that have a page.

    Args:
        rooms: The rooms of the server.
        url: Called for the address of the page, known once the server listens.

    Attributes:
        rooms: The rooms of the server.
        tokens: Tokens of the calls.
    """

    def __init__(self, rooms: Rooms, url: Callable[[], str]) -> None:
        self.rooms = rooms
        self.tokens: CallTokens[RegisteredCall] = CallTokens()
        self._url = url
        self._calls: list[RegisteredCall] = []

    def register(self, call: PlaygroundCall) -> RegisteredCall:
        """Show a call to whoever has its link. To be called on the server's loop.

        Raises:
            RequestError: Its room is not one of this server.
        """
        self.rooms.get(call.room_id)
        registered = RegisteredCall(call, self)
        self._calls.append(registered)
        return registered

    def forget(self, call: RegisteredCall) -> None:
        """Forget a call that is over."""
        self.tokens.revoke(call)
        if call in self._calls:
            self._calls.remove(call)

    def link(self, token: str, url: str | None = None) -> str:
        """The address of the page for who holds a token. What follows the `#` reaches no server."""
        return f"{self._url() if url is None else url}/#call={token}"

    def stop(self) -> None:
        """The server stops: every call is over."""
        for call in tuple(self._calls):
            call.close("the server stopped")
