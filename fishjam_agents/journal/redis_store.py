"""Journals in a Redis, for the processes of many machines.

Under `{fishjam-agents}:journal:` stand, with the braces of one hash slot:

* `format`: version of all of it,
* `call:ID`: a hash with the call's place, epoch, times and end,
* `entries:ID`: a list of its entries, each a JSON array `[epoch, at, kind, encrypted, body]`,
* `place:DIGEST`: id of the last call in a place,
* `calls`: a sorted set of all ids by their last entry,
* `batch:STORE`: number of the last batch that a process wrote.

Everything of a call expires when it was not written to for `keep` seconds. What a crash of Redis loses is
said by its own settings (`appendonly`, `appendfsync`).
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import uuid
from collections.abc import Iterable, Sequence, Set
from typing import Any

from fishjam_agents.journal.encryption import Cipher
from fishjam_agents.journal.entries import CallEnded, JournalEntry, decode, encode
from fishjam_agents.journal.store import CallKey, CallPlace, JournalError, JournalSummary, OpenedJournal
from fishjam_agents.redis_scripts import RedisProblemError, RedisScripts

VERSION = 1
"""Format of the keys. A release reads its own and the one before."""
DEADLINE = 20.0
"""Seconds for what takes several scripts: listing and purging."""
_PREFIX = "{fishjam-agents}:journal"
_PAGE = 200
"""Calls in one script of those."""

# KEYS[1] is the format, ARGV[1] that of this program, ARGV[2] the prefix of keys.
_HEAD = """
local found = redis.call('GET', KEYS[1])
if not found then
    redis.call('SET', KEYS[1], ARGV[1])
elseif tonumber(found) > tonumber(ARGV[1]) then
    return redis.error_reply('NEWER it is of format ' .. found .. ', newer than this program')
end
local prefix = ARGV[2]
local function forget(id)
    local call = prefix .. ':call:' .. id
    local place = redis.call('HGET', call, 'place')
    if place and redis.call('GET', place) == id then redis.call('DEL', place) end
    redis.call('ZREM', KEYS[2], id)
    redis.call('DEL', prefix .. ':entries:' .. id)
    return redis.call('DEL', call)
end
local function keep(id, milliseconds)
    local call = prefix .. ':call:' .. id
    local place = redis.call('HGET', call, 'place')
    redis.call('PEXPIRE', call, milliseconds)
    redis.call('PEXPIRE', prefix .. ':entries:' .. id, milliseconds)
    if redis.call('GET', place) == id then redis.call('PEXPIRE', place, milliseconds) end
end
"""
_OPEN = (
    _HEAD
    + """
local place, milliseconds, now, resume, new = KEYS[3], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local id = redis.call('GET', place)
if id then
    local call = prefix .. ':call:' .. id
    local epoch, last, ended = unpack(redis.call('HMGET', call, 'epoch', 'last', 'ended'))
    if epoch and ended == '0' and tonumber(last) >= tonumber(now) - tonumber(resume) then
        epoch = redis.call('HINCRBY', call, 'epoch', 1)
        redis.call('HSET', call, 'last', now)
        redis.call('ZADD', KEYS[2], now, id)
        keep(id, milliseconds)
        return {id, epoch, redis.call('LRANGE', prefix .. ':entries:' .. id, 0, -1)}
    end
end
redis.call('SET', place, new)
redis.call('HSET', prefix .. ':call:' .. new, 'fishjam', ARGV[7], 'room', ARGV[8], 'bot', ARGV[9],
    'place', place, 'epoch', 1, 'begun', now, 'last', now, 'ended', 0)
redis.call('ZADD', KEYS[2], now, new)
keep(new, milliseconds)
return {new, 1, {}}
"""
)
_APPEND = (
    _HEAD
    + """
-- A batch whose answer was lost is given again: it is written once.
local again = redis.call('GET', KEYS[3]) == ARGV[3]
local lost = {}
local at = 5
while ARGV[at] do
    local id, epoch, last, ended, count = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
    local call = prefix .. ':call:' .. id
    local known, before = unpack(redis.call('HMGET', call, 'epoch', 'last'))
    if known ~= epoch then
        lost[#lost + 1] = {id, tonumber(epoch)}
    elseif not again then
        for index = at + 5, at + 4 + count do
            redis.call('RPUSH', prefix .. ':entries:' .. id, ARGV[index])
        end
        if tonumber(before) > tonumber(last) then last = before end
        redis.call('HSET', call, 'last', last)
        if ended == '1' then redis.call('HSET', call, 'ended', 1) end
        redis.call('ZADD', KEYS[2], last, id)
        keep(id, ARGV[4])
    end
    at = at + 5 + count
end
redis.call('SET', KEYS[3], ARGV[3], 'PX', 86400000)
return lost
"""
)
_READ = _HEAD + "return redis.call('LRANGE', prefix .. ':entries:' .. ARGV[3], 0, -1)"
_IDS = _HEAD + "return redis.call('ZRANGE', KEYS[2], 0, -1)"
_SUMMARIES = (
    _HEAD
    + """
local rows = {}
for index = 3, #ARGV do
    local call = prefix .. ':call:' .. ARGV[index]
    local row = redis.call('HMGET', call, 'fishjam', 'room', 'bot', 'epoch', 'begun', 'last', 'ended')
    if row[1] then
        row[8] = ARGV[index]
        row[9] = redis.call('LLEN', prefix .. ':entries:' .. ARGV[index])
        rows[#rows + 1] = row
    end
end
return rows
"""
)
_DELETE = _HEAD + "return forget(ARGV[3])"
_PURGE = (
    _HEAD
    + """
local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[3], 'LIMIT', 0, ARGV[4])
local gone = 0
for _, id in ipairs(old) do gone = gone + forget(id) end
return {gone, #old}
"""
)


class RedisJournals:
    """A `JournalStore` in a Redis.

    Nothing is asked of Redis before the first call: one that is away is told of then.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`.
        keep: Seconds since its last entry after which Redis deletes a call by itself.
        cipher: Encrypts what is said and done; ids, rooms, kinds of entries and times stay readable.

    Raises:
        JournalError: The URL cannot be used.
        MissingExtraError: `redis` is not installed.
    """

    def __init__(self, url: str, keep: float, cipher: Cipher | None = None) -> None:
        try:
            self._redis = RedisScripts(url, "journal: {type: redis}")
        except ValueError as error:
            raise JournalError(f"journal.url cannot be used: {error}") from error
        self._keep = max(1, round(keep * 1000))
        self._cipher = cipher
        self._batch = f"{_PREFIX}:batch:{uuid.uuid4().hex}"
        self._numbers = itertools.count(1)
        self._unsure: _Batch | None = None

    async def open(self, place: CallPlace, now: float, resume: float) -> OpenedJournal:
        """Part of `JournalStore`."""
        digest = hashlib.sha256(json.dumps([place.fishjam, place.room, place.bot]).encode()).hexdigest()
        id, epoch, rows = await self._run(
            _OPEN,
            [f"{_PREFIX}:place:{digest}"],
            [self._keep, now, resume, uuid.uuid4().hex, place.fishjam, place.room, place.bot],
        )
        return OpenedJournal(CallKey(id.decode(), epoch), self._entries(id.decode(), rows))

    async def append(self, entries: Sequence[tuple[CallKey, JournalEntry]]) -> Set[CallKey]:
        """Part of `JournalStore`."""
        lost: set[CallKey] = set()
        if self._unsure is not None:
            # They are given again, as far as they were not dropped meanwhile.
            done = self._unsure
            lost |= await self._write(done)
            entries = [pair for pair in entries if id(pair[1]) not in done.entries]
        if entries:
            lost |= await self._write(_Batch(next(self._numbers), entries, self._values(entries)))
        return lost

    async def read(self, call: str) -> Sequence[tuple[int, JournalEntry]]:
        """Part of `JournalStore`."""
        return self._entries(call, await self._run(_READ, [], [call]))

    async def calls(self) -> Sequence[JournalSummary]:
        """Part of `JournalStore`."""
        try:
            async with asyncio.timeout(DEADLINE):
                ids = await self._run(_IDS, [], [])
                found = [
                    _summary(row)
                    for page in range(0, len(ids), _PAGE)
                    for row in await self._run(_SUMMARIES, [], ids[page : page + _PAGE])
                ]
        except TimeoutError as error:
            raise self._problem("it does not answer") from error
        return sorted(found, key=lambda summary: summary.begun)

    async def delete(self, call: str) -> bool:
        """Part of `JournalStore`."""
        return bool(await self._run(_DELETE, [], [call]))

    async def purge(self, before: float) -> int:
        """Part of `JournalStore`."""
        purged = 0
        seen = _PAGE
        try:
            async with asyncio.timeout(DEADLINE):
                while seen == _PAGE:
                    gone, seen = await self._run(_PURGE, [], [before, _PAGE])
                    purged += gone
        except TimeoutError as error:
            raise self._problem("it does not answer") from error
        return purged

    async def close(self) -> None:
        """Part of `JournalStore`."""
        await self._redis.close()

    async def _write(self, batch: _Batch) -> set[CallKey]:
        self._unsure = batch
        try:
            lost = await self._scripted(_APPEND, [self._batch], [batch.number, *batch.values])
        except RedisProblemError as error:
            if not error.is_unsure:
                # What was refused now may have been written at an earlier attempt.
                self._unsure = batch if batch.is_unsure else None
            batch.is_unsure = self._unsure is not None
            raise self._problem(str(error)) from error
        self._unsure = None
        return {CallKey(id.decode(), epoch) for id, epoch in lost}

    def _values(self, entries: Sequence[tuple[CallKey, JournalEntry]]) -> list[str | bytes | float]:
        values: list[str | bytes | float] = [self._keep]
        calls: dict[CallKey, list[JournalEntry]] = {}
        for key, entry in entries:
            calls.setdefault(key, []).append(entry)
        for key, written in calls.items():
            ended = any(isinstance(entry, CallEnded) for entry in written)
            values += [key.call, key.epoch, max(entry.at for entry in written), int(ended), len(written)]
            values += [self._sealed(key.epoch, entry) for entry in written]
        return values

    def _sealed(self, epoch: int, entry: JournalEntry) -> str:
        body = encode(entry)
        if self._cipher is not None:
            body = self._cipher.encrypt(body)
        # Every byte as the character of its number: a cipher may give what is no text.
        return json.dumps(
            [epoch, entry.at, entry.kind, int(self._cipher is not None), body.decode("latin-1")]
        )

    def _entries(self, call: str, rows: Iterable[bytes]) -> Sequence[tuple[int, JournalEntry]]:
        entries = []
        for number, row in enumerate(rows, 1):
            try:
                epoch, at, kind, encrypted, body = json.loads(row)
                entry = decode(kind, at, self._opened(body.encode("latin-1"), bool(encrypted)))
            except (ValueError, TypeError, AttributeError) as error:
                raise JournalError(
                    f"entry {number} of the call {call} in {self._redis.shown} cannot be read ({error}): see "
                    "that journal.key holds the key it was written with, too"
                ) from error
            if entry is not None:
                entries.append((epoch, entry))
        return entries

    def _opened(self, body: bytes, encrypted: bool) -> bytes:
        if not encrypted:
            return body
        if self._cipher is None:
            raise ValueError("it is encrypted")
        return self._cipher.decrypt(body)

    async def _run(self, script: str, keys: Sequence[str], values: Sequence[str | bytes | float]) -> Any:
        try:
            return await self._scripted(script, keys, values)
        except RedisProblemError as error:
            raise self._problem(str(error)) from error

    async def _scripted(self, script: str, keys: Sequence[str], values: Sequence[str | bytes | float]) -> Any:
        common = [f"{_PREFIX}:format", f"{_PREFIX}:calls"]
        return await self._redis.run(script, [*common, *keys], [VERSION, _PREFIX, *values])

    def _problem(self, reason: str) -> JournalError:
        return JournalError(
            f"the journal in {self._redis.shown} cannot be used ({reason}): see that Redis runs and "
            "journal.url is right"
        )


class _Batch:
    """Entries that are written together, once.

    Args:
        number: Number of the batch.
        pairs: The entries.
        values: What the script is given of them.
    """

    def __init__(
        self, number: int, pairs: Sequence[tuple[CallKey, JournalEntry]], values: list[str | bytes | float]
    ) -> None:
        self.number = number
        self.values = values
        # By identity: two entries that say the same are two. They are held, so that an id stays theirs.
        self.entries = {id(entry): entry for _, entry in pairs}
        self.is_unsure = False


def _summary(row: Sequence[Any]) -> JournalSummary:
    fishjam, room, bot, epoch, begun, last, ended, call, entries = row
    return JournalSummary(
        call.decode(),
        CallPlace(fishjam.decode(), room.decode(), bot.decode()),
        int(epoch),
        float(begun),
        float(last),
        ended == b"1",
        entries,
    )
