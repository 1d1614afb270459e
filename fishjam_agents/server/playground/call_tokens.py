"""Tokens of calls: who has one sees that call, and nobody else sees anything of it."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import Generic, TypeVar

CallT = TypeVar("CallT")


@dataclass(slots=True, eq=False)
class Grant(Generic[CallT]):
    """Rights of one token.

    Attributes:
        call: The call.
        controls: Whether its holder may do more than join and watch.
        peers: Peers that joined with it, the latest last.
    """

    call: CallT
    controls: bool
    peers: list[str] = field(default_factory=list)


class CallTokens(Generic[CallT]):
    """The tokens of all calls. They live as long as their call."""

    def __init__(self) -> None:
        self._grants: dict[bytes, Grant[CallT]] = {}

    def issue(self, call: CallT, *, controls: bool) -> str:
        """A new token of a call: 192 random bits."""
        token = secrets.token_urlsafe(24)
        self._grants[token.encode()] = Grant(call, controls)
        return token

    def read(self, token: str) -> Grant[CallT] | None:
        """Return the rights of a token; None where it is not, or no longer, one of a call."""
        given = token.encode("utf-8", "replace")
        found = None
        # All of them are compared, each in constant time: how long it takes says nothing about any.
        for known, grant in self._grants.items():
            if hmac.compare_digest(known, given):
                found = grant
        return found

    def revoke(self, call: CallT) -> None:
        """End every token of a call."""
        self._grants = {token: grant for token, grant in self._grants.items() if grant.call is not call}

    def count(self, call: CallT) -> int:
        """Number of a call's tokens."""
        return sum(grant.call is call for grant in self._grants.values())
