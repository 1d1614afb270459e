"""Stores of journals as tests open them: each kind, several times for one and the same data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from fishjam_agents.journal.encryption import Cipher, fernet
from fishjam_agents.journal.redis_store import RedisJournals
from fishjam_agents.journal.sqlite_store import SqliteJournals
from fishjam_agents.journal.store import JournalStore
from fishjam_agents.testing.redis_server import RedisServer

WEEK = 7 * 86400.0


class Stores(ABC):
    """Stores that share their data."""

    @asynccontextmanager
    async def opened(self, keys: str | None = None) -> AsyncIterator[JournalStore]:
        store = self.store(None if keys is None else fernet(keys))
        try:
            yield store
        finally:
            await store.close()

    @abstractmethod
    def store(self, cipher: Cipher | None = None) -> JournalStore: ...

    @abstractmethod
    def everything(self) -> bytes:
        """All that is stored, as an intruder finds it."""


class SqliteStores(Stores):
    def __init__(self, path: Path) -> None:
        self.path = path

    def store(self, cipher: Cipher | None = None) -> SqliteJournals:
        return SqliteJournals(self.path, cipher)

    def everything(self) -> bytes:
        return b"".join(file.read_bytes() for file in self.path.parent.iterdir())


class RedisStores(Stores):
    def __init__(self, url: str) -> None:
        self.url = url

    def store(self, cipher: Cipher | None = None, keep: float = WEEK) -> RedisJournals:
        return RedisJournals(self.url, keep, cipher)

    def everything(self) -> bytes:
        from redis import Redis

        kinds = {b"string": "get", b"hash": "hgetall", b"list": "lrange", b"zset": "zrange"}
        with Redis.from_url(self.url) as redis:
            found = []
            for key in redis.keys("*"):
                kind = redis.type(key)
                whole = (0, -1) if kind in (b"list", b"zset") else ()
                found.append((key, getattr(redis, kinds[kind])(key, *whole)))
        return repr(found).encode()


@contextmanager
def redis_server(folder: Path, *, keeps: bool = False) -> Iterator[RedisServer]:
    """A Redis of the test's own; skips it where there is none."""
    pytest.importorskip("redis")
    if not RedisServer.is_installed():
        pytest.skip("redis-server is not installed (apt install redis-server)")
    folder.mkdir(exist_ok=True)
    with RedisServer(folder, keeps=keeps) as server:
        yield server
