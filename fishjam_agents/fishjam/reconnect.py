"""Events of a connection that reconnects by itself, and its waits in between."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ProtocolError, SessionError
from .errors import InternalServerError, ServiceUnavailableError, UnreachableError

STEADY = 5.0
"""A connection that lasted this long, in seconds, resets the backoff."""

PASSING = (SessionError, UnreachableError, ServiceUnavailableError, InternalServerError, ProtocolError)
"""Errors after which another attempt may succeed, those that refuse a token excepted."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection is lost; it may come back.

    Attributes:
        error: How it ended.
    """

    error: Exception


@dataclass(frozen=True, slots=True)
class Reconnected:
    """A connection is back. What happened meanwhile was not told: look at the room over REST.

    Attributes:
        outage: Seconds it was away, as far as noticed: a network that just falls silent is noticed late.
        attempts: How many it took.
    """

    outage: float
    attempts: int
