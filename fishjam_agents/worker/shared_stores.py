"""The stores that several processes share, by their settings: journals and claims."""

from __future__ import annotations

from pathlib import Path

from fishjam_agents.journal.encryption import fernet
from fishjam_agents.journal.journal import Journals
from fishjam_agents.journal.redis_store import RedisJournals
from fishjam_agents.journal.settings import JournalSettings
from fishjam_agents.journal.sqlite_store import SqliteJournals
from fishjam_agents.journal.store import JournalStore
from fishjam_agents.urls import is_redis_url
from fishjam_agents.worker.claims import ProcessClaims
from fishjam_agents.worker.orphaned_agents import state_folder
from fishjam_agents.worker.redis_claims import RedisClaims
from fishjam_agents.worker.sqlite_claims import SqliteClaims


def journal_store(settings: JournalSettings) -> JournalStore:
    """Open the store of journals.

    Raises:
        JournalError: It cannot be used. A Redis that is away is told of when it is used first.
        MissingExtraError: It needs a library that is not installed: `redis`, or `cryptography` for its key.
    """
    cipher = None if settings.key is None else fernet(settings.key)
    if settings.url is not None:
        return RedisJournals(settings.url, settings.keep, cipher)
    return SqliteJournals(settings.path or state_folder() / "journal.db", cipher)


def open_journals(settings: JournalSettings) -> Journals:
    """Open the journals of a process; raises as `journal_store`."""
    return Journals(journal_store(settings), settings.resume, settings.keep)


def claims_at(address: str, fishjam: str, owner: str | None = None) -> ProcessClaims:
    """Open the store of claims.

    Args:
        address: Path of a SQLite file, or URL of a Redis.
        fishjam: Base URL of the server whose rooms they are.
        owner: Name of the process; None makes one.

    Raises:
        ClaimStoreError: It cannot be used. A Redis that is away is told of when it is used first.
        MissingExtraError: `redis` is not installed.
    """
    if is_redis_url(address):
        return RedisClaims(address, fishjam, owner)
    return SqliteClaims(Path(address), fishjam, owner)
