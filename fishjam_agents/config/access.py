"""Tokens that can be sent."""

from __future__ import annotations

NO_TOKEN = "is no token: it must be of ASCII letters, digits and signs, without spaces"
"""Message about a text that is not `can_be_token`."""


def can_be_token(text: str) -> bool:
    """Return whether a text can be sent as a bearer token: visible ASCII (RFC 9110 5.5, RFC 6750 2.1)."""
    return text != "" and all("!" <= character <= "~" for character in text)
