"""Identity of an account at a vendor: the service, its address and the key, which stays unknown."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import urlsplit

_SHOWN = 6
"""Digits of a key's hash; enough to tell a file's keys apart, and of no use to anybody."""


@dataclass(frozen=True, slots=True)
class VendorEndpoint:
    """The account that a call uses.

    Attributes:
        vendor: Name of the service.
        address: Its base URL, or host; empty where it is the vendor's own.
        fingerprint: The key's, by `fingerprint`; empty without a key.
    """

    vendor: str
    address: str = ""
    fingerprint: str = ""

    def __str__(self) -> str:
        parts = urlsplit(self.address)
        host = parts.netloc.rpartition("@")[2] if parts.netloc else self.address
        shown = [text for text in (host, f"key {self.fingerprint}" * bool(self.fingerprint)) if text]
        return f"{self.vendor} ({', '.join(shown)})" if shown else self.vendor


def fingerprint(*secrets: str | None) -> str:
    """A short hash that tells keys apart and gives none away; empty without any."""
    given = "\0".join(secret for secret in secrets if secret)
    return hashlib.sha256(given.encode()).hexdigest()[:_SHOWN] if given else ""
