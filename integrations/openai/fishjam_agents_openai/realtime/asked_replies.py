"""Replies that the app asks for, with instructions of its own, told apart by metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fishjam_agents_openai.realtime.memory import Memory

_MARK = "reply"
"""The key of the metadata."""


class AskedReplies:
    """Replies of a connection that the app asks for, one after the other.

    Args:
        memory: Of the call: those that have not begun are asked for again on the next connection.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._under_way: str | None = None
        self._returned = False

    @property
    def wanted(self) -> bool:
        """True if one has not been asked for on this connection."""
        return any(reply != self._under_way for reply in self._memory.asked)

    @property
    def under_way(self) -> str | None:
        """The one that was asked for and that the service has not begun."""
        return self._under_way

    def request(self) -> dict[str, Any]:
        """Return the `response` of the event that asks for the next one.

        Its instructions take the place of the session's for this one response, and begin with those
        (platform.openai.com/docs/api-reference/realtime-client-events/response/create).
        """
        reply = next(iter(self._memory.asked))
        self._under_way = reply
        instructions = [self._memory.instructions or "", f"Say now: {self._memory.asked[reply]}"]
        return {"instructions": "\n\n".join(filter(None, instructions)), "metadata": {_MARK: reply}}

    def followed(self) -> dict[str, Any] | None:
        """Return the `response` of an answer to tools that were called before a word of such a reply."""
        reply = self._memory.follows
        if reply is None:
            return None
        self._under_way = reply
        return {"metadata": {_MARK: reply}}

    def created(self, response: Mapping[str, Any]) -> str | None:
        """Return the id of the reply that a response is; None where the app has not asked for it."""
        metadata = response.get("metadata")
        if isinstance(metadata, Mapping):
            self._returned = True
            reply = metadata.get(_MARK)
        else:
            # Some servers return no metadata; what is begun next is what was asked for last.
            reply = None if self._returned else self._under_way
        if reply is not None and reply == self._under_way:
            self._under_way = None
        if reply is not None and reply == self._memory.follows:
            self._memory.follows = None
        return reply if isinstance(reply, str) else None

    def refused(self) -> str | None:
        """The service does not begin what it was asked for last; the id if that was one of these."""
        reply, self._under_way = self._under_way, None
        return reply

    def begun(self, reply: str) -> None:
        """There is sound of one: it is not asked for again."""
        self._memory.asked.pop(reply, None)

    def takes_back(self, reply: str) -> bool:
        """Ask no more for one that has not begun; False where there is none of that id."""
        return self._memory.asked.pop(reply, None) is not None
