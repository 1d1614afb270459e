"""Encryption of what stands in a journal: Fernet (AES-128-CBC, HMAC-SHA256); its keys can be changed."""

from __future__ import annotations

from typing import Protocol

from fishjam_agents.errors import MissingExtraError


class UnreadableError(ValueError):
    """Something was encrypted with another key, or is damaged."""


class Cipher(Protocol):
    """Encrypts and decrypts."""

    def encrypt(self, data: bytes) -> bytes:
        """Encrypt bytes."""
        ...

    def decrypt(self, data: bytes) -> bytes:
        """Decrypt bytes.

        Raises:
            UnreadableError: They cannot be.
        """
        ...


class _Fernet:
    def __init__(self, keys: str) -> None:
        from cryptography.fernet import Fernet, MultiFernet

        self._fernet = MultiFernet([Fernet(key.strip()) for key in keys.split(",")])

    def encrypt(self, data: bytes) -> bytes:
        return self._fernet.encrypt(data)

    def decrypt(self, data: bytes) -> bytes:
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(data)
        except InvalidToken as error:
            raise UnreadableError("it was encrypted with another key, or is damaged") from error


def fernet(keys: str) -> Cipher:
    """Return what encrypts with the first of some keys and decrypts with any of them.

    Args:
        keys: Fernet keys, with commas between them. To change the key, put the new one first.

    Raises:
        MissingExtraError: `cryptography` is not installed.
        ValueError: One is no key.
    """
    try:
        return _Fernet(keys)
    except ImportError as error:
        raise MissingExtraError("journal.key", "journal") from error
