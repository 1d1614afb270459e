"""A listing as it came, read one entry after the other: a long one would hold up the event loop."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ..errors import ProtocolError
from ..json_limits import MAX_JSON_DEPTH, pruned
from .json_model import as_list, as_object
from .requests import ENVELOPE, Request

_START = re.compile(r'\s*\{\s*"data"\s*:\s*\[\s*')
_COMMA = re.compile(r"\s*,\s*")
_END = re.compile(r"\s*\].*\}\s*", re.DOTALL)


class Listing(Request[Iterator[Any]]):
    """A request for a listing, `{"data": [...]}`, whose entries are decoded as they are asked for."""

    __slots__ = ()

    def answer(self, status: int, content: bytes) -> Iterator[Any]:
        """Return the entries of the server's answer.

        Raises:
            HTTPError: A status of 400 and above, as its own class.
            ProtocolError: It is none; where that is seen late, from the iterator.
        """
        text = content.decode(errors="replace")
        start = _START.match(text)
        if status != 200 or start is None:
            return Request.answer(self, status, content)
        return self._entries(text, start.end())

    def _entries(self, text: str, at: int) -> Iterator[Any]:
        decoder = json.JSONDecoder()
        try:
            more = not _END.fullmatch(text, at)
            while more:
                entry, at = decoder.raw_decode(text, at)
                yield pruned(entry, MAX_JSON_DEPTH + ENVELOPE)
                comma = _COMMA.match(text, at)
                more = comma is not None
                at = at if comma is None else comma.end()
            if not _END.fullmatch(text, at):
                raise ValueError("the list does not end")
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"{self} was not answered with JSON: is it a Fishjam server?") from error


def all_rooms() -> Listing:
    """All rooms, livestreams included, each for `Room.from_dict`."""
    return Listing("GET", "/room", _entries_of)


def _entries_of(value: Any) -> Iterator[Any]:
    return iter(as_list(as_object(value, "an answer").get("data"), "a list of rooms"))
